#include "sim/broker_machine.h"
#include "api/api.h"
#include "api/serve.h"
#include "base/check.h"
#include "net/connection.h"
#include "sim/machine_memory.h"
#include "sim/reached.h"
#include "sim/world_parts.h"

#include "storage/store.h"
#include <stdio.h>

static const int64_t stop_limit_ns = 600 * 1000000000ll;

/* A file system that could not write names is not written to any more until it is mounted anew
 * (ext4 aborts its journal): to the process that comes next that is as if the power had gone. */
static bool has_lost_names(const struct world *world, int machine)
{
    const struct list *all = &world->machines[machine]->disk->pending_names;
    for (const struct list *node = all->next; node != all; node = node->next)
        if (CONTAINER_OF(node, struct name_change, link)->lost)
            return true;
    return false;
}

static void kill_process(struct world *world, int machine)
{
    if (has_lost_names(world, machine))
        world_crash(world, machine);
    else
        world_kill(world, machine);
}

static void crash_now(struct world_action *action, struct world *world)
{
    struct broker_machine *machine = CONTAINER_OF(action, struct broker_machine, crash);
    if (machine->state == BROKER_DOWN || !world->machines[machine->machine]->running)
        return;
    if (machine->state == BROKER_BOOTING)
        REACHED("recovery crashed");
    machine->has_crashed = true;
    if (machine->crash_is_kill)
        kill_process(world, machine->machine);
    else
        world_crash(world, machine->machine);
}

void broker_machine_init(struct broker_machine *machine, struct world *world)
{
    *machine = (struct broker_machine){.world = world, .crash = WORLD_ACTION(crash_now)};
    settings_init(&machine->settings);
    machine->machine = world_add_machine(world);
}

static void drop(struct broker_machine *machine)
{
    machine_memory_drop(machine->machine);
    machine->state = BROKER_DOWN;
    broker_machine_crash_never(machine);
}

void broker_machine_done(struct broker_machine *machine)
{
    broker_machine_kill(machine);
    settings_done(&machine->settings);
}

/* It is gone already, or ends now. */
static void end(struct broker_machine *machine, bool power_lost)
{
    struct world *world = machine->world;
    if (world->machines[machine->machine]->running) {
        if (power_lost)
            world_crash(world, machine->machine);
        else
            kill_process(world, machine->machine);
    }
    drop(machine);
}

void broker_machine_crash(struct broker_machine *machine)
{
    if (machine->state != BROKER_DOWN)
        end(machine, true);
}

void broker_machine_kill(struct broker_machine *machine)
{
    if (machine->state != BROKER_DOWN)
        end(machine, false);
}

void broker_machine_crash_in(struct broker_machine *machine, int64_t delay_ns, bool is_kill)
{
    if (machine->crash.event.place >= 0)
        return; /* one is on its way */
    machine->crash_is_kill = is_kill;
    world_at(machine->world, &machine->crash, delay_ns);
}

void broker_machine_crash_never(struct broker_machine *machine)
{
    world_forget(machine->world, &machine->crash);
}

bool broker_machine_is_fenced(const struct broker_machine *machine)
{
    return machine->state == BROKER_UP && machine->fenced;
}

bool broker_machine_has_failed(const struct broker_machine *machine, int directory)
{
    for (int i = 0; machine->state == BROKER_UP && i < machine->cores; i++)
        if (machine->broker.shards[i].stores[directory]->fenced)
            return true;
    return false;
}

static int describe_connection(const struct shard *shard, const struct connection *connection,
                               char *text, size_t size)
{
    const struct request *request =
        connection->in_flight > 0 ? CONTAINER_OF(connection->requests.next, struct request, link)
                                  : NULL;
    const struct buffers *buffers = &shard->core.buffers;
    return snprintf(
        text, size,
        "core %d, peer %d: closed %d, receiving %d, sending %d, frame %d (own %d, there "
        "%d), waits for a buffer %d, for anything %d, pool held %d; in flight %d, of "
        "which the first asks %d and is %s; buffers %zu of %zu\n",
        shard->core.id, connection->peer.bytes[15] - 1, connection->closed, connection->receiving,
        connection->send != NULL, connection->frame_size, connection->frame != NULL,
        connection->frame_have, connection->wants_buffer, connection->waiter.flow != NULL,
        shard->net->pool_held, connection->in_flight, request ? request->api_key : -1,
        request && request->ready ? "ready" : "not ready", buffers->used_bytes,
        buffers->budget_bytes);
}

void broker_machine_describe(const struct broker_machine *machine, int peer, char *text,
                             size_t size)
{
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; machine->state == BROKER_UP && i < machine->cores; i++) {
        const struct shard *shard = &machine->broker.shards[i];
        const struct list *all = &shard->net->connections;
        for (const struct list *node = all->next; node != all && used < size; node = node->next) {
            const struct connection *connection = CONTAINER_OF(node, struct connection, link);
            if (peer < 0 || connection->peer.bytes[15] - 1 == peer)
                used += (size_t)describe_connection(shard, connection, text + used, size - used);
        }
    }
}

/* ---- boot ---- */

static void on_stopped(struct broker *broker)
{
    struct broker_machine *machine = CONTAINER_OF(broker, struct broker_machine, broker);
    machine->net_stopped = true;
    broker_stop_cores(broker);
}

static void on_fenced(struct broker *broker, struct shard *shard)
{
    CONTAINER_OF(broker, struct broker_machine, broker)->fenced = true;
}

static void print_line(void *owner, const char *line, size_t size)
{
    (void)owner;
    printf("    %.*s\n", (int)size, line);
}

static enum error open_all(struct broker_machine *machine)
{
    struct broker *broker = &machine->broker;
    struct port *ports[WORLD_CORES_MAX];
    for (int i = 0; i < machine->cores; i++)
        ports[i] = machine_port(machine->world, machine->machine, i);
    struct machine_crew crew;
    struct broker_start start = {
        .settings = &machine->settings,
        .ports = ports,
        .core_count = machine->cores,
        .seed = machine->world->seed * 1000003 + machine->boots,
        .crew = machine_crew_init(&crew, machine->world, machine->machine, machine->cores)};
    enum error error = broker_open(broker, &start, machine->why, sizeof machine->why);
    if (error)
        return error;
    for (int i = 0; i < machine->cores; i++) {
        struct shard *shard = &broker->shards[i];
        shard->core.buffers.budget_bytes = machine->buffers_bytes;
        if (machine->verbose)
            shard->core.events.write = print_line;
        for (int d = 0; d < broker->directory_count && machine->flush_all_files; d++)
            shard->stores[d]->options.flush_all_files = machine->flush_all_files;
    }
    broker->stopped = on_stopped;
    broker->fenced = on_fenced;
    api_open(broker);
    for (int i = 0; i < machine->cores; i++)
        broker->shards[i].api->sessions.eviction_ms = machine->session_eviction_ms;
    struct address address = world_address(machine->machine, BROKER_PORT);
    error = api_listen(broker, &address);
    if (error) {
        snprintf(machine->why, sizeof machine->why, "can't listen: %s", error_text(error));
        return error;
    }
    for (int i = 0; i < machine->cores; i++)
        world_add_core(machine->world, machine->machine, &broker->shards[i].core);
    return ERROR_NONE;
}

bool broker_machine_boot(struct broker_machine *machine)
{
    check(machine->state == BROKER_DOWN && machine->cores > 0);
    if (!machine->world->machines[machine->machine]->running)
        world_start(machine->world, machine->machine);
    machine->boots++;
    machine->state = BROKER_BOOTING;
    machine->has_crashed = machine->net_stopped = machine->fenced = false;
    machine->why[0] = 0;
    enum error error = ERROR_STOPPED;
    if (machine_begin(machine->machine) == 0)
        error = open_all(machine);
    machine_end();
    if (machine->has_crashed || error) {
        end(machine, false);
        return false;
    }
    machine->state = BROKER_UP;
    machine->incarnations++;
    return true;
}

/* ---- stop ---- */

static bool cores_have_stopped(void *argument)
{
    const struct broker_machine *machine = argument;
    int stopped = 0;
    for (int i = 0; !machine->has_crashed && i < machine->cores; i++)
        stopped += machine->broker.shards[i].core.stopping;
    return stopped == machine->cores || machine->has_crashed;
}

/* What a stop waits for. */
static void note_stuck(struct broker_machine *machine)
{
    for (int i = 0; i < machine->cores; i++) {
        const struct shard *shard = &machine->broker.shards[i];
        const struct net *net = shard->net;
        struct list *node = net->connections.next;
        if (node != &net->connections) {
            const struct connection *connection = CONTAINER_OF(node, struct connection, link);
            char text[400];
            describe_connection(shard, connection, text, sizeof text);
            world_violation(machine->world,
                            "a stop waits for %d connections; the first of machine %d, %s",
                            net->connection_count, connection->peer.bytes[15] - 1, text);
        } else if (!shard->core.stopping) {
            const struct store *store = shard->stores[0];
            world_violation(machine->world,
                            "a stop waits for core %d; net stopped %d, fenced %d, "
                            "unsettled %d, checkpoint %d, live %lld",
                            i, machine->net_stopped, store->fenced,
                            !list_is_empty(&store->unsettled), store->checkpoint.running,
                            (long long)store->journal.live_bytes);
        }
    }
}

/* No connection is left, so nothing is under way from this core to another. */
static void check_idle(const struct broker_machine *machine, const struct shard *shard)
{
    for (int i = 0; i < machine->cores; i++)
        if (shard->api->credits[i].in_flight != 0 ||
            !list_is_empty(&shard->api->credits[i].waiting))
            world_violation(machine->world, "a stop leaves %d credits of core %d for core %d",
                            shard->api->credits[i].in_flight, shard->core.id, i);
}

bool broker_machine_stop(struct broker_machine *machine)
{
    check(machine->state == BROKER_UP);
    struct broker *broker = &machine->broker;
    machine->state = BROKER_STOPPING;
    machine->net_stopped = machine->has_crashed = false;
    int before = machine_memory_enter(machine->machine);
    api_stop(broker);
    machine_memory_enter(before);
    world_run(machine->world, (struct world_stop){.until = cores_have_stopped,
                                                  .argument = machine,
                                                  .for_ns = stop_limit_ns});
    if (!cores_have_stopped(machine))
        note_stuck(machine);
    bool ended = !machine->has_crashed && cores_have_stopped(machine), clean = ended;
    for (int i = 0; ended && i < machine->cores; i++)
        for (int d = 0; d < broker->directory_count; d++)
            clean = clean && !broker->shards[i].stores[d]->fenced;
    for (int i = 0; ended && i < machine->cores; i++)
        check_idle(machine, &broker->shards[i]);
    machine->state = BROKER_CLOSING; /* what it consists of goes piece by piece */
    if (ended && machine_begin(machine->machine) == 0) {
        api_close(broker);
        broker_close(broker);
    }
    machine_end();
    if (!clean || machine->has_crashed) {
        end(machine, false);
        return false;
    }
    world_stop_machine(machine->world, machine->machine);
    if (machine_memory_blocks(machine->machine) > 0)
        world_violation(machine->world, "a clean stop left %zu blocks, %zu bytes",
                        machine_memory_blocks(machine->machine),
                        machine_memory_bytes(machine->machine));
    drop(machine);
    return true;
}
