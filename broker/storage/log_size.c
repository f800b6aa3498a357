#include "storage/log_size.h"
#include "base/check.h"
#include "storage/log_state.h"
#include "storage/store.h"
#include <stdio.h>

enum phase { PHASE_BEGIN, PHASE_OPENED, PHASE_LISTED, PHASE_LOOKED, PHASE_CLOSED, PHASE_COUNT };

/* Of the segments of a resumed log that lie in the journal. */
static int64_t known_bytes(const struct log *log)
{
    int64_t bytes = 0;
    for (int32_t i = 0; i < log->segment_count; i++)
        bytes += max_i64(log->segments[i]->size, 0);
    return bytes;
}

/* Files of segments from here on are not counted: memory knows them. */
static int64_t files_end(const struct log *log)
{
    return log->resumed ? log->resumed->segment_base : INT64_MAX;
}

static bool start(struct log_size *size, struct flow *flow, struct op op, enum phase next)
{
    size->op = op;
    size->op.flow = flow;
    size->phase = next;
    op_start(size->log->store->core->port, &size->op);
    return false;
}

static bool list(struct log_size *size, struct flow *flow)
{
    return start(size, flow,
                 (struct op){.kind = OP_LIST,
                             .handle = size->handle,
                             .data = size->names->data,
                             .size = size->names->size},
                 PHASE_LISTED);
}

static bool close_folder(struct log_size *size, struct flow *flow)
{
    buffer_release(size->names);
    size->names = NULL;
    return start(size, flow, (struct op){.kind = OP_CLOSE, .handle = size->handle}, PHASE_CLOSED);
}

/* The next name that is a segment's before files_end, or the next part of the list. */
static bool next_name(struct log_size *size, struct flow *flow)
{
    while (size->at < size->listed) {
        const char *name = (const char *)size->names->data + size->at + 1;
        int64_t base;
        size->at += 2 + (int64_t)strlen(name);
        if (!segment_name_parse(name, ".log", &base) || base >= files_end(size->log))
            continue;
        snprintf(size->path, sizeof size->path, "%s/%s", size->log->folder, name);
        return start(size, flow,
                     (struct op){.kind = OP_STAT, .path = size->path, .data = &size->stat},
                     PHASE_LOOKED);
    }
    return list(size, flow);
}

/* An open log: what memory knows, and the files of older segments that nobody has looked at yet. */
static bool count(struct log_size *size, struct flow *flow)
{
    const struct log *log = size->log;
    for (int32_t i = 0; log->state == LOG_OPEN && i < log->segment_count; i++) {
        const struct segment *segment = log->segments[i];
        if (segment->base_offset < size->next_base)
            continue;
        size->next_base = segment->base_offset + 1;
        if (segment->size >= 0) {
            size->bytes += segment->size;
            continue;
        }
        char name[SEGMENT_NAME_SIZE];
        segment_name(segment->base_offset, ".log", name);
        snprintf(size->path, sizeof size->path, "%s/%s", log->folder, name);
        return start(size, flow,
                     (struct op){.kind = OP_STAT, .path = size->path, .data = &size->stat},
                     PHASE_COUNT);
    }
    return true;
}

/* What is being opened is looked at once it is open. */
static bool await_opening(struct log_size *size, struct flow *flow)
{
    size->phase = PHASE_BEGIN;
    waiter_park(&size->waiter, &size->log->open_waiters, flow);
    return false;
}

/* The folder was listed. Somebody may have opened the log meanwhile: then memory knows better. */
static bool finish(struct log_size *size, struct flow *flow)
{
    const struct log *log = size->log;
    if (log->state == LOG_OPENING)
        return await_opening(size, flow);
    if (log->state == LOG_OPEN) {
        size->bytes = 0;
        return count(size, flow);
    }
    if (log->state == LOG_CLOSED && log->resumed)
        size->bytes += known_bytes(log);
    return true;
}

bool log_size_step(struct log_size *size, struct flow *flow)
{
    struct log *log = size->log;
    switch ((enum phase)size->phase) {
    case PHASE_BEGIN:
        size->bytes = 0;
        if (log->state == LOG_OPEN)
            return count(size, flow);
        if (log->removed)
            return true;
        if (log->state == LOG_OPENING)
            return await_opening(size, flow);
        return start(
            size, flow,
            (struct op){.kind = OP_OPEN, .path = log->folder, .flags = OPEN_READ | OPEN_DIRECTORY},
            PHASE_OPENED);
    case PHASE_OPENED:
        if (size->op.result < 0)
            return finish(size, flow); /* nothing was drained yet */
        size->handle = (int32_t)size->op.result;
        size->names = buffers_take_always(&log->store->core->buffers, BUFFER_ALIGNMENT);
        size->listed = size->at = 0;
        return list(size, flow);
    case PHASE_LISTED:
        if (size->op.result <= 0)
            return close_folder(size, flow);
        size->listed = size->op.result;
        size->at = 0;
        return next_name(size, flow);
    case PHASE_LOOKED:
        if (size->op.result >= 0)
            size->bytes += size->stat.size_bytes;
        return next_name(size, flow);
    case PHASE_CLOSED:
        return finish(size, flow);
    case PHASE_COUNT:
        if (size->op.result >= 0)
            size->bytes += size->stat.size_bytes;
        return count(size, flow);
    }
    return true;
}
