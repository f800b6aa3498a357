/* A core's port of the world: submission, delivery, waiting, the pool, handles. See world.h.
 *
 * Who delivers a completion that is due:
 *   the core is in no turn       -> core_turn, whose port_wait completes it   [port_turn]
 *   somebody waits on the port   -> at once, and that wait returns            [port_wait]
 *   neither                      -> done at once, completed by the next wait: `ready` */
#include "sim/world_parts.h"
#include "base/memory.h"

/* ---- handles ---- */

int32_t handle_add(struct machine *machine, enum handle_type type, void *object)
{
    if ((uint32_t)machine->handles_used >= machine->world->settings.handle_limit)
        return -ERROR_TOO_MANY_FILES;
    int32_t handle = machine->handle_free;
    if (handle >= 0) {
        machine->handle_free = machine->handles[handle].next_free;
    } else {
        handle = machine->handle_count++;
        machine->handles = memory_resized(machine->handles, (size_t)machine->handle_count *
                                                                sizeof machine->handles[0]);
    }
    machine->handles[handle] = (struct handle){.type = (uint8_t)type, .object = object};
    machine->handles_used++;
    return handle;
}

void *handle_get(struct machine *machine, int32_t handle, enum handle_type type)
{
    if (handle < 0 || handle >= machine->handle_count || machine->handles[handle].type != type)
        return NULL;
    return machine->handles[handle].object;
}

void handle_free(struct machine *machine, int32_t handle)
{
    machine->handles[handle] =
        (struct handle){.type = HANDLE_FREE, .next_free = machine->handle_free};
    machine->handle_free = handle;
    machine->handles_used--;
}

/* ---- the pool ---- */

static void pool_open(struct world_port *port)
{
    uint32_t count = port->port.pool_buffer_count;
    port->pool = memory_aligned(64, (size_t)count * port->port.pool_buffer_size);
    port->pool_taken = memory_zeroed(count * sizeof port->pool_taken[0]);
    port->pool_free = memory_zeroed(count * sizeof port->pool_free[0]);
    for (uint32_t i = 0; i < count; i++)
        port->pool_free[i] = (int32_t)i;
    port->pool_free_count = (int32_t)count;
}

int32_t pool_take(struct world_port *port)
{
    if (!port->pool)
        pool_open(port);
    if (port->pool_free_count == 0)
        return -1;
    int32_t buffer = port->pool_free[--port->pool_free_count];
    port->pool_taken[buffer] = true;
    return buffer;
}

/* The bytes are spoilt, so that whoever still reads them is found out. */
static void world_give_back(struct port *at, int32_t buffer)
{
    struct world_port *port = CONTAINER_OF(at, struct world_port, port);
    if (!port->alive)
        return;
    if (buffer < 0 || (uint32_t)buffer >= at->pool_buffer_count || !port->pool ||
        !port->pool_taken[buffer]) {
        world_violation(port->world, "machine %d core %d: pool buffer %d given back, not taken",
                        port->machine->index, port->index, buffer);
        return;
    }
    uint32_t spoil = at->pool_buffer_size < 256 ? at->pool_buffer_size : 256;
    memset(port->pool + (size_t)buffer * at->pool_buffer_size, 0xdd, spoil);
    port->pool_taken[buffer] = false;
    port->pool_free[port->pool_free_count++] = buffer;
}

/* ---- submission ---- */

static bool is_transfer(uint8_t kind)
{
    return kind == OP_RECEIVE || kind == OP_SEND || kind == OP_READ || kind == OP_WRITE;
}

static bool takes_space(const struct op *op)
{
    return op->kind == OP_WRITE || op->kind == OP_FLUSH || op->kind == OP_FLUSH_ALL ||
           op->kind == OP_ALLOCATE || op->kind == OP_TRUNCATE || op->kind == OP_RENAME ||
           op->kind == OP_REMOVE || op->kind == OP_MAKE_DIRECTORY ||
           (op->kind == OP_OPEN && op->flags & OPEN_CREATE);
}

/* Counts the operation, and takes the fault that was asked for it. */
static bool take_fault(struct machine *machine, struct op *op)
{
    struct op_state *state = op_state(op);
    machine->submitted[op->kind]++;
    machine->submitted[OP_KIND_COUNT]++;
    for (int i = 0; i < machine->fault_count; i++) {
        struct world_fault fault = machine->faults[i];
        if ((fault.kind != op->kind && fault.kind != OP_KIND_COUNT) ||
            machine->submitted[fault.kind] < fault.at)
            continue;
        machine->faults[i] = machine->faults[--machine->fault_count];
        if (fault.error == ERROR_NO_SPACE && !takes_space(op))
            return true; /* it can't happen to this one */
        machine->fault_kind = op->kind;
        machine->fault_durable = op->kind == OP_WRITE && op->flags & WRITE_DURABLE;
        machine->fault_met++;
        state->error = (int32_t)fault.error;
        state->shortened = fault.error == ERROR_NONE;
        return true;
    }
    return false;
}

static void draw_faults(struct world_port *port, struct op *op)
{
    struct op_state *state = op_state(op);
    const struct world_settings *settings = &port->world->settings;
    struct random *random = &port->world->random;
    uint64_t error_once_in = 0, short_once_in = 0;
    switch ((enum op_kind)op->kind) {
    case OP_RECEIVE:
    case OP_SEND:
        short_once_in = settings->short_transfer_once_in;
        break;
    case OP_READ:
        short_once_in = settings->short_read_once_in;
        error_once_in = settings->read_error_once_in;
        break;
    case OP_WRITE:
    case OP_ALLOCATE:
    case OP_TRUNCATE:
        short_once_in = op->kind == OP_WRITE ? settings->short_write_once_in : 0;
        error_once_in = settings->write_error_once_in;
        break;
    case OP_FLUSH:
    case OP_FLUSH_ALL:
        error_once_in = settings->flush_error_once_in;
        break;
    case OP_OPEN:
    case OP_RENAME:
    case OP_REMOVE:
    case OP_MAKE_DIRECTORY:
        error_once_in = settings->name_error_once_in;
        break;
    default:
        break;
    }
    if (op->kind == OP_RECEIVE && !op->data && random_once_in(random, settings->no_buffers_once_in))
        state->error = ERROR_NO_BUFFERS;
    else if (random_once_in(random, error_once_in))
        state->error = ERROR_INPUT_OUTPUT;
    else if (is_transfer(op->kind))
        state->shortened = random_once_in(random, short_once_in);
}

static void world_submit(struct port *at, struct op *op)
{
    struct world_port *port = CONTAINER_OF(at, struct world_port, port);
    struct op_state *state = op_state(op);
    if (state->mark == (OP_IN_FLIGHT ^ (uintptr_t)op)) {
        world_violation(port->world, "an operation of kind %d was submitted while in flight",
                        op->kind);
        return;
    }
    *state = (struct op_state){.event = {-1, EVENT_COMPLETION},
                               .port = port,
                               .record = -1,
                               .mark = OP_IN_FLIGHT ^ (uintptr_t)op};
    list_init(&op->link);
    port->in_flight++;
    if (!op->flow) {
        if (port->calls_count == port->calls_capacity) {
            port->calls_capacity = port->calls_capacity ? 2 * port->calls_capacity : 4;
            port->calls =
                memory_resized(port->calls, (size_t)port->calls_capacity * sizeof port->calls[0]);
        }
        port->calls[port->calls_count++] = op;
    }
    if (!port->alive)
        return; /* it never completes, but for port_call */
    if (!take_fault(port->machine, op))
        draw_faults(port, op);
    if (op->kind <= OP_SHUTDOWN)
        net_submit(op);
    else if (op->kind == OP_CLOSE || op->kind == OP_WORK)
        op_schedule(op);
    else
        file_submit(op);
}

static int64_t close_handle(struct op *op)
{
    struct machine *machine = op_state(op)->port->machine;
    if (op->handle < 0 || op->handle >= machine->handle_count)
        return -ERROR_BAD_ARGUMENT;
    struct handle handle = machine->handles[op->handle];
    if (handle.type == HANDLE_FREE)
        return -ERROR_BAD_ARGUMENT;
    handle_free(machine, op->handle);
    if (handle.type == HANDLE_SOCKET)
        return socket_close(handle.object, true);
    if (handle.type == HANDLE_LISTENER)
        return listener_close(handle.object);
    return file_close(machine, handle.object);
}

/* At the time of its completion; cancelled work is sometimes not begun with. */
static int64_t do_work(struct world_port *port, struct op *op)
{
    const struct op_state *state = op_state(op);
    if (state->error)
        return -state->error;
    if (state->cancelled && random_once_in(&port->world->random, 2))
        return -ERROR_CANCELLED;
    int (*account)(int machine) = port->world->account;
    int before = account ? account(port->machine->index) : 0;
    int64_t result = op->work(op->data);
    if (account)
        account(before);
    return result;
}

/* Does what `op` asks. False: it can't go on yet, and waits where it is. */
static bool perform(struct world_port *port, struct op *op)
{
    bool again = false;
    int64_t result;
    struct op_state *state = op_state(op);
    state->due = false;
    if (op->kind <= OP_SHUTDOWN)
        result = net_execute(op, &again);
    else if (op->kind == OP_CLOSE)
        result = close_handle(op); /* closed even where an error is injected */
    else if (op->kind == OP_WORK)
        result = do_work(port, op);
    else
        result = file_execute(op);
    if (op->kind == OP_CLOSE && state->error)
        result = -state->error;
    if (again)
        return false;
    agenda_remove(port->world, &state->event); /* where doing it has woken its own queue */
    state->due = true;                         /* nothing may put it there any more */
    state->result = result;
    uint64_t who = (uint64_t)port->machine->index << 16 | (uint64_t)port->index << 8 | op->kind;
    world_mix(port->world, who);
    world_mix(port->world, (uint64_t)result);
    return true;
}

static void execute(struct world_port *port, struct op *op)
{
    if (!perform(port, op))
        return;
    port->delivered = true;
    op_finish(op, op_state(op)->result);
}

static void world_cancel(struct port *at, struct op *op)
{
    struct world_port *port = CONTAINER_OF(at, struct world_port, port);
    if (!op->running || !port->alive)
        return;
    op_cancel(op);
    if (op->kind <= OP_SHUTDOWN)
        net_cancel(op);
}

/* ---- turns ---- */

static void schedule_turn(struct world_port *port, int64_t due_ns)
{
    if (port->turn.place >= 0) {
        if (port->turn_due_ns <= due_ns)
            return;
        agenda_remove(port->world, &port->turn);
    }
    port->turn_due_ns = due_ns;
    agenda_add(port->world, &port->turn, due_ns);
}

/* Puts the core's next turn on the agenda; without work it sleeps, so that mail wakes it. */
void port_plan_turn(struct world_port *port)
{
    struct core *core = port->core;
    struct world *world = port->world;
    if (core_has_work(core))
        schedule_turn(port, world->now_ns + world_draw(world, world->settings.turn_delay));
    else
        atomic_store_explicit(&core->mailbox.sleeping, true, memory_order_relaxed);
    int64_t deadline_ns = core_next_deadline(core);
    if (deadline_ns != INT64_MAX)
        schedule_turn(port, max_i64(deadline_ns, world->now_ns));
}

void port_turn(struct world_port *port)
{
    if (!port->core || port->in_turn)
        return;
    world_mix(port->world, (uint64_t)port->machine->index << 8 | (uint64_t)port->index);
    port->in_turn = true;
    core_turn(port->core, false);
    port->in_turn = false;
    check(!port->delivering);
    if (port->alive)
        port_plan_turn(port);
}

void port_deliver(struct world_port *port, struct op *op)
{
    op_state(op)->due = true;
    if (port->waiting) {
        execute(port, op);
    } else if (port->core) {
        check(!port->in_turn && !port->delivering);
        port->delivering = op;
        port_turn(port);
    } else if (perform(port, op)) {
        if (port->ready_count == port->ready_capacity) {
            port->ready_capacity = port->ready_capacity ? 2 * port->ready_capacity : 4;
            port->ready =
                memory_resized(port->ready, (size_t)port->ready_capacity * sizeof port->ready[0]);
        }
        port->ready[port->ready_count++] = op;
    }
}

/* ---- the rest of the seam ---- */

/* Drives the world until a completion, a wake-up or the deadline. */
static void drive(struct world_port *port, int64_t until_ns)
{
    struct world *world = port->world;
    port->waiting++;
    while (port->alive && !port->delivered && !port->woken) {
        if (world->task) {
            check(until_ns == INT64_MAX); /* parts of a crew make calls, no more */
            world_task_wait(world, port);
            continue;
        }
        int64_t due_ns = world->agenda_count ? world->agenda[0].due_ns : INT64_MAX;
        if (due_ns > until_ns || (due_ns == INT64_MAX && until_ns != INT64_MAX)) {
            world->now_ns = max_i64(world->now_ns, until_ns);
            break;
        }
        check(world->agenda_count > 0); /* else: waits for ever, for nothing */
        world_step(world);
    }
    port->waiting--;
}

static void world_wait(struct port *at, int64_t until_ns)
{
    struct world_port *port = CONTAINER_OF(at, struct world_port, port);
    port->delivered = false;
    if (port->delivering) {
        struct op *op = port->delivering;
        port->delivering = NULL;
        execute(port, op);
        return;
    }
    if (port->in_turn && until_ns <= port->world->now_ns)
        return;
    if (port->alive && port->ready_count > 0) {
        uint64_t place = random_below(&port->world->random, (uint64_t)port->ready_count);
        struct op *op = port->ready[place];
        port->ready[place] = port->ready[--port->ready_count];
        port->delivered = true;
        op_finish(op, op_state(op)->result);
    }
    if (!port->delivered)
        drive(port, until_ns);
    port->woken = false;
    while (!port->alive && port->calls_count > 0)
        op_finish(port->calls[0], -ERROR_STOPPED);
}

static void world_wake(struct port *at)
{
    struct world_port *port = CONTAINER_OF(at, struct world_port, port);
    if (!port->alive)
        return;
    port->woken = true;
    if (port->core)
        schedule_turn(port, port->world->now_ns +
                                world_draw(port->world, port->world->settings.turn_delay));
}

static void world_clock(struct port *at, struct now *now)
{
    const struct world_port *port = CONTAINER_OF(at, struct world_port, port);
    const struct world *world = port->world;
    now->monotonic_ns = world->now_ns;
    now->wall_ms =
        world->settings.wall_start_ms + port->machine->wall_offset_ms + world->now_ns / 1000000;
}

void port_stop(struct world_port *port)
{
    agenda_remove(port->world, &port->turn);
    port->alive = false;
    port->delivering = NULL;
    port->ready_count = 0;
    port->core = NULL;
    memory_free(port->pool);
    memory_free(port->pool_taken);
    memory_free(port->pool_free);
    port->pool = NULL;
    list_push(&port->world->dead_ports, &port->link);
}

static void world_close(struct port *at)
{
    struct world_port *port = CONTAINER_OF(at, struct world_port, port);
    if (!port->alive)
        return;
    if (port->in_flight > port->cancelled)
        world_violation(port->world, "machine %d core %d: closed with %d operations in flight",
                        port->machine->index, port->index, port->in_flight - port->cancelled);
    while (port->in_flight > 0 && port->in_flight == port->cancelled)
        world_wait(at, INT64_MAX);
    port->machine->ports[port->index] = NULL;
    port_stop(port);
}

void port_free(struct world_port *port)
{
    memory_free(port->ready);
    memory_free(port->calls);
    memory_free(port);
}

const struct port_operations world_port_operations = {
    .name = "world",
    .submit = world_submit,
    .cancel = world_cancel,
    .wait = world_wait,
    .wake = world_wake,
    .clock = world_clock,
    .give_back = world_give_back,
    .close = world_close,
};

struct port *world_port(struct world *world, int machine, int core)
{
    check(machine >= 0 && machine < world->machine_count && core >= 0 && core < WORLD_CORES_MAX);
    struct machine *m = world->machines[machine];
    check(m->running);
    if (m->ports[core])
        return &m->ports[core]->port;
    struct world_port *port = memory_zeroed(sizeof *port);
    port->port = (struct port){.operations = &world_port_operations,
                               .pool_buffer_size = world->settings.pool_buffer_size,
                               .pool_buffer_count = world->settings.pool_buffer_count};
    port->world = world;
    port->machine = m;
    port->index = core;
    port->alive = true;
    port->turn = (struct world_event){-1, EVENT_TURN};
    list_init(&port->link);
    m->ports[core] = port;
    return &port->port;
}
