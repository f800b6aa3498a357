/* Flushes of folders while a broker starts: starts that are cut everywhere, with names lost that
 * were not flushed (CHOICE_NAME_LOST and its like, sim/disk.h). */
#include "base/bytes.h"
#include "base/check.h"
#include "base/memory.h"
#include "cluster/partition.h"
#include "crash/names.h"
#include "crash/place.h"
#include "protocol/batch.h"
#include "storage/log_state.h"
#include "support/test.h"
#include <stdio.h>

/* A start that is looked at: what must be right on each image, after its own start. */
struct start {
    const char *name;
    bool (*is_right)(struct place *place, char *why, size_t why_size);
    void (*init)(struct place *place, uint64_t seed, struct disk *disk);
    void (*work)(struct place *place); /* or null; what it does is right from its end on */
    struct image_set seen;
    uint64_t images;
    bool failed;
};

static void init_data(struct place *place, uint64_t seed, struct disk *disk)
{
    place_init(place, seed, "data", disk);
    place->settings.log_segment_bytes = 200;
}

/* Everything that was done so far is durable. */
static void make_durable(struct place *place)
{
    struct disk_choice choice = disk_choice_of(CHOICE_NEW, 0);
    if (place->world->machines[0]->running)
        world_stop_machine(place->world, 0);
    disk_crash(place->world->machines[0]->disk, &choice);
    place->world->machines[0]->disk->names_as_prefix = false;
}

static bool look_at_image(void *context, struct disk *disk, const char *what)
{
    struct start *start = context;
    struct place place;
    char why[300] = "";
    start->init(&place, 1000 + start->images++, disk);
    bool up = place_boot(&place);
    bool right = up && start->is_right(&place, why, sizeof why);
    start->failed = !test_expect(right, __FILE__, __LINE__, "%s, %s: %s", start->name, what,
                                 up ? why : place.why);
    memory_free(place.broker.sentences);
    place.broker.sentences = NULL;
    if (right) { /* what a failed one holds is left */
        place_stop(&place);
        place_done(&place);
    }
    return !start->failed;
}

/* Starts `place`, whose disk is as it should be found, and looks at all that a crash meanwhile
 * could leave. */
static void run(struct start *start, struct place *place)
{
    image_set_init(&start->seen);
    world_start(place->world, 0);
    world_record_start(place->world, 0);
    bool up = place_boot(place);
    test_expect(up, __FILE__, __LINE__, "%s: %s", start->name, place->why);
    uint32_t from = 0;
    if (up && start->work) {
        start->work(place);
        from = place->world->machines[0]->recording->count;
    }
    struct disk_recording *recording = world_record_stop(place->world, 0);
    memory_free(place->broker.sentences);
    place->broker.sentences = NULL;
    if (up)
        place_stop(place);
    for (uint32_t cut = from; cut <= recording->count && up && !start->failed; cut++)
        if (cut == recording->count || recording->records[cut].kind == RECORD_COMPLETE)
            names_at_cut(recording, cut, &start->seen, look_at_image, start);
    printf("%s: %u records, %llu images\n", start->name, recording->count,
           (unsigned long long)start->images);
    TRUE_(start->failed || from > 0 || start->images > 0);
    disk_recording_destroy(recording);
    image_set_done(&start->seen);
    place_done(place);
}

/* ---- the first start ------------------------------------------------------------------------ */

static void send_one(struct place *place)
{
    place_turn_topic(place, "t");
    EQ(place_send(place, "t", 0), ERROR_NONE);
}

static bool has_one(struct place *place, char *why, size_t why_size)
{
    int64_t count = place_partition(place, "t", 0) ? place_count(place, "t", 0) : -1;
    snprintf(why, why_size, "%lld records", (long long)count);
    return count == 1;
}

TEST(names, of_what_a_first_start_has_made)
{
    struct place place;
    struct start start = {
        .name = "a first start", .is_right = has_one, .init = init_data, .work = send_one};
    init_data(&place, 30, NULL);
    make_durable(&place);
    run(&start, &place);
}

/* ---- a replay ------------------------------------------------------------------------------- */

enum { MANY_TOPICS = 20 }; /* of two partitions: more for each core than are flushed one by one */

static void name_topic(int number, char name[16])
{
    snprintf(name, 16, "t%d", number);
}

/* On a disk of other sectors no journal can be gone on with. */
static void init_replay(struct place *place, uint64_t seed, struct disk *disk)
{
    init_data(place, seed, disk);
    place->world->settings.direct_alignment = 4096;
}

static void do_nothing(struct place *place)
{
    TRUE_(place->broker.replayed_bytes > 0);
}

static bool has_all_records(struct place *place, char *why, size_t why_size)
{
    int64_t count = 1;
    for (int i = 0; i < 2 * MANY_TOPICS && count == 1; i++) {
        char name[16];
        name_topic(i / 2, name);
        count = place_partition(place, name, i % 2) ? place_count(place, name, i % 2) : -1;
        snprintf(why, why_size, "%s-%d has %lld records", name, i % 2, (long long)count);
    }
    return count == 1;
}

TEST(names, of_what_a_replay_of_many_logs_has_made)
{
    struct place place;
    struct start start = {
        .name = "a replay", .is_right = has_all_records, .init = init_replay, .work = do_nothing};
    init_replay(&place, 29, NULL);
    place.world->settings.direct_alignment = 512;
    TRUE_(place_boot(&place));
    for (int i = 0; i < 2 * MANY_TOPICS; i++) {
        char name[16];
        name_topic(i / 2, name);
        if (i % 2 == 0)
            place_turn_topic(&place, name);
        EQ(place_send(&place, name, i % 2), ERROR_NONE);
    }
    world_kill(place.world, 0);
    struct disk_choice choice = disk_choice_of(CHOICE_OLD, 0);
    disk_crash(place.world->machines[0]->disk, &choice); /* the journal has it all */
    place.world->machines[0]->disk->names_as_prefix = false;
    place.world->settings.direct_alignment = 4096;
    run(&start, &place);
}

/* ---- what a Kafka node has left ------------------------------------------------------------ */

enum { RECORDS = 12, KEPT = 7, BEYOND = 20 };
#define STRAY       "data/stray-3"
#define STRAY_AWAY  STRAY ".00000000000000000000000000000000-stray"
#define KAFKAS_MARK "{\"version\":0,\"brokerEpoch\":17}"

/* Its log starts, and a folder that no topic names. */
static void make_kafkas(struct place *place, uint64_t seed)
{
    init_data(place, seed, NULL);
    TRUE_(place_boot(place));
    place_turn_topic(place, "t");
    for (int i = 0; i < RECORDS; i++)
        EQ(place_send(place, "t", 0), ERROR_NONE);
    place_stop(place);
    place_write(place, "data/log-start-offset-checkpoint", "0\n1\nt 0 2\n");
}

static bool starts_at_two(struct place *place, int64_t records, char *why, size_t why_size)
{
    int64_t count = place_count(place, "t", 0);
    const struct log *log = place_partition(place, "t", 0)->log;
    snprintf(why, why_size, "%lld records, from %lld on", (long long)count,
             (long long)log->log_start);
    return count == records && log->log_start == 2;
}

static bool is_taken_up(struct place *place, char *why, size_t why_size)
{
    return starts_at_two(place, RECORDS, why, why_size);
}

TEST(names, of_what_a_kafka_node_has_left_that_was_stopped)
{
    struct place place;
    struct start start = {
        .name = "a stopped Kafka node's", .is_right = is_taken_up, .init = init_data};
    make_kafkas(&place, 31);
    place_write(&place, "data/.kafka_cleanshutdown", KAFKAS_MARK);
    make_durable(&place);
    run(&start, &place);
}

static bool is_made_whole(struct place *place, char *why, size_t why_size)
{
    if (!starts_at_two(place, KEPT, why, why_size))
        return false;
    bool stray = place_exists(place, STRAY) || place_exists(place, STRAY_AWAY);
    snprintf(why, why_size, "%s has gone", STRAY);
    return stray;
}

static void remove_mark(struct place *place)
{
    struct disk_change remove = {.kind = OP_REMOVE, .path = "data/.kafka_cleanshutdown"};
    EQ(disk_execute(place->world->machines[0]->disk, &remove), 0);
}

/* The batch of an offset is damaged; a segment has two. */
static void damage(struct place *place, int offset)
{
    char path[64];
    snprintf(path, sizeof path, "data/t-0/%020d.log", offset - offset % 2);
    struct disk *disk = place->world->machines[0]->disk;
    struct inode *inode = disk_find(disk, path);
    check(inode);
    char bad = (char)0xff;
    struct iovec vector = {&bad, 1};
    struct disk_change write = {.kind = OP_WRITE,
                                .inode = inode->id,
                                .size = 1,
                                .vectors = &vector,
                                .vector_count = 1,
                                .offset = inode->size / 2 * (offset % 2) + BATCH_RECORDS_AT + 4};
    EQ(disk_execute(disk, &write), 1);
    remove_mark(place);
}

TEST(names, of_what_a_kafka_node_has_left_that_died)
{
    struct place place;
    struct start start = {
        .name = "a dead Kafka node's", .is_right = is_made_whole, .init = init_data};
    make_kafkas(&place, 32);
    place_write(&place, "data/recovery-point-offset-checkpoint", "0\n1\nt 0 2\n");
    place_make_folder(&place, STRAY);
    damage(&place, KEPT);
    make_durable(&place);
    run(&start, &place);
}

static bool is_offline(struct place *place, char *why, size_t why_size)
{
    int64_t count = place_count(place, "t", 0);
    snprintf(why, why_size, "%lld records are served", (long long)count);
    return count < 0;
}

/* Below its recovery point. */
TEST(names, of_what_is_set_aside_of_a_dead_kafka_nodes)
{
    struct place place;
    struct start start = {.name = "set aside", .is_right = is_offline, .init = init_data};
    make_kafkas(&place, 33);
    place_write(&place, "data/recovery-point-offset-checkpoint", "0\n1\nt 0 7\n");
    damage(&place, 6);
    make_durable(&place);
    run(&start, &place);
}

static bool ends_at_its_start(struct place *place, char *why, size_t why_size)
{
    int64_t count = place_count(place, "t", 0);
    const struct log *log = place_partition(place, "t", 0)->log;
    snprintf(why, why_size, "it ends at %lld, and begins at %lld", (long long)count,
             (long long)log->log_start);
    return count == BEYOND && log->log_start == BEYOND;
}

/* Records were deleted that had not been flushed. */
TEST(names, of_a_segment_at_the_log_start_of_a_dead_kafka_nodes)
{
    struct place place;
    struct start start = {
        .name = "goes on at its start", .is_right = ends_at_its_start, .init = init_data};
    make_kafkas(&place, 34);
    place_write(&place, "data/log-start-offset-checkpoint", "0\n1\nt 0 20\n");
    remove_mark(&place);
    make_durable(&place);
    run(&start, &place);
}

/* ---- the metadata log ---------------------------------------------------------------------- */

enum { TOPICS = 5, TURNS = 25 };

static void init_metadata(struct place *place, uint64_t seed, struct disk *disk)
{
    place_init_metadata(place, seed, disk);
}

static bool has_all_topics(struct place *place, char *why, size_t why_size)
{
    bool right = true;
    for (int i = 0; i < TOPICS && right; i++) {
        char name[16];
        name_topic(i, name);
        right = place_partition(place, name, 0);
        snprintf(why, why_size, "topic %s is not there", name);
    }
    return right;
}

static void rename_file(struct disk *disk, const char *from, const char *to)
{
    struct disk_change rename = {.kind = OP_RENAME, .path = from, .path_to = to};
    EQ(disk_execute(disk, &rename), 0);
}

/* As if the process had been killed right behind the rename that gives the newest snapshot its
 * name. */
static void unflush_snapshot(struct place *place)
{
    static const char folder[] = "data/__cluster_metadata-0";
    struct disk *disk = place->world->machines[0]->disk;
    struct inode *inode = disk_find(disk, folder);
    char newest[DISK_NAME_BYTES_MAX + 1] = "", path[400], away[400];
    for (struct list *node = inode->entries.next; node != &inode->entries; node = node->next) {
        const char *name = CONTAINER_OF(node, struct entry, link)->name;
        if (strstr(name, ".checkpoint") && strcmp(name, newest) > 0)
            snprintf(newest, sizeof newest, "%s", name);
    }
    check(newest[0]);
    snprintf(path, sizeof path, "%s/%s", folder, newest);
    snprintf(away, sizeof away, "%s.part", path);
    rename_file(disk, path, away);
    make_durable(place);
    rename_file(place->world->machines[0]->disk, away, path);
}

TEST(names, of_a_snapshot_before_what_it_replaces_goes)
{
    struct place place;
    struct start start = {
        .name = "pruned metadata", .is_right = has_all_topics, .init = init_metadata};
    place_init_metadata(&place, 41, NULL);
    TRUE_(place_boot(&place));
    for (int i = 0; i < TURNS; i++) {
        char name[16];
        name_topic(i % TOPICS, name);
        place_turn_topic(&place, name);
        if (i % 8 == 0)
            (void)world_run(place.world, (struct world_stop){.for_ns = 30000000000});
    }
    place_stop(&place);
    unflush_snapshot(&place);
    run(&start, &place);
}
