#pragma once
/* Retention of a core's store: now and then its logs are looked at, one after the other, and what
 * is too old or too much goes by moving the log start (log_start.h, retire.h).
 *
 *   rest -> round -> log -> (dates and sizes it needs) -> decide -> start -> log ... -> rest
 *
 * logic/retention.h decides; a closed log is opened only when something of it may be due. By age
 * nothing goes before the wall clock has been steady for ten minutes (logic/steady_clock.h). */
#include "logic/steady_clock.h"
#include "storage/store.h"

struct retention {
    struct store *store;
    struct flow flow;
    struct timer timer;
    struct waiter waiter;
    struct list logs;        /* of struct log.retained */
    struct list pending;     /* of the same, not looked at in this round */
    struct list waiters;     /* for its end */
    struct log *log;         /* being looked at; held */
    struct segment *segment; /* of it, whose size is being asked for; in use */
    struct steady_clock clock;
    bool clock_holds;
    int64_t next_round_ns;
    struct op op;
    struct file_stat stat;
    bool runs, stopping, in_round;
    char path[1100];
};

/* The log was made, or its settings were changed. */
void retention_consider(struct log *log);

/* Asks it to end. True: it has not yet; `waiter` is parked for `flow`: call it again. */
bool retention_stop(struct store *store, struct waiter *waiter, struct flow *flow);

/* Frees its memory. */
void retention_close(struct store *store);
