#include "storage/roll.h"
#include "base/bytes.h"
#include "base/random.h"
#include "storage/log.h"
#include "storage/log_state.h"
#include "storage/segment.h"

int64_t roll_jitter_ms(const struct log_settings *settings, uint64_t seed, int64_t base_offset)
{
    int64_t most = min_i64(settings->segment_jitter_ms, settings->segment_ms);
    if (most <= 0)
        return 0;
    struct random random;
    random_seed(&random, seed ^ (uint64_t)base_offset);
    return (int64_t)random_below(&random, (uint64_t)most);
}

static uint64_t seed_of(const struct log *log)
{
    return log ? load_be64(log->topic_id.bytes) ^ load_be64(log->topic_id.bytes + 8) ^
                     (uint64_t)log->partition << 32
               : 0;
}

int64_t roll_after_ms(const struct log_settings *settings)
{
    bool is_sooner = settings->compact && settings->max_compaction_lag_ms > 0;
    return is_sooner ? min_i64(settings->segment_ms, settings->max_compaction_lag_ms)
                     : settings->segment_ms;
}

static bool is_old(const struct segment *segment, const struct log_settings *settings,
                   const struct roll_append *append)
{
    bool by_records = segment->first_timestamp_ms >= 0;
    int64_t from_ms = by_records ? segment->first_timestamp_ms : segment->created_ms;
    int64_t to_ms = by_records ? append->max_timestamp_ms : append->now_ms;
    int64_t jitter_ms = roll_jitter_ms(settings, seed_of(segment->log), segment->base_offset);
    return to_ms > from_ms && to_ms - from_ms > roll_after_ms(settings) - jitter_ms;
}

/* The time index keeps the room of one entry, for the largest timestamp at the end. */
static bool is_index_full(const struct segment *segment, const struct log_settings *settings)
{
    int64_t times = segment->times.written + (int64_t)segment->times.pending_count;
    return segment->index_count >= settings->index_bytes / 8 ||
           times >= settings->index_bytes / TIME_ENTRY_BYTES - 1;
}

bool roll_is_due(const struct segment *segment, const struct log_settings *settings,
                 const struct roll_append *append)
{
    if (segment->size == 0)
        return false;
    return segment->size + append->size_bytes > settings->segment_bytes ||
           is_old(segment, settings, append) || is_index_full(segment, settings) ||
           append->last_offset - segment->base_offset > INT32_MAX;
}
