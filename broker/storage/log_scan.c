#include "storage/log_scan.h"
#include "base/check.h"
#include "codec/crc32c.h"
#include "protocol/batch.h"

enum { SCAN_BYTES = 64 << 10 };

void log_scan_done(struct log_scan *scan)
{
    check(!scan->reading);
    buffer_release(scan->buffer);
    scan->buffer = NULL;
    scan->batch = NULL;
}

static enum log_scan_result fault(struct log_scan *scan, const char *what)
{
    scan->fault = what;
    return SCAN_FAULT;
}

static enum log_scan_result start_read(struct log_scan *scan, struct flow *flow, int64_t size)
{
    int64_t from = (int64_t)align_down((uint64_t)scan->position, scan->alignment);
    int64_t last =
        min_i64(scan->end, scan->position + max_i64(size, scan->ahead ? scan->ahead : SCAN_BYTES));
    int64_t to = (int64_t)align_up((uint64_t)last, scan->alignment);
    if (!scan->buffer || (int64_t)scan->buffer->size < to - from) {
        buffer_release(scan->buffer);
        scan->buffer = buffers_take_always(&scan->core->buffers, (size_t)(to - from));
    }
    scan->reading = true;
    scan->op = (struct op){.kind = OP_READ,
                           .flow = flow,
                           .handle = scan->handle,
                           .data = scan->buffer->data,
                           .size = (size_t)(to - from),
                           .offset = from};
    file_op_start(scan->core, &scan->op);
    return SCAN_WAITS;
}

/* Could a batch begin like this, with `left` bytes of the file from there on? */
static const char *header_fault(const struct log_scan *scan, const uint8_t *batch, int64_t size)
{
    if (size < BATCH_RECORDS_AT || size > scan->end - scan->position)
        return "a batch's length reaches beyond the end";
    if (batch[BATCH_MAGIC_AT] != 2)
        return "a batch's magic is not 2";
    if ((int64_t)load_be64(batch) < scan->next_offset)
        return "a batch's base offset is below the one before it";
    if ((int32_t)load_be32(batch + BATCH_LAST_OFFSET_DELTA_AT) < 0)
        return "a batch's last offset is below its base offset";
    return NULL;
}

/* Looks at the batch at the position, of which the header was read. */
static enum log_scan_result look(struct log_scan *scan, struct flow *flow)
{
    const uint8_t *batch = scan->buffer->data + (scan->position - scan->op.offset);
    int64_t size = batch_size_at(batch);
    const char *what = header_fault(scan, batch, size);
    if (what)
        return fault(scan, what);
    scan->whole = scan->position >= scan->whole_from ||
                  (load_be16(batch + BATCH_ATTRIBUTES_AT) & BATCH_CONTROL);
    if (scan->whole && scan->position + size > scan->have)
        return start_read(scan, flow, size);
    if (scan->whole && crc32c(0, batch + BATCH_ATTRIBUTES_AT, (size_t)size - BATCH_ATTRIBUTES_AT) !=
                           load_be32(batch + BATCH_CRC_AT))
        return fault(scan, "a batch's CRC does not match");
    scan->batch = batch;
    scan->batch_size = size;
    return SCAN_BATCH;
}

enum log_scan_result log_scan_step(struct log_scan *scan, struct flow *flow)
{
    if (scan->batch) { /* on to the one behind it */
        scan->next_offset = batch_last_offset_at(scan->batch) + 1;
        scan->position += scan->batch_size;
        scan->batch = NULL;
    }
    if (scan->reading) {
        scan->reading = false;
        scan->error = op_error(scan->op.result);
        if (scan->op.result <= 0)
            return fault(scan, "the segment can't be read");
        scan->have = min_i64(scan->op.offset + scan->op.result, scan->end);
    }
    if (scan->position >= scan->end)
        return SCAN_ENDED;
    if (scan->end - scan->position < BATCH_RECORDS_AT)
        return fault(scan, "bytes are left after the last whole batch");
    bool behind = scan->buffer && scan->position < scan->op.offset; /* it was set back */
    if (!scan->buffer || behind || scan->position + BATCH_RECORDS_AT > scan->have)
        return start_read(scan, flow, BATCH_RECORDS_AT);
    return look(scan, flow);
}
