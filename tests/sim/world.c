/* The world's clock and agenda, machines, and the choice of what happens next. See world.h. */
#include "sim/disk_record.h"
#include "sim/world_parts.h"
#include "base/memory.h"
#include <stdarg.h>
#include <stdio.h>

/* ---- settings ---- */

struct world_settings world_settings_default(void)
{
    struct world_settings settings = {
        .slow = {1000000, 20000000},
        .slow_once_in = 500,
        .turn_delay = {50, 3000},
        .network_delay = {5000, 200000},
        .connect_timeout_ns = 10000000000,
        .pool_buffer_size = 16384,
        .pool_buffer_count = 64,
        .socket_buffer_bytes = 65536,
        .backlog = 128,
        .handle_limit = 1u << 20,
        .short_transfer_once_in = 8,
        .split_once_in = 8,
        .sector_bytes = 512,
        .direct_alignment = 512,
        .wall_start_ms = 1700000000000,
    };
    for (int kind = 0; kind < OP_KIND_COUNT; kind++)
        settings.latency[kind] = (struct world_range){1000, 100000};
    settings.cached_read = (struct world_range){1000, 50000};
    settings.latency[OP_FLUSH] = (struct world_range){20000, 400000};
    settings.latency[OP_FLUSH_ALL] = (struct world_range){100000, 2000000};
    return settings;
}

struct world_settings world_settings_random(uint64_t seed)
{
    struct world_settings settings = world_settings_default();
    struct random random;
    random_seed(&random, seed ^ 0x5e771465);
    for (int kind = 0; kind < OP_SPACE; kind++)
        settings.latency[kind].high_ns = 2000 << random_below(&random, 12);
    settings.slow_once_in = 20 << random_below(&random, 8);
    settings.turn_delay.high_ns = 100 << random_below(&random, 10);
    settings.network_delay.high_ns = 10000 << random_below(&random, 10);
    settings.pool_buffer_size = 64u << random_below(&random, 9);
    settings.pool_buffer_count = 1u << random_below(&random, 7);
    settings.socket_buffer_bytes = 256u << random_below(&random, 10);
    settings.no_buffers_once_in = 4 << random_below(&random, 8);
    settings.short_transfer_once_in = 2 << random_below(&random, 8);
    settings.split_once_in = 2 << random_below(&random, 8);
    settings.sector_bytes = random_below(&random, 2) ? 512 : 4096;
    settings.direct_alignment = random_below(&random, 2) ? 512 : 4096;
    settings.names_as_prefix = random_below(&random, 2);
    settings.short_read_once_in = 2 << random_below(&random, 10);
    settings.short_write_once_in = 8 << random_below(&random, 10);
    settings.latency[OP_WORK].high_ns = 2000 << random_below(&random, 12);
    settings.latency[OP_SPACE].high_ns = 2000 << random_below(&random, 12);
    settings.forget_once_in = 1 << random_below(&random, 6);
    settings.cache_untold = random_once_in(&random, 8);
    return settings;
}

/* ---- the agenda: a binary heap by (due, tie) ---- */

static bool comes_before(const struct world_agenda_entry *a, const struct world_agenda_entry *b)
{
    return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->tie < b->tie);
}

static void agenda_put(struct world *world, int32_t place, struct world_agenda_entry entry)
{
    world->agenda[place] = entry;
    entry.event->place = place;
}

static void agenda_up(struct world *world, int32_t place, struct world_agenda_entry entry)
{
    while (place > 0 && comes_before(&entry, &world->agenda[(place - 1) / 2])) {
        agenda_put(world, place, world->agenda[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    agenda_put(world, place, entry);
}

static void agenda_down(struct world *world, int32_t place, struct world_agenda_entry entry)
{
    for (;;) {
        int32_t child = 2 * place + 1;
        if (child >= world->agenda_count)
            break;
        if (child + 1 < world->agenda_count &&
            comes_before(&world->agenda[child + 1], &world->agenda[child]))
            child++;
        if (!comes_before(&world->agenda[child], &entry))
            break;
        agenda_put(world, place, world->agenda[child]);
        place = child;
    }
    agenda_put(world, place, entry);
}

void agenda_add(struct world *world, struct world_event *event, int64_t due_ns)
{
    check(event->place < 0);
    if (world->agenda_count == world->agenda_capacity) {
        world->agenda_capacity = world->agenda_capacity ? 2 * world->agenda_capacity : 256;
        world->agenda =
            memory_resized(world->agenda, (size_t)world->agenda_capacity * sizeof world->agenda[0]);
    }
    struct world_agenda_entry entry = {due_ns, random_next(&world->random), event};
    agenda_up(world, world->agenda_count++, entry);
}

void agenda_remove(struct world *world, struct world_event *event)
{
    int32_t place = event->place;
    if (place < 0)
        return;
    event->place = -1;
    struct world_agenda_entry last = world->agenda[--world->agenda_count];
    if (place == world->agenda_count)
        return;
    if (place > 0 && comes_before(&last, &world->agenda[(place - 1) / 2]))
        agenda_up(world, place, last);
    else
        agenda_down(world, place, last);
}

/* ---- chance and trace ---- */

int64_t world_draw(struct world *world, struct world_range range)
{
    return range.low_ns >= range.high_ns
               ? range.low_ns
               : random_between(&world->random, range.low_ns, range.high_ns);
}

void world_mix(struct world *world, uint64_t value)
{
    uint64_t hash = (world->hash ^ value) * 0x9fb21c651e98df25u;
    world->hash = hash ^ (hash >> 32);
}

void world_violation(struct world *world, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (world->violation_count++ == 0)
        snprintf(world->violation, sizeof world->violation, "%s", text);
    if (!world->quiet)
        fprintf(stderr, "violation (seed %llu, event %llu, %lld ns): %s\n",
                (unsigned long long)world->seed, (unsigned long long)world->events,
                (long long)world->now_ns, text);
}

/* ---- operations ---- */

void op_schedule(struct op *op)
{
    struct op_state *state = op_state(op);
    if (state->event.place >= 0 || state->due)
        return;
    struct world *world = state->port->world;
    const struct world_settings *settings = &world->settings;
    bool slow = settings->slow_once_in && random_once_in(&world->random, settings->slow_once_in);
    bool asks_disk = op->kind != OP_READ || !(op->flags & READ_CACHED_ONLY);
    struct world_range latency = !asks_disk ? settings->cached_read
                                 : slow     ? settings->slow
                                            : settings->latency[op->kind];
    int64_t delay_ns = world_draw(world, latency);
    agenda_add(world, &state->event, world->now_ns + delay_ns);
}

void op_cancel(struct op *op)
{
    struct op_state *state = op_state(op);
    state->port->cancelled += !state->cancelled;
    state->cancelled = true;
}

void op_finish(struct op *op, int64_t result)
{
    struct world_port *port = op_state(op)->port;
    op_state(op)->mark = 0;
    port->in_flight--;
    port->cancelled -= op_state(op)->cancelled;
    if (!op->flow)
        for (int32_t i = 0; i < port->calls_count; i++)
            if (port->calls[i] == op)
                port->calls[i--] = port->calls[--port->calls_count];
    op_complete(op, result);
}

/* ---- machines ---- */

struct world *world_create(uint64_t seed, const struct world_settings *settings)
{
    struct world *world = memory_zeroed(sizeof *world);
    world->seed = seed;
    world->settings = settings ? *settings : world_settings_default();
    random_seed(&world->random, seed);
    list_init(&world->free_sockets);
    list_init(&world->dead_ports);
    check(world->settings.sector_bytes == 512 || world->settings.sector_bytes == 4096);
    return world;
}

void world_destroy(struct world *world)
{
    for (int i = 0; i < world->machine_count; i++) {
        struct machine *machine = world->machines[i];
        if (machine->running)
            world_kill(world, i);
        disk_recording_destroy(machine->recording);
        disk_destroy(machine->disk);
        memory_free(machine->handles);
        memory_free(machine);
    }
    for (struct list *node; (node = list_pop(&world->free_sockets));) {
        struct socket *socket = CONTAINER_OF(node, struct socket, link);
        memory_free(socket->ring);
        memory_free(socket);
    }
    for (struct list *node; (node = list_pop(&world->dead_ports));)
        port_free(CONTAINER_OF(node, struct world_port, link));
    memory_free(world->agenda);
    memory_free(world);
}

int world_add_machine(struct world *world)
{
    check(world->machine_count < WORLD_MACHINES_MAX);
    struct machine *machine = memory_zeroed(sizeof *machine);
    machine->world = world;
    machine->index = world->machine_count;
    machine->handle_free = -1;
    machine->running = true;
    list_init(&machine->sockets);
    list_init(&machine->listeners);
    list_init(&machine->name_operations);
    list_init(&machine->files);
    machine->disk = disk_create(world->settings.sector_bytes);
    machine->disk->limit_bytes = world->settings.disk_limit_bytes;
    machine->disk->names_as_prefix = world->settings.names_as_prefix;
    world->machines[world->machine_count] = machine;
    return world->machine_count++;
}

static struct machine *get_machine(struct world *world, int machine)
{
    check(machine >= 0 && machine < world->machine_count);
    return world->machines[machine];
}

struct address world_address(int machine, uint16_t port)
{
    return (struct address){
        .family = 4, .bytes = {[12] = 10, [15] = (uint8_t)(machine + 1)}, .port = port};
}

void world_add_core(struct world *world, int machine, struct core *core)
{
    struct world_port *port = CONTAINER_OF(core->port, struct world_port, port);
    check(port->machine == get_machine(world, machine) && !port->core);
    port->core = core;
    port_plan_turn(port);
}

void world_notice(struct world *world, struct core *core)
{
    struct world_port *port = CONTAINER_OF(core->port, struct world_port, port);
    check(port->world == world && port->core == core);
    if (!port->in_turn)
        port_plan_turn(port);
}

void world_wall_step(struct world *world, int machine, int64_t delta_ms)
{
    get_machine(world, machine)->wall_offset_ms += delta_ms;
}

void world_disk_limit(struct world *world, int machine, int64_t bytes)
{
    get_machine(world, machine)->disk->limit_bytes = bytes;
}

void world_fail(struct world *world, int machine, int kind, uint64_t nth, enum error error)
{
    struct machine *m = get_machine(world, machine);
    check(m->fault_count < WORLD_FAULTS_MAX && kind <= OP_KIND_COUNT && nth > 0);
    m->faults[m->fault_count++] =
        (struct world_fault){(uint8_t)kind, m->submitted[kind] + nth, error};
}

void world_break(struct world *world, int machine, const char *folder)
{
    struct machine *m = get_machine(world, machine);
    check(!folder || strlen(folder) < sizeof m->broken);
    memset(m->broken, 0, sizeof m->broken);
    if (folder)
        memcpy(m->broken, folder, strlen(folder));
}

/* Takes the completions of a machine's operations out. */
static void agenda_forget(struct world *world, const struct machine *machine)
{
    int32_t count = world->agenda_count;
    world->agenda_count = 0;
    for (int32_t i = 0; i < count; i++) {
        struct world_agenda_entry entry = world->agenda[i];
        if (entry.event->kind == EVENT_COMPLETION &&
            op_state(event_op(entry.event))->port->machine == machine)
            continue;
        agenda_up(world, world->agenda_count++, entry);
    }
}

static void stop(struct world *world, int machine, bool power_lost)
{
    struct machine *m = get_machine(world, machine);
    check(m->running);
    m->running = false;
    for (int i = 0; i < WORLD_CORES_MAX; i++)
        check(!m->ports[i] || !m->ports[i]->in_turn);
    file_stop_machine(m, power_lost);
    net_stop_machine(m);
    agenda_forget(world, m);
    for (int i = 0; i < WORLD_CORES_MAX; i++) {
        if (m->ports[i])
            port_stop(m->ports[i]);
        m->ports[i] = NULL;
    }
    m->handles_used = m->handle_count = 0;
    m->handle_free = -1;
    world_mix(world, (uint64_t)machine << 8 | power_lost);
}

void world_crash(struct world *world, int machine)
{
    stop(world, machine, true);
}

void world_kill(struct world *world, int machine)
{
    stop(world, machine, false);
}

void world_stop_machine(struct world *world, int machine)
{
    struct machine *m = get_machine(world, machine);
    for (int i = 0; i < WORLD_CORES_MAX; i++)
        if (m->ports[i] && m->ports[i]->in_flight)
            world_violation(world, "machine %d core %d: stopped with %d operations in flight",
                            machine, i, m->ports[i]->in_flight);
    stop(world, machine, false);
}

void world_start(struct world *world, int machine)
{
    struct machine *m = get_machine(world, machine);
    check(!m->running);
    m->running = true;
}

/* ---- the run ---- */

void world_on_event(struct world *world, void (*run)(struct world *world, void *argument),
                    void *argument)
{
    world->on_event = run;
    world->on_event_argument = argument;
}

void world_at(struct world *world, struct world_action *action, int64_t delay_ns)
{
    action->event.kind = EVENT_ACTION;
    agenda_add(world, &action->event, world->now_ns + delay_ns);
}

void world_forget(struct world *world, struct world_action *action)
{
    agenda_remove(world, &action->event);
}

bool world_step(struct world *world)
{
    if (world->agenda_count == 0)
        return false;
    struct world_agenda_entry next = world->agenda[0];
    check(next.event->place == 0); /* else an operation was overwritten while it was in flight */
    agenda_remove(world, next.event);
    if (next.due_ns > world->now_ns)
        world->now_ns = next.due_ns;
    world->events++;
    world_mix(world, (uint64_t)world->now_ns << 3 | next.event->kind);
    switch ((enum event_kind)next.event->kind) {
    case EVENT_COMPLETION: {
        struct op *op = event_op(next.event);
        port_deliver(op_state(op)->port, op);
        break;
    }
    case EVENT_TURN:
        port_turn(CONTAINER_OF(next.event, struct world_port, turn));
        break;
    case EVENT_ARRIVAL:
        net_arrive(CONTAINER_OF(next.event, struct socket, arrival));
        break;
    case EVENT_ACTION: {
        struct world_action *action = CONTAINER_OF(next.event, struct world_action, event);
        action->run(action, world);
        break;
    }
    }
    if (world->on_event)
        world->on_event(world, world->on_event_argument);
    return true;
}

bool world_run(struct world *world, struct world_stop until)
{
    for (int i = 0; i < world->machine_count; i++)
        for (int j = 0; j < WORLD_CORES_MAX; j++) {
            struct world_port *port = world->machines[i]->ports[j];
            if (port && port->core && !port->in_turn)
                port_plan_turn(port);
        }
    uint64_t events_end = until.events ? world->events + until.events : UINT64_MAX;
    int64_t time_end_ns = until.for_ns ? world->now_ns + until.for_ns : INT64_MAX;
    for (;;) {
        if (until.until && until.until(until.argument))
            return true;
        if (world->events >= events_end)
            return false;
        if (world->agenda_count == 0 || world->agenda[0].due_ns > time_end_ns) {
            if (time_end_ns != INT64_MAX)
                world->now_ns = time_end_ns;
            return false;
        }
        world_step(world);
    }
}
