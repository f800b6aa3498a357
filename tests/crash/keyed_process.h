#pragma once
/* The inside of a keyed log (keyed.h): the process that lives, and the flows that write and read.
 */
#include "crash/keyed.h"
#include "reactor/core.h"

enum { KEYED_EVENTS_MAX = 3000000, KEYED_EPOCH = 7 };

struct keyed_process {
    struct keyed *keyed;
    struct core core;
    struct store store;
    struct log *log;
    struct flow write_flow, read_flow, settle_flow;
    struct waiter write_waiter, read_waiter, settle_waiter;
    struct timer write_timer, read_timer;
    struct random random;
    struct log_read read;
    struct keyed_seen seen;
    int64_t read_end;
    bool reading, writing, stopping, read_ended, settled, once;
    int64_t full_since_ns; /* appends have been refused since; 0: they are not */
    enum error error;
    uint8_t batch[KEYED_BATCH_BYTES];
    struct keyed_record made[64];
    uint32_t size;
    int32_t made_count;
};

/* Notes the durable and the committed end in the recording. */
void keyed_mark(struct keyed *keyed);

/* For log->moved and the cleaner: `context` is the process. */
void keyed_moved(struct log *log, void *context);
int64_t keyed_stable_end(const struct log *log, void *context);

/* An operation has failed that faults were injected into: the process ends, a start follows. */
bool keyed_process_is_fenced(const struct keyed_process *process);

void keyed_look_for_violations(struct keyed *keyed);

/* Keeps the latest wall clock there ever was. */
void keyed_note_time(struct keyed *keyed);

/* The writer, until process->stopping; and the reader, once or until then. */
void keyed_start_writer(struct keyed_process *process);
void keyed_start_reader(struct keyed_process *process, bool once);

/* Waits until both have ended; `what`: the failure if they don't. */
void keyed_end_flows(struct keyed *keyed, const char *what);
