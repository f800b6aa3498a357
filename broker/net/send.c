/* Answers on their way out: a connection borrows a `struct send` only while it sends, so that idle
 * ones cost nothing for it. What is ready at the end of a turn, in order, leaves in one OP_SEND of
 * at most SEND_VECTORS pieces; a short one goes on where it stopped. */
#include "net/owing.h"
#include "base/check.h"
#include "base/memory.h"

enum { KEPT_SENDS = 64 };

/* Takes `bytes` from the front of what was sent, and lets go of every answer that is out. */
static void advance(struct connection *c, size_t bytes)
{
    c->net->sent_bytes += bytes;
    while (!list_is_empty(&c->requests)) {
        struct request *request = CONTAINER_OF(c->requests.next, struct request, link);
        if (!request->ready)
            break;
        while (request->vector_next < request->vector_count) {
            struct iovec *vector = &request->vectors[request->vector_next];
            size_t part = bytes < vector->iov_len ? bytes : vector->iov_len;
            vector->iov_base = (uint8_t *)vector->iov_base + part;
            vector->iov_len -= part;
            bytes -= part;
            if (vector->iov_len > 0) {
                check(bytes == 0);
                return;
            }
            request->vector_next++;
        }
        request_sent(request);
    }
    check(bytes == 0);
}

/* Gathers what is ready, from the oldest on, up to the first that is not. */
static int32_t gather(struct send *send)
{
    struct list *requests = &send->connection->requests;
    int32_t count = 0;
    for (struct list *node = requests->next; node != requests; node = node->next) {
        struct request *request = CONTAINER_OF(node, struct request, link);
        if (!request->ready)
            break;
        for (int32_t i = request->vector_next; i < request->vector_count; i++) {
            if (count == SEND_VECTORS)
                return count;
            send->vectors[count++] = request->vectors[i];
        }
    }
    return count;
}

static enum step send_run(struct flow *flow)
{
    struct send *send = CONTAINER_OF(flow, struct send, flow);
    struct connection *c = send->connection;
    struct net *net = c->net;
    if (send->sending) {
        send->sending = false;
        if (send->op.result > 0) {
            if (!c->closed)
                connection_mark_active(c);
            owing_mark_progress(c);
            advance(c, (size_t)send->op.result);
        } else {
            connection_close(c);
        }
    } else {
        advance(c, 0);
    }
    int32_t count = c->closed ? 0 : gather(send);
    if (count > 0) {
        send->op = (struct op){.kind = OP_SEND,
                               .flow = flow,
                               .handle = c->handle,
                               .vectors = send->vectors,
                               .vector_count = count};
        send->sending = true;
        op_start(net->core->port, &send->op);
        return STEP_AGAIN;
    }
    c->send = NULL;
    if (c->closed)
        connection_wake(c);
    if (net->kept_send_count < KEPT_SENDS) {
        list_push_front(&net->kept_sends, &send->link);
        net->kept_send_count++;
    } else {
        memory_free(send);
    }
    return STEP_NEXT;
}

static const struct flow_kind send_kind = {"send", {{"send", send_run}}};

void connection_flush_later(struct connection *c)
{
    if (!c->send)
        core_at_turn_end(c->net->core, &c->flush);
}

void connection_flush(struct turn_hook *hook, struct core *core)
{
    struct connection *c = CONTAINER_OF(hook, struct connection, flush);
    struct net *net = c->net;
    if (c->send || c->closed)
        return;
    struct list *node = list_pop(&net->kept_sends);
    struct send *send;
    if (node) {
        send = CONTAINER_OF(node, struct send, link);
        net->kept_send_count--;
    } else {
        send = memory_zeroed(sizeof *send);
        list_init(&send->link);
    }
    send->connection = c;
    send->sending = false;
    c->send = send;
    /* Run here and not from the queue: the turn is over, and this send belongs to it. */
    flow_start(&send->flow, &send_kind, core);
    list_remove(&send->flow.link);
    flow_run(&send->flow);
}
