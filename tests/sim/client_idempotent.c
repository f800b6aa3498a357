/* An idempotent producer, as clients are: an id from the broker, a sequence for each partition, up
 * to five batches in flight to each; what is lost with a connection or refused for a time is sent
 * again, in order, until it is acknowledged. Then
 *  1. every record lies at one offset (client_model.c), so nothing was appended twice;
 *  2. acknowledged offsets of a partition rise in the order of sending, and in the end all that was
 *     sent is acknowledged: no gap, nothing overtaken;
 *  3. no id was given twice (simulation.producer_ids);
 *  4. what is acknowledged, to whom sent it first or to a ghost of that (sim_ghost), is committed
 *     (broker_oracles.c). */
#include "base/check.h"
#include "base/memory.h"
#include "codec/crc32c.h"
#include "protocol/batch.h"
#include "protocol/messages.h"
#include "sim/broker_sim.h"
#include "sim/client_batch.h"

enum { STREAMS = 4, WINDOW = 5, FLIGHTS_MAX = 32, BATCH_BYTES_MAX = SIM_GHOST_BYTES_MAX };

struct batch_sent {
    uint8_t *bytes;
    int32_t size, count;
    uint64_t first_uid;
    bool in_flight;
};

struct stream {
    struct model_partition *partition; /* null: free */
    int32_t next_sequence;
    int64_t acknowledged_end;
    struct batch_sent batches[WINDOW]; /* a ring, oldest first */
    int first, count, in_flight;
    bool failed;  /* one of those in flight was refused: all go again when the last is answered */
    bool removed; /* its topic is gone: forgotten when the last is answered */
};

struct idempotent {
    int64_t id; /* -1: none yet */
    int16_t acks;
    struct client_batch_habits habits;
    int64_t pause_ns, topics_ns;
    bool asks_topics, asks_id;
    struct stream streams[STREAMS];
    struct {
        struct stream *stream; /* null: a ghost */
        struct batch_sent *batch;
        uint64_t first_uid; /* of a ghost */
        int32_t count;
    } flights[FLIGHTS_MAX]; /* a ring, oldest first */
    int first, count;
    uint8_t made[CLIENT_BATCH_SPACE];
};

static struct batch_sent *batch_of(struct stream *stream, int place)
{
    return &stream->batches[(stream->first + place) % WINDOW];
}

static void init(struct client *client)
{
    struct idempotent *state = client->state;
    if (!state) {
        static const uint32_t sizes[] = {40, 300, 700};
        state = client->state = memory_zeroed(sizeof *state);
        state->id = -1;
        state->acks = random_once_in(&client->random, 3) ? 1 : -1;
        state->habits = (struct client_batch_habits){
            .value_max = sizes[random_below(&client->random, ARRAY_COUNT(sizes))],
            .records_max = 3,
            .codec = (int)random_between(&client->random, CODEC_NONE, CODECS_END),
        };
        state->pause_ns = random_between(&client->random, 0, 20) * 1000000;
        for (int i = 0; i < STREAMS * WINDOW; i++)
            state->streams[i / WINDOW].batches[i % WINDOW].bytes =
                memory_aligned(16, BATCH_BYTES_MAX);
    }
    state->topics_ns = 0;
    /* by its id: one of the same name may be another topic by the time a batch is sent again */
    session_limit(&client->session, API_PRODUCE, INT16_MAX);
}

/* ---- asking ---- */

static void ask_id(struct client *client)
{
    struct idempotent *state = client->state;
    struct init_producer_id_request request;
    message_set_defaults(&init_producer_id_request_message, &request);
    request.transactional_id = STRING_NULL;
    state->asks_id = client_ask(client, API_INIT_PRODUCER_ID, &request, true);
}

static bool ask(struct client *client, const struct model_partition *partition, struct bytes batch)
{
    struct idempotent *state = client->state;
    struct produce_request request;
    struct produce_request_topic_produce_data data;
    struct produce_request_partition_produce_data part;
    message_set_defaults(&produce_request_message, &request);
    message_set_defaults(&produce_request_topic_produce_data_message, &data);
    message_set_defaults(&produce_request_partition_produce_data_message, &part);
    part.index = partition->index;
    part.records.whole = batch;
    data.name = string_of(partition->topic->name);
    data.topic_id = partition->topic->id;
    data.partition_data = &part;
    data.partition_data_count = 1;
    request.acks = state->acks;
    request.timeout_ms = 20000;
    request.topic_data = &data;
    request.topic_data_count = 1;
    return state->count < FLIGHTS_MAX && client_ask(client, API_PRODUCE, &request, true);
}

static void send_batch(struct client *client, struct stream *stream, struct batch_sent *batch)
{
    struct idempotent *state = client->state;
    struct sim_ghost *ghost = &client->sim->ghost;
    if (!ask(client, stream->partition, (struct bytes){batch->bytes, batch->size}))
        return;
    int place = (state->first + state->count++) % FLIGHTS_MAX;
    state->flights[place].stream = stream;
    state->flights[place].batch = batch;
    batch->in_flight = true;
    stream->in_flight++;
    if (batch != batch_of(stream, 0) || ghost->owner)
        return;
    ghost->owner = client;
    ghost->partition = stream->partition;
    ghost->first_uid = batch->first_uid;
    ghost->size = batch->size;
    ghost->count = batch->count;
    memcpy(ghost->bytes, batch->bytes, (size_t)batch->size);
}

static void send_ghost(struct client *client)
{
    struct idempotent *state = client->state;
    struct sim_ghost *ghost = &client->sim->ghost;
    if (!ghost->owner || ghost->owner == client)
        return;
    if (ask(client, ghost->partition, (struct bytes){ghost->bytes, ghost->size})) {
        int place = (state->first + state->count++) % FLIGHTS_MAX;
        state->flights[place].stream = NULL;
        state->flights[place].first_uid = ghost->first_uid;
        state->flights[place].count = ghost->count;
    }
    ghost->owner = NULL;
}

static void make_batch(struct client *client, struct stream *stream)
{
    struct idempotent *state = client->state;
    struct batch_sent *batch = batch_of(stream, stream->count++);
    struct client_batch made;
    state->habits.version = session_version(&client->session, API_PRODUCE);
    struct bytes bytes =
        client_batch_make(client, stream->partition, &state->habits, state->made, &made);
    check(bytes.size <= BATCH_BYTES_MAX);
    memcpy(batch->bytes, bytes.data, (size_t)bytes.size);
    store_be64(batch->bytes + BATCH_PRODUCER_ID_AT, (uint64_t)state->id);
    store_be16(batch->bytes + BATCH_PRODUCER_EPOCH_AT, 0);
    store_be32(batch->bytes + BATCH_BASE_SEQUENCE_AT, (uint32_t)stream->next_sequence);
    store_be32(batch->bytes + BATCH_CRC_AT, crc32c(0, batch->bytes + BATCH_ATTRIBUTES_AT,
                                                   (size_t)bytes.size - BATCH_ATTRIBUTES_AT));
    batch->in_flight = false;
    batch->size = bytes.size;
    batch->count = made.count;
    batch->first_uid = made.first_uid;
    stream->next_sequence = sequence_after(stream->next_sequence, batch->count);
}

/* Does it take batches of this size, with one replica? */
static bool is_wanted(const struct model_topic *topic)
{
    return topic->deleted_ns == INT64_MAX && topic->rules->min_insync == 1 &&
           topic->rules->size_max_bytes >= BATCH_BYTES_MAX;
}

/* A partition that no stream of this client's writes to. Sequences there begin close to the end, so
 * that they wrap: what a partition does not know of may begin anywhere. */
static void begin_stream(struct client *client, struct stream *stream)
{
    struct idempotent *state = client->state;
    const struct model *model = &client->sim->model;
    if (model->topic_count == 0)
        return;
    struct model_topic *topic =
        model->topics[random_below(&client->random, (uint64_t)model->topic_count)];
    struct model_partition *partition =
        &topic->partitions[random_below(&client->random, (uint64_t)topic->partition_count)];
    for (int i = 0; i < STREAMS; i++)
        if (state->streams[i].partition == partition)
            return;
    if (!is_wanted(topic))
        return;
    stream->partition = partition;
    stream->next_sequence = INT32_MAX - (int32_t)random_below(&client->random, 40);
    stream->acknowledged_end = 0;
}

/* Nothing waits and nothing flies: another id, as a new process would have. */
static bool renew(struct client *client)
{
    struct idempotent *state = client->state;
    for (int i = 0; i < STREAMS; i++)
        if (state->streams[i].count > 0 || state->streams[i].in_flight > 0)
            return false;
    for (int i = 0; i < STREAMS; i++)
        state->streams[i].partition = NULL;
    state->id = -1;
    return true;
}

static void work_stream(struct client *client, struct stream *stream)
{
    if (stream->failed || stream->removed)
        return;
    if (!stream->partition) {
        if (!client->sim->calm)
            begin_stream(client, stream);
        return;
    }
    for (int i = 0; i < stream->count; i++)
        if (!batch_of(stream, i)->in_flight) {
            send_batch(client, stream, batch_of(stream, i));
            return; /* in order: the next one later */
        }
    if (!client->sim->calm && stream->count < WINDOW && random_once_in(&client->random, 2))
        make_batch(client, stream);
}

static void work(struct client *client)
{
    struct idempotent *state = client->state;
    int64_t now_ns = client->core.now.monotonic_ns;
    if (now_ns >= state->topics_ns && !state->asks_topics) {
        state->topics_ns = now_ns + 1000000000;
        state->asks_topics = client_ask_topics(client);
    }
    if (state->id < 0) {
        if (!state->asks_id)
            ask_id(client);
        return;
    }
    send_ghost(client);
    if (now_ns < client->next_ns)
        return;
    client->next_ns = now_ns + random_between(&client->random, 0, state->pause_ns);
    if (!client->sim->calm && random_once_in(&client->random, 200) && renew(client))
        return;
    for (int i = 0; i < STREAMS; i++)
        work_stream(client, &state->streams[i]);
}

/* ---- answers ---- */

static void take_id(struct client *client, const struct init_producer_id_response *answer)
{
    struct idempotent *state = client->state;
    struct simulation *sim = client->sim;
    state->asks_id = false;
    if (answer->error_code == ERROR_COORDINATOR_NOT_AVAILABLE)
        return;
    if (answer->error_code || answer->producer_id < 0 || answer->producer_epoch != 0)
        world_violation(sim->world, "a producer id: %s",
                        error_name((enum error)answer->error_code));
    for (int i = 0; i < sim->producer_id_count; i++)
        if (sim->producer_ids[i] == answer->producer_id)
            world_violation(sim->world, "producer id %lld was given twice",
                            (long long)answer->producer_id);
    if (sim->producer_id_count < SIM_PRODUCER_IDS_MAX)
        sim->producer_ids[sim->producer_id_count++] = answer->producer_id;
    state->id = answer->producer_id;
}

static void acknowledge(struct client *client, uint64_t first_uid, int32_t count,
                        const struct produce_response_partition_produce_response *answer)
{
    const struct model_record *record = &client->sim->model.records[first_uid];
    /* a duplicate is told its original's time even where it is not the leader's (Kafka) */
    int64_t time_ms =
        record->partition->topic->rules->append_time ? answer->log_append_time_ms : -1;
    for (int32_t i = 0; i < count; i++)
        model_acknowledge(&client->sim->model, first_uid + (uint64_t)i, answer->base_offset + i,
                          time_ms);
}

static void take_offset(struct client *client, struct stream *stream,
                        const struct batch_sent *batch,
                        const struct produce_response_partition_produce_response *answer)
{
    int64_t base_offset = answer->base_offset;
    if (base_offset < stream->acknowledged_end)
        world_violation(client->sim->world, "%s-%d: acknowledged at %lld, after one that ends %lld",
                        stream->partition->topic->name, stream->partition->index,
                        (long long)base_offset, (long long)stream->acknowledged_end);
    acknowledge(client, batch->first_uid, batch->count, answer);
    stream->acknowledged_end = base_offset + batch->count;
    stream->first = (stream->first + 1) % WINDOW;
    stream->count--;
}

static void take_error(struct client *client, struct stream *stream, enum error error,
                       int64_t asked_ns)
{
    const struct model_topic *topic = stream->partition->topic;
    switch (error) {
    case ERROR_UNKNOWN_TOPIC_ID:
    case ERROR_UNKNOWN_TOPIC_OR_PARTITION:
    case ERROR_NOT_LEADER_OR_FOLLOWER:
        if (!topic->delete_asked && asked_ns > stream->partition->seen_ns + MODEL_SPREAD_NS)
            world_violation(client->sim->world, "idempotent: %s is gone", topic->name);
        stream->removed = topic->delete_asked;
        stream->failed = true;
        return;
    case ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER:
        if (!stream->failed) /* only behind one that was refused */
            break;
        return;
    case ERROR_KAFKA_STORAGE_ERROR:
    case ERROR_REQUEST_TIMED_OUT:
        stream->failed = true;
        return;
    default:
        break;
    }
    world_violation(client->sim->world, "idempotent: %s-%d answered %s", topic->name,
                    stream->partition->index, error_name(error));
}

/* The last of those in flight was answered, or lost. */
static void settle(struct stream *stream)
{
    if (stream->in_flight > 0)
        return;
    if (stream->removed) {
        stream->partition = NULL;
        stream->count = stream->first = 0;
    }
    stream->failed = stream->removed = false;
    for (int i = 0; i < WINDOW; i++)
        stream->batches[i].in_flight = false;
}

static void answer(struct client *client, const struct session_response *response, int64_t asked_ns)
{
    struct idempotent *state = client->state;
    if (response->api->key == API_METADATA) {
        state->asks_topics = false;
        client_take_topics(client, response, asked_ns);
        return;
    }
    if (response->api->key == API_INIT_PRODUCER_ID) {
        take_id(client, response->message);
        return;
    }
    const struct produce_response *produced = response->message;
    check(response->api->key == API_PRODUCE && state->count > 0);
    struct stream *stream = state->flights[state->first].stream;
    struct batch_sent *batch = state->flights[state->first].batch;
    int flight = state->first;
    state->first = (state->first + 1) % FLIGHTS_MAX;
    state->count--;
    if (stream)
        stream->in_flight--;
    if (produced->responses_count != 1 || produced->responses[0].partition_responses_count != 1) {
        world_violation(client->sim->world, "idempotent: not what was asked is answered");
        return;
    }
    const struct produce_response_partition_produce_response *part =
        produced->responses[0].partition_responses;
    if (!stream) {
        if (part->error_code == ERROR_NONE)
            acknowledge(client, state->flights[flight].first_uid, state->flights[flight].count,
                        part);
        return; /* refused: too late by now */
    }
    if (part->error_code != ERROR_NONE)
        take_error(client, stream, (enum error)part->error_code, asked_ns);
    else if (batch == batch_of(stream, 0))
        take_offset(client, stream, batch, part);
    else if (!stream->failed)
        world_violation(client->sim->world, "%s-%d: a later batch was answered before an earlier",
                        stream->partition->topic->name, stream->partition->index);
    if (stream->in_flight == 0)
        settle(stream);
}

static void lost(struct client *client)
{
    struct idempotent *state = client->state;
    state->count = 0;
    state->asks_topics = state->asks_id = false;
    for (int i = 0; i < STREAMS; i++) {
        state->streams[i].in_flight = 0;
        settle(&state->streams[i]);
    }
}

static bool is_over(struct client *client)
{
    const struct idempotent *state = client->state;
    if (!state)
        return true;
    for (int i = 0; i < STREAMS; i++)
        if ((state->streams[i].count > 0 || state->streams[i].in_flight > 0) &&
            !state->streams[i].partition->rotten) /* it may be offline for good */
            return false;
    return client->connected;
}

const struct client_kind idempotent_kind = {"idempotent", init, work, answer, lost, is_over};
