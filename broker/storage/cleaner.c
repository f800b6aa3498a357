#include "storage/cleaner.h"
#include "base/check.h"
#include "base/memory.h"
#include "storage/log_state.h"
#include "storage/seal.h"
#include <stdio.h>

enum { DATE_BYTES = 64 << 10 /* of batches in one step */ };

enum cleaner_state { CLEANER_REST, CLEANER_ROUND, CLEANER_LOOK, CLEANER_PASS };

static enum step clean(struct flow *flow);
static enum step clean_end(struct flow *flow);

static const struct flow_kind clean_flow = {"cleaner", {{"clean", clean}, {"end", clean_end}}};

static void cleaner_open(struct store *store)
{
    struct cleaner *cleaner = memory_zeroed(sizeof *cleaner);
    cleaner->store = store;
    store->cleaner = cleaner;
    list_init(&cleaner->logs);
    list_init(&cleaner->pending);
    list_init(&cleaner->waiters);
    list_init(&cleaner->pass_waiters);
    cleaner->timer = TIMER_INIT;
    compaction_scan_init(&cleaner->dating, store, store->options.cleaner.buffer_bytes);
    cleaner->runs = true;
    flow_start(&cleaner->flow, &clean_flow, store->core);
}

void cleaner_close(struct store *store)
{
    struct cleaner *cleaner = store->cleaner;
    if (!cleaner)
        return;
    check(!cleaner->log && !cleaner->best && !cleaner->pass);
    compaction_scan_done(&cleaner->dating);
    memory_free(cleaner);
    store->cleaner = NULL;
}

void cleaner_consider(struct log *log)
{
    struct store *store = log->store;
    log->looked.due_ms = INT64_MIN;
    if (!log->settings->compact || log->removed) {
        list_remove(&log->cleanable);
        return;
    }
    if (!list_is_empty(&log->cleanable) || !store->options.cleaner.enabled || store->stopping ||
        store->fenced)
        return;
    if (!store->cleaner)
        cleaner_open(store);
    list_push(&store->cleaner->logs, &log->cleanable);
}

bool cleaner_stop(struct store *store, struct waiter *waiter, struct flow *flow)
{
    struct cleaner *cleaner = store->cleaner;
    if (!cleaner || !cleaner->runs)
        return false;
    cleaner->stopping = true;
    timer_cancel(&cleaner->timer, store->core);
    if (cleaner->pass)
        timer_cancel(&cleaner->pass->timer, store->core);
    waiter_park(waiter, &cleaner->waiters, flow);
    return true;
}

int64_t cleaner_charge(struct cleaner *cleaner, uint64_t bytes)
{
    int64_t now_ns = cleaner->store->core->now.monotonic_ns;
    double rate = cleaner->store->options.cleaner.bytes_per_second;
    double cost_ns = rate > 0 ? (double)bytes / rate * 1e9 : 0;
    cleaner->budget_ns = max_i64(cleaner->budget_ns, now_ns);
    cleaner->budget_ns += cost_ns < 1e15 ? (int64_t)cost_ns : 1000000000000000;
    return cost_ns > 0 ? cleaner->budget_ns : now_ns;
}

bool cleaner_doubts_clock(struct cleaner *cleaner)
{
    const struct now *now = &cleaner->store->core->now;
    int64_t monotonic_ms = now->monotonic_ns / 1000000;
    (void)steady_clock_look(&cleaner->clock, monotonic_ms, now->wall_ms);
    return monotonic_ms - cleaner->clock.since_ms < cleaner->store->options.cleaner.steady_clock_ms;
}

void cleaner_pass_ended(struct cleaner *cleaner)
{
    waiters_wake(&cleaner->pass_waiters);
}

static void start_op(struct cleaner *cleaner, struct op op)
{
    cleaner->op = op;
    cleaner->op.flow = &cleaner->flow;
    file_op_start(cleaner->store->core, &cleaner->op);
}

/* ---- looking at one log -------------------------------------------------------------------- */

static void hold(struct log *log)
{
    log->holders++;
}

static void release(struct log *log)
{
    log->holders--;
    waiters_wake(&log->idle_waiters);
}

static bool may_be_looked_at(const struct log *log)
{
    return !log->removed && !log->uncleanable && !log->cleaning && !log->cut &&
           log->settings->compact && log->state != LOG_FAILED;
}

/* Seals what can be, and asks for sizes that are not known. False: an operation was started. */
static bool measure(struct cleaner *cleaner)
{
    struct log *log = cleaner->log;
    if (cleaner->segment) { /* its size is there */
        struct segment *segment = cleaner->segment;
        cleaner->segment = NULL;
        segment->users--;
        waiters_wake(&log->idle_waiters);
        if (cleaner->op.result < 0)
            log->uncleanable = true; /* whoever reads it says more */
        else if (segment->size < 0)
            segment->size = segment->drained = segment->allocated = cleaner->stat.size_bytes;
    }
    for (int32_t i = 0; i + 1 < log->segment_count && !log->uncleanable; i++) {
        struct segment *segment = log->segments[i];
        int32_t handle = -1;
        if (seal_closed_segment(segment, &handle) && handle >= 0) {
            start_op(cleaner, (struct op){.kind = OP_CLOSE, .handle = handle});
            return false;
        }
        if (segment->size >= 0)
            continue;
        char name[SEGMENT_NAME_SIZE];
        segment_name(segment->base_offset, ".log", name);
        snprintf(cleaner->path, sizeof cleaner->path, "%s/%s", log->folder, name);
        cleaner->segment = segment;
        segment->users++;
        start_op(cleaner,
                 (struct op){.kind = OP_STAT, .path = cleaner->path, .data = &cleaner->stat});
        return false;
    }
    return true;
}

/* The times of dirty segments, where a lag is set that needs them. False: it waits. */
static bool date(struct cleaner *cleaner)
{
    struct log *log = cleaner->log;
    struct compaction_scan *scan = &cleaner->dating;
    struct flow *flow = &cleaner->flow;
    bool needed = log->settings->min_compaction_lag_ms > 0 ||
                  log->settings->max_compaction_lag_ms < INT64_MAX;
    int64_t bytes = 0;
    for (int32_t i = 0; needed && !log->uncleanable;) {
        while (!scan->segment && i + 1 < log->segment_count &&
               (log->segments[i]->dated || !log->segments[i]->sealed ||
                log->segments[i + 1]->base_offset <= log->cleaned_end))
            i++;
        if (!scan->segment && i + 1 >= log->segment_count)
            break;
        if (!scan->segment) {
            compaction_scan_begin(scan, log->segments[i]);
            scan->segment->first_ms = scan->segment->newest_ms = -1;
        }
        struct segment *segment = scan->segment;
        struct batch batch;
        switch (compaction_scan_step(scan, flow, &batch)) {
        case COMPACTION_SCAN_WAITS:
            return false;
        case COMPACTION_SCAN_BATCH:
            if (segment->first_ms < 0)
                segment->first_ms = batch.base_timestamp;
            segment->newest_ms = max_i64(segment->newest_ms, batch.max_timestamp);
            bytes += batch.whole.size;
            if (bytes < DATE_BYTES)
                continue;
            timer_start(&cleaner->timer, flow->core, flow,
                        cleaner_charge(cleaner, (uint64_t)bytes));
            return false;
        case COMPACTION_SCAN_FAILED:
            log->uncleanable = true;
            /* fall through */
        case COMPACTION_SCAN_END:
            segment->dated = true;
            if (!compaction_scan_close(scan, flow))
                return false;
        }
    }
    return true;
}

/* Is all that a journal may say of it, after a crash, older than both of its anchors? Both, since
 * one of them may rot. */
static bool is_settled(const struct log *log, const struct segment *segment)
{
    const struct journal *journal = &log->store->journal;
    return segment->touched_sequence < journal->anchor_sequences[0];
}

static int64_t committed_end(const struct log *log)
{
    return log->committed_end ? log->committed_end(log, log->context) : 0;
}

/* Notes what the look found, if the log is at rest: then nothing changes it, before it is closed or
 * after, but what moves one of its ends. */
static void note_look(struct log *log, const struct compaction_range *range)
{
    bool rests = log_rests(log, NULL) && list_is_empty(&log->retire_link);
    log->looked.due_ms = rests ? range->due_ms : INT64_MIN;
    log->looked.start = log->log_start;
    log->looked.end = log->appended_end;
    log->looked.committed_end = committed_end(log);
    log->looked.dirty_ratio = range->dirty_ratio;
}

/* Is it closed, and as the last look found it, and is nothing due yet? */
static bool is_still(const struct log *log)
{
    return log->state == LOG_CLOSED && log->was_closed &&
           log->store->core->now.wall_ms < log->looked.due_ms &&
           log->looked.start == log->log_start && log->looked.end == log->closed_end &&
           log->looked.committed_end == committed_end(log);
}

static void note_ratio(struct cleaner *cleaner, double dirty_ratio)
{
    if (dirty_ratio > cleaner->round_ratio_max)
        cleaner->round_ratio_max = dirty_ratio;
}

static struct compaction_rules rules_of(const struct log *log)
{
    return (struct compaction_rules){
        .min_dirty_ratio = log->settings->min_dirty_ratio,
        .min_lag_ms = log->settings->min_compaction_lag_ms,
        .max_lag_ms = log->settings->max_compaction_lag_ms,
        .delete_retention_ms = log->settings->delete_retention_ms,
    };
}

/* Judges the log that was measured; remembers it if it is the dirtiest so far. */
static void judge(struct cleaner *cleaner)
{
    struct log *log = cleaner->log;
    struct compaction_segment *segments =
        memory_zeroed((size_t)(log->segment_count + 1) * sizeof *segments);
    for (int32_t i = 0; i < log->segment_count; i++) {
        const struct segment *segment = log->segments[i];
        bool settled = segment->sealed && is_settled(log, segment);
        if (segment->sealed && !settled)
            cleaner->wants_anchor = true;
        if (settled && i + 1 < log->segment_count &&
            !producer_state_is_saved(log, log->segments[i + 1]->base_offset)) {
            settled = false;
            producer_state_save(log);
        }
        segments[i] =
            (struct compaction_segment){.base_offset = segment->base_offset,
                                        .size_bytes = segment->size,
                                        .first_ms = segment->dated ? segment->first_ms : -1,
                                        .newest_ms = segment->dated ? segment->newest_ms : -1,
                                        .settled = settled};
    }
    struct compaction_rules rules = rules_of(log);
    struct compaction_view view = {
        .segments = segments,
        .segment_count = log->segment_count,
        .log_start = log->log_start,
        .log_end = log->appended_end,
        .cleaned_end = log->cleaned_end,
        .stable_end = log->stable_end ? log->stable_end(log, log->context) : log->durable_end,
        .now_ms = cleaner->store->core->now.wall_ms,
        .doubts_clock = cleaner_doubts_clock(cleaner),
        .rules = &rules};
    struct compaction_range range;
    compaction_look(&view, &range);
    memory_free(segments);
    note_ratio(cleaner, range.dirty_ratio);
    note_look(log, &range);
    if (!range.due || (cleaner->best && !compaction_is_before(&range, &cleaner->best_range)))
        return;
    if (cleaner->best)
        release(cleaner->best);
    cleaner->best = log;
    cleaner->best_range = range;
    hold(log);
}

/* Works on cleaner->log. False: it waits. */
static bool look_at_log(struct cleaner *cleaner)
{
    struct log *log = cleaner->log;
    if (!may_be_looked_at(log) && !cleaner->segment && !cleaner->dating.segment)
        return true;
    if (is_still(log)) {
        note_ratio(cleaner, log->looked.dirty_ratio);
        return true;
    }
    if (log->state != LOG_OPEN) {
        enum error error = log_open(log, &cleaner->waiter, &cleaner->flow);
        return error != ERROR_WOULD_WAIT;
    }
    if (!cleaner->dating.segment && !measure(cleaner))
        return false;
    if (!date(cleaner))
        return false;
    if (may_be_looked_at(log))
        judge(cleaner);
    return true;
}

/* ---- rounds -------------------------------------------------------------------------------- */

static enum step rest(struct cleaner *cleaner)
{
    struct flow *flow = &cleaner->flow;
    cleaner->state = CLEANER_ROUND;
    timer_start(&cleaner->timer, flow->core, flow,
                flow->core->now.monotonic_ns + cleaner->store->options.cleaner.backoff_ns);
    return STEP_AGAIN;
}

static enum step begin_round(struct cleaner *cleaner)
{
    if (!cleaner->seeded) /* not sooner: the journal has a salt by now */
        random_seed(&cleaner->random, cleaner->store->journal.salt);
    cleaner->seeded = true;
    list_splice(&cleaner->pending, &cleaner->logs);
    cleaner->round_ratio_max = 0;
    (void)cleaner_doubts_clock(cleaner); /* it is looked at in every round */
    cleaner->wants_anchor = false;
    cleaner->state = CLEANER_LOOK;
    return STEP_AGAIN;
}

static enum step end_round(struct cleaner *cleaner)
{
    struct log *best = cleaner->best;
    cleaner->best = NULL;
    cleaner->counters.dirty_ratio_max = cleaner->round_ratio_max;
    if (cleaner->wants_anchor)
        checkpoint_request(cleaner->store, false);
    bool good = best && may_be_looked_at(best) && best->state == LOG_OPEN;
    if (good) {
        struct compaction_pass *pass = memory_zeroed(sizeof *pass);
        pass->cleaner = cleaner;
        pass->log = best;
        pass->range = cleaner->best_range;
        cleaner->pass = pass;
        cleaner->state = CLEANER_PASS;
        compaction_pass_start(pass);
        waiter_park(&cleaner->waiter, &cleaner->pass_waiters, &cleaner->flow);
    }
    if (best)
        release(best);
    return good ? STEP_AGAIN : rest(cleaner);
}

static enum step look(struct cleaner *cleaner)
{
    if (!cleaner->log) {
        struct list *node = list_pop(&cleaner->pending);
        if (!node)
            return end_round(cleaner);
        list_push(&cleaner->logs, node);
        cleaner->log = CONTAINER_OF(node, struct log, cleanable);
        hold(cleaner->log);
    }
    if (!look_at_log(cleaner))
        return STEP_AGAIN;
    release(cleaner->log);
    cleaner->log = NULL;
    return STEP_AGAIN;
}

static enum step end_pass(struct cleaner *cleaner)
{
    struct compaction_pass *pass = cleaner->pass;
    struct cleaner_counters *counters = &cleaner->counters;
    bool failed = pass->error != ERROR_NONE;
    counters->passes += !failed;
    counters->failed_passes += failed && pass->error != ERROR_CANCELLED;
    counters->read_bytes += pass->read_bytes;
    counters->written_bytes += pass->written_bytes;
    cleaner->pass = NULL;
    memory_free(pass);
    cleaner->state = CLEANER_ROUND;
    return failed ? rest(cleaner) : STEP_AGAIN;
}

static enum step clean(struct flow *flow)
{
    struct cleaner *cleaner = CONTAINER_OF(flow, struct cleaner, flow);
    if (cleaner->state == CLEANER_PASS)
        return end_pass(cleaner);
    if (cleaner->stopping || cleaner->store->fenced)
        return STEP_FAIL;
    switch ((enum cleaner_state)cleaner->state) {
    case CLEANER_REST:
        return rest(cleaner);
    case CLEANER_ROUND:
        return begin_round(cleaner);
    default:
        return look(cleaner);
    }
}

static enum step clean_end(struct flow *flow)
{
    struct cleaner *cleaner = CONTAINER_OF(flow, struct cleaner, flow);
    if (!compaction_scan_close(&cleaner->dating, flow))
        return STEP_AGAIN;
    if (cleaner->segment)
        cleaner->segment->users--;
    cleaner->segment = NULL;
    if (cleaner->log)
        release(cleaner->log);
    if (cleaner->best)
        release(cleaner->best);
    cleaner->log = cleaner->best = NULL;
    cleaner->runs = false;
    waiters_wake(&cleaner->waiters);
    return STEP_NEXT;
}
