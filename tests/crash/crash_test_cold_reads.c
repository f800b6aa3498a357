/* Reads of closed segments beside a journal whose writes take a second each: from the page cache at
 * once, from the disk between two writes. */
#include "base/check.h"
#include "base/memory.h"
#include "cluster/partition.h"
#include "crash/place.h"
#include "storage/log_state.h"
#include "storage/store.h"
#include "support/test.h"

enum { RECORDS = 60, SEGMENT_BYTES = 1024 };

static const int64_t second_ns = 1000000000;

/* Reads a log's closed segments from end to end. */
struct reading {
    struct flow flow;
    struct log_read read;
    struct log *log;
    int64_t offset, end;
    bool reads, ended;
};

static enum step reading_read(struct flow *flow)
{
    struct reading *reading = CONTAINER_OF(flow, struct reading, flow);
    struct log_read *read = &reading->read;
    if (!reading->reads)
        *read = (struct log_read){.log = reading->log,
                                  .offset = reading->offset,
                                  .end_offset = reading->end,
                                  .max_bytes = SEGMENT_BYTES,
                                  .at_least_one = true};
    reading->reads = !log_read_step(read, flow);
    if (reading->reads)
        return STEP_AGAIN;
    EQ(read->error, ERROR_NONE);
    TRUE_(read->next_offset > reading->offset);
    bool moved = read->next_offset > reading->offset;
    reading->offset = read->next_offset;
    log_read_done(read);
    return moved && reading->offset < reading->end ? STEP_AGAIN : STEP_NEXT;
}

static enum step reading_end(struct flow *flow)
{
    CONTAINER_OF(flow, struct reading, flow)->ended = true;
    return STEP_NEXT;
}

static const struct flow_kind reading_flow = {"reading",
                                              {{"read", reading_read}, {"end", reading_end}}};

static bool has_ended(void *argument)
{
    return *(bool *)argument;
}

struct scene {
    struct place place;
    struct log *log;
    struct reading reading;
};

/* A partition with closed segments of which nothing is in memory, and nobody at work. */
static struct scene *begin(bool cache_untold)
{
    struct scene *scene = memory_zeroed(sizeof *scene);
    place_init(&scene->place, 1, "data", NULL);
    scene->place.world->settings.cache_untold = cache_untold;
    scene->place.settings.log_segment_bytes = SEGMENT_BYTES;
    check(place_boot(&scene->place));
    place_turn_topic(&scene->place, "t");
    for (int i = 0; i < RECORDS; i++)
        EQ(place_send(&scene->place, "t", 0), ERROR_NONE);
    world_run(scene->place.world, (struct world_stop){.for_ns = 30 * second_ns});
    scene->log = place_partition(&scene->place, "t", 0)->log;
    TRUE_(scene->log->segment_count > 3 && !scene->log->oldest);
    for (int i = 0; i + 1 < scene->log->segment_count; i++)
        TRUE_(scene->log->segments[i]->sealed);
    return scene;
}

static void end(struct scene *scene)
{
    scene->place.world->settings.latency[OP_WRITE] = (struct world_range){1000, 100000};
    place_stop(&scene->place);
    place_done(&scene->place);
    memory_free(scene);
}

static void start_reading(struct scene *scene)
{
    struct log *log = scene->log;
    struct core *core = log->store->core;
    scene->reading =
        (struct reading){.log = log, .end = log->segments[log->segment_count - 1]->base_offset};
    flow_start(&scene->reading.flow, &reading_flow, core);
    world_notice(scene->place.world, core);
}

/* False: not in so long. */
static bool ends_within(struct scene *scene, int64_t for_ns)
{
    return world_run(scene->place.world,
                     (struct world_stop){has_ended, &scene->reading.ended, 0, for_ns});
}

static uint64_t reads_begun(const struct scene *scene)
{
    return scene->place.world->machines[0]->submitted[OP_READ];
}

/* From now on it takes a second, and it has begun. */
static void start_long_write(struct scene *scene)
{
    scene->place.world->settings.latency[OP_WRITE] = (struct world_range){second_ns, second_ns};
    EQ(place_append(&scene->place, "t", 0, 1), ERROR_NONE);
    TRUE_(scene->log->store->journal.writing);
}

TEST(cold_reads, from_the_page_cache_go_on_while_the_journal_writes)
{
    struct scene *scene = begin(false);
    start_reading(scene);
    TRUE_(ends_within(scene, second_ns));
    start_long_write(scene);
    start_reading(scene);
    TRUE_(ends_within(scene, second_ns / 10));
    TRUE_(scene->log->store->journal.writing);
    end(scene);
}

TEST(cold_reads, from_the_disk_begin_when_the_journal_has_written)
{
    struct scene *scene = begin(false);
    start_long_write(scene);
    start_reading(scene);
    TRUE_(!ends_within(scene, second_ns * 9 / 10));
    EQ(scene->reading.offset, 0);
    TRUE_(scene->log->store->journal.writing);
    TRUE_(ends_within(scene, second_ns));
    end(scene);
}

/* Of each read it would be asked, and answer the same. */
TEST(cold_reads, do_not_ask_a_page_cache_that_is_not_told_of_again)
{
    struct scene *scene = begin(true);
    uint64_t before = reads_begun(scene);
    start_reading(scene);
    TRUE_(ends_within(scene, second_ns));
    uint64_t between = reads_begun(scene);
    start_reading(scene);
    TRUE_(ends_within(scene, second_ns));
    uint64_t after = reads_begun(scene);
    TRUE_(after - between > 3 && after - between < between - before);
    start_long_write(scene);
    start_reading(scene);
    TRUE_(!ends_within(scene, second_ns / 10));
    TRUE_(ends_within(scene, 2 * second_ns));
    end(scene);
}
