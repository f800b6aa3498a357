#include "api/bench.h"
#include "base/check.h"
#include "base/memory.h"
#include "cluster/log_dirs.h"
#include <stdio.h>

static void on_line(void *owner, const char *line, size_t size)
{
    struct bench *bench = owner;
    bench->lines++;
    snprintf(bench->last_line, sizeof bench->last_line, "%.*s", (int)size, line);
}

static void on_stopped(struct broker *broker)
{
    CONTAINER_OF(broker, struct bench, broker)->stopped++;
}

struct bench *bench_open(void)
{
    struct bench *bench = memory_zeroed(sizeof *bench);
    arena_init(&bench->arena, 1 << 28);
    list_init(&bench->room);
    settings_init(&bench->settings);
    bench->settings.message_max_bytes = 4000;
    bench->settings.request_arena_bytes = 1 << 20;
    struct broker *broker = &bench->broker;
    broker->settings = &bench->settings;
    broker->core_count = BENCH_CORES;
    broker->node_id = 7;
    broker->directory_count = BENCH_DIRECTORIES;
    broker->stopped = on_stopped;
    memcpy(broker->cluster_id, "bench-cluster-00000000", 23);
    broker->shards = memory_zeroed(BENCH_CORES * sizeof *broker->shards);
    for (int i = 0; i < BENCH_CORES; i++) {
        struct shard *shard = &broker->shards[i];
        fake_port_init(&bench->ports[i], 4096, 8);
        bench->ports[i].network = &bench->ports[0];
        core_init(&shard->core, i, &bench->ports[i].port);
        shard->core.owner = shard;
        shard->core.events = (struct events){.write = on_line, .owner = bench};
        shard->broker = broker;
        image_init(&shard->image, BENCH_CORES, 1);
        map_init(&shard->partitions, 1);
        random_seed(&shard->random, 5);
        struct register_broker_record record;
        message_set_defaults(&register_broker_record_message, &record);
        record.broker_id = 7;
        record.fenced = false;
        EQ(image_apply(&shard->image, register_broker_record_message.key, &record), ERROR_NONE);
    }
    api_open(broker);
    struct address address = {.family = 4, .bytes[12] = 127, .bytes[15] = 1};
    EQ(api_listen(broker, &address), ERROR_NONE);
    bench_settle(bench);
    return bench;
}

static void free_partition(struct partition *partition)
{
    EQ(partition->references, 0);
    EQ(partition->log->reads, 0);
    for (int i = 0; i < partition->log->count; i++)
        memory_free(partition->log->data[i]);
    producers_done(&partition->log->producers);
    epochs_free(&partition->log->epochs);
    memory_free(partition->log);
    memory_free(partition);
}

void bench_close(struct bench *bench)
{
    api_stop(&bench->broker);
    bench_settle(bench);
    EQ(bench->stopped, 1);
    api_close(&bench->broker);
    for (int i = 0; i < BENCH_CORES; i++) {
        struct shard *shard = &bench->broker.shards[i];
        uint32_t position = 0;
        for (struct partition *at; (at = map_next(&shard->partitions, &position));)
            free_partition(at);
        map_done(&shard->partitions);
        image_done(&shard->image);
        EQ(shard->core.buffers.used_bytes, 0);
        core_done(&shard->core);
    }
    for (int i = BENCH_CORES - 1; i >= 0; i--)
        fake_port_done(&bench->ports[i]);
    memory_free(bench->broker.shards);
    settings_done(&bench->settings);
    arena_done(&bench->arena);
    memory_free(bench);
}

void bench_settle(struct bench *bench)
{
    for (int quiet = 0; quiet < 3; quiet++)
        for (int i = 0; i < BENCH_CORES; i++) {
            struct core *core = &bench->broker.shards[i].core;
            uint64_t before = core->steps_run;
            fake_settle(&bench->ports[i], core);
            if (core->steps_run != before)
                quiet = 0;
        }
}

void bench_pass_ms(struct bench *bench, int64_t ms)
{
    for (int i = 0; i < BENCH_CORES; i++)
        fake_pass_ms(&bench->ports[i], ms);
    bench_settle(bench);
}

int32_t bench_connect(struct bench *bench)
{
    int32_t handle = fake_connect(&bench->ports[0]);
    bench_settle(bench);
    return handle;
}

bool bench_is_open(struct bench *bench, int32_t handle)
{
    return bench->ports[0].sockets[handle].open;
}

/* -- the cluster of memory ----------------------------------------------------------------- */

static void make_partition(struct bench *bench, struct uuid topic_id, int32_t index)
{
    int core = image_partition_core(&bench->broker.shards[0].image, topic_id, index);
    check(core >= 0);
    struct shard *shard = &bench->broker.shards[core];
    struct partition *partition = memory_zeroed(sizeof *partition);
    partition->key = (struct partition_key){topic_id, index};
    partition->shard = shard;
    partition->log = memory_zeroed(sizeof *partition->log);
    producers_init(&partition->log->producers, 1, 0);
    partition->log->directory = partition->key.index % BENCH_DIRECTORIES;
    replica_init(&partition->replica, 0, 0, 0);
    partition->replica.is_leader = true;
    list_init(&partition->waiters);
    map_put(&shard->partitions, &partition->key, sizeof partition->key, partition);
}

/* Applies a record on every core, as the metadata log would. */
static void apply(struct bench *bench, int16_t type, const void *record)
{
    for (int i = 0; i < BENCH_CORES; i++)
        EQ(image_apply(&bench->broker.shards[i].image, type, record), ERROR_NONE);
    if (type == partition_record_message.key) {
        const struct partition_record *partition = record;
        make_partition(bench, partition->topic_id, partition->partition_id);
    }
}

void machine_start(struct machine_request *request, struct shard *shard, struct flow *origin)
{
    struct bench *bench = CONTAINER_OF(shard->broker, struct bench, broker);
    flow_hold(origin);
    record_list_init(&request->records, request->arena);
    request->handle(request, &shard->broker->shards[0].image);
    for (struct metadata_record *at = request->records.first; at; at = at->next)
        apply(bench, at->message->key, at->value);
    request->error = ERROR_NONE;
    flow_release(origin);
}

struct uuid bench_topic(struct bench *bench, const char *name, int partitions)
{
    struct create_topics_request *in = bench_request(bench, API_CREATE_TOPICS);
    struct create_topics_request_creatable_topic topic = {
        .name = string_of(name), .num_partitions = partitions, .replication_factor = 1};
    in->topics = &topic;
    in->topics_count = 1;
    int32_t handle = bench_connect(bench);
    struct create_topics_response *out = bench_ask(bench, handle, API_CREATE_TOPICS, 7, in);
    check(out && out->topics_count == 1);
    EQ(out->topics[0].error_code, ERROR_NONE);
    fake_end(&bench->ports[0], handle);
    bench_settle(bench);
    return out->topics[0].topic_id;
}

struct partition *bench_partition(struct bench *bench, struct uuid topic_id, int32_t index)
{
    for (int i = 0; i < BENCH_CORES; i++) {
        struct partition *partition = partition_find(&bench->broker.shards[i], topic_id, index);
        if (partition)
            return partition;
    }
    return NULL;
}

static void commit(struct partition *partition)
{
    partition->replica.durable_end = partition->replica.appended_end;
    partition->replica.high_watermark = partition->replica.appended_end;
    waiters_wake(&partition->waiters);
}

void bench_make_room(struct bench *bench)
{
    bench->room_bytes = 0;
    waiters_wake(&bench->room);
    bench_settle(bench);
}

void bench_commit(struct bench *bench, struct uuid topic_id, int32_t index)
{
    commit(bench_partition(bench, topic_id, index));
    bench_settle(bench);
}

struct partition *partition_find(struct shard *shard, struct uuid topic_id, int32_t index)
{
    struct partition_key key = {topic_id, index};
    return map_get(&shard->partitions, &key, sizeof key);
}

void partition_reference(struct partition *partition)
{
    partition->references++;
}

void partition_release(struct partition *partition)
{
    check(partition->references > 0);
    partition->references--;
}

enum error partition_open(struct partition *partition, struct waiter *waiter, struct flow *flow)
{
    return partition->deleted ? ERROR_UNKNOWN_TOPIC_OR_PARTITION : ERROR_NONE;
}

static enum error judge(struct log *log, const struct producer_event *event,
                        struct log_append_result *ret)
{
    struct producer_duplicate duplicate;
    enum error error = producers_handle(&log->producers, event, 1, &duplicate);
    if (error == ERROR_DUPLICATE_SEQUENCE_NUMBER)
        *ret = (struct log_append_result){.base_offset = duplicate.base_offset,
                                          .end_offset = duplicate.last_offset + 1,
                                          .timestamp_ms = duplicate.timestamp_ms,
                                          .is_duplicate = true};
    return error;
}

enum error partition_append(struct partition *partition, struct bytes batches,
                            struct log_append_result *ret, struct waiter *waiter, struct flow *flow)
{
    struct log *log = partition->log;
    struct batch batch;
    check(log->count < BENCH_BATCHES);
    struct bench *bench = CONTAINER_OF(partition->shard->broker, struct bench, broker);
    if (bench->room_bytes && batches.size > bench->room_bytes) {
        waiter_park(waiter, &bench->room, flow);
        return ERROR_WOULD_WAIT;
    }
    EQ(batch_view(batches.data, (size_t)batches.size, &batch), ERROR_NONE);
    *ret = (struct log_append_result){0};
    struct producer_event event;
    bool has_producer = producer_event_of(&batch, &event);
    enum error error = has_producer ? judge(log, &event, ret) : ERROR_NONE;
    if (error)
        return error;
    uint8_t *copy = memory_zeroed((size_t)batches.size);
    memcpy(copy, batches.data, (size_t)batches.size);
    ret->base_offset = partition->replica.appended_end;
    ret->end_offset = ret->base_offset + batch.count;
    ret->log_start_offset = 0;
    batch_assign(copy, ret->base_offset, partition->leader_epoch);
    event.base_offset = ret->base_offset;
    event.last_offset = ret->end_offset - 1;
    if (has_producer &&
        producers_apply(&log->producers, &event, (struct producers_now){0}, &log->aborted))
        log->aborted_count++;
    log->data[log->count] = copy;
    log->sizes[log->count] = batches.size;
    log->base_offsets[log->count++] = ret->base_offset;
    partition->replica.appended_end = ret->end_offset;
    if (!bench->holds_commits)
        commit(partition);
    return ERROR_NONE;
}

enum error partition_await(struct partition *partition, int64_t end_offset, struct waiter *waiter,
                           struct flow *flow)
{
    if (partition->replica.high_watermark >= end_offset)
        return ERROR_NONE;
    waiter_park(waiter, &partition->waiters, flow);
    return ERROR_WOULD_WAIT;
}

enum error partition_delete_records(struct partition *partition, int64_t offset,
                                    struct waiter *waiter, struct flow *flow)
{
    struct replica *replica = &partition->replica;
    struct bench *bench = CONTAINER_OF(partition->shard->broker, struct bench, broker);
    if (!partition->log_settings.deletes)
        return ERROR_POLICY_VIOLATION;
    offset = offset == -1 ? replica->high_watermark : offset;
    if (offset < 0 || offset > replica->high_watermark)
        return ERROR_OFFSET_OUT_OF_RANGE;
    if (bench->room_bytes) {
        waiter_park(waiter, &bench->room, flow);
        return ERROR_WOULD_WAIT;
    }
    replica->log_start = max_i64(replica->log_start, offset);
    return ERROR_NONE;
}

enum error partition_await_start(struct partition *partition, struct waiter *waiter,
                                 struct flow *flow)
{
    struct bench *bench = CONTAINER_OF(partition->shard->broker, struct bench, broker);
    if (!bench->holds_commits)
        return ERROR_NONE;
    waiter_park(waiter, &partition->waiters, flow);
    return ERROR_WOULD_WAIT;
}

int64_t partition_high_watermark(const struct partition *partition)
{
    return partition->replica.high_watermark;
}

int64_t partition_last_stable(const struct partition *partition)
{
    return producers_last_stable(&partition->log->producers, partition->replica.high_watermark);
}

int32_t partition_aborted(const struct partition *partition, int64_t offset, int64_t end_offset,
                          struct aborted_txn_entry *to, int32_t most)
{
    const struct log *log = partition->log;
    bool overlaps = log->aborted_count > 0 && log->aborted.last_offset >= offset &&
                    log->aborted.first_offset < end_offset;
    if (overlaps && most > 0)
        to[0] = log->aborted;
    return overlaps;
}

const struct producers *partition_producers(const struct partition *partition)
{
    return &partition->log->producers;
}

int64_t partition_log_start(const struct partition *partition)
{
    return partition->replica.log_start;
}

struct epoch_entry partition_end_of_epoch(const struct partition *partition, int32_t epoch)
{
    return epochs_end(&partition->log->epochs, epoch, partition->replica.appended_end);
}

enum error partition_lookup(struct partition *partition, struct offset_lookup *lookup,
                            struct flow *flow)
{
    if (!lookup->started) { /* as a scan would: once more */
        lookup->started = true;
        flow_hold(flow);
        flow_release(flow);
        return ERROR_WOULD_WAIT;
    }
    lookup->ret_timestamp_ms = -1;
    lookup->ret_offset = lookup->timestamp_ms != -1 ? 0
                         : lookup->committed_only   ? partition_last_stable(partition)
                                                    : partition->replica.high_watermark;
    lookup->ret_leader_epoch = partition->leader_epoch;
    return ERROR_NONE;
}

/* Two directories: partitions lie in them in turn. */
bool log_dir_describe(const struct shard *shard, int directory, struct log_dir *ret)
{
    const struct bench *bench = CONTAINER_OF(shard->broker, struct bench, broker);
    *ret = (struct log_dir){.root = "/bench/",
                            .path = directory == 0 ? "a" : "b",
                            .error = bench->failed[directory],
                            .handle = -1};
    return true;
}

int log_dir_of(const struct partition *partition)
{
    return partition->log->directory;
}

void log_dir_size(const struct partition *partition, struct log_size *size)
{
    *size = (struct log_size){.log = partition->log};
}

bool log_size_step(struct log_size *size, struct flow *flow)
{
    for (int i = 0; i < size->log->count; i++)
        size->bytes += size->log->sizes[i];
    return true;
}

bool log_read_step(struct log_read *read, struct flow *flow)
{
    struct log *log = read->log;
    if (read->state++ == 0) {
        flow_hold(flow); /* as a read from a file would */
        flow_release(flow);
        return false;
    }
    log->reads++;
    read->next_offset = read->offset;
    int most = log->file_ends_after ? log->file_ends_after : LOG_READ_PARTS;
    for (int i = 0; i < log->count && read->parts_count < most; i++) {
        bool is_last = i + 1 == log->count;
        if (!is_last && log->base_offsets[i + 1] <= read->offset)
            continue;
        if (log->base_offsets[i] >= read->end_offset)
            break;
        bool fits = read->size + log->sizes[i] <= read->max_bytes;
        if (!fits && !(read->at_least_one && read->parts_count == 0))
            break;
        read->parts[read->parts_count++] = (struct bytes){log->data[i], log->sizes[i]};
        read->size += log->sizes[i];
        const uint8_t *batch = log->data[i];
        read->next_offset =
            log->base_offsets[i] + 1 + (int32_t)load_be32(batch + BATCH_LAST_OFFSET_DELTA_AT);
    }
    return true;
}

void log_read_done(struct log_read *read)
{
    if (read->state < 2)
        return;
    read->state = 0;
    read->log->reads--;
}

/* -- the client ---------------------------------------------------------------------------- */

void *bench_request(struct bench *bench, int16_t key)
{
    const struct message *message = api_find(key)->request;
    void *request = arena_take(&bench->arena, message->size);
    message_set_defaults(message, request);
    return request;
}

struct bytes bench_frame(struct bench *bench, const struct api *api, int16_t version,
                         const void *request, int extra)
{
    size_t capacity = message_size(api->request, version, request) + 256;
    uint8_t *data = arena_take(&bench->arena, capacity);
    struct writer writer;
    writer_init(&writer, data, capacity);
    write_i32(&writer, 0);
    EQ(request_header_encode(&writer, api, version, ++bench->correlation_id, STRING("test")),
       ERROR_NONE);
    EQ(message_encode(api->request, version, &writer, request), ERROR_NONE);
    size_t size = writer.size + (size_t)extra;
    store_be32(data, (uint32_t)size - 4);
    return (struct bytes){data, (int32_t)size};
}

void bench_send(struct bench *bench, int32_t handle, int16_t key, int16_t version,
                const void *request)
{
    struct bytes frame = bench_frame(bench, api_find(key), version, request, 0);
    fake_feed(&bench->ports[0], handle, frame.data, (size_t)frame.size);
    bench_settle(bench);
}

void *bench_answer(struct bench *bench, int32_t handle, int16_t key, int16_t version)
{
    struct fake_socket *socket = &bench->ports[0].sockets[handle];
    const struct api *api = api_find(key);
    if (socket->out_size < 4)
        return NULL;
    size_t size = load_be32(socket->out);
    if (socket->out_size < size + 4)
        return NULL;
    const uint8_t *copy = arena_copy(&bench->arena, socket->out + 4, size);
    socket->out_size -= size + 4;
    memmove(socket->out, socket->out + size + 4, socket->out_size);
    struct reader reader;
    reader_init(&reader, copy, size);
    struct response_header header;
    EQ(message_decode(&response_header_message, response_header_version(api, version), &reader,
                      &bench->arena, &header),
       ERROR_NONE);
    void *response = arena_take(&bench->arena, api->response->size);
    message_set_defaults(api->response, response);
    EQ(message_decode_whole(api->response, version, &reader, &bench->arena, response), ERROR_NONE);
    return response;
}

void *bench_ask(struct bench *bench, int32_t handle, int16_t key, int16_t version,
                const void *request)
{
    bench_send(bench, handle, key, version, request);
    return bench_answer(bench, handle, key, version);
}

struct bytes bench_batch(struct bench *bench, const char *value, int count)
{
    size_t capacity = 61 + (size_t)count * (strlen(value) + 32);
    uint8_t *data = arena_take(&bench->arena, capacity);
    struct batch_builder builder;
    batch_builder_init(&builder, data, capacity);
    for (int i = 0; i < count; i++) {
        struct record record = {.timestamp = 1700000000000,
                                .key = BYTES_NULL,
                                .value = {(const uint8_t *)value, (int32_t)strlen(value)}};
        EQ(batch_builder_add(&builder, &record), ERROR_NONE);
    }
    struct batch_fields fields = BATCH_FIELDS_PLAIN;
    batch_builder_end(&builder, &fields);
    return (struct bytes){data, (int32_t)builder.size_bytes};
}
