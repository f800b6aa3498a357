/* The floor for tiny requests: a server on one core that answers each frame (four bytes of length,
 * big-endian, then as many bytes) with the same frame, once it is there as a whole, and does
 * nothing else. What a load generator measures against it is the price of sockets, port, core and
 * flows.
 *
 *   bench_echo PORT [uring|epoll]
 *
 * A connection is one flow with at most two operations at once: the answer to what has arrived, and
 * the receive of what comes next. Frames that arrived whole are sent from the pool's buffer; a
 * frame that is cut is collected in `carry`. */
#include "base/bytes.h"
#include "base/check.h"
#include "base/memory.h"
#include "reactor/core.h"
#include <stdio.h>
#include <stdlib.h>

enum { FRAME_MAX = 64 << 20 };

struct connection {
    struct flow flow;
    struct op receive, send, close;
    struct iovec vector;
    int32_t handle;
    int32_t lent;     /* the pool's buffer that is being sent; -1 none */
    uint8_t *sending; /* memory of ours that is being sent */
    uint8_t *carry;   /* frames that are not yet whole */
    size_t carry_size;
};

struct listener {
    struct flow flow;
    struct op accept;
    int32_t handle;
};

/* Bytes of whole frames at the start of `data`; *ret_bad: a length that nobody may send. */
static size_t whole_frames(const uint8_t *data, size_t size, bool *ret_bad)
{
    size_t end = 0;
    while (size - end >= 4) {
        uint32_t length = load_be32(data + end);
        if (length > FRAME_MAX) {
            *ret_bad = true;
            break;
        }
        if (size - end - 4 < length)
            break;
        end += 4 + (size_t)length;
    }
    return end;
}

static void start_send(struct connection *connection, const uint8_t *data, size_t size)
{
    connection->vector = (struct iovec){(void *)data, size};
    connection->send = (struct op){.kind = OP_SEND,
                                   .flow = &connection->flow,
                                   .handle = connection->handle,
                                   .vectors = &connection->vector,
                                   .vector_count = 1};
    op_start(connection->flow.core->port, &connection->send);
}

static void start_receive(struct connection *connection)
{
    connection->receive =
        (struct op){.kind = OP_RECEIVE, .flow = &connection->flow, .handle = connection->handle};
    op_start(connection->flow.core->port, &connection->receive);
}

static void give_back(struct connection *connection, int32_t *buffer)
{
    struct port *port = connection->flow.core->port;
    if (*buffer >= 0)
        port->operations->give_back(port, *buffer);
    *buffer = -1;
}

/* Sends the whole frames of carry + received; what is left becomes the new carry. */
static void answer_collected(struct connection *connection, bool *ret_bad)
{
    size_t received = (size_t)connection->receive.result;
    size_t size = connection->carry_size + received;
    connection->carry = memory_resized(connection->carry, size);
    memcpy(connection->carry + connection->carry_size, connection->receive.data, received);
    connection->carry_size = size;
    give_back(connection, &connection->receive.pool_buffer);
    size_t whole = whole_frames(connection->carry, size, ret_bad);
    if (whole == 0)
        return;
    connection->sending = connection->carry;
    connection->carry_size = size - whole;
    connection->carry = memory_resized(NULL, connection->carry_size + 1);
    memcpy(connection->carry, connection->sending + whole, connection->carry_size);
    start_send(connection, connection->sending, whole);
}

static bool go_on_sending(struct connection *connection)
{
    size_t sent = (size_t)connection->send.result;
    if (sent >= connection->vector.iov_len)
        return false;
    start_send(connection, (uint8_t *)connection->vector.iov_base + sent,
               connection->vector.iov_len - sent);
    return true;
}

static enum step connection_turn(struct flow *flow)
{
    struct connection *connection = CONTAINER_OF(flow, struct connection, flow);
    if (connection->vector.iov_len > 0) {
        if (connection->send.result <= 0)
            return STEP_NEXT;
        if (go_on_sending(connection))
            return STEP_AGAIN;
        connection->vector.iov_len = 0;
        give_back(connection, &connection->lent);
        memory_free(connection->sending);
        connection->sending = NULL;
    }
    struct op *receive = &connection->receive;
    if (receive->result <= 0 && op_error(receive->result) != ERROR_NO_BUFFERS)
        return STEP_NEXT;
    bool bad = false;
    if (receive->result > 0) {
        size_t size = (size_t)receive->result;
        if (connection->carry_size == 0 && whole_frames(receive->data, size, &bad) == size) {
            connection->lent = receive->pool_buffer;
            receive->pool_buffer = -1;
            start_send(connection, receive->data, size);
        } else {
            answer_collected(connection, &bad);
        }
    }
    if (bad)
        return STEP_NEXT;
    start_receive(connection);
    return STEP_AGAIN;
}

static enum step connection_close(struct flow *flow)
{
    struct connection *connection = CONTAINER_OF(flow, struct connection, flow);
    give_back(connection, &connection->lent);
    give_back(connection, &connection->receive.pool_buffer);
    connection->close = (struct op){.kind = OP_CLOSE, .flow = flow, .handle = connection->handle};
    op_start(flow->core->port, &connection->close);
    return STEP_NEXT;
}

static enum step connection_end(struct flow *flow)
{
    struct connection *connection = CONTAINER_OF(flow, struct connection, flow);
    memory_free(connection->sending);
    memory_free(connection->carry);
    memory_free(connection);
    return STEP_NEXT;
}

static enum step connection_begin(struct flow *flow)
{
    start_receive(CONTAINER_OF(flow, struct connection, flow));
    return STEP_NEXT;
}

static const struct flow_kind connection_flow = {"connection",
                                                 {{"begin", connection_begin},
                                                  {"turn", connection_turn},
                                                  {"close", connection_close},
                                                  {"end", connection_end}}};

static enum step listener_accept(struct flow *flow)
{
    struct listener *listener = CONTAINER_OF(flow, struct listener, flow);
    if (listener->accept.result > 0) {
        struct connection *connection = memory_zeroed(sizeof *connection);
        connection->handle = (int32_t)listener->accept.result;
        connection->lent = -1;
        flow_start(&connection->flow, &connection_flow, flow->core);
    }
    listener->accept = (struct op){.kind = OP_ACCEPT, .flow = flow, .handle = listener->handle};
    op_start(flow->core->port, &listener->accept);
    return STEP_AGAIN;
}

static const struct flow_kind listener_flow = {"listener", {{"accept", listener_accept}}};

int main(int count, char **arguments)
{
    if (count < 2) {
        fprintf(stderr, "usage: bench_echo PORT [uring|epoll]\n");
        return 2;
    }
    struct port_options options = {
        .queue_depth = 256, .pool_buffer_size = 16384, .pool_buffer_count = 1024};
    bool with_epoll = count > 2 && strcmp(arguments[2], "epoll") == 0;
    struct port *port;
    char why[256] = "";
    if ((with_epoll ? epoll_open : uring_open)(&options, &port, why, sizeof why)) {
        fprintf(stderr, "bench_echo: %s\n", why);
        return 1;
    }
    struct address address = {.family = 4, .port = (uint16_t)strtol(arguments[1], NULL, 10)};
    struct op listen = {.kind = OP_LISTEN, .address = &address};
    if (port_call(port, &listen) < 0) {
        fprintf(stderr, "bench_echo: %s\n", error_text(op_error(listen.result)));
        return 1;
    }
    printf("listening on port %d by %s\n", address.port, port->operations->name);
    fflush(stdout);
    struct core core;
    core_init(&core, 0, port);
    struct listener listener = {.handle = (int32_t)listen.result};
    flow_start(&listener.flow, &listener_flow, &core);
    core_run(&core); /* until it is killed */
    return 0;
}
