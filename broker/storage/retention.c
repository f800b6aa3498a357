#include "storage/retention.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/reached.h"
#include "logic/retention.h"
#include "storage/drain.h"
#include "storage/index_check.h"
#include "storage/log_start.h"
#include "storage/log_state.h"
#include "storage/retire.h"
#include <stdio.h>

static const int64_t look_ns = 30 * 1000000000ll; /* at the clocks */

static enum step retain(struct flow *flow);
static enum step retain_end(struct flow *flow);

static const struct flow_kind retain_flow = {"retention",
                                             {{"retain", retain}, {"end", retain_end}}};

static void retention_open(struct store *store)
{
    struct retention *retention = store->retention = memory_zeroed(sizeof *retention);
    retention->store = store;
    retention->timer = TIMER_INIT;
    list_init(&retention->logs);
    list_init(&retention->pending);
    list_init(&retention->waiters);
    retention->runs = true;
    flow_start(&retention->flow, &retain_flow, store->core);
}

void retention_consider(struct log *log)
{
    const struct log_settings *settings = log->settings;
    struct store *store = log->store;
    log->retention_due_ms = INT64_MIN;
    bool limited = settings->retention_ms >= 0 || settings->retention_bytes >= 0;
    if (!settings->deletes || !limited || log->removed) {
        list_remove(&log->retained);
        return;
    }
    if (!list_is_empty(&log->retained) || store->options.retention_check_ns <= 0 ||
        store->stopping || store->fenced)
        return;
    if (!store->retention)
        retention_open(store);
    list_push(&store->retention->logs, &log->retained);
}

bool retention_stop(struct store *store, struct waiter *waiter, struct flow *flow)
{
    struct retention *retention = store->retention;
    if (!retention || !retention->runs)
        return false;
    retention->stopping = true;
    timer_cancel(&retention->timer, store->core);
    waiter_park(waiter, &retention->waiters, flow);
    return true;
}

void retention_close(struct store *store)
{
    memory_free(store->retention);
    store->retention = NULL;
}

/* ---- one log ------------------------------------------------------------------------------- */

static void release(struct retention *retention)
{
    struct log *log = retention->log;
    retention->log = NULL;
    log->holders--;
    waiters_wake(&log->idle_waiters);
}

static bool is_over(const struct log *log)
{
    return log->removed || log->state == LOG_FAILED || log->cut || !log->settings->deletes;
}

/* Asks for the next size that is not known, where sizes count. True: it waits. */
static bool measure(struct retention *retention)
{
    struct log *log = retention->log;
    if (retention->segment) {
        struct segment *segment = retention->segment;
        retention->segment = NULL;
        segment->users--;
        waiters_wake(&log->idle_waiters);
        if (retention->op.result >= 0 && segment->size < 0)
            segment->size = segment->drained = segment->allocated = retention->stat.size_bytes;
        else if (segment->size < 0)
            return false; /* whoever reads it says more */
    }
    for (int32_t i = 0; i < log->segment_count; i++) {
        struct segment *segment = log->segments[i];
        if (segment->size >= 0 || log->settings->retention_bytes < 0)
            continue;
        char name[SEGMENT_NAME_SIZE];
        segment_name(segment->base_offset, ".log", name);
        snprintf(retention->path, sizeof retention->path, "%s/%s", log->folder, name);
        segment->users++;
        retention->segment = segment;
        retention->op = (struct op){.kind = OP_STAT,
                                    .path = retention->path,
                                    .data = &retention->stat,
                                    .flow = &retention->flow};
        file_op_start(retention->store->core, &retention->op);
        return true;
    }
    return false;
}

static void decide(const struct retention *retention, struct retention_decision *ret)
{
    const struct log *log = retention->log;
    struct retention_segment *segments =
        memory_zeroed((size_t)(log->segment_count + 1) * sizeof *segments);
    for (int32_t i = 0; i < log->segment_count; i++) {
        const struct segment *segment = log->segments[i];
        segments[i] =
            (struct retention_segment){.base_offset = segment->base_offset,
                                       .size_bytes = segment->size < 0 ? 1 : segment->size,
                                       .dated = segment->times.known,
                                       .largest_ms = segment->times.max_timestamp_ms,
                                       .begun_ms = segment->created_ms};
    }
    struct retention_view view = {
        .segments = segments,
        .segment_count = log->segment_count,
        .log_start = log->log_start,
        .log_end = log->appended_end,
        .high_watermark =
            log->committed_end ? log->committed_end(log, log->context) : log->durable_end,
        .now_ms = retention->store->core->now.wall_ms,
        .clock_holds = retention->clock_holds,
        .rules = {log->settings->retention_ms, log->settings->retention_bytes}};
    retention_decide(&view, ret);
    memory_free(segments);
}

/* Moves the log start. Where the journal has no room, another round does. */
static void carry_out(struct retention *retention, const struct retention_decision *decision)
{
    struct log *log = retention->log;
    if (decision->rolls)
        log_roll(log);
    if (decision->log_start > log->log_start &&
        log_start_at(log, decision->log_start) == ERROR_NONE)
        REACHED("records gone by retention");
    retire_request(log);
    log->retention_due_ms = retention->clock_holds ? decision->due_ms : INT64_MIN;
    log->retention_due_end = log->appended_end;
}

/* Works on retention->log. False: it waits. */
static bool look_at_log(struct retention *retention)
{
    struct log *log = retention->log;
    struct flow *flow = &retention->flow;
    if (is_over(log) && !retention->segment)
        return true;
    if (log->state != LOG_OPEN) {
        bool same = log->was_closed && log->closed_end == log->retention_due_end;
        if (same && retention->store->core->now.wall_ms < log->retention_due_ms)
            return true;
        return log_open(log, &retention->waiter, flow) != ERROR_WOULD_WAIT;
    }
    if (measure(retention))
        return false;
    struct retention_decision decision;
    decide(retention, &decision);
    if (decision.undated >= 0) {
        struct segment *segment = log->segments[decision.undated];
        enum error error = index_check(segment, &retention->waiter, flow);
        return error != ERROR_WOULD_WAIT && error != ERROR_NONE; /* rot: told by who reads it */
    }
    if (!is_over(log))
        carry_out(retention, &decision);
    return true;
}

/* ---- rounds -------------------------------------------------------------------------------- */

/* The clocks are looked at more often than the logs. */
static enum step rest(struct retention *retention)
{
    struct core *core = retention->store->core;
    int64_t check_ns = retention->store->options.retention_check_ns;
    retention->clock_holds =
        steady_clock_look(&retention->clock, core->now.monotonic_ns / 1000000, core->now.wall_ms);
    if (retention->next_round_ns == 0)
        retention->next_round_ns = core->now.monotonic_ns + check_ns;
    if (core->now.monotonic_ns >= retention->next_round_ns) {
        retention->next_round_ns = core->now.monotonic_ns + check_ns;
        list_splice(&retention->pending, &retention->logs);
        retention->in_round = true;
        return STEP_AGAIN;
    }
    int64_t until_ns = min_i64(retention->next_round_ns, core->now.monotonic_ns + look_ns);
    timer_start(&retention->timer, core, &retention->flow, until_ns);
    return STEP_AGAIN;
}

static enum step retain(struct flow *flow)
{
    struct retention *retention = CONTAINER_OF(flow, struct retention, flow);
    if (retention->stopping || retention->store->fenced)
        return STEP_FAIL;
    if (!retention->in_round)
        return rest(retention);
    if (!retention->log) {
        struct list *node = list_pop(&retention->pending);
        if (!node) {
            retention->in_round = false;
            return STEP_AGAIN;
        }
        list_push(&retention->logs, node);
        retention->log = CONTAINER_OF(node, struct log, retained);
        retention->log->holders++;
        /* now, and not when the round began: a step since then must be seen */
        retention->clock_holds = steady_clock_look(
            &retention->clock, flow->core->now.monotonic_ns / 1000000, flow->core->now.wall_ms);
    }
    if (look_at_log(retention) || is_over(retention->log))
        if (!retention->segment)
            release(retention);
    return STEP_AGAIN;
}

static enum step retain_end(struct flow *flow)
{
    struct retention *retention = CONTAINER_OF(flow, struct retention, flow);
    if (retention->segment)
        retention->segment->users--;
    retention->segment = NULL;
    if (retention->log)
        release(retention);
    retention->runs = false;
    waiters_wake(&retention->waiters);
    return STEP_NEXT;
}
