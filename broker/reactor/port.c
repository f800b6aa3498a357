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
    /* A start makes tens of thousands of small calls, and each way through the ring or a helper
     * thread costs a sleep; nothing else runs meanwhile, so the blocking call is as good. */
    if (port->operations->call && op->kind >= OP_OPEN) {
        check(!op->running && !op->flow);
        return op->result = port->operations->call(op);
    }
    op_start(port, op);
    while (op->running)
        port->operations->wait(port, INT64_MAX);
    return op->result;
}
