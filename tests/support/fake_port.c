#include "support/fake_port.h"
#include "base/check.h"
#include "base/memory.h"

static struct fake_port *fake_of(struct port *port)
{
    return CONTAINER_OF(port, struct fake_port, port);
}

static void fake_submit(struct port *port, struct op *op)
{
    list_push(&fake_of(port)->waiting, &op->link);
}

static void fake_cancel(struct port *port, struct op *op)
{
    op->scratch[0] = 1;
}

static int32_t open_socket(struct fake_port *fake)
{
    for (int32_t i = 0; i < FAKE_SOCKETS; i++) {
        if (fake->sockets[i].open || fake->sockets[i].out)
            continue;
        fake->sockets[i] = (struct fake_socket){.open = true, .send_limit = FAKE_BYTES};
        fake->sockets[i].in = memory_zeroed(FAKE_BYTES);
        fake->sockets[i].out = memory_zeroed(FAKE_BYTES);
        return i;
    }
    check(!"too many sockets");
    return -1;
}

static int64_t receive(struct fake_port *fake, struct fake_socket *socket, struct op *op)
{
    size_t size = op->data ? op->size : fake->port.pool_buffer_size;
    size_t left = socket->in_size - socket->in_taken;
    size = size < left ? size : left;
    size = size < fake->receive_limit ? size : fake->receive_limit;
    uint8_t *to = op->data;
    if (!to) {
        uint32_t i = 0;
        while (i < fake->port.pool_buffer_count && fake->pool_used[i])
            i++;
        if (i == fake->port.pool_buffer_count) {
            fake->no_buffers++;
            return -ERROR_NO_BUFFERS;
        }
        fake->pool_used[i] = true;
        if (++fake->pool_used_count > fake->pool_used_most)
            fake->pool_used_most = fake->pool_used_count;
        op->pool_buffer = (int32_t)i;
        op->data = to = fake->pool_bytes + i * fake->port.pool_buffer_size;
        memset(to, 0xee, fake->port.pool_buffer_size);
    }
    memcpy(to, socket->in + socket->in_taken, size);
    socket->in_taken += size;
    return (int64_t)size;
}

static int64_t send_some(struct fake_socket *socket, struct op *op)
{
    size_t taken = 0;
    for (int32_t i = 0; i < op->vector_count && taken < socket->send_limit; i++) {
        size_t size = op->vectors[i].iov_len;
        if (size > socket->send_limit - taken)
            size = socket->send_limit - taken;
        check(socket->out_size + size <= FAKE_BYTES);
        memcpy(socket->out + socket->out_size, op->vectors[i].iov_base, size);
        socket->out_size += size;
        taken += size;
    }
    socket->sends++;
    return (int64_t)taken;
}

/* Can `op` complete now? Then its result is in *ret. */
static bool is_ready(struct fake_port *fake, struct op *op, int64_t *ret)
{
    bool has_socket = op->kind != OP_LISTEN && op->kind != OP_WORK;
    struct fake_socket *socket = has_socket ? &fake->network->sockets[op->handle] : NULL;
    *ret = op->scratch[0] ? -ERROR_CANCELLED : 0;
    if (op->scratch[0])
        return true;
    switch (op->kind) {
    case OP_LISTEN:
        op->address->port = 9092;
        *ret = open_socket(fake);
        fake->sockets[*ret].is_listener = true;
        return true;
    case OP_ACCEPT:
        if (fake->to_accept_count == 0)
            return false;
        *ret = fake->to_accept[0];
        memmove(fake->to_accept, fake->to_accept + 1, sizeof fake->to_accept - sizeof(int32_t));
        fake->to_accept_count--;
        if (op->address)
            *op->address = fake->peer;
        if (op->data)
            *(struct address *)op->data = fake->local;
        return true;
    case OP_RECEIVE:
        if (socket->in_taken < socket->in_size)
            *ret = receive(fake, socket, op);
        else if (!socket->ended && !socket->shut)
            return false;
        return true;
    case OP_SEND:
        if (socket->shut)
            *ret = -ERROR_CONNECTION_RESET;
        else if (socket->send_limit == 0)
            return false;
        else
            *ret = send_some(socket, op);
        return true;
    case OP_SHUTDOWN:
        socket->shut = true;
        return true;
    case OP_CLOSE:
        if (fake->holds_close && op->handle == fake->holds_close)
            return false;
        check(socket->open);
        socket->open = false;
        return true;
    case OP_WORK:
        if (fake->holds_work)
            return false;
        fake->work_count++;
        *ret = op->work(op->data);
        return true;
    default:
        *ret = -ERROR_NOT_SUPPORTED;
        return true;
    }
}

static void fake_wait(struct port *port, int64_t until_ns)
{
    struct fake_port *fake = fake_of(port);
    struct list *next, *last = fake->waiting.previous;
    for (struct list *node = fake->waiting.next; node != &fake->waiting; node = next) {
        next = node == last ? &fake->waiting : node->next;
        struct op *op = CONTAINER_OF(node, struct op, link);
        int64_t result;
        if (!is_ready(fake, op, &result))
            continue;
        list_remove(node);
        op->scratch[0] = 0;
        op_complete(op, result);
    }
}

static void fake_wake(struct port *port)
{
}

static void fake_clock(struct port *port, struct now *now)
{
    *now = fake_of(port)->now;
}

static void fake_give_back(struct port *port, int32_t buffer)
{
    struct fake_port *fake = fake_of(port);
    check(fake->pool_used[buffer]);
    fake->pool_used[buffer] = false;
    fake->pool_used_count--;
    memset(fake->pool_bytes + (size_t)buffer * port->pool_buffer_size, 0xdd,
           port->pool_buffer_size); /* poison: a frame that is used too long shows */
}

static void fake_close(struct port *port)
{
}

static const struct port_operations operations = {"fake",         fake_submit, fake_cancel,
                                                  fake_wait,      fake_wake,   fake_clock,
                                                  fake_give_back, NULL,        fake_close};

void fake_port_init(struct fake_port *fake, uint32_t pool_size, uint32_t pool_count)
{
    check(pool_count <= FAKE_POOL_MAX);
    *fake =
        (struct fake_port){.port = {&operations, pool_size, pool_count},
                           .now = {1000000000, 1700000000000},
                           .peer = {.family = 4, .bytes[12] = 10, .bytes[15] = 1, .port = 5},
                           .local = {.family = 4, .bytes[12] = 127, .bytes[15] = 1, .port = 9092},
                           .receive_limit = FAKE_BYTES};
    fake->network = fake;
    list_init(&fake->waiting);
    fake->pool_bytes = memory_zeroed((size_t)pool_size * pool_count);
}

void fake_port_done(struct fake_port *fake)
{
    check(fake->pool_used_count == 0);
    for (int i = 0; i < FAKE_SOCKETS; i++) {
        check(!fake->sockets[i].open);
        memory_free(fake->sockets[i].in);
        memory_free(fake->sockets[i].out);
    }
    memory_free(fake->pool_bytes);
}

int32_t fake_connect(struct fake_port *fake)
{
    int32_t handle = open_socket(fake);
    fake->to_accept[fake->to_accept_count++] = handle;
    return handle;
}

void fake_feed(struct fake_port *fake, int32_t handle, const void *bytes, size_t size)
{
    struct fake_socket *socket = &fake->sockets[handle];
    check(socket->in_size + size <= FAKE_BYTES);
    memcpy(socket->in + socket->in_size, bytes, size);
    socket->in_size += size;
}

void fake_end(struct fake_port *fake, int32_t handle)
{
    fake->sockets[handle].ended = true;
}

void fake_settle(struct fake_port *fake, struct core *core)
{
    for (uint64_t before = UINT64_MAX; before != core->steps_run;) {
        before = core->steps_run;
        core_turn(core, false);
        core_turn(core, false);
    }
}

void fake_pass_ms(struct fake_port *fake, int64_t ms)
{
    fake->now.monotonic_ns += ms * 1000000;
    fake->now.wall_ms += ms;
}
