#include "cluster/partition.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "cluster/catalogue.h"
#include "protocol/batch.h"
#include "storage/log_state.h"
#include "storage/store.h"

/* Does what the replica's step says: all its effects are wake-ups of the same list. */
static void step_replica(struct partition *partition, enum replica_event_kind kind, int64_t offset)
{
    struct replica_effects effects;
    replica_step(&partition->replica, (struct replica_event){.kind = kind, .offset = offset},
                 &effects);
    for (int i = 0; i < effects.count; i++)
        if (effects.items[i].kind == REPLICA_WAKE_COMMITTED) {
            waiters_wake_until(&partition->commits, partition->replica.high_watermark);
            waiters_wake(&partition->waiters);
        }
}

/* It failed or is gone: whoever waits must look again. */
static void wake_all(struct partition *partition)
{
    waiters_wake(&partition->commits);
    waiters_wake(&partition->waiters);
}

/* The log's durable end has moved, or it was opened, or it failed. */
static void log_moved(struct log *log, void *context)
{
    struct partition *partition = context;
    if (log->state != LOG_OPEN) {
        wake_all(partition);
        return;
    }
    if (!partition->opened) {
        partition->opened = true;
        replica_init(&partition->replica, log->log_start, log->durable_end, log->durable_end);
        partition->replica.is_leader = true;
        partition->replica.min_insync_replicas = partition->min_insync_replicas;
    }
    if (log->durable_end > partition->replica.durable_end)
        step_replica(partition, REPLICA_DURABLE, log->durable_end);
}

struct partition *partition_create(struct shard *shard, struct uuid topic_id, struct string topic,
                                   int32_t index)
{
    struct partition *partition = memory_zeroed(sizeof *partition);
    partition->key.topic_id = topic_id;
    partition->key.index = index;
    partition->min_insync_replicas = 1;
    partition->shard = shard;
    list_init(&partition->waiters);
    list_init(&partition->commits);
    struct log_identity identity = {topic_id, index, topic};
    partition->log = log_new(shard->store, &identity, &partition->log_settings);
    partition->log->moved = log_moved;
    partition->log->context = partition;
    map_put(&shard->partitions, &partition->key, sizeof partition->key, partition);
    return partition;
}

struct partition *partition_find(struct shard *shard, struct uuid topic_id, int32_t index)
{
    struct partition_key key = {topic_id, index};
    return map_get(&shard->partitions, &key, sizeof key);
}

void partition_reference(struct partition *partition)
{
    partition->references++;
    partition->log->holders++;
}

void partition_release(struct partition *partition)
{
    check(partition->references > 0);
    struct log *log = partition->log;
    log->holders--;
    if (--partition->references > 0)
        return;
    if (partition->deleted) {
        memory_free(partition);
        waiters_wake(&log->idle_waiters);
    }
}

void partition_delete(struct partition *partition)
{
    map_remove(&partition->shard->partitions, &partition->key, sizeof partition->key);
    partition->deleted = true;
    wake_all(partition);
    log_remove(partition->log);
    if (partition->references == 0)
        memory_free(partition);
}

enum error partition_open(struct partition *partition, struct waiter *waiter, struct flow *flow)
{
    if (partition->deleted)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (partition->shard->store->fenced)
        return ERROR_KAFKA_STORAGE_ERROR;
    return log_open(partition->log, waiter, flow);
}

enum error partition_append(struct partition *partition, struct bytes batches,
                            struct log_append_result *ret, struct waiter *waiter, struct flow *flow)
{
    if (partition->deleted)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    enum error error = log_append(partition->log, batches, partition->leader_epoch, ret);
    if (error == ERROR_WOULD_WAIT)
        waiter_park(waiter, log_room(partition->log), flow);
    if (error)
        return error;
    step_replica(partition, REPLICA_APPENDED, ret->end_offset);
    if (MUTANT(watermark_before_flush))
        step_replica(partition, REPLICA_DURABLE, ret->end_offset);
    return ERROR_NONE;
}

enum error partition_await(struct partition *partition, int64_t end_offset, struct waiter *waiter,
                           struct flow *flow)
{
    if (partition->deleted)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (partition->replica.high_watermark >= end_offset)
        return ERROR_NONE;
    if (partition->log->state == LOG_FAILED || partition->shard->store->fenced)
        return ERROR_KAFKA_STORAGE_ERROR;
    waiter_park_until(waiter, &partition->commits, flow, end_offset);
    return ERROR_WOULD_WAIT;
}

int64_t partition_high_watermark(const struct partition *partition)
{
    return partition->replica.high_watermark;
}

int64_t partition_log_start(const struct partition *partition)
{
    return partition->replica.log_start;
}

int64_t partition_last_stable(const struct partition *partition)
{
    return producer_state_last_stable(partition->log, partition->replica.high_watermark);
}

int32_t partition_aborted(const struct partition *partition, int64_t offset, int64_t end_offset,
                          struct aborted_txn_entry *to, int32_t most)
{
    return producer_state_aborted(partition->log, offset, end_offset, to, most);
}

const struct producers *partition_producers(const struct partition *partition)
{
    return &partition->log->producers.table;
}

/* ---- ListOffsets ------------------------------------------------------------------------- */

/* The first record of the batch at or after the wanted time; for the maximum, the first with it. */
static void look_into_batch(struct offset_lookup *lookup, const struct batch *batch,
                            int64_t wanted_ms)
{
    struct arena arena;
    arena_init(&arena, 256u << 20);
    struct batch_iterator iterator;
    struct record record;
    if (batch_iterate(batch, &arena, &iterator) == ERROR_NONE)
        while (batch_next(&iterator, &record))
            if (record.timestamp >= wanted_ms) {
                lookup->ret_offset = record.offset;
                lookup->ret_timestamp_ms = record.timestamp;
                lookup->ret_leader_epoch = batch->leader_epoch;
                break;
            }
    arena_done(&arena);
}

/* Looks through the batches of one read. True: found, no more is needed. */
static bool look_into_read(struct offset_lookup *lookup)
{
    const struct log_read *read = &lookup->read;
    for (int i = 0; i < read->parts_count; i++) {
        struct bytes left = read->parts[i];
        struct batch batch;
        while (left.size > 0 && batch_view(left.data, (size_t)left.size, &batch) == ERROR_NONE) {
            lookup->next_offset = batch_last_offset(&batch) + 1;
            if (lookup->timestamp_ms >= 0 && batch.max_timestamp >= lookup->timestamp_ms) {
                look_into_batch(lookup, &batch, lookup->timestamp_ms);
                if (lookup->ret_offset >= 0)
                    return true;
            } else if (lookup->timestamp_ms == -3 &&
                       batch.max_timestamp > lookup->ret_timestamp_ms) {
                look_into_batch(lookup, &batch, batch.max_timestamp);
            }
            left.data += batch.whole.size;
            left.size -= batch.whole.size;
        }
    }
    return false;
}

static int64_t end_of(const struct partition *partition, const struct offset_lookup *lookup)
{
    return lookup->committed_only ? partition_last_stable(partition)
                                  : partition_high_watermark(partition);
}

enum error partition_lookup(struct partition *partition, struct offset_lookup *lookup,
                            struct flow *flow)
{
    if (!lookup->started) {
        lookup->started = true;
        lookup->ret_offset = lookup->ret_timestamp_ms = -1;
        lookup->ret_leader_epoch = partition->leader_epoch;
        lookup->next_offset = partition_log_start(partition);
        lookup->read = (struct log_read){0};
        if (lookup->timestamp_ms == -1)
            lookup->ret_offset = end_of(partition, lookup);
        if (lookup->timestamp_ms == -2)
            lookup->ret_offset = partition_log_start(partition);
        if (lookup->timestamp_ms == -1 || lookup->timestamp_ms == -2)
            return ERROR_NONE;
        lookup->ret_leader_epoch = -1;
    }
    struct log_read *read = &lookup->read;
    while (!partition->deleted) {
        if (read->log == NULL) {
            *read = (struct log_read){.log = partition->log,
                                      .offset = lookup->next_offset,
                                      .end_offset = end_of(partition, lookup),
                                      .max_bytes = 256 << 10,
                                      .at_least_one = true};
            if (read->offset >= read->end_offset)
                return ERROR_NONE;
        }
        if (!log_read_step(read, flow))
            return ERROR_WOULD_WAIT;
        enum error error = read->error;
        bool ended = error || read->size == 0 || look_into_read(lookup);
        log_read_done(read);
        read->log = NULL;
        if (ended)
            return error;
    }
    log_read_done(read);
    return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
}
