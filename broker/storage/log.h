#pragma once
/* One partition's log on its core: the ends, the tail in memory, the segments on disk.
 *
 *   log start ≤ drained end ≤ durable end ≤ appended end          (offsets, ends exclusive)
 *
 *  appended: in memory and in a journal block; durable: the block is on stable storage; drained: in
 *  its segment's file. Consumers read up to the high watermark, which counts durable ends
 *  (logic/replica.h); bytes between drained and appended end are served from memory.
 *
 * A log is opened at first use (log_open), by a flow that reads the folder and the end of the
 * newest segment. Nothing is prepared for an idle one. Everything here runs on the log's core. */
#include "base/bytes.h"
#include "base/error.h"
#include "reactor/core.h"
#include <stdint.h>

struct store;
struct segment;
struct piece;
struct log;

enum log_state {
    LOG_CLOSED, /* not read from disk yet */
    LOG_OPENING,
    LOG_OPEN,
    LOG_FAILED, /* its folder can't be read or was fenced: every call returns log->error */
};

/* What a topic may set. Borrowed by the log; must outlive it. */
struct log_settings {
    int64_t segment_bytes;        /* roll beyond it */
    int32_t index_interval_bytes; /* an index entry at most every so many bytes */
    int32_t index_bytes;          /* roll when one of the indexes would be larger */
    int64_t segment_ms;           /* roll when it is older, by its records (storage/roll.h) */
    int64_t segment_jitter_ms;    /* or so much younger, chosen for each */
    int64_t retention_ms, retention_bytes; /* of records; negative: no limit */
    int64_t file_delete_delay_ms;          /* from a segment's name to its files */
    bool deletes; /* records may go by age, size or request (cleanup.policy has delete) */
    /* compaction; see cleaner_consider */
    bool compact;
    double min_dirty_ratio; /* of dirty bytes to all, above which it is due */
    int64_t min_compaction_lag_ms, max_compaction_lag_ms;
    int64_t delete_retention_ms; /* of tombstones */
};

struct log_append_result {
    int64_t base_offset; /* of the first record */
    int64_t end_offset;  /* after the last: durable once log->durable_end reaches it */
    int64_t log_start_offset;
    int64_t timestamp_ms; /* of a duplicate: max timestamp of the original */
    bool is_duplicate;
};

/* Appends whole, validated record batches (client/protocol/batch.h): gives them offsets and
 * `leader_epoch` in the one copy into the journal block. Nothing is acknowledged yet: wait until
 * durable_end ≥ ret->end_offset (log_await_durable).
 * ERROR_WOULD_WAIT: the journal or the memory is full; park in log_room(log) and call again.
 * DUPLICATE_SEQUENCE_NUMBER: the batch is one of its producer's last ones: nothing is appended,
 * *ret tells the original's offsets, which may not be durable yet either.
 * OUT_OF_ORDER_SEQUENCE_NUMBER and other refusals of producers: see producers_handle
 * (logic/producers.h). MESSAGE_TOO_LARGE: more than fits a journal. KAFKA_STORAGE_ERROR: failed,
 * fenced, or refused while the disk is full (space.h). */
enum error log_append(struct log *log, struct bytes batches, int32_t leader_epoch,
                      struct log_append_result *ret);

/* Appends as a follower: whole batches as the leader has them, with their offsets and leader
 * epochs, which stay; sequences are not checked, for the leader has done so, but noted. The first
 * begins at the appended end or, where the leader's log was compacted, above it. Their CRCs are
 * checked (KAFKA-13149). CORRUPT_MESSAGE: not whole batches, or damaged ones. OFFSET_OUT_OF_RANGE:
 * offsets below the end, or not ascending. Others as log_append; nothing is changed by any. */
enum error log_append_follower(struct log *log, struct bytes batches,
                               struct log_append_result *ret);

/* The list to park in (waiter_park) after ERROR_WOULD_WAIT. */
struct list *log_room(struct log *log);

/* Opens the log if it is closed. ERROR_NONE: it is open. ERROR_WOULD_WAIT: `waiter` has been parked
 * for `flow`; call again when woken. Another error: it has failed. */
enum error log_open(struct log *log, struct waiter *waiter, struct flow *flow);

/* One read: arguments, then results. Owned by the caller until log_read_done. */
enum { LOG_READ_PARTS = 16 };
struct log_read {
    /* arguments */
    struct log *log;
    int64_t offset;     /* the first wanted; a batch that holds it is returned whole */
    int64_t end_offset; /* only batches that lie wholly below, e.g. the high watermark */
    int32_t max_bytes;
    bool at_least_one; /* the first batch even if larger than max_bytes (KIP-74) */
    /* results */
    enum error error;    /* OFFSET_OUT_OF_RANGE, KAFKA_STORAGE_ERROR, ... */
    int32_t size;        /* bytes in all parts; 0 when there is nothing at or after offset */
    int64_t next_offset; /* behind the last record in them: below end_offset, there is more */
    int32_t parts_count;
    struct bytes parts[LOG_READ_PARTS];
    /* inside */
    struct buffer *buffers[LOG_READ_PARTS + 1];
    struct op op;
    struct file_stat stat;
    struct waiter waiter;
    struct segment *segment;
    int64_t position;
    int32_t state, wanted;
    int32_t cold_bytes;  /* of store->cold that it holds (cold_reads.h) */
    uint8_t cold_source; /* enum cold_source: it holds them of, or waits for */
    bool cold_woken;     /* it has waited for them */
    bool not_cached;     /* what it is about to read does not all lie in the page cache */
    bool looked;         /* at something that it has read there, since it chose where to begin */
    bool believed;       /* the position is known to be a batch's beginning */
    bool hinted;         /* the position is where the last read ended */
    bool proving;        /* by a sidecar (log_prove.h) */
    int64_t proved;      /* all before it is */
};

/* Takes the next part of a read's work; call it in a step of `flow`. True: done, results are set.
 * False: it waits (a hold was taken on `flow`): return STEP_AGAIN and call it again. */
bool log_read_step(struct log_read *read, struct flow *flow);

/* Gives back what the results lie in. Also after errors; more than once does no harm. */
void log_read_done(struct log_read *read);
