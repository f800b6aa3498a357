#include "sim/world_crew.h"
#include "sim/world_fiber.h"
#include "sim/world_parts.h"

struct world_task {
    struct fiber fiber;
    struct world *world;
    void (*part)(void *context, int core);
    void *context;
    int core;
    const struct world_port *awaited; /* null: it has not begun */
};

static void run_task(void *argument)
{
    const struct world_task *task = argument;
    task->part(task->context, task->core);
}

void world_task_wait(struct world *world, const struct world_port *port)
{
    struct world_task *task = world->task;
    task->awaited = port;
    fiber_pause(&task->fiber);
}

bool world_crew_works(const struct world *world)
{
    return world->task;
}

void world_crew_leave(struct world *world)
{
    check(world->task);
    fiber_end(&world->task->fiber);
}

/* Who takes memory from now on; returns who did. */
static int account(const struct world *world, int machine)
{
    return world->account ? world->account(machine) : machine;
}

static bool may_go_on(const struct world_task *task)
{
    const struct world_port *port = task->awaited;
    return !port || !port->alive || port->delivered || port->woken;
}

/* The first that may go on; *ret_left: some have not ended. */
static struct world_task *choose(struct world_task *tasks, int count, bool *ret_left)
{
    *ret_left = false;
    for (int i = 0; i < count; i++) {
        if (tasks[i].fiber.ended)
            continue;
        *ret_left = true;
        if (may_go_on(&tasks[i]))
            return &tasks[i];
    }
    return NULL;
}

static void work(struct crew *at, void (*part)(void *context, int core), void *context)
{
    const struct world_crew *crew = CONTAINER_OF(at, struct world_crew, crew);
    struct world *world = crew->world;
    struct world_task tasks[WORLD_CORES_MAX];
    check(!world->task && crew->count <= WORLD_CORES_MAX);
    for (int i = 0; i < crew->count; i++) {
        tasks[i] = (struct world_task){.world = world, .part = part, .context = context, .core = i};
        fiber_init(&tasks[i].fiber, run_task, &tasks[i]);
    }
    int mine = account(world, -1);
    bool left;
    do {
        struct world_task *next = choose(tasks, crew->count, &left);
        if (next) {
            if (!next->awaited)
                account(world, mine);
            world->task = next;
            fiber_go(&next->fiber);
            world->task = NULL;
            account(world, -1);
        } else if (left) {
            check(world->agenda_count > 0); /* else all wait for ever, for nothing */
            world_step(world);
        }
    } while (left);
    account(world, mine);
    for (int i = 0; i < crew->count; i++)
        fiber_done(&tasks[i].fiber);
}

void world_crew_init(struct world_crew *crew, struct world *world, int machine, int count)
{
    *crew = (struct world_crew){
        .crew = {.work = work}, .world = world, .machine = machine, .count = count};
}
