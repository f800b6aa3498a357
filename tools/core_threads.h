#pragma once
/* The threads of a broker's cores and their ports. Core 0's is the one that starts the others:
 *
 *   core 0's thread                              threads of cores 1...
 *   core_threads_start ---------------------->   open own port
 *   crew: work on a part ------------------->    the same part, each its share
 *   core_threads_run ----------------------->    run
 *   core_threads_await  <--------------------    stopped
 *   core_threads_end ----------------------->    close own port, end
 *
 * A ring may be used by the thread that opened it only. */
#include "reactor/core.h"
#include "reactor/crew.h"
#include <pthread.h>

enum { CORE_THREADS_MAX = 64 };

enum core_phase { PHASE_WORK, PHASE_RUN, PHASE_CLOSE };

struct core_thread {
    struct core_threads *all;
    pthread_t thread;
    int id;
    bool started;
};

struct core_threads {
    struct crew crew;
    int count;
    struct port *ports[CORE_THREADS_MAX];
    struct core *cores[CORE_THREADS_MAX]; /* for core_threads_run */
    enum error port_error;                /* of the first that could not open its port */
    char why[256];
    /* inside */
    enum error (*open_port)(void *context, struct port **ret_port, char *why, size_t size);
    void *context;
    struct core_thread threads[CORE_THREADS_MAX];
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    enum core_phase phase;
    int opened, worked, stopped;           /* threads, without core 0's */
    uint64_t parts;                        /* of the crew's work, begun */
    void (*part)(void *context, int core); /* the newest */
    void *part_context;
};

/* Starts threads for `count` cores less one and waits until all ports are open; `open_port` is
 * called on each thread. False: not all are, or a thread could not be started; why says it.
 * core_threads_end follows in any case. */
bool core_threads_start(struct core_threads *all, int count,
                        enum error (*open_port)(void *context, struct port **ret_port, char *why,
                                                size_t size),
                        void *context);

/* Has the other threads run all->cores until they are stopping. */
void core_threads_run(struct core_threads *all);

/* Waits until all that run have stopped. */
void core_threads_await(struct core_threads *all);

/* Closes all ports and ends the threads. */
void core_threads_end(struct core_threads *all);
