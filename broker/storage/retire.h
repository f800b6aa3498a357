#pragma once
/* Segments wholly below a log's start go: taken from the log, then their names, then the files.
 *
 *   look -> close -> name -> flush -> names -> (file.delete.delay.ms) -> remove
 *
 *   <base>.log, .index ...  -> .deleted   all of them, then the folder is flushed
 *   .deleted                -> removed    a few at a time
 *
 * One flow for each store, which is there from the first such segment on. What a crash leaves:
 * segments below the start are met again here, once the log is opened; .deleted files are removed
 * then (leftovers.h). Invariants
 *  1. No name goes before the log start above it is durable.
 *  2. Never the newest segment; and where that has no file yet it gets one first, so that the log
 *     keeps its end.
 *  3. Only sealed segments of which no live block of a journal says anything, under either anchor:
 *     a replay would make them anew (compaction.h 1).
 *  4. What they say of producers is in a snapshot that is flushed, beyond them, and at or below
 *     the log's committed end: no cut takes it away. Where only that is missing, no checkpoint is
 *     asked for, and a stop leaves them. It is one that was read whole or written by this run:
 *     others may be torn, and those before it are removed first. While segments go no other
 *     snapshot does: until that one is flushed the log rests on an earlier one. And no live block
 *     of a journal cuts the log: a replay would remove it.
 *  5. Names change only when no read is at work on the segment. */
#include <stdbool.h>

struct flow;
struct log;
struct store;
struct waiter;

/* The log may have segments below its start. */
void retire_request(struct log *log);

/* Is anything of a log that may go not gone yet? Files that wait to be removed do not count. */
bool retire_is_at_work(const struct store *store);

/* At a stop: all of them go now, as far as may be, and files are removed at once. True: not yet;
 * `waiter` is parked for `flow`: call it again. */
bool retire_settle(struct store *store, struct waiter *waiter, struct flow *flow);

/* Frees its memory. */
void retire_close(struct store *store);
