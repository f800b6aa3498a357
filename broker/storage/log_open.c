/* Opening a log at first use: reads the folder, then the end of the newest segment.
 *
 *   folder -> list -> metadata -> older -> size -> index -> open -> scan -> producers
 *   -> finish
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
#include "storage/folder.h"
#include "storage/folder_clear.h"
#include "storage/log_batch.h"
#include "storage/log_scan.h"
#include "storage/log_state.h"
#include "storage/producer_load.h"
#include "storage/store.h"
#include <stdio.h>

enum { SCAN_BATCHES = 256 /* in one step */ };

struct log_opening {
    struct flow flow;
    struct op op;
    struct file_stat stat;
    struct log *log;
    struct buffer *buffer;
    struct waiter waiter;
    int32_t handle;
    uint8_t phase;
    bool stale;               /* the folder is of another topic of this name */
    int64_t position;         /* in a small file that is read */
    int32_t older;            /* the closed segment that is scanned, its place in log->segments */
    struct segment *newest;   /* whose end is looked through */
    int64_t limit;            /* its end in the file */
    int32_t stat_at;          /* the segment whose size is asked for */
    const struct piece *next; /* of those that are resumed, to be taken */
    struct log_scan scan;
    char path[1024];
    struct producer_load producers;
};

static enum step open_folder(struct flow *flow);
static enum step open_list(struct flow *flow);
static enum step open_metadata(struct flow *flow);
static enum step open_older(struct flow *flow);
static enum step open_size(struct flow *flow);
static enum step open_index(struct flow *flow);
static enum step open_segment(struct flow *flow);
static enum step open_scan(struct flow *flow);
static enum step open_producers(struct flow *flow);
static enum step open_finish(struct flow *flow);

static const struct flow_kind open_flow = {"log open",
                                           {{"folder", open_folder},
                                            {"list", open_list},
                                            {"metadata", open_metadata},
                                            {"older", open_older},
                                            {"size", open_size},
                                            {"index", open_index},
                                            {"segment", open_segment},
                                            {"scan", open_scan},
                                            {"producers", open_producers},
                                            {"finish", open_finish}}};

static struct log_opening *opening_of(struct flow *flow)
{
    return CONTAINER_OF(flow, struct log_opening, flow);
}

static void start_op(struct log_opening *opening, struct op op)
{
    opening->op = op;
    opening->op.flow = &opening->flow;
    op_start(opening->log->store->core->port, &opening->op);
}

static enum step give_up(struct log_opening *opening, const char *what)
{
    struct log *log = opening->log;
    if (log->error == ERROR_NONE)
        log->error = ERROR_KAFKA_STORAGE_ERROR;
    struct core *core = log->store->core;
    event_write(&core->events, &core->now, EVENT_ERROR, "log_failed",
                "folder=%s file=%s position=%lld reason=\"%s\" error=\"%s\"", log->folder,
                opening->path, (long long)opening->position, what,
                error_text(op_error(opening->op.result)));
    return STEP_FAIL;
}

enum error log_open(struct log *log, struct waiter *waiter, struct flow *flow)
{
    if (log->state == LOG_OPEN)
        return ERROR_NONE;
    if (log->state == LOG_FAILED)
        return log->error;
    if (log->state == LOG_CLOSED) {
        struct log_opening *opening = memory_zeroed(sizeof *opening);
        opening->log = log;
        opening->handle = -1;
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
    if (log->removed)
        return STEP_FAIL;
    if (folder_clear_await(log->store, log->folder, &opening->waiter, flow))
        return STEP_AGAIN;
    start_op(
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
        if (found && resumed && base >= resumed->segment_base) {
            resumed_exists(opening->log, base);
        } else if (found) {
            struct segment *segment = log_add_segment(opening->log, base);
            segment->size = -1;
            segment->exists = segment->sealed = true;
            segment->index_loaded = false;
        } else if (names[at] == 'f') {
            producer_state_name(opening->log, name);
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
        if (op_error(op->result) == ERROR_NOT_FOUND && resumed_is_whole(log))
            return STEP_FAIL; /* nothing was ever drained */
        if (op->result < 0)
            return give_up(opening, "the folder can't be opened");
        opening->handle = (int32_t)op->result;
        opening->buffer = buffers_take_always(&log->store->core->buffers, BUFFER_ALIGNMENT);
        break;
    case OP_LIST:
        if (op->result < 0)
            return give_up(opening, "the folder can't be listed");
        if (op->result == 0) {
            int32_t handle = opening->handle;
            opening->handle = -1;
            start_op(opening, (struct op){.kind = OP_CLOSE, .handle = handle});
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
    start_op(opening, (struct op){.kind = OP_LIST,
                                  .handle = opening->handle,
                                  .data = opening->buffer->data,
                                  .size = opening->buffer->size});
    return STEP_AGAIN;
}

/* Opens, reads into opening->buffer and closes a small file. False: it has ended; then *ret_size is
 * the bytes read, -1 if there is no such file, -2 if it can't be read. */
static bool read_file(struct log_opening *opening, int64_t *ret_size)
{
    struct op *op = &opening->op;
    struct buffer *buffer = opening->buffer;
    switch (opening->phase++) {
    case 0:
        start_op(opening, (struct op){.kind = OP_OPEN, .path = opening->path, .flags = OPEN_READ});
        return true;
    case 1:
        if (op->result < 0) {
            opening->phase = 0;
            *ret_size = op_error(op->result) == ERROR_NOT_FOUND ? -1 : -2;
            return false;
        }
        opening->handle = (int32_t)op->result;
        opening->position = 0;
        op->result = 0;
        op->size = 1;
        /* fall through */
    case 2:
        if (op->result > 0)
            opening->position += op->result;
        if ((op->kind == OP_OPEN || op->result > 0) && opening->position < (int64_t)buffer->size) {
            opening->phase = 2;
            start_op(opening, (struct op){.kind = OP_READ,
                                          .handle = opening->handle,
                                          .data = buffer->data + opening->position,
                                          .size = buffer->size - (size_t)opening->position,
                                          .offset = opening->position});
            return true;
        }
        if (op->result < 0)
            opening->position = -2;
        opening->phase = 3;
        start_op(opening, (struct op){.kind = OP_CLOSE, .handle = opening->handle});
        opening->handle = -1;
        return true;
    default:
        opening->phase = 0;
        *ret_size = opening->position;
        opening->position = 0;
        return false;
    }
}

static enum step open_metadata(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct log *log = opening->log;
    if (opening->phase == 0)
        snprintf(opening->path, sizeof opening->path, "%s/partition.metadata", log->folder);
    int64_t size;
    if (read_file(opening, &size))
        return STEP_AGAIN;
    if (size == -2)
        return give_up(opening, "the file can't be read");
    struct uuid id;
    struct bytes text = {opening->buffer->data, (int32_t)size};
    bool ours = false;
    /* Torn it is of a deleted topic that no checkpoint has seen: recovery made ours whole. */
    if (size >= 0 && !partition_metadata_is_torn(text)) {
        if (!partition_metadata_decode(text, &id))
            return give_up(opening, "it is damaged");
        ours = uuid_equal(id, log->topic_id);
    }
    if (!ours && !MUTANT(recreated_topic_sees_old_files)) {
        if (!resumed_is_whole(log))
            return give_up(opening, "it is not that of the log whose end the journal holds");
        REACHED("folder of an earlier topic");
        opening->stale = true;
        return STEP_FAIL;
    }
    return STEP_NEXT;
}

static enum step scan_fault(struct log_opening *opening)
{
    opening->position = opening->scan.position;
    opening->op.result = -(int64_t)opening->scan.error;
    opening->log->error = ERROR_KAFKA_STORAGE_ERROR;
    return give_up(opening, opening->scan.fault);
}

static void segment_path(struct log_opening *opening, const struct segment *segment,
                         const char *suffix)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(segment->base_offset, suffix, name);
    snprintf(opening->path, sizeof opening->path, "%s/%s", opening->log->folder, name);
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
        segment_path(opening, segment, ".log");
        start_op(opening, (struct op){.kind = OP_OPEN, .path = opening->path, .flags = OPEN_READ});
        opening->phase = 1;
        return STEP_AGAIN;
    case 1:
        if (op->result < 0)
            return give_up(opening, "a segment can't be opened");
        opening->handle = (int32_t)op->result;
        start_op(opening,
                 (struct op){.kind = OP_STAT, .handle = opening->handle, .data = &opening->stat});
        opening->phase = 2;
        return STEP_AGAIN;
    case 2:
        if (op->result < 0)
            return give_up(opening, "the size of a segment can't be read");
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
                return scan_fault(opening);
            if (result == SCAN_ENDED) {
                log_scan_done(scan);
                start_op(opening, (struct op){.kind = OP_CLOSE, .handle = opening->handle});
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
    segment_path(opening, log->segments[opening->stat_at], ".log");
    start_op(opening, (struct op){.kind = OP_STAT, .path = opening->path, .data = &opening->stat});
    return true;
}

/* Of the newest segment, or of all that the journal holds something of. */
static enum step open_size(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct log *log = opening->log;
    if (!log_active(log))
        return STEP_FAIL; /* a folder without segments: an empty log */
    if (opening->phase++ == 0) {
        opening->stat_at = log->resumed ? resumed_first_segment(log) : log->segment_count - 1;
        opening->newest = log->segments[opening->stat_at];
    } else {
        if (opening->op.result < 0)
            return give_up(opening, "the size of a segment can't be read");
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
        segment_path(opening, opening->newest, ".log");
        opening->op.result = 0;
        return give_up(opening, "bytes before those that the journal holds are missing");
    }
    buffer_release(opening->buffer);
    size_t index_size =
        (size_t)min_i64(opening->newest->allocated / BATCH_RECORDS_AT * 8 + 8, 10 << 20);
    opening->buffer = buffers_take_always(&log->store->core->buffers, index_size);
    return STEP_NEXT;
}

static enum step open_index(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct segment *newest = opening->newest;
    if (opening->phase == 0)
        segment_path(opening, newest, ".index");
    int64_t size;
    if (read_file(opening, &size))
        return STEP_AGAIN;
    if (size > 0)
        index_decode(newest, opening->buffer->data, (size_t)size, opening->limit);
    newest->index_loaded = true;
    newest->index_excess = size > 8 * (int64_t)newest->index_written;
    return STEP_NEXT;
}

static enum step open_segment(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    if (opening->limit == 0)
        return STEP_NEXT;
    if (opening->phase++ == 0) {
        segment_path(opening, opening->newest, ".log");
        start_op(opening, (struct op){.kind = OP_OPEN,
                                      .path = opening->path,
                                      .flags = OPEN_READ | OPEN_WRITE | OPEN_DIRECT});
        return STEP_AGAIN;
    }
    opening->phase = 0;
    if (opening->op.result < 0)
        return give_up(opening, "the newest segment can't be opened");
    opening->newest->handle = (int32_t)opening->op.result;
    return STEP_NEXT;
}

/* Where the scan of the newest segment begins: at its last index entry, or earlier if somebody
 * wants to know of more. Behind that entry it reads whole batches: a crash may have left something
 * there.
 */
static void begin_newest(struct log_opening *opening)
{
    struct log *log = opening->log;
    const struct segment *newest = opening->newest;
    int64_t last_entry = newest->index_count ? newest->index[newest->index_count - 1].position : 0;
    int64_t floor = log_opening_floor(log);
    int64_t from = floor < INT64_MAX ? segment_index_find(newest, floor) : last_entry;
    opening->scan = (struct log_scan){.core = log->store->core,
                                      .handle = newest->handle,
                                      .alignment = log->store->alignment,
                                      .position = from,
                                      .end = opening->limit,
                                      .next_offset = newest->base_offset,
                                      .whole_from = last_entry};
}

/* The files have been looked through: their end is the log's, or meets what the journal holds. */
static enum step join(struct log_opening *opening)
{
    struct log *log = opening->log;
    if (!log->resumed) {
        log->appended_end = opening->scan.next_offset;
        return STEP_NEXT;
    }
    if (log->oldest && log->oldest->base_offset < opening->scan.next_offset) {
        opening->op.result = 0;
        return give_up(opening, "offsets do not join those in the journal");
    }
    return STEP_NEXT;
}

static enum step open_scan(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct log *log = opening->log;
    struct segment *active = opening->newest;
    struct log_scan *scan = &opening->scan;
    if (opening->phase++ == 0)
        begin_newest(opening);
    for (int i = 0; i < SCAN_BATCHES; i++) {
        switch (log_scan_step(scan, flow)) {
        case SCAN_WAITS:
            return STEP_AGAIN;
        case SCAN_BATCH:
            log_opened_batch(log, active, scan->batch, scan->position);
            break;
        case SCAN_ENDED:
            return join(opening);
        case SCAN_FAULT:
            if (scan->error || !active->index_count || scan->next_offset != active->base_offset)
                return scan_fault(opening);
            /* the index led astray: it is only a cache; begin without it */
            REACHED("index not believed");
            active->index_count = active->index_written = 0; /* the file is written anew */
            active->indexed_position = 0;
            scan->position = 0;
            break;
        }
    }
    return STEP_AGAIN;
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
    opening->op.result = load->op.result;
    snprintf(opening->path, sizeof opening->path, "%s", load->path);
    opening->position = load->position;
    return give_up(opening, load->fault);
}

/* Also the way of an empty, a stale and a failed one. */
static enum step open_finish(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct log *log = opening->log;
    if (opening->handle >= 0) {
        int32_t handle = opening->handle;
        opening->handle = -1;
        start_op(opening, (struct op){.kind = OP_CLOSE, .handle = handle});
        return STEP_AGAIN;
    }
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
    if (log->resumed && !log->error && !log->removed && !resumed_take(log, &opening->next))
        return STEP_AGAIN;
    log->opening = NULL;
    log->store->openings--;
    waiters_wake(&log->store->checkpoint.waiters);
    buffer_release(opening->buffer);
    log_scan_done(&opening->scan);
    memory_free(opening);
    if (log->removed && !log->error)
        log->error = ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (log->error) {
        log->state = LOG_OPENING;
        log_fail(log, log->error);
        return STEP_NEXT;
    }
    log->log_start = log->segment_count ? log->segments[0]->base_offset : 0;
    log->durable_end = log->appended_end;
    log->state = LOG_OPEN;
    producer_state_opened(log);
    waiters_wake(&log->open_waiters);
    if (log->moved)
        log->moved(log, log->context);
    return STEP_NEXT;
}
