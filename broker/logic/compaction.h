#pragma once
/* What compaction decides: which log is dirtiest, which of its segments may be rewritten and which
 * of them together, and which records stay. Kafka's rules (LogCleaner), KIP-354 (max lag), KIP-534
 * (delete horizon). Pure.
 *
 *   log start ≤ first dirty ≤ uncleanable ≤ min(high watermark, last stable offset, active base)
 *   [ clean: cleaned before ][ dirty: its keys make the map ][ not touched ]
 *
 * Invariants
 *  1. Nothing at or above the first uncleanable offset is read into a map or rewritten.
 *  2. A record goes only if the map has a newer one of its key, it is a tombstone past its batch's
 *     horizon, its transaction was aborted, or it has no key.
 *  3. What lies above the newest offset of the map stays as it is. */
#include "logic/compaction_transactions.h"
#include "logic/offset_map.h"
#include "protocol/batch_filter.h"

/* What a topic may set. */
struct compaction_rules {
    double min_dirty_ratio;      /* min.cleanable.dirty.ratio */
    int64_t min_lag_ms;          /* min.compaction.lag.ms */
    int64_t max_lag_ms;          /* max.compaction.lag.ms */
    int64_t delete_retention_ms; /* delete.retention.ms */
};

/* A segment, as choices see it. Its end is the base of the next one. */
struct compaction_segment {
    int64_t base_offset, size_bytes, index_bytes;
    int64_t first_ms, newest_ms; /* of the first batch; the largest; -1 none or not known */
    bool settled;                /* closed, flushed, and no journal says anything of it */
};

/* A log, as choices see it. */
struct compaction_view {
    const struct compaction_segment *segments; /* by base; the last one is active */
    int32_t segment_count;
    int64_t log_start, log_end;
    int64_t cleaned_end; /* of the last pass: the first dirty offset then; -1 none */
    int64_t stable_end;  /* high watermark or last stable offset, whichever is lower */
    int64_t now_ms;
    bool doubts_clock; /* now_ms may be wrong: what is to stay for some time is young */
    const struct compaction_rules *rules;
};

/* What there is to do for a log. */
struct compaction_range {
    int64_t first_dirty, uncleanable;
    int32_t segments_end; /* segments before it lie wholly below `uncleanable` */
    int64_t clean_bytes, dirty_bytes;
    double dirty_ratio; /* of dirty to all that may be rewritten; 0 where there is nothing */
    bool overdue;       /* something dirty is older than max_lag_ms */
    bool due;
    /* Before it, by the wall clock, nothing will be due unless the log changes or its stable end
     * moves. INT64_MIN: something is, or waits for its segment to be settled; INT64_MAX: never. */
    int64_t due_ms;
};

void compaction_look(const struct compaction_view *view, struct compaction_range *ret);

/* Is `a` to be compacted before `b`? What is overdue first, then what is dirtiest. */
bool compaction_is_before(const struct compaction_range *a, const struct compaction_range *b);

/* What a rewritten segment may be at most. */
struct compaction_limits {
    int64_t segment_bytes, index_bytes;
};

/* Segments from `first` on, below `end`, that are rewritten into one: the index after the last of
 * them, at least first + 1. */
int32_t compaction_group_end(const struct compaction_segment *segments, int32_t first, int32_t end,
                             const struct compaction_limits *limits);

/* ---- the records -------------------------------------------------------------------------- */

/* The last that a producer wrote, if it is alive (has not expired). */
struct compaction_producer {
    int64_t last_data_offset; /* of its last data batch's last record; -1: only markers are known */
    int16_t epoch;
    bool is_open; /* all that is known of it may be lost yet: any batch may become its last one */
};

/* One pass over one log. Everything is borrowed. */
struct compaction {
    struct offset_map *map;
    struct compaction_transactions *transactions;
    int64_t now_ms, delete_retention_ms;
    bool doubts_clock; /* now_ms may be wrong: no horizon is set, and none has passed */
    /* False: the producer is not alive. Null: whatever has a producer id counts as its last, so
     * that no state is lost. */
    bool (*producer)(void *context, int64_t producer_id, struct compaction_producer *ret);
    void *context;
    /* of the batch that was judged last */
    bool discards; /* none of its records stays */
    struct batch_filter filter;
    struct compaction_aborted kept_aborted; /* to go into the new transaction index */
    bool keeps_aborted;
};

/* Takes a batch of the dirty part into the map: the keys of its records from `first_dirty` on,
 * unless it is a marker or was aborted. *ret_full: a key found no room; map->latest says up to
 * where the map is whole, and the pass ends there. Errors are those of batch_iterate and of its
 * records. Call compaction_transactions_init before the first. */
enum error compaction_map(struct compaction *compaction, const struct batch *batch,
                          int64_t first_dirty, struct arena *arena, bool *ret_full);

/* Judges a batch: sets up compaction->filter for batch_filter. `is_last`: it is the last one of
 * what is rewritten into one file, and stays at least as a header, so that the file tells where it
 * ends. Batches are judged in the order of their offsets, each once. */
void compaction_judge(struct compaction *compaction, const struct batch *batch, bool is_last);
