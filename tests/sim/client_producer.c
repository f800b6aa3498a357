/* A producer: batches of records with unique ids to one or several partitions of the topics it has
 * heard of, several requests in flight. What is not acknowledged is given up, not sent again; what
 * is refused must be refused for what is wrong with it. */
#include "base/check.h"
#include "base/memory.h"
#include "protocol/messages.h"
#include "sim/broker_quiet.h"
#include "sim/client_batch.h"

enum { PARTS_MAX = 4, FLIGHTS_MAX = 16, CALM_ASKS = 2 };

struct producer_flight {
    int part_count;
    struct client_batch parts[PARTS_MAX];
};

struct producer {
    int16_t acks;
    int pipeline;
    struct client_batch_habits habits;
    int64_t pause_ns;                            /* at most, between two requests */
    int64_t topics_ns;                           /* when to ask for topics again */
    struct producer_flight flights[FLIGHTS_MAX]; /* a ring, oldest first */
    int first, count;
    bool asks_topics;
    int calm_asks; /* since all is calm: these must be answered */
    uint8_t *bytes[PARTS_MAX];
};

/* By name: only topics whose name always means the same one. */
static bool asks_by_name(const struct client *client)
{
    return session_version(&client->session, API_PRODUCE) < 13;
}

static void init(struct client *client)
{
    struct producer *producer = client->state;
    if (!producer) {
        static const int16_t acks[] = {-1, -1, 1, 1, 0};
        producer = client->state = memory_zeroed(sizeof *producer);
        producer->acks = acks[random_below(&client->random, 5)];
        producer->pipeline = (int)random_between(&client->random, 1, 8);
        static const uint32_t sizes[] = {40, 300, 300, 2000, 12000, 60000};
        uint32_t value_max = sizes[random_below(&client->random, 6)];
        producer->habits = (struct client_batch_habits){
            .value_max = value_max,
            /* much of what is large would cost more to compress than all the rest together */
            .records_max = (int32_t)random_between(&client->random, 1, value_max > 2000 ? 3 : 12),
            .codec = (int)random_between(&client->random, CODEC_NONE, CODECS_END),
            /* who asks for no answer would lose its connection by it */
            .lie_once_in = producer->acks == 0 ? 0 : 1ull << random_between(&client->random, 2, 8),
        };
        producer->pause_ns = random_between(&client->random, 0, 30) * 1000000;
        for (int i = 0; i < PARTS_MAX; i++)
            producer->bytes[i] = memory_aligned(16, CLIENT_BATCH_SPACE);
    }
    producer->count = 0;
    producer->topics_ns = 0;
}

static bool is_wanted(const struct client *client, const struct model_topic *topic)
{
    return topic->deleted_ns == INT64_MAX &&
           (!client->sim->quiet.stepped || topic->rules->append_time) &&
           (!asks_by_name(client) || topic->kind != MODEL_PASSING);
}

static struct model_topic *pick_topic(struct client *client)
{
    const struct model *model = &client->sim->model;
    for (int i = 0; i < 8 && model->topic_count > 0; i++) {
        struct model_topic *topic =
            model->topics[random_below(&client->random, (uint64_t)model->topic_count)];
        if (is_wanted(client, topic))
            return topic;
    }
    return NULL;
}

static void produce(struct client *client, struct model_topic *topic)
{
    struct producer *producer = client->state;
    struct producer_flight flight = {0};
    producer->habits.version = session_version(&client->session, API_PRODUCE);
    struct produce_request request;
    struct produce_request_topic_produce_data data;
    struct produce_request_partition_produce_data parts[PARTS_MAX];
    message_set_defaults(&produce_request_message, &request);
    message_set_defaults(&produce_request_topic_produce_data_message, &data);
    int32_t first = (int32_t)random_below(&client->random, (uint64_t)topic->partition_count);
    int32_t most =
        topic->partition_count - first < PARTS_MAX ? topic->partition_count - first : PARTS_MAX;
    flight.part_count = (int)random_between(&client->random, 1, most);
    for (int i = 0; i < flight.part_count; i++) {
        message_set_defaults(&produce_request_partition_produce_data_message, &parts[i]);
        parts[i].index = first + i;
        parts[i].records.whole =
            client_batch_make(client, &topic->partitions[first + i], &producer->habits,
                              producer->bytes[i], &flight.parts[i]);
    }
    data.name = string_of(topic->name);
    data.topic_id = topic->id;
    data.partition_data = parts;
    data.partition_data_count = flight.part_count;
    request.acks = producer->acks;
    request.timeout_ms = 20000;
    request.topic_data = &data;
    request.topic_data_count = 1;
    if (!client_ask(client, API_PRODUCE, &request, producer->acks != 0))
        return;
    if (producer->acks == 0)
        return;
    topic->in_flight++;
    producer->flights[(producer->first + producer->count++) % FLIGHTS_MAX] = flight;
}

static void work(struct client *client)
{
    struct producer *producer = client->state;
    int64_t now_ns = client->core.now.monotonic_ns;
    if (now_ns >= producer->topics_ns && !producer->asks_topics) {
        producer->topics_ns = now_ns + 1000000000;
        producer->asks_topics = client_ask_topics(client);
    }
    bool has_done = client->sim->calm && producer->calm_asks == CALM_ASKS;
    if (has_done || now_ns < client->next_ns || producer->count >= producer->pipeline)
        return;
    producer->calm_asks += client->sim->calm;
    client->next_ns = now_ns + random_between(&client->random, 0, producer->pause_ns);
    struct model_topic *topic = pick_topic(client);
    if (topic)
        produce(client, topic);
}

static void take_part(struct client *client, const struct client_batch *part, int16_t version,
                      const struct produce_response_partition_produce_response *answer,
                      int64_t asked_ns)
{
    struct simulation *sim = client->sim;
    const struct producer *producer = client->state;
    const struct model_partition *partition = part->partition;
    enum error error = (enum error)answer->error_code;
    if (answer->index != partition->index) {
        world_violation(sim->world, "produce: partition %d answered, %d was asked", answer->index,
                        partition->index);
        return;
    }
    if (error == ERROR_UNKNOWN_TOPIC_ID || error == ERROR_UNKNOWN_TOPIC_OR_PARTITION ||
        error == ERROR_NOT_LEADER_OR_FOLLOWER) {
        if (!partition->topic->delete_asked && asked_ns > partition->seen_ns + MODEL_SPREAD_NS)
            world_violation(sim->world, "produce: %s-%d is gone", partition->topic->name,
                            partition->index);
        return;
    }
    if (!client_batch_may_fail(part, version, producer->acks,
                               sim->broker.settings.log_segment_bytes, error))
        world_violation(sim->world, "produce: %s-%d answered %s to %d bytes of codec %d, lie %d",
                        partition->topic->name, partition->index, error_name(error),
                        part->size_bytes, part->codec, part->lie);
    if (error == ERROR_NONE && answer->log_append_time_ms >= 0 &&
        !quiet_is_wall_time(sim, asked_ns, answer->log_append_time_ms))
        world_violation(sim->world, "produce: %s-%d: append time %lld, which no clock said",
                        partition->topic->name, partition->index,
                        (long long)answer->log_append_time_ms);
    for (int32_t i = 0; error == ERROR_NONE && i < part->count; i++)
        model_acknowledge(&sim->model, part->first_uid + (uint64_t)i, answer->base_offset + i,
                          answer->log_append_time_ms);
}

static void answer(struct client *client, const struct session_response *response, int64_t asked_ns)
{
    struct producer *producer = client->state;
    if (response->api->key == API_METADATA) {
        producer->asks_topics = false;
        client_take_topics(client, response, asked_ns);
        return;
    }
    const struct produce_response *produced = response->message;
    check(response->api->key == API_PRODUCE && producer->count > 0);
    struct producer_flight flight = producer->flights[producer->first];
    flight.parts[0].partition->topic->in_flight--;
    producer->first = (producer->first + 1) % FLIGHTS_MAX;
    producer->count--;
    if (produced->responses_count != 1 ||
        produced->responses[0].partition_responses_count != flight.part_count) {
        world_violation(client->sim->world, "produce: not what was asked is answered");
        return;
    }
    for (int i = 0; i < flight.part_count; i++)
        take_part(client, &flight.parts[i], response->version,
                  &produced->responses[0].partition_responses[i], asked_ns);
}

static void lost(struct client *client)
{
    struct producer *producer = client->state;
    for (int i = 0; i < producer->count; i++)
        producer->flights[(producer->first + i) % FLIGHTS_MAX]
            .parts[0]
            .partition->topic->in_flight--;
    producer->count = 0;
    producer->asks_topics = false;
}

static bool is_over(struct client *client)
{
    struct producer *producer = client->state;
    return producer && producer->calm_asks == CALM_ASKS && producer->count == 0 &&
           client->connected;
}

const struct client_kind producer_kind = {"producer", init, work, answer, lost, is_over};
