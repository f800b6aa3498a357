#include "logic/retention.h"
#include "base/bytes.h"
#include "base/mutant.h"

static int64_t end_of(const struct retention_view *view, int32_t at)
{
    return at + 1 < view->segment_count ? view->segments[at + 1].base_offset : view->log_end;
}

/* May it go at all? */
static bool may_go(const struct retention_view *view, int32_t at)
{
    bool newest = at + 1 == view->segment_count;
    return end_of(view, at) <= view->high_watermark &&
           !(newest && view->segments[at].size_bytes == 0);
}

/* The first that is not wholly below the log start. */
static int32_t first_of(const struct retention_view *view)
{
    int32_t at = 0;
    while (at + 1 < view->segment_count && end_of(view, at) <= view->log_start)
        at++;
    return at;
}

static int32_t end_by_size(const struct retention_view *view, int32_t at)
{
    int64_t over = -view->rules.retention_bytes;
    if (view->rules.retention_bytes < 0)
        return at;
    for (int32_t i = at; i < view->segment_count; i++)
        over += view->segments[i].size_bytes;
    for (; at < view->segment_count && over >= view->segments[at].size_bytes && over > 0 &&
           may_go(view, at);
         at++)
        over -= view->segments[at].size_bytes;
    return at;
}

static int64_t due_ms(const struct retention_view *view, int32_t at)
{
    const struct retention_segment *segment = &view->segments[at];
    int64_t from_ms = segment->largest_ms >= 0 ? segment->largest_ms : segment->begun_ms, due;
    return __builtin_add_overflow(from_ms, view->rules.retention_ms, &due) ? INT64_MAX : due;
}

static int32_t end_by_age(const struct retention_view *view, int32_t at,
                          struct retention_decision *ret)
{
    if (view->rules.retention_ms < 0)
        return at;
    for (; at < view->segment_count; at++) {
        if (!view->segments[at].dated) {
            ret->undated = at;
            break;
        }
        bool trusted = view->clock_holds || MUTANT(retention_trusts_clock_step);
        ret->due_ms = due_ms(view, at);
        if (!trusted || view->now_ms <= ret->due_ms || !may_go(view, at))
            break;
        ret->due_ms = INT64_MAX;
    }
    return at;
}

void retention_decide(const struct retention_view *view, struct retention_decision *ret)
{
    *ret = (struct retention_decision){
        .log_start = view->log_start, .undated = -1, .due_ms = INT64_MAX};
    if (view->segment_count == 0)
        return;
    int32_t end = end_by_age(view, end_by_size(view, first_of(view)), ret);
    ret->rolls = end == view->segment_count;
    if (end > 0)
        ret->log_start = max_i64(view->log_start, end_of(view, end - 1));
}
