/* The port on epoll, for kernels and containers without io_uring: sockets do not block and are
 * tried at once, then again when epoll says so; files are left to threads.
 *
 * Invariants
 *  1. An operation is in exactly one place (enum place), and op->link belongs to that place.
 *  2. Operations on a socket are tried in the order of their submission, reads apart from writes.
 *  3. A socket with an operation in `readers` or `writers` is armed in epoll for that, once
 *     (EPOLLONESHOT), so nothing is assumed about what another port did with the same handle.
 *  4. A close finds no operation waiting on its handle. */
#include "base/check.h"
#include "base/memory.h"
#include "reactor/files.h"
#include "reactor/system.h"
#include "reactor/workers.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FILE_THREADS = 2, EVENTS_AT_ONCE = 128 };

enum place { PLACE_STARTED = 1, PLACE_SOCKET, PLACE_READY, PLACE_WORKERS };

struct socket_queues {
    struct list readers; /* OP_ACCEPT, OP_RECEIVE */
    struct list writers; /* OP_CONNECT, OP_SEND */
};

struct epoll {
    struct port port;
    int epoll, wake_event;
    bool lacks_pwait2;             /* then waits end on whole milliseconds */
    struct list started;           /* operations on sockets, to be tried by the next wait */
    struct list ready;             /* with their result, to be delivered by the next wait */
    struct socket_queues **queues; /* by handle; null where there never was an operation */
    int32_t queues_end;
    struct workers workers;
    uint64_t in_flight; /* submitted and not delivered */
    uint8_t *pool_bytes;
    int32_t *pool_free; /* the last pool_free_count of the pool's buffers that are free */
    uint32_t pool_free_count;
};

/* What lies in op->scratch. */
struct scratch {
    int32_t socket; /* OP_CONNECT: -1 before its first try */
    uint8_t place;
};

static struct epoll *epoll_of(struct port *port)
{
    return CONTAINER_OF(port, struct epoll, port);
}

static struct scratch *scratch_of(struct op *op)
{
    return (struct scratch *)op->scratch;
}

static struct socket_queues *queues_of(struct epoll *epoll, int32_t handle)
{
    check(handle >= 0);
    if (handle >= epoll->queues_end) {
        int32_t end = (handle + 64) / 64 * 64;
        epoll->queues = memory_resized(epoll->queues, (size_t)end * sizeof(void *));
        memset(epoll->queues + epoll->queues_end, 0,
               (size_t)(end - epoll->queues_end) * sizeof(void *));
        epoll->queues_end = end;
    }
    struct socket_queues **place = &epoll->queues[handle];
    if (!*place) {
        *place = memory_zeroed(sizeof **place);
        list_init(&(*place)->readers);
        list_init(&(*place)->writers);
    }
    return *place;
}

static bool has_queues(const struct epoll *epoll, int32_t handle)
{
    return handle >= 0 && handle < epoll->queues_end && epoll->queues[handle];
}

static void drop_queues(struct epoll *epoll, int32_t handle)
{
    if (!has_queues(epoll, handle))
        return;
    struct socket_queues *queues = epoll->queues[handle];
    check(list_is_empty(&queues->readers) && list_is_empty(&queues->writers));
    memory_free(queues);
    epoll->queues[handle] = NULL;
}

/* Attempts: each writes op->result and returns true when the operation is over, or returns false
 * when it has to wait for the socket. */

static bool over(struct op *op, int64_t returned)
{
    if (returned < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    op->result = returned < 0 ? result_of_errno() : returned;
    return true;
}

static bool try_accept(struct epoll *epoll, struct op *op)
{
    union socket_address name;
    socklen_t size = sizeof name;
    int handle = accept4(op->handle, &name.plain, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (handle >= 0 && op->address)
        socket_address_read(op->address, &name);
    if (handle >= 0 && op->data)
        socket_local_address(handle, op->data);
    return over(op, handle);
}

static bool try_connect(struct epoll *epoll, struct op *op)
{
    struct scratch *scratch = scratch_of(op);
    if (scratch->socket < 0) {
        op->result = socket_create(op->address, SOCK_NONBLOCK);
        if (op->result < 0)
            return true;
        scratch->socket = (int32_t)op->result;
    }
    /* Called again it tells how the first attempt ended. */
    union socket_address name;
    socklen_t size = socket_address_write(&name, op->address);
    if (connect(scratch->socket, &name.plain, size) == 0 || errno == EISCONN) {
        op->result = scratch->socket;
        return true;
    }
    if (errno == EINPROGRESS || errno == EALREADY || errno == EINTR)
        return false;
    op->result = result_of_errno();
    close(scratch->socket);
    return true;
}

static bool try_receive(struct epoll *epoll, struct op *op)
{
    if (op->data)
        return over(op, recv(op->handle, op->data, op->size, 0));
    if (epoll->pool_free_count == 0) {
        op->result = -(int64_t)ERROR_NO_BUFFERS;
        return true;
    }
    int32_t buffer = epoll->pool_free[epoll->pool_free_count - 1];
    uint8_t *data = epoll->pool_bytes + (size_t)buffer * epoll->port.pool_buffer_size;
    if (!over(op, recv(op->handle, data, epoll->port.pool_buffer_size, 0)))
        return false;
    if (op->result > 0) {
        epoll->pool_free_count--;
        op->pool_buffer = buffer;
        op->data = data;
    }
    return true;
}

static bool try_send(struct epoll *epoll, struct op *op)
{
    struct msghdr message = {
        .msg_iov = (struct iovec *)op->vectors,
        .msg_iovlen = (size_t)(op->vector_count < VECTORS_MAX ? op->vector_count : VECTORS_MAX),
    };
    return over(op, sendmsg(op->handle, &message, MSG_NOSIGNAL));
}

static bool try_listen(struct epoll *epoll, struct op *op)
{
    op->result = socket_listen(op->address, SOCK_NONBLOCK);
    return true;
}

static bool try_shutdown(struct epoll *epoll, struct op *op)
{
    op->result = socket_shutdown(op->handle);
    return true;
}

static bool try_close(struct epoll *epoll, struct op *op)
{
    drop_queues(epoll, op->handle);
    op->result = file_call(op);
    return true;
}

static bool (*const attempts[OP_KIND_COUNT])(struct epoll *epoll, struct op *op) = {
    [OP_LISTEN] = try_listen,   [OP_ACCEPT] = try_accept, [OP_CONNECT] = try_connect,
    [OP_RECEIVE] = try_receive, [OP_SEND] = try_send,     [OP_SHUTDOWN] = try_shutdown,
    [OP_CLOSE] = try_close,
};

static void deliver(struct epoll *epoll, struct op *op)
{
    epoll->in_flight--;
    op_complete(op, op->result);
}

static unsigned deliver_ready(struct epoll *epoll)
{
    unsigned delivered = 0;
    for (struct list *node; (node = list_pop(&epoll->ready)); delivered++)
        deliver(epoll, CONTAINER_OF(node, struct op, link));
    return delivered;
}

static void make_ready(struct epoll *epoll, struct op *op, int64_t result)
{
    op->result = result;
    scratch_of(op)->place = PLACE_READY;
    list_push(&epoll->ready, &op->link);
}

static bool is_reader(const struct op *op)
{
    return op->kind == OP_ACCEPT || op->kind == OP_RECEIVE;
}

static bool uses_queue(const struct op *op)
{
    return is_reader(op) || op->kind == OP_CONNECT || op->kind == OP_SEND;
}

static void epoll_submit(struct port *port, struct op *op)
{
    struct epoll *epoll = epoll_of(port);
    epoll->in_flight++;
    scratch_of(op)->socket = -1;
    if (uses_queue(op) && op->kind != OP_CONNECT && op->handle < 0) {
        make_ready(epoll, op, -(int64_t)ERROR_BAD_ARGUMENT);
        return;
    }
    if (uses_queue(op) && op->kind != OP_CONNECT)
        queues_of(epoll, op->handle);
    if (op->kind == OP_READ && op->flags & READ_CACHED_ONLY) { /* a copy: no thread is faster */
        make_ready(epoll, op, file_call(op));
        return;
    }
    /* What no operation of a socket ever used may be a file, whose close may block. */
    if (attempts[op->kind] && (op->kind != OP_CLOSE || has_queues(epoll, op->handle))) {
        scratch_of(op)->place = PLACE_STARTED;
        list_push(&epoll->started, &op->link);
    } else {
        scratch_of(op)->place = PLACE_WORKERS;
        workers_submit(&epoll->workers, op);
    }
}

static void epoll_cancel(struct port *port, struct op *op)
{
    struct epoll *epoll = epoll_of(port);
    struct scratch *scratch = scratch_of(op);
    check(op->running);
    if (scratch->place == PLACE_READY)
        return;
    if (scratch->place == PLACE_WORKERS) {
        if (workers_cancel(&epoll->workers, op))
            make_ready(epoll, op, -(int64_t)ERROR_CANCELLED);
        return;
    }
    if (!uses_queue(op))
        return; /* the next wait carries it out */
    list_remove(&op->link);
    if (op->kind == OP_CONNECT && scratch->socket >= 0) {
        drop_queues(epoll, scratch->socket);
        close(scratch->socket);
    }
    make_ready(epoll, op, -(int64_t)ERROR_CANCELLED);
}

/* Asks for one event for what waits on `handle`. False, with errno, if epoll refuses. */
static bool arm(struct epoll *epoll, int32_t handle)
{
    const struct socket_queues *queues = epoll->queues[handle];
    uint32_t wanted = (list_is_empty(&queues->readers) ? 0 : EPOLLIN | EPOLLRDHUP) |
                      (list_is_empty(&queues->writers) ? 0 : EPOLLOUT);
    if (!wanted)
        return true;
    struct epoll_event event = {.events = wanted | EPOLLONESHOT, .data.fd = handle};
    return epoll_ctl(epoll->epoll, EPOLL_CTL_MOD, handle, &event) == 0 ||
           (errno == ENOENT && epoll_ctl(epoll->epoll, EPOLL_CTL_ADD, handle, &event) == 0);
}

/* Tries what waits in `queue`, in order. */
static unsigned try_queue(struct epoll *epoll, struct list *queue)
{
    unsigned delivered = 0;
    while (!list_is_empty(queue)) {
        struct op *op = CONTAINER_OF(queue->next, struct op, link);
        if (!attempts[op->kind](epoll, op))
            break;
        list_remove(&op->link);
        deliver(epoll, op);
        delivered++;
    }
    return delivered;
}

/* The first try of an operation that was submitted. */
static unsigned start(struct epoll *epoll, struct op *op)
{
    list_init(&op->link);
    struct list *queue = NULL;
    if (uses_queue(op) && op->kind != OP_CONNECT) {
        struct socket_queues *queues = queues_of(epoll, op->handle);
        queue = is_reader(op) ? &queues->readers : &queues->writers;
    }
    bool behind_others = queue && !list_is_empty(queue);
    if (!behind_others && attempts[op->kind](epoll, op)) {
        deliver(epoll, op);
        return 1;
    }
    int32_t handle = op->handle;
    if (op->kind == OP_CONNECT) {
        handle = scratch_of(op)->socket;
        queue = &queues_of(epoll, handle)->writers;
    }
    scratch_of(op)->place = PLACE_SOCKET;
    list_push(queue, &op->link);
    if (behind_others || arm(epoll, handle))
        return 0;
    list_remove(&op->link);
    make_ready(epoll, op, result_of_errno());
    return 0;
}

static int wait_for_events(struct epoll *epoll, struct epoll_event *events, int64_t left_ns)
{
    int count = -1;
    bool forever = left_ns == INT64_MAX;
    if (!epoll->lacks_pwait2) {
        struct timespec left = {left_ns / 1000000000, left_ns % 1000000000};
        count = epoll_pwait2(epoll->epoll, events, EVENTS_AT_ONCE, forever ? NULL : &left, NULL);
        epoll->lacks_pwait2 = count < 0 && errno == ENOSYS;
    }
    if (epoll->lacks_pwait2) {
        int64_t left_ms = left_ns / 1000000 + (left_ns % 1000000 > 0);
        int limited_ms = left_ms < 1000000 ? (int)left_ms : 1000000;
        count = epoll_wait(epoll->epoll, events, EVENTS_AT_ONCE, forever ? -1 : limited_ms);
    }
    check(count >= 0 || errno == EINTR);
    return count;
}

static void take_event(struct epoll *epoll, const struct epoll_event *event)
{
    int32_t handle = event->data.fd;
    if (handle == epoll->wake_event) {
        uint64_t value;
        check(read(handle, &value, sizeof value) == sizeof value);
        workers_take(&epoll->workers, &epoll->ready);
        return;
    }
    if (!has_queues(epoll, handle))
        return;
    try_queue(epoll, &epoll->queues[handle]->readers);
    try_queue(epoll, &epoll->queues[handle]->writers);
    check(arm(epoll, handle));
}

static void epoll_port_wait(struct port *port, int64_t until_ns)
{
    struct epoll *epoll = epoll_of(port);
    unsigned delivered = deliver_ready(epoll);
    for (struct list *node; (node = list_pop(&epoll->started));)
        delivered += start(epoll, CONTAINER_OF(node, struct op, link));
    delivered += deliver_ready(epoll);
    int64_t left_ns = 0;
    if (delivered == 0 && until_ns > 0) {
        struct now now;
        system_clock(&now);
        left_ns = until_ns == INT64_MAX         ? INT64_MAX
                  : until_ns > now.monotonic_ns ? until_ns - now.monotonic_ns
                                                : 0;
    }
    struct epoll_event events[EVENTS_AT_ONCE];
    int count = wait_for_events(epoll, events, left_ns);
    for (int i = 0; i < count; i++)
        take_event(epoll, &events[i]);
    deliver_ready(epoll);
}

static void epoll_wake(struct port *port)
{
    uint64_t one = 1;
    check(write(epoll_of(port)->wake_event, &one, sizeof one) == sizeof one);
}

static void epoll_clock(struct port *port, struct now *now)
{
    system_clock(now);
}

static void epoll_give_back(struct port *port, int32_t buffer)
{
    struct epoll *epoll = epoll_of(port);
    check(buffer >= 0 && (uint32_t)buffer < port->pool_buffer_count);
    check(epoll->pool_free_count < port->pool_buffer_count);
    epoll->pool_free[epoll->pool_free_count++] = buffer;
}

static void free_epoll(struct epoll *epoll)
{
    for (int32_t handle = 0; handle < epoll->queues_end; handle++)
        drop_queues(epoll, handle);
    memory_free(epoll->queues);
    memory_free(epoll->pool_bytes);
    memory_free(epoll->pool_free);
    if (epoll->wake_event >= 0)
        close(epoll->wake_event);
    if (epoll->epoll >= 0)
        close(epoll->epoll);
    memory_free(epoll);
}

static void epoll_port_close(struct port *port)
{
    struct epoll *epoll = epoll_of(port);
    while (epoll->in_flight > 0)
        epoll_port_wait(port, INT64_MAX);
    workers_done(&epoll->workers);
    free_epoll(epoll);
}

static const struct port_operations operations = {
    .name = "epoll",
    .submit = epoll_submit,
    .cancel = epoll_cancel,
    .wait = epoll_port_wait,
    .wake = epoll_wake,
    .clock = epoll_clock,
    .give_back = epoll_give_back,
    .call = file_call,
    .close = epoll_port_close,
};

enum error epoll_open(const struct port_options *options, struct port **ret_port, char *why,
                      size_t why_size)
{
    uint32_t count = options->pool_buffer_count, size = options->pool_buffer_size;
    check(count > 0 && size > 0);
    struct epoll *epoll = memory_zeroed(sizeof *epoll);
    epoll->port = (struct port){&operations, size, count};
    epoll->epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll->wake_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = epoll->wake_event};
    if (epoll->epoll < 0 || epoll->wake_event < 0 ||
        epoll_ctl(epoll->epoll, EPOLL_CTL_ADD, epoll->wake_event, &event) < 0) {
        enum error error = error_of_errno(errno);
        snprintf(why, why_size, "no epoll or eventfd (%s)", strerrordesc_np(errno));
        free_epoll(epoll);
        return error;
    }
    list_init(&epoll->started);
    list_init(&epoll->ready);
    workers_init(&epoll->workers, FILE_THREADS, epoll->wake_event);
    epoll->pool_bytes = memory_aligned(4096, (size_t)count * size);
    epoll->pool_free = memory_zeroed(count * sizeof *epoll->pool_free);
    for (uint32_t i = 0; i < count; i++)
        epoll_give_back(&epoll->port, (int32_t)i);
    *ret_port = &epoll->port;
    return ERROR_NONE;
}
