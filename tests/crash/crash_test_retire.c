/* Segments below a log start: they wait for the high watermark, and no log is closed over them. */
#include "base/memory.h"
#include "crash/model.h"
#include "crash/operations.h"
#include "crash/rig.h"
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
    struct oracle oracle;
    struct rig *rig = memory_zeroed(sizeof *rig);
    struct script *script = memory_zeroed(sizeof *script);
    oracle_init(&oracle, 1, settings.slots, settings.batch_most);
    rig_init(rig, &settings, &oracle);
    begin(script, rig);
    body(script, rig);
    EQ_TEXT(rig->failure, "");
    rig_done(rig);
    oracle_done(&oracle);
    memory_free(script);
    memory_free(rig);
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

/* Found by the model: idle, the log was closed before the look at its segments came round again. */
TEST(retire, no_log_is_closed_over_segments_that_are_to_go)
{
    struct model_script script;
    EQ(model_script_parse("seed 26\nlap 0\nkill\ndelete 0 467217546\ncheckpoint\nstop\n", &script),
       0);
    char failure[800];
    model_run_apart(&script, failure, sizeof failure);
    EQ_TEXT(failure, "");
    model_script_done(&script);
}
