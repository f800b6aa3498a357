#include "sim/broker_quiet.h"
#include "base/check.h"
#include "base/reached.h"
#include "cluster/partition.h"
#include "logic/steady_clock.h"
#include "sim/client_start.h"
#include "sim/disk.h"
#include "storage/log_state.h"
#include "storage/store.h"
#include <stdio.h>

static const int64_t second_ns = 1000000000, minute_ns = 60 * second_ns, day_ms = 86400000;

enum {
    WALL_SLACK_MS = 5,   /* a turn reads the clock at its beginning */
    UNSTEP_MS = 1100,    /* so much, and slewing, is no step to the broker */
    LOOK_S = 35,         /* more than the broker lets pass between two looks at the clocks */
    WORK_MOST_S = 4,     /* below the least connections.max.idle.ms */
    AGED_MARGIN_S = 90,  /* several looks of retention at the clocks */
    GONE_MARGIN_S = 120, /* and of whoever removes files */
};

static int64_t draw(struct simulation *sim, int64_t low, int64_t high)
{
    return random_between(&sim->extra, low, high);
}

void quiet_draw(struct simulation *sim)
{
    struct settings *settings = &sim->broker.settings;
    settings->log_retention_check_interval_ms = 1000 * draw(sim, 1, 60);
    if (!random_once_in(&sim->extra, 3))
        return;
    sim->quiet.at_event = (uint64_t)draw(sim, 1000, (int64_t)sim->events_wanted * 3 / 4);
    /* or they would have the most to do in an hour of nothing */
    settings->log_scrub_interval_ms = 200000;
    settings->log_cleaner_backoff_ms = 15000;
}

/* ---- the wall clock ------------------------------------------------------------------------ */

static int64_t wall_offset_ms(const struct simulation *sim)
{
    return sim->world->machines[sim->broker.machine]->wall_offset_ms;
}

void quiet_step_wall(struct simulation *sim, int64_t delta_ms)
{
    struct quiet *quiet = &sim->quiet;
    world_wall_step(sim->world, sim->broker.machine, delta_ms);
    quiet->steps[quiet->step_count++ % QUIET_STEPS] = (struct quiet_step){
        sim->world->now_ns, sim->world->machines[sim->broker.machine]->wall_offset_ms};
}

bool quiet_is_wall_time(const struct simulation *sim, int64_t since_ns, int64_t wall_ms)
{
    const struct quiet *quiet = &sim->quiet;
    int64_t until_ns = sim->world->now_ns, begin_ms = sim->world->settings.wall_start_ms;
    if (quiet->step_count > QUIET_STEPS)
        return true; /* not all are remembered */
    for (int i = quiet->step_count - 1; i >= -1 && until_ns >= since_ns; i--) {
        struct quiet_step step = i >= 0 ? quiet->steps[i] : (struct quiet_step){0};
        int64_t from_ns = step.since_ns > since_ns ? step.since_ns : since_ns;
        if (wall_ms >= begin_ms + step.offset_ms + from_ns / 1000000 - WALL_SLACK_MS &&
            wall_ms <= begin_ms + step.offset_ms + until_ns / 1000000)
            return true;
        until_ns = step.since_ns + WALL_SLACK_MS * 1000000ll;
    }
    return false;
}

static int64_t broker_wall_ms(const struct simulation *sim)
{
    return sim->world->settings.wall_start_ms + sim->world->now_ns / 1000000 + wall_offset_ms(sim);
}

/* ---- what may go, and what must ------------------------------------------------------------ */

/* Has the broker had to see the same clock for ten minutes? What was wrong for less time than lies
 * between two of its looks it may have missed, and done no harm by it. */
static bool is_steady(const struct simulation *sim)
{
    const struct quiet *quiet = &sim->quiet;
    const int64_t steady_ns = STEADY_CLOCK_MS * 1000000ll - LOOK_S * second_ns;
    int64_t now_ns = sim->world->now_ns, offset_ms = wall_offset_ms(sim);
    if (now_ns - quiet->up_ns < steady_ns)
        return false;
    for (int i = quiet->step_count - 1; i >= 0 && i >= quiet->step_count - QUIET_STEPS + 1; i--) {
        int64_t until_ns = quiet->steps[i % QUIET_STEPS].since_ns;
        struct quiet_step before =
            i > 0 ? quiet->steps[(i - 1) % QUIET_STEPS] : (struct quiet_step){0};
        int64_t apart_ms = before.offset_ms - offset_ms;
        int64_t from_ns = max_i64(before.since_ns, quiet->up_ns);
        if (until_ns - from_ns >= LOOK_S * second_ns && now_ns - until_ns < steady_ns &&
            (apart_ms > UNSTEP_MS || apart_ms < -UNSTEP_MS))
            return false;
    }
    return true;
}

/* The largest timestamp of the records in [from, end). `unknown`: of those that
 * were neither acknowledged nor read. */
static int64_t newest_of(const struct simulation *sim, const struct model_partition *partition,
                         int64_t from, int64_t end, int64_t unknown)
{
    int64_t newest_ms = INT64_MIN;
    for (int64_t offset = from; offset < end; offset++) {
        uint64_t uid = offset < partition->capacity ? partition->slots[offset].uid : 0;
        int64_t time_ms = uid ? sim->model.records[uid].timestamp : MODEL_NO_TIME;
        newest_ms = max_i64(newest_ms, time_ms == MODEL_NO_TIME ? unknown : time_ms);
    }
    return newest_ms;
}

/* Bytes of segments that are not wholly below the log start; *ret_first: of the first of them. -1:
 * not known. */
static int64_t bytes_left(const struct log *log, int64_t *ret_first)
{
    int64_t bytes = 0;
    *ret_first = 0;
    for (int32_t i = log->segment_count - 1; i >= 0; i--) {
        bool newest = i + 1 == log->segment_count;
        int64_t end = newest ? INT64_MAX : log->segments[i + 1]->base_offset;
        if (end <= log->log_start)
            break;
        if (log->segments[i]->size < 0)
            return -1;
        *ret_first = log->segments[i]->size;
        bytes += *ret_first;
    }
    return bytes;
}

void oracle_retention(struct simulation *sim, const struct log *log,
                      struct model_partition *partition)
{
    const struct model_rules *rules = partition->topic->rules;
    int64_t first, from = partition->start_seen, to = log->log_start;
    bool limited = !rules->keeps && (rules->retention_ms >= 0 || rules->retention_bytes >= 0);
    if (to <= partition->start_asked || partition->purges_to_end > 0 || !limited)
        return;
    if (rules->retention_bytes >= 0 && rules->retention_ms < 0) {
        int64_t left = bytes_left(log, &first);
        if (left >= 0 && left < rules->retention_bytes)
            world_violation(sim->world, "%s-%d: %lld bytes are left by retention, of %lld",
                            partition->topic->name, partition->index, (long long)left,
                            (long long)rules->retention_bytes);
        REACHED("records gone by size in the simulator");
    }
    if (rules->retention_ms >= 0 && rules->retention_bytes < 0) {
        if (!is_steady(sim))
            world_violation(sim->world, "%s-%d: %lld to %lld gone by age, by a clock not steady",
                            partition->topic->name, partition->index, (long long)from,
                            (long long)to);
        /* not of records that compaction has taken before */
        if (!rules->compacts && newest_of(sim, partition, from, to, INT64_MIN) >=
                                    broker_wall_ms(sim) - rules->retention_ms)
            world_violation(sim->world, "%s-%d: %lld to %lld gone, not all older than %lld ms",
                            partition->topic->name, partition->index, (long long)from,
                            (long long)to, (long long)rules->retention_ms);
        REACHED("records gone by age in the simulator");
    }
    model_start_asked(partition, to);
}

/* Retention has had the time it needs. */
static void check_aged(struct simulation *sim, const struct partition *partition)
{
    const struct log *log = partition->log;
    struct model_topic *topic = model_find(&sim->model, partition->key.topic_id);
    if (!topic || partition->deleted || topic->delete_asked || log->store->fenced ||
        log->state == LOG_FAILED || partition->key.index >= topic->partition_count)
        return;
    const struct model_rules *rules = topic->rules;
    if (rules->keeps)
        return;
    const struct model_partition *model = &topic->partitions[partition->key.index];
    int64_t first, age_ms = rules->retention_ms + AGED_MARGIN_S * 1000;
    int64_t end = partition->replica.high_watermark;
    /* A segment counts whole, with what lies below the log start. */
    bool known = log->state == LOG_OPEN && log->segment_count > 0;
    int64_t from = known ? log->segments[0]->base_offset : 0;
    if (rules->retention_ms >= 0 && partition->opened && log->log_start < end &&
        newest_of(sim, model, from, end, INT64_MAX) < broker_wall_ms(sim) - age_ms)
        world_violation(sim->world, "%s-%d: %lld to %lld are older than %lld ms, and are there",
                        topic->name, model->index, (long long)log->log_start, (long long)end,
                        (long long)rules->retention_ms);
    if (log->state != LOG_OPEN || rules->retention_bytes < 0)
        return;
    int64_t left = bytes_left(log, &first);
    if (left >= 0 && first > 0 && left - first >= rules->retention_bytes)
        world_violation(sim->world, "%s-%d: %lld bytes are there, the first %lld are too much",
                        topic->name, model->index, (long long)left, (long long)first);
}

static void check_all_aged(struct simulation *sim)
{
    REACHED("a steady clock for long");
    for (int i = 0; i < sim->broker.cores; i++) {
        struct shard *shard = &sim->broker.broker.shards[i];
        uint32_t position = 0;
        for (struct partition *partition; (partition = map_next(&shard->partitions, &position));)
            check_aged(sim, partition);
    }
}

/* Has the log of that folder been opened since the start? Only then what a crash has brought back
 * is removed. */
static bool was_opened(struct simulation *sim, const char *folder)
{
    for (int i = 0; i < sim->broker.cores; i++) {
        uint32_t position = 0;
        const struct map *partitions = &sim->broker.broker.shards[i].partitions;
        for (const struct partition *partition; (partition = map_next(partitions, &position));)
            if (strcmp(partition->log->folder, folder) == 0)
                return partition->log->state != LOG_CLOSED || partition->log->was_closed;
    }
    return true; /* nobody's: it is being removed */
}

/* No file of a directory that works still waits to be removed. */
static void check_removed(struct simulation *sim, int directory)
{
    struct inode *root =
        disk_find(sim->world->machines[sim->broker.machine]->disk, sim_directory(directory));
    for (const struct list *node = root->entries.next; node != &root->entries; node = node->next) {
        const struct entry *folder = CONTAINER_OF(node, struct entry, link);
        char path[3 * DISK_NAME_BYTES_MAX];
        snprintf(path, sizeof path, "%s/%s", sim_directory(directory), folder->name);
        if (!folder->inode->is_directory || !was_opened(sim, path))
            continue;
        const struct list *all = &folder->inode->entries;
        for (const struct list *at = all->next; at != all; at = at->next) {
            const struct entry *file = CONTAINER_OF(at, struct entry, link);
            size_t size = strlen(file->name);
            if (size > 8 && strcmp(file->name + size - 8, ".deleted") == 0)
                world_violation(sim->world, "%s/%s/%s is still there", sim_directory(directory),
                                folder->name, file->name);
        }
    }
}

/* ---- the spell ----------------------------------------------------------------------------- */

bool quiet_is_hushed(const struct client *client)
{
    const struct quiet *quiet = &client->sim->quiet;
    /* its batches are older than their sending: a clock that was stepped refuses their times */
    return quiet->hush || (quiet->stepped && client->kind == &idempotent_kind);
}

static bool is_over(void *argument)
{
    const struct simulation *sim = argument;
    return sim->world->violation_count > 0 || sim->broker.state != BROKER_UP ||
           broker_machine_is_fenced(&sim->broker) || sim->broker.has_crashed;
}

static bool has_settled(void *argument)
{
    const struct simulation *sim = argument;
    for (int i = 0; i < sim->client_count; i++)
        if (sim->clients[i].connected && sim->clients[i].asked_count > 0)
            return is_over(argument);
    return true;
}

static void wait(struct simulation *sim, int64_t for_ns)
{
    if (for_ns > 0 && !is_over(sim))
        world_run(sim->world,
                  (struct world_stop){.until = is_over, .argument = sim, .for_ns = for_ns});
}

/* Clients work for a while, and no connection may end for it. */
static void work(struct simulation *sim)
{
    sim->quiet.hush = false;
    sim->quiet.undisturbed = true;
    wait(sim, draw(sim, 1, WORK_MOST_S) * second_ns);
    sim->quiet.hush = true;
    sim->quiet.undisturbed = false;
    if (!is_over(sim))
        world_run(sim->world,
                  (struct world_stop){.until = has_settled, .argument = sim, .for_ns = minute_ns});
}

static void step(struct simulation *sim, int64_t delta_ms)
{
    SAY(sim, "the wall clock is stepped by %lld s", (long long)(delta_ms / 1000));
    REACHED("the wall clock stepped by hours");
    quiet_step_wall(sim, delta_ms);
    work(sim);
}

static void step_and_back(struct simulation *sim)
{
    static const int64_t waits_s[] = {0, 20, 200, 590, 660};
    int64_t moved_ms = 0;
    sim->quiet.stepped = true;
    for (int i = (int)draw(sim, 1, 2); i > 0; i--) {
        int64_t most_ms = (random_once_in(&sim->extra, 2) ? 10 : 1) * day_ms;
        int64_t delta_ms = draw(sim, -most_ms, most_ms);
        moved_ms += delta_ms;
        step(sim, delta_ms);
        wait(sim, waits_s[random_below(&sim->extra, ARRAY_COUNT(waits_s))] * second_ns);
        if (random_once_in(&sim->extra, 4) && !is_over(sim)) {
            sim_crash(sim);
            sim_boot(sim);
            if (sim->world->violation_count > 0)
                return;
        }
    }
    step(sim, -moved_ms);
    sim->quiet.stepped = false;
}

static void stay_steady(struct simulation *sim)
{
    int64_t most_ms = 0;
    for (int kind = 0; kind < MODEL_KINDS; kind++)
        for (int i = 0; i < MODEL_NAMES_MAX; i++)
            most_ms = sim->model.rules[kind][i].delete_delay_ms > most_ms
                          ? sim->model.rules[kind][i].delete_delay_ms
                          : most_ms;
    int64_t check_ms = sim->broker.settings.log_retention_check_interval_ms;
    wait(sim, STEADY_CLOCK_MS * 1000000ll + AGED_MARGIN_S * second_ns + 2 * check_ms * 1000000);
    if (is_over(sim))
        return;
    check_all_aged(sim);
    wait(sim, GONE_MARGIN_S * second_ns + most_ms * 1000000);
    for (int d = 0; d < sim->directories && !is_over(sim); d++)
        if (!broker_machine_has_failed(&sim->broker, d))
            check_removed(sim, d);
}

void quiet_look(struct simulation *sim)
{
    struct quiet *quiet = &sim->quiet;
    struct world *world = sim->world;
    if (quiet->at_event == 0 || world->events < quiet->at_event || is_over(sim))
        return;
    SAY(sim, "quiet");
    quiet->at_event = 0;
    struct world_settings before = world->settings;
    uint64_t begun = world->events;
    sim_end_faults(sim);
    quiet->begun_ns = world->now_ns;
    quiet->hush = true;
    world_run(world,
              (struct world_stop){.until = has_settled, .argument = sim, .for_ns = minute_ns});
    if (!is_over(sim))
        step_and_back(sim);
    if (!is_over(sim))
        stay_steady(sim);
    quiet->hush = quiet->stepped = false;
    /* and some work by a clock that is steady */
    if (!is_over(sim))
        world_run(world, (struct world_stop){.until = is_over, .argument = sim, .events = 10000});
    world->settings = before;
    sim->events_wanted += world->events - begun;
    SAY(sim, "not quiet any more");
}
