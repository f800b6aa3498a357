#include "crash/faults.h"
#include "base/check.h"
#include "base/memory.h"
#include "storage/log_state.h"
#include <stdio.h>

struct run {
    struct faults *faults;
    struct rig *rig;
    struct script script;
    struct fault_plan plan;
};

static struct machine *machine_of(struct run *run)
{
    return run->rig->world->machines[0];
}

static void begin_faults(struct run *run)
{
    run->plan = (struct fault_plan){.kind = run->faults->kind, .number = run->faults->number};
    run->rig->faulty |= run->faults->number > 0;
    fault_plan_begin(&run->plan, run->rig->world);
}

static void end_faults(struct run *run)
{
    fault_plan_end(&run->plan);
    run->faults->operations = run->plan.operations;
    run->faults->met = run->plan.met;
}

static void work(struct run *run)
{
    static const enum operation operations[] = {
        OPERATION_append,     OPERATION_append_to_two, OPERATION_roll,  OPERATION_flush,
        OPERATION_drain,      OPERATION_checkpoint,    OPERATION_lap,   OPERATION_snapshot,
        OPERATION_checkpoint, OPERATION_delete_topic,  OPERATION_flush, OPERATION_append_to_two,
        OPERATION_lap,        OPERATION_drain,         OPERATION_flush};
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
        script_do(&run->script, operations[i]);
}

/* Reads all and stops, if nothing was fenced. */
static void stop(struct run *run)
{
    struct rig *rig = run->rig;
    if (run->script.over || rig->failure[0])
        return;
    rig_read_all(rig);
    if (!rig_is_fenced(rig))
        rig_stop(rig);
    for (int i = 0; i < rig->settings.cores; i++)
        run->script.over |= rig->cores[i].error && rig->cores[i].error != ERROR_NO_SPACE;
}

/* The process is gone, and with it, if so, the power; also after a stop. */
static void crash(struct run *run)
{
    struct rig *rig = run->rig;
    bool power_lost =
        run->faults->power_lost || (!run->faults->relived && fault_plan_lost(&run->plan));
    if (machine_of(run)->running)
        rig_crash(rig, power_lost);
    else if (power_lost) {
        struct disk_choice choice = disk_choice_of(CHOICE_OLD, 0);
        disk_crash(machine_of(run)->disk, &choice);
    }
}

/* Without faults now: all that was acknowledged is there, and all goes well. */
static void start_again(struct run *run)
{
    struct rig *rig = run->rig;
    rig->faulty = rig->refused = false;
    run->script.over = false;
    rig_start(rig);
    script_do(&run->script, OPERATION_append_to_two);
    script_do(&run->script, OPERATION_checkpoint);
    rig_stop(rig);
}

/* A file system that can't write its names does not go on: such a loss is no other life's. */
static bool names_are_lost(struct run *run)
{
    const struct list *names = &machine_of(run)->disk->pending_names;
    for (const struct list *node = names->next; node != names; node = node->next)
        if (CONTAINER_OF(node, struct name_change, link)->lost)
            return true;
    return false;
}

/* What a failed flush has lost can still be read: a checkpoint that rests on it frees the journal,
 * and then the power fails. Where a loss is told late, this life may refuse or be fenced. */
static void live_again(struct run *run)
{
    struct rig *rig = run->rig;
    rig->refused = run->script.over = false;
    run->faults->names_lost = names_are_lost(run);
    if (rig->failure[0])
        return;
    if (run->faults->names_lost) {
        struct disk_choice choice = disk_choice_of(CHOICE_OLD, 0);
        disk_crash(machine_of(run)->disk, &choice);
        return;
    }
    rig_start(rig);
    if (!rig->refused) {
        script_do(&run->script, OPERATION_append_to_two);
        script_do(&run->script, OPERATION_checkpoint);
        run->faults->checkpointed = !run->script.over && !rig_is_fenced(rig);
    }
    if (rig->failure[0])
        return;
    if (machine_of(run)->running)
        rig_crash(rig, false);
    struct disk_choice choice = disk_choice_of(CHOICE_OLD, 0);
    disk_crash(machine_of(run)->disk, &choice);
}

static void judge(struct run *run)
{
    struct faults *faults = run->faults;
    struct rig *rig = run->rig;
    faults->fenced = run->script.over;
    faults->refusals = rig->refusals;
    if (faults->fenced && !fault_plan_may_fence(&run->plan))
        rig_fail(rig, "the store was fenced, when an operation of kind %d failed",
                 machine_of(run)->fault_kind);
}

static void run_in_work(struct run *run)
{
    begin_faults(run);
    work(run);
    stop(run);
    end_faults(run);
    judge(run);
    crash(run);
}

static void run_in_start(struct run *run)
{
    struct rig *rig = run->rig;
    work(run);
    if (rig->failure[0])
        return;
    rig_crash(rig, run->faults->power_lost);
    world_start(rig->world, 0);
    begin_faults(run);
    rig_start(rig);
    run->faults->refused = rig->refused;
    if (!rig->refused) {
        script_do(&run->script, OPERATION_append_to_two);
        script_do(&run->script, OPERATION_checkpoint);
    }
    run->script.over |= rig_is_fenced(rig);
    end_faults(run);
    crash(run);
}

void faults_run(struct faults *faults)
{
    struct rig_settings settings = script_settings(faults->seed, faults->variant);
    settings.starts = faults->starts;
    struct oracle oracle;
    struct rig *rig = memory_zeroed(sizeof *rig);
    struct run *run = memory_zeroed(sizeof *run);
    *run = (struct run){.faults = faults, .rig = rig};
    oracle_init(&oracle, faults->seed, settings.slots, settings.batch_most);
    rig_init(rig, &settings, &oracle);
    script_begin(&run->script, rig);
    if (faults->place == FAULTS_IN_WORK)
        run_in_work(run);
    else
        run_in_start(run);
    if (faults->relived)
        live_again(run);
    start_again(run);
    snprintf(faults->failure, sizeof faults->failure, "%s", rig->failure);
    rig_done(rig);
    script_done(&run->script);
    memory_free(run);
    memory_free(rig);
    oracle_done(&oracle);
}
