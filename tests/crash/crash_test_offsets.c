/* The two checkpoint files of offsets that a broker writes for Kafka: while it runs they lag and
 * never say too much, after a clean stop they are right, also of logs that nobody has opened. */
#include "base/check.h"
#include "base/memory.h"
#include "cluster/machine.h"
#include "cluster/partition.h"
#include "crash/place.h"
#include "protocol/batch.h"
#include "protocol/messages.h"
#include "sim/disk.h"
#include "storage/offset_checkpoint.h"
#include "storage/store.h"
#include "support/test.h"
#include <stdio.h>

#define WATERMARKS      "data/replication-offset-checkpoint"
#define RECOVERY_POINTS "data/recovery-point-offset-checkpoint"

enum { PARTITIONS = 600 /* more than one turn gathers */ };

struct work {
    struct flow flow;
    struct waiter waiter;
    struct machine_request request;
    struct arena arena;
    struct place *place;
    struct partition *partition;
    struct log_append_result appended;
    int32_t records, phase;
    bool ended;
};

static void decide(struct machine_request *request, const struct image *image)
{
    (void)image;                /* there is none yet */
    static int32_t replica = 1; /* read only */
    struct topic_record *topic = record_list_add(&request->records, &topic_record_message);
    topic->name = STRING("t");
    memcpy(topic->topic_id.bytes, "offsets of topic", 16);
    for (int32_t i = 0; i < PARTITIONS; i++) {
        struct partition_record *partition =
            record_list_add(&request->records, &partition_record_message);
        partition->partition_id = i;
        partition->topic_id = topic->topic_id;
        partition->replicas = partition->isr = &replica;
        partition->replicas_count = partition->isr_count = 1;
        partition->leader = 1;
    }
}

static enum step make_topic(struct flow *flow)
{
    struct work *work = CONTAINER_OF(flow, struct work, flow);
    work->request = (struct machine_request){.handle = decide, .arena = &work->arena};
    machine_start(&work->request, &work->place->broker.shards[0], flow);
    return STEP_NEXT;
}

static enum step append(struct flow *flow)
{
    struct work *work = CONTAINER_OF(flow, struct work, flow);
    enum error error = partition_open(work->partition, &work->waiter, flow);
    if (!error && work->phase == 0) {
        uint8_t bytes[4096];
        struct batch_builder builder;
        batch_builder_init(&builder, bytes, sizeof bytes);
        for (int i = 0; i < work->records; i++) {
            struct record record = {.timestamp = 1700000000000, .value = {bytes, 0}};
            check(batch_builder_add(&builder, &record) == ERROR_NONE);
        }
        batch_builder_end(&builder, &BATCH_FIELDS_PLAIN);
        error =
            partition_append(work->partition, (struct bytes){bytes, (int32_t)builder.size_bytes},
                             &work->appended, &work->waiter, flow);
        work->phase = !error;
    }
    if (!error)
        error = partition_await(work->partition, work->appended.end_offset, &work->waiter, flow);
    check(!error || error == ERROR_WOULD_WAIT);
    return error ? STEP_AGAIN : STEP_NEXT;
}

static enum step work_end(struct flow *flow)
{
    CONTAINER_OF(flow, struct work, flow)->ended = true;
    return STEP_NEXT;
}

static const struct flow_kind topic_kind = {"topic", {{"make", make_topic}, {"end", work_end}}};
static const struct flow_kind append_kind = {"append", {{"append", append}, {"end", work_end}}};

static bool has_ended(void *argument)
{
    return ((const struct work *)argument)->ended;
}

static void run(struct work *work, const struct flow_kind *kind, struct core *core)
{
    work->ended = false;
    work->phase = 0;
    flow_start(&work->flow, kind, core);
    world_notice(work->place->world, core);
    TRUE_(world_run(work->place->world, (struct world_stop){has_ended, work, PLACE_EVENTS_MAX, 0}));
}

static void append_to(struct work *work, int32_t index, int32_t records)
{
    struct uuid id;
    memcpy(id.bytes, "offsets of topic", 16);
    work->partition = NULL;
    for (int i = 0; i < PLACE_CORES && !work->partition; i++)
        work->partition = partition_find(&work->place->broker.shards[i], id, index);
    check(work->partition);
    work->records = records;
    run(work, &append_kind, &work->partition->shard->core);
}

/* What the file says of a partition; -1: nothing, -2: the file is not there, or not whole. */
static int64_t said(struct place *place, const char *path, int32_t index)
{
    struct disk *disk = place->world->machines[0]->disk;
    struct inode *inode = disk_find(disk, path);
    if (!inode)
        return -2;
    uint8_t *text = memory_zeroed((size_t)inode->size + 1);
    check(disk_read(disk, inode, 0, text, (size_t)inode->size) == inode->size);
    struct offset_checkpoint checkpoint;
    int64_t offset = -2;
    if (offset_checkpoint_read(&checkpoint, (struct bytes){text, (int32_t)inode->size}) ==
        ERROR_NONE)
        offset = offset_checkpoint_get(&checkpoint, STRING("t"), index);
    offset_checkpoint_done(&checkpoint);
    memory_free(text);
    return offset;
}

static void pass_seconds(struct place *place, int64_t seconds)
{
    world_run(place->world,
              (struct world_stop){.events = PLACE_EVENTS_MAX, .for_ns = seconds * 1000000000});
}

TEST(offsets, of_a_broker_are_written_for_kafka)
{
    struct place *place = memory_zeroed(sizeof *place);
    struct work *work = memory_zeroed(sizeof *work);
    place_init_metadata(place, 5, NULL);
    place->settings.journal_bytes = place->settings.journal_initial_bytes = 1 << 20;
    work->place = place;
    arena_init(&work->arena, 8 << 20);
    TRUE_(place_boot(place));
    run(work, &topic_kind, &place->broker.shards[0].core);
    EQ(work->request.error, ERROR_NONE);
    append_to(work, 0, 7);
    append_to(work, 599, 3);
    EQ(said(place, WATERMARKS, 0), -2);
    pass_seconds(place, 6); /* of the interval, 5 */
    EQ(said(place, WATERMARKS, 0), 7);
    EQ(said(place, WATERMARKS, 599), 3);
    EQ(said(place, WATERMARKS, 1), -1);
    EQ(said(place, RECOVERY_POINTS, 0), -2);
    append_to(work, 0, 2);
    pass_seconds(place, 60); /* checkpoints have emptied the journal meanwhile */
    EQ(said(place, WATERMARKS, 0), 9);
    EQ(said(place, RECOVERY_POINTS, 0), 9);
    append_to(work, 0, 1);
    pass_seconds(place, 6);
    EQ(said(place, WATERMARKS, 0), 10);
    EQ(said(place, RECOVERY_POINTS, 0), 9); /* never too much */
    place_stop(place);
    EQ(said(place, WATERMARKS, 0), 10);
    EQ(said(place, RECOVERY_POINTS, 0), 10);
    TRUE_(place_boot(place)); /* nobody opens them */
    pass_seconds(place, 70);
    append_to(work, 1, 4);
    place_stop(place);
    EQ(said(place, WATERMARKS, 0), 10);
    EQ(said(place, RECOVERY_POINTS, 0), 10);
    EQ(said(place, RECOVERY_POINTS, 599), 3);
    EQ(said(place, WATERMARKS, 1), 4);
    EQ(said(place, RECOVERY_POINTS, 1), 4);
    place_done(place);
    arena_done(&work->arena);
    memory_free(work);
    memory_free(place);
}
