#pragma once
/* A flow: a request, or any work that waits, as a table of short named steps.
 *
 *  - A step runs to completion and never blocks. Before it starts an operation it takes a hold; the
 *    completion only releases the hold. With no holds left the flow is queued and the next step
 * runs.
 *  - STEP_FAIL skips to the last step. The last step always runs: it answers and releases.
 *  - A flow is over when its last step returns STEP_NEXT; its memory may be gone by then.
 * Invariants: a flow is in the run queue only with no holds; it belongs to one core for its life.
 */
#include "base/list.h"
#include "reactor/port.h"
#include <stdint.h>

struct core;
struct flow;

enum step {
    STEP_NEXT,  /* go on, once every hold is released */
    STEP_AGAIN, /* run this step again, once every hold is released (after the others in the queue)
                 */
    STEP_FAIL,  /* skip to the last step, once every hold is released */
};

struct flow_step {
    const char *name;
    enum step (*run)(struct flow *flow);
};

enum { FLOW_STEPS_MAX = 20 };

struct flow_kind {
    const char *name;
    struct flow_step steps[FLOW_STEPS_MAX]; /* ended by an entry without name */
};

struct flow {
    const struct flow_kind *kind;
    struct core *core;
    struct list link; /* in the run queue */
    int32_t holds;
    uint8_t step;
    bool running; /* a step is being run now */
    bool alive;   /* between flow_start and the end of the last step */
};

/* Starts `flow` on `core`, whose thread calls: queues its first step. The memory is the caller's.
 */
void flow_start(struct flow *flow, const struct flow_kind *kind, struct core *core);

/* The same, but queues nothing: the first step runs when the holds that the caller takes before it
 * returns have been released. For work that begins at the end of a turn with its operation. */
void flow_begin(struct flow *flow, const struct flow_kind *kind, struct core *core);

/* Takes and releases a hold. On the flow's own core only. */
void flow_hold(struct flow *flow);
void flow_release(struct flow *flow);

/* Runs one step; called by the core loop only. */
void flow_run(struct flow *flow);

/* A flow's place in a list of those that wait for something (room, data, an end). */
struct waiter {
    struct list link;
    struct flow *flow; /* null while it waits for nothing */
    int64_t until;     /* in lists that are ordered by what is waited for, e.g. an offset */
};

/* Takes a hold on `flow` and puts it at the end of `list`. */
void waiter_park(struct waiter *waiter, struct list *list, struct flow *flow);

/* Takes it out and releases the hold; nothing if it does not wait. */
void waiter_cancel(struct waiter *waiter);

/* Wakes everyone in `list`, in order: takes them out and releases their holds. */
void waiters_wake(struct list *list);

/* Parks in a list ordered by `until`, in which waiters mostly arrive in order. */
void waiter_park_until(struct waiter *waiter, struct list *list, struct flow *flow, int64_t until);

/* Wakes those at the head of such a list whose `until` is at or below `reached`. */
void waiters_wake_until(struct list *list, int64_t reached);

/* Wakes the first only. False when nobody waits. */
bool waiters_wake_first(struct list *list);
