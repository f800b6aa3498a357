/* A broker's metadata over starts: snapshots and pruning, cut at every moment, and with damage. A
 * whole broker without network, on one machine of the world; topics are made by its machine. */
#include "base/check.h"
#include "base/memory.h"
#include "cluster/catalogue.h"
#include "cluster/machine.h"
#include "cluster/metadata_load.h"
#include "cluster/partition.h"
#include "protocol/messages.h"
#include "sim/disk_record.h"
#include "sim/world.h"
#include "storage/log_state.h"
#include "storage/redo.h"
#include "storage/segment.h"
#include "storage/store.h"
#include "support/test.h"
#include "crash/site.h"
#include <stdio.h>
#include <stdlib.h>

/* A topic being made, or removed where there is one. */
struct making {
    struct flow flow;
    struct machine_request request;
    struct arena arena;
    struct broker *broker;
    char name[16];
    bool ended;
};

/* ---- topics made and removed ---------------------------------------------------------------- */

static void decide(struct machine_request *request, const struct image *image)
{
    struct making *making = CONTAINER_OF(request, struct making, request);
    struct string name = string_of(making->name);
    const struct image_topic *there = image_topic_by_name(image, name);
    if (there) {
        struct remove_topic_record *remove =
            record_list_add(&request->records, &remove_topic_record_message);
        remove->topic_id = there->id;
        return;
    }
    struct topic_record *topic = record_list_add(&request->records, &topic_record_message);
    topic->name = name;
    memcpy(topic->topic_id.bytes, making->name, sizeof making->name);
    static int32_t replica = 1; /* read only */
    for (int32_t i = 0; i < 2; i++) {
        struct partition_record *partition =
            record_list_add(&request->records, &partition_record_message);
        partition->partition_id = i;
        partition->topic_id = topic->topic_id;
        partition->replicas = partition->isr = &replica;
        partition->replicas_count = partition->isr_count = 1;
        partition->leader = 1;
        partition->leader_epoch = partition->partition_epoch = 0;
    }
    struct config_record *config = record_list_add(&request->records, &config_record_message);
    config->resource_type = IMAGE_RESOURCE_TOPIC;
    config->resource_name = name;
    config->name = STRING("retention.ms");
    config->value = name.data[1] == '1' ? STRING("1000") : STRING("2000");
}

static enum step making_start(struct flow *flow)
{
    struct making *making = CONTAINER_OF(flow, struct making, flow);
    making->request = (struct machine_request){.handle = decide, .arena = &making->arena};
    machine_start(&making->request, &making->broker->shards[0], flow);
    return STEP_NEXT;
}

static enum step making_end(struct flow *flow)
{
    CONTAINER_OF(flow, struct making, flow)->ended = true;
    return STEP_NEXT;
}

static const struct flow_kind making_flow = {"make",
                                             {{"start", making_start}, {"end", making_end}}};

static bool has_ended(void *argument)
{
    return ((struct making *)argument)->ended;
}

/* Makes topic number `number`, or removes it. */
static void site_turn_topic(struct site *site, int number)
{
    struct making making = {.broker = &site->broker};
    snprintf(making.name, sizeof making.name, "t%d", number);
    arena_init(&making.arena, 1 << 20);
    flow_start(&making.flow, &making_flow, &site->broker.shards[0].core);
    world_notice(site->world, &site->broker.shards[0].core);
    TRUE_(world_run(site->world, (struct world_stop){has_ended, &making, SITE_EVENTS_MAX, 0}));
    EQ(making.request.error, ERROR_NONE);
    arena_done(&making.arena);
}

/* So many turns: topics 0 to 4 come and go. */
static bool is_there(int64_t turns, int number)
{
    return (turns / 5 + (number < turns % 5)) % 2 == 1;
}

/* After `turns` turns, or with the next one too: the image is one of the two, on all cores. */
static bool site_holds(struct site *site, int64_t turns)
{
    for (int64_t more = 0; more < 2; more++) {
        int right = 0, topics = 0;
        for (int number = 0; number < 5; number++) {
            char name[16];
            snprintf(name, sizeof name, "t%d", number);
            const struct image_topic *topic =
                image_topic_by_name(&site->broker.shards[1].image, string_of(name));
            bool wanted = is_there(turns + more, number);
            topics += wanted;
            right +=
                wanted ? topic && topic->partition_count == 2 && topic->config_count == 1 : !topic;
        }
        if (right == 5 && site->broker.shards[1].image.topic_count == topics &&
            image_same(&site->broker.shards[0].image, &site->broker.shards[1].image))
            return true;
    }
    return false;
}

/* Lets time pass: what is due is drained and flushed. */
static void site_rest(struct site *site)
{
    (void)world_run(site->world, (struct world_stop){.for_ns = 30000000000});
}

/* ---- what lies on the disk ----------------------------------------------------------------- */

struct listing {
    char snapshots[64][SNAPSHOT_NAME_SIZE];
    int snapshot_count, segment_count, damaged_count;
    int64_t first_segment;
};

static enum error note(void *context, char kind, const char *name)
{
    struct listing *listing = context;
    struct snapshot_id id;
    int64_t base;
    (void)kind;
    if (snapshot_name_parse(name, SNAPSHOT_SUFFIX, &id)) {
        check(listing->snapshot_count < 64);
        int at = listing->snapshot_count++;
        for (; at > 0 && strcmp(listing->snapshots[at - 1], name) > 0; at--)
            memcpy(listing->snapshots[at], listing->snapshots[at - 1], SNAPSHOT_NAME_SIZE);
        snprintf(listing->snapshots[at], SNAPSHOT_NAME_SIZE, "%s", name);
    } else if (segment_name_parse(name, ".log", &base)) {
        listing->segment_count++;
        listing->first_segment = min_i64(listing->first_segment, base);
    } else {
        listing->damaged_count += snapshot_name_parse(name, SNAPSHOT_DAMAGED_SUFFIX, &id);
    }
    return ERROR_NONE;
}

static struct listing list(struct site *site)
{
    struct listing listing = {.first_segment = INT64_MAX};
    if (!site->world->machines[0]->running)
        world_start(site->world, 0);
    EQ(redo_list(world_port(site->world, 0, 0), "data/__cluster_metadata-0", note, &listing),
       ERROR_NONE);
    return listing;
}

/* Flips a bit of a snapshot, or tells its size with bit -1. */
static int64_t flip(struct site *site, const char *name, int64_t bit)
{
    char path[160];
    struct file_stat stat;
    uint8_t byte = 0;
    struct port *port = world_port(site->world, 0, 0);
    snprintf(path, sizeof path, "data/__cluster_metadata-0/%s", name);
    struct op open = {.kind = OP_OPEN, .path = path, .flags = OPEN_READ | OPEN_WRITE};
    int32_t handle = (int32_t)port_call(port, &open);
    check(handle >= 0);
    struct op size = {.kind = OP_STAT, .handle = handle, .data = &stat};
    EQ(port_call(port, &size), 0);
    struct op read = {
        .kind = OP_READ, .handle = handle, .data = &byte, .size = 1, .offset = bit / 8};
    struct iovec vector = {&byte, 1};
    struct op write = {.kind = OP_WRITE,
                       .handle = handle,
                       .vectors = &vector,
                       .vector_count = 1,
                       .offset = bit / 8};
    if (bit >= 0) {
        EQ(port_call(port, &read), 1);
        byte ^= (uint8_t)(1 << bit % 8);
        EQ(port_call(port, &write), 1);
    }
    struct op close = {.kind = OP_CLOSE, .handle = handle};
    EQ(port_call(port, &close), 0);
    return stat.size_bytes;
}

/* ---- tests --------------------------------------------------------------------------------- */

/* ---- many at once --------------------------------------------------------------------------- */

enum { AT_ONCE = 50 };

/* Topics that are turned at once, in this order; those without a name ask for nothing. */
struct crowd {
    struct making makings[AT_ONCE];
    int count, ended_early; /* that ended while an image lacked what was decided before them */
    struct site *site;
};

static void decide_nothing(struct machine_request *request, const struct image *image)
{
}

static enum step refused_start(struct flow *flow)
{
    struct making *making = CONTAINER_OF(flow, struct making, flow);
    making->request = (struct machine_request){.handle = decide_nothing, .arena = &making->arena};
    machine_start(&making->request, &making->broker->shards[0], flow);
    return STEP_NEXT;
}

static const struct flow_kind refused_flow = {"refused",
                                              {{"start", refused_start}, {"end", making_end}}};

static bool all_have_ended(void *argument)
{
    struct crowd *crowd = argument;
    for (int i = 0; i < crowd->count; i++)
        if (!crowd->makings[i].ended)
            return false;
    return true;
}

/* A refusal may be told only when both cores have the topic decided right before it. */
static void watch_refusals(struct world *world, void *argument)
{
    struct crowd *crowd = argument;
    (void)world;
    for (int i = 1; i < crowd->count; i++) {
        struct making *making = &crowd->makings[i];
        struct string before = string_of(crowd->makings[i - 1].name);
        if (making->name[0] || !making->ended || making->request.error)
            continue;
        for (int core = 0; core < SITE_CORES; core++)
            crowd->ended_early +=
                !image_topic_by_name(&crowd->site->broker.shards[core].image, before);
    }
}

/* names[i] null: a request that is refused. */
static void site_turn_crowd(struct site *site, struct crowd *crowd, const char *const *names)
{
    struct core *core = &site->broker.shards[0].core;
    crowd->site = site;
    for (int i = 0; i < crowd->count; i++) {
        struct making *making = &crowd->makings[i];
        *making = (struct making){.broker = &site->broker};
        snprintf(making->name, sizeof making->name, "%s", names[i] ? names[i] : "");
        arena_init(&making->arena, 1 << 20);
        flow_start(&making->flow, names[i] ? &making_flow : &refused_flow, core);
    }
    world_notice(site->world, core);
    world_on_event(site->world, watch_refusals, crowd);
    TRUE_(world_run(site->world, (struct world_stop){all_have_ended, crowd, SITE_EVENTS_MAX, 0}));
    world_on_event(site->world, NULL, NULL);
    for (int i = 0; i < crowd->count; i++)
        arena_done(&crowd->makings[i].arena);
}

static bool site_has(struct site *site, const char *name)
{
    bool first = image_topic_by_name(&site->broker.shards[0].image, string_of(name)) != NULL;
    bool second = image_topic_by_name(&site->broker.shards[1].image, string_of(name)) != NULL;
    EQ(first, second);
    return first;
}

TEST(metadata, of_many_topics_shares_flushes)
{
    struct site site;
    struct crowd *crowd = memory_zeroed(sizeof *crowd);
    char names[AT_ONCE][16];
    const char *at[AT_ONCE];
    site_init(&site, 11, NULL);
    TRUE_(site_boot(&site));
    for (int i = 0; i < AT_ONCE; i++) {
        snprintf(names[i], sizeof names[i], "m%d", i);
        at[i] = names[i];
    }
    crowd->count = AT_ONCE;
    uint64_t before = site.broker.metadata->log->store->counters.journal_writes;
    site_turn_crowd(&site, crowd, at);
    TRUE_(site.broker.metadata->log->store->counters.journal_writes - before <= AT_ONCE / 5);
    for (int i = 0; i < AT_ONCE; i++) {
        EQ(crowd->makings[i].request.error, ERROR_NONE);
        TRUE_(site_has(&site, names[i]));
    }
    TRUE_(image_equal(&site.broker.shards[0].image, &site.broker.shards[1].image));
    TRUE_(image_same(&site.broker.shards[0].image, &site.broker.machine.decided));
    site_stop(&site);
    TRUE_(site_boot(&site));
    EQ(site.broker.shards[1].image.topic_count, AT_ONCE);
    TRUE_(image_same(&site.broker.shards[0].image, &site.broker.machine.decided));
    site_stop(&site);
    site_done(&site);
    memory_free(crowd);
}

/* The second of a name removes what the first one made, which is not committed yet. */
TEST(metadata, is_decided_on_what_was_decided_before)
{
    struct site site;
    struct crowd *crowd = memory_zeroed(sizeof *crowd);
    site_init(&site, 12, NULL);
    TRUE_(site_boot(&site));
    crowd->count = 5;
    site_turn_crowd(&site, crowd, (const char *const[]){"a1", "b1", "a1", "c1", "b1"});
    for (int i = 0; i < crowd->count; i++)
        EQ(crowd->makings[i].request.error, ERROR_NONE);
    TRUE_(!site_has(&site, "a1") && !site_has(&site, "b1") && site_has(&site, "c1"));
    site_stop(&site);
    TRUE_(site_boot(&site));
    TRUE_(!site_has(&site, "a1") && !site_has(&site, "b1") && site_has(&site, "c1"));
    site_stop(&site);
    site_done(&site);
    memory_free(crowd);
}

TEST(metadata, refused_waits_for_what_it_rests_on_and_changes_nothing_for_others)
{
    for (uint64_t seed = 20; seed < 40; seed++) {
        struct site site;
        struct crowd *crowd = memory_zeroed(sizeof *crowd);
        site_init(&site, seed, NULL);
        TRUE_(site_boot(&site));
        crowd->count = 6;
        site_turn_crowd(&site, crowd, (const char *const[]){"a1", NULL, "b1", "c1", NULL, "d1"});
        for (int i = 0; i < crowd->count; i++)
            EQ(crowd->makings[i].request.error, ERROR_NONE);
        EQ(crowd->ended_early, 0);
        EQ(site.broker.shards[1].image.topic_count, 4);
        site_stop(&site);
        site_done(&site);
        memory_free(crowd);
    }
}

/* Nobody is told anything but the failure, and nothing is decided on what may be lost. */
TEST(metadata, whose_commit_fails_takes_all_that_rests_on_it_along)
{
    struct site site;
    struct crowd *crowd = memory_zeroed(sizeof *crowd);
    site_init(&site, 13, NULL);
    TRUE_(site_boot(&site));
    crowd->count = 1;
    site_turn_crowd(&site, crowd, (const char *const[]){"z1"});
    EQ(crowd->makings[0].request.error, ERROR_NONE);
    world_fail(site.world, 0, OP_WRITE, 1, ERROR_INPUT_OUTPUT);
    crowd->count = 5;
    site_turn_crowd(&site, crowd, (const char *const[]){"a1", NULL, "b1", NULL, "z1"});
    for (int i = 0; i < crowd->count; i++)
        EQ(crowd->makings[i].request.error, ERROR_KAFKA_STORAGE_ERROR);
    for (int core = 0; core < SITE_CORES; core++)
        EQ(site.broker.shards[core].image.topic_count, 1);
    TRUE_(site_has(&site, "z1"));
    crowd->count = 2;
    site_turn_crowd(&site, crowd, (const char *const[]){"c1", NULL});
    EQ(crowd->makings[0].request.error, ERROR_KAFKA_STORAGE_ERROR);
    EQ(crowd->makings[1].request.error, ERROR_KAFKA_STORAGE_ERROR);
    world_crash(site.world, 0);
    TRUE_(site_boot(&site)); /* what was in flight may be there or not */
    crowd->count = 1;
    site_turn_crowd(&site, crowd, (const char *const[]){"d1"});
    EQ(crowd->makings[0].request.error, ERROR_NONE);
    TRUE_(site_has(&site, "d1"));
    site_stop(&site);
    site_done(&site);
    memory_free(crowd);
}

TEST(metadata, is_read_from_the_newest_snapshot_and_the_log_behind_it)
{
    struct site site;
    site_init(&site, 1, NULL);
    TRUE_(site_boot(&site));
    EQ(site.broker.metadata_read.snapshot_end, -1);
    for (int i = 0; i < 43; i++) {
        site_turn_topic(&site, i % 5);
        if (i % 8 == 0)
            site_rest(&site);
    }
    TRUE_(site_holds(&site, 43));
    site_stop(&site);
    struct listing before = list(&site);
    TRUE_(before.snapshot_count >= 1);
    EQ(before.first_segment, 0);
    TRUE_(site_boot(&site));
    TRUE_(site.broker.metadata_read.snapshot_end > 0);
    TRUE_(site.broker.metadata_read.log_records < 20);
    TRUE_(site_holds(&site, 43));
    site_stop(&site);
    struct listing after = list(&site);
    TRUE_(after.first_segment > 0); /* 3,000 bytes were passed */
    TRUE_(after.segment_count < before.segment_count);
    TRUE_(site_boot(&site));
    TRUE_(site_holds(&site, 43));
    site_stop(&site);
    site_done(&site);
}

TEST(metadata, of_a_damaged_snapshot_comes_from_the_one_before)
{
    struct site site;
    site_init(&site, 2, NULL);
    site.settings.metadata_max_retention_bytes = 8000;
    TRUE_(site_boot(&site));
    for (int i = 0; i < 60; i++) {
        site_turn_topic(&site, i % 5);
        if (i % 8 == 0)
            site_rest(&site);
    }
    site_stop(&site);
    TRUE_(site_boot(&site)); /* prunes */
    site_stop(&site);
    struct listing listing = list(&site);
    TRUE_(listing.first_segment > 0);
    TRUE_(listing.snapshot_count >= 2);
    (void)flip(&site, listing.snapshots[listing.snapshot_count - 1], 8 * 100);
    TRUE_(site_boot(&site));
    TRUE_(strstr(site.broker.metadata_read.warning, listing.snapshots[listing.snapshot_count - 1]));
    TRUE_(strstr(site.broker.metadata_read.warning, "a batch whose CRC is wrong"));
    TRUE_(site_holds(&site, 60));
    site_stop(&site);
    struct listing after = list(&site);
    EQ(after.damaged_count, 1);
    for (int i = 0; i < after.snapshot_count; i++)
        (void)flip(&site, after.snapshots[i], 8 * 100);
    TRUE_(!site_boot(&site));
    TRUE_(strstr(site.why, "there is no whole snapshot"));
    TRUE_(strstr(site.why, "restore one from a copy"));
    TRUE_(!site_boot(&site)); /* nothing was changed: they can be looked at, and repaired */
    world_start(site.world, 0);
    for (int i = 0; i < after.snapshot_count; i++)
        (void)flip(&site, after.snapshots[i], 8 * 100);
    TRUE_(site_boot(&site));
    TRUE_(site_holds(&site, 60));
    site_stop(&site);
    site_done(&site);
}

TEST(metadata, is_right_whatever_bit_of_a_snapshot_flips)
{
    struct site site;
    site_init(&site, 3, NULL);
    site.settings.metadata_max_retention_bytes = -1;
    TRUE_(site_boot(&site));
    for (int i = 0; i < 14; i++) {
        site_turn_topic(&site, i % 5);
        if (i == 7)
            site_rest(&site);
    }
    site_stop(&site);
    struct listing listing = list(&site);
    TRUE_(listing.snapshot_count >= 1);
    const char *newest = listing.snapshots[listing.snapshot_count - 1];
    struct disk *disk = disk_clone(site.world->machines[0]->disk);
    int64_t size = flip(&site, newest, -1);
    site_done(&site);
    for (int64_t at = 0; at < size; at += 3) {
        struct site damaged;
        site_init(&damaged, 4, disk_clone(disk));
        (void)flip(&damaged, newest, 8 * at + at % 8);
        bool up = site_boot(&damaged);
        test_expect(up && site_holds(&damaged, 14), __FILE__, __LINE__, "byte %lld: %s",
                    (long long)at, up ? "another image" : damaged.why);
        if (up)
            site_stop(&damaged);
        site_done(&damaged);
    }
    disk_destroy(disk);
}

/* Starts on what a crash has left; again, which must give the same. */
static bool is_kept(struct disk *disk, int64_t turns, uint64_t seed, char *why)
{
    struct site site;
    site_init(&site, seed, disk);
    bool right = true;
    for (int i = 0; i < 2 && right; i++) {
        right = site_boot(&site) && site_holds(&site, turns);
        snprintf(why, 600, "%s", site.why);
        if (right)
            site_stop(&site);
    }
    if (right)
        site_done(&site); /* what a failed one holds is left */
    return right;
}

TEST(metadata, is_kept_at_every_cut_of_a_life_with_snapshots_and_pruning)
{
    struct site site;
    int64_t images = 0;
    site_init(&site, 5, NULL);
    TRUE_(site_boot(&site));
    int turns = 0;
    for (; turns < 25; turns++) {
        site_turn_topic(&site, turns % 5);
        if (turns % 8 == 0)
            site_rest(&site);
    }
    site_stop(&site);
    struct disk_recording *recording;
    world_start(site.world, 0);
    world_record_start(site.world, 0);
    world_record_mark(site.world, 0, turns);
    TRUE_(site_boot(&site)); /* prunes */
    for (; turns < 45; turns++) {
        site_turn_topic(&site, turns % 5);
        world_record_mark(site.world, 0, turns + 1);
        if (turns % 8 == 0)
            site_rest(&site);
    }
    site_stop(&site);
    recording = world_record_stop(site.world, 0);
    struct listing listing = list(&site);
    TRUE_(listing.first_segment > 0);
    TRUE_(listing.snapshot_count > 0);
    bool kept = true;
    for (uint32_t cut = 0; cut <= recording->count && kept; cut++) {
        static const int kinds[] = {CHOICE_OLD, CHOICE_NEW, CHOICE_RANDOM};
        for (int i = 0; i < 3 && kept; i++) {
            struct disk_choice choice =
                disk_choice_of((enum disk_choice_kind)kinds[i], cut * 7 + 1);
            int64_t promised = max_i64(disk_mark_at(recording, cut), 25);
            char why[600];
            kept = is_kept(disk_image_at(recording, cut, &choice), promised, 100 + cut, why);
            test_expect(kept, __FILE__, __LINE__, "cut %u, kind %d: %s", cut, kinds[i], why);
            images++;
        }
    }
    test_expect(images > 500, __FILE__, __LINE__, "%lld images", (long long)images);
    disk_recording_destroy(recording);
    site_done(&site);
}
