#include "storage/log_truncate.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "protocol/batch.h"
#include "storage/handles.h"
#include "storage/log_epochs.h"
#include "storage/log_scan.h"
#include "storage/log_state.h"
#include "storage/recovery_point.h"
#include "storage/store.h"
#include <stdio.h>

enum { SCAN_BATCHES = 256 /* in one step */ };

struct log_cut {
    struct flow flow;
    struct op op;
    struct file_stat stat;
    struct log *log;
    struct waiter waiter;
    int64_t offset;
    bool anew;               /* nothing is left: it begins at `offset` */
    struct segment *segment; /* that the cut lies in; in use while it is looked through */
    int64_t position, end;   /* of the cut: place in the segment, end of what is left */
    uint64_t sequence;       /* of the block with the entry */
    int64_t base_offset;     /* of the segment */
    bool committed, written; /* the ends have gone back; the entry is in the journal */
    int32_t handle;
    uint8_t phase;
    int64_t scan_from; /* a position */
    struct log_scan scan;
    char path[1024];
};

static enum step cut_settle(struct flow *flow);
static enum step cut_find(struct flow *flow);
static enum step cut_commit(struct flow *flow);
static enum step cut_durable(struct flow *flow);
static enum step cut_close(struct flow *flow);
static enum step cut_reopen(struct flow *flow);
static enum step cut_end(struct flow *flow);

static const struct flow_kind cut_flow = {"log cut",
                                          {{"settle", cut_settle},
                                           {"find", cut_find},
                                           {"commit", cut_commit},
                                           {"durable", cut_durable},
                                           {"close", cut_close},
                                           {"reopen", cut_reopen},
                                           {"end", cut_end}}};

static struct log_cut *cut_of(struct flow *flow)
{
    return CONTAINER_OF(flow, struct log_cut, flow);
}

static void start_op(struct log_cut *cut, struct op op)
{
    cut->op = op;
    cut->op.flow = &cut->flow;
    file_op_start(cut->log->store->core, &cut->op);
}

/* What lies below was committed, or deleted after it was. */
static int64_t committed_end(const struct log *log)
{
    int64_t end = log->committed_end ? log->committed_end(log, log->context) : 0;
    return max_i64(end, log->log_start);
}

/* ---- the caller's side -------------------------------------------------------------------- */

static enum error begin(struct log *log, int64_t offset, bool anew, struct waiter *waiter,
                        struct flow *flow)
{
    struct log_cut *cut = memory_zeroed(sizeof *cut);
    cut->log = log;
    cut->offset = offset;
    cut->anew = anew;
    cut->handle = -1;
    log->cut = cut;
    log->store->openings++;
    waiter_park(waiter, &log->open_waiters, flow);
    flow_start(&cut->flow, &cut_flow, log->store->core);
    return ERROR_WOULD_WAIT;
}

/* NONE: it is open, and no cut is under way. */
static enum error await_quiet(struct log *log, struct waiter *waiter, struct flow *flow)
{
    if (log->cut) {
        waiter_park(waiter, &log->open_waiters, flow);
        return ERROR_WOULD_WAIT;
    }
    enum error error = log_open(log, waiter, flow);
    if (!error) {
        error = log->cut_error;
        log->cut_error = ERROR_NONE;
    }
    return error;
}

enum error log_truncate(struct log *log, int64_t offset, struct waiter *waiter, struct flow *flow)
{
    enum error error = await_quiet(log, waiter, flow);
    if (error || offset >= log->appended_end)
        return error;
    if (offset < committed_end(log))
        return ERROR_OFFSET_OUT_OF_RANGE;
    return begin(log, offset, false, waiter, flow);
}

enum error log_restart_at(struct log *log, int64_t offset, struct waiter *waiter, struct flow *flow)
{
    enum error error = await_quiet(log, waiter, flow);
    if (error || (log->log_start == offset && log->appended_end == offset))
        return error;
    if (offset < committed_end(log))
        return ERROR_OFFSET_OUT_OF_RANGE;
    return begin(log, offset, true, waiter, flow);
}

/* ---- settle ------------------------------------------------------------------------------- */

static bool segment_rests(const struct segment *segment, const struct segment *looked_at)
{
    return segment->users == (segment == looked_at) && !segment->check && !segment->trim &&
           !segment->swapping && list_is_empty(&segment->dirty) && list_is_empty(&segment->flushed);
}

bool log_rests(const struct log *log, const struct segment *looked_at)
{
    const struct segment *active = log_active(log);
    if (log->oldest || log->draining || log->forced || log->reads || log->cleaning ||
        log->retiring || log->touched_sequence >= log->store->journal.anchor_sequences[1] ||
        !list_is_empty(&log->dirty_folder) || (log->folder_exists && log_epochs_lag(log)))
        return false;
    for (int32_t i = 0; i < log->segment_count; i++)
        if (!segment_rests(log->segments[i], looked_at))
            return false;
    return !active || !active->exists ||
           (active->allocated == active->size && segment_indexes_are_complete(active));
}

/* Parks until something has ended that it waits for. */
static void await_rest(struct log_cut *cut)
{
    struct log *log = cut->log;
    struct store *store = log->store;
    log->stop_cleaning = log->cleaning;
    bool in_use = log->draining || log->reads || log->cleaning;
    for (int32_t i = 0; i < log->segment_count; i++)
        in_use |= log->segments[i]->users > (log->segments[i] == cut->segment);
    if (!in_use && !store->checkpoint.running) {
        if (list_is_empty(&log->unsettled))
            list_push(&store->unsettled, &log->unsettled);
        checkpoint_request(store, true);
    }
    waiter_park(&cut->waiter, in_use ? &log->idle_waiters : &store->checkpoint.waiters, &cut->flow);
}

static bool is_over(const struct log *log)
{
    return log->removed || log->store->fenced || log->state == LOG_FAILED;
}

static enum step cut_settle(struct flow *flow)
{
    struct log_cut *cut = cut_of(flow);
    if (is_over(cut->log))
        return STEP_FAIL;
    if (log_rests(cut->log, cut->segment))
        return STEP_NEXT;
    await_rest(cut);
    return STEP_AGAIN;
}

/* ---- find --------------------------------------------------------------------------------- */

static enum step fail(struct log_cut *cut, const char *what)
{
    struct core *core = cut->log->store->core;
    event_write(&core->events, &core->now, EVENT_ERROR, "truncation_failed",
                "file=%s position=%lld reason=\"%s\" error=\"%s\"", cut->path,
                (long long)cut->scan.position, what, error_text(op_error(cut->op.result)));
    cut->log->cut_error = ERROR_KAFKA_STORAGE_ERROR;
    return STEP_FAIL;
}

static void begin_scan(struct log_cut *cut, int64_t position)
{
    struct segment *segment = cut->segment;
    cut->scan_from = position;
    log_scan_done(&cut->scan);
    cut->scan = (struct log_scan){.core = cut->log->store->core,
                                  .handle = cut->handle,
                                  .alignment = cut->log->store->alignment,
                                  .position = position,
                                  .end = cut->stat.size_bytes,
                                  .next_offset = segment->base_offset,
                                  .whole_from = INT64_MAX};
}

/* Where to begin: at a batch that stays. */
static int64_t first_position(const struct log_cut *cut)
{
    const struct segment *segment = cut->segment;
    bool usable =
        segment->index_loaded && !segment->index_bad && cut->offset > segment->base_offset;
    return usable ? segment_index_find(segment, cut->offset - 1) : 0;
}

/* Nothing was found that stays, where the index says there is. */
static bool was_led_astray(const struct log_cut *cut)
{
    return cut->scan_from > 0 && !cut->scan.error &&
           cut->scan.next_offset == cut->segment->base_offset;
}

/* Walks to the first batch that goes. */
static enum step find_place(struct log_cut *cut)
{
    for (int i = 0; i < SCAN_BATCHES; i++) {
        enum log_scan_result result = log_scan_step(&cut->scan, &cut->flow);
        if (result == SCAN_WAITS)
            return STEP_AGAIN;
        bool stays = false;
        if (result == SCAN_BATCH)
            stays = batch_last_offset_at(cut->scan.batch) < cut->offset;
        if (stays)
            continue;
        if (was_led_astray(cut)) {
            REACHED("index not believed");
            cut->segment->index_bad = true;
            begin_scan(cut, 0);
            continue;
        }
        if (result == SCAN_FAULT)
            return fail(cut, cut->scan.fault);
        cut->position = cut->scan.position;
        cut->end = cut->scan.next_offset;
        return STEP_NEXT;
    }
    return STEP_AGAIN;
}

static enum step cut_find(struct flow *flow)
{
    struct log_cut *cut = cut_of(flow);
    struct log *log = cut->log;
    if (is_over(log))
        return STEP_FAIL;
    if (cut->phase == 0 && !cut->segment) {
        cut->segment = cut->anew ? NULL : log_segment_at(log, cut->offset);
        if (!cut->segment) {
            cut->anew = true;
            cut->end = cut->offset;
            return STEP_NEXT;
        }
        cut->segment->users++;
        cut->end = cut->segment->base_offset;
        if (!cut->segment->exists)
            return STEP_NEXT; /* nothing was ever put into it */
        char name[SEGMENT_NAME_SIZE];
        segment_name(cut->segment->base_offset, ".log", name);
        snprintf(cut->path, sizeof cut->path, "%s/%s", log->folder, name);
        start_op(cut,
                 (struct op){.kind = OP_OPEN, .path = cut->path, .flags = OPEN_READ | OPEN_DIRECT});
        cut->phase = 1;
        return STEP_AGAIN;
    }
    if (cut->phase == 1) {
        if (cut->op.result < 0)
            return fail(cut, "the segment can't be opened");
        cut->handle = (int32_t)cut->op.result;
        start_op(cut, (struct op){.kind = OP_STAT, .handle = cut->handle, .data = &cut->stat});
        cut->phase = 2;
        return STEP_AGAIN;
    }
    if (cut->phase == 2) {
        if (cut->op.result < 0)
            return fail(cut, "the size of the segment can't be read");
        begin_scan(cut, first_position(cut));
        cut->phase = 3;
    }
    return find_place(cut);
}

/* ---- commit ------------------------------------------------------------------------------- */

/* BIND names the end that the log has had, for the entry to go back from. */
static void write_entry(struct log_cut *cut, uint8_t *to)
{
    struct log *log = cut->log;
    struct journal *journal = &log->store->journal;
    const struct segment *active = log_active(log);
    struct journal_entry entry = {.id = log->id,
                                  .topic_id = log->topic_id,
                                  .partition = log->partition,
                                  .segment_base = active ? active->base_offset : log->appended_end,
                                  .position = active ? (uint32_t)active->size : 0};
    uint32_t used = (uint32_t)entry_bind_encode(&entry, to);
    entry.offset = cut->end;
    entry.segment_base = cut->anew ? -1 : cut->base_offset;
    entry.position = (uint32_t)cut->position;
    used += (uint32_t)entry_cut_encode(&entry, to + used);
    journal_commit(journal, used, 2, log);
    log->bound_sequence = cut->anew ? 0 : cut->sequence; /* the first segment is named anew */
    log->cut_sequence = cut->sequence;
    cut->written = true;
}

/* The log start lies inside a batch that goes: nothing is left. */
static void begin_anew(struct log_cut *cut)
{
    cut->anew = true;
    cut->end = cut->log->log_start;
    cut->position = 0;
    cut->segment->users--;
    cut->segment = NULL;
}

static enum step cut_commit(struct flow *flow)
{
    struct log_cut *cut = cut_of(flow);
    struct log *log = cut->log;
    if (is_over(log))
        return STEP_FAIL;
    if (!log_rests(log, cut->segment)) {
        await_rest(cut);
        return STEP_AGAIN;
    }
    if (!cut->anew && cut->end < log->log_start && cut->offset >= log->log_start)
        begin_anew(cut);
    if (cut->end < committed_end(log)) {
        log->cut_error = ERROR_OFFSET_OUT_OF_RANGE;
        return STEP_FAIL;
    }
    uint8_t *to =
        journal_reserve_essential(&log->store->journal, ENTRY_BIND_SIZE_MAX + ENTRY_CUT_SIZE_MAX);
    if (!to) {
        waiter_park(&cut->waiter, &log->store->room, flow);
        return STEP_AGAIN;
    }
    cut->base_offset = cut->anew ? cut->end : cut->segment->base_offset;
    cut->sequence = journal_filling_sequence(&log->store->journal);
    if (!MUTANT(cut_before_journal))
        write_entry(cut, to);
    cut->committed = true;
    log->state = LOG_OPENING;
    log->appended_end = log->durable_end = cut->end;
    recovery_point_cut(log);
    if (cut->anew)
        log->log_start = cut->end;
    if (log->cleaned_end > cut->end)
        log->cleaned_end = cut->end;
    if (list_is_empty(&log->unsettled))
        list_push(&log->store->unsettled, &log->unsettled);
    if (log->moved)
        log->moved(log, log->context);
    return STEP_NEXT;
}

static enum step cut_durable(struct flow *flow)
{
    struct log_cut *cut = cut_of(flow);
    struct log *log = cut->log;
    if (is_over(log))
        return STEP_FAIL;
    if (log->store->journal.durable_sequence >= cut->sequence || MUTANT(cut_before_journal))
        return STEP_NEXT;
    waiter_park(&cut->waiter, &log->store->journal.durable_waiters, flow);
    return STEP_AGAIN;
}

/* ---- close, reopen ------------------------------------------------------------------------ */

/* Closes the next handle that is open. False: there is none. */
static bool close_one(struct log_cut *cut)
{
    struct log *log = cut->log;
    int32_t handle = cut->handle;
    cut->handle = -1;
    for (int32_t i = 0; i < log->segment_count && handle < 0; i++) {
        struct segment *segment = log->segments[i];
        handle =
            handle_take(segment, segment->handle >= 0 ? &segment->handle : &segment->read_handle);
    }
    if (handle < 0)
        return false;
    start_op(cut, (struct op){.kind = OP_CLOSE, .handle = handle});
    return true;
}

/* All was flushed, and nobody uses it: the closes tell nothing. */
static enum step cut_close(struct flow *flow)
{
    struct log_cut *cut = cut_of(flow);
    struct log *log = cut->log;
    if (is_over(log))
        return STEP_FAIL;
    if (close_one(cut))
        return STEP_AGAIN;
    if (cut->segment)
        cut->segment->users--;
    cut->segment = NULL;
    for (int32_t i = 0; i < log->segment_count; i++)
        segment_free(log->segments[i]);
    log->segment_count = 0;
    resumed_begin(log, cut->base_offset, cut->position);
    log->resumed->whole = !log->folder_exists;
    (void)resumed_cut(log, cut->anew ? -1 : cut->base_offset, cut->position, cut->end);
    log_active(log)->touched_sequence = cut->sequence;
    epochs_free(&log->epochs);
    log->epochs_written = 0;
    log->epochs_cut = log->folder_exists = false;
    if (!MUTANT(truncate_keeps_producers))
        producer_state_reset(log);
    log->state = LOG_CLOSED;
    return STEP_NEXT;
}

static enum step cut_reopen(struct flow *flow)
{
    struct log_cut *cut = cut_of(flow);
    enum error error = log_open(cut->log, &cut->waiter, flow);
    if (error == ERROR_WOULD_WAIT)
        return STEP_AGAIN;
    return STEP_NEXT; /* should it have failed, everybody who asks is told */
}

static enum step cut_end(struct flow *flow)
{
    struct log_cut *cut = cut_of(flow);
    struct log *log = cut->log;
    struct store *store = log->store;
    if (cut->handle >= 0) {
        int32_t handle = cut->handle;
        cut->handle = -1;
        start_op(cut, (struct op){.kind = OP_CLOSE, .handle = handle});
        return STEP_AGAIN;
    }
    if (cut->segment)
        cut->segment->users--;
    if (cut->committed && !cut->written && !is_over(log)) { /* the mutant's */
        uint8_t *to = journal_reserve(&store->journal, ENTRY_BIND_SIZE_MAX + ENTRY_CUT_SIZE_MAX);
        if (to)
            write_entry(cut, to);
    }
    log_scan_done(&cut->scan);
    log->cut = NULL;
    if (!log->cleaning)
        log->stop_cleaning = false;
    store->openings--;
    if (cut->committed && log->state == LOG_OPENING) /* it ended early */
        log_fail(log, log->removed ? ERROR_UNKNOWN_TOPIC_OR_PARTITION : ERROR_KAFKA_STORAGE_ERROR);
    if (cut->committed && log->state == LOG_OPEN)
        REACHED("log truncated");
    waiters_wake(&log->open_waiters);
    waiters_wake(&store->checkpoint.waiters);
    waiters_wake(&store->room);
    waiters_wake(&log->idle_waiters);
    memory_free(cut);
    return STEP_NEXT;
}
