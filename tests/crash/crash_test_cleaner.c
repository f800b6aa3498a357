/* What the cleaner does beside its passes: idle logs stay closed, snapshots are asked for. */
#include "base/check.h"
#include "base/memory.h"
#include "crash/operations.h"
#include "storage/cleaner.h"
#include "storage/log_state.h"
#include "support/test.h"

enum { SECOND_NS = 1000000000, APPENDS_MOST = 400 };

/* A store with a cleaner, and all about it. */
struct stage {
    struct oracle oracle;
    struct rig *rig;
    struct script *script;
};

static void stage_begin(struct stage *stage, const struct log_settings *log)
{
    struct rig_settings settings = script_settings(1, 0);
    settings.log.compact = true;
    settings.log.min_dirty_ratio = log->min_dirty_ratio;
    settings.log.min_compaction_lag_ms = log->min_compaction_lag_ms;
    settings.log.max_compaction_lag_ms = log->max_compaction_lag_ms;
    settings.store.cleaner = (struct cleaner_options){.enabled = true,
                                                      .backoff_ns = SECOND_NS,
                                                      .map_bytes = 1 << 16,
                                                      .map_load = 0.9,
                                                      .buffer_bytes = 4096};
    oracle_init(&stage->oracle, 1, settings.slots, settings.batch_most);
    stage->rig = memory_zeroed(sizeof *stage->rig);
    stage->script = memory_zeroed(sizeof *stage->script);
    rig_init(stage->rig, &settings, &stage->oracle);
    script_begin(stage->script, stage->rig);
}

static void stage_end(struct stage *stage)
{
    EQ_TEXT(stage->rig->failure, "");
    rig_done(stage->rig);
    oracle_done(&stage->oracle);
    memory_free(stage->script);
    memory_free(stage->rig);
}

static bool never(void *argument)
{
    (void)argument;
    return false;
}

static void let_time_pass(struct stage *stage, int64_t for_ns)
{
    (void)world_run(stage->rig->world, (struct world_stop){never, NULL, 300000, for_ns});
}

/* The first log is at rest, with closed segments that no journal says anything of, and the cleaner
 * has it among its own. */
static struct log *settle(struct stage *stage)
{
    for (int i = 0; i < 2; i++) {
        script_do(stage->script, OPERATION_snapshot);
        script_do(stage->script, OPERATION_checkpoint);
        script_do(stage->script, OPERATION_checkpoint);
    }
    struct log *log = worker_log(stage->rig, 0);
    TRUE_(log->segment_count > 1);
    cleaner_consider(log);
    world_notice(stage->rig->world, log->store->core);
    return log;
}

/* What the cleaner has sealed gets sidecars, whose names are to be flushed; then it is closed. */
static void close_idle(struct stage *stage, const struct log *log)
{
    script_do(stage->script, OPERATION_checkpoint);
    script_do(stage->script, OPERATION_idle_close);
    EQ(log->state, LOG_CLOSED);
}

static const struct log_settings never_due = {.min_dirty_ratio = 1,
                                              .max_compaction_lag_ms = INT64_MAX};

TEST(cleaner, leaves_idle_logs_closed_that_have_nothing_to_clean)
{
    struct stage stage;
    stage_begin(&stage, &never_due);
    struct log *log = settle(&stage);
    let_time_pass(&stage, 3 * (int64_t)SECOND_NS); /* it has been looked at */
    script_do(stage.script, OPERATION_checkpoint);
    let_time_pass(&stage, 2 * (int64_t)SECOND_NS);
    close_idle(&stage, log);
    uint64_t closed = log->store->counters.logs_closed;
    for (int i = 0; i < 5; i++) {
        let_time_pass(&stage, 2 * (int64_t)SECOND_NS);
        EQ(log->state, LOG_CLOSED);
        EQ(log->store->cleaner->counters.dirty_ratio_max > 0.9, true); /* it is still counted */
        script_do(stage.script, OPERATION_idle_close);
    }
    EQ(log->store->counters.logs_closed, closed);
    cleaner_consider(log); /* its settings were changed */
    let_time_pass(&stage, 2 * (int64_t)SECOND_NS);
    EQ(log->state, LOG_OPEN);
    close_idle(&stage, log);
    script_do(stage.script, OPERATION_append);
    script_do(stage.script, OPERATION_flush);
    stage_end(&stage);
}

TEST(cleaner, opens_a_closed_log_once_its_records_are_too_old)
{
    struct stage stage;
    struct log_settings settings = never_due;
    settings.max_compaction_lag_ms = 60000; /* records are as old as the world, to the second */
    stage_begin(&stage, &settings);
    struct log *log = settle(&stage);
    let_time_pass(&stage, 3 * (int64_t)SECOND_NS);
    script_do(stage.script, OPERATION_checkpoint);
    let_time_pass(&stage, 2 * (int64_t)SECOND_NS);
    close_idle(&stage, log);
    let_time_pass(&stage, 5 * (int64_t)SECOND_NS);
    EQ(log->state, LOG_CLOSED);
    EQ(log->store->cleaner->counters.passes, 0);
    let_time_pass(&stage, 80 * (int64_t)SECOND_NS);
    EQ(log->store->cleaner->counters.passes, 1);
    stage_end(&stage);
}

/* Stepped by two hours, all of it seems to be older than it has to be. */
TEST(cleaner, does_not_believe_a_clock_that_was_stepped)
{
    struct stage stage;
    struct log_settings settings = {.min_compaction_lag_ms = 3600000,
                                    .max_compaction_lag_ms = INT64_MAX};
    stage_begin(&stage, &settings);
    struct log *log = settle(&stage);
    log->store->options.cleaner.steady_clock_ms = STEADY_CLOCK_MS;
    let_time_pass(&stage, 700 * (int64_t)SECOND_NS);
    EQ(log->store->cleaner->counters.passes, 0);
    world_wall_step(stage.rig->world, 0, 2 * 3600000);
    let_time_pass(&stage, 500 * (int64_t)SECOND_NS);
    EQ(log->store->cleaner->counters.passes, 0);
    let_time_pass(&stage, 200 * (int64_t)SECOND_NS); /* then it has been right for long */
    EQ(log->store->cleaner->counters.passes, 1);
    stage_end(&stage);
}

TEST(cleaner, asks_for_a_snapshot_where_aborted_transactions_are_in_no_file)
{
    struct stage stage;
    stage_begin(&stage, &never_due);
    struct log *log = worker_log(stage.rig, 0);
    for (int i = 0;
         i < APPENDS_MOST && log->producers.aborted_count == log->producers.aborted_saved; i++) {
        script_do(stage.script, OPERATION_append);
        script_do(stage.script, OPERATION_flush);
    }
    script_do(stage.script, OPERATION_roll);
    script_do(stage.script, OPERATION_flush);
    TRUE_(log->producers.aborted_saved < log->producers.aborted_count);
    rig_crash(stage.rig, false); /* the snapshot of the roll is lost */
    rig_start(stage.rig);
    log = worker_log(stage.rig, 0);
    script_do(stage.script, OPERATION_drain);
    script_do(stage.script, OPERATION_flush);
    EQ(log->state, LOG_OPEN);
    TRUE_(log->producers.aborted_saved < log->producers.aborted_count);
    cleaner_consider(log);
    world_notice(stage.rig->world, log->store->core);
    let_time_pass(&stage, 10 * (int64_t)SECOND_NS);
    EQ(log->producers.aborted_saved, log->producers.aborted_count);
    rig_stop(stage.rig);
    stage_end(&stage);
}

/* Where nobody knows which block told of a segment, it is the last one that told of the log. */
TEST(cleaner, knows_of_a_log_that_was_closed_what_its_journal_may_say)
{
    struct stage stage;
    stage_begin(&stage, &never_due);
    script_do(stage.script, OPERATION_snapshot);
    script_do(stage.script, OPERATION_checkpoint);
    script_do(stage.script, OPERATION_append_to_two);
    script_do(stage.script, OPERATION_flush);
    script_do(stage.script, OPERATION_checkpoint);
    script_do(stage.script, OPERATION_idle_close);
    struct log *log = stage.rig->workers[0].log;
    EQ(log->state, LOG_CLOSED);
    const struct journal *journal = &log->store->journal;
    TRUE_(log->touched_sequence >= journal->anchor_sequences[0]); /* the older anchor's blocks */
    script_do(stage.script, OPERATION_drain);
    EQ(log->state, LOG_OPEN);
    for (int32_t i = 0; i < log->segment_count; i++)
        TRUE_(log->segments[i]->touched_sequence >= journal->anchor_sequences[0]);
    stage_end(&stage);
}
