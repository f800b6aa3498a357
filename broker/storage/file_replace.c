#include "storage/file_replace.h"
#include <stdio.h>

enum { BEGIN, OPENED, CUT, WRITTEN, FLUSHED, CLOSED, RENAMED };

static bool start(struct file_replace *replace, struct flow *flow, uint8_t phase, struct op op)
{
    replace->phase = phase;
    replace->op = op;
    replace->op.flow = flow;
    file_op_start(replace->core, &replace->op);
    return false;
}

static bool write_rest(struct file_replace *replace, struct flow *flow)
{
    size_t done = (size_t)((const uint8_t *)replace->vector.iov_base - replace->data);
    return start(replace, flow, WRITTEN,
                 (struct op){.kind = OP_WRITE,
                             .handle = replace->handle,
                             .vectors = &replace->vector,
                             .vector_count = 1,
                             .offset = (int64_t)done});
}

static bool flush(struct file_replace *replace, struct flow *flow)
{
    if (!replace->unflushed)
        return start(replace, flow, FLUSHED,
                     (struct op){.kind = OP_FLUSH, .handle = replace->handle});
    return start(replace, flow, CLOSED, (struct op){.kind = OP_CLOSE, .handle = replace->handle});
}

/* After a failure the file is only closed. */
static bool fail(struct file_replace *replace, struct flow *flow)
{
    int64_t result = replace->op.result;
    replace->error = result < 0 ? op_error(result) : ERROR_INPUT_OUTPUT;
    if (replace->phase == FLUSHED) /* whatever it says: it is not to be tried again */
        replace->error = ERROR_INPUT_OUTPUT;
    if (replace->phase == OPENED || replace->phase >= CLOSED)
        return true;
    return start(replace, flow, CLOSED, (struct op){.kind = OP_CLOSE, .handle = replace->handle});
}

bool file_replace_step(struct file_replace *replace, struct flow *flow)
{
    struct op *op = &replace->op;
    if (replace->phase != BEGIN && op->result < 0 && !replace->error)
        return fail(replace, flow);
    switch (replace->phase) {
    case BEGIN:
        snprintf(replace->temporary, sizeof replace->temporary, "%s.tmp", replace->path);
        return start(replace, flow, OPENED,
                     (struct op){.kind = OP_OPEN,
                                 .path = replace->temporary,
                                 .flags = OPEN_WRITE | OPEN_CREATE});
    case OPENED:
        replace->handle = (int32_t)op->result;
        return start(replace, flow, CUT,
                     (struct op){.kind = OP_TRUNCATE, .handle = replace->handle});
    case CUT:
        replace->vector = (struct iovec){(void *)(uintptr_t)replace->data, replace->size};
        return replace->size ? write_rest(replace, flow) : flush(replace, flow);
    case WRITTEN:
        if (op->result == 0)
            return fail(replace, flow);
        replace->vector.iov_base = (uint8_t *)replace->vector.iov_base + op->result;
        replace->vector.iov_len -= (size_t)op->result;
        return replace->vector.iov_len ? write_rest(replace, flow) : flush(replace, flow);
    case FLUSHED:
        return start(replace, flow, CLOSED,
                     (struct op){.kind = OP_CLOSE, .handle = replace->handle});
    case CLOSED:
        if (replace->error)
            return true;
        return start(
            replace, flow, RENAMED,
            (struct op){.kind = OP_RENAME, .path = replace->temporary, .path_to = replace->path});
    default:
        return true;
    }
}
