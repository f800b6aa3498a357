/* One seed of the whole broker.
 *
 *   draw -> boot -> faults ... -> calm: everything is answered, read from start to end
 *        -> clean stop -> the disk is read
 *
 * All draws come from the seed; time is the world's. The broker is started, stopped and crashed
 * here, from outside of any turn, but for crashes that come while it boots or stops. */
#include "sim/broker_sim.h"
#include "sim/broker_quiet.h"
#include "sim/broker_rot.h"
#include "base/check.h"
#include "base/memory.h"
#include "sim/machine_memory.h"
#include "storage/store.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const int64_t second_ns = 1000000000;

static int64_t draw(struct simulation *sim, int64_t low, int64_t high)
{
    return random_between(&sim->random, low, high);
}

static int64_t draw_power(struct simulation *sim, int low, int high)
{
    return (int64_t)1 << draw(sim, low, high);
}

const char *sim_directory(int directory)
{
    static const char *const names[] = {"data", "data-1", "data-2"};
    return names[directory];
}

/* ---- draw ---- */

static struct world_settings draw_world(struct simulation *sim)
{
    struct world_settings settings = world_settings_random(sim->seed);
    settings.disk_limit_bytes = 0; /* a full disk is a scenario of its own */
    settings.handle_limit = 100000;
    settings.cut_once_in = random_once_in(&sim->random, 2) ? 0 : (uint64_t)draw(sim, 500, 20000);
    settings.read_error_once_in = settings.write_error_once_in = 0;
    settings.flush_error_once_in = settings.name_error_once_in = 0;
    sim->disk_faults = sim->by_chance = random_once_in(&sim->random, 4);
    if (sim->disk_faults) {
        settings.read_error_once_in = (uint64_t)draw_power(sim, 8, 14);
        settings.write_error_once_in = (uint64_t)draw_power(sim, 10, 15);
        settings.flush_error_once_in = (uint64_t)draw_power(sim, 10, 15);
        settings.name_error_once_in = (uint64_t)draw_power(sim, 8, 12);
    }
    return settings;
}

static void draw_broker(struct simulation *sim)
{
    struct broker_machine *machine = &sim->broker;
    struct settings *settings = &machine->settings;
    struct sentence sentence;
    static const char *const dirs[] = {"data", "data,data-1", "data,data-1,data-2"};
    sim->directories = sim->seed % 5 == 1 ? 2 : sim->seed % 5 == 2 ? 3 : 1; /* no draw, as below */
    sim->broken = -1;
    enum error error = settings_set(settings, STRING("log.dirs"),
                                    string_of(dirs[sim->directories - 1]), &sentence);
    check(error == ERROR_NONE);
    machine->cores = (int)draw(sim, 1, 4);
    settings->journal_bytes = draw_power(sim, 16, 22);
    settings->journal_crowded_bytes = sim->seed % 4 == 1 ? 2 * settings->journal_bytes : 0;
    settings->journal_initial_bytes = draw_power(sim, 16, 18);
    settings->journal_block_bytes = (int32_t)draw_power(sim, 12, 16);
    settings->drain_bytes = (int32_t)draw_power(sim, 12, 16);
    settings->log_segment_bytes = (int32_t)draw_power(sim, 12, 20);
    settings->log_index_interval_bytes = (int32_t)draw_power(sim, 6, 12);
    settings->max_requests_in_flight = (int32_t)draw_power(sim, 0, 6);
    settings->num_partitions = (int32_t)draw(sim, 1, 4);
    settings->connections_max_idle_ms = draw(sim, 5000, 60000);
    settings->metadata_log_max_record_bytes_between_snapshots = draw_power(sim, 8, 14);
    settings->metadata_log_max_snapshot_interval_ms = draw(sim, 0, 1) * draw_power(sim, 4, 16);
    settings->metadata_log_segment_bytes = (int32_t)draw_power(sim, 9, 14);
    settings->metadata_log_segment_ms = draw_power(sim, 4, 20);
    settings->metadata_max_retention_bytes = draw_power(sim, 9, 14);
    settings->metadata_max_retention_ms = draw_power(sim, 4, 20);
    settings->log_open_files =
        (int32_t)(sim->seed % 5 + 1) * machine->cores; /* no draw, see below */
    settings->log_idle_ms = sim->seed % 3 ? 1 + (int64_t)(sim->seed % 300) : 60000;
    if (sim->seed % 4 == 3) /* no draw: other seeds, and the known ones, stay what they are */
        settings->produce_inline_bytes = 0;
    settings->cold_read_bytes = sim->seed % 2 ? 65536 : 0; /* no draw either */
    settings->log_scrub_interval_ms = 100 << sim->seed % 8;
    settings->log_scrub_max_bytes_per_second = 65536 << sim->seed % 10;
    settings->mail_in_flight = random_once_in(&sim->random, 2) ? (int32_t)draw(sim, 1, 4) : 1024;
    settings->max_incremental_fetch_session_cache_slots = (int32_t)draw(sim, 0, 8);
    if (random_once_in(&sim->random, 3))
        settings->max_connections = (int32_t)draw(sim, SIM_CLIENTS_MAX, 2 * SIM_CLIENTS_MAX);
    if (random_once_in(&sim->random, 3))
        settings->max_connections_per_ip = (int32_t)draw(sim, 1, 3);
    machine->session_eviction_ms = draw_power(sim, 6, 14);
    machine->buffers_bytes = (size_t)draw_power(sim, 12, 22);
    machine->flush_all_files = (uint32_t)draw(sim, 1, 32);
}

/* The settings of the topics of one name. */
static void draw_rules(struct simulation *sim, struct model_rules *rules)
{
    int64_t most = min_i64(settings_largest_batch(&sim->broker.settings), 1048588);
    *rules = (struct model_rules){
        .codec = random_once_in(&sim->random, 2) ? MODEL_CODEC_SENT
                                                 : (int)draw(sim, CODEC_NONE, CODECS_END - 1),
        .append_time = random_once_in(&sim->random, 3),
        .old_is_refused = random_once_in(&sim->random, 3),
        .size_max_bytes =
            random_once_in(&sim->random, 4) ? (int32_t)draw_power(sim, 9, 13) : (int32_t)most,
        .min_insync = random_once_in(&sim->random, 8) ? 2 : 1,
        .retention_ms = -1,
        .retention_bytes = -1,
        .delete_delay_ms = random_below(&sim->extra, 3) * 20000,
    };
    uint64_t kind = random_below(&sim->extra, 8);
    if (sim->retains && kind < 3) /* seconds, or a day */
        rules->retention_ms = kind < 2 ? 1000ll << random_below(&sim->extra, 9) : 86400000;
    if (sim->retains && kind > 1 && kind < 5)
        rules->retention_bytes = 1ll << random_between(&sim->extra, 12, 18);
    rules->tombstone_ms = random_once_in(&sim->extra, 2) ? 0 : 30ll * 86400000;
    rules->compacts = sim->compacts && random_once_in(&sim->extra, 2);
    rules->keeps = rules->compacts && random_once_in(&sim->extra, 2);
}

static void set(struct simulation *sim, const char *name, const char *format, ...)
{
    char text[32];
    struct sentence sentence;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    enum error error =
        settings_set(&sim->broker.settings, string_of(name), string_of(text), &sentence);
    check(error == ERROR_NONE);
}

/* Those of the automatic ones are the broker's own. */
static void draw_topics(struct simulation *sim)
{
    sim->retains = random_once_in(&sim->extra, 2);
    sim->compacts = random_once_in(&sim->extra, 2);
    sim->rots = random_once_in(&sim->extra, 3);
    for (int kind = 0; kind < MODEL_KINDS; kind++) {
        sim->topics[kind] = (int32_t)draw(sim, 1, kind == MODEL_FIXED ? 4 : 2);
        for (int i = 0; i < MODEL_NAMES_MAX; i++)
            draw_rules(sim, &sim->model.rules[kind][i]);
    }
    const struct model_rules *rules = &sim->model.rules[MODEL_AUTOMATIC][0];
    for (int i = 1; i < MODEL_NAMES_MAX; i++)
        sim->model.rules[MODEL_AUTOMATIC][i] = *rules;
    set(sim, "compression.type", "%s", model_compression(rules));
    set(sim, "log.message.timestamp.type", "%s",
        rules->append_time ? "LogAppendTime" : "CreateTime");
    set(sim, "log.message.timestamp.before.max.ms", "%lld",
        rules->old_is_refused ? 3600000ll : (long long)INT64_MAX);
    set(sim, "message.max.bytes", "%d", rules->size_max_bytes);
    set(sim, "min.insync.replicas", "%d", rules->min_insync);
    set(sim, "log.cleanup.policy", "%s", model_cleanup(rules));
    set(sim, "log.cleaner.delete.retention.ms", "%lld", (long long)rules->tombstone_ms);
    set(sim, "log.retention.ms", "%lld", (long long)rules->retention_ms);
    set(sim, "log.retention.bytes", "%lld", (long long)rules->retention_bytes);
    set(sim, "log.segment.delete.delay.ms", "%lld", (long long)rules->delete_delay_ms);
}

static const struct client_kind *kind_of_producer(struct simulation *sim)
{
    return random_once_in(&sim->random, 2) ? &idempotent_kind : &producer_kind;
}

/* What little there is, is compacted soon and often. */
static void draw_cleaner(struct simulation *sim)
{
    struct settings *settings = &sim->broker.settings;
    settings->log_cleaner_backoff_ms = 32ll << random_below(&sim->extra, 6);
    settings->log_cleaner_min_cleanable_ratio = (double)random_below(&sim->extra, 6) / 10;
    settings->log_cleaner_dedupe_buffer_size = 1ll << random_between(&sim->extra, 10, 20);
    settings->log_cleaner_io_buffer_size = 1 << random_between(&sim->extra, 9, 18);
}

static void draw_clients(struct simulation *sim)
{
    int counts[] = {(int)draw(sim, 1, 5), (int)draw(sim, 1, 3), (int)draw(sim, 0, 3),
                    (int)draw(sim, 1, 2)};
    const struct client_kind *const kinds[] = {&producer_kind, &consumer_kind, &fetcher_kind,
                                               &admin_kind};
    for (int kind = 0; kind < ARRAY_COUNT(kinds); kind++)
        for (int i = 0; i < counts[kind]; i++)
            client_start(&sim->clients[sim->client_count++],
                         kind == 0 ? kind_of_producer(sim) : kinds[kind], sim);
    if (random_once_in(&sim->random, 2))
        hostile_start(sim);
    for (int i = (int)random_below(&sim->extra, 3); i > 0; i--)
        client_start(&sim->clients[sim->client_count++], &purger_kind, sim);
}

/* ---- faults ---- */

static bool failed(const struct simulation *sim)
{
    return sim->world->violation_count > 0;
}

static void mend(struct simulation *sim)
{
    sim->broken = -1;
    world_break(sim->world, sim->broker.machine, NULL);
}

/* Not that of the metadata: without it there is no broker. */
static void break_a_directory(struct simulation *sim)
{
    if (sim->directories == 1)
        return;
    sim->broken = (int)draw(sim, 1, sim->directories - 1);
    sim->disk_faults = sim->has_broken[sim->broken] = true;
    SAY(sim, "%s breaks", sim_directory(sim->broken));
    world_break(sim->world, sim->broker.machine, sim_directory(sim->broken));
}

void sim_boot(struct simulation *sim)
{
    oracle_incarnation(sim);
    for (int i = 0; i < 50 && !failed(sim); i++) {
        if (sim->broken >= 0 && random_once_in(&sim->random, 2))
            mend(sim);
        if (!sim->calm && random_once_in(&sim->random, 4))
            broker_machine_crash_in(&sim->broker, draw(sim, 0, 30000000),
                                    random_once_in(&sim->random, 2));
        /* Another number of cores may go on with what these left; the same one resumes. */
        if (random_once_in(&sim->random, 2))
            sim->broker.cores = (int)draw(sim, 1, 4);
        if (broker_machine_boot(&sim->broker)) {
            SAY(sim, "up, %d cores, %llu bytes replayed", sim->broker.cores,
                (unsigned long long)sim->broker.broker.replayed_bytes);
            sim->quiet.up_ns = sim->world->now_ns;
            return;
        }
        SAY(sim, "did not come up: %s", sim->broker.has_crashed ? "crashed" : sim->broker.why);
        sim->failed_boots++;
        if (!sim->broker.has_crashed) { /* a flush that failed left pages marked clean: what Linux
                                           writes anew this world would lose, so power goes */
            world_start(sim->world, sim->broker.machine);
            world_crash(sim->world, sim->broker.machine);
        }
        if (sim->calm)
            world_violation(sim->world, "it does not start: %s", sim->broker.why);
    }
    world_violation(sim->world, "it does not start: %s", sim->broker.why);
}

void sim_crash(struct simulation *sim)
{
    if (random_once_in(&sim->random, 3)) {
        SAY(sim, "kill");
        sim->kills++;
        broker_machine_kill(&sim->broker);
    } else {
        SAY(sim, "crash");
        sim->crashes++;
        broker_machine_crash(&sim->broker);
    }
}

static void stop(struct simulation *sim)
{
    SAY(sim, "stop");
    if (random_once_in(&sim->random, 4))
        broker_machine_crash_in(&sim->broker, draw(sim, 0, 50000000),
                                random_once_in(&sim->random, 2));
    if (broker_machine_stop(&sim->broker)) {
        sim->stops++;
    }
}

static void unblock(struct world_action *action, struct world *world)
{
    for (int i = 0; i < world->machine_count; i++)
        for (int j = 0; j < world->machine_count; j++)
            world_block(world, i, j, false);
}

static void cut(struct simulation *sim)
{
    int other = (int)draw(sim, 1, sim->world->machine_count - 1);
    sim->cuts++;
    if (random_once_in(&sim->random, 2) || sim->unblock.event.place >= 0) {
        world_cut(sim->world, sim->broker.machine, other);
        return;
    }
    SAY(sim, "machine %d is cut off", other);
    world_block(sim->world, sim->broker.machine, other, true);
    if (random_once_in(&sim->random, 2))
        world_block(sim->world, other, sim->broker.machine, true);
    world_at(sim->world, &sim->unblock, draw(sim, second_ns / 100, 40 * second_ns));
}

static void fail_an_operation(struct simulation *sim)
{
    static const uint8_t kinds[] = {OP_WRITE,    OP_FLUSH, OP_READ,    OP_OPEN,   OP_TRUNCATE,
                                    OP_ALLOCATE, OP_SEND,  OP_RECEIVE, OP_ACCEPT, OP_FLUSH_ALL};
    int kind = kinds[random_below(&sim->random, sizeof kinds)];
    enum error error = kind == OP_SEND || kind == OP_RECEIVE ? ERROR_CONNECTION_RESET
                       : kind == OP_ACCEPT                   ? ERROR_TOO_MANY_FILES
                                                             : ERROR_INPUT_OUTPUT;
    if (kind == OP_RECEIVE && random_once_in(&sim->random, 2))
        error = ERROR_NO_BUFFERS;
    SAY(sim, "an operation of kind %d will fail", kind);
    sim->disk_faults = sim->by_chance = true;
    world_fail(sim->world, sim->broker.machine, kind, (uint64_t)draw(sim, 1, 40), error);
}

static void fault(struct simulation *sim)
{
    if (sim->rots && random_once_in(&sim->extra, 2))
        rot_flip(sim, ROT_CACHE);
    switch (random_below(&sim->random, 12)) {
    case 0:
    case 1:
    case 2:
        sim_crash(sim);
        break;
    case 3:
    case 4:
        stop(sim);
        break;
    case 5:
    case 6:
        cut(sim);
        break;
    case 7:
        quiet_step_wall(sim, draw(sim, -100000, 100000));
        break;
    case 8:
        if (random_once_in(&sim->random, 2))
            fail_an_operation(sim);
        break;
    case 9:
        break_a_directory(sim);
        break;
    default:
        break;
    }
}

static void run_with_faults(struct simulation *sim)
{
    struct world *world = sim->world;
    uint64_t most = sim->events_wanted / 8;
    while (world->events < sim->events_wanted && !failed(sim)) {
        if (sim->broker.state == BROKER_DOWN)
            sim_boot(sim);
        world_run(world, (struct world_stop){.events = 1 + random_below(&sim->random, most)});
        if (!failed(sim))
            quiet_look(sim);
        if (failed(sim))
            return;
        if (sim->broker.has_crashed) { /* one that was meant for the boot came later */
            broker_machine_kill(&sim->broker);
        } else if (broker_machine_is_fenced(&sim->broker)) {
            SAY(sim, "fenced");
            sim->fences++;
            world_run(world, (struct world_stop){.events = 1 + random_below(&sim->random, 2000)});
            if (!failed(sim))
                broker_machine_kill(&sim->broker);
        } else {
            fault(sim);
        }
    }
}

/* ---- calm ---- */

static bool all_over(void *argument)
{
    struct simulation *sim = argument;
    if (failed(sim))
        return true;
    for (int i = 0; i < sim->client_count; i++)
        if (!sim->clients[i].kind->is_over(&sim->clients[i]))
            return false;
    return true;
}

void sim_end_faults(struct simulation *sim)
{
    struct world_settings *settings = &sim->world->settings;
    settings->cut_once_in = 0;
    settings->read_error_once_in = settings->write_error_once_in = 0;
    settings->flush_error_once_in = settings->name_error_once_in = 0;
    settings->no_buffers_once_in = 0;
    sim->world->machines[sim->broker.machine]->fault_count = 0;
    mend(sim);
    broker_machine_crash_never(&sim->broker);
    unblock(&sim->unblock, sim->world);
}

static void run_calm(struct simulation *sim)
{
    SAY(sim, "calm");
    sim_end_faults(sim);
    /* What a fault of the disk has failed stays failed until the next start. */
    if (sim->disk_faults || sim->broker.has_crashed || broker_machine_is_fenced(&sim->broker) ||
        random_once_in(&sim->random, 3))
        sim_crash(sim);
    sim->calm = true;
    sim->calm_ns = INT64_MAX; /* not before it is up */
    if (sim->broker.state == BROKER_DOWN)
        sim_boot(sim);
    sim->calm_ns = sim->world->now_ns + second_ns;
    for (int i = sim->rots ? (int)random_below(&sim->extra, 4) : 0; i > 0 && !failed(sim); i--)
        rot_flip(sim, ROT_LOG);
    if (failed(sim))
        return;
    world_run(sim->world,
              (struct world_stop){.until = all_over, .argument = sim, .for_ns = 1200 * second_ns});
    for (int i = 0; i < sim->client_count && !failed(sim); i++)
        if (!sim->clients[i].kind->is_over(&sim->clients[i]))
            world_violation(sim->world, "client %d, a %s, does not come to its end", i,
                            sim->clients[i].kind->name);
    for (int d = 0; d < sim->directories; d++)
        if (broker_machine_has_failed(&sim->broker, d))
            world_violation(sim->world, "%s: fenced without a fault", sim_directory(d));
    if (failed(sim))
        return;
    SAY(sim, "last stop");
    if (!broker_machine_stop(&sim->broker))
        world_violation(sim->world, "the last stop was not clean");
    if (!failed(sim))
        oracle_disk(sim);
}

/* ---- one seed ---- */

static void free_all(struct simulation *sim)
{
    struct world *world = sim->world;
    broker_machine_done(&sim->broker);
    int machines = world->machine_count;
    for (int i = 0; i < machines; i++)
        if (world->machines[i]->running)
            world_kill(world, i);
    for (int i = 0; i < machines; i++)
        machine_memory_drop(i);
    world_destroy(world);
    model_done(&sim->model);
    memory_free(sim->hostile);
}

static struct sim_result result_of(const struct simulation *sim)
{
    const struct world *world = sim->world;
    struct sim_result result = {
        .failed = failed(sim),
        .hash = world->hash,
        .events = world->events,
        .records = sim->model.record_count - 1,
        .acknowledged = sim->model.acknowledged,
        .read = sim->model.read,
        .crashes = sim->crashes,
        .kills = sim->kills,
        .stops = sim->stops,
        .failed_boots = sim->failed_boots,
        .fences = sim->fences,
        .failed_event = world->events,
    };
    snprintf(result.message, sizeof result.message, "%s", world->violation);
    for (int i = 0; i < sim->client_count; i++)
        result.losses += sim->clients[i].losses;
    return result;
}

struct sim_result sim_run(uint64_t seed, uint64_t events, bool verbose)
{
    struct simulation *sim = memory_zeroed(sizeof *sim);
    sim->seed = seed;
    sim->events_wanted = events;
    sim->verbose = verbose;
    sim->unblock = WORLD_ACTION(unblock);
    random_seed(&sim->random, seed ^ 0xb01e);
    random_seed(&sim->extra, seed ^ 0xde1e7e);
    struct world_settings settings = draw_world(sim);
    sim->world = world_create(seed, &settings);
    sim->world->quiet = true;
    model_init(&sim->model, sim->world);
    broker_machine_init(&sim->broker, sim->world);
    sim->broker.verbose = verbose;
    draw_broker(sim);
    draw_topics(sim);
    draw_cleaner(sim);
    quiet_draw(sim);
    world_on_event(sim->world, oracle_event, sim);
    sim_boot(sim);
    if (!failed(sim)) {
        draw_clients(sim);
        run_with_faults(sim);
    }
    if (!failed(sim))
        run_calm(sim);
    if (failed(sim) && sim->verbose) {
        char text[8192];
        broker_machine_describe(&sim->broker, -1, text, sizeof text);
        printf("%s", text);
    }
    struct sim_result result = result_of(sim);
    free_all(sim);
    memory_free(sim);
    return result;
}
