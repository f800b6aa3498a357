/* Opening a log at first use: reads the folder, then the end of the newest segment.
 *
 *   folder -> list -> close -> metadata -> size -> index -> open -> scan -> finish
 *
 * Recovery has run before: the newest segment's size is its end and every batch in it is whole.
 * What is not so is rot, and the log fails with file and position; nothing is cut. */
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "codec/crc32c.h"
#include "protocol/batch.h"
#include "storage/folder.h"
#include "storage/folder_clear.h"
#include "storage/log_state.h"
#include "storage/store.h"
#include <stdio.h>

enum { SCAN_BYTES = 64 << 10 };

struct log_opening {
    struct flow flow;
    struct op op;
    struct file_stat stat;
    struct log *log;
    struct buffer *buffer;
    struct waiter waiter;
    int32_t handle;
    uint8_t phase;
    bool stale;          /* the folder is of another topic of this name */
    int64_t position;    /* scanned up to here */
    int64_t next_offset; /* expected at position, at least */
    int64_t wanted;      /* bytes to read at once */
    char path[1024];
};

static enum step open_folder(struct flow *flow);
static enum step open_list(struct flow *flow);
static enum step open_metadata(struct flow *flow);
static enum step open_size(struct flow *flow);
static enum step open_index(struct flow *flow);
static enum step open_segment(struct flow *flow);
static enum step open_scan(struct flow *flow);
static enum step open_finish(struct flow *flow);

static const struct flow_kind open_flow = {"log open",
                                           {{"folder", open_folder},
                                            {"list", open_list},
                                            {"metadata", open_metadata},
                                            {"size", open_size},
                                            {"index", open_index},
                                            {"segment", open_segment},
                                            {"scan", open_scan},
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
        opening->wanted = SCAN_BYTES;
        log->opening = opening;
        log->state = LOG_OPENING;
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
    const char *names = (const char *)opening->buffer->data;
    for (int64_t at = 0; at < opening->op.result;) {
        const char *name = names + at + 1;
        int64_t base;
        if (names[at] == 'f' && segment_name_parse(name, ".log", &base)) {
            struct segment *segment = log_add_segment(opening->log, base);
            segment->size = -1;
            segment->exists = segment->sealed = true;
            segment->index_loaded = false;
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
        if (op_error(op->result) == ERROR_NOT_FOUND)
            return STEP_FAIL; /* nothing was ever drained: an empty log */
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
        REACHED("folder of an earlier topic");
        opening->stale = true;
        return STEP_FAIL;
    }
    return STEP_NEXT;
}

static enum step open_size(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct log *log = opening->log;
    struct segment *active = log_active(log);
    if (!active)
        return STEP_FAIL; /* a folder without segments: an empty log */
    if (opening->phase++ == 0) {
        char name[SEGMENT_NAME_SIZE];
        segment_name(active->base_offset, ".log", name);
        snprintf(opening->path, sizeof opening->path, "%s/%s", log->folder, name);
        start_op(opening,
                 (struct op){.kind = OP_STAT, .path = opening->path, .data = &opening->stat});
        return STEP_AGAIN;
    }
    opening->phase = 0;
    if (opening->op.result < 0)
        return give_up(opening, "the size of the newest segment can't be read");
    active->size = active->drained = active->allocated = opening->stat.size_bytes;
    active->sealed = false;
    buffer_release(opening->buffer);
    size_t index_size = (size_t)min_i64(active->size / BATCH_RECORDS_AT * 8 + 8, 10 << 20);
    opening->buffer = buffers_take_always(&log->store->core->buffers, index_size);
    return STEP_NEXT;
}

static enum step open_index(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct segment *active = log_active(opening->log);
    if (opening->phase == 0) {
        char name[SEGMENT_NAME_SIZE];
        segment_name(active->base_offset, ".index", name);
        snprintf(opening->path, sizeof opening->path, "%s/%s", opening->log->folder, name);
    }
    int64_t size;
    if (read_file(opening, &size))
        return STEP_AGAIN;
    if (size > 0)
        index_decode(active, opening->buffer->data, (size_t)size, active->size);
    active->index_loaded = true;
    opening->position = active->index_count ? active->index[active->index_count - 1].position : 0;
    opening->next_offset = active->base_offset;
    return STEP_NEXT;
}

static enum step open_segment(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct log *log = opening->log;
    struct segment *active = log_active(log);
    if (active->size == 0)
        return STEP_NEXT;
    if (opening->phase++ == 0) {
        char name[SEGMENT_NAME_SIZE];
        segment_name(active->base_offset, ".log", name);
        snprintf(opening->path, sizeof opening->path, "%s/%s", log->folder, name);
        start_op(opening, (struct op){.kind = OP_OPEN,
                                      .path = opening->path,
                                      .flags = OPEN_READ | OPEN_WRITE | OPEN_DIRECT});
        return STEP_AGAIN;
    }
    opening->phase = 0;
    if (opening->op.result < 0)
        return give_up(opening, "the newest segment can't be opened");
    active->handle = (int32_t)opening->op.result;
    return STEP_NEXT;
}

/* Does a whole, possible batch lie at `batch`, with `left` bytes of the file from there on? */
static const char *batch_fault(const uint8_t *batch, int64_t left, int64_t least_offset)
{
    int64_t size = BATCH_OVERHEAD + (int64_t)(int32_t)load_be32(batch + BATCH_LENGTH_AT);
    if (size < BATCH_RECORDS_AT || size > left)
        return "a batch's length reaches beyond the end";
    if (batch[BATCH_MAGIC_AT] != 2)
        return "a batch's magic is not 2";
    if ((int64_t)load_be64(batch) < least_offset)
        return "a batch's base offset is below the one before it";
    if (crc32c(0, batch + BATCH_ATTRIBUTES_AT, (size_t)size - BATCH_ATTRIBUTES_AT) !=
        load_be32(batch + BATCH_CRC_AT))
        return "a batch's CRC does not match";
    return NULL;
}

/* Looks through the bytes read; notes what the index lacks. Null: go on reading from position. */
static const char *scan_bytes(struct log_opening *opening)
{
    struct log *log = opening->log;
    struct segment *active = log_active(log);
    int64_t have = min_i64(opening->op.offset + opening->op.result, active->size);
    while (opening->position + BATCH_RECORDS_AT <= have) {
        const uint8_t *batch = opening->buffer->data + (opening->position - opening->op.offset);
        int64_t size = BATCH_OVERHEAD + (int64_t)(int32_t)load_be32(batch + BATCH_LENGTH_AT);
        if (size >= BATCH_RECORDS_AT && opening->position + size <= active->size &&
            opening->position + size > have) {
            opening->wanted = size;
            return NULL;
        }
        const char *fault =
            batch_fault(batch, active->size - opening->position, opening->next_offset);
        if (fault)
            return fault;
        int64_t last =
            (int64_t)load_be64(batch) + (int32_t)load_be32(batch + BATCH_LAST_OFFSET_DELTA_AT);
        /* Only a wide gap is filled: no journal covers what is written for bytes this old, and a
         * crash could tear it. */
        int32_t gap = log->settings->index_interval_bytes;
        gap = gap > SCAN_BYTES ? gap : SCAN_BYTES;
        segment_index_note(active, last, opening->position, gap);
        opening->next_offset = last + 1;
        opening->position += size;
        opening->wanted = SCAN_BYTES;
    }
    if (have == active->size && opening->position < have)
        return "bytes are left after the last whole batch";
    return NULL;
}

static enum step open_scan(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct log *log = opening->log;
    struct segment *active = log_active(log);
    if (opening->op.kind == OP_READ && opening->phase) {
        if (opening->op.result <= 0)
            return give_up(opening, "the newest segment can't be read");
        const char *fault = scan_bytes(opening);
        if (fault && active->index_count && opening->next_offset == active->base_offset) {
            /* the index led astray: it is only a cache; begin without it */
            REACHED("index not believed");
            active->index_count = active->index_written = 0; /* the file is written anew */
            active->indexed_position = 0;
            opening->position = 0;
            fault = NULL;
        }
        if (fault) {
            log->error = ERROR_KAFKA_STORAGE_ERROR;
            return give_up(opening, fault);
        }
    }
    opening->phase = 1;
    if (opening->position >= active->size) {
        log->appended_end = opening->next_offset;
        return STEP_NEXT;
    }
    uint64_t alignment = log->store->alignment;
    int64_t from = (int64_t)align_down((uint64_t)opening->position, alignment);
    int64_t to = (int64_t)align_up(
        (uint64_t)min_i64(active->size, opening->position + opening->wanted), alignment);
    if ((int64_t)opening->buffer->size < to - from) {
        buffer_release(opening->buffer);
        opening->buffer = buffers_take_always(&log->store->core->buffers, (size_t)(to - from));
    }
    start_op(opening, (struct op){.kind = OP_READ,
                                  .handle = active->handle,
                                  .data = opening->buffer->data,
                                  .size = (size_t)(to - from),
                                  .offset = from});
    return STEP_AGAIN;
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
        while (log->segment_count > 0)
            segment_free(log->segments[--log->segment_count]);
        folder_clear_start(log->store, log->folder, NULL);
    }
    if (!log->removed && folder_clear_await(log->store, log->folder, &opening->waiter, flow))
        return STEP_AGAIN;
    if (log->store->fenced && !log->folder_exists && !log->error)
        log->error = ERROR_KAFKA_STORAGE_ERROR; /* an earlier topic's files may still be there */
    log->opening = NULL;
    buffer_release(opening->buffer);
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
    waiters_wake(&log->open_waiters);
    if (log->moved)
        log->moved(log, log->context);
    return STEP_NEXT;
}
