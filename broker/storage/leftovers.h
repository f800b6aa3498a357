#pragma once
/* What a crash left of a compaction in a log's folder, finished or removed when the log is opened:
 * a `.log.swap` is complete and takes its place (compaction.h), `.cleaned` and `.deleted` go.
 * Nothing is done while there is none. */
#include "reactor/flow.h"

struct leftovers;
struct log;

/* Called for each file of the folder: makes *to at the first name that matters. */
void leftovers_note(struct leftovers **to, struct log *log, const char *name);

/* Goes on. True: it has ended, log->segments are those that the files now are, and *ret_fault is
 * null or says why it failed, with the error. False: a hold was taken: return STEP_AGAIN and call
 * it again. */
bool leftovers_step(struct leftovers *leftovers, struct flow *flow, const char **ret_fault,
                    enum error *ret_error);

/* Closes what is open and frees it; null does no harm. False: a hold was taken, call it again. */
bool leftovers_end(struct leftovers **of, struct flow *flow);
