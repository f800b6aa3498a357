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
#include "crash/place.h"
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
static void turn_topic(struct place *place, int number)
{
    struct making making = {.broker = &place->broker};
    snprintf(making.name, sizeof making.name, "t%d", number);
    arena_init(&making.arena, 1 << 20);
    flow_start(&making.flow, &making_flow, &place->broker.shards[0].core);
    world_notice(place->world, &place->broker.shards[0].core);
    TRUE_(world_run(place->world, (struct world_stop){has_ended, &making, PLACE_EVENTS_MAX, 0}));
    EQ(making.request.error, ERROR_NONE);
    arena_done(&making.arena);
}

/* So many turns: topics 0 to 4 come and go. */
static bool is_there(int64_t turns, int number)
{
    return (turns / 5 + (number < turns % 5)) % 2 == 1;
}

/* After `turns` turns, or with the next one too: the image is one of the two, on all cores. */
static bool holds(struct place *place, int64_t turns)
{
    for (int64_t more = 0; more < 2; more++) {
        int right = 0, topics = 0;
        for (int number = 0; number < 5; number++) {
            char name[16];
            snprintf(name, sizeof name, "t%d", number);
            const struct image_topic *topic =
                image_topic_by_name(&place->broker.shards[1].image, string_of(name));
            bool wanted = is_there(turns + more, number);
            topics += wanted;
            right +=
                wanted ? topic && topic->partition_count == 2 && topic->config_count == 1 : !topic;
        }
        if (right == 5 && place->broker.shards[1].image.topic_count == topics &&
            image_same(&place->broker.shards[0].image, &place->broker.shards[1].image))
            return true;
    }
    return false;
}

/* Lets time pass: what is due is drained and flushed. */
static void rest(struct place *place)
{
    (void)world_run(place->world, (struct world_stop){.for_ns = 30000000000});
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

static struct listing list(struct place *place)
{
    struct listing listing = {.first_segment = INT64_MAX};
    if (!place->world->machines[0]->running)
        world_start(place->world, 0);
    EQ(redo_list(world_port(place->world, 0, 0), "data/__cluster_metadata-0", note, &listing),
       ERROR_NONE);
    return listing;
}

/* Flips a bit of a snapshot, or tells its size with bit -1. */
static int64_t flip(struct place *place, const char *name, int64_t bit)
{
    char path[160];
    struct file_stat stat;
    uint8_t byte = 0;
    struct port *port = world_port(place->world, 0, 0);
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
    struct place *place;
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
        for (int core = 0; core < PLACE_CORES; core++)
            crowd->ended_early +=
                !image_topic_by_name(&crowd->place->broker.shards[core].image, before);
    }
}

/* names[i] null: a request that is refused. */
static void turn_crowd(struct place *place, struct crowd *crowd, const char *const *names)
{
    struct core *core = &place->broker.shards[0].core;
    crowd->place = place;
    for (int i = 0; i < crowd->count; i++) {
        struct making *making = &crowd->makings[i];
        *making = (struct making){.broker = &place->broker};
        snprintf(making->name, sizeof making->name, "%s", names[i] ? names[i] : "");
        arena_init(&making->arena, 1 << 20);
        flow_start(&making->flow, names[i] ? &making_flow : &refused_flow, core);
    }
    world_notice(place->world, core);
    world_on_event(place->world, watch_refusals, crowd);
    TRUE_(world_run(place->world, (struct world_stop){all_have_ended, crowd, PLACE_EVENTS_MAX, 0}));
    world_on_event(place->world, NULL, NULL);
    for (int i = 0; i < crowd->count; i++)
        arena_done(&crowd->makings[i].arena);
}

static bool has_topic(struct place *place, const char *name)
{
    bool first = image_topic_by_name(&place->broker.shards[0].image, string_of(name)) != NULL;
    bool second = image_topic_by_name(&place->broker.shards[1].image, string_of(name)) != NULL;
    EQ(first, second);
    return first;
}

TEST(metadata, of_many_topics_shares_flushes)
{
    struct place place;
    struct crowd *crowd = memory_zeroed(sizeof *crowd);
    char names[AT_ONCE][16];
    const char *at[AT_ONCE];
    place_init_metadata(&place, 11, NULL);
    TRUE_(place_boot(&place));
    for (int i = 0; i < AT_ONCE; i++) {
        snprintf(names[i], sizeof names[i], "m%d", i);
        at[i] = names[i];
    }
    crowd->count = AT_ONCE;
    uint64_t before = place.broker.metadata->log->store->counters.journal_writes;
    turn_crowd(&place, crowd, at);
    TRUE_(place.broker.metadata->log->store->counters.journal_writes - before <= AT_ONCE / 5);
    for (int i = 0; i < AT_ONCE; i++) {
        EQ(crowd->makings[i].request.error, ERROR_NONE);
        TRUE_(has_topic(&place, names[i]));
    }
    TRUE_(image_equal(&place.broker.shards[0].image, &place.broker.shards[1].image));
    TRUE_(image_same(&place.broker.shards[0].image, &place.broker.machine.decided));
    place_stop(&place);
    TRUE_(place_boot(&place));
    EQ(place.broker.shards[1].image.topic_count, AT_ONCE);
    TRUE_(image_same(&place.broker.shards[0].image, &place.broker.machine.decided));
    place_stop(&place);
    place_done(&place);
    memory_free(crowd);
}

/* The second of a name removes what the first one made, which is not committed yet. */
TEST(metadata, is_decided_on_what_was_decided_before)
{
    struct place place;
    struct crowd *crowd = memory_zeroed(sizeof *crowd);
    place_init_metadata(&place, 12, NULL);
    TRUE_(place_boot(&place));
    crowd->count = 5;
    turn_crowd(&place, crowd, (const char *const[]){"a1", "b1", "a1", "c1", "b1"});
    for (int i = 0; i < crowd->count; i++)
        EQ(crowd->makings[i].request.error, ERROR_NONE);
    TRUE_(!has_topic(&place, "a1") && !has_topic(&place, "b1") && has_topic(&place, "c1"));
    place_stop(&place);
    TRUE_(place_boot(&place));
    TRUE_(!has_topic(&place, "a1") && !has_topic(&place, "b1") && has_topic(&place, "c1"));
    place_stop(&place);
    place_done(&place);
    memory_free(crowd);
}

TEST(metadata, refused_waits_for_what_it_rests_on_and_changes_nothing_for_others)
{
    for (uint64_t seed = 20; seed < 40; seed++) {
        struct place place;
        struct crowd *crowd = memory_zeroed(sizeof *crowd);
        place_init_metadata(&place, seed, NULL);
        TRUE_(place_boot(&place));
        crowd->count = 6;
        turn_crowd(&place, crowd, (const char *const[]){"a1", NULL, "b1", "c1", NULL, "d1"});
        for (int i = 0; i < crowd->count; i++)
            EQ(crowd->makings[i].request.error, ERROR_NONE);
        EQ(crowd->ended_early, 0);
        EQ(place.broker.shards[1].image.topic_count, 4);
        place_stop(&place);
        place_done(&place);
        memory_free(crowd);
    }
}

/* Nobody is told anything but the failure, and nothing is decided on what may be lost. */
TEST(metadata, whose_commit_fails_takes_all_that_rests_on_it_along)
{
    struct place place;
    struct crowd *crowd = memory_zeroed(sizeof *crowd);
    place_init_metadata(&place, 13, NULL);
    TRUE_(place_boot(&place));
    crowd->count = 1;
    turn_crowd(&place, crowd, (const char *const[]){"z1"});
    EQ(crowd->makings[0].request.error, ERROR_NONE);
    world_fail(place.world, 0, OP_WRITE, 1, ERROR_INPUT_OUTPUT);
    crowd->count = 5;
    turn_crowd(&place, crowd, (const char *const[]){"a1", NULL, "b1", NULL, "z1"});
    for (int i = 0; i < crowd->count; i++)
        EQ(crowd->makings[i].request.error, ERROR_KAFKA_STORAGE_ERROR);
    for (int core = 0; core < PLACE_CORES; core++)
        EQ(place.broker.shards[core].image.topic_count, 1);
    TRUE_(has_topic(&place, "z1"));
    crowd->count = 2;
    turn_crowd(&place, crowd, (const char *const[]){"c1", NULL});
    EQ(crowd->makings[0].request.error, ERROR_KAFKA_STORAGE_ERROR);
    EQ(crowd->makings[1].request.error, ERROR_KAFKA_STORAGE_ERROR);
    world_crash(place.world, 0);
    TRUE_(place_boot(&place)); /* what was in flight may be there or not */
    crowd->count = 1;
    turn_crowd(&place, crowd, (const char *const[]){"d1"});
    EQ(crowd->makings[0].request.error, ERROR_NONE);
    TRUE_(has_topic(&place, "d1"));
    place_stop(&place);
    place_done(&place);
    memory_free(crowd);
}

TEST(metadata, is_read_from_the_newest_snapshot_and_the_log_behind_it)
{
    struct place place;
    place_init_metadata(&place, 1, NULL);
    TRUE_(place_boot(&place));
    EQ(place.broker.metadata_read.snapshot_end, -1);
    for (int i = 0; i < 43; i++) {
        turn_topic(&place, i % 5);
        if (i % 8 == 0)
            rest(&place);
    }
    TRUE_(holds(&place, 43));
    place_stop(&place);
    struct listing before = list(&place);
    TRUE_(before.snapshot_count >= 1);
    EQ(before.first_segment, 0);
    TRUE_(place_boot(&place));
    TRUE_(place.broker.metadata_read.snapshot_end > 0);
    TRUE_(place.broker.metadata_read.log_records < 20);
    TRUE_(holds(&place, 43));
    place_stop(&place);
    struct listing after = list(&place);
    TRUE_(after.first_segment > 0); /* 3,000 bytes were passed */
    TRUE_(after.segment_count < before.segment_count);
    TRUE_(place_boot(&place));
    TRUE_(holds(&place, 43));
    place_stop(&place);
    place_done(&place);
}

TEST(metadata, of_a_damaged_snapshot_comes_from_the_one_before)
{
    struct place place;
    place_init_metadata(&place, 2, NULL);
    place.settings.metadata_max_retention_bytes = 8000;
    TRUE_(place_boot(&place));
    for (int i = 0; i < 60; i++) {
        turn_topic(&place, i % 5);
        if (i % 8 == 0)
            rest(&place);
    }
    place_stop(&place);
    TRUE_(place_boot(&place)); /* prunes */
    place_stop(&place);
    struct listing listing = list(&place);
    TRUE_(listing.first_segment > 0);
    TRUE_(listing.snapshot_count >= 2);
    (void)flip(&place, listing.snapshots[listing.snapshot_count - 1], 8 * 100);
    TRUE_(place_boot(&place));
    TRUE_(
        strstr(place.broker.metadata_read.warning, listing.snapshots[listing.snapshot_count - 1]));
    TRUE_(strstr(place.broker.metadata_read.warning, "a batch whose CRC is wrong"));
    TRUE_(holds(&place, 60));
    place_stop(&place);
    struct listing after = list(&place);
    EQ(after.damaged_count, 1);
    for (int i = 0; i < after.snapshot_count; i++)
        (void)flip(&place, after.snapshots[i], 8 * 100);
    TRUE_(!place_boot(&place));
    TRUE_(strstr(place.why, "there is no whole snapshot"));
    TRUE_(strstr(place.why, "restore one from a copy"));
    TRUE_(!place_boot(&place)); /* nothing was changed: they can be looked at, and repaired */
    world_start(place.world, 0);
    for (int i = 0; i < after.snapshot_count; i++)
        (void)flip(&place, after.snapshots[i], 8 * 100);
    TRUE_(place_boot(&place));
    TRUE_(holds(&place, 60));
    place_stop(&place);
    place_done(&place);
}

TEST(metadata, is_right_whatever_bit_of_a_snapshot_flips)
{
    struct place place;
    place_init_metadata(&place, 3, NULL);
    place.settings.metadata_max_retention_bytes = -1;
    TRUE_(place_boot(&place));
    for (int i = 0; i < 14; i++) {
        turn_topic(&place, i % 5);
        if (i == 7)
            rest(&place);
    }
    place_stop(&place);
    struct listing listing = list(&place);
    TRUE_(listing.snapshot_count >= 1);
    const char *newest = listing.snapshots[listing.snapshot_count - 1];
    struct disk *disk = disk_clone(place.world->machines[0]->disk);
    int64_t size = flip(&place, newest, -1);
    place_done(&place);
    for (int64_t at = 0; at < size; at += 3) {
        struct place damaged;
        place_init_metadata(&damaged, 4, disk_clone(disk));
        (void)flip(&damaged, newest, 8 * at + at % 8);
        bool up = place_boot(&damaged);
        test_expect(up && holds(&damaged, 14), __FILE__, __LINE__, "byte %lld: %s", (long long)at,
                    up ? "another image" : damaged.why);
        if (up)
            place_stop(&damaged);
        place_done(&damaged);
    }
    disk_destroy(disk);
}

TEST(metadata, is_kept_at_every_cut_of_a_life_with_snapshots_and_pruning)
{
    struct place place;
    int64_t images = 0;
    place_init_metadata(&place, 5, NULL);
    TRUE_(place_boot(&place));
    int turns = 0;
    for (; turns < 25; turns++) {
        turn_topic(&place, turns % 5);
        if (turns % 8 == 0)
            rest(&place);
    }
    place_stop(&place);
    struct disk_recording *recording;
    world_start(place.world, 0);
    world_record_start(place.world, 0);
    world_record_mark(place.world, 0, turns);
    TRUE_(place_boot(&place)); /* prunes */
    for (; turns < 45; turns++) {
        turn_topic(&place, turns % 5);
        world_record_mark(place.world, 0, turns + 1);
        if (turns % 8 == 0)
            rest(&place);
    }
    place_stop(&place);
    recording = world_record_stop(place.world, 0);
    struct listing listing = list(&place);
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
            kept = place_keeps_metadata(disk_image_at(recording, cut, &choice), 100 + cut, holds,
                                        promised, why);
            test_expect(kept, __FILE__, __LINE__, "cut %u, kind %d: %s", cut, kinds[i], why);
            images++;
        }
    }
    test_expect(images > 500, __FILE__, __LINE__, "%lld images", (long long)images);
    disk_recording_destroy(recording);
    place_done(&place);
}

/* Each operation of a start fails once, while a scrub and others read: whatever it was, what was
 * opened is closed in order, and the next start goes well. */
TEST(metadata, that_can_not_be_written_at_a_start_are_closed_in_order)
{
    struct place place;
    place_init_metadata(&place, 21, NULL);
    place_set(&place, "log.scrub.interval.ms", "1");
    place.settings.log_segment_bytes = 600;
    TRUE_(place_boot(&place));
    for (int i = 0; i < 4; i++)
        turn_topic(&place, i);
    place_turn_topic(&place, "t");
    for (int i = 0; i < 40; i++)
        EQ(place_send(&place, "t", i % 2), ERROR_NONE);
    place_stop(&place);
    TRUE_(place_boot(&place)); /* and the journal holds something of both */
    for (int i = 0; i < 4; i++)
        EQ(place_send(&place, "t", i % 2), ERROR_NONE);
    world_crash(place.world, 0);
    struct machine *machine = place.world->machines[0];
    place.world->settings.latency[OP_READ] = (struct world_range){2000000, 4000000};
    place.world->settings.latency[OP_WRITE] = (struct world_range){500000, 4000000};
    int unregistered = 0;
    for (uint64_t number = 1, met = 1; met > 0 && number < 5000; number++) {
        machine->fault_met = 0;
        world_start(place.world, 0);
        world_fail(place.world, 0, OP_KIND_COUNT, number, ERROR_INPUT_OUTPUT);
        bool started = place_boot(&place);
        met = machine->fault_met;
        machine->fault_count = 0;
        TRUE_(started || met > 0);
        unregistered += !started && strstr(place.why, "registered");
        if (machine->running)
            world_crash(place.world, 0);
    }
    TRUE_(unregistered > 5);
    TRUE_(place_boot(&place));
    place_stop(&place);
    place_done(&place);
}
