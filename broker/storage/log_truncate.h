#pragma once
/* The end of a log is cut off: of a follower whose leader has another history (KIP-101), or all of
 * it, when the leader's log begins beyond its end.
 *
 *   settle -> find -> commit -> durable -> close -> reopen -> end
 *
 *  settle:  appends and reads that begin now wait; a checkpoint brings all there is to the files
 *  find:    headers from the index's entry on tell where the cut lies
 *  commit:  a CUT entry goes to the journal, and the ends go back in memory
 *  durable: it is on stable storage; only then is any file changed
 *  reopen:  the log is closed and opened again as one that is resumed (resume.h): its opening cuts
 *           the files, before anything else is looked at (log_open_cut.c), and finds producers,
 *           epochs and indexes as they are at the new end
 *
 * Invariants
 *  1. No file is cut before the CUT entry is durable, and no anchor passes the entry before the
 *     files have been cut and flushed: the opening, or recovery, does it again after a crash.
 *  2. What is committed is never cut (KAFKA-12460). */
#include "base/error.h"
#include <stdint.h>

struct flow;
struct log;
struct waiter;

/* Removes every batch whose last offset is at or above `offset`; one that holds it goes whole. The
 * log ends behind the last batch that stays, log->appended_end, or where its segment begins; if
 * nothing stays but what lies before the log start, it begins anew there. NONE: it ends at or below
 * `offset`. WOULD_WAIT: `waiter` is parked for `flow`; call again. OFFSET_OUT_OF_RANGE: what is
 * committed would go; the log start never goes back. KAFKA_STORAGE_ERROR: it has failed, or the
 * store was fenced. One caller at a time. */
enum error log_truncate(struct log *log, int64_t offset, struct waiter *waiter, struct flow *flow);

/* Removes everything: the log is empty, begins and ends at `offset` (Kafka's
 * truncateFullyAndStartAt). Errors as above. */
enum error log_restart_at(struct log *log, int64_t offset, struct waiter *waiter,
                          struct flow *flow);
