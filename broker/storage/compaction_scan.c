#include "storage/compaction_scan.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/reached.h"
#include "storage/log_state.h"
#include "storage/sidecar.h"
#include "storage/store.h"
#include <stdio.h>

void compaction_scan_init(struct compaction_scan *scan, struct store *store, uint32_t buffer_bytes)
{
    *scan = (struct compaction_scan){.store = store, .handle = -1};
    scan->least_bytes = align_up(buffer_bytes < 4096 ? 4096 : buffer_bytes, BUFFER_ALIGNMENT);
}

void compaction_scan_begin(struct compaction_scan *scan, struct segment *segment)
{
    check(!scan->segment && scan->handle < 0 && segment->size >= 0);
    scan->segment = segment;
    segment->users++;
    scan->position = scan->from = scan->to = 0;
    scan->opened = false;
    scan->had = segment->sidecar != NULL;
    scan->made = sidecar_new(segment->base_offset);
    scan->fault = NULL;
    scan->error = ERROR_NONE;
    scan->op.kind = OP_KIND_COUNT;
}

static void start_op(struct compaction_scan *scan, struct flow *flow, struct op op)
{
    scan->op = op;
    scan->op.flow = flow;
    file_op_start(scan->store->core, &scan->op);
}

static enum compaction_scan_result fail(struct compaction_scan *scan, enum error error,
                                        const char *fault)
{
    scan->error = error;
    scan->fault = fault;
    return COMPACTION_SCAN_FAILED;
}

static void open_file(struct compaction_scan *scan, struct flow *flow)
{
    snprintf(scan->path, sizeof scan->path, "%s/%020lld%s", scan->segment->log->folder,
             (long long)scan->segment->base_offset, scan->suffix ? scan->suffix : ".log");
    start_op(scan, flow,
             (struct op){.kind = OP_OPEN, .path = scan->path, .flags = OPEN_READ | OPEN_DIRECT});
}

/* Reads as much as fits, at least `wanted` bytes, from the sector of `position` on. */
static void read_bytes(struct compaction_scan *scan, struct flow *flow, int64_t wanted)
{
    uint64_t alignment = scan->store->alignment;
    int64_t from = (int64_t)align_down((uint64_t)scan->position, alignment);
    size_t needed = align_up((uint64_t)(scan->position - from + wanted), alignment);
    needed = needed > scan->least_bytes ? needed : scan->least_bytes;
    if (needed > scan->buffer_bytes) {
        memory_free(scan->buffer);
        scan->buffer = memory_aligned(BUFFER_ALIGNMENT, needed);
        scan->buffer_bytes = needed;
    }
    int64_t end = (int64_t)align_up((uint64_t)scan->segment->size, alignment);
    scan->from = scan->to = from;
    start_op(scan, flow,
             (struct op){.kind = OP_READ,
                         .handle = scan->handle,
                         .data = scan->buffer,
                         .size = (size_t)min_i64(end - from, (int64_t)scan->buffer_bytes),
                         .offset = from});
}

/* The batch at `position`, if it is in the buffer; else *ret_wanted bytes must be read. */
static enum compaction_scan_result look(struct compaction_scan *scan, struct batch *ret_batch,
                                        int64_t *ret_wanted)
{
    int64_t left = scan->segment->size - scan->position;
    int64_t have = min_i64(scan->to, scan->segment->size) - scan->position;
    *ret_wanted = min_i64(left, BATCH_RECORDS_AT);
    if (left < BATCH_RECORDS_AT)
        return fail(scan, ERROR_NONE, "bytes are left after the last whole batch");
    if (scan->position < scan->from || have < BATCH_RECORDS_AT)
        return COMPACTION_SCAN_WAITS;
    const uint8_t *at = scan->buffer + (scan->position - scan->from);
    int64_t size = batch_size_at(at);
    if (size < BATCH_RECORDS_AT || size > left)
        return fail(scan, ERROR_NONE, "a batch's length reaches beyond the end");
    *ret_wanted = size;
    if (have < size)
        return COMPACTION_SCAN_WAITS;
    if (batch_view(at, (size_t)size, ret_batch) != ERROR_NONE ||
        batch_check_crc(ret_batch) != ERROR_NONE)
        return fail(scan, ERROR_NONE, "a batch's magic or CRC is wrong");
    scan->position += size;
    sidecar_note(scan->made, at);
    return COMPACTION_SCAN_BATCH;
}

/* All batches are whole. Are their headers what they were? Somebody else may have dropped the
 * sidecar since. */
static enum compaction_scan_result end_of_segment(struct compaction_scan *scan, struct flow *flow)
{
    struct sidecar_fault fault;
    if (sidecar_await(scan->segment, &scan->waiter, flow))
        return COMPACTION_SCAN_WAITS;
    const struct sidecar *known = scan->segment->sidecar;
    if (!known || sidecar_compare(known, scan->made, &fault) != SIDECAR_ROT)
        return COMPACTION_SCAN_END;
    REACHED("compaction met rot in a header");
    scan->position = fault.position;
    return fail(scan, ERROR_NONE, fault.what);
}

enum compaction_scan_result compaction_scan_step(struct compaction_scan *scan, struct flow *flow,
                                                 struct batch *ret_batch)
{
    check(scan->segment);
    if (scan->position >= scan->segment->size)
        return end_of_segment(scan, flow);
    if (scan->op.kind == OP_OPEN && !scan->opened) {
        if (scan->op.result < 0)
            return fail(scan, op_error(scan->op.result), "the segment can't be opened");
        scan->handle = (int32_t)scan->op.result;
        scan->opened = true;
    } else if (scan->op.kind == OP_READ && scan->to == scan->from) {
        if (scan->op.result <= 0)
            return fail(scan, op_error(scan->op.result), "the segment can't be read");
        scan->to = scan->from + scan->op.result;
        scan->read_bytes += (uint64_t)scan->op.result;
    }
    if (!scan->opened) {
        if (sidecar_await(scan->segment, &scan->waiter, flow))
            return COMPACTION_SCAN_WAITS;
        open_file(scan, flow);
        return COMPACTION_SCAN_WAITS;
    }
    int64_t wanted;
    enum compaction_scan_result result = look(scan, ret_batch, &wanted);
    if (result == COMPACTION_SCAN_WAITS)
        read_bytes(scan, flow, wanted);
    return result;
}

bool compaction_scan_close(struct compaction_scan *scan, struct flow *flow)
{
    if (scan->op.kind == OP_OPEN && !scan->opened && scan->op.result >= 0 && scan->segment) {
        scan->handle = (int32_t)scan->op.result; /* opened, and not looked at any more */
        scan->opened = true;
    }
    if (scan->segment) {
        struct log *log = scan->segment->log;
        if (!scan->had)
            sidecar_drop(scan->segment);
        sidecar_free(scan->made);
        scan->made = NULL;
        scan->segment->users--;
        scan->segment = NULL;
        waiters_wake(&log->idle_waiters);
    }
    if (scan->handle < 0)
        return true;
    start_op(scan, flow, (struct op){.kind = OP_CLOSE, .handle = scan->handle});
    scan->handle = -1;
    return false;
}

void compaction_scan_done(struct compaction_scan *scan)
{
    check(scan->handle < 0 && !scan->segment);
    memory_free(scan->buffer);
    scan->buffer = NULL;
    scan->buffer_bytes = 0;
}
