#pragma once
/* A log's producers (logic/producers.h): judged and noted at each append, kept over restarts by
 * snapshots and a replay of what came after.
 *
 *   append: producer_state_judge -> (offsets given, copied) -> producer_state_applied
 *   roll, checkpoint: captured in memory -> durable -> written by the drain     (producer_save.c)
 *   open: newest good snapshot at or below the end, replay of the headers from there
 *                                                                             (producer_load.c)
 * Invariants
 *  1. The table counts what is appended, durable or not: who is told of a duplicate waits until
 *     its original is durable, as for a fresh batch.
 *  2. A snapshot's offset is at or below the durable end when it is written: no crash leaves one
 *     ahead of the log. One that is ahead (the log was cut) is removed, and the removal flushed,
 *     before the log is appended to again.
 *  3. A snapshot is written only when the aborted transactions with markers below it are flushed
 *     to their .txnindex; at an open only entries below the snapshot are believed, and the replay
 *     makes the others again.
 *  4. Snapshots are caches: damaged or missing, an older one or the log's start do. Where earlier
 *     segments have gone, one that was flushed stays: what they said is told nowhere else. */
#include "base/bytes.h"
#include "logic/producers.h"
#include "reactor/flow.h"

struct folder_script;
struct log;
struct store;
struct log_append_result;

enum {
    PRODUCER_SNAPSHOTS_KEPT = 3,
    PRODUCER_SNAPSHOT_AFTER_BYTES = 8 << 20, /* appended since the last, at a checkpoint */
    PRODUCER_SNAPSHOT_IDLE_BYTES = 64 << 10, /* the same where there are no producers, at a stop */
};

struct producer_state {
    struct producers table;
    struct aborted_txn_entry *aborted; /* of the whole log, by marker */
    int32_t aborted_count, aborted_capacity;
    int32_t aborted_saved; /* of these are in their files */
    int64_t *snapshots;    /* offsets of the files there are, ascending */
    int32_t snapshot_count, snapshot_capacity;
    int64_t proven; /* snapshots from this offset on were read whole, or written by this run */
    int64_t *txn_indexes; /* base offsets of the files there are; at an open only */
    int32_t txn_index_count, txn_index_capacity;
    struct bytes captured; /* a snapshot to be written; memory of its own; null: none */
    int64_t captured_offset;
    int64_t loaded_end;  /* at an open: all below is in the table */
    int64_t bytes_since; /* appended or replayed after the newest snapshot or capture */
    struct list sweep;   /* in store->producing, while there are producers */
};

void producer_state_init(struct log *log);
void producer_state_done(struct log *log);

/* As after init: nothing is known, no file is there. */
void producer_state_reset(struct log *log);

/* Before an append, which gives offsets from log->appended_end on: may it be? NONE: yes.
 * DUPLICATE_SEQUENCE_NUMBER: *ret tells the original, nothing is to be appended. Others: as
 * producers_handle; INVALID_RECORD: more than PRODUCER_EVENTS_MAX batches. */
enum error producer_state_judge(const struct log *log, struct bytes batches,
                                struct log_append_result *ret);

/* Batches with their offsets were appended, `has_producers`: one of them at least has one. */
void producer_state_applied(struct log *log, struct bytes batches, bool has_producers);

/* At an open, after producer_load: batches that the journal held and no file does yet. */
void producer_state_resumed(struct log *log, struct bytes batches);

/* The log is open: all is known. */
void producer_state_opened(struct log *log);

/* The log rolls at its appended end. */
void producer_state_roll(struct log *log);

/* Should the running checkpoint, if any, have the log's snapshot written now? */
bool producer_state_is_due(const struct log *log);

/* Would a stop have one written? Until then the log stays in store->unsettled. */
bool producer_state_lags(const struct log *log);

/* Has a drain write a snapshot soon, and with it the aborted transactions that are in no file. */
void producer_state_save(struct log *log);

/* Up to where committed data may be read, given the high watermark. */
int64_t producer_state_last_stable(struct log *log, int64_t high_watermark);

/* Aborted transactions that a reader of [offset, end_offset) must know: how many, and where the
 * first `most` are copied to, if not null. Kafka's collectAbortedTxns. */
int32_t producer_state_aborted(const struct log *log, int64_t offset, int64_t end_offset,
                               struct aborted_txn_entry *to, int32_t most);

/* Are all aborted transactions with markers below `end_offset` in their files? Then no drain writes
 * to these any more. */
bool producer_state_is_saved(const struct log *log, int64_t end_offset);

/* The whole .txnindex of a closed segment, in memory of the caller's: aborted transactions whose
 * markers lie from base_offset to end_offset. Null: there is none. */
struct bytes producer_state_txn_index(const struct log *log, int64_t base_offset,
                                      int64_t end_offset);

/* Of a log whose earlier segments have gone, the snapshot that was flushed for that: the oldest at
 * or beyond its first segment (retire.h 4). -1: there is none, or nothing has gone. */
int64_t producer_state_rests_on(const struct log *log);

/* Segments have gone from the front of the log: of the snapshots at or beyond the first one now,
 * the first that is proven (a loss of power may have torn others, and nobody has read them). Those
 * before it are forgotten, and `files` is told to remove them once its name is durable. -1: there
 * is none. */
int64_t producer_state_rest(struct log *log, struct folder_script *files);

/* Names of files, found when the folder is listed. */
void producer_state_name(struct log *log, const char *name);

/* For producer_load and producer_save. */
void producer_state_add_aborted(struct producer_state *state,
                                const struct aborted_txn_entry *entry);
void producer_state_capture(struct log *log);
struct producers_now producer_now(const struct store *store);

/* Lets producers of some of the logs expire (producer.id.expiration.ms); called now and then. */
void producer_sweep(struct store *store);
