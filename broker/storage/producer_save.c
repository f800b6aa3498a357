/*   index -> flush its folder -> snapshot -> remove old ones
 *
 * Indexes are written durably and their names flushed before the snapshot is begun (invariant 3 of
 * producer_state.h). The snapshot is written durably, too; the next checkpoint flushes its name.
 * One that a crash tears is found out by its CRC, but what it knew may be nowhere else: compaction
 * leaves but the last batch of each producer. */
#include "storage/producer_save.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "storage/drain.h"
#include "storage/log_state.h"
#include "storage/store.h"
#include "storage/txn_index.h"
#include <stdio.h>

enum { ENTRIES_AT_ONCE = 1024 };

enum {
    SAVE_BEGIN,
    SAVE_INDEX_OPENED,
    SAVE_INDEX_WRITTEN,
    SAVE_INDEX_CLOSED,
    SAVE_FOLDER_OPENED,
    SAVE_FOLDER_FLUSHED,
    SAVE_FOLDER_CLOSED,
    SAVE_SNAPSHOT_OPENED,
    SAVE_SNAPSHOT_CUT,
    SAVE_SNAPSHOT_WRITTEN,
    SAVE_SNAPSHOT_CLOSED,
    SAVE_REMOVED,
};

static void start_op(struct drain *drain, struct op op)
{
    drain->op = op;
    drain->op.flow = &drain->flow;
    file_op_start(drain->log->store->core, &drain->op);
}

static void name_file(struct drain *drain, int64_t offset, const char *suffix)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(offset, suffix, name);
    snprintf(drain->path, sizeof drain->path, "%s/%s", drain->log->folder, name);
}

static void close_handle(struct drain *drain)
{
    start_op(drain, (struct op){.kind = OP_CLOSE, .handle = drain->handle});
    drain->handle = -1;
}

/* A snapshot that waits to be written, and may be (invariant 2). */
static bool is_captured(const struct log *log)
{
    return log->producers.captured.data && log->producers.captured_offset <= log->durable_end;
}

/* Entries below the captured snapshot that are in no file yet, of one segment; *ret_position: of
 * the first in its file. Only durable ones: else a file could hold one that never was. */
static int32_t unsaved_entries(const struct log *log, struct segment **ret_segment,
                               int64_t *ret_position)
{
    const struct producer_state *state = &log->producers;
    int64_t end = min_i64(state->captured_offset, log->durable_end);
    int32_t first = state->aborted_saved, count = 0;
    if (first == state->aborted_count || state->aborted[first].last_offset >= end)
        return 0;
    struct segment *segment = log_segment_at(log, state->aborted[first].last_offset);
    check(segment);
    while (first + count < state->aborted_count && count < ENTRIES_AT_ONCE &&
           state->aborted[first + count].last_offset < end &&
           log_segment_at(log, state->aborted[first + count].last_offset) == segment)
        count++;
    int32_t before = 0;
    while (before < first && state->aborted[first - 1 - before].last_offset >= segment->base_offset)
        before++;
    *ret_segment = segment;
    *ret_position = (int64_t)before * TXN_INDEX_ENTRY;
    return count;
}

struct bytes producer_state_txn_index(const struct log *log, int64_t base_offset,
                                      int64_t end_offset)
{
    const struct producer_state *state = &log->producers;
    int32_t first = 0, end;
    while (first < state->aborted_count && state->aborted[first].last_offset < base_offset)
        first++;
    for (end = first; end < state->aborted_count && state->aborted[end].last_offset < end_offset;)
        end++;
    if (end == first)
        return BYTES_NULL;
    int32_t size = (end - first) * TXN_INDEX_ENTRY;
    uint8_t *bytes = memory_zeroed((size_t)size);
    for (int32_t i = first; i < end; i++)
        txn_index_encode(&state->aborted[i], bytes + (i - first) * TXN_INDEX_ENTRY);
    return (struct bytes){bytes, size};
}

/* Opens the index, or goes on with the folder or the snapshot. */
static enum step begin_index(struct drain *drain)
{
    struct log *log = drain->log;
    struct segment *segment;
    int64_t position;
    int32_t count = unsaved_entries(log, &segment, &position);
    if (count == 0) {
        if (drain->names_to_flush && !MUTANT(skip_fsync_of_txn_index)) {
            drain->names_to_flush = false;
            drain->phase = SAVE_FOLDER_OPENED;
            start_op(drain, (struct op){.kind = OP_OPEN,
                                        .path = log->folder,
                                        .flags = OPEN_READ | OPEN_DIRECTORY});
            return STEP_AGAIN;
        }
        drain->phase = SAVE_FOLDER_CLOSED;
        drain->op.result = 0;
        return STEP_AGAIN;
    }
    drain->from = position;
    drain->end = count;
    drain->chunk = buffers_take_always(&log->store->core->buffers, (size_t)count * TXN_INDEX_ENTRY);
    for (int32_t i = 0; i < count; i++)
        txn_index_encode(&log->producers.aborted[log->producers.aborted_saved + i],
                         drain->chunk->data + (size_t)i * TXN_INDEX_ENTRY);
    drain->vector = (struct iovec){drain->chunk->data, (size_t)count * TXN_INDEX_ENTRY};
    name_file(drain, segment->base_offset, ".txnindex");
    drain->phase = SAVE_INDEX_OPENED;
    start_op(drain,
             (struct op){.kind = OP_OPEN, .path = drain->path, .flags = OPEN_WRITE | OPEN_CREATE});
    return STEP_AGAIN;
}

static bool is_snapshot(const struct drain *drain)
{
    return drain->phase >= SAVE_SNAPSHOT_OPENED;
}

/* Writes what is left of the vector at drain->from. */
static enum step write_rest(struct drain *drain)
{
    start_op(
        drain,
        (struct op){.kind = OP_WRITE,
                    .handle = drain->handle,
                    .flags = MUTANT(snapshot_not_flushed) && is_snapshot(drain) ? 0 : WRITE_DURABLE,
                    .vectors = &drain->vector,
                    .vector_count = 1,
                    .offset = drain->from});
    return STEP_AGAIN;
}

/* A write has ended, well; true: all of it. */
static bool take_written(struct drain *drain)
{
    drain->vector.iov_base = (uint8_t *)drain->vector.iov_base + drain->op.result;
    drain->vector.iov_len -= (size_t)drain->op.result;
    drain->from += drain->op.result;
    return drain->vector.iov_len == 0;
}

static enum step step_index(struct drain *drain)
{
    switch (drain->phase) {
    case SAVE_INDEX_OPENED:
        drain->phase = SAVE_INDEX_WRITTEN;
        return write_rest(drain);
    case SAVE_INDEX_WRITTEN:
        if (drain->op.result == 0)
            return drain_give_up(drain, "an index of transactions could not be written");
        if (!take_written(drain))
            return write_rest(drain);
        buffer_release(drain->chunk);
        drain->chunk = NULL;
        drain->names_to_flush = true;
        drain->phase = SAVE_INDEX_CLOSED;
        close_handle(drain);
        return STEP_AGAIN;
    case SAVE_INDEX_CLOSED:
        drain->log->producers.aborted_saved += (int32_t)drain->end;
        drain->phase = SAVE_BEGIN;
        return begin_index(drain);
    case SAVE_FOLDER_OPENED:
        drain->phase = SAVE_FOLDER_FLUSHED;
        start_op(drain, (struct op){.kind = OP_FLUSH, .handle = drain->handle});
        return STEP_AGAIN;
    default:
        drain->phase = SAVE_FOLDER_CLOSED;
        close_handle(drain);
        return STEP_AGAIN;
    }
}

/* The captured snapshot into a buffer of the drain's; its file is opened. */
static enum step begin_snapshot(struct drain *drain)
{
    struct log *log = drain->log;
    struct producer_state *state = &log->producers;
    struct segment *segment;
    int64_t position;
    if (!is_captured(log)) { /* captured anew by a roll meanwhile: another time */
        drain->phase = SAVE_BEGIN;
        return STEP_NEXT;
    }
    if (unsaved_entries(log, &segment, &position) > 0)
        return begin_index(drain);
    struct bytes captured = state->captured;
    state->captured = BYTES_NULL;
    bool there = state->snapshot_count > 0 &&
                 state->snapshots[state->snapshot_count - 1] >= state->captured_offset;
    if (!there) {
        drain->chunk = buffers_take_always(&log->store->core->buffers, (size_t)captured.size);
        memcpy(drain->chunk->data, captured.data, (size_t)captured.size);
        drain->vector = (struct iovec){drain->chunk->data, (size_t)captured.size};
        drain->from = 0;
        drain->end = state->captured_offset;
    }
    memory_free((void *)(uintptr_t)captured.data);
    if (there) {
        drain->phase = SAVE_BEGIN;
        return STEP_NEXT;
    }
    name_file(drain, drain->end, ".snapshot");
    drain->phase = SAVE_SNAPSHOT_OPENED;
    start_op(drain,
             (struct op){.kind = OP_OPEN, .path = drain->path, .flags = OPEN_WRITE | OPEN_CREATE});
    return STEP_AGAIN;
}

static void add_snapshot(struct log *log, int64_t offset)
{
    struct producer_state *state = &log->producers;
    if (state->snapshot_count == state->snapshot_capacity) {
        state->snapshot_capacity += PRODUCER_SNAPSHOTS_KEPT + 1;
        state->snapshots = memory_resized(state->snapshots, (size_t)state->snapshot_capacity *
                                                                sizeof *state->snapshots);
    }
    state->snapshots[state->snapshot_count++] = offset;
    if (list_is_empty(&log->dirty_folder))
        list_push(&log->store->dirty_folders, &log->dirty_folder);
}

/* Removes the oldest while there are too many; none while segments go, for what the log rests on
 * then is the one of before or, once it is flushed, another (retire.h 4). */
static enum step remove_oldest(struct drain *drain)
{
    struct producer_state *state = &drain->log->producers;
    int32_t at =
        state->snapshot_count > 0 && state->snapshots[0] == producer_state_rests_on(drain->log);
    if (state->snapshot_count - at <= PRODUCER_SNAPSHOTS_KEPT || drain->log->retiring > 0) {
        drain->phase = SAVE_BEGIN;
        return STEP_NEXT;
    }
    name_file(drain, state->snapshots[at], ".snapshot");
    state->snapshot_count--;
    memmove(state->snapshots + at, state->snapshots + at + 1,
            (size_t)(state->snapshot_count - at) * sizeof *state->snapshots);
    drain->phase = SAVE_REMOVED;
    start_op(drain, (struct op){.kind = OP_REMOVE, .path = drain->path});
    return STEP_AGAIN;
}

static enum step step_snapshot(struct drain *drain)
{
    switch (drain->phase) {
    case SAVE_FOLDER_CLOSED:
        return begin_snapshot(drain);
    case SAVE_SNAPSHOT_OPENED: /* what a crash has left of an earlier one of this name goes */
        drain->phase = SAVE_SNAPSHOT_CUT;
        start_op(drain, (struct op){.kind = OP_TRUNCATE, .handle = drain->handle, .size = 0});
        return STEP_AGAIN;
    case SAVE_SNAPSHOT_CUT:
        drain->phase = SAVE_SNAPSHOT_WRITTEN;
        return write_rest(drain);
    case SAVE_SNAPSHOT_WRITTEN:
        if (drain->op.result == 0)
            return drain_give_up(drain, "a snapshot of producers could not be written");
        if (!take_written(drain))
            return write_rest(drain);
        buffer_release(drain->chunk);
        drain->chunk = NULL;
        drain->phase = SAVE_SNAPSHOT_CLOSED;
        close_handle(drain);
        return STEP_AGAIN;
    case SAVE_SNAPSHOT_CLOSED:
        REACHED("a snapshot of producers was written");
        add_snapshot(drain->log, drain->end);
        return remove_oldest(drain);
    default:
        return remove_oldest(drain);
    }
}

enum step drain_producers(struct flow *flow)
{
    struct drain *drain = CONTAINER_OF(flow, struct drain, flow);
    struct log *log = drain->log;
    bool opened = drain->phase == SAVE_INDEX_OPENED || drain->phase == SAVE_FOLDER_OPENED ||
                  drain->phase == SAVE_SNAPSHOT_OPENED;
    if (opened && drain->op.result >= 0)
        drain->handle = (int32_t)drain->op.result;
    if (log->store->fenced || log->removed)
        return STEP_FAIL; /* to the last step, which closes the handle */
    if (drain->phase == SAVE_BEGIN) {
        if (!log->folder_exists || !producer_state_is_due(log))
            return STEP_NEXT;
        if (!is_captured(log))
            producer_state_capture(log);
        return begin_index(drain);
    }
    bool gone = drain->phase == SAVE_REMOVED && op_error(drain->op.result) == ERROR_NOT_FOUND;
    if (drain->op.result < 0 && !gone)
        return drain_give_up(drain, "the files of a partition's producers could not be written");
    return drain->phase < SAVE_FOLDER_CLOSED ? step_index(drain) : step_snapshot(drain);
}
