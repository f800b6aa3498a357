#include "reactor/flow.h"
#include "reactor/core.h"
#include "base/check.h"

void flow_begin(struct flow *flow, const struct flow_kind *kind, struct core *core)
{
    *flow = (struct flow){.kind = kind, .core = core, .alive = true};
}

void flow_start(struct flow *flow, const struct flow_kind *kind, struct core *core)
{
    flow_begin(flow, kind, core);
    list_push(&core->run_queue, &flow->link);
}

void flow_hold(struct flow *flow)
{
    check(flow->alive);
    flow->holds++;
}

void flow_release(struct flow *flow)
{
    check(flow->alive && flow->holds > 0);
    if (--flow->holds == 0 && !flow->running)
        list_push(&flow->core->run_queue, &flow->link);
}

static bool is_last_step(const struct flow *flow)
{
    return flow->step + 1 == FLOW_STEPS_MAX || !flow->kind->steps[flow->step + 1].name;
}

void flow_run(struct flow *flow)
{
    check(flow->alive && flow->holds == 0);
    bool last = is_last_step(flow);
    struct core *core = flow->core;
    flow->running = true;
    core->steps_run++;
    /* On the last step's STEP_NEXT the flow is over and its memory may be gone, or the same flow
     * may have been started anew from there: it is not touched again. */
    enum step next = flow->kind->steps[flow->step].run(flow);
    if (last && next != STEP_AGAIN)
        return;
    flow->running = false;
    if (next == STEP_NEXT)
        flow->step++;
    else if (next == STEP_FAIL)
        while (!is_last_step(flow))
            flow->step++;
    if (flow->holds == 0)
        list_push(&core->run_queue, &flow->link);
}

void waiter_park(struct waiter *waiter, struct list *list, struct flow *flow)
{
    check(waiter->flow == NULL);
    flow_hold(flow);
    waiter->flow = flow;
    list_push(list, &waiter->link);
}

void waiter_park_until(struct waiter *waiter, struct list *list, struct flow *flow, int64_t until)
{
    struct list *place = list;
    while (place->previous != list &&
           CONTAINER_OF(place->previous, struct waiter, link)->until > until)
        place = place->previous;
    check(waiter->flow == NULL);
    flow_hold(flow);
    waiter->flow = flow;
    waiter->until = until;
    list_insert_before(place, &waiter->link);
}

void waiters_wake_until(struct list *list, int64_t reached)
{
    while (!list_is_empty(list) && CONTAINER_OF(list->next, struct waiter, link)->until <= reached)
        waiters_wake_first(list);
}

void waiter_cancel(struct waiter *waiter)
{
    struct flow *flow = waiter->flow;
    if (!flow)
        return;
    list_remove(&waiter->link);
    waiter->flow = NULL;
    flow_release(flow);
}

bool waiters_wake_first(struct list *list)
{
    if (list_is_empty(list))
        return false;
    waiter_cancel(CONTAINER_OF(list->next, struct waiter, link));
    return true;
}

void waiters_wake(struct list *list)
{
    while (waiters_wake_first(list)) {
    }
}
