#pragma once
/* The scrub of a core's store: reads the closed segments of all its logs now and then, so that rot
 * is found before anybody needs what has rotted.
 *
 *   rest -> round -> log -> segment -> ... -> log ... -> rest       [timer, log by log, in turn]
 *
 * A round comes once in log.scrub.interval.ms, the first one soon after the start. What it reads is
 * charged to a budget of bytes per second; a log that has to be opened for it costs some, too. It
 * ends at a stop at once. Memory: one piece of a file, or one batch. */
#include "base/random.h"
#include "storage/scrub_segment.h"
#include "storage/store.h"

struct scrub_counters {
    uint64_t rounds, segments, read_bytes, rot;
};

struct scrub {
    struct store *store;
    struct flow flow;
    struct timer timer;
    struct waiter waiter;
    struct list logs;    /* of struct log.scrubbed: all of the store's */
    struct list pending; /* of the same, not looked at in this round */
    struct list waiters; /* for its end */
    struct log *log;     /* at work on; held */
    int64_t base_offset; /* of the last segment that was looked at in it; -1: none */
    struct scrub_segment segment;
    struct op op;
    int64_t budget_ns; /* the budget is used up until then */
    int64_t next_round_ns;
    uint64_t charged; /* of segment.read_bytes */
    bool runs, stopping;
    struct scrub_counters counters;
};

/* Starts it, if the store's options have it enabled. */
void scrub_open(struct store *store);

/* A log of the store was made. */
void scrub_consider(struct log *log);

/* Asks it to end. True: it has not yet; `waiter` is parked for `flow`: call it again. */
bool scrub_stop(struct store *store, struct waiter *waiter, struct flow *flow);

/* Frees its memory; it must have ended, or never begun. */
void scrub_close(struct store *store);
