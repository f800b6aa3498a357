#pragma once
/* Threads that make blocking file calls and OP_WORK for one port, so that its core never blocks.
 * They are started when first needed and each takes the next operation of one queue.
 *
 * Invariants
 *  1. An operation is in `queue`, with a thread, or in `done`; only its owner port takes it out.
 *  2. Each time `done` becomes non-empty the event is signalled; the port then takes all of it.
 * All functions are for the port's thread. */
#include "base/list.h"
#include "reactor/port.h"
#include <pthread.h>

enum { WORKERS_MAX = 4 };

struct workers {
    pthread_mutex_t mutex; /* of everything below */
    pthread_cond_t wanted; /* `queue` is not empty, or `stopping` */
    struct list queue, done;
    pthread_t threads[WORKERS_MAX];
    int thread_count, thread_limit, idle_count;
    int event; /* the port's eventfd */
    bool stopping;
};

/* At most `thread_limit` threads (≤ WORKERS_MAX), which signal `event` (an eventfd). */
void workers_init(struct workers *workers, int thread_limit, int event);

/* Stops the threads. Nothing may be queued. */
void workers_done(struct workers *workers);

/* Hands `op` over. */
void workers_submit(struct workers *workers, struct op *op);

/* Takes `op` back if no thread has begun with it. False otherwise. */
bool workers_cancel(struct workers *workers, struct op *op);

/* Moves what is done to the end of `to`, with op->result set but not delivered. */
void workers_take(struct workers *workers, struct list *to);
