#include "storage/retire.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "storage/folder_script.h"
#include "storage/handles.h"
#include "storage/log_start.h"
#include "storage/log_state.h"
#include "storage/seal.h"
#include "storage/store.h"
#include <stdio.h>

enum {
    TAKEN_MOST = 32,           /* segments in one go */
    REMOVED_AT_ONCE = 8,       /* files' segments, then the other flows have their turn */
    RETRY_NS = 200000000,      /* where something else is at work on the log */
    REMOVE_PAUSE_NS = 1000000, /* between removals */
    STOP_ROUNDS = 20,          /* looks while the store stops */
};

enum {
    LOOK,
    CLOSE,
    CREATE_FILE,
    CLOSE_FILE,
    SNAPSHOT,
    FLUSH_SNAPSHOT,
    CLOSE_SNAPSHOT,
    NAMES,
    TOLD
};

/* Files that wait to be removed. */
struct retired {
    struct list link;
    int64_t due_ns, base_offset;
    char folder[];
};

struct retirer {
    struct store *store;
    struct flow flow;
    struct timer timer;
    struct waiter waiter;
    struct list logs, later; /* of struct log.retire_link: to be looked at, now and again */
    struct list removals;    /* of struct retired, by due_ns */
    struct list waiters;     /* for it to have nothing to do */
    struct log *log;         /* at work on it; held */
    struct segment *taken[TAKEN_MOST];
    int32_t taken_count, at;
    struct folder_script names, files;
    struct op op;
    bool runs, stopping, wants_anchor, wants_snapshot, resting, removing;
    bool uncommitted; /* the log looked at last: only the high watermark can let it go on */
    uint8_t state;
    int32_t stop_rounds;
    char path[1100];
};

static enum step retire_step(struct flow *flow);
static enum step retire_end(struct flow *flow);

static const struct flow_kind retire_flow = {"retire",
                                             {{"retire", retire_step}, {"end", retire_end}}};

static void retire_open(struct store *store)
{
    struct retirer *retirer = store->retirer = memory_zeroed(sizeof *retirer);
    retirer->store = store;
    retirer->timer = TIMER_INIT;
    list_init(&retirer->logs);
    list_init(&retirer->later);
    list_init(&retirer->removals);
    list_init(&retirer->waiters);
}

static void start_op(struct retirer *retirer, uint8_t next, struct op op)
{
    retirer->state = next;
    retirer->op = op;
    retirer->op.flow = &retirer->flow;
    file_op_start(retirer->store->core, &retirer->op);
}

/* How many segments lie wholly below the log start. */
static int32_t segments_below(const struct log *log)
{
    int32_t count = 0;
    while (count + 1 < log->segment_count &&
           log->segments[count + 1]->base_offset <= log->log_start)
        count++;
    return count;
}

void retire_request(struct log *log)
{
    struct store *store = log->store;
    if (log->state != LOG_OPEN || log->removed || store->fenced || segments_below(log) == 0)
        return;
    if (!store->retirer)
        retire_open(store);
    struct retirer *retirer = store->retirer;
    if (list_is_empty(&log->retire_link))
        list_push(&retirer->logs, &log->retire_link);
    if (!retirer->runs) {
        retirer->runs = true;
        flow_start(&retirer->flow, &retire_flow, store->core);
    } else if (retirer->resting) {
        timer_cancel(&retirer->timer, store->core);
    }
}

/* ---- what may go --------------------------------------------------------------------------- */

/* The oldest snapshot of producers at or beyond `offset` that is known to be whole; -1: there is
 * none. */
static int64_t snapshot_beyond(const struct log *log, int64_t offset)
{
    const struct producer_state *state = &log->producers;
    for (int32_t i = 0; i < state->snapshot_count; i++)
        if (state->snapshots[i] >= max_i64(offset, state->proven))
            return state->snapshots[i];
    return -1;
}

/* Could a cut still take away the snapshot at `offset`? */
static bool is_uncommitted(const struct log *log, int64_t offset)
{
    return log->committed_end && offset > log->committed_end(log, log->context);
}

/* Is all that is said below `end` of producers told elsewhere, for good? If not, what to wait for
 * is noted: where there is a snapshot already, a newer one would not be committed sooner. */
static bool is_saved(struct retirer *retirer, const struct log *log, int64_t end)
{
    int64_t snapshot = snapshot_beyond(log, end);
    bool told = producer_state_is_saved(log, end) &&
                (log->producers.table.by_id.count == 0 || snapshot >= 0);
    bool uncommitted =
        told && log->producers.table.by_id.count > 0 && is_uncommitted(log, snapshot);
    retirer->wants_snapshot |= !told;
    retirer->uncommitted |= uncommitted;
    return told && !uncommitted;
}

static bool is_closed(const struct segment *segment)
{
    return segment->sealed && list_is_empty(&segment->dirty) && list_is_empty(&segment->flushed) &&
           !segment->check && !segment->sidecar_job && !segment->swapping;
}

/* Does a live block cut the log? Carried out once more it takes away what was written beyond the
 * end that the log had then, and a snapshot written since is in no block. */
static bool is_cut_by_journal(const struct log *log)
{
    return log->cut_sequence > 0 && log->cut_sequence >= log->store->journal.anchor_sequences[0];
}

/* How many segments may be taken now; why not more is noted for the next look. *ret_handle: not -1:
 * to be closed first. That a log start is durable before segments below it go is no matter of a
 * crash: nobody was answered yet, and a log whose files begin above its start begins with them
 * (log_open). It is one of faults: where the entry can't be written, nothing has gone. */
static int32_t ready_segments(struct retirer *retirer, const struct log *log, int32_t *ret_handle)
{
    const struct journal *journal = &retirer->store->journal;
    int32_t below = segments_below(log), count = 0;
    retirer->uncommitted = false;
    if (log->cleaning || log->cut || !log_start_is_durable(log))
        return 0;
    if (is_cut_by_journal(log)) {
        REACHED("segments that a cut in the journal keeps");
        retirer->wants_anchor = true;
        return 0;
    }
    while (count < below && count < TAKEN_MOST) {
        struct segment *segment = log->segments[count];
        int64_t end = log->segments[count + 1]->base_offset;
        if (seal_closed_segment(segment, ret_handle) && *ret_handle >= 0)
            return 0;
        bool settled = segment->touched_sequence < journal->anchor_sequences[0];
        bool saved = is_saved(retirer, log, end);
        bool untrimmed = !segment->sealed && segment->users == 0 && !log->draining;
        retirer->wants_anchor |= !settled || untrimmed;
        if (!is_closed(segment) || !settled || !saved)
            break;
        count++;
    }
    return count;
}

/* Takes them from the log: reads that begin now do not find them. */
static void take(struct retirer *retirer, int32_t count)
{
    struct log *log = retirer->log;
    memcpy(retirer->taken, log->segments, (size_t)count * sizeof log->segments[0]);
    retirer->taken_count = count;
    retirer->at = 0;
    folder_script_init(&retirer->names, log->folder);
    log->segment_count -= count;
    memmove(log->segments, log->segments + count,
            (size_t)log->segment_count * sizeof log->segments[0]);
    log->retiring += count;
    for (int32_t i = 0; i < count; i++)
        if (retirer->taken[i]->users > 0)
            REACHED("read of a segment that goes");
}

/* ---- one log ------------------------------------------------------------------------------- */

static void release(struct retirer *retirer)
{
    struct log *log = retirer->log;
    retirer->log = NULL;
    log->holders--;
    waiters_wake(&log->idle_waiters);
}

/* The next log of which something may go. False: there is none now. */
static bool next_log(struct retirer *retirer)
{
    for (struct list *node; (node = list_pop(&retirer->logs));) {
        struct log *log = CONTAINER_OF(node, struct log, retire_link);
        if (log->removed || log->state != LOG_OPEN || segments_below(log) == 0)
            continue;
        int32_t handle = -1, count = ready_segments(retirer, log, &handle);
        if (handle >= 0) {
            list_push_front(&retirer->logs, node);
            start_op(retirer, LOOK, (struct op){.kind = OP_CLOSE, .handle = handle});
            return true;
        }
        if (count == 0 && retirer->stopping && retirer->uncommitted)
            continue; /* it may stay so: the next start meets them again */
        list_push(&retirer->later, node);
        if (count == 0)
            continue;
        retirer->log = log;
        log->holders++;
        take(retirer, count);
        retirer->state = CLOSE;
        return true;
    }
    return false;
}

/* Waits for the reads of what was taken, and closes it. True: all is closed. */
static bool close_taken(struct retirer *retirer)
{
    for (; retirer->at < retirer->taken_count; retirer->at++) {
        struct segment *segment = retirer->taken[retirer->at];
        if (segment->users > 0 || segment->check || segment->sidecar_job) {
            timer_start(&retirer->timer, retirer->store->core, &retirer->flow,
                        retirer->store->core->now.monotonic_ns + RETRY_NS / 10);
            return false;
        }
        int32_t handle = handle_take(segment, segment->read_handle >= 0 ? &segment->read_handle
                                                                        : &segment->handle);
        if (handle >= 0) {
            start_op(retirer, CLOSE, (struct op){.kind = OP_CLOSE, .handle = handle});
            return false;
        }
    }
    return true;
}

static enum step fence(struct retirer *retirer, enum error error, const char *what)
{
    store_fence(retirer->store, error ? error : ERROR_INPUT_OUTPUT, what);
    return STEP_FAIL;
}

/* Invariant 2: the file of the segment that is the first now. True: an operation was started. */
static bool create_file(struct retirer *retirer)
{
    struct segment *first = retirer->log->segments[0];
    if (first->exists)
        return false;
    char name[SEGMENT_NAME_SIZE];
    segment_name(first->base_offset, ".log", name);
    snprintf(retirer->path, sizeof retirer->path, "%s/%s", retirer->log->folder, name);
    start_op(
        retirer, CREATE_FILE,
        (struct op){.kind = OP_OPEN, .path = retirer->path, .flags = OPEN_WRITE | OPEN_CREATE});
    return true;
}

/* Invariant 4. True: an operation was started. */
static bool open_snapshot(struct retirer *retirer)
{
    struct log *log = retirer->log;
    if (log->producers.table.by_id.count == 0)
        return false;
    int64_t offset = producer_state_rest(log, &retirer->names);
    if (offset < 0)
        return false;
    char name[SEGMENT_NAME_SIZE];
    segment_name(offset, ".snapshot", name);
    snprintf(retirer->path, sizeof retirer->path, "%s/%s", log->folder, name);
    start_op(retirer, SNAPSHOT,
             (struct op){.kind = OP_OPEN, .path = retirer->path, .flags = OPEN_WRITE});
    return true;
}

static void plan_names(struct retirer *retirer)
{
    struct folder_script *names = &retirer->names;
    if (!MUTANT(skip_fsync_before_retirement))
        folder_script_flush(names); /* what they leave behind has its name for good (2, 4) */
    for (int32_t i = 0; i < retirer->taken_count; i++) {
        int64_t base_offset = retirer->taken[i]->base_offset;
        for (int j = 0; j < SEGMENT_CACHES; j++) {
            char to[FOLDER_NAME_TEXT];
            snprintf(to, sizeof to, "%s.deleted", segment_caches[j]);
            folder_script_rename(names, base_offset, segment_caches[j], to);
        }
        folder_script_rename(names, base_offset, ".log", ".log.deleted");
    }
    if (!MUTANT(skip_fsync_of_retirement))
        folder_script_flush(names);
    retirer->state = NAMES;
}

static void plan_removal(struct retirer *retirer, int64_t base_offset)
{
    const struct log *log = retirer->log;
    size_t size = strlen(log->folder) + 1;
    struct retired *retired = memory_zeroed(sizeof *retired + size);
    retired->base_offset = base_offset;
    retired->due_ns = retirer->store->core->now.monotonic_ns +
                      min_i64(log->settings->file_delete_delay_ms, INT64_MAX / 4000000) * 1000000;
    memcpy(retired->folder, log->folder, size);
    list_init(&retired->link);
    list_push(&retirer->removals, &retired->link);
}

/* The names have gone for good. */
static void end_log(struct retirer *retirer)
{
    struct log *log = retirer->log;
    for (int32_t i = 0; i < retirer->taken_count; i++) {
        if (!log->removed)
            plan_removal(retirer, retirer->taken[i]->base_offset);
        segment_free(retirer->taken[i]);
    }
    REACHED("segments below the log start have gone");
    log->retiring -= retirer->taken_count;
    retirer->store->starts_changed = true; /* the segments tell it now, perhaps */
    retirer->taken_count = 0;
    folder_script_done(&retirer->names);
    retirer->state = LOOK;
    if (segments_below(log) > 0 && !log->removed && !list_is_empty(&log->retire_link)) {
        list_remove(&log->retire_link);
        list_push(&retirer->logs, &log->retire_link); /* more than were taken at once */
    }
    release(retirer);
}

/* Closes what the operation that has ended left open. False: nothing. */
static bool close_left_open(struct retirer *retirer)
{
    const struct op *op = &retirer->op;
    int64_t handle = -1;
    if (retirer->state == CREATE_FILE || retirer->state == SNAPSHOT)
        handle = op->result;
    else if (retirer->state == FLUSH_SNAPSHOT)
        handle = op->handle;
    if (handle < 0)
        return false;
    start_op(retirer, CLOSE_SNAPSHOT, (struct op){.kind = OP_CLOSE, .handle = (int32_t)handle});
    return true;
}

static enum step work_on_log(struct retirer *retirer)
{
    struct log *log = retirer->log;
    const struct op *op = &retirer->op;
    if (log->removed && retirer->state != NAMES && retirer->state != CLOSE) {
        if (!close_left_open(retirer))
            end_log(retirer);
        return STEP_AGAIN;
    }
    switch (retirer->state) {
    case CLOSE:
        if (!close_taken(retirer) || (!log->removed && create_file(retirer)))
            return STEP_AGAIN;
        if (log->removed)
            end_log(retirer);
        else if (!open_snapshot(retirer))
            plan_names(retirer);
        return STEP_AGAIN;
    case CREATE_FILE:
        if (op->result < 0)
            return fence(retirer, op_error(op->result), "a segment could not be created");
        log->segments[0]->exists = true;
        start_op(retirer, CLOSE_FILE, (struct op){.kind = OP_CLOSE, .handle = (int32_t)op->result});
        return STEP_AGAIN;
    case CLOSE_FILE:
        if (!open_snapshot(retirer))
            plan_names(retirer);
        return STEP_AGAIN;
    case SNAPSHOT:
        if (op->result < 0) { /* replaced by a newer one meanwhile: once more */
            if (op_error(op->result) != ERROR_NOT_FOUND || !open_snapshot(retirer))
                return fence(retirer, op_error(op->result), "a snapshot could not be flushed");
            return STEP_AGAIN;
        }
        start_op(retirer, FLUSH_SNAPSHOT,
                 (struct op){.kind = OP_FLUSH, .handle = (int32_t)op->result});
        return STEP_AGAIN;
    case FLUSH_SNAPSHOT:
        if (op->result < 0)
            return fence(retirer, op_error(op->result), "a snapshot could not be flushed");
        start_op(retirer, CLOSE_SNAPSHOT, (struct op){.kind = OP_CLOSE, .handle = op->handle});
        return STEP_AGAIN;
    case CLOSE_SNAPSHOT:
        plan_names(retirer);
        return STEP_AGAIN;
    default:
        if (!folder_script_step(&retirer->names, retirer->store, &retirer->flow))
            return STEP_AGAIN;
        if (retirer->names.error && !log->removed)
            return fence(retirer, retirer->names.error, "segments could not be renamed");
        end_log(retirer);
        return STEP_AGAIN;
    }
}

/* ---- removals ------------------------------------------------------------------------------ */

static bool removal_is_due(const struct retirer *retirer)
{
    if (list_is_empty(&retirer->removals))
        return false;
    const struct retired *first = CONTAINER_OF(retirer->removals.next, struct retired, link);
    return retirer->stopping || first->due_ns <= retirer->store->core->now.monotonic_ns;
}

/* Of one folder, a few segments' files. What can't be removed stays: a start of the broker tries
 * again. */
static void begin_removal(struct retirer *retirer)
{
    struct retired *first = CONTAINER_OF(retirer->removals.next, struct retired, link);
    snprintf(retirer->path, sizeof retirer->path, "%s", first->folder);
    folder_script_init(&retirer->files, retirer->path);
    for (int i = 0; i < REMOVED_AT_ONCE && removal_is_due(retirer); i++) {
        struct retired *retired = CONTAINER_OF(retirer->removals.next, struct retired, link);
        if (strcmp(retired->folder, retirer->path) != 0)
            break;
        for (int j = 0; j < SEGMENT_CACHES; j++) {
            char suffix[FOLDER_NAME_TEXT];
            snprintf(suffix, sizeof suffix, "%s.deleted", segment_caches[j]);
            folder_script_remove(&retirer->files, retired->base_offset, suffix);
        }
        folder_script_remove(&retirer->files, retired->base_offset, ".log.deleted");
        list_remove(&retired->link);
        memory_free(retired);
    }
    /* Not flushed: what comes back after a crash is removed by the next opening (leftovers.h). */
    retirer->removing = true;
}

static enum step go_on_removing(struct retirer *retirer)
{
    struct core *core = retirer->store->core;
    if (!folder_script_step(&retirer->files, retirer->store, &retirer->flow))
        return STEP_AGAIN;
    if (retirer->files.error && retirer->files.error != ERROR_NOT_FOUND)
        event_write(&core->events, &core->now, EVENT_WARN, "files_not_removed",
                    "folder=%s error=\"%s\"", retirer->path, error_text(retirer->files.error));
    folder_script_done(&retirer->files);
    retirer->removing = false;
    if (!retirer->stopping)
        timer_start(&retirer->timer, core, &retirer->flow,
                    core->now.monotonic_ns + REMOVE_PAUSE_NS);
    return STEP_AGAIN;
}

/* ---- the flow ------------------------------------------------------------------------------ */

/* Waits for what keeps the logs in `later`, or for the next removal. FAIL: nothing is left. */
static enum step rest(struct retirer *retirer)
{
    struct store *store = retirer->store;
    struct core *core = store->core;
    bool wants_checkpoint = retirer->wants_anchor || retirer->wants_snapshot;
    bool everything = retirer->wants_snapshot;
    bool waits = !list_is_empty(&retirer->later);
    if (retirer->stopping && (store->space.blocked || retirer->stop_rounds++ == STOP_ROUNDS))
        return STEP_FAIL; /* the next start meets them again */
    list_splice(&retirer->logs, &retirer->later);
    retirer->wants_anchor = retirer->wants_snapshot = false;
    if (waits && wants_checkpoint && !store->space.blocked) {
        checkpoint_request(store, everything);
        if (store->checkpoint.running) {
            waiter_park(&retirer->waiter, &store->checkpoint.waiters, &retirer->flow);
            return STEP_AGAIN;
        }
    }
    int64_t until_ns = INT64_MAX;
    if (!list_is_empty(&retirer->removals))
        until_ns = CONTAINER_OF(retirer->removals.next, struct retired, link)->due_ns;
    if (waits)
        until_ns = min_i64(until_ns, core->now.monotonic_ns + RETRY_NS);
    if (until_ns == INT64_MAX)
        return STEP_FAIL;
    retirer->resting = true;
    timer_start(&retirer->timer, core, &retirer->flow, until_ns);
    return STEP_AGAIN;
}

static enum step retire_step(struct flow *flow)
{
    struct retirer *retirer = CONTAINER_OF(flow, struct retirer, flow);
    retirer->resting = false;
    if (retirer->store->fenced)
        return STEP_FAIL;
    if (retirer->log)
        return work_on_log(retirer);
    if (retirer->removing)
        return go_on_removing(retirer);
    if (next_log(retirer))
        return STEP_AGAIN;
    if (removal_is_due(retirer)) {
        begin_removal(retirer);
        return STEP_AGAIN;
    }
    return rest(retirer);
}

/* Nothing is left to do, or the store is fenced. */
static enum step retire_end(struct flow *flow)
{
    struct retirer *retirer = CONTAINER_OF(flow, struct retirer, flow);
    if (retirer->log) {
        if (close_left_open(retirer) || !close_taken(retirer))
            return STEP_AGAIN;
        end_log(retirer);
    }
    while (list_pop(&retirer->logs)) {
    }
    while (list_pop(&retirer->later)) {
    }
    retirer->runs = false;
    waiters_wake(&retirer->waiters);
    return STEP_NEXT;
}

bool retire_is_at_work(const struct store *store)
{
    const struct retirer *retirer = store->retirer;
    return retirer && retirer->runs &&
           (retirer->log || retirer->removing || !list_is_empty(&retirer->logs) ||
            !list_is_empty(&retirer->later));
}

bool retire_settle(struct store *store, struct waiter *waiter, struct flow *flow)
{
    struct retirer *retirer = store->retirer;
    if (!retirer || !retirer->runs)
        return false;
    retirer->stopping = true;
    timer_cancel(&retirer->timer, store->core);
    waiter_park(waiter, &retirer->waiters, flow);
    return true;
}

void retire_close(struct store *store)
{
    struct retirer *retirer = store->retirer;
    if (!retirer)
        return;
    for (struct list *node; (node = list_pop(&retirer->removals));)
        memory_free(CONTAINER_OF(node, struct retired, link));
    memory_free(retirer);
    store->retirer = NULL;
}
