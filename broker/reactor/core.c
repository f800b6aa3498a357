#include "reactor/core.h"
#include "base/check.h"
#include "metrics/metrics.h"

enum { TURN_STEPS = 4096 }; /* flows run per turn before completions are looked at again */

void core_init(struct core *core, int id, struct port *port)
{
    *core = (struct core){.port = port, .id = id};
    list_init(&core->run_queue);
    list_init(&core->turn_end);
    heap_init(&core->timers);
    mailbox_init(&core->mailbox);
    buffers_init(&core->buffers, 64u << 20, 16u << 20);
    openings_init(&core->openings, core);
    port->operations->clock(port, &core->now);
}

void core_done(struct core *core)
{
    heap_done(&core->timers);
    buffers_done(&core->buffers);
    openings_done(&core->openings);
}

int64_t core_next_deadline(const struct core *core)
{
    const struct heap_node *first = heap_first(&core->timers);
    return first ? first->key : INT64_MAX;
}

bool core_has_work(const struct core *core)
{
    return !list_is_empty(&core->run_queue) || !mailbox_is_empty(&core->mailbox) ||
           !list_is_empty(&core->turn_end);
}

void core_at_turn_end(struct core *core, struct turn_hook *hook)
{
    if (hook->queued)
        return;
    hook->queued = true;
    list_push(&core->turn_end, &hook->link);
}

static void fire_timers(struct core *core)
{
    struct heap_node *first;
    while ((first = heap_first(&core->timers)) && first->key <= core->now.monotonic_ns) {
        struct timer *timer = CONTAINER_OF(first, struct timer, node);
        struct flow *flow = timer->flow;
        heap_remove(&core->timers, first);
        timer->flow = NULL;
        timer->fired = true;
        flow_release(flow);
    }
}

static void observe_turn(struct core *core)
{
    struct now now;
    core->port->operations->clock(core->port, &now);
    metrics_observe_turn(core->metrics, (uint64_t)(now.monotonic_ns - core->now.monotonic_ns));
}

void core_turn(struct core *core, bool may_wait)
{
    core->turns++;
    core->port->operations->clock(core->port, &core->now);
    mailbox_deliver(core);
    fire_timers(core);
    struct list *node;
    for (int i = 0; i < TURN_STEPS && (node = list_pop(&core->run_queue)); i++)
        flow_run(CONTAINER_OF(node, struct flow, link));
    while ((node = list_pop(&core->turn_end))) {
        struct turn_hook *hook = CONTAINER_OF(node, struct turn_hook, link);
        hook->queued = false;
        hook->run(hook, core);
    }
    if (core->metrics)
        observe_turn(core);
    int64_t until_ns = 0;
    if (may_wait && !core->stopping && !core_has_work(core)) {
        atomic_store_explicit(&core->mailbox.sleeping, true, memory_order_seq_cst);
        until_ns = mailbox_is_empty(&core->mailbox) ? core_next_deadline(core) : 0;
    }
    core->port->operations->wait(core->port, until_ns);
    atomic_store_explicit(&core->mailbox.sleeping, false, memory_order_relaxed);
}

void core_run(struct core *core)
{
    while (!core->stopping)
        core_turn(core, true);
}

void timer_start(struct timer *timer, struct core *core, struct flow *flow, int64_t deadline_ns)
{
    check(timer->flow == NULL);
    flow_hold(flow);
    timer->flow = flow;
    timer->fired = false;
    heap_insert(&core->timers, &timer->node, deadline_ns);
}

void timer_cancel(struct timer *timer, struct core *core)
{
    struct flow *flow = timer->flow;
    if (!flow)
        return;
    heap_remove(&core->timers, &timer->node);
    timer->flow = NULL;
    flow_release(flow);
}
