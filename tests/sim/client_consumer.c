/* A consumer: fetches one to four partitions of a topic, with a long poll, from the start or from
 * anywhere, to the high watermark and then somewhere else. Once the simulation is calm it reads
 * every partition of every topic that lives, from the start to the end. */
#include "base/check.h"
#include "base/memory.h"
#include "protocol/batch.h"
#include "protocol/messages.h"
#include "sim/broker_sim.h"
#include "sim/client_keys.h"
#include "sim/client_start.h"

enum { PARTS_MAX = 4 };

struct consumer {
    struct model_topic *topic;
    int part_count;
    struct consumer_part {
        struct model_partition *partition;
        int64_t offset, promised_start, promised_end; /* at the time of asking */
        struct model_pass pass;
    } parts[PARTS_MAX];
    bool asked, asks_topics;
    int32_t max_bytes, max_wait_ms;
    int rounds;        /* left before it goes elsewhere */
    int32_t verify_at; /* index of the topic being read in the calm */
    int32_t verify_partition;
    bool verifies, verified;
    int64_t topics_ns;
};

/* By name: only topics whose name always means the same one. */
static bool asks_by_name(const struct client *client)
{
    return session_version(&client->session, API_FETCH) < 13;
}

static void init(struct client *client)
{
    struct consumer *consumer = client->state;
    if (!consumer) {
        consumer = client->state = memory_zeroed(sizeof *consumer);
        consumer->max_bytes = 1 << random_between(&client->random, 8, 20);
        consumer->max_wait_ms = (int32_t)random_between(&client->random, 0, 500);
    }
    consumer->topics_ns = 0;
}

/* The next topic to be read in the calm; false: all have been. */
static bool verify_next(struct client *client)
{
    struct consumer *consumer = client->state;
    const struct model *model = &client->sim->model;
    for (; consumer->verify_at < model->topic_count; consumer->verify_at++) {
        struct model_topic *topic = model->topics[consumer->verify_at];
        if (topic->delete_asked || consumer->verify_partition >= topic->partition_count) {
            consumer->verify_partition = 0;
            continue;
        }
        struct model_partition *partition = &topic->partitions[consumer->verify_partition++];
        consumer->topic = topic;
        consumer->part_count = 1;
        consumer->parts[0] = (struct consumer_part){.partition = partition};
        model_pass_begin(&client->sim->model, partition, &consumer->parts[0].pass);
        consumer->rounds = INT32_MAX;
        return true;
    }
    return false;
}

static bool pick(struct client *client)
{
    struct consumer *consumer = client->state;
    const struct model *model = &client->sim->model;
    bool by_name = asks_by_name(client);
    consumer->topic = NULL;
    for (int i = 0; i < 8 && model->topic_count > 0 && !consumer->topic; i++) {
        struct model_topic *topic =
            model->topics[random_below(&client->random, (uint64_t)model->topic_count)];
        if (topic->deleted_ns == INT64_MAX && (!by_name || topic->kind != MODEL_PASSING))
            consumer->topic = topic;
    }
    if (!consumer->topic)
        return false;
    int32_t count = consumer->topic->partition_count;
    consumer->part_count =
        (int)random_between(&client->random, 1, count < PARTS_MAX ? count : PARTS_MAX);
    int32_t first =
        (int32_t)random_below(&client->random, (uint64_t)(count - consumer->part_count + 1));
    for (int i = 0; i < consumer->part_count; i++) {
        struct model_partition *partition = &consumer->topic->partitions[first + i];
        int64_t offset = random_once_in(&client->random, 2)
                             ? 0
                             : random_between(&client->random, 0, partition->promised_end);
        consumer->parts[i] = (struct consumer_part){.partition = partition, .offset = offset};
        if (offset == 0)
            model_pass_begin(&client->sim->model, partition, &consumer->parts[i].pass);
    }
    consumer->rounds = (int)random_between(&client->random, 1, 30);
    return true;
}

static void fetch(struct client *client)
{
    struct consumer *consumer = client->state;
    struct fetch_request request;
    struct fetch_request_fetch_topic topic;
    struct fetch_request_fetch_partition parts[PARTS_MAX];
    if (!consumer->verifies && consumer->topic->kind == MODEL_PASSING && asks_by_name(client)) {
        consumer->rounds = 0; /* the connection is another, and its versions */
        return;
    }
    message_set_defaults(&fetch_request_message, &request);
    message_set_defaults(&fetch_request_fetch_topic_message, &topic);
    for (int i = 0; i < consumer->part_count; i++) {
        message_set_defaults(&fetch_request_fetch_partition_message, &parts[i]);
        parts[i].partition = consumer->parts[i].partition->index;
        parts[i].fetch_offset = consumer->parts[i].offset;
        parts[i].partition_max_bytes = consumer->max_bytes;
        consumer->parts[i].promised_start = consumer->parts[i].partition->start_promised;
        consumer->parts[i].promised_end = consumer->parts[i].partition->promised_end;
    }
    topic.topic = string_of(consumer->topic->name);
    topic.topic_id = consumer->topic->id;
    topic.partitions = parts;
    topic.partitions_count = consumer->part_count;
    request.topics = &topic;
    request.topics_count = 1;
    request.max_wait_ms = client->sim->calm ? 0 : consumer->max_wait_ms;
    request.min_bytes = 1;
    request.max_bytes = consumer->max_bytes * 2;
    consumer->asked = client_ask(client, API_FETCH, &request, true);
}

static void work(struct client *client)
{
    struct consumer *consumer = client->state;
    int64_t now_ns = client->core.now.monotonic_ns;
    if (consumer->asked || consumer->asks_topics || consumer->verified)
        return;
    if (now_ns >= consumer->topics_ns) {
        consumer->topics_ns = now_ns + 3000000000;
        consumer->asks_topics = client_ask_topics(client);
        return;
    }
    if (client->sim->calm && !consumer->verifies) {
        consumer->verifies = true;
        consumer->rounds = 0;
    }
    if (consumer->rounds <= 0) {
        bool more = consumer->verifies ? verify_next(client) : pick(client);
        consumer->verified = consumer->verifies && !more;
        if (!more)
            return;
    }
    fetch(client);
}

/* Returns where it goes on, or -1. */
static int64_t read_records(struct client *client, struct consumer_part *part,
                            const struct fetch_response_partition_data *answer)
{
    struct simulation *sim = client->sim;
    const struct model_topic *topic = part->partition->topic;
    struct bytes data = answer->records.whole;
    struct batch first;
    int64_t next = -1;
    if (data.size > 0 && batch_view(data.data, (size_t)data.size, &first) == ERROR_NONE &&
        ((first.base_offset > part->offset && !topic->rules->compacts) ||
         batch_last_offset(&first) < part->offset))
        world_violation(sim->world, "fetch: %s-%d at %lld begins with the batch at %lld",
                        topic->name, answer->partition_index, (long long)part->offset,
                        (long long)first.base_offset);
    sim->model.pass = part->pass.runs ? &part->pass : NULL;
    if (data.size > 0)
        model_read_batches(&sim->model, part->partition, data, &next, true);
    sim->model.pass = NULL;
    return next;
}

static void take_part(struct client *client, struct consumer_part *part,
                      const struct fetch_response_partition_data *answer, int64_t asked_ns)
{
    struct consumer *consumer = client->state;
    struct simulation *sim = client->sim;
    const struct model_topic *topic = part->partition->topic;
    enum error error = (enum error)answer->error_code;
    if (error == ERROR_UNKNOWN_TOPIC_ID || error == ERROR_UNKNOWN_TOPIC_OR_PARTITION ||
        error == ERROR_NOT_LEADER_OR_FOLLOWER) {
        if (!topic->delete_asked && asked_ns > part->partition->seen_ns + MODEL_SPREAD_NS)
            world_violation(sim->world, "fetch: %s-%d is gone", topic->name,
                            answer->partition_index);
        consumer->rounds = 0;
        return;
    }
    if (part->partition->rotten && (error == ERROR_KAFKA_STORAGE_ERROR || !error)) {
        consumer->rounds = 0; /* what it gave was looked at; it goes no further */
        part->pass.runs = false;
        if (!error)
            read_records(client, part, answer);
        return;
    }
    bool faults = !sim->calm || asked_ns <= sim->calm_ns; /* when it was asked */
    if (error == ERROR_KAFKA_STORAGE_ERROR && faults) {
        consumer->rounds = 0;
        return;
    }
    bool explained =
        model_start_explains(part->partition, part->offset, part->promised_start, error);
    if (explained && error == ERROR_OFFSET_OUT_OF_RANGE) {
        part->offset =
            answer->log_start_offset >= 0 ? answer->log_start_offset : part->partition->start_seen;
        return; /* goes on there */
    }
    if (error || !explained) {
        world_violation(sim->world, "fetch: %s-%d at %lld (promised %lld to %lld): %s", topic->name,
                        answer->partition_index, (long long)part->offset,
                        (long long)part->promised_start, (long long)part->promised_end,
                        error_name(error));
        consumer->rounds = 0;
        return;
    }
    if (answer->log_start_offset >= 0)
        model_start_told(&sim->model, part->partition, part->promised_start,
                         answer->log_start_offset, "fetch");
    if (answer->high_watermark < part->promised_end)
        world_violation(sim->world, "fetch: %s-%d has high watermark %lld, promised was %lld",
                        topic->name, answer->partition_index, (long long)answer->high_watermark,
                        (long long)part->promised_end);
    int64_t next = read_records(client, part, answer);
    if (next > answer->high_watermark)
        world_violation(sim->world, "fetch: %s-%d gives up to %lld, the high watermark is %lld",
                        topic->name, answer->partition_index, (long long)next,
                        (long long)answer->high_watermark);
    if (next >= 0)
        part->offset = next;
    if (part->offset >= answer->high_watermark)
        model_pass_end(&sim->model, part->partition, &part->pass, "fetch");
    if (next < 0 && consumer->verifies && part->offset >= answer->high_watermark)
        consumer->rounds = 0;
}

static void answer(struct client *client, const struct session_response *response, int64_t asked_ns)
{
    struct consumer *consumer = client->state;
    if (response->api->key == API_METADATA) {
        consumer->asks_topics = false;
        client_take_topics(client, response, asked_ns);
        return;
    }
    const struct fetch_response *fetched = response->message;
    consumer->asked = false;
    consumer->rounds--;
    if (fetched->error_code || fetched->responses_count != 1 ||
        fetched->responses[0].partitions_count != consumer->part_count) {
        world_violation(client->sim->world, "fetch: error %d, %d topics", fetched->error_code,
                        fetched->responses_count);
        consumer->rounds = 0;
        return;
    }
    for (int i = 0; i < consumer->part_count; i++) {
        const struct fetch_response_partition_data *got = &fetched->responses[0].partitions[i];
        if (got->partition_index == consumer->parts[i].partition->index)
            take_part(client, &consumer->parts[i], got, asked_ns);
        else
            world_violation(client->sim->world, "fetch: partition %d answered out of order",
                            got->partition_index);
    }
}

static void lost(struct client *client)
{
    struct consumer *consumer = client->state;
    consumer->asked = consumer->asks_topics = false;
}

static bool is_over(struct client *client)
{
    struct consumer *consumer = client->state;
    return consumer && consumer->verified;
}

const struct client_kind consumer_kind = {"consumer", init, work, answer, lost, is_over};
