/* The step of a drain that writes the two indexes of a segment.
 *
 *   choose -> (open -> cut -> write -> close) for each file
 *
 * After a checkpoint both files have an entry for all that lies before its mark, but for the last
 * SEGMENT_INDEX_LAG_BYTES: recovery relies on it, and looks at those and at what the journal holds
 * (redo_index.c, log_open_newest.c). */
#include "base/check.h"
#include "storage/drain.h"
#include "storage/log_state.h"
#include "storage/store.h"
#include <stdio.h>

enum { INDEX_LAG = 512 /* entries not written yet before they are, though the segment goes on */ };

enum { FILE_OFFSETS, FILE_TIMES, FILES };
enum { CHOOSE, BEGIN, OPENED, CUT, WRITTEN, CLOSED };

/* Entries that are to be written to the file now. */
static int32_t entries_due(const struct drain *drain)
{
    const struct segment *segment = drain->segment;
    if (drain->file == FILE_OFFSETS)
        return segment_index_below(segment, segment->drained) - segment->index_written;
    return time_index_below(&segment->times, segment->drained);
}

static int64_t bytes_written(const struct drain *drain)
{
    const struct segment *segment = drain->segment;
    return drain->file == FILE_OFFSETS ? 8 * (int64_t)segment->index_written
                                       : TIME_ENTRY_BYTES * (int64_t)segment->times.written;
}

/* The segment that was trimmed just now gets all there is; the active one what a checkpoint needs,
 * or what has become much. */
static bool choose(struct drain *drain)
{
    struct log *log = drain->log;
    if (drain->segment) {
        time_index_enter(&drain->segment->times, (uint32_t)(drain->segment->drained - 1));
        return !segment_indexes_are_complete(drain->segment);
    }
    struct segment *active = log_active(log);
    if (!active || !active->exists)
        return false;
    int32_t lag = segment_index_below(active, active->drained) - active->index_written;
    if (log->forced ? !segment_indexes_lag(active, log->settings->index_interval_bytes)
                    : lag < INDEX_LAG)
        return false;
    drain->segment = active;
    active->users++;
    return true;
}

static enum step start_open(struct drain *drain)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(drain->segment->base_offset, drain->file == FILE_OFFSETS ? ".index" : ".timeindex",
                 name);
    snprintf(drain->path, sizeof drain->path, "%s/%s", drain->log->folder, name);
    drain_start_op(
        drain,
        (struct op){.kind = OP_OPEN, .path = drain->path, .flags = OPEN_WRITE | OPEN_CREATE});
    drain->phase = OPENED;
    return STEP_AGAIN;
}

static enum step start_write(struct drain *drain, int64_t offset)
{
    drain_start_op(drain, (struct op){.kind = OP_WRITE,
                                      .handle = drain->handle,
                                      .vectors = &drain->vector,
                                      .vector_count = 1,
                                      .offset = offset});
    drain->phase = WRITTEN;
    return STEP_AGAIN;
}

/* The next entries, a chunk of them at most; or closes the file. */
static enum step write_or_close(struct drain *drain)
{
    struct segment *segment = drain->segment;
    int32_t count = entries_due(drain), most = DRAIN_CHUNK_BYTES / TIME_ENTRY_BYTES;
    if (count == 0) {
        drain_start_op(drain, (struct op){.kind = OP_CLOSE, .handle = drain->handle});
        drain->handle = -1;
        drain->phase = CLOSED;
        return STEP_AGAIN;
    }
    count = count < most ? count : most;
    drain->entries = count;
    drain->chunk = buffers_take_always(&drain->log->store->core->buffers, DRAIN_CHUNK_BYTES);
    size_t size = (size_t)count * (drain->file == FILE_OFFSETS ? 8 : TIME_ENTRY_BYTES);
    if (drain->file == FILE_OFFSETS)
        index_encode(segment, segment->index_written, count, drain->chunk->data);
    else
        time_index_encode(&segment->times, count, drain->chunk->data);
    drain->vector = (struct iovec){drain->chunk->data, size};
    return start_write(drain, bytes_written(drain));
}

/* After the change, never before: a checkpoint that is under way may flush what it finds. */
static void set_dirty(struct drain *drain)
{
    struct segment *segment = drain->segment;
    *(drain->file == FILE_OFFSETS ? &segment->index_dirty : &segment->times.dirty) = true;
    if (list_is_empty(&segment->dirty))
        list_push(&drain->log->store->dirty_segments, &segment->dirty);
}

static enum step entries_are_written(struct drain *drain)
{
    struct segment *segment = drain->segment;
    if (drain->op.result <= 0)
        return drain_give_up(drain, "an index could not be written");
    drain->vector.iov_base = (uint8_t *)drain->vector.iov_base + drain->op.result;
    drain->vector.iov_len -= (size_t)drain->op.result;
    if (drain->vector.iov_len > 0) /* short: the rest */
        return start_write(drain, drain->op.offset + drain->op.result);
    set_dirty(drain);
    if (drain->file == FILE_OFFSETS)
        segment->index_written += drain->entries;
    else
        time_index_wrote(&segment->times, drain->entries);
    buffer_release(drain->chunk);
    drain->chunk = NULL;
    return write_or_close(drain);
}

/* The file was opened: what is in it beyond the entries that count is cut off, once. */
static enum step cut(struct drain *drain)
{
    struct segment *segment = drain->segment;
    if (drain->op.result < 0)
        return drain_give_up(drain, "an index could not be opened");
    drain->handle = (int32_t)drain->op.result;
    if (segment->index_files)
        return write_or_close(drain);
    if (list_is_empty(&drain->log->dirty_folder))
        list_push(&drain->log->store->dirty_folders, &drain->log->dirty_folder);
    drain_start_op(drain, (struct op){.kind = OP_TRUNCATE,
                                      .handle = drain->handle,
                                      .size = (size_t)bytes_written(drain)});
    drain->phase = CUT;
    return STEP_AGAIN;
}

enum step drain_indexes(struct flow *flow)
{
    struct drain *drain = drain_of(flow);
    if (drain->phase == CHOOSE) {
        if (!choose(drain))
            return STEP_NEXT;
        drain->file = FILE_OFFSETS;
        drain->phase = BEGIN;
    }
    switch (drain->phase) {
    case OPENED:
        return cut(drain);
    case CUT:
        if (drain->op.result < 0)
            return drain_give_up(drain, "an index could not be cut");
        set_dirty(drain);
        return write_or_close(drain);
    case WRITTEN:
        return entries_are_written(drain);
    case CLOSED:
        drain->file++;
        break;
    default:
        break;
    }
    while (drain->file < FILES && drain->segment->index_files && entries_due(drain) == 0)
        drain->file++;
    if (drain->file < FILES)
        return start_open(drain);
    drain->segment->index_files = true;
    drain->segment->index_uncut = false;
    drain->phase = 0;
    return STEP_NEXT;
}
