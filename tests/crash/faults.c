#include "crash/faults.h"
#include "base/check.h"
#include "base/memory.h"
#include "storage/log_state.h"
#include <stdio.h>

static const int64_t full_ns = 2500000000; /* as long as the disk stays full */

struct run {
    struct faults *faults;
    struct rig *rig;
    struct script script;
    struct world_action room; /* the disk is made larger */
    uint64_t first;           /* operations submitted before faults may come */
    bool filled;
};

static struct machine *machine_of(struct run *run)
{
    return run->rig->world->machines[0];
}

static void make_room(struct world_action *action, struct world *world)
{
    (void)action;
    world_disk_limit(world, 0, 0);
}

/* At the operation of the number the disk is as full as it is. */
static void fill_disk(struct world *world, void *argument)
{
    struct run *run = argument;
    struct machine *machine = machine_of(run);
    uint64_t done = machine->submitted[OP_KIND_COUNT] - run->first;
    if (run->filled || !machine->running || done < run->faults->number)
        return;
    run->filled = true;
    machine->disk->limit_bytes = max_i64(machine->disk->used_bytes, 1);
    world_at(world, &run->room, full_ns);
}

static void plan(struct run *run)
{
    struct faults *faults = run->faults;
    struct rig *rig = run->rig;
    run->first = machine_of(run)->submitted[OP_KIND_COUNT];
    machine_of(run)->fault_met = 0;
    if (faults->number == 0)
        return;
    rig->faulty = true;
    if (faults->kind == FAULT_FULL_WHILE)
        world_on_event(rig->world, fill_disk, run);
    else
        world_fail(rig->world, 0, OP_KIND_COUNT, faults->number,
                   faults->kind == FAULT_ERROR   ? ERROR_INPUT_OUTPUT
                   : faults->kind == FAULT_SHORT ? ERROR_NONE
                                                 : ERROR_NO_SPACE);
}

/* Of a flush or of the journal's own writes, which a full disk does not excuse. */
static bool may_fence(struct run *run)
{
    const struct machine *machine = machine_of(run);
    if (run->faults->kind == FAULT_FULL_WHILE || run->faults->kind == FAULT_SHORT)
        return false;
    return run->faults->kind == FAULT_ERROR || machine->fault_kind == OP_FLUSH ||
           machine->fault_kind == OP_FLUSH_ALL || machine->fault_durable;
}

static void end_faults(struct run *run)
{
    struct faults *faults = run->faults;
    struct rig *rig = run->rig;
    faults->operations = machine_of(run)->submitted[OP_KIND_COUNT] - run->first;
    faults->met = faults->operations >= faults->number;
    machine_of(run)->fault_count = 0;
    world_on_event(rig->world, NULL, NULL);
    world_forget(rig->world, &run->room);
    world_disk_limit(rig->world, 0, 0);
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
    if (machine_of(run)->running)
        rig_crash(rig, run->faults->power_lost);
    else if (run->faults->power_lost) {
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
    if (faults->fenced && !may_fence(run))
        rig_fail(rig, "the store was fenced, when an operation of kind %d failed",
                 machine_of(run)->fault_kind);
}

static void run_in_work(struct run *run)
{
    plan(run);
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
    plan(run);
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
    *run = (struct run){.faults = faults, .rig = rig, .room = WORLD_ACTION(make_room)};
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
