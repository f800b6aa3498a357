#include "storage/file_read.h"

enum { BEGIN, OPENED, SIZED, READ, CLOSED };

static bool start(struct file_read *read, struct flow *flow, uint8_t phase, struct op op)
{
    read->phase = phase;
    read->op = op;
    read->op.flow = flow;
    file_op_start(read->core, &read->op);
    return false;
}

static bool close_file(struct file_read *read, struct flow *flow, enum error error)
{
    read->error = error;
    return start(read, flow, CLOSED, (struct op){.kind = OP_CLOSE, .handle = read->handle});
}

static bool read_rest(struct file_read *read, struct flow *flow)
{
    return start(read, flow, READ,
                 (struct op){.kind = OP_READ,
                             .handle = read->handle,
                             .data = read->buffer->data + read->bytes.size,
                             .size = read->buffer->size - (size_t)read->bytes.size,
                             .offset = read->bytes.size});
}

bool file_read_step(struct file_read *read, struct flow *flow)
{
    const struct op *op = &read->op;
    switch (read->phase) {
    case BEGIN:
        return start(read, flow, OPENED,
                     (struct op){.kind = OP_OPEN, .path = read->path, .flags = OPEN_READ});
    case OPENED:
        read->error = op_error(op->result);
        if (read->error)
            return true;
        read->handle = (int32_t)op->result;
        return start(read, flow, SIZED,
                     (struct op){.kind = OP_STAT, .handle = read->handle, .data = &read->stat});
    case SIZED:
        if (op->result < 0 || read->stat.size_bytes > read->most_bytes)
            return close_file(read, flow, op->result < 0 ? op_error(op->result) : ERROR_MALFORMED);
        read->buffer = buffers_take_always(&read->core->buffers, (size_t)read->stat.size_bytes + 1);
        read->bytes = (struct bytes){read->buffer->data, 0};
        return read_rest(read, flow);
    case READ:
        if (op->result <= 0)
            return close_file(read, flow, op_error(op->result));
        read->bytes.size += (int32_t)op->result;
        return (size_t)read->bytes.size < read->buffer->size ? read_rest(read, flow)
                                                             : close_file(read, flow, ERROR_NONE);
    default:
        return true;
    }
}

void file_read_done(struct file_read *read)
{
    buffer_release(read->buffer);
    read->buffer = NULL;
    read->bytes = (struct bytes){NULL, 0};
}
