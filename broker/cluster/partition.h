#pragma once
/* One partition on the core that owns it: the log, the leader's decisions (logic/replica.h), and
 * those who wait for it. A partition object exists on its owner's shard from the moment the image
 * names it until the topic is deleted; flows that use it hold a reference (partition_reference). */
#include "cluster/broker.h"
#include "logic/epochs.h"
#include "logic/producers.h"
#include "logic/replica.h"
#include "storage/log_search.h"

struct partition {
    struct partition_key {
        struct uuid topic_id;
        int32_t index;
    } key; /* of shard->partitions */
    struct shard *shard;
    struct log *log;
    struct replica replica; /* ends and high watermark */
    struct log_settings log_settings;
    int32_t max_message_bytes;
    int32_t min_insync_replicas; /* as set; the replica has it from its opening on */
    int32_t leader_epoch;
    int32_t references;      /* flows at work on it */
    int64_t known_watermark; /* before it is opened: what a file says; -1: nothing */
    bool opened;             /* the replica's ends are those of the log */
    bool deleted;        /* the topic is gone: nothing is accepted, the last reference frees it */
    struct list waiters; /* of struct waiter: woken when the high watermark moves, on failure and on
                            deletion */
    struct list commits; /* the same for partition_await, ordered by offset: woken when reached */
};

/* Makes the partition, its log in `store` (one of the shard's), and puts it into the shard's map;
 * its settings are the caller's to fill in. */
struct partition *partition_create(struct shard *shard, struct store *store, struct uuid topic_id,
                                   struct string topic, int32_t index);

/* Its topic was deleted: wakes who waits, removes the files once nobody uses them. */
void partition_delete(struct partition *partition);

/* The partition on this shard, or null if this core does not own it (or it does not exist). */
struct partition *partition_find(struct shard *shard, struct uuid topic_id, int32_t index);

void partition_reference(struct partition *partition);
void partition_release(struct partition *partition);

/* Opens the log at first use. NONE: ready. WOULD_WAIT: `waiter` is parked for `flow`, call again.
 * UNKNOWN_TOPIC_OR_PARTITION when deleted meanwhile; KAFKA_STORAGE_ERROR when the log has failed.
 */
enum error partition_open(struct partition *partition, struct waiter *waiter, struct flow *flow);

/* Appends as the leader (log_append). The partition must be open. WOULD_WAIT: `waiter` is parked
 * for `flow` until there is room; call again, after partition_open. */
enum error partition_append(struct partition *partition, struct bytes batches,
                            struct log_append_result *ret, struct waiter *waiter,
                            struct flow *flow);

/* Appends what its leader has (log_append_follower). As partition_append otherwise. */
enum error partition_append_follower(struct partition *partition, struct bytes batches,
                                     struct log_append_result *ret, struct waiter *waiter,
                                     struct flow *flow);

/* As a follower: cuts its log off at `offset`, or begins it anew there (log_truncate.h). The
 * partition must be open. WOULD_WAIT: `waiter` is parked for `flow`; call again.
 * OFFSET_OUT_OF_RANGE: what is committed would go. */
enum error partition_truncate(struct partition *partition, int64_t offset, struct waiter *waiter,
                              struct flow *flow);
enum error partition_restart_at(struct partition *partition, int64_t offset, struct waiter *waiter,
                                struct flow *flow);

/* Is everything below `end_offset` committed (at or below the high watermark)? NONE: yes.
 * WOULD_WAIT: `waiter` is parked until something changes; call again. KAFKA_STORAGE_ERROR: it
 * never will be. */
enum error partition_await(struct partition *partition, int64_t end_offset, struct waiter *waiter,
                           struct flow *flow);

/* DeleteRecords: its log begins at `offset` from now on, -1: at the high watermark. NONE: await
 * partition_await_start. POLICY_VIOLATION: its records are not to be deleted (cleanup.policy);
 * OFFSET_OUT_OF_RANGE: negative, or beyond the high watermark. WOULD_WAIT: `waiter` is parked until
 * there is room; call again, after partition_open. */
enum error partition_delete_records(struct partition *partition, int64_t offset,
                                    struct waiter *waiter, struct flow *flow);

/* Is the log start durable? As partition_await. */
enum error partition_await_start(struct partition *partition, struct waiter *waiter,
                                 struct flow *flow);

/* Where consumers may read to: the high watermark. The partition must be open. */
int64_t partition_high_watermark(const struct partition *partition);
int64_t partition_log_start(const struct partition *partition);

/* Where readers of committed data (read_committed) may read to: the last stable offset. */
int64_t partition_last_stable(const struct partition *partition);

/* Aborted transactions that a reader of committed data in [offset, end_offset) must know: how many;
 * the first `most` are copied to `to`, if not null. */
int32_t partition_aborted(const struct partition *partition, int64_t offset, int64_t end_offset,
                          struct aborted_txn_entry *to, int32_t most);

/* DescribeProducers: what is known of its producers. Borrowed until the next append. */
const struct producers *partition_producers(const struct partition *partition);

/* The end of a leader epoch in this log (KIP-101, KIP-279; epochs_end). The partition must be open.
 */
struct epoch_entry partition_end_of_epoch(const struct partition *partition, int32_t epoch);

/* This broker leads it with that epoch from now on. */
void partition_lead(struct partition *partition, int32_t leader_epoch);

/* ListOffsets. timestamp_ms -1: the high watermark; -2: the log start; -3 and ≥ 0 need look-ups, of
 * which this is one part: call again in the next step until it is not WOULD_WAIT (a hold was
 * taken). Found nothing: offset, timestamp and epoch -1. */
struct offset_lookup {
    int64_t timestamp_ms; /* wanted */
    bool committed_only;  /* up to the last stable offset instead of the high watermark */
    int64_t ret_offset, ret_timestamp_ms;
    int32_t ret_leader_epoch;
    struct log_search search; /* inside */
    bool started;
};
enum error partition_lookup(struct partition *partition, struct offset_lookup *lookup,
                            struct flow *flow);
