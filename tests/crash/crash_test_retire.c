/* Segments below a log start: they wait for the high watermark, and no log is closed over them. */
#include "crash/model.h"
#include "crash/operations.h"
#include "crash/scripted.h"
#include "storage/log_state.h"
#include "support/test.h"

enum { SECOND_NS = 1000000000 };

static int64_t committed_little(const struct log *log, void *context)
{
    (void)context;
    return log->log_start;
}

static bool never(void *argument)
{
    (void)argument;
    return false;
}

static void let_time_pass(struct rig *rig, int64_t for_ns)
{
    (void)world_run(rig->world, (struct world_stop){never, NULL, 300000, for_ns});
}

/* Segments with producers, of which the snapshots at the first ones have given way to newer ones.
 */
static void begin(struct script *script, struct rig *rig)
{
    script_begin(script, rig);
    for (int i = 0; i < 2 * PRODUCER_SNAPSHOTS_KEPT; i++) {
        script_do(script, OPERATION_snapshot);
        script_do(script, OPERATION_checkpoint);
    }
    struct log *log = worker_log(rig, 0);
    log->committed_end = committed_little;
    TRUE_(log->producers.snapshot_count > 0);
    TRUE_(log->producers.snapshots[0] > log->segments[1]->base_offset);
}

static void run(void (*body)(struct script *script, struct rig *rig))
{
    struct rig_settings settings = script_settings(1, 0);
    struct scripted *scripted = scripted_create(&settings);
    begin(&scripted->script, &scripted->rig);
    body(&scripted->script, &scripted->rig);
    EQ_TEXT(scripted->rig.failure, "");
    scripted_destroy(scripted);
}

/* To where the second segment begins. */
static void move_start(struct script *script, struct rig *rig)
{
    script_start_at(script, 0, worker_log(rig, 0)->segments[1]->base_offset);
    let_time_pass(rig, SECOND_NS);
}

static void wait_and_go(struct script *script, struct rig *rig)
{
    struct log *log = worker_log(rig, 0);
    int32_t count = log->segment_count;
    move_start(script, rig);
    uint64_t checkpoints = rig->cores[0].store.counters.checkpoints;
    let_time_pass(rig, 5 * (int64_t)SECOND_NS);
    EQ(log->segment_count, count);
    EQ(rig->cores[0].store.counters.checkpoints, checkpoints); /* none would help */
    log->committed_end = NULL;
    let_time_pass(rig, SECOND_NS);
    EQ(log->segment_count, count - 1);
    rig_stop(rig);
}

TEST(retire, waits_for_the_high_watermark_without_checkpoints)
{
    run(wait_and_go);
}

static void stop_and_go(struct script *script, struct rig *rig)
{
    move_start(script, rig);
    rig->promises[0].start = 0; /* what is left is as it should be */
    int64_t began_ns = rig->world->now_ns;
    rig_stop(rig);
    TRUE_(rig->world->now_ns - began_ns < SECOND_NS);
    rig_start(rig); /* the watermark is beyond */
    rig_stop(rig);  /* finds that they have gone */
}

TEST(retire, no_stop_waits_for_the_high_watermark)
{
    run(stop_and_go);
}

static void passes(const char *text)
{
    struct model_script script;
    EQ(model_script_parse(text, &script), 0);
    char failure[800];
    model_run_apart(&script, failure, sizeof failure);
    EQ_TEXT(failure, "");
    model_script_done(&script);
}

/* Found by the model: idle, the log was closed before the look at its segments came round again. */
TEST(retire, no_log_is_closed_over_segments_that_are_to_go)
{
    passes("seed 26\nlap 0\nkill\ndelete 0 467217546\ncheckpoint\nstop\n");
}

static void delete_and_roll(struct script *script, struct rig *rig)
{
    struct log *log = worker_log(rig, 0);
    log->committed_end = NULL;
    script_start_at(script, 0, log->appended_end); /* nothing is closed yet */
    let_time_pass(rig, SECOND_NS);
    EQ(log->segment_count, 1);
    script_do(script, OPERATION_append);
    script_do(script, OPERATION_flush);
    script_start_at(script, 0, log->appended_end);
    script_do(script, OPERATION_checkpoint); /* trims it, and no journal speaks of it any more */
    script_do(script, OPERATION_checkpoint);
    script_do(script, OPERATION_roll);
    EQ(log->segment_count, 2);
    let_time_pass(rig, SECOND_NS);
    EQ(log->segment_count, 1);
    rig_stop(rig);
}

TEST(retire, takes_a_segment_that_is_closed_after_all_of_it_was_deleted)
{
    run(delete_and_roll);
}

/* Found by the model: the snapshot that was being flushed stayed open. */
TEST(retire, leaves_nothing_open_where_the_topic_is_deleted_meanwhile)
{
    passes("seed 137\nappend 1 1165293215 1299840099\nappend 1 513710090 889262334\n"
           "follow 1 572475058 1751960339\nlap 0\nappend 1 2023628533 3889672875\n"
           "append 1 489771202 1657052585\nappend 1 2188860856 3731463280\n"
           "append 1 1978160377 3484293481\ndelete 1 844184900\nappend 1 987319936 511756408\n"
           "follow 1 4239896661 1405967043\nappend 1 1839467201 2101496009\n"
           "append 1 44508356 4287961566\nremove 1\nstop\n");
}
