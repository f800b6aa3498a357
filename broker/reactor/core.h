#pragma once
/* A core: one thread's loop, or in the simulator one of many run by hand. It owns a port, flows,
 * timers, buffers and a mailbox; everything of the broker that hangs on it is touched by its thread
 * only.
 *
 * A turn: take the mail, fire timers, run flows until none is ready (at most turn_steps), run what
 * asked for the end of the turn (journals write, connections send), then port_wait. */
#include "base/heap.h"
#include "base/list.h"
#include "reactor/buffers.h"
#include "reactor/events.h"
#include "reactor/flow.h"
#include "reactor/mail.h"
#include "reactor/openings.h"
#include "reactor/port.h"

struct metrics;

struct timer {
    struct heap_node node;
    struct flow *flow; /* null: not armed */
    bool fired;
};

/* Work for the end of a turn. Owned by whoever asks; at most once per turn in the list. */
struct turn_hook {
    struct list link;
    void (*run)(struct turn_hook *hook, struct core *core);
    bool queued;
};

struct core {
    struct port *port;
    struct now now; /* read once a turn */
    int id;
    void *owner;           /* the broker's part of this core (struct shard) */
    struct list run_queue; /* of flows without holds */
    struct list turn_end;  /* of turn_hooks */
    struct heap timers;
    struct mailbox mailbox;
    struct buffers buffers;
    struct openings openings;
    struct events events;    /* lines for a person; silent until whoever runs the core sets write */
    struct metrics *metrics; /* where turns and mail are counted; null: nowhere */
    uint64_t turns, steps_run;
    bool stopping; /* core_run returns when set */
};

/* Sets up a core on `port`, which stays the caller's. */
void core_init(struct core *core, int id, struct port *port);
void core_done(struct core *core);

/* One turn. `may_wait` false: does not block (the simulator, and stop). */
void core_turn(struct core *core, bool may_wait);

/* Turns until core->stopping. */
void core_run(struct core *core);

/* True when a turn would do something without a completion: mail, ready flows, a timer due. */
bool core_has_work(const struct core *core);

/* The monotonic time of the earliest timer; INT64_MAX without one. */
int64_t core_next_deadline(const struct core *core);

/* Runs `hook` once at the end of this turn; nothing if it is queued already. */
void core_at_turn_end(struct core *core, struct turn_hook *hook);

/* Arms `timer` for `flow` (takes a hold). Fires at the first turn at or after `deadline_ns`. */
void timer_start(struct timer *timer, struct core *core, struct flow *flow, int64_t deadline_ns);

/* Disarms and releases the hold; nothing if it is not armed. */
void timer_cancel(struct timer *timer, struct core *core);

/* A timer that was never armed. */
#define TIMER_INIT ((struct timer){.node.place = -1})
