#include "crash/rig.h"
#include "base/check.h"
#include "base/memory.h"
#include "crash/image_digest.h"
#include "crash/unflushed.h"
#include "storage/drain.h"
#include "storage/folder_clear.h"
#include "storage/journal_reader.h"
#include "storage/log_state.h"
#include "storage/recovery.h"
#include "storage/resume.h"
#include "storage/scrub.h"
#include <stdarg.h>
#include <stdio.h>

enum { LIFE_EVENTS_MAX = 3000000 };

void rig_fail(struct rig *rig, const char *format, ...)
{
    if (rig->failure[0])
        return;
    int size = snprintf(rig->failure, sizeof rig->failure, "life %d, event %llu: ", rig->lives,
                        (unsigned long long)rig->world->events);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(rig->failure + size, sizeof rig->failure - (size_t)size, format, arguments);
    va_end(arguments);
}

struct rig_settings rig_settings_random(uint64_t seed)
{
    struct random random;
    random_seed(&random, seed ^ 0xc4a54);
    struct rig_settings settings = {
        .seed = seed,
        .cores = 1 + (int)random_below(&random, 2),
        .slots = 1 + (int)random_below(&random, 7),
        .world = world_settings_random(seed),
        .store = {.directory = "data",
                  .journal_block_bytes = 4096u << random_below(&random, 3),
                  .journal_initial_bytes = 65536 << random_below(&random, 2),
                  .drain_bytes = 4096u << random_below(&random, 3),
                  .idle_ns = (int64_t)20000000 << random_below(&random, 8),
                  .flush_all_files =
                      random_below(&random, 2) ? 100 : (uint32_t)random_below(&random, 4),
                  .drains = 1 + (int32_t)random_below(&random, 8),
                  .cold_read_bytes = (int64_t)(seed % 3) * 4096},
        .log = {.segment_bytes = 4096 << random_below(&random, 5),
                .index_interval_bytes = 32 << random_below(&random, 8),
                .index_bytes = 64 << random_below(&random, 10),
                .segment_ms = (int64_t)10 << random_below(&random, 10),
                .segment_jitter_ms = 5},
        .batch_most = 100u << random_below(&random, 8),
        .read_once_in = 2 << random_below(&random, 5),
        .pause_once_in = 1 + random_below(&random, 12),
        .moves = random_below(&random, 2),
        .open_files = (int32_t)(seed % 8), /* no draw: other seeds stay what they are */
    };
    if (settings.batch_most > 10000)
        settings.batch_most = 10000;
    settings.store.log_idle_ns = seed % 4 ? settings.store.idle_ns / 4 : 0; /* no draw either */
    settings.store.journal_bytes = settings.store.journal_initial_bytes << random_below(&random, 3);
    settings.store.journal_crowded_bytes = seed % 4 == 1 ? 2 * settings.store.journal_bytes : 0;
    return settings;
}

/* ---- the world ---- */

static void init(struct rig *rig, const struct rig_settings *settings, struct oracle *oracle)
{
    *rig = (struct rig){.settings = *settings, .oracle = oracle};
    rig->world = world_create(settings->seed, &settings->world);
    rig->world->quiet = true;
    random_seed(&rig->random, settings->seed ^ 0x419);
    world_add_machine(rig->world);
}

void rig_init(struct rig *rig, const struct rig_settings *settings, struct oracle *oracle)
{
    init(rig, settings, oracle);
    memcpy(rig->promises, oracle->now, sizeof rig->promises);
    struct disk *disk = disk_create(settings->world.sector_bytes);
    disk->names_as_prefix = settings->world.names_as_prefix;
    struct disk_change make = {.kind = OP_MAKE_DIRECTORY, .path = "data"};
    check(disk_execute(disk, &make) >= 0);
    struct disk_choice choice = disk_choice_of(CHOICE_NEW, 0);
    disk_crash(disk, &choice); /* durable */
    world_load_disk(rig->world, 0, disk);
}

void rig_init_image(struct rig *rig, const struct rig_settings *settings, struct oracle *oracle,
                    struct disk *disk, const struct promise promises[SLOTS_MAX])
{
    init(rig, settings, oracle);
    rig->image = true;
    random_seed(&rig->random, settings->seed ^ 0x1ac6e); /* salts must not come again */
    memcpy(rig->promises, promises, sizeof rig->promises);
    world_load_disk(rig->world, 0, disk);
}

void rig_done(struct rig *rig)
{
    if (rig->world->machines[0]->running)
        rig_crash(rig, false);
    for (int i = 0; i < SLOTS_MAX; i++)
        memory_free((void *)(uintptr_t)rig->workers[i].waiting.data);
    world_destroy(rig->world);
}

bool rig_is_fenced(const struct rig *rig)
{
    for (int i = 0; rig->serves && i < rig->settings.cores; i++)
        if (rig->cores[i].store.fenced)
            return true;
    return false;
}

static void look_for_violations(struct rig *rig)
{
    if (rig->world->violation_count)
        rig_fail(rig, "violation: %s", rig->world->violation);
}

/* ---- start ---- */

static bool folder_of_log(void *context, struct uuid topic_id, int32_t partition, char *folder,
                          size_t size)
{
    const struct rig *rig = context;
    int32_t slot, topic;
    if (!slot_of_topic_id(topic_id, &slot, &topic) ||
        !oracle_is_of(rig->oracle, slot, rig->promises[slot].generation, topic))
        return false;
    slot_folder(slot, folder, size);
    return true;
}

static bool folder_is_named(void *context, struct uuid topic_id, int32_t partition, char *folder,
                            size_t size)
{
    const struct rig *rig = context;
    for (int i = 0; i < rig->settings.slots; i++) {
        char named[64];
        slot_folder(i, named, sizeof named);
        if (rig->unnamed & 1u << i)
            continue;
        if (strcmp(named, folder) == 0)
            return true;
    }
    return false;
}

static bool log_exists(void *context, struct uuid topic_id, int32_t partition)
{
    char folder[64];
    return folder_of_log(context, topic_id, partition, folder, sizeof folder);
}

static bool no_folder(void *context, struct uuid topic_id, int32_t partition, char *folder,
                      size_t size)
{
    (void)context;
    return false;
}

bool rig_recover(struct rig *rig)
{
    struct port *port = world_port(rig->world, 0, 0);
    struct recovery *recovery = &rig->recovery;
    struct recovery_names names = {.folder = rig->resumes ? no_folder : folder_of_log,
                                   .context = rig};
    struct recovery_names named = {.folder = folder_is_named, .exists = log_exists, .context = rig};
    enum error error = recovery_open(recovery, port, "data");
    if (!error)
        error = recovery_replay(recovery, &names);
    if (!error)
        error = recovery_clean(recovery, &named, rig->settings.cores);
    if (error)
        snprintf(rig->refusal, sizeof rig->refusal, "%s",
                 recovery->fault[0] ? recovery->fault : error_text(error));
    if (error || !rig->resumes)
        recovery_close(recovery);
    return !error;
}

static struct log *log_of(void *context, struct uuid topic_id, int32_t partition)
{
    struct rig *rig = context;
    int32_t slot, topic;
    if (!slot_of_topic_id(topic_id, &slot, &topic) ||
        !oracle_is_of(rig->oracle, slot, rig->promises[slot].generation, topic))
        return NULL;
    return worker_log(rig, slot);
}

static enum error begin_or_resume(struct rig *rig, int32_t core)
{
    struct store *store = &rig->cores[core].store;
    struct journal_content *content = rig->resumes ? recovery_journal(&rig->recovery, core) : NULL;
    if (!content || content->reader.fresh)
        return store_begin(store, &rig->random);
    enum error error = store_resume(store, content, &(struct resume_names){log_of, rig});
    if (!error && store->resumed_bytes > 0)
        checkpoint_request(store, false);
    return error;
}

void rig_open(struct rig *rig)
{
    for (int i = 0; i < rig->settings.cores && !rig->failure[0]; i++) {
        struct rig_core *core = &rig->cores[i];
        struct port *port = world_port(rig->world, 0, i);
        *core = (struct rig_core){.rig = rig};
        core_init(&core->core, i, port);
        if (rig->settings.open_files > 0)
            core->core.openings.limit = rig->settings.open_files;
        enum error error = store_open(&core->store, &core->core, &rig->settings.store);
        if (!error)
            error = begin_or_resume(rig, i);
        rig->refused |= error && rig->faulty;
        if (error && !rig->damaged && !rig->faulty)
            rig_fail(rig, "store_open: %s", error_text(error));
        world_add_core(rig->world, 0, &core->core);
    }
    if (rig->resumes)
        recovery_close(&rig->recovery);
    rig->serves = true;
}

void rig_read_all(struct rig *rig)
{
    if (rig->failure[0])
        return;
    workers_start(rig, false);
    if (!world_run(rig->world, (struct world_stop){workers_ended, rig, LIFE_EVENTS_MAX, 0}))
        rig_fail(rig, "reading does not end");
    look_for_violations(rig);
}

static bool resumes(struct rig *rig)
{
    if (rig->settings.starts != STARTS_BOTH)
        return rig->settings.starts == STARTS_RESUME;
    return !rig->settings.moves && random_below(&rig->random, 2);
}

/* A recovery that replays keeps nothing in memory: of the rest of the start only the disk counts.
 */
static bool was_recovered(struct rig *rig)
{
    uint64_t digest = image_digest_mix(oracle_digest(rig->promises, rig->settings.slots),
                                       image_digest(rig->world->machines[0]->disk));
    rig->known = !image_set_add(rig->recovered, image_digest_mix(digest, rig->recovered_salt));
    return rig->known;
}

void rig_start(struct rig *rig)
{
    if (rig->failure[0])
        return;
    rig->lives++;
    rig->stopping = false;
    if (!rig->world->machines[0]->running)
        world_start(rig->world, 0);
    int64_t ends[SLOTS_MAX];
    rig->resumes = resumes(rig);
    if (rig->resumes) /* entries may have waited over checkpoints (storage/segment.h) */
        rig->index_gap_bytes = INDEX_GAP_BYTES;
    rig->refused = !rig_recover(rig);
    if (rig->refused && rig->faulty)
        return;
    if (rig->refused) {
        rig_fail(rig, "recovery refused: %s", rig->refusal);
        return;
    }
    if (!rig->resumes && rig->recovered && was_recovered(rig))
        return;
    if (!rig->resumes)
        rig_look(rig, false, ends);
    if (!rig->resumes && !rig->faulty) {
        uint64_t digest = rig_digest(rig);
        if (!rig_recover(rig))
            rig_fail(rig, "a second recovery refused: %s", rig->refusal);
        if (rig_digest(rig) != digest)
            rig_fail(rig, "a second recovery changed something");
    }
    for (int i = 0; i < rig->settings.slots; i++) {
        char folder[64];
        slot_folder(i, folder, sizeof folder);
        if (rig->unnamed & 1u << i && disk_find(rig->world->machines[0]->disk, folder))
            rig_fail(rig, "%s is there, though its topic was deleted", folder);
    }
    rig->unnamed = 0;
    if (rig->failure[0])
        return;
    for (int i = 0; i < rig->settings.slots; i++) {
        rig->workers[i].met = !rig->resumes;
        if (rig->resumes || rig->offline & 1u << i)
            continue; /* the oracle adopts what is there when the log is opened */
        if (!rig->image) {
            oracle_adopt(rig->oracle, i, ends[i]);
            world_record_mark(rig->world, 0, oracle_acknowledge(rig->oracle, i, ends[i]));
        }
        rig->promises[i].acknowledged_end = ends[i];
    }
    rig_open(rig);
    if (!rig->refused)
        rig_read_all(rig);
}

/* ---- work and stop ---- */

static bool work_is_over(void *argument)
{
    struct rig *rig = argument;
    return rig->failure[0] || rig->world->violation_count || rig_is_fenced(rig);
}

bool rig_work(struct rig *rig, uint64_t events)
{
    if (rig->failure[0])
        return false;
    workers_start(rig, true);
    bool over = world_run(rig->world, (struct world_stop){work_is_over, rig, events, 0});
    look_for_violations(rig);
    return !over;
}

static enum step settle_step(struct flow *flow)
{
    struct rig_core *core = CONTAINER_OF(flow, struct rig_core, flow);
    core->error = store_settle(&core->store, &core->waiter, flow);
    return core->error == ERROR_WOULD_WAIT ? STEP_AGAIN : STEP_NEXT;
}

static enum step settle_end(struct flow *flow)
{
    CONTAINER_OF(flow, struct rig_core, flow)->settled = true;
    return STEP_NEXT;
}

static const struct flow_kind settle_flow = {"settle",
                                             {{"settle", settle_step}, {"end", settle_end}}};

static bool all_settled(void *argument)
{
    const struct rig *rig = argument;
    bool settled = true;
    for (int i = 0; i < rig->settings.cores; i++)
        settled = settled && rig->cores[i].settled;
    return settled || rig->failure[0];
}

static void count(struct rig *rig, const struct store_counters *of)
{
    uint64_t *to = (uint64_t *)&rig->counters;
    for (size_t i = 0; i < sizeof *of / sizeof *to; i++)
        to[i] += ((const uint64_t *)of)[i];
}

static void close_log(struct rig *rig, struct log *log)
{
    for (int i = 0; i < log->segment_count; i++) {
        int32_t *handles[] = {&log->segments[i]->handle, &log->segments[i]->read_handle};
        for (int j = 0; j < 2; j++) {
            struct op op = {.kind = OP_CLOSE, .handle = *handles[j]};
            if (*handles[j] >= 0)
                (void)port_call(log->store->core->port, &op); /* all was flushed, or is fenced */
            *handles[j] = -1;
        }
    }
    log_free(log);
}

/* After a clean stop nothing is left in any journal. */
static void look_at_journals(struct rig *rig)
{
    for (int i = 0; i < rig->settings.cores; i++) {
        char path[32];
        snprintf(path, sizeof path, "data/journal-%d", i);
        struct journal_reader reader;
        struct bytes entries = {NULL, 0};
        enum error error = journal_reader_open(&reader, world_port(rig->world, 0, i), path);
        if (!error)
            error = journal_reader_next(&reader, &entries);
        if (rig->faulty && error == ERROR_INPUT_OUTPUT)
            rig->told = true;
        else if (error || entries.size > 0 || reader.fresh)
            rig_fail(rig, "after a clean stop %s is not empty (%s)", path, error_text(error));
        journal_reader_close(&reader);
    }
}

/* What a clean stop leaves stays so, whatever becomes of the power. */
static void look_for_unflushed(struct rig *rig)
{
    const char *unflushed = unflushed_name(rig->world->machines[0]->disk);
    if (unflushed)
        rig_fail(rig, "%s", unflushed);
}

void rig_stop(struct rig *rig)
{
    if (rig->failure[0])
        return;
    rig->stopping = true;
    rig->unsettled = false;
    if (!world_run(rig->world, (struct world_stop){workers_ended, rig, LIFE_EVENTS_MAX, 0}))
        rig_fail(rig, "the workers do not end");
    for (int i = 0; i < rig->settings.cores && !rig->failure[0]; i++) {
        flow_start(&rig->cores[i].flow, &settle_flow, &rig->cores[i].core);
        world_notice(rig->world, &rig->cores[i].core);
    }
    if (!world_run(rig->world, (struct world_stop){all_settled, rig, LIFE_EVENTS_MAX, 0}))
        rig_fail(rig, "the stores do not settle");
    if (rig->failure[0])
        return;
    bool fenced = rig_is_fenced(rig);
    for (int i = 0; i < rig->settings.cores; i++)
        rig->unsettled |= rig->cores[i].error == ERROR_NO_SPACE; /* the journal keeps the rest */
    for (int i = 0; i < rig->settings.slots; i++) {
        close_log(rig, rig->workers[i].log);
        rig->workers[i].log = NULL;
    }
    for (int i = 0; i < rig->settings.cores; i++) {
        struct rig_core *core = &rig->cores[i];
        if (!fenced && !rig->unsettled && (core->error || !store_is_settled(&core->store)))
            rig_fail(rig, "core %d is not settled: %s", i, error_text(core->error));
        count(rig, &core->store.counters);
        store_close(&core->store);
        core_done(&core->core);
    }
    rig->serves = false;
    if (!fenced && !rig->unsettled)
        look_at_journals(rig);
    if (rig->world->machines[0]->handles_used > 0 && !rig->failure[0] && !fenced)
        rig_fail(rig, "%d handles are open after a stop", rig->world->machines[0]->handles_used);
    world_stop_machine(rig->world, 0);
    look_for_violations(rig);
    if (!fenced && !rig->unsettled && !rig->faulty && !rig->killed)
        look_for_unflushed(rig);
    if (!fenced && !rig->unsettled && !rig->damaged)
        rig_look(rig, true, NULL);
}

void rig_delete(struct rig *rig, int32_t slot)
{
    (void)oracle_recreate(rig->oracle, slot);
    rig->promises[slot] = rig->oracle->now[slot];
    rig->unnamed |= 1u << slot;
    rig->workers[slot].committed_end = 0;
}

/* ---- the end of a process: its memory ---- */

/* What can't be freed from outside (a folder being removed, a log being opened) stays reachable
 * from here: to a leak checker it is not lost. */
static struct rig_core *graveyard[1 << 16];
static int buried;

static void abandon_log(struct log *log)
{
    while (log->oldest)
        log_drop_oldest(log);
    if (log->opening || log->cut)
        return;
    log->draining = false;
    log->reads = 0;
    for (int i = 0; i < log->segment_count; i++) {
        log->segments[i]->users = 0;
        log->segments[i]->handle = log->segments[i]->read_handle = -1;
    }
    log_free(log);
}

static void abandon_core(struct rig_core *core)
{
    struct store *store = &core->store;
    bool clearing = !list_is_empty(&store->clearings);
    store->journal.writing = store->journal.growing = false;
    store->journal.handle = store->directory_handle = -1;
    buffer_release(store->journal.zeros);
    buffer_release(store->checkpoint.slot);
    if (store->scrub) {
        buffer_release(store->scrub->segment.scan.buffer);
        store->scrub->segment.segment = NULL;
        store->scrub->runs = false;
    }
    for (int i = 0; i < store->options.drains; i++)
        buffer_release(store->drains[i].chunk);
    if (clearing || core->core.buffers.used_bytes > 0 || store->tails.used_bytes > 0) {
        struct rig_core *copy = memory_zeroed(sizeof *copy);
        *copy = *core;
        check(buried < ARRAY_COUNT(graveyard));
        graveyard[buried++] = copy;
        return;
    }
    store_close(store);
    core_done(&core->core);
}

void rig_crash(struct rig *rig, bool power_lost)
{
    rig->killed = !power_lost;
    if (power_lost)
        world_crash(rig->world, 0);
    else
        world_kill(rig->world, 0);
    if (!rig->serves)
        return;
    for (int i = 0; i < rig->settings.slots; i++) {
        struct worker *worker = &rig->workers[i];
        if (worker->reading)
            log_read_done(&worker->read);
        worker->reading = false;
        worker_drop_waiting(worker);
        buffer_release(worker->searching ? worker->search.buffer : NULL);
        if (worker->searching)
            log_read_done(&worker->search.read);
        worker->searching = false;
        if (worker->log)
            abandon_log(worker->log);
        worker->log = NULL;
    }
    for (int i = 0; i < rig->settings.cores; i++) {
        count(rig, &rig->cores[i].store.counters);
        abandon_core(&rig->cores[i]);
    }
    rig->serves = false;
}
