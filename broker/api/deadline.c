#include "api/deadline.h"
#include "base/check.h"

static enum step deadlines_run(struct flow *flow)
{
    struct deadlines *deadlines = CONTAINER_OF(flow, struct deadlines, flow);
    struct heap_node *first;
    while ((first = heap_first(&deadlines->heap)) &&
           first->key <= deadlines->core->now.monotonic_ns) {
        struct deadline *deadline = CONTAINER_OF(first, struct deadline, node);
        heap_remove(&deadlines->heap, first);
        deadline->passed = true;
        if (deadline->waiter)
            waiter_cancel(deadline->waiter);
        if (deadline->wake)
            deadline->wake(deadline);
    }
    deadlines->parked = !first;
    if (first)
        timer_start(&deadlines->timer, deadlines->core, flow, first->key);
    else
        flow_hold(flow);
    return STEP_AGAIN;
}

static const struct flow_kind deadlines_kind = {"deadlines", {{"run", deadlines_run}}};

void deadlines_open(struct deadlines *deadlines, struct core *core)
{
    *deadlines = (struct deadlines){.core = core, .timer = TIMER_INIT};
    heap_init(&deadlines->heap);
    flow_start(&deadlines->flow, &deadlines_kind, core);
}

void deadlines_close(struct deadlines *deadlines)
{
    check(heap_first(&deadlines->heap) == NULL);
    timer_cancel(&deadlines->timer, deadlines->core);
    list_remove(&deadlines->flow.link); /* it never ends by itself */
    heap_done(&deadlines->heap);
}

void deadline_init(struct deadline *deadline, struct deadlines *deadlines, int32_t timeout_ms)
{
    int64_t wait_ns = timeout_ms > 0 ? (int64_t)timeout_ms * 1000000 : 0;
    *deadline = (struct deadline){
        .node.place = -1, .owner = deadlines, .at_ns = deadlines->core->now.monotonic_ns + wait_ns};
}

void deadline_start(struct deadline *deadline, struct waiter *waiter)
{
    struct deadlines *owner = deadline->owner;
    deadline->waiter = waiter;
    if (deadline->passed || deadline->node.place >= 0)
        return;
    heap_insert(&owner->heap, &deadline->node, deadline->at_ns);
    if (heap_first(&owner->heap) != &deadline->node)
        return;
    if (owner->parked) {
        owner->parked = false;
        flow_release(&owner->flow);
    } else {
        timer_cancel(&owner->timer, owner->core); /* it was armed for a later one */
    }
}

void deadline_done(struct deadline *deadline)
{
    if (deadline->node.place >= 0)
        heap_remove(&deadline->owner->heap, &deadline->node);
}
