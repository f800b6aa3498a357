#pragma once
/* Logs that nobody has used for some time are closed again: their segments, indexes, epochs and
 * producers go from memory, their files are closed, and the next use opens them as the first did.
 *
 * Invariants
 *  1. A log is closed only at rest: all that it holds lies in its files, flushed, and nothing that
 *     a start would replay says anything of it (log_rests); nobody holds, reads, drains or waits
 *     for it; its producers, if it has any, are in a snapshot, so that the next opening is short.
 *  2. The ends stay as they were: log start, durable and appended end are kept, and an opening that
 *     finds others fails the log.
 *  3. What the journal needs to know of it stays: whether it is bound, and what block touched it.
 */
#include <stdbool.h>

struct flow;
struct log;
struct op;
struct store;

/* It is asked for now. It is open. */
void log_is_used(struct log *log);

/* Closes what is idle, and has snapshots written that are missing for that. True: `op` was started
 * for `flow`: call again. False: nothing is left to close now. */
bool log_close_idle(struct store *store, struct op *op, struct flow *flow);

/* While a log is opened that was closed: has it the ends that it had? */
bool log_ends_are_as_before(const struct log *log);
