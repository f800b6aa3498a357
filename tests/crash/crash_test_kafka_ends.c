/* What a Kafka node that died has left (storage/kafka_ends.h), on a disk of the world: logs by
 * themselves, and a whole broker that starts on them. */
#include "base/check.h"
#include "base/memory.h"
#include "cluster/partition.h"
#include "crash/place.h"
#include "protocol/batch.h"
#include "storage/aside.h"
#include "storage/kafka_ends.h"
#include "storage/log_state.h"
#include "support/test.h"
#include <stdio.h>

enum { SEGMENT_BATCHES = 10, FILE_BYTES = 1 << 16 };

/* ---- files --------------------------------------------------------------------------------- */

static struct port *port_of(struct place *place)
{
    if (!place->world->machines[0]->running)
        world_start(place->world, 0);
    return world_port(place->world, 0, 0);
}

static int64_t size_of(struct place *place, const char *path)
{
    struct file_stat stat;
    struct op op = {.kind = OP_STAT, .path = path, .data = &stat};
    return port_call(port_of(place), &op) < 0 ? -1 : stat.size_bytes;
}

static void write_at(struct place *place, const char *path, int64_t offset, const void *data,
                     int64_t size)
{
    struct port *port = port_of(place);
    struct op open = {.kind = OP_OPEN, .path = path, .flags = OPEN_WRITE | OPEN_CREATE};
    int64_t handle = port_call(port, &open);
    struct iovec vector = {(void *)(uintptr_t)data, (size_t)size};
    struct op write = {.kind = OP_WRITE,
                       .handle = (int32_t)handle,
                       .vectors = &vector,
                       .vector_count = 1,
                       .offset = offset};
    EQ(port_call(port, &write), size);
    struct op close = {.kind = OP_CLOSE, .handle = (int32_t)handle};
    (void)port_call(port, &close);
}

static void flush_all(struct place *place)
{
    struct port *port = port_of(place);
    struct op open = {.kind = OP_OPEN, .path = "data", .flags = OPEN_READ | OPEN_DIRECTORY};
    int64_t handle = port_call(port, &open);
    struct op flush = {.kind = OP_FLUSH_ALL, .handle = (int32_t)handle};
    EQ(port_call(port, &flush), 0);
    struct op close = {.kind = OP_CLOSE, .handle = (int32_t)handle};
    (void)port_call(port, &close);
}

static void remove_file(struct place *place, const char *path)
{
    struct op remove = {.kind = OP_REMOVE, .path = path};
    EQ(port_call(port_of(place), &remove), 0);
}

/* Batches of one record for the offsets [first, end) into a file; the size of each. */
static int32_t write_segment(struct place *place, const char *path, int64_t first, int64_t end)
{
    uint8_t data[256];
    int32_t size = 0;
    for (int64_t offset = first; offset < end; offset++) {
        struct batch_builder builder;
        struct record record = {.key = BYTES_NULL, .value = {(const uint8_t *)"value", 5}};
        batch_builder_init(&builder, data, sizeof data);
        EQ(batch_builder_add(&builder, &record), ERROR_NONE);
        struct batch_fields fields = BATCH_FIELDS_PLAIN;
        fields.base_offset = offset;
        fields.leader_epoch = 3;
        batch_builder_end(&builder, &fields);
        size = (int32_t)builder.size_bytes;
        write_at(place, path, (offset - first) * size, data, size);
    }
    return size;
}

/* ---- logs ---------------------------------------------------------------------------------- */

#define LOG "data/t-0/"

/* Three segments of ten batches each; all below `point` was flushed. */
static int32_t make_log(struct place *place, uint64_t seed, int point)
{
    char points[64];
    place_init(place, seed, "data", NULL);
    place_make_folder(place, "data");
    place_make_folder(place, "data/t-0");
    snprintf(points, sizeof points, "0\n1\nt 0 %d\n", point);
    place_write(place, "data/recovery-point-offset-checkpoint", points);
    place_write(place, LOG "partition.metadata", "version: 0\ntopic_id: AQIDBAUGBwgJCgsMDQ4PEA\n");
    place_write(place, LOG "00000000000000000000.index", "12345678");
    place_write(place, LOG "00000000000000000010.index", "12345678");
    place_write(place, LOG "00000000000000000010.timeindex", "123456789012");
    place_write(place, LOG "00000000000000000010.txnindex", "?");
    place_write(place, LOG "00000000000000000020.txnindex", "?");
    place_write(place, LOG "00000000000000000010.snapshot", "?");
    place_write(place, LOG "00000000000000000020.snapshot", "?");
    write_segment(place, LOG "00000000000000000000.log", 0, 10);
    write_segment(place, LOG "00000000000000000020.log", 20, 30);
    int32_t size = write_segment(place, LOG "00000000000000000010.log", 10, 20);
    flush_all(place);
    return size;
}

/* A bit of the batch's value flips. */
static void spoil(struct place *place, const char *path, int32_t size, int batch)
{
    write_at(place, path, batch * size + BATCH_RECORDS_AT + 2, "x", 1);
    flush_all(place);
}

static void cut(struct place *place, struct kafka_ends *ends)
{
    memory_free(ends->sentences);
    EQ(kafka_ends_cut(port_of(place), "data", NULL, ends), ERROR_NONE);
    EQ(ends->logs, 1);
}

static void done(struct place *place, struct kafka_ends *ends)
{
    memory_free(ends->sentences);
    place_done(place);
}

static void moved(struct recovery_progress *progress, struct port *port)
{
    (void)progress;
    (void)port;
}

static uint64_t counted(struct recovery_progress *progress, enum recovery_counter counter)
{
    return atomic_load(&progress->counters[counter]);
}

TEST(kafka_ends, logs_belong_to_one_share_each_and_are_read_from_their_recovery_points_on)
{
    enum { OTHERS = 5, SHARES = 2 };
    struct place place;
    struct recovery_progress progress = {.moved = moved};
    struct kafka_ends ends[SHARES] = {0};
    int32_t size = make_log(&place, 1, 12);
    for (int i = 1; i <= OTHERS; i++) {
        char path[64];
        snprintf(path, sizeof path, "data/t-%d", i);
        place_make_folder(&place, path);
        snprintf(path, sizeof path, "data/t-%d/00000000000000000000.log", i);
        write_segment(&place, path, 0, 10); /* of which no recovery point is told */
    }
    flush_all(&place);
    for (int i = 0; i < SHARES; i++) {
        struct kafka_share share = {i, SHARES, &progress, NULL};
        EQ(kafka_ends_cut(port_of(&place), "data", &share, &ends[i]), ERROR_NONE);
        TRUE_(ends[i].logs > 0);
    }
    EQ(ends[0].logs + ends[1].logs, 1 + OTHERS);
    EQ(counted(&progress, RECOVERY_LOGS), 1 + OTHERS);
    EQ(counted(&progress, RECOVERY_LOGS_RECOVERED), 1 + OTHERS);
    EQ(counted(&progress, RECOVERY_SEGMENT_BYTES), (2 + OTHERS) * SEGMENT_BATCHES * size);
    memory_free(ends[1].sentences);
    done(&place, &ends[0]);
}

/* Another share fails once this one has made its first log whole. */
struct failing {
    struct recovery_progress progress;
    struct recovery_halt halt;
};

static void fail_another(struct recovery_progress *progress, struct port *port)
{
    (void)port;
    struct failing *failing = CONTAINER_OF(progress, struct failing, progress);
    if (counted(progress, RECOVERY_LOGS_RECOVERED) > 0)
        recovery_failed(&failing->halt, 1);
}

TEST(kafka_ends, share_is_given_up_once_another_has_failed)
{
    enum { OTHERS = 5 };
    struct place place;
    struct failing failing = {.progress = {.moved = fail_another}};
    struct kafka_share share = {0, 1, &failing.progress, &failing.halt};
    struct kafka_ends ends = {0};
    (void)make_log(&place, 1, 12);
    for (int i = 1; i <= OTHERS; i++) {
        char path[64];
        snprintf(path, sizeof path, "data/t-%d", i);
        place_make_folder(&place, path);
        snprintf(path, sizeof path, "data/t-%d/00000000000000000000.log", i);
        write_segment(&place, path, 0, 10);
    }
    flush_all(&place);
    EQ(kafka_ends_cut(port_of(&place), "data", &share, &ends), ERROR_CANCELLED);
    EQ(counted(&failing.progress, RECOVERY_LOGS_RECOVERED), 1);
    memory_free(ends.sentences);
    EQ(kafka_ends_cut(port_of(&place), "data", &share, &ends), ERROR_CANCELLED);
    EQ(ends.logs, 0);
    memory_free(ends.sentences);
    EQ(kafka_ends_cut(port_of(&place), "data", NULL, &ends), ERROR_NONE);
    EQ(ends.logs, 1 + OTHERS);
    done(&place, &ends);
}

TEST(kafka_ends, log_that_is_whole_loses_only_what_may_be_torn)
{
    struct place place;
    struct kafka_ends ends = {0};
    int32_t size = make_log(&place, 1, 12);
    cut(&place, &ends);
    EQ(ends.cut + ends.set_aside, 0);
    TRUE_(!ends.sentences);
    EQ(size_of(&place, LOG "00000000000000000010.log"), 10 * size);
    EQ(size_of(&place, LOG "00000000000000000020.log"), 10 * size);
    EQ(size_of(&place, LOG "00000000000000000000.index"), 8); /* below the recovery point */
    EQ(size_of(&place, LOG "00000000000000000010.index"), -1);
    EQ(size_of(&place, LOG "00000000000000000010.timeindex"), -1);
    EQ(size_of(&place, LOG "00000000000000000010.txnindex"), 1); /* in part below it */
    EQ(size_of(&place, LOG "00000000000000000020.txnindex"), -1);
    EQ(size_of(&place, LOG "00000000000000000010.snapshot"), 1);
    EQ(size_of(&place, LOG "00000000000000000020.snapshot"), -1);
    done(&place, &ends);
}

TEST(kafka_ends, log_ends_at_its_last_whole_batch_and_what_follows_is_kept_aside)
{
    struct place place;
    struct kafka_ends ends = {0};
    int32_t size = make_log(&place, 2, 14);
    spoil(&place, LOG "00000000000000000010.log", size, 4);
    for (int again = 0; again < 2; again++) {
        cut(&place, &ends);
        EQ(ends.cut, again == 0);
        EQ(ends.set_aside, 0);
        EQ(size_of(&place, LOG "00000000000000000010.log"), 4 * size);
        EQ(size_of(&place, LOG "00000000000000000020.log"), -1);
        EQ(size_of(&place, LOG "00000000000000000020.log.damaged"), 10 * size);
        EQ(size_of(&place, LOG "00000000000000000000.log"), 10 * size);
        if (again == 0)
            TRUE_(strstr(ends.sentences, "10.log, position ") &&
                  strstr(ends.sentences, "CRC does not match") &&
                  strstr(ends.sentences, "the log ends at offset 14\n") &&
                  strstr(ends.sentences, "20.log lies behind what was cut"));
    }
    TRUE_(!ends.sentences);
    done(&place, &ends);
}

/* What a file system leaves of writes that did not reach the disk. */
TEST(kafka_ends, torn_end_of_any_form_is_cut)
{
    static const uint8_t zeros[5000];
    static const uint8_t huge[100] = {[7] = 30, [8] = 0x7f, 0xff, 0xff, 0xff, [16] = 2};
    static const uint8_t far[100] = {0x7f, [11] = 88, [16] = 2};
    static const struct {
        const void *data;
        int32_t size;
    } ends_of[] = {{zeros, sizeof zeros}, {zeros, 1}, {huge, sizeof huge}, {huge, 17},
                   {far, sizeof far},     {"x", 1}};
    for (int i = 0; i < ARRAY_COUNT(ends_of); i++) {
        struct place place;
        struct kafka_ends ends = {0};
        int32_t size = make_log(&place, 10 + (uint64_t)i, 20);
        write_at(&place, LOG "00000000000000000020.log", 10 * size, ends_of[i].data,
                 ends_of[i].size);
        cut(&place, &ends);
        EQ(ends.cut, 1);
        EQ(size_of(&place, LOG "00000000000000000020.log"), 10 * size);
        done(&place, &ends);
    }
}

/* A batch within it was flushed, so it is no torn end. */
TEST(kafka_ends, damage_below_the_recovery_point_is_never_cut)
{
    struct place place;
    struct kafka_ends ends = {0};
    struct aside aside;
    char file[FILE_BYTES];
    int32_t size = make_log(&place, 3, 15);
    spoil(&place, LOG "00000000000000000010.log", size, 4);
    for (int again = 0; again < 2; again++) {
        cut(&place, &ends);
        EQ(ends.cut, 0);
        EQ(ends.set_aside, 1);
        TRUE_(strstr(ends.sentences, "10.log, position ") && strstr(ends.sentences, "CRC") &&
              strstr(ends.sentences, "below what a Kafka node had flushed"));
        EQ(size_of(&place, LOG "00000000000000000010.log"), 10 * size);
        EQ(size_of(&place, LOG "00000000000000000020.log"), 10 * size);
        EQ(size_of(&place, LOG "00000000000000000010.index"), 8);
    }
    int64_t at = size_of(&place, LOG "00000000000000000010.journal");
    place_read(&place, LOG "00000000000000000010.journal", file);
    EQ(aside_decode((struct bytes){(const uint8_t *)file, (int32_t)at}, &aside), ERROR_NONE);
    EQ(aside.topic_id.bytes[0], 1);
    done(&place, &ends);
}

TEST(kafka_ends, log_that_has_lost_what_was_flushed_is_set_aside)
{
    struct place place;
    struct kafka_ends ends = {0};
    make_log(&place, 4, 31);
    cut(&place, &ends);
    EQ(ends.set_aside, 1);
    TRUE_(strstr(ends.sentences, "ends at offset 30, and a Kafka node had flushed up to 31"));
    done(&place, &ends);
}

TEST(kafka_ends, log_whose_deleted_records_were_not_flushed_goes_on_at_its_start)
{
    struct place place;
    struct kafka_ends ends = {0};
    int32_t size = make_log(&place, 5, 20);
    place_write(&place, "data/log-start-offset-checkpoint", "0\n1\nt 0 33\n");
    for (int again = 0; again < 2; again++) {
        cut(&place, &ends);
        EQ(ends.sentences != NULL, again == 0);
        EQ(size_of(&place, LOG "00000000000000000020.log"), 10 * size);
        EQ(size_of(&place, LOG "00000000000000000033.log"), 0);
    }
    done(&place, &ends);
}

static void crash_once(struct world *world, void *argument)
{
    int *left = argument;
    if (--*left == 0)
        world_crash(world, 0);
}

/* Power is lost at every event of it, and it is done again. */
TEST(kafka_ends, cut_may_be_interrupted_anywhere)
{
    bool interrupted = true;
    for (int at = 1; interrupted; at++) {
        struct place place;
        struct kafka_ends ends = {0};
        int32_t size = make_log(&place, 100 + (uint64_t)at, 14);
        int left = at;
        spoil(&place, LOG "00000000000000000010.log", size, 4);
        world_on_event(place.world, crash_once, &left);
        enum error error = kafka_ends_cut(port_of(&place), "data", NULL, &ends);
        world_on_event(place.world, NULL, NULL);
        interrupted = error != ERROR_NONE;
        cut(&place, &ends);
        EQ(size_of(&place, LOG "00000000000000000000.log"), 10 * size);
        EQ(size_of(&place, LOG "00000000000000000010.log"), 4 * size);
        EQ(size_of(&place, LOG "00000000000000000020.log"), -1);
        EQ(size_of(&place, LOG "00000000000000000020.log.damaged"), 10 * size);
        EQ(size_of(&place, LOG "00000000000000000020.snapshot"), -1);
        TRUE_(interrupted || at > 20);
        done(&place, &ends);
    }
}

/* ---- a broker ------------------------------------------------------------------------------ */

#define METADATA_LOG "data/__cluster_metadata-0/00000000000000000000.log"
#define RECORDS      "data/t-0/00000000000000000000.log"

static const uint8_t torn[100] = {0, 0, 0, 0, 0, 0, 0, 99};

static bool boot(struct place *place)
{
    memory_free(place->broker.sentences);
    return place_boot(place);
}

static bool says(const struct place *place, const char *text)
{
    return place->broker.sentences && strstr(place->broker.sentences, text);
}

/* With five records in t-0, stopped in order; then as a Kafka node leaves it that died. */
static void make_directory(struct place *place, uint64_t seed)
{
    place_init(place, seed, "data", NULL);
    TRUE_(place_boot(place));
    TRUE_(!place->broker.sentences);
    place_turn_topic(place, "t");
    for (int i = 0; i < 5; i++)
        EQ(place_send(place, "t", 0), ERROR_NONE);
    place_stop(place);
    TRUE_(!place_exists(place, "data/.bole_running"));
    remove_file(place, "data/.kafka_cleanshutdown");
}

TEST(kafka_ends, broker_takes_up_what_a_kafka_node_left_that_died)
{
    struct place place;
    make_directory(&place, 6);
    int64_t size = size_of(&place, METADATA_LOG);
    write_at(&place, RECORDS, size_of(&place, RECORDS), torn, sizeof torn);
    write_at(&place, METADATA_LOG, size, torn, sizeof torn);
    place_write(&place, "data/log-start-offset-checkpoint", "0\n1\nt 0 2\n");
    place_make_folder(&place, "data/stray-3");
    TRUE_(boot(&place));
    TRUE_(says(&place, "t-0/00000000000000000000.log, position ") &&
          says(&place, "100 bytes are cut, the log ends at offset 5\n") &&
          says(&place, METADATA_LOG ", position "));
    TRUE_(place_exists(&place, "data/.bole_running"));
    EQ(place_count(&place, "t", 0), 5);
    EQ(place_partition(&place, "t", 0)->log->log_start, 2);
    EQ(place_send(&place, "t", 0), ERROR_NONE);
    TRUE_(place_exists(&place, "data/stray-3.00000000000000000000000000000000-stray"));
    world_kill(place.world, 0); /* now it is ours that died */
    TRUE_(boot(&place));
    TRUE_(!place.broker.sentences);
    EQ(place_count(&place, "t", 0), 6);
    place_stop(&place);
    TRUE_(!place_exists(&place, "data/.bole_running"));
    place_done(&place);
}

TEST(kafka_ends, end_of_a_log_of_ours_is_never_cut)
{
    struct place place;
    make_directory(&place, 7);
    place_write(&place, "data/.bole_running", "");
    write_at(&place, RECORDS, size_of(&place, RECORDS), torn, sizeof torn);
    TRUE_(boot(&place));
    TRUE_(!place.broker.sentences);
    EQ(place_count(&place, "t", 0), -1);
    place_stop(&place);
    remove_file(&place, "data/.kafka_cleanshutdown");
    place_write(&place, "data/.bole_running", "");
    write_at(&place, METADATA_LOG, size_of(&place, METADATA_LOG), torn, sizeof torn);
    TRUE_(!boot(&place));
    TRUE_(strstr(place.why, "damaged"));
    place_done(&place);
}

/* Of a version of ours that left no mark when it died. */
TEST(kafka_ends, directory_whose_journals_hold_anything_is_ours)
{
    struct place place;
    place_init(&place, 8, "data", NULL);
    TRUE_(place_boot(&place));
    place_turn_topic(&place, "t");
    EQ(place_send(&place, "t", 0), ERROR_NONE);
    world_kill(place.world, 0);
    remove_file(&place, "data/.bole_running");
    place_make_folder(&place, "data/gone-3");
    TRUE_(boot(&place));
    TRUE_(!place.broker.sentences && place_exists(&place, "data/.bole_running"));
    TRUE_(!place_exists(&place, "data/gone-3"));
    EQ(place_count(&place, "t", 0), 1);
    place_stop(&place);
    place_done(&place);
}

TEST(kafka_ends, damage_within_the_metadata_log_refuses_the_start)
{
    struct place place;
    make_directory(&place, 9);
    int64_t size = size_of(&place, METADATA_LOG);
    write_at(&place, METADATA_LOG, BATCH_RECORDS_AT + 4, "\xff", 1); /* of the first batch */
    for (int again = 0; again < 2; again++) {
        TRUE_(!boot(&place));
        TRUE_(strstr(place.why, METADATA_LOG ", position 0: ") &&
              strstr(place.why, "nothing was cut"));
        EQ(size_of(&place, METADATA_LOG), size);
        TRUE_(!place_exists(&place, "data/.bole_running"));
    }
    place_done(&place);
}

TEST(kafka_ends, partition_damaged_below_its_recovery_point_is_offline_and_others_serve)
{
    struct place place;
    make_directory(&place, 20);
    write_at(&place, RECORDS, BATCH_RECORDS_AT + 4, "\xff", 1);
    for (int again = 0; again < 2; again++) {
        TRUE_(boot(&place));
        EQ(says(&place, RECORDS ", position 0: a batch's CRC does not match"), again == 0);
        EQ(place_count(&place, "t", 0), -1);
        TRUE_(strstr(place_partition(&place, "t", 0)->log->fault, "below what a Kafka node"));
        EQ(place_send(&place, "t", 1), ERROR_NONE);
        place_stop(&place);
    }
    memory_free(place.broker.sentences);
    place_done(&place);
}
