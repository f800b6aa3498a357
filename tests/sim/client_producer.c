/* A producer: batches of records with unique ids to one or several partitions of the topics it has
 * heard of, several requests in flight. What is not acknowledged is given up, not sent again. */
#include "base/check.h"
#include "base/memory.h"
#include "protocol/batch.h"
#include "protocol/messages.h"
#include "sim/broker_sim.h"

enum { PARTS_MAX = 4, BATCH_BYTES_MAX = 160 << 10, FLIGHTS_MAX = 16 };

struct producer_flight {
    int part_count;
    struct producer_part {
        struct model_partition *partition;
        uint64_t first_uid;
        int32_t count;
    } parts[PARTS_MAX];
};

struct producer {
    int16_t acks;
    bool by_name; /* an old client: topics by name, so only those that stay */
    int pipeline;
    uint32_t value_max;
    int32_t records_max;
    int64_t pause_ns;                            /* at most, between two requests */
    int64_t topics_ns;                           /* when to ask for topics again */
    struct producer_flight flights[FLIGHTS_MAX]; /* a ring, oldest first */
    int first, count;
    bool asks_topics;
    uint8_t *bytes[PARTS_MAX];
    uint8_t value[64 << 10];
};

static void init(struct client *client)
{
    struct producer *producer = client->state;
    if (!producer) {
        static const int16_t acks[] = {-1, -1, 1, 1, 0};
        producer = client->state = memory_zeroed(sizeof *producer);
        producer->acks = acks[random_below(&client->random, 5)];
        producer->by_name = random_once_in(&client->random, 3);
        producer->pipeline = (int)random_between(&client->random, 1, 8);
        static const uint32_t sizes[] = {40, 300, 300, 2000, 12000, 60000};
        producer->value_max = sizes[random_below(&client->random, 6)];
        producer->records_max = (int32_t)random_between(&client->random, 1, 12);
        producer->pause_ns = random_between(&client->random, 0, 30) * 1000000;
        for (int i = 0; i < PARTS_MAX; i++)
            producer->bytes[i] = memory_aligned(16, BATCH_BYTES_MAX);
    }
    producer->count = 0;
    producer->topics_ns = 0;
    if (producer->by_name)
        session_limit(&client->session, API_PRODUCE,
                      (int16_t)random_between(&client->random, 3, 12));
}

static bool is_wanted(const struct producer *producer, const struct model_topic *topic)
{
    return topic->deleted_ns == INT64_MAX &&
           (!producer->by_name || strncmp(topic->name, "passing", 7) != 0);
}

static struct model_topic *pick_topic(struct client *client)
{
    const struct model *model = &client->sim->model;
    for (int i = 0; i < 8 && model->topic_count > 0; i++) {
        struct model_topic *topic =
            model->topics[random_below(&client->random, (uint64_t)model->topic_count)];
        if (is_wanted(client->state, topic))
            return topic;
    }
    return NULL;
}

/* A batch of new records for the partition; its bytes. */
static struct bytes make_batch(struct client *client, struct producer_part *part, uint8_t *bytes)
{
    struct producer *producer = client->state;
    struct model *model = &client->sim->model;
    struct batch_builder builder;
    batch_builder_init(&builder, bytes, BATCH_BYTES_MAX);
    int32_t wanted = (int32_t)random_between(&client->random, 1, producer->records_max);
    part->count = 0;
    while (part->count < wanted) {
        uint32_t size =
            (uint32_t)random_between(&client->random, MODEL_VALUE_MIN, producer->value_max);
        if (builder.size_bytes + size + 64 > BATCH_BYTES_MAX)
            break;
        uint64_t uid = model_send(model, part->partition, size);
        model_value(uid, producer->value, size);
        struct record record = {.timestamp = client->core.now.wall_ms,
                                .key = {NULL, -1},
                                .value = {producer->value, (int32_t)size}};
        enum error error = batch_builder_add(&builder, &record);
        check(error == ERROR_NONE);
        if (part->count++ == 0)
            part->first_uid = uid;
    }
    struct batch_fields fields = BATCH_FIELDS_PLAIN;
    batch_builder_end(&builder, &fields);
    return (struct bytes){bytes, (int32_t)builder.size_bytes};
}

static void produce(struct client *client, struct model_topic *topic)
{
    struct producer *producer = client->state;
    struct producer_flight flight = {0};
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
        flight.parts[i].partition = &topic->partitions[first + i];
        message_set_defaults(&produce_request_partition_produce_data_message, &parts[i]);
        parts[i].index = first + i;
        parts[i].records.whole = make_batch(client, &flight.parts[i], producer->bytes[i]);
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
    if (producer->acks != 0)
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
    if (client->sim->calm || now_ns < client->next_ns || producer->count >= producer->pipeline)
        return;
    client->next_ns = now_ns + random_between(&client->random, 0, producer->pause_ns);
    struct model_topic *topic = pick_topic(client);
    if (topic)
        produce(client, topic);
}

static void take_part(struct client *client, const struct producer_part *part,
                      const struct produce_response_partition_produce_response *answer,
                      int64_t asked_ns)
{
    if (answer->index != part->partition->index) {
        world_violation(client->sim->world, "produce: partition %d answered, %d was asked",
                        answer->index, part->partition->index);
        return;
    }
    switch ((enum error)answer->error_code) {
    case ERROR_NONE:
        for (int32_t i = 0; i < part->count; i++)
            model_acknowledge(&client->sim->model, part->first_uid + (uint64_t)i,
                              answer->base_offset + i);
        break;
    case ERROR_UNKNOWN_TOPIC_ID:
    case ERROR_UNKNOWN_TOPIC_OR_PARTITION:
    case ERROR_NOT_LEADER_OR_FOLLOWER:
        if (!part->partition->topic->delete_asked &&
            asked_ns > part->partition->topic->seen_ns + MODEL_SPREAD_NS)
            world_violation(client->sim->world, "produce: %s-%d is gone",
                            part->partition->topic->name, part->partition->index);
        break;
    case ERROR_KAFKA_STORAGE_ERROR:
    case ERROR_MESSAGE_TOO_LARGE:
    case ERROR_RECORD_LIST_TOO_LARGE:
    case ERROR_REQUEST_TIMED_OUT:
        break;
    default:
        world_violation(client->sim->world, "produce: %s-%d answered %s",
                        part->partition->topic->name, part->partition->index,
                        error_name((enum error)answer->error_code));
    }
}

static void answer(struct client *client, const struct session_response *response, int64_t asked_ns)
{
    struct producer *producer = client->state;
    if (response->api->key == API_METADATA) {
        producer->asks_topics = false;
        client_take_topics(client, response->message, asked_ns);
        return;
    }
    const struct produce_response *produced = response->message;
    check(response->api->key == API_PRODUCE && producer->count > 0);
    struct producer_flight flight = producer->flights[producer->first];
    producer->first = (producer->first + 1) % FLIGHTS_MAX;
    producer->count--;
    if (produced->responses_count != 1 ||
        produced->responses[0].partition_responses_count != flight.part_count) {
        world_violation(client->sim->world, "produce: not what was asked is answered");
        return;
    }
    for (int i = 0; i < flight.part_count; i++)
        take_part(client, &flight.parts[i], &produced->responses[0].partition_responses[i],
                  asked_ns);
}

static void lost(struct client *client)
{
    struct producer *producer = client->state;
    producer->count = 0;
    producer->asks_topics = false;
}

static bool is_over(struct client *client)
{
    struct producer *producer = client->state;
    return !producer || (producer->count == 0 && client->connected);
}

const struct client_kind producer_kind = {"producer", init, work, answer, lost, is_over};
