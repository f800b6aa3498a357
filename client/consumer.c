#include "consumer.h"
#include "base/check.h"
#include "base/memory.h"

enum { KEPT_BYTES = 1 << 20 };
enum { TIMESTAMP_LATEST = -1, TIMESTAMP_EARLIEST = -2 };

enum error consumer_open(struct consumer *consumer, struct client *client, const char *topic,
                         int32_t partition, struct consumer_settings settings)
{
    *consumer = (struct consumer){.client = client, .settings = settings};
    arena_init(&consumer->arena, settings.decompress_bytes);
    const struct metadata_topic *found;
    enum error error = client_topic(client, topic, false, &found);
    if (error)
        return error;
    if (partition >= found->partition_count)
        return client_fail(client, ERROR_UNKNOWN_TOPIC_OR_PARTITION,
                           "topic '%s' has partitions 0 to %d, not %d", topic,
                           found->partition_count - 1, partition);
    size_t size = strlen(topic) + 1;
    consumer->topic = memory_zeroed(size);
    memcpy(consumer->topic, topic, size);
    consumer->partition_count = partition < 0 ? found->partition_count : 1;
    size = (size_t)consumer->partition_count;
    consumer->partitions = memory_zeroed(size * sizeof *consumer->partitions);
    consumer->waiting_nodes = memory_zeroed(size * sizeof *consumer->waiting_nodes);
    for (int32_t i = 0; i < consumer->partition_count; i++) {
        consumer->partitions[i].index = partition < 0 ? i : partition;
        consumer->partitions[i].high_watermark = -1;
    }
    return ERROR_NONE;
}

void consumer_close(struct consumer *consumer)
{
    memory_free(consumer->topic);
    memory_free(consumer->partitions);
    memory_free(consumer->waiting_nodes);
    arena_done(&consumer->arena);
    consumer->topic = NULL;
    consumer->partitions = NULL;
    consumer->waiting_nodes = NULL;
}

static const struct metadata_topic *topic_of(const struct consumer *consumer)
{
    return metadata_topic_named(&consumer->client->metadata, string_of(consumer->topic));
}

/* The node that leads the partition; -1 if none is known. */
static int32_t leader_of(const struct consumer *consumer,
                         const struct consumer_partition *partition)
{
    const struct metadata_topic *topic = topic_of(consumer);
    if (!topic || partition->index >= topic->partition_count)
        return -1;
    int32_t leader = topic->partitions[partition->index].leader;
    return metadata_node_of(&consumer->client->metadata, leader) ? leader : -1;
}

static struct consumer_partition *partition_of(struct consumer *consumer, int32_t index)
{
    if (consumer->partition_count == 1)
        return consumer->partitions[0].index == index ? consumer->partitions : NULL;
    return index >= 0 && index < consumer->partition_count ? &consumer->partitions[index] : NULL;
}

/* --- where to begin --------------------------------------------------------------------------- */

static enum error list_node(struct consumer *consumer, int32_t node, int64_t timestamp)
{
    struct list_offsets_request_list_offsets_topic topic;
    message_set_defaults(&list_offsets_request_list_offsets_topic_message, &topic);
    topic.name = string_of(consumer->topic);
    size_t size = (size_t)consumer->partition_count * sizeof *topic.partitions;
    topic.partitions = memory_zeroed(size);
    for (int32_t i = 0; i < consumer->partition_count; i++) {
        if (leader_of(consumer, &consumer->partitions[i]) != node)
            continue;
        struct list_offsets_request_list_offsets_partition *partition =
            &topic.partitions[topic.partitions_count++];
        message_set_defaults(&list_offsets_request_list_offsets_partition_message, partition);
        partition->partition_index = consumer->partitions[i].index;
        partition->timestamp = timestamp;
    }
    struct list_offsets_request request;
    message_set_defaults(&list_offsets_request_message, &request);
    request.replica_id = -1;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = consumer->client->settings.timeout_ms;
    const void *answer = NULL;
    enum error error = ERROR_NONE;
    if (topic.partitions_count)
        error = client_call(consumer->client, node, API_LIST_OFFSETS, &request, &answer);
    memory_free(topic.partitions);
    const struct list_offsets_response *response = answer;
    for (int32_t t = 0; !error && response && t < response->topics_count; t++)
        for (int32_t i = 0; !error && i < response->topics[t].partitions_count; i++) {
            const struct list_offsets_response_list_offsets_partition_response *found =
                &response->topics[t].partitions[i];
            struct consumer_partition *partition = partition_of(consumer, found->partition_index);
            error = error_from_wire(found->error_code);
            if (error)
                client_fail(consumer->client, error, "%s-%d did not tell its offsets: %s",
                            consumer->topic, found->partition_index, error_name(error));
            else if (partition)
                partition->next_offset = found->offset;
        }
    return error;
}

/* Sets next_offset of every partition to what the brokers have for `timestamp`, -1: nothing. */
static enum error list_offsets(struct consumer *consumer, int64_t timestamp)
{
    struct client *client = consumer->client;
    int64_t deadline_ms = driver_now_ms() + client->settings.timeout_ms;
    for (;;) {
        const struct metadata *metadata = &client->metadata;
        enum error error = ERROR_NONE;
        for (int32_t i = 0; i < metadata->node_count && !error; i++)
            error = list_node(consumer, metadata->nodes[i].id, timestamp);
        bool may_retry = error_is_retriable(error) || client_may_reconnect(error);
        if (!may_retry || driver_now_ms() >= deadline_ms)
            return error;
        client_pause(client);
        const struct metadata_topic *topic;
        error = client_topic(client, consumer->topic, false, &topic);
        if (error)
            return error;
    }
}

enum error consumer_start(struct consumer *consumer, struct consumer_start start)
{
    struct consumer_partition *partitions = consumer->partitions;
    int32_t count = consumer->partition_count;
    for (int32_t i = 0; i < count; i++)
        partitions[i].next_offset = start.value;
    if (start.from == CONSUMER_OFFSET)
        return ERROR_NONE;
    if (start.from == CONSUMER_BEGINNING)
        return list_offsets(consumer, TIMESTAMP_EARLIEST);
    enum error error = list_offsets(consumer, TIMESTAMP_LATEST);
    if (error || start.from == CONSUMER_END)
        return error;
    for (int32_t i = 0; i < count; i++)
        partitions[i].back = partitions[i].next_offset;
    error = list_offsets(consumer, start.from == CONSUMER_TIME ? start.value : TIMESTAMP_EARLIEST);
    for (int32_t i = 0; i < count; i++) {
        int64_t found = partitions[i].next_offset, end = partitions[i].back;
        if (start.from == CONSUMER_TIME)
            partitions[i].next_offset = found < 0 ? end : found;
        else
            partitions[i].next_offset = max_i64(found, end - start.value);
    }
    return error;
}

/* --- fetching --------------------------------------------------------------------------------- */

static enum consumer_event failed(struct consumer *consumer, enum error error)
{
    consumer->error = error;
    return CONSUMER_FAILED;
}

static enum error fetch_node(struct consumer *consumer, int32_t node)
{
    struct fetch_request_fetch_topic topic;
    message_set_defaults(&fetch_request_fetch_topic_message, &topic);
    topic.topic = string_of(consumer->topic);
    topic.topic_id = topic_of(consumer)->id;
    size_t size = (size_t)consumer->partition_count * sizeof *topic.partitions;
    topic.partitions = memory_zeroed(size);
    for (int32_t i = 0; i < consumer->partition_count; i++) {
        if (leader_of(consumer, &consumer->partitions[i]) != node ||
            consumer->partitions[i].is_stopped)
            continue;
        struct fetch_request_fetch_partition *partition =
            &topic.partitions[topic.partitions_count++];
        message_set_defaults(&fetch_request_fetch_partition_message, partition);
        partition->partition = consumer->partitions[i].index;
        partition->fetch_offset = consumer->partitions[i].next_offset;
        partition->partition_max_bytes = consumer->settings.partition_bytes;
    }
    struct fetch_request request;
    message_set_defaults(&fetch_request_message, &request);
    request.max_wait_ms = consumer->settings.max_wait_ms;
    request.min_bytes = 1;
    request.max_bytes = consumer->settings.fetch_bytes;
    request.topics = &topic;
    request.topics_count = 1;
    struct driver *driver;
    enum error error = client_driver(consumer->client, node, &driver);
    if (!error) {
        int64_t deadline_ms = driver_now_ms() + consumer->client->settings.timeout_ms;
        error = driver_send(driver, API_FETCH, &request, NULL, deadline_ms);
        if (error)
            client_drop(consumer->client, node, error);
    }
    memory_free(topic.partitions);
    return error;
}

/* Sends a fetch to every leader. */
static enum error begin_round(struct consumer *consumer)
{
    consumer->waiting_count = consumer->waiting_first = 0;
    consumer->is_round_empty = true;
    enum error error = ERROR_NONE;
    for (int32_t i = 0; i < consumer->partition_count; i++) {
        if (consumer->partitions[i].is_stopped)
            continue;
        int32_t node = leader_of(consumer, &consumer->partitions[i]);
        bool is_known = node < 0;
        if (node < 0)
            error = ERROR_LEADER_NOT_AVAILABLE;
        for (int32_t w = 0; w < consumer->waiting_count; w++)
            is_known |= consumer->waiting_nodes[w] == node;
        if (is_known)
            continue;
        enum error sent = fetch_node(consumer, node);
        if (sent)
            error = sent;
        else
            consumer->waiting_nodes[consumer->waiting_count++] = node;
    }
    return consumer->waiting_count ? ERROR_NONE : error;
}

static enum error receive_next(struct consumer *consumer)
{
    int32_t node = consumer->waiting_nodes[consumer->waiting_first++];
    struct driver *driver;
    enum error error = client_driver(consumer->client, node, &driver);
    if (error)
        return error;
    struct session_response answer;
    int64_t deadline_ms =
        driver_now_ms() + consumer->settings.max_wait_ms + consumer->client->settings.timeout_ms;
    error = driver_receive(driver, deadline_ms, &answer);
    if (error)
        return client_drop(consumer->client, node, error);
    consumer->response = answer.message;
    consumer->topic_at = 0;
    consumer->partition_at = 0;
    error = error_from_wire(consumer->response->error_code);
    if (error)
        client_fail(consumer->client, error, "the broker refused the fetch: %s", error_name(error));
    return error;
}

/* Begins with the records that an answer has for one partition. */
static enum error begin_partition(struct consumer *consumer,
                                  const struct fetch_response_partition_data *data)
{
    struct consumer_partition *partition = partition_of(consumer, data->partition_index);
    enum error error = error_from_wire(data->error_code);
    if (!partition)
        return client_fail(consumer->client, ERROR_MALFORMED,
                           "the broker sent partition %d, which was not asked for",
                           data->partition_index);
    if (error == ERROR_OFFSET_OUT_OF_RANGE && data->log_start_offset < 0)
        return client_fail(consumer->client, error, "%s-%d has no offset %lld; try -o beginning",
                           consumer->topic, partition->index, (long long)partition->next_offset);
    if (error == ERROR_OFFSET_OUT_OF_RANGE)
        return client_fail(consumer->client, error,
                           "%s-%d has no offset %lld; it begins at %lld and ends before %lld",
                           consumer->topic, partition->index, (long long)partition->next_offset,
                           (long long)data->log_start_offset, (long long)data->high_watermark);
    if (error)
        return client_fail(consumer->client, error, "%s-%d can't be read: %s", consumer->topic,
                           partition->index, error_name(error));
    partition->high_watermark = data->high_watermark;
    consumer->reading = partition;
    consumer->left = partition->is_stopped ? BYTES_NULL : data->records.whole;
    return ERROR_NONE;
}

/* Begins with the next batch of `left`; a batch that was cut by the limit of the fetch ends it. */
static enum error begin_batch(struct consumer *consumer)
{
    struct consumer_partition *partition = consumer->reading;
    struct batch *batch = &consumer->batch;
    enum error error = batch_view(consumer->left.data, (size_t)consumer->left.size, batch);
    if (error == ERROR_TRUNCATED) {
        consumer->left.size = 0;
        return ERROR_NONE;
    }
    if (!error)
        error = batch_check_crc(batch);
    if (!error) {
        arena_reset(&consumer->arena, KEPT_BYTES);
        error = batch_iterate(batch, &consumer->arena, &consumer->iterator);
    }
    if (error)
        return client_fail(consumer->client, error, "%s-%d: the batch at offset %lld is bad: %s",
                           consumer->topic, partition->index, (long long)partition->next_offset,
                           error_text(error));
    consumer->left.data += batch->whole.size;
    consumer->left.size -= batch->whole.size;
    consumer->has_batch = !(batch->attributes & BATCH_CONTROL);
    if (!consumer->has_batch)
        partition->next_offset = max_i64(partition->next_offset, batch_last_offset(batch) + 1);
    return ERROR_NONE;
}

/* Leaves the batch that was read to its end. */
static enum error end_batch(struct consumer *consumer)
{
    struct consumer_partition *partition = consumer->reading;
    int64_t next_offset = batch_last_offset(&consumer->batch) + 1;
    consumer->has_batch = false;
    partition->next_offset = max_i64(partition->next_offset, next_offset);
    enum error error = consumer->iterator.reader.error;
    if (error)
        client_fail(consumer->client, error, "%s-%d: a record before offset %lld is bad",
                    consumer->topic, partition->index, (long long)next_offset);
    return error;
}

/* The next record of the batch being read; false at its end, which may be an error. After its last
 * record the batch is left at once, so that consumer_is_at_end tells the truth. */
static bool next_of_batch(struct consumer *consumer, struct record *record, enum error *ret_error)
{
    struct consumer_partition *partition = consumer->reading;
    while (batch_next(&consumer->iterator, record)) {
        if (record->offset < partition->next_offset)
            continue; /* a fetch from within a batch brings all of it */
        partition->next_offset = record->offset + 1;
        struct record none;
        if (consumer->iterator.index == consumer->batch.count &&
            !batch_next(&consumer->iterator, &none) && !consumer->iterator.reader.error)
            *ret_error = end_batch(consumer);
        return true;
    }
    *ret_error = end_batch(consumer);
    return false;
}

/* Begins with the next partition of the answer being read; at its end there is no answer. */
static enum error advance(struct consumer *consumer)
{
    const struct fetch_response *response = consumer->response;
    while (consumer->topic_at < response->responses_count) {
        const struct fetch_response_fetchable_topic_response *topic =
            &response->responses[consumer->topic_at];
        if (consumer->partition_at < topic->partitions_count)
            return begin_partition(consumer, &topic->partitions[consumer->partition_at++]);
        consumer->topic_at++;
        consumer->partition_at = 0;
    }
    consumer->response = NULL;
    return ERROR_NONE;
}

/* Drops the round; answers still under way would belong to no request of the next. */
static enum error begin_again(struct consumer *consumer, enum error why)
{
    if (!error_is_retriable(why) && !client_may_reconnect(why))
        return why;
    if (++consumer->failed_rounds > consumer->settings.retries)
        return why;
    consumer->response = NULL;
    consumer->left.size = 0;
    while (consumer->waiting_first < consumer->waiting_count) {
        enum error error = receive_next(consumer); /* its connection is dropped if this fails */
        consumer->response = NULL;
        if (error && !error_is_retriable(error) && !client_may_reconnect(error))
            return error;
    }
    consumer->waiting_count = consumer->waiting_first = 0;
    client_pause(consumer->client);
    const struct metadata_topic *topic;
    return client_topic(consumer->client, consumer->topic, false, &topic);
}

enum consumer_event consumer_next(struct consumer *consumer, struct record *ret_record,
                                  int32_t *ret_partition)
{
    check(!consumer_is_stopped(consumer));
    if (consumer->error)
        return CONSUMER_FAILED;
    for (;;) {
        enum error error = ERROR_NONE;
        if (consumer->has_batch) {
            if (next_of_batch(consumer, ret_record, &error)) {
                consumer->is_round_empty = false;
                consumer->failed_rounds = 0;
                *ret_partition = consumer->reading->index;
                return CONSUMER_RECORD;
            }
            if (error)
                return failed(consumer, error);
        } else if (consumer->left.size > 0) {
            error = begin_batch(consumer);
            if (error)
                return failed(consumer, error);
        } else if (consumer->response) {
            error = advance(consumer);
        } else if (consumer->waiting_first < consumer->waiting_count) {
            error = receive_next(consumer);
        } else if (consumer->waiting_count &&
                   (consumer->is_round_empty || consumer_is_at_end(consumer))) {
            consumer->waiting_count = consumer->waiting_first = 0;
            consumer->failed_rounds = 0;
            return CONSUMER_IDLE;
        } else {
            error = begin_round(consumer);
        }
        if (error)
            error = begin_again(consumer, error);
        if (error)
            return failed(consumer, error);
    }
}

void consumer_stop(struct consumer *consumer, int32_t partition)
{
    struct consumer_partition *stopped = partition_of(consumer, partition);
    check(stopped != NULL);
    stopped->is_stopped = true;
    if (consumer->reading == stopped) {
        consumer->has_batch = false;
        consumer->left = BYTES_NULL;
    }
}

bool consumer_is_stopped(const struct consumer *consumer)
{
    for (int32_t i = 0; i < consumer->partition_count; i++)
        if (!consumer->partitions[i].is_stopped)
            return false;
    return true;
}

bool consumer_is_at_end(const struct consumer *consumer)
{
    if (consumer->has_batch || consumer->left.size > 0)
        return false;
    for (int32_t i = 0; i < consumer->partition_count; i++) {
        const struct consumer_partition *partition = &consumer->partitions[i];
        if (partition->is_stopped)
            continue;
        if (partition->high_watermark < 0 || partition->next_offset < partition->high_watermark)
            return false;
    }
    return true;
}
