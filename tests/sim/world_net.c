/* The network of the world: listeners, connections, bytes under way. See world.h.
 *
 * A connection is two sockets. Each holds the bytes that come in, in a ring of socket_buffer_bytes:
 *     taken <= arrived <= written <= taken + capacity
 * A send puts bytes at `written` of the peer; the socket's arrival event moves `arrived` up; a
 * receive takes. Ends and resets travel the same way, behind the bytes. Sends and receives wait in
 * queues in order of submission, and only the first of each is on the agenda, unless cancelled. */
#include "sim/world_parts.h"
#include "base/memory.h"

/* ---- sockets ---- */

static struct socket *socket_create(struct machine *machine, struct machine *peer_machine)
{
    struct world *world = machine->world;
    struct list *node = list_pop(&world->free_sockets);
    struct socket *socket =
        node ? CONTAINER_OF(node, struct socket, link) : memory_zeroed(sizeof *socket);
    uint8_t *ring = node ? socket->ring : memory_aligned(64, world->settings.socket_buffer_bytes);
    *socket = (struct socket){.machine = machine, .peer_machine = peer_machine, .ring = ring};
    socket->arrival = (struct world_event){-1, EVENT_ARRIVAL};
    list_init(&socket->pending);
    list_init(&socket->receives);
    list_init(&socket->sends);
    list_push(&machine->sockets, &socket->link);
    return socket;
}

static void socket_free(struct socket *socket)
{
    struct world *world = socket->machine->world;
    agenda_remove(world, &socket->arrival);
    list_remove(&socket->pending);
    list_remove(&socket->link);
    list_push_front(&world->free_sockets, &socket->link);
}

static uint64_t room(const struct socket *socket)
{
    return socket->machine->world->settings.socket_buffer_bytes - (socket->written - socket->taken);
}

static bool can_receive(const struct socket *socket)
{
    return socket->arrived > socket->taken || socket->end_arrived || socket->reset || socket->shut;
}

static bool can_send(const struct socket *socket)
{
    return socket->shut || socket->reset || !socket->peer || socket->peer->shut ||
           room(socket->peer) > 0;
}

static void kick(struct list *queue)
{
    if (!list_is_empty(queue))
        op_schedule(CONTAINER_OF(queue->next, struct op, link));
}

static void kick_socket(struct socket *socket)
{
    if (can_receive(socket))
        kick(&socket->receives);
    if (can_send(socket))
        kick(&socket->sends);
}

/* Something is under way to `socket`: bytes, the end, or a reset. */
static void plan_arrival(struct socket *socket)
{
    struct world *world = socket->machine->world;
    if (socket->arrival.place >= 0 ||
        world->blocked[socket->peer_machine->index][socket->machine->index])
        return;
    bool slow = random_once_in(&world->random, world->settings.slow_once_in);
    int64_t delay_ns =
        world_draw(world, slow ? world->settings.slow : world->settings.network_delay);
    if (socket->peer_machine == socket->machine)
        delay_ns /= 8;
    agenda_add(world, &socket->arrival, world->now_ns + delay_ns);
}

static void reset_now(struct socket *socket)
{
    socket->reset = true;
    socket->arrived = socket->taken = socket->written;
    kick_socket(socket);
}

/* Parts the two ends; the far one hears of it by and by. */
static void part(struct socket *socket, bool orderly)
{
    struct socket *peer = socket->peer;
    if (!peer)
        return;
    socket->peer = peer->peer = NULL;
    peer->end_sent = true;
    peer->reset_sent |= !orderly;
    plan_arrival(peer);
    kick_socket(peer);
}

/* Each end by itself: a reset, or an end after some of the bytes. */
static void cut(struct socket *socket)
{
    struct socket *ends[2] = {socket, socket->peer};
    struct world *world = socket->machine->world;
    for (int i = 0; i < 2; i++) {
        if (!ends[i])
            continue;
        ends[i]->peer = NULL;
        if (random_below(&world->random, 2)) {
            reset_now(ends[i]);
        } else {
            ends[i]->written = ends[i]->arrived;
            ends[i]->end_sent = ends[i]->end_arrived = true;
            kick_socket(ends[i]);
        }
    }
}

void net_arrive(struct socket *socket)
{
    struct world *world = socket->machine->world;
    if (world->blocked[socket->peer_machine->index][socket->machine->index])
        return; /* world_block plans it anew */
    if (socket->peer && random_once_in(&world->random, world->settings.cut_once_in)) {
        cut(socket);
        return;
    }
    uint64_t under_way = socket->written - socket->arrived;
    if (under_way > 1 && random_once_in(&world->random, world->settings.split_once_in))
        under_way = 1 + random_below(&world->random, under_way - 1);
    socket->arrived += under_way;
    world_mix(world, under_way);
    if (socket->arrived < socket->written)
        plan_arrival(socket);
    else if (socket->reset_sent)
        reset_now(socket);
    else
        socket->end_arrived = socket->end_sent;
    kick_socket(socket);
}

/* Operations still in a queue end by themselves, without the socket. */
static bool orphan(struct list *queue)
{
    bool any = !list_is_empty(queue);
    for (struct list *node; (node = list_pop(queue));) {
        struct op *op = CONTAINER_OF(node, struct op, link);
        op_state(op)->object = NULL;
        op_cancel(op);
        op_schedule(op);
    }
    return any;
}

int64_t socket_close(struct socket *socket, bool orderly)
{
    bool left = orphan(&socket->receives);
    left |= orphan(&socket->sends);
    if (left && orderly)
        world_violation(socket->machine->world,
                        "machine %d: a socket was closed with operations in flight",
                        socket->machine->index);
    part(socket, orderly && socket->taken == socket->written);
    socket_free(socket);
    return 0;
}

int64_t listener_close(struct listener *listener)
{
    if (orphan(&listener->accepts) && listener->machine->running)
        world_violation(listener->machine->world,
                        "machine %d: a listener was closed with operations in flight",
                        listener->machine->index);
    for (struct list *node; (node = list_pop(&listener->backlog));)
        socket_close(CONTAINER_OF(node, struct socket, pending), false);
    list_remove(&listener->link);
    memory_free(listener);
    return 0;
}

/* ---- listening, accepting, connecting ---- */

/* The machine that `address` means to `from`; null: none, or another family. */
static struct machine *find_machine(struct machine *from, const struct address *address)
{
    const uint8_t *bytes = address->bytes + 12;
    if (address->family == 6) {
        bool only_last = true;
        for (int i = 0; i < 15; i++)
            only_last &= address->bytes[i] == 0;
        return only_last ? from : NULL; /* :: and ::1 */
    }
    if (bytes[0] == 127 || load_be32(bytes) == 0)
        return from;
    int index = bytes[3] - 1;
    bool ours = bytes[0] == 10 && bytes[1] == 0 && bytes[2] == 0 && index >= 0;
    return ours && index < from->world->machine_count ? from->world->machines[index] : NULL;
}

static bool is_address(const struct address *address)
{
    return address && (address->family == 4 || address->family == 6);
}

static struct listener *find_listener(struct machine *machine, uint16_t port)
{
    for (struct list *node = machine->listeners.next; node != &machine->listeners;
         node = node->next) {
        struct listener *listener = CONTAINER_OF(node, struct listener, link);
        if (listener->port == port)
            return listener;
    }
    return NULL;
}

static uint16_t choose_port(struct machine *machine)
{
    do {
        machine->next_port = machine->next_port < 20000 || machine->next_port >= 32000
                                 ? 20000
                                 : machine->next_port + 1;
    } while (find_listener(machine, machine->next_port));
    return machine->next_port;
}

static int64_t execute_listen(struct machine *machine, struct op *op)
{
    if (!is_address(op->address) || find_machine(machine, op->address) != machine)
        return -ERROR_BAD_ARGUMENT;
    if (op->address->port && find_listener(machine, op->address->port))
        return -ERROR_ADDRESS_IN_USE;
    struct listener *listener = memory_zeroed(sizeof *listener);
    int32_t handle = handle_add(machine, HANDLE_LISTENER, listener);
    if (handle < 0) {
        memory_free(listener);
        return handle;
    }
    if (!op->address->port)
        op->address->port = choose_port(machine);
    *listener = (struct listener){.machine = machine, .port = op->address->port};
    list_init(&listener->backlog);
    list_init(&listener->accepts);
    list_push(&machine->listeners, &listener->link);
    return handle;
}

static int64_t execute_accept(struct machine *machine, struct op *op, bool *ret_again)
{
    struct listener *listener = op_state(op)->object;
    if (list_is_empty(&listener->backlog)) {
        *ret_again = true;
        return 0;
    }
    struct socket *socket = CONTAINER_OF(listener->backlog.next, struct socket, pending);
    int32_t handle = handle_add(machine, HANDLE_SOCKET, socket);
    if (handle < 0)
        return handle;
    list_remove(&socket->pending);
    listener->backlog_count--;
    if (op->address)
        *op->address = socket->peer_address;
    if (op->data)
        *(struct address *)op->data = socket->local_address;
    return handle;
}

static int64_t execute_connect(struct machine *machine, struct op *op, bool *ret_again)
{
    struct world *world = machine->world;
    struct op_state *state = op_state(op);
    if (!is_address(op->address))
        return -ERROR_BAD_ARGUMENT;
    struct machine *to = find_machine(machine, op->address);
    bool reachable = to && to->running && !world->blocked[machine->index][to->index] &&
                     !world->blocked[to->index][machine->index];
    if (!reachable && to && !to->running && random_below(&world->random, 2))
        return -ERROR_CONNECTION_REFUSED;
    if (!reachable) {
        if ((int64_t)state->checksum <= world->now_ns)
            return -ERROR_TIMED_OUT;
        int64_t again_ns = world->now_ns + world->settings.connect_timeout_ns / 8;
        agenda_add(world, &state->event, min_i64(again_ns, (int64_t)state->checksum));
        *ret_again = true;
        return 0;
    }
    struct listener *listener = find_listener(to, op->address->port);
    if (!listener || listener->backlog_count >= (int32_t)world->settings.backlog)
        return -ERROR_CONNECTION_REFUSED;
    struct socket *near = socket_create(machine, to);
    int32_t handle = handle_add(machine, HANDLE_SOCKET, near);
    if (handle < 0) {
        socket_free(near);
        return handle;
    }
    struct socket *far = socket_create(to, machine);
    near->peer = far;
    far->peer = near;
    far->local_address = *op->address; /* what the client connected to */
    far->peer_address = world_address(machine->index, choose_port(machine));
    if (to == machine) /* it comes from where it went to */
        memcpy(far->peer_address.bytes, op->address->bytes, sizeof op->address->bytes);
    list_push(&listener->backlog, &far->pending);
    listener->backlog_count++;
    kick(&listener->accepts);
    return handle;
}

/* ---- sending and receiving ---- */

static size_t limit_transfer(struct op *op, uint64_t possible)
{
    if (op_state(op)->shortened && possible > 1)
        return 1 + random_below(&op_state(op)->port->world->random, possible);
    return possible;
}

static void ring_copy(struct socket *socket, uint64_t at, uint8_t *bytes, size_t size, bool in)
{
    size_t capacity = socket->machine->world->settings.socket_buffer_bytes;
    size_t from = at % capacity;
    size_t part_size = size < capacity - from ? size : capacity - from;
    memcpy(in ? socket->ring + from : bytes, in ? bytes : socket->ring + from, part_size);
    memcpy(in ? socket->ring : bytes + part_size, in ? bytes + part_size : socket->ring,
           size - part_size);
}

static int64_t receive_bytes(struct socket *socket, struct op *op)
{
    struct world_port *port = op_state(op)->port;
    size_t capacity = op->size;
    uint8_t *data = op->data;
    if (!data) {
        int32_t buffer = pool_take(port);
        if (buffer < 0)
            return -ERROR_NO_BUFFERS;
        op->pool_buffer = buffer;
        capacity = port->port.pool_buffer_size;
        op->data = data = port->pool + (size_t)buffer * capacity;
    }
    uint64_t possible = socket->arrived - socket->taken;
    size_t size = limit_transfer(op, possible < capacity ? possible : capacity);
    ring_copy(socket, socket->taken, data, size, false);
    socket->taken += size;
    if (socket->peer)
        kick_socket(socket->peer);
    return (int64_t)size;
}

static int64_t execute_receive(struct op *op, bool *ret_again)
{
    struct socket *socket = op_state(op)->object;
    if (socket->shut)
        return 0;
    if (socket->reset)
        return -ERROR_CONNECTION_RESET;
    if (socket->arrived > socket->taken)
        return receive_bytes(socket, op);
    *ret_again = !socket->end_arrived;
    return 0;
}

static int64_t execute_send(struct op *op, bool *ret_again)
{
    struct socket *socket = op_state(op)->object, *peer = socket->peer;
    if (op_state(op)->drained)
        return 0;
    if (socket->shut || socket->reset || !peer)
        return -ERROR_CONNECTION_RESET;
    if (peer->shut) { /* it will take no more: TCP answers with a reset */
        part(peer, false);
        reset_now(socket);
        return -ERROR_CONNECTION_RESET;
    }
    uint64_t size = 0, done = 0;
    for (int32_t i = 0; i < op->vector_count; i++)
        size += op->vectors[i].iov_len;
    if (size == 0)
        return 0;
    *ret_again = room(peer) == 0;
    size = limit_transfer(op, size < room(peer) ? size : room(peer));
    for (int32_t i = 0; i < op->vector_count && done < size; i++) {
        uint64_t piece = op->vectors[i].iov_len;
        if (piece > size - done)
            piece = size - done;
        ring_copy(peer, peer->written, op->vectors[i].iov_base, piece, true);
        peer->written += piece;
        done += piece;
    }
    if (done)
        plan_arrival(peer);
    return (int64_t)done;
}

/* It stands in the queue of sends: those before it go first, unless they can't go on. */
static int64_t execute_shutdown(struct op *op, bool *ret_again)
{
    struct socket *socket = op_state(op)->object;
    if (socket->sends.next != &op->link && can_send(socket)) {
        kick(&socket->sends);
        op_schedule(op);
        *ret_again = true;
        return 0;
    }
    socket->shut = true;
    for (struct list *node = socket->sends.next; node != &socket->sends; node = node->next)
        op_state(CONTAINER_OF(node, struct op, link))->drained = true;
    if (socket->peer) {
        socket->peer->end_sent = true;
        plan_arrival(socket->peer);
        kick_socket(socket->peer);
    }
    kick_socket(socket);
    return 0;
}

/* ---- for the port ---- */

void net_submit(struct op *op)
{
    struct op_state *state = op_state(op);
    struct machine *machine = state->port->machine;
    if (op->kind == OP_CONNECT)
        state->checksum =
            (uint64_t)(machine->world->now_ns + machine->world->settings.connect_timeout_ns);
    if (op->kind == OP_LISTEN || op->kind == OP_CONNECT) {
        op_schedule(op);
        return;
    }
    enum handle_type type = op->kind == OP_ACCEPT ? HANDLE_LISTENER : HANDLE_SOCKET;
    state->object = handle_get(machine, op->handle, type);
    if (!state->object) {
        state->error = ERROR_BAD_ARGUMENT;
        op_schedule(op);
        return;
    }
    if (state->error && state->error != ERROR_NO_BUFFERS) /* that one waits for bytes */
        op_schedule(op);
    struct socket *socket = state->object;
    switch ((enum op_kind)op->kind) {
    case OP_ACCEPT: {
        struct listener *listener = state->object;
        list_push(&listener->accepts, &op->link);
        if (!list_is_empty(&listener->backlog))
            kick(&listener->accepts);
        break;
    }
    case OP_RECEIVE:
        list_push(&socket->receives, &op->link);
        if (can_receive(socket))
            kick(&socket->receives);
        break;
    case OP_SEND:
        list_push(&socket->sends, &op->link);
        if (can_send(socket))
            kick(&socket->sends);
        break;
    default: /* OP_SHUTDOWN */
        list_push(&socket->sends, &op->link);
        op_schedule(op);
        break;
    }
}

void net_cancel(struct op *op)
{
    if (op->kind == OP_CONNECT)
        agenda_remove(op_state(op)->port->world, &op_state(op)->event);
    op_schedule(op);
}

static int64_t execute(struct machine *machine, struct op *op, bool *ret_again)
{
    switch ((enum op_kind)op->kind) {
    case OP_LISTEN:
        return execute_listen(machine, op);
    case OP_ACCEPT:
        return execute_accept(machine, op, ret_again);
    case OP_CONNECT:
        return execute_connect(machine, op, ret_again);
    case OP_RECEIVE:
        return execute_receive(op, ret_again);
    case OP_SEND:
        return execute_send(op, ret_again);
    default:
        return execute_shutdown(op, ret_again);
    }
}

int64_t net_execute(struct op *op, bool *ret_again)
{
    struct op_state *state = op_state(op);
    struct machine *machine = state->port->machine;
    struct world *world = machine->world;
    struct socket *socket = op->kind == OP_RECEIVE || op->kind == OP_SEND || op->kind == OP_SHUTDOWN
                                ? state->object
                                : NULL;
    bool waits_in_queue = op->kind == OP_RECEIVE || op->kind == OP_SEND;
    /* A cancelled operation behind others, or half of those in front, end without effect. */
    bool first = !socket || socket->receives.next == &op->link || socket->sends.next == &op->link;
    bool orphaned = !state->object && op->kind != OP_LISTEN && op->kind != OP_CONNECT;
    int64_t result;
    if (state->error == ERROR_CONNECTION_RESET && socket && waits_in_queue)
        cut(socket);
    if (state->error)
        result = -state->error;
    else if (state->cancelled && (orphaned || !first || random_below(&world->random, 2)))
        result = -ERROR_CANCELLED;
    else
        result = execute(machine, op, ret_again);
    if (*ret_again && state->cancelled) {
        *ret_again = false;
        result = -ERROR_CANCELLED;
    }
    if (*ret_again)
        return 0;
    list_remove(&op->link);
    if (socket)
        kick_socket(socket);
    if (op->kind == OP_ACCEPT && state->object) {
        struct listener *listener = state->object;
        if (!list_is_empty(&listener->backlog))
            kick(&listener->accepts);
    }
    return result;
}

void net_stop_machine(struct machine *machine)
{
    for (struct list *node; (node = machine->listeners.next) != &machine->listeners;) {
        struct listener *listener = CONTAINER_OF(node, struct listener, link);
        list_init(&listener->accepts);
        listener_close(listener);
    }
    for (struct list *node; (node = machine->sockets.next) != &machine->sockets;) {
        struct socket *socket = CONTAINER_OF(node, struct socket, link);
        list_init(&socket->receives); /* their operations are never touched again */
        list_init(&socket->sends);
        socket_close(socket, false);
    }
}

void world_block(struct world *world, int from, int to, bool blocked)
{
    check(from < world->machine_count && to < world->machine_count);
    world->blocked[from][to] = blocked;
    struct list *sockets = &world->machines[to]->sockets;
    for (struct list *node = sockets->next; node != sockets && !blocked; node = node->next) {
        struct socket *socket = CONTAINER_OF(node, struct socket, link);
        if (socket->written > socket->arrived || socket->end_sent != socket->end_arrived ||
            socket->reset_sent != socket->reset)
            plan_arrival(socket);
    }
}

void world_cut(struct world *world, int a, int b)
{
    check(a < world->machine_count && b < world->machine_count);
    struct list *sockets = &world->machines[a]->sockets;
    for (struct list *node = sockets->next, *next; node != sockets; node = next) {
        next = node->next;
        struct socket *socket = CONTAINER_OF(node, struct socket, link);
        if (socket->peer && socket->peer_machine == world->machines[b])
            cut(socket);
    }
}
