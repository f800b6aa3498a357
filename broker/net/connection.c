#include "net/owing.h"
#include "base/check.h"
#include "base/mutant.h"
#include "base/memory.h"
#include "metrics/metrics.h"
#include "base/reached.h"

enum {
    PROGRESS_BYTES = 65536,         /* of a frame, for another frame_ms */
    QUEUED_BYTES = 1 << 20,         /* of answers not taken: then nothing is decided */
    SMALL_BYTES = BUFFER_ALIGNMENT, /* a frame that is always let in where none is under way */
};

/* Needs the frame that has begun no room in the budget? */
static bool is_let_in(const struct connection *c)
{
    if (MUTANT(no_back_pressure))
        return true;
    return c->frame_size <= SMALL_BYTES && c->in_flight == 0 &&
           !MUTANT(small_requests_wait_for_room);
}

static void pause_reading(struct connection *c)
{
    check(!c->paused);
    c->paused = true;
    flow_hold(&c->flow);
}

void connection_wake(struct connection *c)
{
    if (!c->paused) {
        if (c->wants_buffer && is_let_in(c))
            waiter_cancel(&c->waiter);
        return;
    }
    c->paused = false;
    flow_release(&c->flow);
}

static void shut_down(struct connection *c)
{
    c->end = (struct op){.kind = OP_SHUTDOWN, .flow = &c->flow, .handle = c->handle};
    op_start(c->net->core->port, &c->end);
}

void connection_close(struct connection *c)
{
    if (c->closed)
        return;
    owing_forget(c);
    c->closed = true;
    waiter_cancel(&c->waiter);
    if (!list_is_empty(&c->flow.link)) /* about to run: a flow in the run queue takes no hold */
        c->shutdown_due = true;
    else if (c->receiving || c->send)
        shut_down(c);
    connection_wake(c);
}

static void refuse_frame(struct connection *c, enum refusal refusal, const char *why)
{
    char peer[ADDRESS_TEXT_BYTES];
    c->net->refused++;
    if (c->net->core->metrics)
        metrics_count_refusal(c->net->core->metrics, refusal);
    event_write(&c->net->core->events, &c->net->core->now, EVENT_WARN, "frame_refused",
                "client=%s why=\"%s\" size=%d limit=%d", address_format(&c->peer, peer), why,
                c->frame_size, c->net->limits.request_bytes_max);
    connection_close(c);
}

/* -- what has arrived ---------------------------------------------------------------------- */

void connection_slot_release(struct connection *c, struct pool_slot *slot)
{
    check(slot->references > 0);
    if (--slot->references > 0)
        return;
    if (slot->copy)
        buffer_release(slot->copy);
    else
        net_give_back(c->net, slot->pool_buffer);
    *slot = (struct pool_slot){.pool_buffer = -1};
    connection_wake(c);
}

/* Reading stops, perhaps for as long as the peer likes: what has arrived behind moves out of the
 * port's buffer, which others need. Without room it stays. */
static void leave_pool(struct connection *c)
{
    struct pool_slot *slot = c->input;
    if (!slot || slot->copy || slot->references != 1)
        return;
    size_t size = (size_t)(c->input_end - c->next);
    struct buffer *copy = buffers_take(&c->net->core->buffers, size);
    if (!copy)
        return;
    memcpy(copy->data, c->next, size);
    net_give_back(c->net, slot->pool_buffer);
    buffer_set_aside(copy); /* its first frame may need a buffer of its own */
    slot->copy = copy;
    c->next = copy->data;
    c->input_end = c->next + size;
}

static void drop_input(struct connection *c)
{
    if (c->input)
        connection_slot_release(c, c->input);
    c->input = NULL;
    c->next = c->input_end = NULL;
}

static struct pool_slot *free_slot(struct connection *c)
{
    for (int i = 0; i < CONNECTION_SLOTS; i++)
        if (c->slots[i].references == 0)
            return &c->slots[i];
    return NULL;
}

void connection_mark_active(struct connection *c)
{
    c->active_ns = c->net->core->now.monotonic_ns;
    list_remove(&c->link);
    list_push(&c->net->connections, &c->link);
}

/* Keeps the list of frames that have begun: enters it, moves on with progress, or leaves it. */
static void mark_half(struct connection *c, int64_t bytes)
{
    struct net *net = c->net;
    if (c->length_have == 0) {
        list_remove(&c->half);
        c->half_bytes = 0;
        return;
    }
    c->half_bytes += bytes;
    if (!list_is_empty(&c->half) && c->half_bytes < PROGRESS_BYTES)
        return;
    c->half_bytes = 0;
    c->half_ns = net->core->now.monotonic_ns;
    list_remove(&c->half);
    list_push(&net->halves, &c->half);
    net_watch_by(net, c->half_ns + net->limits.frame_ms * 1000000);
}

/* Looks at the receive that has completed. */
static void take_received(struct connection *c)
{
    struct net *net = c->net;
    struct op *op = &c->receive;
    c->receiving = false;
    if (op->pool_buffer >= 0)
        net->pool_held++;
    if (op->result <= 0 || c->closed) {
        if (op->result > 0)
            REACHED("late completion");
        if (op_error(op->result) == ERROR_NO_BUFFERS)
            REACHED("ENOBUFS met");
        if (op->pool_buffer >= 0)
            net_give_back(net, op->pool_buffer);
        if (op_error(op->result) == ERROR_NO_BUFFERS && !c->closed)
            c->without_pool = true;
        else
            connection_close(c); /* the end, or cut: nobody is left to answer */
        return;
    }
    net->received_bytes += (uint64_t)op->result;
    connection_mark_active(c);
    if (c->frame) {
        c->frame_have += (int32_t)op->result;
        check(c->frame_have <= c->frame_size);
        return;
    }
    if (c->without_pool) {
        c->next = c->head;
        c->input_end = c->head + op->result;
        return;
    }
    struct pool_slot *slot = free_slot(c);
    check(slot && op->pool_buffer >= 0 && !c->input);
    *slot = (struct pool_slot){.pool_buffer = op->pool_buffer, .references = 1};
    c->input = slot;
    c->next = op->data;
    c->input_end = c->next + op->result;
}

/* -- frames -------------------------------------------------------------------------------- */

/* The four bytes of the length. False: they are not all there, or the frame was refused. */
static bool read_length(struct connection *c)
{
    if (c->length_have == 4)
        return true;
    while (c->length_have < 4 && c->next < c->input_end)
        c->length[c->length_have++] = *c->next++;
    if (c->length_have < 4)
        return false;
    c->frame_size = (int32_t)load_be32(c->length);
    c->frame_have = 0;
    if (c->frame_size < 0)
        refuse_frame(c, REFUSAL_FRAME_MALFORMED, "the size of the frame is negative");
    else if (c->frame_size > c->net->limits.request_bytes_max)
        refuse_frame(c, REFUSAL_FRAME_TOO_LARGE,
                     "the size of the frame is above socket.request.max.bytes");
    return !c->closed;
}

/* Gives the frame a buffer of its own and moves there what has arrived. False: no room now. A small
 * one needs none if it is the only one of its connection: whoever asks for little is not to wait
 * until the disk has taken what others have sent. */
static bool start_own_buffer(struct connection *c)
{
    struct buffers *buffers = &c->net->core->buffers;
    c->frame = buffers_take(buffers, (size_t)c->frame_size);
    if (!c->frame && is_let_in(c)) {
        REACHED("a small frame past the budget");
        c->frame = buffers_take_always(buffers, (size_t)c->frame_size);
    }
    c->wants_buffer = !c->frame;
    if (!c->frame)
        return false;
    c->without_pool = false;
    c->frame_have = (int32_t)(c->input_end - c->next);
    if (c->frame_have)
        memcpy(c->frame->data, c->next, (size_t)c->frame_have);
    drop_input(c);
    return true;
}

/* The next whole frame, in place or in its buffer. False: more must arrive, or the connection is
 * closed, or wants_buffer. */
static bool next_frame(struct connection *c, struct bytes *ret_frame, struct pool_slot **ret_slot)
{
    *ret_slot = NULL;
    if (c->frame) {
        if (c->frame_have < c->frame_size)
            return false;
        *ret_frame = (struct bytes){c->frame->data, c->frame_size};
        c->length_have = 0;
        return true;
    }
    if (!read_length(c)) {
        drop_input(c);
        return false;
    }
    int64_t left = c->input_end - c->next;
    if (left < c->frame_size) {
        /* Where nothing of it is here yet a small one may still arrive in one piece. */
        if (left > 0 || c->without_pool ||
            (uint32_t)c->frame_size > c->net->core->port->pool_buffer_size)
            start_own_buffer(c);
        else
            drop_input(c);
        return false;
    }
    *ret_frame = (struct bytes){c->next, c->frame_size};
    *ret_slot = c->input;
    if (c->input)
        c->input->references++;
    c->next += c->frame_size;
    c->length_have = 0;
    if (c->input && c->next == c->input_end)
        drop_input(c);
    return true;
}

static void start_request(struct connection *c, struct bytes frame, struct pool_slot *slot)
{
    struct request *request = request_take(c);
    request->frame = frame;
    request->slot = slot;
    request->buffer = c->frame;
    request->received_ns = c->net->core->now.monotonic_ns;
    c->frame = NULL;
    c->deciding = true;
    list_remove(&c->half); /* the next one has its own time */
    c->net->requests++;
    c->net->handler->request(request);
}

/* -- the flow ------------------------------------------------------------------------------ */

static enum step connection_start(struct flow *flow)
{
    struct connection *c = CONTAINER_OF(flow, struct connection, flow);
    struct net *net = c->net;
    net->connection_count++;
    c->active_ns = net->core->now.monotonic_ns;
    list_push(&net->connections, &c->link);
    if (net->limits.idle_ms >= 0)
        net_watch_by(net, c->active_ns + net->limits.idle_ms * 1000000);
    if (net->stopping)
        connection_close(c);
    return STEP_NEXT;
}

/* Arms whatever must come before reading goes on. Takes a hold. */
static void wait_for_more(struct connection *c)
{
    struct net *net = c->net;
    if (c->wants_buffer) {
        REACHED("budget wait");
        waiter_park(&c->waiter, &net->core->buffers.waiters, &c->flow);
        return;
    }
    if (!c->frame && !free_slot(c)) {
        pause_reading(c);
        return;
    }
    c->receive = (struct op){.kind = OP_RECEIVE, .flow = &c->flow, .handle = c->handle};
    if (c->frame) {
        c->receive.data = c->frame->data + c->frame_have;
        c->receive.size = (size_t)(c->frame_size - c->frame_have);
    } else if (c->without_pool) {
        if (net->pool_held >= (int32_t)net->core->port->pool_buffer_count)
            REACHED("pool empty");
        c->receive.data = c->head;
        c->receive.size = sizeof c->length - (size_t)c->length_have;
    }
    c->receiving = true;
    op_start(net->core->port, &c->receive);
}

/* May the next request be decided, as far as those before it go? */
static bool may_decide(const struct connection *c)
{
    return !c->deciding &&
           (c->in_flight < c->net->limits.in_flight_max || MUTANT(no_back_pressure)) &&
           c->queued_bytes < QUEUED_BYTES && owing_has_room(c) && owing_has_room_at_all(c->net);
}

/* Waits until a request ends, or until others take their answers. */
static void wait_to_decide(struct connection *c)
{
    leave_pool(c);
    if (owing_has_room_at_all(c->net))
        pause_reading(c);
    else
        waiter_park(&c->waiter, &c->net->owed_waiters, &c->flow);
}

static enum step connection_read(struct flow *flow)
{
    struct connection *c = CONTAINER_OF(flow, struct connection, flow);
    if (c->receiving)
        take_received(c);
    int64_t bytes = c->receive.result > 0 ? c->receive.result : 0;
    c->receive.result = 0;
    struct bytes frame;
    struct pool_slot *slot;
    while (!c->closed && may_decide(c) && next_frame(c, &frame, &slot))
        start_request(c, frame, slot);
    if (c->closed)
        return STEP_NEXT;
    mark_half(c, bytes);
    if (may_decide(c))
        wait_for_more(c);
    else
        wait_to_decide(c);
    return STEP_AGAIN;
}

/* Ends what is under way: ready answers are dropped, those that wait are cancelled. */
static enum step connection_drain(struct flow *flow)
{
    struct connection *c = CONTAINER_OF(flow, struct connection, flow);
    check(c->closed && !c->receiving);
    if (c->shutdown_due && c->send)
        shut_down(c);
    c->shutdown_due = false;
    list_remove(&c->half);
    drop_input(c);
    if (!MUTANT(budget_leaked))
        buffer_release(c->frame);
    c->frame = NULL;
    struct list *next;
    for (struct list *node = c->requests.next; node != &c->requests; node = next) {
        next = node->next;
        struct request *request = CONTAINER_OF(node, struct request, link);
        void (*cancel)(struct request *) = c->cancelled ? NULL : request->cancel;
        waiter_cancel(&request->turn);
        if (request->ready && !c->send)
            request_sent(request);
        else if (cancel)
            cancel(request);
    }
    c->cancelled = true;
    if (c->in_flight == 0 && !c->send)
        return STEP_NEXT;
    pause_reading(c);
    return STEP_AGAIN;
}

static enum step connection_end(struct flow *flow)
{
    struct connection *c = CONTAINER_OF(flow, struct connection, flow);
    c->end = (struct op){.kind = OP_CLOSE, .flow = flow, .handle = c->handle};
    op_start(c->net->core->port, &c->end);
    return STEP_NEXT;
}

static enum step connection_gone(struct flow *flow)
{
    struct connection *c = CONTAINER_OF(flow, struct connection, flow);
    check(list_is_empty(&c->requests) && !c->flush.queued && !c->waiter.flow);
    list_remove(&c->link);
    net_connection_ended(c);
    return STEP_NEXT;
}

const struct flow_kind connection_kind = {"connection",
                                          {
                                              {"start", connection_start},
                                              {"read", connection_read},
                                              {"drain", connection_drain},
                                              {"end", connection_end},
                                              {"gone", connection_gone},
                                          }};
