#include "crash/keyed_process.h"
#include "base/check.h"
#include "base/memory.h"
#include "storage/cleaner.h"
#include "storage/log_state.h"
#include "storage/recovery.h"
#include "storage/resume.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void keyed_fail(struct keyed *keyed, const char *format, ...)
{
    if (keyed->failure[0])
        return;
    int size = snprintf(keyed->failure, sizeof keyed->failure,
                        "seed %llu, event %llu: ", (unsigned long long)keyed->settings.seed,
                        (unsigned long long)keyed->world->events);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(keyed->failure + size, sizeof keyed->failure - (size_t)size, format, arguments);
    va_end(arguments);
}

struct keyed_settings keyed_settings_random(uint64_t seed)
{
    struct random random;
    random_seed(&random, seed ^ 0xc03bac7);
    struct keyed_settings settings = {
        .seed = seed,
        .world = world_settings_random(seed),
        .store = {.directory = "data",
                  .journal_block_bytes = 4096u << random_below(&random, 3),
                  .journal_initial_bytes = 65536 << random_below(&random, 2),
                  .journal_bytes = 262144,
                  .drain_bytes = 4096u << random_below(&random, 2),
                  .idle_ns = (int64_t)5000000 << random_below(&random, 4),
                  .flush_all_files = random_below(&random, 2) ? 100 : 1,
                  .drains = 1 + (int32_t)random_below(&random, 3),
                  .cleaner = {.enabled = true,
                              .backoff_ns = (int64_t)200000 << random_below(&random, 6),
                              .map_bytes = 1 << (8 + random_below(&random, 10)),
                              .map_load = 0.9,
                              .buffer_bytes = 4096u << random_below(&random, 4),
                              .bytes_per_second = random_once_in(&random, 3) ? 4e6 : 0}},
        .log = {.segment_bytes = 4096 << random_below(&random, 3),
                .segment_ms = INT64_MAX,
                .index_interval_bytes = 256 << random_below(&random, 4),
                .index_bytes = 64 << random_below(&random, 8),
                .compact = true,
                .min_dirty_ratio = random_below(&random, 3) * 0.2,
                .max_compaction_lag_ms = random_once_in(&random, 3) ? 1000 : INT64_MAX,
                .delete_retention_ms = random_once_in(&random, 2) ? 0 : 1 << 30},
        .keys = 2 << random_below(&random, 7),
        .records_most = 1 + (int)random_below(&random, 12),
        .value_most = 20u << random_below(&random, 6),
        .tombstone_once_in = random_below(&random, 8),
        .pause_once_in = 1 + random_below(&random, 6),
        .commit_once_in = 1ull << 3 * random_below(&random, 4),
    };
    return settings;
}

/* ---- the world ---- */

static void init(struct keyed *keyed, const struct keyed_settings *settings, uint64_t salt)
{
    *keyed = (struct keyed){.settings = *settings, .cleaned_end = -1};
    keyed->world = world_create(settings->seed, &settings->world);
    keyed->world->quiet = true;
    random_seed(&keyed->random, settings->seed ^ salt);
    world_add_machine(keyed->world);
}

void keyed_init(struct keyed *keyed, const struct keyed_settings *settings)
{
    init(keyed, settings, 0x419);
    struct disk *disk = disk_create(settings->world.sector_bytes);
    disk->names_as_prefix = settings->world.names_as_prefix;
    struct disk_change make = {.kind = OP_MAKE_DIRECTORY, .path = "data"};
    check(disk_execute(disk, &make) >= 0);
    struct disk_choice choice = disk_choice_of(CHOICE_NEW, 0);
    disk_crash(disk, &choice);
    world_load_disk(keyed->world, 0, disk);
}

void keyed_init_image(struct keyed *keyed, const struct keyed *of, struct disk *disk,
                      int64_t durable, int64_t committed)
{
    init(keyed, &of->settings, 0x1ac6e);
    keyed->capacity = keyed->count = of->count;
    keyed->records = memory_zeroed((size_t)(of->count + 1) * sizeof keyed->records[0]);
    memcpy(keyed->records, of->records, (size_t)of->count * sizeof keyed->records[0]);
    keyed->durable = durable;
    keyed->committed = committed;
    keyed->latest_ms = of->latest_ms;
    world_load_disk(keyed->world, 0, disk);
}

void keyed_done(struct keyed *keyed)
{
    if (keyed->process)
        keyed_crash(keyed, false);
    world_destroy(keyed->world);
    memory_free(keyed->records);
}

void keyed_look_for_violations(struct keyed *keyed)
{
    if (keyed->world->violation_count)
        keyed_fail(keyed, "violation: %s", keyed->world->violation);
}

void keyed_note_time(struct keyed *keyed)
{
    struct now now;
    struct port *port = keyed->process->core.port;
    port->operations->clock(port, &now);
    keyed->latest_ms = max_i64(keyed->latest_ms, now.wall_ms);
}

/* ---- start, work, stop ---- */

static bool folder_of_log(void *context, struct uuid topic_id, int32_t partition, char *folder,
                          size_t size)
{
    snprintf(folder, size, "data/k-0");
    return true;
}

static bool no_folder(void *context, struct uuid topic_id, int32_t partition, char *folder,
                      size_t size)
{
    return false;
}

static void recover(struct keyed *keyed, struct recovery *recovery)
{
    struct recovery_names names = {.folder = keyed->resumes ? no_folder : folder_of_log,
                                   .context = keyed};
    enum error error = recovery_open(recovery, world_port(keyed->world, 0, 0), "data");
    if (!error)
        error = recovery_replay(recovery, &names);
    if (error)
        keyed_fail(keyed, "recovery: %s", recovery->fault[0] ? recovery->fault : error_text(error));
}

static struct log *log_of(void *context, struct uuid topic_id, int32_t partition)
{
    return ((struct keyed_process *)context)->log;
}

static enum error begin_or_resume(struct keyed_process *process, struct recovery *recovery)
{
    struct store *store = &process->store;
    struct journal_content *content =
        process->keyed->resumes ? recovery_journal(recovery, 0) : NULL;
    if (!content || content->reader.fresh)
        return store_begin(store, &process->random);
    enum error error = store_resume(store, content, &(struct resume_names){log_of, process});
    if (!error && store->resumed_bytes > 0)
        checkpoint_request(store, false);
    return error;
}

void keyed_start(struct keyed *keyed)
{
    if (keyed->failure[0])
        return;
    if (!keyed->world->machines[0]->running)
        world_start(keyed->world, 0);
    struct recovery recovery;
    keyed->resumes = random_once_in(&keyed->random, 2);
    recover(keyed, &recovery);
    if (keyed->failure[0])
        return;
    struct keyed_process *process = memory_zeroed(sizeof *process);
    keyed->process = process;
    process->keyed = keyed;
    random_seed(&process->random, random_next(&keyed->random));
    core_init(&process->core, 0, world_port(keyed->world, 0, 0));
    enum error error = store_open(&process->store, &process->core, &keyed->settings.store);
    struct log_identity identity = {{{1}}, 0, STRING("k")};
    process->log = log_new(&process->store, &identity, &keyed->settings.log);
    if (!error)
        error = begin_or_resume(process, &recovery);
    recovery_close(&recovery);
    if (error)
        keyed_fail(keyed, "store_open: %s", error_text(error));
    world_add_core(keyed->world, 0, &process->core);
    process->log->moved = keyed_moved;
    process->log->stable_end = keyed_stable_end;
    process->log->context = process;
    process->log->cleaned_end = keyed->cleaned_end;
    keyed_note_time(keyed);
    keyed_start_reader(process, true);
    cleaner_consider(process->log);
    keyed_end_flows(keyed, "reading does not end");
    if (keyed->failure[0])
        return;
    keyed->count = keyed->durable = keyed->committed = process->log->durable_end;
    keyed->cleaned_end = -1;
    keyed_mark(keyed);
}

static bool fenced_now(void *argument)
{
    return keyed_process_is_fenced(argument);
}

void keyed_work(struct keyed *keyed, uint64_t events)
{
    struct keyed_process *process = keyed->process;
    if (keyed->failure[0])
        return;
    keyed_start_writer(process);
    keyed_start_reader(process, false);
    keyed_work_on(keyed, events);
}

void keyed_work_on(struct keyed *keyed, uint64_t events)
{
    if (keyed->failure[0])
        return;
    world_run(keyed->world, (struct world_stop){fenced_now, keyed->process, events, 0});
    keyed_note_time(keyed);
    keyed_look_for_violations(keyed);
}

static void end_work(struct keyed *keyed)
{
    struct keyed_process *process = keyed->process;
    process->stopping = true;
    keyed_end_flows(keyed, "the writer and the reader do not end");
}

/* Has the cleaner nothing to do any more: the last round found nothing due? */
static bool is_clean(void *argument)
{
    const struct keyed_process *process = argument;
    const struct log *log = process->log;
    const struct cleaner *cleaner = process->store.cleaner;
    if (process->keyed->failure[0] || log->uncleanable)
        return true;
    struct segment *active = log_active(log);
    bool all =
        !active || max_i64(log->cleaned_end, 0) >= active->base_offset; /* -1: not looked up */
    return all && !log->cleaning && cleaner && !cleaner->pass;
}

void keyed_settle(struct keyed *keyed)
{
    struct keyed_process *process = keyed->process;
    if (keyed->failure[0])
        return;
    keyed->settles = true;
    end_work(keyed);
    if (keyed->failure[0])
        return;
    keyed->committed = keyed->durable;
    keyed_mark(keyed);
    double min_dirty_ratio = keyed->settings.log.min_dirty_ratio;
    keyed->settings.log.min_dirty_ratio = 0;
    if (!world_run(keyed->world, (struct world_stop){is_clean, process, KEYED_EVENTS_MAX, 0}))
        keyed_fail(keyed, "cleaning does not end: %lld of %lld",
                   (long long)process->log->cleaned_end, (long long)process->log->durable_end);
    if (process->log->uncleanable)
        keyed_fail(keyed, "the log can't be cleaned");
    keyed_note_time(keyed);
    if (keyed->failure[0])
        return;
    keyed->settings.log.min_dirty_ratio = min_dirty_ratio;
    keyed->settles = false;
    keyed->cleaned_end = process->log->cleaned_end;
    process->stopping = false;
    keyed_start_reader(process, true);
    keyed_end_flows(keyed, "reading does not end");
}

static enum step settle_step(struct flow *flow)
{
    struct keyed_process *process = CONTAINER_OF(flow, struct keyed_process, settle_flow);
    process->error = store_settle(&process->store, &process->settle_waiter, flow);
    return process->error == ERROR_WOULD_WAIT ? STEP_AGAIN : STEP_NEXT;
}

static enum step settle_end(struct flow *flow)
{
    CONTAINER_OF(flow, struct keyed_process, settle_flow)->settled = true;
    return STEP_NEXT;
}

static const struct flow_kind settle_kind = {"settle",
                                             {{"settle", settle_step}, {"end", settle_end}}};

static bool is_settled(void *argument)
{
    const struct keyed_process *process = argument;
    return process->settled || process->keyed->failure[0];
}

static void close_handle(struct keyed_process *process, int32_t *handle)
{
    struct op op = {.kind = OP_CLOSE, .handle = *handle};
    if (*handle >= 0)
        (void)port_call(process->core.port, &op); /* all was flushed */
    *handle = -1;
}

void keyed_stop(struct keyed *keyed)
{
    struct keyed_process *process = keyed->process;
    if (keyed->failure[0])
        return;
    end_work(keyed);
    if (keyed->failure[0])
        return;
    flow_start(&process->settle_flow, &settle_kind, &process->core);
    world_notice(keyed->world, &process->core);
    if (!world_run(keyed->world, (struct world_stop){is_settled, process, KEYED_EVENTS_MAX, 0}))
        keyed_fail(keyed, "the store does not settle");
    /* The fault was in flight when the stop began; of a full disk the journal keeps the rest. */
    if (keyed->faulty && (keyed_process_is_fenced(process) || process->error == ERROR_NO_SPACE)) {
        keyed->fenced |= keyed_process_is_fenced(process);
        keyed_crash(keyed, true);
        return;
    }
    if (process->error || !store_is_settled(&process->store))
        keyed_fail(keyed, "the store is not settled: %s", error_text(process->error));
    if (keyed->failure[0])
        return;
    const struct cleaner *cleaner = process->store.cleaner;
    keyed->passes += cleaner ? cleaner->counters.passes : 0;
    keyed->dropped += cleaner ? cleaner->counters.dropped_records : 0;
    keyed->cleaned_end = process->log->cleaned_end;
    for (int i = 0; i < process->log->segment_count; i++) {
        close_handle(process, &process->log->segments[i]->handle);
        close_handle(process, &process->log->segments[i]->read_handle);
    }
    log_free(process->log);
    store_close(&process->store);
    core_done(&process->core);
    memory_free(process);
    keyed->process = NULL;
    if (keyed->world->machines[0]->handles_used > 0)
        keyed_fail(keyed, "%d handles are open after a stop",
                   keyed->world->machines[0]->handles_used);
    world_stop_machine(keyed->world, 0);
    keyed_look_for_violations(keyed);
    keyed_look_at_files(keyed);
}

void keyed_crash(struct keyed *keyed, bool power_lost)
{
    /* What the process held can't be freed from outside: it stays reachable from here. */
    static struct keyed_process *graveyard[1 << 16];
    static int buried;
    keyed->killed = !power_lost;
    if (power_lost)
        world_crash(keyed->world, 0);
    else
        world_kill(keyed->world, 0);
    check(buried < ARRAY_COUNT(graveyard));
    graveyard[buried++] = keyed->process;
    keyed->process = NULL;
    keyed->cleaned_end = -1;
}
