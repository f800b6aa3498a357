#pragma once
/* The cleaner of a core: looks which of its logs is dirtiest, and has it compacted, one at a time.
 *
 *   rest -> look -> pass -> look ... -> rest              [timer, log by log, compaction.h]
 *
 * Logs are its own from cleaner_consider on until they are removed or not to be compacted. What it
 * reads and writes is charged to a budget of bytes per second; the memory of a pass is the map's,
 * two buffers, and what one batch takes. */
#include "base/random.h"
#include "logic/steady_clock.h"
#include "storage/compaction.h"
#include "storage/store.h"

struct cleaner_counters {
    uint64_t passes, failed_passes;
    uint64_t read_bytes, written_bytes; /* of segments */
    uint64_t kept_records, dropped_records;
    double dirty_ratio_max; /* of the last look, before it cleaned */
};

struct cleaner {
    struct store *store;
    struct flow flow;
    struct timer timer;
    struct waiter waiter;
    struct list logs;                  /* of struct log.cleanable */
    struct list pending;               /* of the same, not looked at in this round */
    struct list waiters, pass_waiters; /* for its end; for that of the pass at work */
    struct random random;
    struct op op;
    struct file_stat stat;
    struct log *log;         /* being looked at; held */
    struct segment *segment; /* of it, whose size is being asked for; in use */
    struct log *best;        /* the dirtiest so far; held */
    struct compaction_range best_range;
    double round_ratio_max;
    struct compaction_scan dating; /* of a segment whose times are not known */
    struct compaction_pass *pass;  /* at work */
    int64_t budget_ns;             /* the budget is used up until then */
    uint8_t state;
    bool runs, stopping, seeded;
    struct steady_clock clock;
    bool wants_anchor; /* something waits for the journal's anchors to pass it */
    char path[1100];
    struct cleaner_counters counters;
};

/* The log was made, or its settings were changed: compacted from now on, or not any more. The first
 * one of a store that is makes its cleaner, if the options have it enabled. */
void cleaner_consider(struct log *log);

/* Frees its memory; it must have ended (cleaner_stop), or have nothing under way, as in a start
 * that fails before its core has run. */
void cleaner_close(struct store *store);

/* Asks it to end. True: it has not yet; `waiter` is parked for `flow`: call it again. */
bool cleaner_stop(struct store *store, struct waiter *waiter, struct flow *flow);

/* Charges bytes to the budget. The time at which more may be done, by the monotonic clock. */
int64_t cleaner_charge(struct cleaner *cleaner, uint64_t bytes);

/* May the wall clock be wrong, since it was stepped, or nobody knows yet? */
bool cleaner_doubts_clock(struct cleaner *cleaner);

/* Called by a pass at its end, in its last step. */
void cleaner_pass_ended(struct cleaner *cleaner);
