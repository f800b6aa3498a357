#include "crash/scrubs.h"
#include "base/check.h"
#include "base/memory.h"
#include "crash/damage.h"
#include "crash/rig.h"
#include "protocol/batch.h"
#include "storage/compaction_scan.h"
#include "storage/log_state.h"
#include "storage/scrub.h"
#include "storage/sidecar_format.h"
#include <stdio.h>

enum { FILES_MAX = 600, EVENTS_MAX = 400000 };

struct target {
    struct disk *disk;
    char paths[FILES_MAX][128]; /* of sidecars, without their suffix */
    int count;
};

static void collect(struct target *target, struct inode *folder, const char *path)
{
    for (struct list *node = folder->entries.next; node != &folder->entries; node = node->next) {
        const struct entry *entry = CONTAINER_OF(node, struct entry, link);
        char name[400];
        snprintf(name, sizeof name, "%s/%s", path, entry->name);
        char *suffix = strstr(name, SIDECAR_SUFFIX);
        if (entry->inode->is_directory)
            collect(target, entry->inode, name);
        else if (suffix && !suffix[strlen(SIDECAR_SUFFIX)] && target->count < FILES_MAX)
            snprintf(target->paths[target->count++], 128, "%.*s", (int)(suffix - name), name);
    }
}

/* In half of all cases a byte of a header that no batch's CRC covers. */
static int64_t choose_place(struct disk *disk, struct inode *file, bool is_log,
                            struct random *random)
{
    int64_t place = (int64_t)random_below(random, (uint64_t)file->size);
    if (!is_log || random_below(random, 2))
        return place;
    uint8_t header[BATCH_RECORDS_AT];
    for (int64_t at = 0, end;; at = end) {
        check(disk_read(disk, file, at, header, sizeof header) == (int64_t)sizeof header);
        end = at + BATCH_OVERHEAD + (int64_t)load_be32(header + BATCH_LENGTH_AT);
        if (place < end)
            return at + (int64_t)random_below(random, BATCH_CRC_AT);
    }
}

/* Flips a bit, or removes the sidecar. True: only a copy could bring back what was there. */
static bool damage(struct target *target, struct random *random, char *what, size_t size)
{
    static const char *const suffixes[] = {".log",         ".log", ".index",   ".timeindex",
                                           SIDECAR_SUFFIX, "gone", ".txnindex"};
    const char *stem = target->paths[random_below(random, (uint64_t)target->count)];
    const char *suffix = suffixes[random_below(random, ARRAY_COUNT(suffixes))];
    bool gone = strcmp(suffix, "gone") == 0;
    char path[200];
    snprintf(path, sizeof path, "%s%s", stem, gone ? SIDECAR_SUFFIX : suffix);
    struct inode *file = disk_find(target->disk, path);
    if (gone || !file || file->size == 0) {
        snprintf(path, sizeof path, "%s" SIDECAR_SUFFIX, stem);
        damage_remove(target->disk, path);
        snprintf(what, size, "%s removed", path);
        return false;
    }
    bool is_log = strcmp(suffix, ".log") == 0;
    int64_t place = choose_place(target->disk, file, is_log, random);
    damage_flip(target->disk, file, 8 * place + (int64_t)random_below(random, 8));
    snprintf(what, size, "%s flipped at %lld", path, (long long)place);
    return is_log;
}

/* One round has come to its end everywhere, and nothing is at work. */
static bool is_scrubbed(void *argument)
{
    struct rig *rig = argument;
    bool all = true;
    for (int i = 0; i < rig->settings.cores; i++) {
        const struct store *store = &rig->cores[i].store;
        all = all && (store->fenced ||
                      (store->scrub->counters.rounds >= 2 && list_is_empty(&store->sidecars.jobs) &&
                       list_is_empty(&store->checks)));
    }
    return all;
}

static uint64_t rot_found(const struct rig *rig)
{
    uint64_t sum = 0;
    for (int i = 0; i < rig->settings.cores; i++)
        sum += rig->cores[i].store.counters.rot_found;
    return sum;
}

/* ---- what a compaction would read ---- */

/* Reads all closed segments of a log as compaction does. */
struct reading {
    struct flow flow;
    struct log *log;
    struct compaction_scan scan;
    struct waiter waiter;
    int32_t at;
    int failed;
    bool ended;
};

static enum step read_segments(struct flow *flow)
{
    struct reading *reading = CONTAINER_OF(flow, struct reading, flow);
    struct log *log = reading->log;
    if (log_open(log, &reading->waiter, flow) == ERROR_WOULD_WAIT)
        return STEP_AGAIN; /* it was closed since, for nobody used it */
    while (log->state == LOG_OPEN && reading->at + 1 < log->segment_count) {
        struct batch batch;
        if (!reading->scan.segment)
            compaction_scan_begin(&reading->scan, log->segments[reading->at]);
        enum compaction_scan_result result = compaction_scan_step(&reading->scan, flow, &batch);
        if (result == COMPACTION_SCAN_WAITS)
            return STEP_AGAIN;
        if (result == COMPACTION_SCAN_BATCH)
            continue;
        reading->failed += result == COMPACTION_SCAN_FAILED;
        reading->at++;
        if (!compaction_scan_close(&reading->scan, flow))
            return STEP_AGAIN;
    }
    return STEP_NEXT;
}

static enum step read_end(struct flow *flow)
{
    CONTAINER_OF(flow, struct reading, flow)->ended = true;
    return STEP_NEXT;
}

static const struct flow_kind reading_flow = {"reading",
                                              {{"read", read_segments}, {"end", read_end}}};

static bool is_read(void *argument)
{
    return ((const struct reading *)argument)->ended;
}

/* In how many segments it meets rot. */
static int rot_met(struct rig *rig)
{
    int failed = 0;
    for (int i = 0; i < rig->settings.slots && !rig->failure[0]; i++) {
        struct log *log = worker_log(rig, i);
        struct reading reading = {.log = log};
        compaction_scan_init(&reading.scan, log->store, 4096);
        flow_start(&reading.flow, &reading_flow, log->store->core);
        world_notice(rig->world, log->store->core);
        if (!world_run(rig->world, (struct world_stop){is_read, &reading, EVENTS_MAX, 0}))
            rig_fail(rig, "reading does not end");
        compaction_scan_done(&reading.scan);
        failed += reading.failed;
    }
    return failed;
}

static void scrub_once(struct scrubs *scrubs, struct rig *first, struct oracle *oracle,
                       uint64_t seed)
{
    struct target *target = memory_zeroed(sizeof *target);
    struct random random;
    char what[300] = "";
    random_seed(&random, seed);
    target->disk = disk_clone(first->world->machines[0]->disk);
    collect(target, disk_find(target->disk, "data"), "data");
    if (target->count == 0) {
        disk_destroy(target->disk);
        memory_free(target);
        return;
    }
    bool lost = damage(target, &random, what, sizeof what);
    struct rig_settings settings = first->settings;
    settings.store.scrub = (struct scrub_options){
        .enabled = true, .interval_ns = 50000000, .bytes_per_second = 64 << 20};
    struct rig *rig = memory_zeroed(sizeof *rig);
    rig_init_image(rig, &settings, oracle, target->disk, oracle->now);
    if (!rig_recover(rig))
        rig_fail(rig, "recovery refused: %s", rig->refusal);
    rig_open(rig);
    for (int i = 0; i < settings.slots; i++) {
        worker_log(rig, i)->holders++; /* it stays open once it is */
        rig->workers[i].ended = true;  /* nobody writes or reads */
    }
    if (!rig->failure[0] &&
        !world_run(rig->world, (struct world_stop){is_scrubbed, rig, EVENTS_MAX, 0}))
        rig_fail(rig, "the scrub does not end");
    uint64_t found = rot_found(rig);
    if (found != lost)
        rig_fail(rig, "%llu files with rot were found", (unsigned long long)found);
    int met = rig->failure[0] ? 0 : rot_met(rig);
    if (met != lost)
        rig_fail(rig, "a compaction would meet rot in %d segments", met);
    for (int i = 0; i < settings.slots; i++)
        worker_log(rig, i)->holders--;
    rig->damaged = lost;
    rig_stop(rig);
    *(lost ? &scrubs->found : &scrubs->made) += 1;
    if (rig->failure[0] && !scrubs->failure[0])
        snprintf(scrubs->failure, sizeof scrubs->failure, "seed %llu, %s: %s",
                 (unsigned long long)seed, what, rig->failure);
    rig_done(rig);
    memory_free(rig);
    memory_free(target);
}

void scrubs_run(struct scrubs *scrubs, uint64_t seed)
{
    struct rig_settings settings = rig_settings_random(seed);
    struct oracle oracle;
    struct rig *rig = memory_zeroed(sizeof *rig);
    oracle_init(&oracle, seed, settings.slots, settings.batch_most);
    rig_init(rig, &settings, &oracle);
    rig_start(rig);
    rig_work(rig, 4000);
    rig_stop(rig);
    snprintf(scrubs->failure, sizeof scrubs->failure, "%s", rig->failure);
    for (int i = 0; i < scrubs->flips && !scrubs->failure[0]; i++)
        scrub_once(scrubs, rig, &oracle, seed * 1000 + (uint64_t)i);
    rig_done(rig);
    memory_free(rig);
    oracle_done(&oracle);
}
