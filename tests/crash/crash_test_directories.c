/* A broker of several log directories over starts: whose they are, where partitions lie, what one
 * that breaks takes with it, and every cut of a life in two. */
#include "base/bytes.h"
#include "base/memory.h"
#include "base/check.h"
#include "cluster/partition.h"
#include "crash/place.h"
#include "logic/image.h"
#include "sim/disk_record.h"
#include "storage/log_state.h"
#include "storage/store.h"
#include "support/test.h"
#include <stdio.h>

/* It does not start, and says `sentence`. */
static void refused(struct place *place, const char *sentence)
{
    bool up = place_boot(place);
    test_expect(!up && strstr(place->why, sentence), __FILE__, __LINE__, "up %d: %s", up,
                place->why);
    if (up)
        place_stop(place);
}

/* ---- whose they are ------------------------------------------------------------------------ */

TEST(directories, are_each_marked_as_this_brokers_own)
{
    struct place place;
    char a[400], b[400];
    place_init(&place, 1, "a,b", NULL);
    TRUE_(place_boot(&place));
    TRUE_(!place_exists(&place, "a/.kafka_cleanshutdown"));
    place_stop(&place);
    TRUE_(place_exists(&place, "a/.kafka_cleanshutdown") &&
          place_exists(&place, "b/.kafka_cleanshutdown"));
    for (int core = 0; core < PLACE_CORES; core++) {
        char path[32];
        snprintf(path, sizeof path, "b/journal-%d", core);
        TRUE_(place_exists(&place, path));
    }
    place_read(&place, "a/meta.properties", a);
    place_read(&place, "b/meta.properties", b);
    char *id = strstr(a, "directory.id="), *other = strstr(b, "directory.id=");
    TRUE_(id && other && strcmp(id, other) != 0);
    *id = *other = 0;
    EQ_TEXT(a, b); /* the same cluster and node */
    place_done(&place);
}

TEST(directories, of_others_or_named_twice_stop_the_start)
{
    struct place place;
    char text[400];
    place_init(&place, 2, "a,b", NULL);
    TRUE_(place_boot(&place));
    place_stop(&place);
    place_set(&place, "log.dirs", "a,b,./b/");
    refused(&place, "log.dirs names b twice");
    place_set(&place, "log.dirs", "b,a");
    refused(&place, "set metadata.log.dir=a");
    place_set(&place, "metadata.log.dir", "a");
    TRUE_(place_boot(&place));
    place_stop(&place);
    place_set(&place, "metadata.log.dir", "c");
    refused(&place, "c, where the metadata log is to lie, is new");
    place_set(&place, "metadata.log.dir", "a");
    place_set(&place, "log.dirs", "a,b,d");
    place_make_folder(&place, "d");
    place_read(&place, "b/meta.properties", text);
    place_write(&place, "d/meta.properties", text);
    refused(&place, "b and d have the same directory.id");
    place_write(&place, "d/meta.properties",
                "version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAA\nnode.id=1\n#################");
    refused(&place, "d belongs to cluster AAAAAAAAAAAAAAAAAAAAAA");
    char *node = strstr(text, "node.id=1");
    check(node);
    node[8] = '7';
    place_write(&place, "d/meta.properties", text);
    refused(&place, "d belongs to node 7, and this is node 1");
    place_done(&place);
}

/* Whichever it is: what another process writes there is not to be read, nor served without it. */
TEST(directories, that_another_process_uses_stop_the_start)
{
    struct place place;
    place_init(&place, 12, "a,b", NULL);
    TRUE_(place_boot(&place));
    place_stop(&place);
    for (int i = 0; i < 2; i++) {
        struct inode *lock =
            disk_find(place.world->machines[0]->disk, i == 0 ? "a/.lock" : "b/.lock");
        lock->locked = true;
        refused(&place, i == 0 ? "acquire the lock on file .lock in a: another broker"
                               : "acquire the lock on file .lock in b: another broker");
        lock->locked = false;
    }
    TRUE_(place_boot(&place));
    place_stop(&place);
    place_done(&place);
}

TEST(directories, that_are_new_are_taken_up)
{
    struct place place;
    place_init(&place, 3, "a", NULL);
    TRUE_(place_boot(&place));
    place_turn_topic(&place, "t1");
    EQ(place_send(&place, "t1", 0), ERROR_NONE);
    place_stop(&place);
    place_set(&place, "log.dirs", "a,b");
    TRUE_(place_boot(&place));
    place_turn_topic(&place, "t2");
    EQ(place_directory(&place, "t1", 0), 0);
    EQ(place_directory(&place, "t2", 0), 1); /* where fewer lie */
    EQ(place_directory(&place, "t2", 1), 1);
    EQ(place_count(&place, "t1", 0), 1);
    place_stop(&place);
    place_done(&place);
}

/* ---- where partitions lie ------------------------------------------------------------------ */

TEST(directories, tell_how_large_a_log_is_without_opening_it)
{
    struct place place;
    int64_t size = place_batch_bytes();
    place_init(&place, 4, "a,b", NULL);
    place.settings.log_segment_bytes = 200;
    TRUE_(place_boot(&place));
    place_turn_topic(&place, "t1");
    for (int i = 0; i < 7; i++)
        EQ(place_send(&place, "t1", 1), ERROR_NONE);
    EQ(place_size(&place, "t1", 1), 7 * size);
    EQ(place_size(&place, "t1", 0), 0);
    place_stop(&place);
    TRUE_(place_boot(&place));
    EQ(place_size(&place, "t1", 1), 7 * size);
    EQ(place_partition(&place, "t1", 1)->log->state, LOG_CLOSED);
    for (int i = 0; i < 5; i++)
        EQ(place_send(&place, "t1", 1), ERROR_NONE);
    world_kill(place.world, 0); /* some of it lies in the journal only, and a drain opens it */
    TRUE_(place_boot(&place));
    EQ(place_size(&place, "t1", 1), 12 * size);
    EQ(place_count(&place, "t1", 1), 12);
    EQ(place_size(&place, "t1", 1), 12 * size);
    place_stop(&place);
    place_done(&place);
}

TEST(directories, that_are_absent_take_only_their_own_partitions_along)
{
    struct place place;
    place_init(&place, 5, "a,b", NULL);
    TRUE_(place_boot(&place));
    place_turn_topic(&place, "t1");
    int there = place_directory(&place, "t1", 0) == 1 ? 0 : 1; /* the one that lies in b */
    EQ(place_directory(&place, "t1", there), 1);
    EQ(place_send(&place, "t1", 0), ERROR_NONE);
    EQ(place_send(&place, "t1", 1), ERROR_NONE);
    place_stop(&place);
    for (int i = 0; i < 2; i++) { /* it can't be read; it is not named */
        if (i == 0)
            world_break(place.world, 0, "b");
        else
            place_set(&place, "log.dirs", "a");
        TRUE_(place_boot(&place));
        EQ(place_count(&place, "t1", !there), 1);
        EQ(place_count(&place, "t1", there), -1);
        EQ(place_send(&place, "t1", there), ERROR_KAFKA_STORAGE_ERROR);
        EQ(place_send(&place, "t1", !there), ERROR_NONE);
        TRUE_(strstr(place.broker.warning, "1 partitions are offline"));
        place_turn_topic(&place, "t2"); /* nothing is placed there */
        EQ(place_directory(&place, "t2", 0), 0);
        EQ(place_directory(&place, "t2", 1), 0);
        place_turn_topic(&place, "t2");
        place_stop(&place);
        world_break(place.world, 0, NULL);
        place_set(&place, "log.dirs", "a,b");
        TRUE_(place_boot(&place));
        EQ(place_count(&place, "t1", there), 1);
        EQ(place_count(&place, "t1", !there), 2);
        place_stop(&place);
        TRUE_(place_boot(&place));
        EQ(place.broker.warning[0], 0);
        place_stop(&place);
        if (i == 0) { /* the same once more */
            TRUE_(place_boot(&place));
            place_turn_topic(&place, "t1");
            place_turn_topic(&place, "t1");
            there = place_directory(&place, "t1", 0) == 1 ? 0 : 1;
            EQ(place_send(&place, "t1", 0), ERROR_NONE);
            EQ(place_send(&place, "t1", 1), ERROR_NONE);
            place_stop(&place);
        }
    }
    place_done(&place);
}

TEST(directories, that_fail_are_fenced_alone_on_all_cores)
{
    struct place place;
    place_init(&place, 6, "a,b,c", NULL);
    TRUE_(place_boot(&place));
    place_turn_topic(&place, "t1");
    place_turn_topic(&place, "t2");
    const char *names[] = {"t1", "t1", "t2", "t2"};
    for (int i = 0; i < 4; i++)
        EQ(place_send(&place, names[i], i % 2), ERROR_NONE);
    int first = -1;
    for (int i = 0; i < 4; i++)
        if (place_directory(&place, names[i], i % 2) == 1)
            first = i;
    TRUE_(first >= 0);
    world_break(place.world, 0, "b");
    EQ(place_send(&place, names[first], first % 2), ERROR_KAFKA_STORAGE_ERROR);
    (void)world_run(place.world, (struct world_stop){.for_ns = 1000000000});
    for (int core = 0; core < PLACE_CORES; core++) {
        struct store **stores = place.broker.shards[core].stores;
        TRUE_(stores[1]->fenced && !stores[0]->fenced && !stores[2]->fenced);
        EQ(image_broker(&place.broker.shards[core].image, 1)->log_dir_count, 2);
    }
    for (int i = 0; i < 4; i++) {
        bool dead = place_directory(&place, names[i], i % 2) == 1;
        EQ(place_send(&place, names[i], i % 2), dead ? ERROR_KAFKA_STORAGE_ERROR : ERROR_NONE);
    }
    place_turn_topic(&place, "t3"); /* nothing is placed there any more */
    TRUE_(place_directory(&place, "t3", 0) != 1 && place_directory(&place, "t3", 1) != 1);
    TRUE_(!place.fenced);
    place_stop(&place);
    TRUE_(place_exists(&place, "a/.kafka_cleanshutdown") &&
          place_exists(&place, "c/.kafka_cleanshutdown"));
    world_break(place.world, 0, NULL);
    TRUE_(!place_exists(&place, "b/.kafka_cleanshutdown"));
    TRUE_(place_boot(&place));
    for (int i = 0; i < 4; i++) {
        bool was = place_directory(&place, names[i], i % 2) == 1;
        TRUE_(place_count(&place, names[i], i % 2) >= (was ? 1 : 2));
    }
    place_stop(&place);
    place_done(&place);
}

TEST(directories, end_the_broker_with_the_last_one_or_that_of_the_metadata)
{
    for (int i = 0; i < 2; i++) {
        struct place place;
        place_init(&place, 7, i == 0 ? "b" : "a,b", NULL);
        place_set(&place, "metadata.log.dir", "a");
        TRUE_(place_boot(&place));
        place_turn_topic(&place, "t1");
        int in = i == 0 ? 0 : place_directory(&place, "t1", 0) == 0 ? 0 : 1;
        EQ(place_send(&place, "t1", in), ERROR_NONE);
        world_break(place.world, 0, i == 0 ? "b" : "a");
        EQ(place_send(&place, "t1", in), ERROR_KAFKA_STORAGE_ERROR);
        (void)world_run(place.world, (struct world_stop){.for_ns = 1000000000});
        TRUE_(place.fenced);
        place_stop(&place);
        place_done(&place);
    }
}

TEST(directories, are_looked_through_for_what_was_moved_by_hand)
{
    struct place place;
    place_init(&place, 8, "a,b", NULL);
    TRUE_(place_boot(&place));
    place_turn_topic(&place, "t1");
    int in_a = place_directory(&place, "t1", 0) == 0 ? 0 : 1;
    const char *from = in_a == 0 ? "a/t1-0" : "a/t1-1", *to = in_a == 0 ? "b/t1-0" : "b/t1-1";
    EQ(place_send(&place, "t1", in_a), ERROR_NONE);
    place_stop(&place);
    place_move(&place, from, to);
    TRUE_(place_boot(&place));
    EQ(place_directory(&place, "t1", in_a), 1);
    EQ(place_count(&place, "t1", in_a), 1);
    EQ(image_directory_load(&place.broker.shards[1].image, place.broker.directories[1].id), 2);
    place_stop(&place);
    TRUE_(place_boot(&place)); /* it is written down */
    EQ(place_send(&place, "t1", in_a), ERROR_NONE);
    place_stop(&place);
    char text[400], path[64];
    snprintf(path, sizeof path, "%s/partition.metadata", to);
    place_read(&place, path, text);
    place_make_folder(&place, from); /* and a copy of it where it was */
    snprintf(path, sizeof path, "%s/partition.metadata", from);
    place_write(&place, path, text);
    refused(&place, "take the folder away from the one whose data is not wanted");
    place_done(&place);
}

/* The topic was deleted and made anew while the directory was away. */
TEST(directories, that_come_back_bring_no_deleted_topic_with_them)
{
    struct place place;
    place_init(&place, 9, "a,b", NULL);
    TRUE_(place_boot(&place));
    place_turn_topic(&place, "t1");
    int in_b = place_directory(&place, "t1", 0) == 1 ? 0 : 1;
    const char *folder = in_b == 0 ? "b/t1-0" : "b/t1-1";
    EQ(place_send(&place, "t1", in_b), ERROR_NONE);
    place_stop(&place);
    world_break(place.world, 0, "b");
    TRUE_(place_boot(&place));
    place_turn_topic(&place, "t1");
    place_turn_topic(&place, "t1");
    EQ(place_send(&place, "t1", in_b), ERROR_NONE);
    EQ(place_send(&place, "t1", in_b), ERROR_NONE);
    place_stop(&place);
    world_break(place.world, 0, NULL);
    TRUE_(place_exists(&place, folder));
    TRUE_(place_boot(&place));
    EQ(place_count(&place, "t1", in_b), 2);
    TRUE_(!place_exists(&place, folder));
    place_stop(&place);
    place_done(&place);
}

/* ---- every cut ----------------------------------------------------------------------------- */

/* A mark holds how many records of each partition of t1 and t2 are promised, 8 bits each. */
static bool is_kept(struct disk *disk, int64_t promised, uint64_t seed, char why[600])
{
    struct place place;
    bool kept = false;
    place_init(&place, seed, "a,b", disk);
    if (place_boot(&place)) {
        kept = true;
        for (int i = 0; i < 4; i++) {
            const char *name = i < 2 ? "t1" : "t2";
            int64_t wanted = promised >> 8 * i & 255, there = place_count(&place, name, i % 2);
            if (wanted > 0 && there < wanted) {
                kept = false;
                snprintf(why, 600, "%s-%d: %lld records, %lld promised", name, i % 2,
                         (long long)there, (long long)wanted);
            }
        }
        for (int d = 0; d < 2; d++)
            if (place.broker.directories[d].absent) {
                kept = false;
                snprintf(why, 600, "%s", place.broker.directories[d].reason);
            }
        place_stop(&place);
    } else {
        snprintf(why, 600, "%s", place.why);
    }
    place_done(&place);
    return kept;
}

static int64_t live(struct place *place)
{
    int64_t promised = 0;
    place_turn_topic(place, "t1");
    place_turn_topic(place, "t2");
    for (int round = 0; round < 12; round++) {
        for (int i = 0; i < 4; i++) {
            EQ(place_send(place, i < 2 ? "t1" : "t2", i % 2), ERROR_NONE);
            promised += (int64_t)1 << 8 * i;
            world_record_mark(place->world, 0, promised);
        }
        if (round == 5)
            (void)world_run(place->world, (struct world_stop){.for_ns = 30000000000});
    }
    return promised;
}

TEST(directories, keep_what_is_promised_at_every_cut)
{
    struct place place;
    int64_t images = 0;
    place_init(&place, 10, "a,b", NULL);
    world_record_start(place.world, 0);
    world_record_mark(place.world, 0, 0);
    TRUE_(place_boot(&place));
    (void)live(&place);
    place_stop(&place);
    struct disk_recording *recording = world_record_stop(place.world, 0);
    bool kept = true;
    for (uint32_t cut = 0; cut <= recording->count && kept; cut++) {
        static const int kinds[] = {CHOICE_OLD, CHOICE_NEW, CHOICE_RANDOM};
        for (int i = 0; i < 3 && kept; i++) {
            struct disk_choice choice =
                disk_choice_of((enum disk_choice_kind)kinds[i], cut * 7 + 1);
            char why[600] = "";
            kept = is_kept(disk_image_at(recording, cut, &choice),
                           max_i64(disk_mark_at(recording, cut), 0), 100 + cut, why);
            test_expect(kept, __FILE__, __LINE__, "cut %u, kind %d: %s", cut, kinds[i], why);
            images++;
        }
    }
    test_expect(images > 500, __FILE__, __LINE__, "%lld images", (long long)images);
    disk_recording_destroy(recording);
    place_done(&place);
}

/* ---- a Kafka node's ------------------------------------------------------------------------ */

#define OUR_MARK   "{\"version\":0,\"brokerEpoch\":-1}"
#define KAFKA_MARK "{\"version\":0,\"brokerEpoch\":17}"

static int64_t log_start(struct place *place)
{
    EQ(place_count(place, "t1", 1), 5);
    return place_partition(place, "t1", 1)->log->log_start;
}

/* It has deleted records; also where our start was cut short when it had only kept the file. */
TEST(directories, take_over_where_a_kafka_node_lets_logs_begin)
{
    char text[400];
    struct place place;
    place_init(&place, 21, "a", NULL);
    TRUE_(place_boot(&place));
    place_turn_topic(&place, "t1");
    for (int i = 0; i < 5; i++)
        EQ(place_send(&place, "t1", 1), ERROR_NONE);
    place_stop(&place);
    place_write(&place, "a/log-start-offset-checkpoint", "0\n1\nt1 1 2\n");
    place_write(&place, "a/.kafka_cleanshutdown", OUR_MARK);
    TRUE_(place_boot(&place));
    EQ(log_start(&place), 0); /* nobody but us was here: it is not what we wrote */
    place_stop(&place);
    place_write(&place, "a/log-start-offset-checkpoint", "0\n2\nt1 1 2\ngone 0 7\n");
    place_write(&place, "a/.kafka_cleanshutdown", KAFKA_MARK);
    TRUE_(place_boot(&place));
    EQ(log_start(&place), 2);
    world_kill(place.world, 0);
    TRUE_(place_boot(&place));
    EQ(log_start(&place), 2);
    place_stop(&place);
    place_read(&place, "a/log-start-offset-checkpoint", text);
    EQ_TEXT(text, "0\n1\nt1 1 2\n");
    place_write(&place, "a/log-starts.kafka", "0\n1\nt1 1 3\n");
    TRUE_(place_boot(&place));
    EQ(log_start(&place), 3);
    TRUE_(!place_exists(&place, "a/log-starts.kafka"));
    place_stop(&place);
    place_done(&place);
}
