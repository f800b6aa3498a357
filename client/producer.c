#include "producer.h"
#include "base/check.h"
#include "base/memory.h"

enum { SLOT_BYTES_MIN = 8 << 10, KEPT_BYTES = 1 << 20, COMPRESS_BYTES = 1 << 30 };

/* A batch of one partition that is being gathered or sent. */
struct producer_slot {
    struct batch_builder builder; /* count 0: empty */
    bool is_ended;                /* its header is written: nothing may be added */
};

enum error producer_open(struct producer *producer, struct client *client, const char *topic,
                         struct producer_settings settings)
{
    check(settings.batch_bytes > BATCH_RECORDS_AT && settings.acks >= -1 && settings.acks <= 1);
    *producer = (struct producer){.client = client, .settings = settings};
    sticky_init(&producer->sticky, settings.seed);
    arena_init(&producer->arena, COMPRESS_BYTES);
    const struct metadata_topic *found;
    enum error error = client_topic(client, topic, true, &found);
    if (error)
        return error;
    size_t size = strlen(topic) + 1;
    producer->topic = memory_zeroed(size);
    memcpy(producer->topic, topic, size);
    producer->partition_count = found->partition_count;
    producer->slots = memory_zeroed((size_t)found->partition_count * sizeof *producer->slots);
    return ERROR_NONE;
}

void producer_close(struct producer *producer)
{
    for (int32_t i = 0; producer->slots && i < producer->partition_count; i++)
        memory_free(producer->slots[i].builder.data);
    memory_free(producer->slots);
    memory_free(producer->topic);
    arena_done(&producer->arena);
    producer->slots = NULL;
    producer->topic = NULL;
}

static void slot_clear(struct producer *producer, struct producer_slot *slot)
{
    producer->held_bytes -= slot->builder.size_bytes;
    batch_builder_init(&slot->builder, slot->builder.data, slot->builder.capacity);
    slot->builder.count = 0;
    slot->is_ended = false;
}

/* Adds a record to a slot, growing its memory up to the limit of a batch; an empty slot takes any
 * record. NO_MEMORY: the batch is full. */
static enum error slot_add(struct producer *producer, struct producer_slot *slot,
                           const struct record *record)
{
    struct batch_builder *builder = &slot->builder;
    if (!builder->data)
        batch_builder_init(builder, memory_aligned(16, SLOT_BYTES_MIN), SLOT_BYTES_MIN);
    size_t before = builder->count ? builder->size_bytes : 0;
    size_t needed = builder->size_bytes + record_size(builder, record);
    size_t limit = (size_t)producer->settings.batch_bytes;
    if (builder->count && needed > limit)
        return ERROR_NO_MEMORY;
    if (needed > builder->capacity) {
        size_t twice = 2 * builder->capacity < limit ? 2 * builder->capacity : limit;
        builder->capacity = needed > twice ? needed : twice;
        builder->data = memory_resized(builder->data, builder->capacity);
    }
    enum error error = batch_builder_add(builder, record);
    if (!error)
        producer->held_bytes += builder->size_bytes - before;
    return error;
}

enum error producer_add(struct producer *producer, const struct record *record, int32_t partition)
{
    int32_t count = producer->partition_count;
    if (partition >= count)
        return client_fail(producer->client, ERROR_UNKNOWN_TOPIC_OR_PARTITION,
                           "topic '%s' has partitions 0 to %d, not %d", producer->topic, count - 1,
                           partition);
    bool is_sticky = partition < 0 && record->key.size < 0;
    if (partition < 0)
        partition = is_sticky ? sticky_partition(&producer->sticky, count)
                              : partition_of_key(record->key, count);
    enum error error = slot_add(producer, &producer->slots[partition], record);
    if (error == ERROR_NO_MEMORY) {
        if (is_sticky) {
            sticky_change(&producer->sticky, count);
            partition = sticky_partition(&producer->sticky, count);
        }
        error = producer_flush(producer);
        if (!error)
            error = slot_add(producer, &producer->slots[partition], record);
    }
    if (!error && producer->held_bytes >= (size_t)producer->settings.buffer_bytes)
        error = producer_flush(producer);
    return error;
}

/* One request to one leader, with every batch that it leads. */
struct round {
    int32_t node;
    int32_t count;
    struct produce_request_partition_produce_data *data;
};

static enum error round_send(struct producer *producer, struct round *round,
                             const struct metadata_topic *topic)
{
    struct produce_request_topic_produce_data topic_data;
    message_set_defaults(&produce_request_topic_produce_data_message, &topic_data);
    topic_data.name = string_of(producer->topic);
    topic_data.topic_id = topic->id;
    topic_data.partition_data = round->data;
    topic_data.partition_data_count = round->count;
    struct produce_request request;
    message_set_defaults(&produce_request_message, &request);
    request.acks = producer->settings.acks;
    request.timeout_ms = producer->client->settings.timeout_ms;
    request.topic_data = &topic_data;
    request.topic_data_count = 1;
    struct driver *driver;
    enum error error = client_driver(producer->client, round->node, &driver);
    if (error)
        return error;
    int64_t deadline_ms = driver_now_ms() + producer->client->settings.timeout_ms;
    error = driver_send(driver, API_PRODUCE, &request, NULL, deadline_ms);
    return error ? client_drop(producer->client, round->node, error) : ERROR_NONE;
}

static void take_acknowledged(struct producer *producer, int32_t partition)
{
    struct producer_slot *slot = &producer->slots[partition];
    producer->records_acknowledged += (uint64_t)slot->builder.count;
    slot_clear(producer, slot);
}

/* What the broker said of one partition. NONE also for what may be tried again. */
static enum error take_answer(struct producer *producer,
                              const struct produce_response_partition_produce_response *answer)
{
    int32_t partition = answer->index;
    enum error error = error_from_wire(answer->error_code);
    if (partition < 0 || partition >= producer->partition_count ||
        !producer->slots[partition].is_ended)
        return client_fail(producer->client, ERROR_MALFORMED,
                           "the broker answered for partition %d, which was not asked", partition);
    if (!error) {
        take_acknowledged(producer, partition);
        return ERROR_NONE;
    }
    bool has_text = answer->error_message.size > 0;
    client_fail(producer->client, error, "%s-%d refused the records: %s%s%.*s", producer->topic,
                partition, error_name(error), has_text ? ": " : "",
                has_text ? (int)answer->error_message.size : 0,
                has_text ? answer->error_message.data : "");
    return error_is_retriable(error) ? ERROR_NONE : error;
}

static enum error round_receive(struct producer *producer, const struct round *round)
{
    if (producer->settings.acks == 0) {
        for (int32_t i = 0; i < round->count; i++)
            take_acknowledged(producer, round->data[i].index);
        return ERROR_NONE;
    }
    struct driver *driver;
    enum error error = client_driver(producer->client, round->node, &driver);
    if (error)
        return error;
    struct session_response answer;
    int64_t deadline_ms = driver_now_ms() + 2 * (int64_t)producer->client->settings.timeout_ms;
    error = driver_receive(driver, deadline_ms, &answer);
    if (error)
        return client_drop(producer->client, round->node, error);
    const struct produce_response *response = answer.message;
    for (int32_t t = 0; t < response->responses_count && !error; t++)
        for (int32_t i = 0; i < response->responses[t].partition_responses_count && !error; i++)
            error = take_answer(producer, &response->responses[t].partition_responses[i]);
    return error;
}

static int32_t leader_of(const struct metadata_topic *topic, int32_t partition)
{
    return partition < topic->partition_count ? topic->partitions[partition].leader : -1;
}

/* Writes the header of a batch, and compresses it if that makes it smaller. */
static void slot_end(struct producer *producer, struct producer_slot *slot)
{
    struct batch_builder *builder = &slot->builder;
    batch_builder_end(builder, &BATCH_FIELDS_PLAIN);
    slot->is_ended = true;
    if (producer->settings.codec == CODEC_NONE)
        return;
    struct batch batch;
    struct bytes smaller;
    enum error error = batch_view(builder->data, builder->size_bytes, &batch);
    check(!error);
    arena_reset(&producer->arena, KEPT_BYTES);
    if (batch_recode(&batch, producer->settings.codec, codec_usual_level(producer->settings.codec),
                     &producer->arena, &smaller) ||
        (size_t)smaller.size >= builder->size_bytes)
        return;
    producer->held_bytes -= builder->size_bytes - (size_t)smaller.size;
    memcpy(builder->data, smaller.data, (size_t)smaller.size);
    builder->size_bytes = (size_t)smaller.size;
}

/* Gathers the batches that `node` leads; returns their number. */
static int32_t gather(struct producer *producer, const struct metadata_topic *topic, int32_t node,
                      struct produce_request_partition_produce_data *data)
{
    int32_t count = 0;
    for (int32_t i = 0; i < producer->partition_count; i++) {
        struct producer_slot *slot = &producer->slots[i];
        if (slot->builder.count == 0 || leader_of(topic, i) != node)
            continue;
        if (!slot->is_ended)
            slot_end(producer, slot);
        message_set_defaults(&produce_request_partition_produce_data_message, &data[count]);
        data[count].index = i;
        data[count].records.whole =
            (struct bytes){slot->builder.data, (int32_t)slot->builder.size_bytes};
        count++;
    }
    return count;
}

/* One try for all that waits. NONE if what is left may be tried again, too. */
static enum error try_once(struct producer *producer)
{
    const struct metadata *metadata = &producer->client->metadata;
    const struct metadata_topic *topic = metadata_topic_named(metadata, string_of(producer->topic));
    check(topic != NULL);
    int32_t nodes = metadata->node_count;
    struct round *rounds = memory_zeroed((size_t)nodes * sizeof *rounds);
    enum error error = ERROR_NONE;
    for (int32_t i = 0; i < nodes; i++) {
        rounds[i].node = metadata->nodes[i].id;
        rounds[i].data = memory_zeroed((size_t)producer->partition_count * sizeof *rounds[i].data);
        rounds[i].count = error ? 0 : gather(producer, topic, rounds[i].node, rounds[i].data);
        enum error sent = rounds[i].count ? round_send(producer, &rounds[i], topic) : ERROR_NONE;
        if (sent)
            rounds[i].count = 0;
        error = sent && !client_may_reconnect(sent) ? sent : error;
    }
    /* Every answer is taken, even after an error: else the next round would find it. */
    for (int32_t i = 0; i < nodes; i++) {
        enum error received = rounds[i].count ? round_receive(producer, &rounds[i]) : ERROR_NONE;
        error = received && !client_may_reconnect(received) && !error ? received : error;
        memory_free(rounds[i].data);
    }
    memory_free(rounds);
    return error;
}

enum error producer_flush(struct producer *producer)
{
    enum error error = ERROR_NONE;
    for (int32_t attempt = 0; producer->held_bytes > 0; attempt++) {
        if (attempt > 0) {
            if (attempt > producer->settings.retries)
                return ERROR_TIMED_OUT; /* the reason tells of the last try */
            client_pause(producer->client);
            char last[CLIENT_REASON_BYTES];
            memcpy(last, producer->client->reason, sizeof last);
            error = client_refresh(producer->client, producer->topic, false);
            if (!error)
                memcpy(producer->client->reason, last, sizeof last);
            if (client_may_reconnect(error))
                continue;
            if (error ||
                !metadata_topic_named(&producer->client->metadata, string_of(producer->topic)))
                return error ? error : ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        }
        error = try_once(producer);
        if (error)
            return error;
    }
    return ERROR_NONE;
}
