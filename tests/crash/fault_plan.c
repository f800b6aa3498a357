#include "crash/fault_plan.h"
#include "base/bytes.h"
#include "sim/disk.h"

static const int64_t full_ns = 2500000000; /* as long as the disk stays full */

static void make_room(struct world_action *action, struct world *world)
{
    (void)action;
    world_disk_limit(world, 0, 0);
}

/* At the operation of the number the disk is as full as it is. */
static void fill_disk(struct world *world, void *argument)
{
    struct fault_plan *plan = argument;
    struct machine *machine = world->machines[0];
    uint64_t done = machine->submitted[OP_KIND_COUNT] - plan->first;
    if (plan->filled || !machine->running || done < plan->number)
        return;
    plan->filled = true;
    machine->disk->limit_bytes = max_i64(machine->disk->used_bytes, 1);
    world_at(world, &plan->room, full_ns);
}

void fault_plan_begin(struct fault_plan *plan, struct world *world)
{
    struct machine *machine = world->machines[0];
    plan->world = world;
    plan->room = WORLD_ACTION(make_room);
    plan->filled = false;
    plan->first = machine->submitted[OP_KIND_COUNT];
    machine->fault_met = 0;
    if (plan->number == 0)
        return;
    if (plan->kind == FAULT_FULL_WHILE)
        world_on_event(world, fill_disk, plan);
    else
        world_fail(world, 0, OP_KIND_COUNT, plan->number,
                   plan->kind == FAULT_ERROR   ? ERROR_INPUT_OUTPUT
                   : plan->kind == FAULT_SHORT ? ERROR_NONE
                                               : ERROR_NO_SPACE);
}

void fault_plan_end(struct fault_plan *plan)
{
    struct machine *machine = plan->world->machines[0];
    plan->operations = machine->submitted[OP_KIND_COUNT] - plan->first;
    plan->met = plan->operations >= plan->number;
    machine->fault_count = 0;
    world_on_event(plan->world, NULL, NULL);
    world_forget(plan->world, &plan->room);
    world_disk_limit(plan->world, 0, 0);
}

bool fault_plan_may_fence(const struct fault_plan *plan)
{
    const struct machine *machine = plan->world->machines[0];
    if (plan->kind == FAULT_FULL_WHILE || plan->kind == FAULT_SHORT)
        return false;
    return plan->kind == FAULT_ERROR || machine->fault_kind == OP_FLUSH ||
           machine->fault_kind == OP_FLUSH_ALL || machine->fault_durable;
}

bool fault_plan_lost(const struct fault_plan *plan)
{
    const struct machine *machine = plan->world ? plan->world->machines[0] : NULL;
    return machine && machine->fault_met > 0 &&
           (machine->fault_kind == OP_FLUSH || machine->fault_kind == OP_FLUSH_ALL);
}
