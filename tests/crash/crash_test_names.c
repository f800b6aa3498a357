/* Each flush of a folder, where it counts: scripts in which names of files are what all rests on,
 * cut everywhere, with names lost that were not flushed (names.h). */
#include "base/check.h"
#include "base/memory.h"
#include "crash/keyed_runs.h"
#include "crash/model_producers.h"
#include "crash/names.h"
#include "storage/log_state.h"
#include "support/test.h"
#include <stdio.h>

enum { SECOND_NS = 1000000000, JOURNAL_BYTES = 1 << 18 };

static bool never(void *argument)
{
    (void)argument;
    return false;
}

static void let_time_pass(struct rig *rig)
{
    if (!rig->failure[0])
        (void)world_run(rig->world, (struct world_stop){never, NULL, 300000, SECOND_NS});
}

static void do_all(struct script *script, const enum operation *operations, int count)
{
    for (int i = 0; i < count; i++)
        script_do(script, operations[i]);
}

#define DO(script, ...)                                                                            \
    do_all(script, (const enum operation[]){__VA_ARGS__},                                          \
           ARRAY_COUNT(((const enum operation[]){__VA_ARGS__})))

static void run(const char *name, void (*prepare)(struct script *script, struct rig *rig),
                void (*body)(struct script *script, struct rig *rig))
{
    struct names_run run = {
        .name = name, .journal_bytes = JOURNAL_BYTES, .prepare = prepare, .body = body};
    names_run(&run);
    EQ_TEXT(run.failure, "");
    printf("%s: %llu cuts, %llu images\n", name, (unsigned long long)run.cuts,
           (unsigned long long)run.images);
    TRUE_(run.cuts > 0 || run.failure[0]);
}

/* ---- segments that go ---------------------------------------------------------------------- */

static void fill_segments(struct script *script, struct rig *rig)
{
    (void)rig;
    DO(script, OPERATION_snapshot, OPERATION_checkpoint);
}

/* All goes that there is, so the segment that is left tells where the log begins, and nothing else
 * does once a checkpoint has forgotten it. */
static void retire_all(struct script *script, struct rig *rig)
{
    DO(script, OPERATION_retention);
    let_time_pass(rig);
    script_append(script, 1, 400, 1);
    DO(script, OPERATION_flush, OPERATION_checkpoint);
    let_time_pass(rig);
    script_append(script, 1, 400, 1);
    DO(script, OPERATION_flush, OPERATION_checkpoint);
}

TEST(names, of_segments_that_go)
{
    run("segments that go", fill_segments, retire_all);
}

/* ---- folders of deleted topics ------------------------------------------------------------- */

static void delete_flushed(struct script *script, struct rig *rig)
{
    DO(script, OPERATION_delete_topic, OPERATION_append, OPERATION_flush, OPERATION_checkpoint);
    let_time_pass(rig);
}

TEST(names, of_a_folder_that_is_removed)
{
    run("a folder that is removed", fill_segments, delete_flushed);
}

/* In files, and no checkpoint has flushed any name of it. */
static void fill_anew(struct script *script, struct rig *rig)
{
    (void)rig;
    DO(script, OPERATION_delete_topic);
    script_append(script, 1, 400, 1);
    DO(script, OPERATION_flush, OPERATION_checkpoint);
    for (int i = 0; i < 7; i++) /* so many files that an anchor is written before all have gone */
        DO(script, OPERATION_roll, OPERATION_flush, OPERATION_drain);
}

static void delete_unflushed(struct script *script, struct rig *rig)
{
    DO(script, OPERATION_delete_topic, OPERATION_checkpoint, OPERATION_append, OPERATION_flush);
    let_time_pass(rig);
}

TEST(names, of_a_folder_that_is_removed_before_its_first_checkpoint)
{
    run("a new folder that is removed", fill_anew, delete_unflushed);
}

/* ---- producers ----------------------------------------------------------------------------- */

/* Twice, so that neither anchor of the journal speaks of what was there before. */
static void checkpoint_twice(struct script *script)
{
    for (int i = 0; i < 2; i++)
        DO(script, OPERATION_append, OPERATION_flush, OPERATION_checkpoint);
}

/* Segments of one batch, each with a snapshot at its end: few, so that the last batches of some
 * producers lie before all of them. */
static void roll(struct script *script, int count)
{
    for (int i = 0; i < count; i++)
        DO(script, OPERATION_roll, OPERATION_flush, OPERATION_drain);
}

/* The log rests on a snapshot, and those that are newer have no name for good yet. */
static void rest_on_a_snapshot(struct script *script, struct rig *rig)
{
    for (int i = 0; i < PRODUCER_SNAPSHOTS_KEPT + 1; i++)
        DO(script, OPERATION_snapshot);
    checkpoint_twice(script);
    if (rig->failure[0])
        return;
    script_start_at(script, 0, log_active(worker_log(rig, 0))->base_offset);
    let_time_pass(rig);
    roll(script, 2);
    checkpoint_twice(script);
    roll(script, PRODUCER_SNAPSHOTS_KEPT + 1);
}

/* It comes to rest on one of those. */
static void rest_on_another(struct script *script, struct rig *rig)
{
    if (rig->failure[0])
        return;
    const struct log *log = worker_log(rig, 0);
    int32_t beyond = 0;
    while (log->segments[beyond]->base_offset <= log->producers.snapshots[0])
        beyond++;
    script_start_at(script, 0, log->segments[beyond]->base_offset);
    let_time_pass(rig);
}

TEST(names, of_snapshots_of_producers)
{
    run("snapshots", rest_on_a_snapshot, rest_on_another);
}

/* One that lies beyond the end, as a copy of some other time may have it, is removed. */
static void meet_one_beyond_the_end(struct script *script, struct rig *rig)
{
    struct disk_choice choice = disk_choice_of(CHOICE_NEW, 0);
    DO(script, OPERATION_checkpoint);
    rig_stop(rig);
    model_plant_snapshot(rig, 0);
    disk_crash(rig->world->machines[0]->disk, &choice); /* durable */
    rig_start(rig);
}

/* The log gets beyond it. */
static void get_there(struct script *script, struct rig *rig)
{
    (void)rig;
    script_append(script, 0, 100, 8);
    DO(script, OPERATION_flush);
}

TEST(names, of_a_snapshot_beyond_the_end)
{
    run("a snapshot beyond the end", meet_one_beyond_the_end, get_there);
}

/* Transactions, until one more of them is aborted. */
static void abort_one(struct script *script, struct rig *rig)
{
    for (int i = 0; i < 100 && !rig->failure[0]; i++) {
        const struct producer_state *state = &worker_log(rig, 0)->producers;
        if (state->aborted_count > state->aborted_saved)
            return;
        script_append(script, 0, 100, 1);
    }
}

static void abort_and_roll(struct script *script, struct rig *rig)
{
    for (int i = 0; i < 2; i++) {
        abort_one(script, rig);
        DO(script, OPERATION_flush, OPERATION_snapshot);
        let_time_pass(rig);
    }
}

TEST(names, of_indexes_of_transactions)
{
    run("transactions", NULL, abort_and_roll);
}

/* ---- compaction ---------------------------------------------------------------------------- */

TEST(names, of_segments_that_are_swapped)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct keyed_swap swap = {.seed = seed};
        keyed_swap(&swap);
        EQ_TEXT(swap.failure, "");
        printf("a swap: %llu images\n", (unsigned long long)swap.images);
        TRUE_(swap.failure[0] || swap.images > 20);
    }
}

/* Where no earlier snapshot goes, nothing else has flushed names before segments do. */
static void let_snapshots_pass(struct script *script, struct rig *rig)
{
    (void)rig;
    script_append(script, 0, 100, 8);
    roll(script, 1);
    checkpoint_twice(script);
    roll(script, PRODUCER_SNAPSHOTS_KEPT + 1);
}

static void come_to_rest(struct script *script, struct rig *rig)
{
    if (rig->failure[0])
        return;
    script_start_at(script, 0, worker_log(rig, 0)->segments[1]->base_offset);
    let_time_pass(rig);
}

TEST(names, of_snapshots_that_a_log_comes_to_rest_on)
{
    run("first snapshots", let_snapshots_pass, come_to_rest);
}
