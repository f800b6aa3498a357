#pragma once
/* How far the recovery of one directory has come: counted by the cores that are at work on it, read
 * by whoever tells a person. */
#include "reactor/port.h"
#include <stdatomic.h>

enum recovery_counter {
    RECOVERY_JOURNALS, /* that there are */
    RECOVERY_JOURNALS_READ,
    RECOVERY_JOURNAL_BYTES, /* of live blocks, read so far */
    RECOVERY_LOGS,          /* that the journals read so far hold something of, or a Kafka node
                               that died has left */
    RECOVERY_LOGS_RECOVERED,
    RECOVERY_SEGMENT_BYTES, /* read of those that a Kafka node has left */
    RECOVERY_COUNTERS
};

struct recovery_progress {
    _Atomic uint64_t counters[RECOVERY_COUNTERS];
    /* Called after each change, on the thread of `port`. */
    void (*moved)(struct recovery_progress *progress, struct port *port);
};

/* Adds to a counter, and tells. `progress` null: nobody asks. */
static inline void recovery_moved(struct recovery_progress *progress, struct port *port,
                                  enum recovery_counter counter, uint64_t amount)
{
    if (!progress)
        return;
    atomic_fetch_add_explicit(&progress->counters[counter], amount, memory_order_relaxed);
    progress->moved(progress, port);
}
