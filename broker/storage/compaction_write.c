#include "storage/compaction_write.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "storage/log_state.h"
#include "storage/store.h"
#include <stdio.h>

enum {
    PHASE_CREATE,
    PHASE_CREATED,
    PHASE_CUT, /* of whatever an earlier pass may have left under this name */
    PHASE_OPEN,
    PHASE_WRITE, /* in flight */
    PHASE_LAST,  /* the rest is in flight */
    PHASE_SIZE,
    PHASE_FLUSH,
    PHASE_CLOSE,
    PHASE_INDEX_CREATE,
    PHASE_INDEX_CUT,
    PHASE_INDEX_WRITE,
    PHASE_INDEX_WRITTEN,
    PHASE_INDEX_FLUSH,
    PHASE_INDEX_CLOSE,
    PHASE_ENDED,
};

void compaction_writer_init(struct compaction_writer *writer, struct log *log, int64_t base_offset,
                            uint32_t buffer_bytes)
{
    *writer = (struct compaction_writer){.log = log, .handle = -1};
    writer->least_bytes = align_up(buffer_bytes < 4096 ? 4096 : buffer_bytes, BUFFER_ALIGNMENT);
    writer->segment = segment_new(log, base_offset);
    writer->segment->index_loaded = true;
    writer->segment->times.known = false; /* its time index is made when it is asked for */
}

static void start_op(struct compaction_writer *writer, struct flow *flow, struct op op)
{
    writer->op = op;
    writer->op.flow = flow;
    file_op_start(writer->log->store->core, &writer->op);
}

static bool fail(struct compaction_writer *writer, const char *fault)
{
    enum error error = op_error(writer->op.result);
    writer->error = error ? error : ERROR_INPUT_OUTPUT;
    writer->fault = fault;
    return true;
}

static void open_file(struct compaction_writer *writer, struct flow *flow, const char *suffix,
                      uint32_t flags)
{
    snprintf(writer->path, sizeof writer->path, "%s/%020lld%s", writer->log->folder,
             (long long)writer->segment->base_offset, suffix);
    start_op(writer, flow,
             (struct op){.kind = OP_OPEN,
                         .path = writer->path,
                         .flags = OPEN_READ | OPEN_WRITE | OPEN_CREATE | flags});
}

void compaction_writer_put(struct compaction_writer *writer, struct bytes batch,
                           int64_t last_offset)
{
    check(writer->phase == PHASE_OPEN);
    struct segment *segment = writer->segment;
    size_t needed = align_up(writer->filled + (size_t)batch.size, BUFFER_ALIGNMENT);
    if (needed > writer->buffer_bytes) {
        needed = needed > 2 * writer->least_bytes ? needed : 2 * writer->least_bytes;
        uint8_t *buffer = memory_aligned(BUFFER_ALIGNMENT, needed);
        if (writer->filled)
            memcpy(buffer, writer->buffer, writer->filled);
        memory_free(writer->buffer);
        writer->buffer = buffer;
        writer->buffer_bytes = needed;
    }
    segment_index_note(segment, last_offset, segment->size,
                       writer->log->settings->index_interval_bytes);
    sidecar_gather(segment, batch.data, segment->size);
    memcpy(writer->buffer + writer->filled, batch.data, (size_t)batch.size);
    writer->filled += (size_t)batch.size;
    segment->size += batch.size;
}

static void start_write(struct compaction_writer *writer, struct flow *flow, size_t size)
{
    writer->vector = (struct iovec){writer->buffer, size};
    start_op(writer, flow,
             (struct op){.kind = OP_WRITE,
                         .handle = writer->handle,
                         .vectors = &writer->vector,
                         .vector_count = 1,
                         .offset = writer->position});
}

/* A write has ended; the rest of a short one is started anew. False: it goes on. */
static bool written(struct compaction_writer *writer, struct flow *flow)
{
    uint64_t alignment = writer->log->store->alignment;
    if (writer->op.result <= 0)
        return fail(writer, "a compacted segment can't be written");
    size_t count = align_down((uint64_t)writer->op.result, alignment);
    size_t left = writer->vector.iov_len - count;
    writer->written_bytes += count;
    writer->position += (int64_t)count;
    writer->filled = writer->filled > count ? writer->filled - count : 0;
    memmove(writer->buffer, writer->buffer + count, left > writer->filled ? left : writer->filled);
    if (left == 0)
        return true;
    start_write(writer, flow, left);
    return false;
}

bool compaction_writer_step(struct compaction_writer *writer, struct flow *flow)
{
    switch (writer->phase) {
    case PHASE_CREATE:
        writer->phase = PHASE_CREATED;
        open_file(writer, flow, ".log.cleaned", OPEN_DIRECT);
        return false;
    case PHASE_CREATED:
        if (writer->op.result < 0)
            return fail(writer, "a file for a compacted segment can't be created");
        writer->handle = (int32_t)writer->op.result;
        writer->phase = PHASE_CUT;
        start_op(writer, flow, (struct op){.kind = OP_TRUNCATE, .handle = writer->handle});
        return false;
    case PHASE_CUT:
        if (writer->op.result < 0)
            return fail(writer, "a file for a compacted segment can't be cut");
        writer->phase = PHASE_OPEN;
        break;
    case PHASE_WRITE:
        if (!written(writer, flow))
            return false;
        if (writer->fault)
            return true;
        writer->phase = PHASE_OPEN;
        break;
    default:
        break;
    }
    check(writer->phase == PHASE_OPEN);
    if (writer->filled < writer->least_bytes)
        return true;
    writer->phase = PHASE_WRITE;
    start_write(writer, flow, align_down(writer->filled, writer->log->store->alignment));
    return false;
}

/* The last, not full sector goes with zeros behind it, which are cut off. */
static bool write_rest(struct compaction_writer *writer, struct flow *flow)
{
    writer->phase = PHASE_LAST;
    if (writer->filled == 0)
        return compaction_writer_finish(writer, flow);
    size_t size = align_up(writer->filled, writer->log->store->alignment);
    memset(writer->buffer + writer->filled, 0, size - writer->filled);
    start_write(writer, flow, size);
    return false;
}

static void start_index_write(struct compaction_writer *writer, struct flow *flow, size_t done)
{
    struct segment *segment = writer->segment;
    size_t size = 8 * (size_t)segment->index_count;
    writer->vector = (struct iovec){writer->index + done, size - done};
    start_op(writer, flow,
             (struct op){.kind = OP_WRITE,
                         .handle = writer->handle,
                         .vectors = &writer->vector,
                         .vector_count = 1,
                         .offset = (int64_t)done});
}

/* The index, from its creation on: the file is there even without an entry, so that a start finds
 * for every swap what its index is to be. */
static bool finish_index(struct compaction_writer *writer, struct flow *flow)
{
    struct segment *segment = writer->segment;
    switch (writer->phase) {
    case PHASE_INDEX_CREATE:
        if (writer->op.result < 0)
            return fail(writer, "the index of a compacted segment can't be created");
        writer->handle = (int32_t)writer->op.result;
        writer->phase = PHASE_INDEX_CUT;
        start_op(writer, flow, (struct op){.kind = OP_TRUNCATE, .handle = writer->handle});
        return false;
    case PHASE_INDEX_CUT:
        if (writer->op.result < 0)
            return fail(writer, "the index of a compacted segment can't be cut");
        if (segment->index_count > 0) {
            writer->index = memory_zeroed(8 * (size_t)segment->index_count);
            index_encode(segment, 0, segment->index_count, writer->index);
            writer->phase = PHASE_INDEX_WRITTEN;
            start_index_write(writer, flow, 0);
            return false;
        }
        break;
    case PHASE_INDEX_WRITTEN:
        if (writer->op.result <= 0)
            return fail(writer, "the index of a compacted segment can't be written");
        if ((size_t)writer->op.result < writer->vector.iov_len) {
            start_index_write(writer, flow, (size_t)(writer->op.offset + writer->op.result));
            return false;
        }
        break;
    case PHASE_INDEX_FLUSH:
        if (writer->op.result < 0)
            return fail(writer, "the index of a compacted segment can't be flushed");
        segment->index_written = segment->index_count;
        writer->phase = PHASE_INDEX_CLOSE;
        return compaction_writer_close(writer, flow) ? compaction_writer_finish(writer, flow)
                                                     : false;
    default:
        writer->phase = PHASE_ENDED;
        return true;
    }
    writer->phase = PHASE_INDEX_FLUSH;
    start_op(writer, flow, (struct op){.kind = OP_FLUSH, .handle = writer->handle});
    return false;
}

bool compaction_writer_finish(struct compaction_writer *writer, struct flow *flow)
{
    struct segment *segment = writer->segment;
    if (writer->fault)
        return true;
    switch (writer->phase) {
    case PHASE_OPEN:
        return write_rest(writer, flow);
    case PHASE_LAST:
        if (writer->filled > 0 && !written(writer, flow))
            return false;
        if (writer->fault)
            return true;
        writer->phase = PHASE_SIZE;
        start_op(writer, flow,
                 (struct op){
                     .kind = OP_TRUNCATE, .handle = writer->handle, .size = (size_t)segment->size});
        return false;
    case PHASE_SIZE:
        if (writer->op.result < 0)
            return fail(writer, "a compacted segment can't be cut to its size");
        writer->phase = PHASE_FLUSH;
        if (!MUTANT(swap_before_flush)) {
            start_op(writer, flow, (struct op){.kind = OP_FLUSH, .handle = writer->handle});
            return false;
        }
        /* fall through */
    case PHASE_FLUSH:
        if (writer->op.result < 0)
            return fail(writer, "a compacted segment can't be flushed");
        segment->drained = segment->allocated = segment->size;
        segment->exists = segment->sealed = true;
        writer->phase = PHASE_CLOSE;
        if (!compaction_writer_close(writer, flow))
            return false;
        /* fall through */
    case PHASE_CLOSE:
        writer->phase = PHASE_INDEX_CREATE;
        open_file(writer, flow, ".index.cleaned", 0);
        return false;
    default:
        return finish_index(writer, flow);
    }
}

bool compaction_writer_close(struct compaction_writer *writer, struct flow *flow)
{
    bool opening = writer->phase == PHASE_CREATED || writer->phase == PHASE_INDEX_CREATE;
    if (opening && writer->handle < 0 && writer->op.kind == OP_OPEN && writer->op.result >= 0)
        writer->handle = (int32_t)writer->op.result; /* opened, and given up since */
    if (writer->handle < 0)
        return true;
    start_op(writer, flow, (struct op){.kind = OP_CLOSE, .handle = writer->handle});
    writer->handle = -1;
    return false;
}

void compaction_writer_done(struct compaction_writer *writer)
{
    check(writer->handle < 0);
    memory_free(writer->buffer);
    memory_free(writer->index);
    segment_free(writer->segment);
    writer->buffer = writer->index = NULL;
    writer->segment = NULL;
}
