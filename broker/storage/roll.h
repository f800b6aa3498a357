#pragma once
/* When the newest segment of a log is closed and the next one begun: as Kafka does. */
#include <stdbool.h>
#include <stdint.h>

struct log_settings;
struct segment;

/* The batches that are to be appended. */
struct roll_append {
    int64_t size_bytes;
    int64_t last_offset;
    int64_t max_timestamp_ms; /* of all records; -1: none */
    int64_t now_ms;           /* wall clock */
};

/* Must `append` go to a new segment? Because this one would
 *  - be larger than segment_bytes,
 *  - be open longer than roll_after_ms, less this segment's share of segment_jitter_ms: from the
 *    timestamp of its first batch to that of the append, or by the clock if there are none,
 *  - need more of one of its indexes than index_bytes,
 *  - hold an offset that is more than INT32_MAX beyond its base.
 * An empty one never is. */
bool roll_is_due(const struct segment *segment, const struct log_settings *settings,
                 const struct roll_append *append);

/* segment_ms or, in a compacted log, max_compaction_lag_ms if that is less: what may not be
 * compacted later than that must be in a closed segment by then. */
int64_t roll_after_ms(const struct log_settings *settings);

/* What a segment is closed earlier by: below segment_jitter_ms and segment_ms, the same each time
 * for the same base offset and `seed` (of the log). */
int64_t roll_jitter_ms(const struct log_settings *settings, uint64_t seed, int64_t base_offset);
