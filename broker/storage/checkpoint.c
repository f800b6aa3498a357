/* Checkpoints: they make room in the journal.
 *
 *   mark -> drain -> flush -> close -> starts -> folders -> anchor -> finish
 *
 * All that was reserved before the mark is awaited (durable), drained and flushed, names too; only
 * then does a durable anchor move the start of the live journal to the mark (invariants 1 and 3 of
 * store.h). Appends go on meanwhile, behind the mark. */
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "storage/drain.h"
#include "storage/folder_clear.h"
#include "storage/handles.h"
#include "storage/log_close.h"
#include "storage/log_epochs.h"
#include "storage/log_start.h"
#include "storage/log_state.h"
#include "storage/store.h"
#include <stdio.h>

static enum step checkpoint_mark(struct flow *flow);
static enum step checkpoint_drain(struct flow *flow);
static enum step checkpoint_flush(struct flow *flow);
static enum step checkpoint_close(struct flow *flow);
static enum step checkpoint_starts(struct flow *flow);
static enum step checkpoint_folders(struct flow *flow);
static enum step checkpoint_anchor(struct flow *flow);
static enum step checkpoint_finish(struct flow *flow);

static const struct flow_kind checkpoint_flow = {"checkpoint",
                                                 {{"mark", checkpoint_mark},
                                                  {"drain", checkpoint_drain},
                                                  {"flush", checkpoint_flush},
                                                  {"close", checkpoint_close},
                                                  {"starts", checkpoint_starts},
                                                  {"folders", checkpoint_folders},
                                                  {"anchor", checkpoint_anchor},
                                                  {"finish", checkpoint_finish}}};

static struct store *store_of(struct flow *flow)
{
    return CONTAINER_OF(flow, struct store, checkpoint.flow);
}

static void start_op(struct store *store, struct op op)
{
    store->checkpoint.op = op;
    store->checkpoint.op.flow = &store->checkpoint.flow;
    file_op_start(store->core, &store->checkpoint.op);
}

static enum step give_up(struct store *store, const char *what)
{
    enum error error = op_error(store->checkpoint.op.result);
    store_fence(store, error ? error : ERROR_INPUT_OUTPUT, what);
    return STEP_FAIL;
}

void checkpoint_request(struct store *store, bool everything)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    if (store->fenced)
        return;
    if (checkpoint->running) {
        checkpoint->again |= everything;
        return;
    }
    if (store->space.blocked) {
        space_put_off_checkpoint(store, everything);
        return;
    }
    checkpoint->running = true;
    checkpoint->everything = everything;
    checkpoint->again = false;
    checkpoint->forced = 0;
    checkpoint->phase = 0;
    checkpoint->segment = NULL;
    journal_mark(&store->journal);
    flow_start(&checkpoint->flow, &checkpoint_flow, store->core);
}

static enum step checkpoint_mark(struct flow *flow)
{
    struct store *store = store_of(flow);
    if (store->fenced)
        return STEP_FAIL;
    if (journal_mark_is_durable(&store->journal))
        return STEP_NEXT;
    waiter_park(&store->checkpoint.waiter, &store->journal.durable_waiters, flow);
    return STEP_AGAIN;
}

/* A drain has met a full disk: no log is waited for any longer, and nothing is freed. */
static enum step put_off(struct store *store)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    for (struct list *node = store->unsettled.next; node != &store->unsettled; node = node->next)
        CONTAINER_OF(node, struct log, unsettled)->forced = false;
    for (int32_t i = 0; i < store->options.drains; i++)
        if (store->drains[i].log)
            store->drains[i].log->forced = false;
    checkpoint->forced = 0;
    space_put_off_checkpoint(store, checkpoint->everything || checkpoint->again);
    checkpoint->again = false;
    return STEP_FAIL;
}

/* Forces every log that has something before the mark, then waits until the last has settled. */
static enum step checkpoint_drain(struct flow *flow)
{
    struct store *store = store_of(flow);
    struct checkpoint *checkpoint = &store->checkpoint;
    if (store->fenced)
        return STEP_FAIL;
    if (store->space.blocked)
        return put_off(store);
    if (checkpoint->phase++ == 0) {
        struct list *next;
        for (struct list *node = store->unsettled.next; node != &store->unsettled; node = next) {
            struct log *log = CONTAINER_OF(node, struct log, unsettled);
            next = node->next;
            if (log_is_settled(log))
                continue;
            log->forced = true;
            checkpoint->forced++;
            drain_request(log);
        }
        journal_count_logs(&store->journal, checkpoint->forced);
        if (checkpoint->forced > 0 && !MUTANT(flush_before_all_completions)) {
            waiter_park(&checkpoint->waiter, &checkpoint->parked, flow);
            return STEP_AGAIN;
        }
    }
    checkpoint->phase = 0;
    checkpoint->last_sequence = store->journal.next_sequence - 1;
    list_splice(&checkpoint->segments, &store->dirty_segments);
    list_splice(&checkpoint->folders, &store->dirty_folders);
    return STEP_NEXT;
}

/* Nothing is written to it any more, or until something is appended again. A drain at work on its
 * log does not touch a closed one that is whole. */
static bool may_close(const struct segment *segment)
{
    bool is_closed = segment != log_active(segment->log);
    return !segment->sealed && segment->users == 0 && (!segment->log->draining || is_closed) &&
           segment->drained == segment->size && segment->allocated == segment->size &&
           !segment->trim && list_is_empty(&segment->dirty);
}

/* All are covered by the one flush that is begun now; what is written or named from now on is dirty
 * anew, so nothing may be left in the lists. */
static void take_all_as_flushed(struct store *store)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    for (struct list *node; (node = list_pop(&checkpoint->segments));) {
        struct segment *segment = CONTAINER_OF(node, struct segment, dirty);
        while (segment_take_dirty_index(segment)) {
        }
        list_push(&checkpoint->flushed, &segment->flushed);
    }
    while (list_pop(&checkpoint->folders)) {
    }
    store->directory_dirty = false;
}

static void flush_segment(struct store *store, struct segment *segment)
{
    store->counters.segment_flushes++;
    start_op(store, (struct op){.kind = OP_FLUSH, .handle = segment->handle});
}

/* Its handle gave way to others since it was written. */
static void open_segment(struct store *store, const struct segment *segment)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    char name[SEGMENT_NAME_SIZE];
    segment_name(segment->base_offset, ".log", name);
    snprintf(checkpoint->path, sizeof checkpoint->path, "%s/%s", segment->log->folder, name);
    REACHED("a segment opened again to be flushed");
    start_op(store, (struct op){.kind = OP_OPEN,
                                .path = checkpoint->path,
                                .flags = OPEN_READ | OPEN_WRITE | OPEN_DIRECT});
}

/* Goes on to the flush, for which the segment was opened. Where somebody else was quicker there is
 * a handle too many. False: it could not be opened, or is not to be flushed any more. */
static bool go_on(struct store *store, struct segment *segment)
{
    const struct op *op = &store->checkpoint.op;
    if (op->kind == OP_OPEN && op->result < 0)
        return false;
    if (op->kind == OP_OPEN && segment->handle >= 0) {
        start_op(store, (struct op){.kind = OP_CLOSE, .handle = (int32_t)op->result});
        return true;
    }
    if (op->kind == OP_OPEN)
        handle_keep(segment, &segment->handle, (int32_t)op->result);
    if (store->fenced)
        return false;
    flush_segment(store, segment);
    return true;
}

/* Flushes the segments, one after the other or, if they are many, the whole file system. */
static enum step checkpoint_flush(struct flow *flow)
{
    struct store *store = store_of(flow);
    struct checkpoint *checkpoint = &store->checkpoint;
    struct segment *segment = checkpoint->segment;
    if (segment && checkpoint->op.kind != OP_FLUSH && go_on(store, segment))
        return STEP_AGAIN;
    if (segment) { /* its flush has ended, well or not */
        checkpoint->segment = NULL;
        segment->users--;
        waiters_wake(&segment->log->idle_waiters);
    }
    if (store->fenced)
        return STEP_FAIL;
    if (checkpoint->phase++ == 0) {
        uint32_t count = 0;
        for (struct list *node = checkpoint->segments.next; node != &checkpoint->segments;
             node = node->next)
            count++;
        if (MUTANT(lap_freed_before_segments_flushed)) {
            take_all_as_flushed(store);
        } else if (count > store->options.flush_all_files) {
            take_all_as_flushed(store);
            store->counters.segment_flushes++;
            start_op(store, (struct op){.kind = OP_FLUSH_ALL, .handle = store->directory_handle});
            return STEP_AGAIN;
        }
    } else if (checkpoint->op.result < 0 && MUTANT(retry_failed_flush)) {
        checkpoint->segment = segment;
        if (segment)
            segment->users++;
        start_op(store, (struct op){.kind = checkpoint->op.kind, .handle = checkpoint->op.handle});
        return STEP_AGAIN;
    } else if (checkpoint->op.result < 0) {
        return give_up(store, "the segments could not be flushed");
    }
    checkpoint->phase = 1;
    for (struct list *node; (node = list_pop(&checkpoint->segments));) {
        segment = CONTAINER_OF(node, struct segment, dirty);
        list_push(&checkpoint->flushed, &segment->flushed);
        if (segment->log->removed || (segment->handle < 0 && MUTANT(close_dirty_handle)))
            continue;
        checkpoint->segment = segment;
        segment->users++;
        if (segment->handle >= 0)
            flush_segment(store, segment);
        else
            open_segment(store, segment);
        return STEP_AGAIN;
    }
    checkpoint->phase = 0;
    return STEP_NEXT;
}

/* One small flush of `path`: open, flush, close. Returns false when it has ended. */
static bool flush_path(struct store *store, uint32_t flags)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    switch (checkpoint->phase++) {
    case 0:
        start_op(store, (struct op){.kind = OP_OPEN, .path = checkpoint->path, .flags = flags});
        return true;
    case 1:
        if (checkpoint->op.result < 0)
            return false;
        start_op(store, (struct op){.kind = OP_FLUSH, .handle = (int32_t)checkpoint->op.result});
        return true;
    case 2:
        if (checkpoint->op.result < 0)
            return false;
        start_op(store, (struct op){.kind = OP_CLOSE, .handle = checkpoint->op.handle});
        return true;
    default:
        return false;
    }
}

/* Flushes the indexes; then closes the handles of what is not written any more: such a segment is
 * sealed. */
static enum step checkpoint_close(struct flow *flow)
{
    struct store *store = store_of(flow);
    struct checkpoint *checkpoint = &store->checkpoint;
    struct segment *segment = checkpoint->segment;
    if (segment) { /* its index is being flushed */
        if (!store->fenced && flush_path(store, OPEN_WRITE))
            return STEP_AGAIN;
        checkpoint->segment = NULL;
        checkpoint->phase = 0;
        segment->users--;
        waiters_wake(&segment->log->idle_waiters);
        if (checkpoint->op.result < 0 && op_error(checkpoint->op.result) != ERROR_NOT_FOUND)
            return give_up(store, "an index could not be flushed");
    }
    if (store->fenced)
        return STEP_FAIL;
    for (struct list *node; (node = list_pop(&checkpoint->flushed));) {
        segment = CONTAINER_OF(node, struct segment, flushed);
        const char *suffix = segment_take_dirty_index(segment);
        if (suffix) {
            char name[SEGMENT_NAME_SIZE];
            segment_name(segment->base_offset, suffix, name);
            snprintf(checkpoint->path, sizeof checkpoint->path, "%s/%s", segment->log->folder,
                     name);
            segment->users++;
            checkpoint->segment = segment;
            list_push(&checkpoint->flushed, node); /* once more, to be closed */
            flush_path(store, OPEN_WRITE);
            return STEP_AGAIN;
        }
        if (!may_close(segment))
            continue;
        segment->sealed = segment != log_active(segment->log);
        memory_free(segment->partial);
        segment->partial = NULL;
        if (segment->sealed)
            sidecar_is_due(segment);
        int32_t handle = handle_take(segment, &segment->handle);
        if (handle < 0)
            continue;
        start_op(store, (struct op){.kind = OP_CLOSE, .handle = handle});
        return STEP_AGAIN;
    }
    return STEP_NEXT;
}

/* Where logs begin that the entries before the mark tell of. */
static enum step checkpoint_starts(struct flow *flow)
{
    struct store *store = store_of(flow);
    enum error error;
    if (store->fenced)
        return STEP_FAIL;
    if (MUTANT(start_forgotten_at_checkpoint))
        return STEP_NEXT;
    if (!log_start_save_step(store, flow, &error))
        return STEP_AGAIN;
    if (!error)
        return STEP_NEXT;
    static const char what[] = "the log starts could not be written";
    struct checkpoint *checkpoint = &store->checkpoint;
    store->starts_changed = true;
    checkpoint->op.result = -(int64_t)error;
    if (error != ERROR_NO_SPACE)
        return give_up(store, what);
    if (space_await(store, &checkpoint->waiter, flow, what))
        return STEP_AGAIN;
    list_splice(&store->dirty_folders, &checkpoint->folders);
    return put_off(store);
}

/* Of a folder that got new files, flushed one after the other before itself. */
static const char *const small_files[] = {"/partition.metadata", "/" EPOCHS_FILE};

/* Which of them `path` ends with; null: it is a folder's. */
static const char *small_file(const char *path)
{
    size_t size = strlen(path);
    for (int i = 0; i < ARRAY_COUNT(small_files); i++) {
        size_t end = strlen(small_files[i]);
        if (size > end && strcmp(path + size - end, small_files[i]) == 0)
            return small_files[i];
    }
    return NULL;
}

/* Names: of each folder that got new files its small files and itself, then the directory. */
static enum step checkpoint_folders(struct flow *flow)
{
    struct store *store = store_of(flow);
    struct checkpoint *checkpoint = &store->checkpoint;
    if (store->fenced)
        return STEP_FAIL;
    while (MUTANT(skip_fsync_of_folder) && list_pop(&checkpoint->folders)) {
    }
    if (MUTANT(skip_fsync_of_directory))
        store->directory_dirty = false;
    if (checkpoint->phase > 0 && checkpoint->phase < 10) {
        const char *file = small_file(checkpoint->path);
        if (flush_path(store, file ? OPEN_WRITE : OPEN_READ | OPEN_DIRECTORY))
            return STEP_AGAIN;
        /* NOT_FOUND: the topic was deleted meanwhile and its folder is gone */
        if (checkpoint->op.result < 0 && op_error(checkpoint->op.result) != ERROR_NOT_FOUND)
            return give_up(store, "a folder could not be flushed");
        checkpoint->phase = 0;
        if (file) {
            size_t size = strlen(checkpoint->path) - strlen(file);
            bool first = strcmp(file, small_files[0]) == 0;
            snprintf(checkpoint->path + size, sizeof checkpoint->path - size, "%s",
                     first ? small_files[1] : "");
            flush_path(store, first ? OPEN_WRITE : OPEN_READ | OPEN_DIRECTORY);
            return STEP_AGAIN;
        }
    }
    struct list *node = list_pop(&checkpoint->folders);
    if (node) {
        struct log *log = CONTAINER_OF(node, struct log, dirty_folder);
        snprintf(checkpoint->path, sizeof checkpoint->path, "%s%s", log->folder, small_files[0]);
        flush_path(store, OPEN_WRITE);
        return STEP_AGAIN;
    }
    if (store->directory_dirty) {
        store->directory_dirty = false;
        snprintf(checkpoint->path, sizeof checkpoint->path, "%s", store->options.directory);
        flush_path(store, OPEN_READ | OPEN_DIRECTORY);
        return STEP_AGAIN;
    }
    return STEP_NEXT;
}

static enum step checkpoint_anchor(struct flow *flow)
{
    struct store *store = store_of(flow);
    struct checkpoint *checkpoint = &store->checkpoint;
    if (store->fenced)
        return STEP_FAIL;
    /* A log with an append behind the mark was left untrimmed: that append is what makes recovery
     * cut the file, so it must be durable before the appends that did so until now are freed. */
    if (store->journal.durable_sequence < checkpoint->last_sequence) {
        waiter_park(&checkpoint->waiter, &store->journal.durable_waiters, flow);
        return STEP_AGAIN;
    }
    if (folder_clear_await_names(store, &checkpoint->waiter, flow))
        return STEP_AGAIN;
    struct anchor anchor;
    journal_anchor_at_mark(&store->journal, &anchor);
    checkpoint->slot = buffers_take_always(&store->core->buffers, JOURNAL_ANCHOR_SLOT);
    anchor_encode(&anchor, checkpoint->slot->data);
    checkpoint->vector = (struct iovec){checkpoint->slot->data, JOURNAL_ANCHOR_SLOT};
    start_op(store, (struct op){.kind = OP_WRITE,
                                .handle = store->journal.handle,
                                .flags = WRITE_DURABLE,
                                .vectors = &checkpoint->vector,
                                .vector_count = 1,
                                .offset = (int64_t)(anchor.generation & 1) * JOURNAL_ANCHOR_SLOT});
    return STEP_NEXT;
}

static enum step checkpoint_finish(struct flow *flow)
{
    struct store *store = store_of(flow);
    struct checkpoint *checkpoint = &store->checkpoint;
    if (checkpoint->slot) {
        /* A short write of an anchor leaves a slot whose CRC is wrong and the other in force: it is
         * as good as none, and the next checkpoint will be asked for at once. */
        int64_t result = checkpoint->op.result;
        buffer_release(checkpoint->slot);
        checkpoint->slot = NULL;
        if (result == JOURNAL_ANCHOR_SLOT) {
            store->counters.checkpoints++;
            journal_free_to_mark(&store->journal);
        } else if (result < 0 && !store->fenced) {
            store_fence(store, op_error(result), "the journal's anchor could not be written");
        } else {
            checkpoint->again = true;
        }
    }
    list_splice(&store->dirty_segments, &checkpoint->segments);
    bool soon = store->core->now.monotonic_ns - checkpoint->ended_ns < 1000000000;
    checkpoint->ended_ns = store->core->now.monotonic_ns;
    checkpoint->running = false;
    if (soon && store->journal.lap > 0)
        journal_grow(&store->journal);
    waiters_wake(&checkpoint->waiters);
    sidecars_go_on(store);
    if (!store->fenced && (checkpoint->again || journal_is_half_full(&store->journal)))
        checkpoint_request(store, checkpoint->again);
    return STEP_NEXT;
}

/* ---- idle: an hour-old tail in memory serves nobody ------------------------------------------ */

static enum step idle_tick(struct flow *flow)
{
    struct store *store = CONTAINER_OF(flow, struct store, checkpoint.idle_flow);
    struct checkpoint *checkpoint = &store->checkpoint;
    if (store->stopping || store->fenced)
        return STEP_FAIL;
    if (checkpoint->idle_timer.fired) {
        producer_sweep(store);
        if (checkpoint->idle_appended == store->counters.appended_bytes) {
            journal_count_logs(&store->journal, 0);
            store_free_spares(store);
        }
        if (checkpoint->idle_appended == store->counters.appended_bytes &&
            (!list_is_empty(&store->unsettled) || !list_is_empty(&store->dirty_folders)))
            checkpoint_request(store, true);
        checkpoint->idle_appended = store->counters.appended_bytes;
        checkpoint->idle_timer.fired = false;
        checkpoint->closes_logs = true;
    }
    if (checkpoint->closes_logs && log_close_idle(store, &checkpoint->op_idle, flow))
        return STEP_AGAIN;
    checkpoint->closes_logs = false;
    timer_start(&checkpoint->idle_timer, store->core, flow,
                store->core->now.monotonic_ns + store->options.idle_ns);
    return STEP_AGAIN;
}

static enum step idle_end(struct flow *flow)
{
    struct checkpoint *checkpoint = CONTAINER_OF(flow, struct checkpoint, idle_flow);
    checkpoint->idle_runs = false;
    waiters_wake(&checkpoint->waiters);
    return STEP_NEXT;
}

static const struct flow_kind idle_flow = {"idle", {{"tick", idle_tick}, {"end", idle_end}}};

void checkpoint_init(struct store *store)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    list_init(&checkpoint->waiters);
    list_init(&checkpoint->parked);
    list_init(&checkpoint->segments);
    list_init(&checkpoint->folders);
    list_init(&checkpoint->flushed);
    checkpoint->idle_timer = TIMER_INIT;
    checkpoint->idle_runs = true;
    flow_start(&checkpoint->idle_flow, &idle_flow, store->core);
}
