/* Rot in the small files of a directory that tell of all its logs: each bit flipped, one at a time,
 * and a start of a whole broker on each. `log-starts` has a CRC: the start is refused with its
 * name, or the log begins where it did. Kafka's checkpoints have none: a start of ours after our
 * own stop or death needs none of them, and after a Kafka node's death they may cost a partition
 * its service, told by its name, but never a record of another, nor bring one back that was
 * deleted. */
#include "cluster/partition.h"
#include "base/memory.h"
#include "crash/damage.h"
#include "crash/place.h"
#include "sim/disk.h"
#include "storage/log_state.h"
#include "support/test.h"
#include <stdio.h>
#include <stdlib.h>

#define STARTS     "data/log-starts"
#define POINTS     "data/recovery-point-offset-checkpoint"
#define WATERMARKS "data/replication-offset-checkpoint"

struct tally {
    int bits, refused, offline, harmless;
};

/* Two partitions with five records each; the second one begins at 2, which `log-starts` tells. */
static struct disk *make_disk(const char *mark)
{
    struct place place;
    place_init(&place, 31, "data", NULL);
    TRUE_(place_boot(&place));
    place_turn_topic(&place, "t1");
    for (int i = 0; i < 10; i++)
        EQ(place_send(&place, "t1", i % 2), ERROR_NONE);
    place_stop(&place);
    place_write(&place, "data/log-start-offset-checkpoint", "0\n1\nt1 1 2\n");
    place_write(&place, "data/.kafka_cleanshutdown", "{\"version\":0,\"brokerEpoch\":17}");
    TRUE_(place_boot(&place));
    place_stop(&place);
    TRUE_(place_exists(&place, STARTS) && place_exists(&place, POINTS) &&
          place_exists(&place, WATERMARKS));
    place_move(&place, "data/.kafka_cleanshutdown", mark);
    world_kill(place.world, 0);
    struct disk *disk = disk_clone(place.world->machines[0]->disk);
    place_done(&place);
    return disk;
}

static void look(struct place *place, const char *path, struct tally *tally, int bit)
{
    const struct partition *second;
    if (!place_boot(place)) {
        test_expect(strcmp(path, STARTS) == 0 && strstr(place->why, STARTS), __FILE__, __LINE__,
                    "%s, bit %d: %s", path, bit, place->why);
        tally->refused++;
        return;
    }
    int64_t first_count = place_count(place, "t1", 0), second_count = place_count(place, "t1", 1);
    second = place_partition(place, "t1", 1);
    bool right = first_count == 5 && second_count == 5 && second->log->log_start == 2;
    bool told = strcmp(path, POINTS) == 0 && place->broker.sentences &&
                (first_count == 5 || first_count == -1) &&
                (second_count == 5 || second_count == -1);
    test_expect(right || told, __FILE__, __LINE__, "%s, bit %d: %lld and %lld records, from %lld",
                path, bit, (long long)first_count, (long long)second_count,
                (long long)second->log->log_start);
    tally->harmless += right;
    tally->offline += !right;
    place_stop(place);
}

static struct tally flip_each(const struct disk *disk, const char *path)
{
    struct tally tally = {0};
    char text[400];
    for (int bit = 0;; bit++) {
        struct place place;
        place_init(&place, 31, "data", disk_clone(disk));
        memset(text, 0, sizeof text);
        place_read(&place, path, text);
        if (bit >= 8 * (int)strlen(text)) {
            place_done(&place);
            return tally;
        }
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        if (text[bit / 8]) { /* place_write takes text */
            tally.bits++;
            place_write(&place, path, text);
            look(&place, path, &tally, bit);
        }
        memory_free(place.broker.sentences);
        place_done(&place);
    }
}

static void run(const char *name, const char *mark, bool needs_points)
{
    struct disk *disk = make_disk(mark);
    struct tally starts = flip_each(disk, STARTS), points = flip_each(disk, POINTS),
                 watermarks = flip_each(disk, WATERMARKS);
    printf("%s: log-starts %d bits, %d refused; recovery points %d, %d offline; watermarks %d\n",
           name, starts.bits, starts.refused, points.bits, points.offline, watermarks.bits);
    TRUE_(starts.refused > starts.bits / 2);
    EQ(points.offline > 0, needs_points);
    TRUE_(watermarks.bits > 0 && watermarks.harmless == watermarks.bits);
    disk_destroy(disk);
}

TEST(rot_small, of_each_bit_after_a_clean_stop)
{
    run("stopped", "data/.kafka_cleanshutdown", false);
}

TEST(rot_small, of_each_bit_after_our_death)
{
    run("died", "data/.bole_running", false);
}

TEST(rot_small, of_each_bit_after_a_kafka_nodes_death)
{
    run("died as Kafka's", "data/gone", true);
}

/* Moves the snapshots of producers away, lest a replay begin at one. */
static void hide_snapshots(struct place *place, int round)
{
    for (int offset = 1; offset <= 40; offset++) {
        char path[80], to[40];
        snprintf(path, sizeof path, "data/t-0/%020d.snapshot", offset);
        snprintf(to, sizeof to, "data/aside-%d-%d", round, offset);
        if (place_exists(place, path))
            place_move(place, path, to);
    }
}

/* Of the first closed segment's last batch: nothing behind it in the file says that it is wrong. A
 * replay that believed it would know nothing of the producers in later segments. */
TEST(rot, in_the_base_offset_of_a_segments_last_batch_makes_a_replay_fail)
{
    char path[80];
    int next = 0;
    struct place place;
    place_init(&place, 32, "data", NULL);
    place.settings.log_segment_bytes = 1024;
    TRUE_(place_boot(&place));
    place_turn_topic(&place, "t");
    for (int i = 0; i < 40; i++)
        EQ(place_send(&place, "t", 0), ERROR_NONE);
    place_stop(&place);
    hide_snapshots(&place, 1);
    TRUE_(place_boot(&place));
    EQ(place_count(&place, "t", 0), 40);
    place_stop(&place);
    hide_snapshots(&place, 2);
    do
        snprintf(path, sizeof path, "data/t-0/%020d.log", ++next);
    while (next < 40 && !place_exists(&place, path));
    TRUE_(next < 40);
    struct disk *disk = place.world->machines[0]->disk;
    damage_flip(disk, disk_find(disk, "data/t-0/00000000000000000000.log"),
                8 * (next - 1) * place_batch_bytes() + 1);
    TRUE_(place_boot(&place));
    EQ(place_count(&place, "t", 0), -1);
    place_stop(&place);
    place_done(&place);
}
