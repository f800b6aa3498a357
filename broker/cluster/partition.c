#include "cluster/partition.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "cluster/catalogue.h"
#include "storage/log_epochs.h"
#include "storage/log_start.h"
#include "storage/log_state.h"
#include "storage/log_truncate.h"
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

/* The log was cut off, or begins anew: told before anybody may append again. */
static void log_went_back(struct partition *partition, const struct log *log)
{
    const struct replica *replica = &partition->replica;
    if (log->log_start > replica->high_watermark)
        step_replica(partition, REPLICA_RESTARTED, log->log_start);
    else if (log->appended_end < replica->appended_end)
        step_replica(partition, REPLICA_TRUNCATED, log->appended_end);
}

static int64_t committed_end(const struct log *log, void *context)
{
    const struct partition *partition = context;
    return partition->opened ? partition->replica.high_watermark : 0;
}

/* The log's durable end has moved, or it was opened, or it failed. */
static void log_moved(struct log *log, void *context)
{
    struct partition *partition = context;
    if (partition->opened && log->state != LOG_FAILED)
        log_went_back(partition, log);
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
    partition_lead(partition, partition->leader_epoch); /* it may have been closed meanwhile */
    if (log->durable_end > partition->replica.durable_end)
        step_replica(partition, REPLICA_DURABLE, log->durable_end);
    if (log->log_start > partition->replica.log_start)
        step_replica(partition, REPLICA_START_MOVED, log->log_start);
}

/* What compaction may read and rewrite ends here. */
static int64_t stable_end(const struct log *log, void *context)
{
    const struct partition *partition = context;
    return partition->opened ? partition_last_stable(partition) : log->log_start;
}

struct partition *partition_create(struct shard *shard, struct store *store, struct uuid topic_id,
                                   struct string topic, int32_t index)
{
    struct partition *partition = memory_zeroed(sizeof *partition);
    partition->key.topic_id = topic_id;
    partition->key.index = index;
    partition->min_insync_replicas = 1;
    partition->known_watermark = -1;
    partition->shard = shard;
    list_init(&partition->waiters);
    list_init(&partition->commits);
    struct log_identity identity = {topic_id, index, topic};
    partition->log = log_new(store, &identity, &partition->log_settings);
    partition->log->moved = log_moved;
    partition->log->stable_end = stable_end;
    partition->log->committed_end = committed_end;
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
    if (partition->log->store->fenced)
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

enum error partition_append_follower(struct partition *partition, struct bytes batches,
                                     struct log_append_result *ret, struct waiter *waiter,
                                     struct flow *flow)
{
    if (partition->deleted)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    enum error error = log_append_follower(partition->log, batches, ret);
    if (error == ERROR_WOULD_WAIT)
        waiter_park(waiter, log_room(partition->log), flow);
    if (!error)
        step_replica(partition, REPLICA_APPENDED, ret->end_offset);
    return error;
}

enum error partition_truncate(struct partition *partition, int64_t offset, struct waiter *waiter,
                              struct flow *flow)
{
    if (partition->deleted)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    return log_truncate(partition->log, offset, waiter, flow);
}

enum error partition_restart_at(struct partition *partition, int64_t offset, struct waiter *waiter,
                                struct flow *flow)
{
    if (partition->deleted)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    return log_restart_at(partition->log, offset, waiter, flow);
}

enum error partition_await(struct partition *partition, int64_t end_offset, struct waiter *waiter,
                           struct flow *flow)
{
    if (partition->deleted)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (partition->replica.high_watermark >= end_offset)
        return ERROR_NONE;
    if (partition->log->state == LOG_FAILED || partition->log->store->fenced)
        return ERROR_KAFKA_STORAGE_ERROR;
    waiter_park_until(waiter, &partition->commits, flow, end_offset);
    return ERROR_WOULD_WAIT;
}

enum error partition_delete_records(struct partition *partition, int64_t offset,
                                    struct waiter *waiter, struct flow *flow)
{
    if (partition->deleted)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (!partition->log_settings.deletes)
        return ERROR_POLICY_VIOLATION;
    int64_t high_watermark = partition->replica.high_watermark;
    if (offset == -1)
        offset = high_watermark;
    if (offset < 0 || (offset > high_watermark && !MUTANT(delete_past_high_watermark)))
        return ERROR_OFFSET_OUT_OF_RANGE;
    enum error error = log_start_at(partition->log, offset);
    if (error == ERROR_WOULD_WAIT)
        waiter_park(waiter, log_room(partition->log), flow);
    return error;
}

enum error partition_await_start(struct partition *partition, struct waiter *waiter,
                                 struct flow *flow)
{
    if (partition->deleted)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    return log_start_await(partition->log, waiter, flow);
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

/* ---- leader epochs ----------------------------------------------------------------------- */

void partition_lead(struct partition *partition, int32_t leader_epoch)
{
    partition->leader_epoch = leader_epoch;
    if (partition->opened && partition->log->state == LOG_OPEN)
        log_epochs_lead(partition->log, leader_epoch);
}

struct epoch_entry partition_end_of_epoch(const struct partition *partition, int32_t epoch)
{
    return epochs_end(&partition->log->epochs, epoch, partition->log->appended_end);
}

/* ---- ListOffsets ------------------------------------------------------------------------- */

static int64_t end_of(const struct partition *partition, const struct offset_lookup *lookup)
{
    return lookup->committed_only ? partition_last_stable(partition)
                                  : partition_high_watermark(partition);
}

/* The answer of those that need no look-up. */
static void answer_at_once(const struct partition *partition, struct offset_lookup *lookup)
{
    bool latest = lookup->timestamp_ms == -1;
    lookup->ret_timestamp_ms = -1;
    lookup->ret_offset = latest ? end_of(partition, lookup) : partition_log_start(partition);
    lookup->ret_leader_epoch =
        latest ? partition->leader_epoch : epochs_at(&partition->log->epochs, lookup->ret_offset);
}

enum error partition_lookup(struct partition *partition, struct offset_lookup *lookup,
                            struct flow *flow)
{
    struct log_search *search = &lookup->search;
    if (!lookup->started) {
        if (lookup->timestamp_ms == -1 || lookup->timestamp_ms == -2) {
            answer_at_once(partition, lookup);
            return ERROR_NONE;
        }
        lookup->started = true;
        *search = (struct log_search){.log = partition->log,
                                      .largest = lookup->timestamp_ms == -3,
                                      .timestamp_ms = lookup->timestamp_ms,
                                      .end_offset = end_of(partition, lookup)};
    }
    if (!log_search_step(search, flow))
        return ERROR_WOULD_WAIT;
    log_search_done(search);
    lookup->ret_offset = search->offset;
    lookup->ret_timestamp_ms = search->found_ms;
    lookup->ret_leader_epoch = search->leader_epoch;
    return partition->deleted ? ERROR_UNKNOWN_TOPIC_OR_PARTITION : search->error;
}
