#include "reactor/port.h"
#include "reactor/flow.h"
#include "base/check.h"

void op_start(struct port *port, struct op *op)
{
    check(!op->running && op->kind < OP_KIND_COUNT);
    op->running = true;
    op->result = 0;
    op->pool_buffer = -1;
    if (op->flow)
        flow_hold(op->flow);
    port->operations->submit(port, op);
}

void op_complete(struct op *op, int64_t result)
{
    check(op->running);
    op->running = false;
    op->result = result;
    if (op->flow)
        flow_release(op->flow);
}

int64_t port_call(struct port *port, struct op *op)
{
    op_start(port, op);
    while (op->running)
        port->operations->wait(port, INT64_MAX);
    return op->result;
}
