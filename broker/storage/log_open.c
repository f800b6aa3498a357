/* Opening a log at first use: reads the folder, then the end of the newest segment.
 *
 *   folder -> list -> aside -> metadata -> leftovers -> cut -> start -> epochs -> size -> indexes
 *          -> segment
 *          -> judge -> older -> scan -> rebuild -> producers -> finish
 *
 * `older` scans closed segments, if somebody wants to know of their batches (log_opening_floor).
 *
 * Recovery has run before: the newest segment's size is its end and every batch in it is whole.
 * What is not so is rot, and the log fails with file and position; nothing is cut.
 *
 * A log that its core's journal holds something of (log->resumed) ends in the files where that
 * begins: up to there they must be whole; what they hold beyond is written again by the drain. */
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "protocol/batch.h"
#include "storage/folder_clear.h"
#include "storage/leftovers.h"
#include "storage/log_batch.h"
#include "storage/log_close.h"
#include "storage/log_epochs.h"
#include "storage/log_opening.h"
#include "storage/log_state.h"
#include "storage/producer_load.h"
#include "storage/retire.h"
#include "storage/store.h"
#include <stdio.h>

/* Each of those at work may hold one descriptor while it waits for another. */
enum { SMALL_FILE_BYTES = 64 << 20, OPENINGS_MOST = 16 };

static enum step open_folder(struct flow *flow);
static enum step open_list(struct flow *flow);
static enum step open_leftovers(struct flow *flow);
static enum step open_epochs(struct flow *flow);
static enum step open_older(struct flow *flow);
static enum step open_size(struct flow *flow);
static enum step open_producers(struct flow *flow);
static enum step open_finish(struct flow *flow);

static const struct flow_kind open_flow = {"log open",
                                           {{"folder", open_folder},
                                            {"list", open_list},
                                            {"aside", open_aside},
                                            {"metadata", open_metadata},
                                            {"leftovers", open_leftovers},
                                            {"cut", open_cut},
                                            {"start", open_start},
                                            {"epochs", open_epochs},
                                            {"size", open_size},
                                            {"indexes", open_indexes},
                                            {"segment", open_segment},
                                            {"judge", open_judge},
                                            {"older", open_older},
                                            {"scan", open_scan},
                                            {"rebuild", open_rebuild},
                                            {"producers", open_producers},
                                            {"finish", open_finish}}};

struct log_opening *opening_of(struct flow *flow)
{
    return CONTAINER_OF(flow, struct log_opening, flow);
}

void opening_start_op(struct log_opening *opening, struct op op)
{
    opening->op = op;
    opening->op.flow = &opening->flow;
    file_op_start(opening->log->store->core, &opening->op);
}

/* Does it say what lies in the files? Else an operation has failed, and another time may not. */
static bool is_of_files(enum error error)
{
    return error == ERROR_NONE || error == ERROR_KAFKA_STORAGE_ERROR ||
           error == ERROR_CORRUPT_MESSAGE || error == ERROR_NOT_FOUND || error == ERROR_CHECKSUM ||
           error == ERROR_MALFORMED || error == ERROR_NEWER_VERSION;
}

enum step opening_give_up(struct log_opening *opening, const char *what)
{
    struct log *log = opening->log;
    if (log->error == ERROR_NONE)
        log->error = ERROR_KAFKA_STORAGE_ERROR;
    struct core *core = log->store->core;
    enum error error = op_error(opening->op.result);
    if (!error)
        error = opening->read_error ? opening->read_error : log->error;
    log->unreadable = !is_of_files(error);
    if (!log->fault) {
        log->fault = memory_zeroed(OPENING_FAULT_BYTES);
        snprintf(log->fault, OPENING_FAULT_BYTES, "%s, position %lld: %s (%s)", opening->path,
                 (long long)opening->position, what, error_text(op_error(opening->op.result)));
    }
    event_write(&core->events, &core->now, EVENT_ERROR, "log_failed",
                "folder=%s file=%s position=%lld reason=\"%s\" error=\"%s\" advice=\"its files "
                "stay as they are: restore the folder from a copy, or delete the topic\"",
                log->folder, opening->path, (long long)opening->position, what,
                error_text(op_error(opening->op.result)));
    return STEP_FAIL;
}

enum error log_open(struct log *log, struct waiter *waiter, struct flow *flow)
{
    if (log->state == LOG_OPEN) {
        log_is_used(log);
        return ERROR_NONE;
    }
    if (log->state == LOG_FAILED)
        return log->error;
    if (log->state == LOG_CLOSED) {
        struct log_opening *opening = memory_zeroed(sizeof *opening);
        opening->log = log;
        opening->handle = -1;
        folder_script_init(&opening->cuts, log->folder);
        opening->aside = -1;
        log->opening = opening;
        log->state = LOG_OPENING;
        log->store->openings++;
        flow_start(&opening->flow, &open_flow, log->store->core);
    }
    waiter_park(waiter, &log->open_waiters, flow);
    return ERROR_WOULD_WAIT;
}

static enum step open_folder(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct log *log = opening->log;
    struct store *store = log->store;
    if (!opening->counted && store->openings_at_work == OPENINGS_MOST) {
        waiter_park(&opening->waiter, &store->opening_room, flow);
        return STEP_AGAIN;
    }
    store->openings_at_work += !opening->counted;
    opening->counted = true;
    if (log->removed)
        return STEP_FAIL;
    if (folder_clear_await(log->store, log->folder, &opening->waiter, flow))
        return STEP_AGAIN;
    opening_start_op(
        opening,
        (struct op){.kind = OP_OPEN, .path = log->folder, .flags = OPEN_READ | OPEN_DIRECTORY});
    return STEP_NEXT;
}

static int compare_bases(const void *a, const void *b)
{
    int64_t left = (*(struct segment *const *)a)->base_offset;
    int64_t right = (*(struct segment *const *)b)->base_offset;
    return left < right ? -1 : left > right;
}

static void take_names(struct log_opening *opening)
{
    const struct log_resumed *resumed = opening->log->resumed;
    const char *names = (const char *)opening->buffer->data;
    for (int64_t at = 0; at < opening->op.result;) {
        const char *name = names + at + 1;
        int64_t base;
        bool found = names[at] == 'f' && segment_name_parse(name, ".log", &base);
        if (names[at] == 'f' && resumed_is_cut_off(opening->log, name)) {
            folder_script_remove_name(&opening->cuts, name);
        } else if (found && resumed && base >= resumed->segment_base) {
            resumed_exists(opening->log, base);
        } else if (found) {
            struct segment *segment = log_add_segment(opening->log, base);
            segment->size = -1;
            segment->exists = segment->sealed = true;
            /* at the latest: which block it was nobody knows of a log that was closed, or cut */
            segment->touched_sequence = opening->log->touched_sequence;
            segment->index_loaded = segment->times.known = false;
        } else if (names[at] == 'f' && segment_name_parse(name, ASIDE_SUFFIX, &base)) {
            opening->aside = base;
        } else if (names[at] == 'f') {
            producer_state_name(opening->log, name);
            leftovers_note(&opening->leftovers, opening->log, name);
            opening_note_index(opening, name);
        }
        at += 2 + (int64_t)strlen(name);
    }
}

static enum step open_list(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct log *log = opening->log;
    struct op *op = &opening->op;
    switch (op->kind) {
    case OP_OPEN:
        if (op_error(op->result) == ERROR_NOT_FOUND && resumed_is_whole(log) &&
            (log->log_start == 0 || log->resumed))
            return STEP_FAIL; /* nothing was ever drained */
        if (op->result < 0)
            return opening_give_up(opening, "the folder can't be opened");
        opening->handle = (int32_t)op->result;
        opening->buffer = buffers_take_always(&log->store->core->buffers, BUFFER_ALIGNMENT);
        break;
    case OP_LIST:
        if (op->result < 0)
            return opening_give_up(opening, "the folder can't be listed");
        if (op->result == 0) {
            int32_t handle = opening->handle;
            opening->handle = -1;
            opening_start_op(opening, (struct op){.kind = OP_CLOSE, .handle = handle});
            return STEP_AGAIN;
        }
        take_names(opening);
        break;
    default:
        if (log->segment_count > 1)
            qsort(log->segments, (size_t)log->segment_count, sizeof(struct segment *),
                  compare_bases);
        log->folder_exists = true;
        return STEP_NEXT;
    }
    opening_start_op(opening, (struct op){.kind = OP_LIST,
                                          .handle = opening->handle,
                                          .data = opening->buffer->data,
                                          .size = opening->buffer->size});
    return STEP_AGAIN;
}

enum { READ_BEGIN, READ_OPENED, READ_SIZED, READ_BYTES, READ_CLOSED };

static bool read_more(struct log_opening *opening)
{
    opening->phase = READ_BYTES;
    opening_start_op(opening, (struct op){.kind = OP_READ,
                                          .handle = opening->handle,
                                          .data = opening->buffer->data + opening->position,
                                          .size = opening->buffer->size - (size_t)opening->position,
                                          .offset = opening->position});
    return true;
}

bool opening_read_file(struct log_opening *opening, int64_t *ret_size)
{
    struct op *op = &opening->op;
    switch (opening->phase) {
    case READ_BEGIN:
        opening_start_op(opening,
                         (struct op){.kind = OP_OPEN, .path = opening->path, .flags = OPEN_READ});
        opening->phase = READ_OPENED;
        return true;
    case READ_OPENED:
        if (op->result < 0) {
            opening->phase = READ_BEGIN;
            *ret_size = op_error(op->result) == ERROR_NOT_FOUND ? -1 : -2;
            return false;
        }
        opening->handle = (int32_t)op->result;
        opening_start_op(
            opening,
            (struct op){.kind = OP_STAT, .handle = opening->handle, .data = &opening->stat});
        opening->phase = READ_SIZED;
        return true;
    case READ_SIZED:
        opening->position = 0;
        if (op->result >= 0 && opening->stat.size_bytes <= SMALL_FILE_BYTES) {
            buffer_release(opening->buffer);
            opening->buffer = buffers_take_always(&opening->log->store->core->buffers,
                                                  (size_t)opening->stat.size_bytes + 1);
            return read_more(opening);
        }
        op->result = op->result < 0 ? op->result : -(int64_t)ERROR_MALFORMED;
        /* fall through */
    case READ_BYTES:
        if (op->result > 0) {
            opening->position += op->result;
            if (opening->position < (int64_t)opening->buffer->size)
                return read_more(opening);
        }
        if (op->result < 0) {
            opening->position = -2;
            opening->read_error = op_error(op->result);
        }
        opening->phase = READ_CLOSED;
        opening_start_op(opening, (struct op){.kind = OP_CLOSE, .handle = opening->handle});
        opening->handle = -1;
        return true;
    default:
        opening->phase = READ_BEGIN;
        *ret_size = opening->position;
        opening->position = 0;
        return false;
    }
}

static enum step open_epochs(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct log *log = opening->log;
    if (opening->phase == 0)
        snprintf(opening->path, sizeof opening->path, "%s/" EPOCHS_FILE, log->folder);
    int64_t size;
    if (opening_read_file(opening, &size))
        return STEP_AGAIN;
    if (size == -2)
        return opening_give_up(opening, "the file can't be read");
    struct bytes text = {opening->buffer->data, size > 0 ? (int32_t)size : 0};
    log->epochs_lost = !epochs_decode(&log->epochs, text);
    log->epochs_file = size >= 0;
    log->epochs_written = log->epochs.count;
    return STEP_NEXT;
}

enum step opening_scan_fault(struct log_opening *opening)
{
    opening->position = opening->scan.position;
    opening->op.result = -(int64_t)opening->scan.error;
    opening->log->error = ERROR_KAFKA_STORAGE_ERROR;
    return opening_give_up(opening, opening->scan.fault);
}

void opening_segment_path(struct log_opening *opening, const struct segment *segment,
                          const char *suffix)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(segment->base_offset, suffix, name);
    snprintf(opening->path, sizeof opening->path, "%s/%s", opening->log->folder, name);
}

/* Finishes or removes what a crash left of a compaction. */
static enum step open_leftovers(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    const char *fault = NULL;
    enum error error;
    if (!opening->leftovers)
        return STEP_NEXT;
    if (!leftovers_step(opening->leftovers, flow, &fault, &error))
        return STEP_AGAIN;
    opening->op.result = -(int64_t)error;
    return fault ? opening_give_up(opening, fault) : STEP_NEXT;
}

/* Scans the closed segments from the one that holds the floor on: opens each, asks for its size,
 * walks, closes. */
static enum step open_older(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct log *log = opening->log;
    struct op *op = &opening->op;
    int32_t newest = log->resumed ? resumed_first_segment(log) : log->segment_count - 1;
    while (opening->phase == 0 && opening->older < newest &&
           log->segments[opening->older + 1]->base_offset <= log_opening_floor(log))
        opening->older++;
    if (opening->older >= newest)
        return STEP_NEXT;
    struct segment *segment = log->segments[opening->older];
    struct log_scan *scan = &opening->scan;
    switch (opening->phase) {
    case 0:
        opening_segment_path(opening, segment, ".log");
        opening_start_op(opening,
                         (struct op){.kind = OP_OPEN, .path = opening->path, .flags = OPEN_READ});
        opening->phase = 1;
        return STEP_AGAIN;
    case 1:
        if (op->result < 0)
            return opening_give_up(opening, "a segment can't be opened");
        opening->handle = (int32_t)op->result;
        opening_start_op(
            opening,
            (struct op){.kind = OP_STAT, .handle = opening->handle, .data = &opening->stat});
        opening->phase = 2;
        return STEP_AGAIN;
    case 2:
        if (op->result < 0)
            return opening_give_up(opening, "the size of a segment can't be read");
        log_scan_done(scan);
        *scan = (struct log_scan){.core = log->store->core,
                                  .handle = opening->handle,
                                  .alignment = 1,
                                  .end = opening->stat.size_bytes,
                                  .next_offset = segment->base_offset,
                                  .whole_from = INT64_MAX};
        opening->phase = 3;
        return STEP_AGAIN;
    case 3:
        for (int i = 0; i < SCAN_BATCHES; i++) {
            enum log_scan_result result = log_scan_step(scan, flow);
            if (result == SCAN_WAITS)
                return STEP_AGAIN;
            if (result == SCAN_FAULT)
                return opening_scan_fault(opening);
            if (result == SCAN_ENDED) {
                log_scan_done(scan);
                opening_start_op(opening, (struct op){.kind = OP_CLOSE, .handle = opening->handle});
                opening->handle = -1;
                opening->phase = 4;
                return STEP_AGAIN;
            }
            log_opened_batch(log, segment, scan->batch, scan->position);
        }
        return STEP_AGAIN;
    default:
        break;
    }
    opening->phase = 0;
    opening->older++;
    return STEP_AGAIN;
}

/* Asks for the size of the next segment that exists, from stat_at on. False: there is none. */
static bool ask_for_size(struct log_opening *opening)
{
    struct log *log = opening->log;
    while (opening->stat_at < log->segment_count && !log->segments[opening->stat_at]->exists)
        opening->stat_at++;
    if (opening->stat_at == log->segment_count)
        return false;
    opening_segment_path(opening, log->segments[opening->stat_at], ".log");
    opening_start_op(opening,
                     (struct op){.kind = OP_STAT, .path = opening->path, .data = &opening->stat});
    return true;
}

/* Of the newest segment, or of all that the journal holds something of. */
static enum step open_size(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct log *log = opening->log;
    if (!log_active(log) && log->log_start > 0) {
        opening->op.result = 0;
        return opening_give_up(opening, "no segment of it is left");
    }
    if (!log_active(log))
        return STEP_FAIL; /* a folder without segments: an empty log */
    if (opening->phase++ == 0) {
        opening->stat_at = log->resumed ? resumed_first_segment(log) : log->segment_count - 1;
        opening->newest = log->segments[opening->stat_at];
    } else {
        if (opening->op.result < 0)
            return opening_give_up(opening, "the size of a segment can't be read");
        struct segment *segment = log->segments[opening->stat_at++];
        segment->allocated = opening->stat.size_bytes;
        segment->sealed = false;
        if (!log->resumed)
            segment->size = segment->drained = segment->allocated;
    }
    if (ask_for_size(opening))
        return STEP_AGAIN;
    opening->phase = 0;
    opening->limit = opening->newest->drained;
    if (opening->newest->allocated < opening->limit) {
        opening_segment_path(opening, opening->newest, ".log");
        opening->op.result = 0;
        return opening_give_up(opening, "bytes before those that the journal holds are missing");
    }
    return STEP_NEXT;
}

static enum step open_producers(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct producer_load *load = &opening->producers;
    if (!load->log)
        producer_load_init(load, opening->log, flow);
    enum error error = producer_load_step(load);
    if (error == ERROR_WOULD_WAIT)
        return STEP_AGAIN;
    producer_load_done(load);
    if (!error)
        return STEP_NEXT;
    opening->log->error = error;
    opening->op.result = -(int64_t)load->fault_error;
    snprintf(opening->path, sizeof opening->path, "%s", load->path);
    opening->position = load->position;
    return opening_give_up(opening, load->fault);
}

/* Files are missing, or one that tells of log starts is damaged. */
static enum error start_beyond_end(struct log *log)
{
    struct core *core = log->store->core;
    event_write(&core->events, &core->now, EVENT_ERROR, "log_failed",
                "folder=%s reason=\"it begins at offset %lld, but ends at %lld\"", log->folder,
                (long long)log->log_start, (long long)log->appended_end);
    return ERROR_KAFKA_STORAGE_ERROR;
}

/* Also the way of an empty, a stale and a failed one. */
static enum step open_finish(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct log *log = opening->log;
    if (opening->handle >= 0) {
        int32_t handle = opening->handle;
        opening->handle = -1;
        opening_start_op(opening, (struct op){.kind = OP_CLOSE, .handle = handle});
        return STEP_AGAIN;
    }
    if (!leftovers_end(&opening->leftovers, flow))
        return STEP_AGAIN;
    if (opening->uses_newest)
        opening->newest->users--;
    opening->uses_newest = false;
    if (opening->stale) {
        opening->stale = false;
        log->folder_exists = false;
        resumed_forget_files(log);
        producer_state_reset(log);
        folder_clear_start(log->store, log->folder, NULL);
    }
    if (!log->removed && folder_clear_await(log->store, log->folder, &opening->waiter, flow))
        return STEP_AGAIN;
    if (log->store->fenced && !log->folder_exists && !log->error)
        log->error = ERROR_KAFKA_STORAGE_ERROR; /* an earlier topic's files may still be there */
    if (log->resumed && log->oldest && !opening->next)
        log_epochs_cut_end(log, log->oldest->base_offset); /* the pieces tell the rest */
    if (log->resumed && !log->error && !log->removed && !resumed_take(log, &opening->next))
        return STEP_AGAIN;
    if (!log->error && !log->removed && log->was_closed && !log_ends_are_as_before(log)) {
        opening->op.result = 0;
        (void)opening_give_up(opening, "it does not end where it did when it was closed");
    }
    log->opening = NULL;
    log->store->openings--;
    log->store->openings_at_work -= opening->counted;
    waiters_wake_first(&log->store->opening_room);
    waiters_wake(&log->store->checkpoint.waiters);
    buffer_release(opening->buffer);
    log_scan_done(&opening->scan);
    folder_script_done(&opening->cuts);
    folder_script_done(&opening->below);
    memory_free(opening->index_bases);
    memory_free(opening);
    if (!log->removed && !log->error && log->log_start > log->appended_end)
        log->error = start_beyond_end(log);
    if (log->removed && !log->error)
        log->error = ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (log->error) {
        log->state = LOG_OPENING;
        log_fail(log, log->error);
        return STEP_NEXT;
    }
    if (log->segment_count)
        log->log_start = max_i64(log->log_start, log->segments[0]->base_offset);
    if (log->was_closed && MUTANT(reopen_forgets_ends))
        log->appended_end = log->closed_end;
    log->was_closed = false;
    log_is_used(log);
    log->durable_end = log->appended_end;
    log->state = LOG_OPEN;
    struct segment *active = log_active(log);
    log_epochs_cut_end(log, log->appended_end);
    log_epochs_cut_start(log, log->log_start);
    if (log->epochs_lost)
        REACHED("leader epochs made anew");
    log->epochs_lost = false;
    bool complete = !active || active->size == 0 ||
                    (segment_indexes_are_complete(active) && !log_epochs_lag(log));
    complete &= !log->owner_lost;
    if (!complete && list_is_empty(&log->unsettled))
        list_push(&log->store->unsettled,
                  &log->unsettled); /* the next checkpoint writes the rest */
    producer_state_opened(log);
    waiters_wake(&log->open_waiters);
    if (log->moved)
        log->moved(log, log->context);
    retire_request(log);
    return STEP_NEXT;
}
