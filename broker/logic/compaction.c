#include "logic/compaction.h"
#include "base/check.h"
#include "base/mutant.h"

/* ---- which log, which segments ------------------------------------------------------------- */

static int64_t end_of(const struct compaction_view *view, int32_t index)
{
    return view->segments[index + 1].base_offset;
}

static int64_t first_dirty_of(const struct compaction_view *view)
{
    bool known = view->cleaned_end >= view->log_start && view->cleaned_end <= view->log_end;
    return known ? view->cleaned_end : view->log_start;
}

/* May the segment be read and rewritten at all? */
static bool is_cleanable(const struct compaction_view *view, int32_t index, int64_t first_dirty)
{
    const struct compaction_segment *segment = &view->segments[index];
    const struct compaction_rules *rules = view->rules;
    if (!segment->settled)
        return false;
    if (end_of(view, index) > view->stable_end && !MUTANT(compact_past_high_watermark))
        return false;
    bool young = rules->min_lag_ms > 0 &&
                 (view->doubts_clock || segment->newest_ms > view->now_ms - rules->min_lag_ms);
    return !young || end_of(view, index) <= first_dirty;
}

static bool is_overdue(const struct compaction_view *view, const struct compaction_segment *segment)
{
    int64_t lag_ms = view->rules->max_lag_ms;
    return lag_ms < INT64_MAX && segment->first_ms > 0 && segment->first_ms < view->now_ms - lag_ms;
}

static int64_t later_by(int64_t from_ms, int64_t lag_ms)
{
    int64_t sum;
    return __builtin_add_overflow(from_ms, lag_ms, &sum) ? INT64_MAX : sum;
}

/* When the first of the dirty segments before `end` is overdue, or the one there is not too young
 * any more. */
static int64_t due_ms_of(const struct compaction_view *view, const struct compaction_range *range)
{
    const struct compaction_rules *rules = view->rules;
    const struct compaction_segment *next = &view->segments[range->segments_end];
    int64_t due_ms = INT64_MAX;
    for (int32_t i = 0; i < range->segments_end && rules->max_lag_ms < INT64_MAX; i++)
        if (end_of(view, i) > range->first_dirty && view->segments[i].first_ms > 0)
            due_ms = min_i64(due_ms,
                             later_by(later_by(view->segments[i].first_ms, rules->max_lag_ms), 1));
    if (range->segments_end + 1 == view->segment_count)
        return due_ms;
    if (!next->settled)
        return INT64_MIN;
    if (end_of(view, range->segments_end) > view->stable_end)
        return due_ms;
    if (view->doubts_clock)
        return INT64_MIN;
    return min_i64(due_ms, later_by(next->newest_ms, rules->min_lag_ms));
}

void compaction_look(const struct compaction_view *view, struct compaction_range *ret)
{
    *ret = (struct compaction_range){.first_dirty = first_dirty_of(view)};
    if (view->segment_count == 0) {
        ret->uncleanable = ret->first_dirty;
        ret->due_ms = INT64_MAX;
        return;
    }
    int32_t end = 0;
    while (end + 1 < view->segment_count && is_cleanable(view, end, ret->first_dirty)) {
        const struct compaction_segment *segment = &view->segments[end];
        if (end_of(view, end) <= ret->first_dirty) {
            ret->clean_bytes += segment->size_bytes;
        } else {
            ret->dirty_bytes += segment->size_bytes;
            ret->overdue |= is_overdue(view, segment);
        }
        end++;
    }
    ret->segments_end = end;
    ret->uncleanable = max_i64(view->segments[end].base_offset, ret->first_dirty);
    int64_t all = ret->clean_bytes + ret->dirty_bytes;
    ret->dirty_ratio = all > 0 ? (double)ret->dirty_bytes / (double)all : 0;
    ret->overdue &= ret->dirty_bytes > 0;
    ret->due = ret->overdue || ret->dirty_ratio > view->rules->min_dirty_ratio;
    ret->due_ms = ret->due ? INT64_MIN : due_ms_of(view, ret);
}

bool compaction_is_before(const struct compaction_range *a, const struct compaction_range *b)
{
    if (a->overdue != b->overdue)
        return a->overdue;
    return a->dirty_ratio > b->dirty_ratio;
}

int32_t compaction_group_end(const struct compaction_segment *segments, int32_t first, int32_t end,
                             const struct compaction_limits *limits)
{
    check(first < end);
    int64_t size_bytes = 0, index_bytes = 0;
    int32_t at = first;
    for (; at < end; at++) {
        size_bytes += segments[at].size_bytes;
        index_bytes += segments[at].index_bytes;
        bool fits = size_bytes <= limits->segment_bytes && index_bytes <= limits->index_bytes &&
                    segments[at + 1].base_offset - segments[first].base_offset <= INT32_MAX;
        if (at > first && !fits)
            break;
    }
    return at;
}

/* ---- which records ------------------------------------------------------------------------- */

/* Of a tombstone, or a marker, that is on its way out: is its time over? */
static bool has_passed(const struct compaction *compaction, int64_t horizon_ms)
{
    return horizon_ms >= 0 && compaction->now_ms >= horizon_ms && !compaction->doubts_clock;
}

/* May the batch's records go whatever their keys are: aborted, or a marker of nothing. */
static bool may_discard(struct compaction *compaction, const struct batch *batch)
{
    compaction->keeps_aborted = false;
    if (batch->attributes & BATCH_CONTROL)
        return compaction_transactions_marker(
            compaction->transactions, batch, &compaction->kept_aborted, &compaction->keeps_aborted);
    return compaction_transactions_batch(compaction->transactions, batch);
}

enum error compaction_map(struct compaction *compaction, const struct batch *batch,
                          int64_t first_dirty, struct arena *arena, bool *ret_full)
{
    struct offset_map *map = compaction->map;
    *ret_full = false;
    bool discard = may_discard(compaction, batch);
    if (!discard && !(batch->attributes & BATCH_CONTROL)) {
        struct batch_iterator iterator;
        struct record record;
        enum error error = batch_iterate(batch, arena, &iterator);
        if (error)
            return error;
        while (batch_next(&iterator, &record)) {
            if (record.offset < first_dirty)
                continue;
            if (record.key.size >= 0 && !offset_map_put(map, record.key, record.offset)) {
                *ret_full = true;
                return ERROR_NONE;
            }
            map->latest = max_i64(map->latest, record.offset);
        }
        if (iterator.reader.error)
            return iterator.reader.error;
    }
    if (batch_last_offset(batch) >= first_dirty)
        map->latest = max_i64(map->latest, batch_last_offset(batch));
    return ERROR_NONE;
}

/* Is the batch what a producer that is alive would lose its last sequence with? */
static bool is_last_of_producer(const struct compaction *compaction, const struct batch *batch)
{
    if (batch->producer_id < 0)
        return false;
    if (!compaction->producer)
        return true;
    struct compaction_producer last;
    if (!compaction->producer(compaction->context, batch->producer_id, &last))
        return false;
    if (last.is_open)
        return true;
    if (last.last_data_offset >= 0)
        return batch_last_offset(batch) == last.last_data_offset;
    return batch->attributes & BATCH_CONTROL && batch->producer_epoch == last.epoch;
}

static bool keeps_record(void *context, const struct batch *batch, const struct record *record)
{
    const struct compaction *compaction = context;
    if (compaction->discards)
        return false;
    if (batch->attributes & BATCH_CONTROL)
        return true;
    if (record->offset > compaction->map->latest)
        return true;
    if (record->key.size < 0)
        return false;
    if (record->offset < offset_map_get(compaction->map, record->key))
        return false;
    bool keeps_tombstone = !has_passed(compaction, batch_horizon_ms(batch));
    if (MUTANT(lose_tombstone_early))
        keeps_tombstone = false;
    return record->value.size >= 0 || keeps_tombstone;
}

void compaction_judge(struct compaction *compaction, const struct batch *batch, bool is_last)
{
    bool discard = may_discard(compaction, batch), marker = batch->attributes & BATCH_CONTROL;
    compaction->discards = discard && (!marker || has_passed(compaction, batch_horizon_ms(batch)));
    bool keep_header = is_last_of_producer(compaction, batch);
    if (MUTANT(drop_last_sequence))
        keep_header = false;
    int64_t new_horizon_ms;
    if (__builtin_add_overflow(compaction->now_ms, compaction->delete_retention_ms,
                               &new_horizon_ms))
        new_horizon_ms = INT64_MAX;
    if (compaction->doubts_clock)
        new_horizon_ms = -1; /* a later pass sets it */
    compaction->filter = (struct batch_filter){.keep = keeps_record,
                                               .context = compaction,
                                               .keep_header = keep_header || is_last,
                                               .set_horizon = discard && marker,
                                               .horizon_ms = new_horizon_ms};
}
