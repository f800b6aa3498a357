#include "storage/log_close.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "storage/handles.h"
#include "storage/log_start.h"
#include "storage/log_state.h"
#include "storage/store.h"

void log_is_used(struct log *log)
{
    log->used_ns = log->store->core->now.monotonic_ns;
    list_remove(&log->opened);
    list_push(&log->store->opened, &log->opened);
}

static bool nobody_waits(const struct log *log)
{
    return list_is_empty(&log->open_waiters) && list_is_empty(&log->idle_waiters);
}

/* But for its producers. Segments that are to go keep it open: nobody would look at them. */
static bool is_idle(const struct log *log)
{
    return log->state == LOG_OPEN && !log->removed && !log->cut && log->holders == 0 &&
           log->retiring == 0 && list_is_empty(&log->retire_link) && log_start_is_durable(log) &&
           list_is_empty(&log->ready) && nobody_waits(log) && log_rests(log, NULL);
}

static bool owes_sidecars(const struct log *log)
{
    for (int32_t i = 0; i < log->segment_count; i++)
        if (!list_is_empty(&log->segments[i]->sidecar_due) || log->segments[i]->sidecar_job)
            return true;
    return false;
}

static bool may_close(const struct log *log)
{
    return is_idle(log) && list_is_empty(&log->unsettled) && !producer_state_lags(log) &&
           !owes_sidecars(log);
}

/* A snapshot of its producers, if that is what it lacks: a drain writes it. */
static void want_snapshot(struct log *log)
{
    if (is_idle(log) && producer_state_lags(log))
        producer_state_save(log);
}

/* Frees what an opening makes again. Its handles have been closed. */
static void forget(struct log *log)
{
    for (int32_t i = 0; i < log->segment_count; i++)
        segment_free(log->segments[i]);
    memory_free(log->segments);
    log->segments = NULL;
    log->segment_count = log->segment_capacity = 0;
    epochs_free(&log->epochs);
    log->epochs = (struct epochs){0};
    log->epochs_written = 0;
    log->epochs_cut = log->epochs_file = log->folder_exists = false;
    producer_state_reset(log);
    log->state = LOG_CLOSED;
    log->was_closed = true;
    log->closed_end = MUTANT(reopen_forgets_ends) ? log->log_start : log->appended_end;
    log->durable_end = log->appended_end = 0; /* as of one that was never open */
    list_remove(&log->opened);
    log->store->counters.logs_closed++;
    REACHED("an idle log closed");
}

/* The next open handle of the log, taken from it; -1: none is left. */
static int32_t take_handle(struct log *log)
{
    int32_t handle = -1;
    for (int32_t i = 0; i < log->segment_count && handle < 0; i++) {
        struct segment *segment = log->segments[i];
        handle =
            handle_take(segment, segment->handle >= 0 ? &segment->handle : &segment->read_handle);
    }
    return handle;
}

bool log_close_idle(struct store *store, struct op *op, struct flow *flow)
{
    int64_t now_ns = store->core->now.monotonic_ns, idle_ns = store->options.log_idle_ns;
    while (idle_ns > 0 && !list_is_empty(&store->opened)) {
        struct log *log = CONTAINER_OF(store->opened.next, struct log, opened);
        if (now_ns - log->used_ns < idle_ns)
            break;
        if (!may_close(log)) {
            want_snapshot(log);
            log_is_used(log); /* once more after the same time */
            continue;
        }
        int32_t handle = take_handle(log);
        if (handle < 0) {
            forget(log);
            continue;
        }
        *op = (struct op){.kind = OP_CLOSE, .flow = flow, .handle = handle};
        file_op_start(store->core, op);
        return true;
    }
    return false;
}

bool log_ends_are_as_before(const struct log *log)
{
    int64_t first = log->segment_count ? log->segments[0]->base_offset : 0;
    return (log->appended_end == log->closed_end && first <= log->log_start) ||
           MUTANT(reopen_forgets_ends);
}
