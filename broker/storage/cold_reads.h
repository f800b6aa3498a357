#pragma once
/* Reads of what lies in files share a budget of bytes in flight, store_options.cold_read_bytes: a
 * disk serves its queue in order, so what readers of old data have put there stands before the
 * journal's next write. Small requests, few at a time, nothing read ahead (OPEN_NOTHING_AHEAD).
 *
 *  1. in_flight_bytes is at most the budget, or one read is under way alone.
 *  2. Who waits holds nothing that others wait for but its request. It is woken by the end of a
 *     read or of a write of the journal, in the order of arrival, and each of them ends; woken in
 *     vain, it waits for the next one.
 *  3. Nobody takes what somebody was woken for, or comes before those who wait: a reader that goes
 *     on and on would let nobody else read.
 *  4. None begins while the journal writes. Between two of its writes, however close, one does. */
#include "storage/log.h"

/* Bytes of one such read, unless a batch is larger: the core copies and sends no more of it in one
 * go, so that what others wait for comes in between. */
enum { COLD_READ_MOST = 256 << 10 };

/* Takes `size` bytes of the budget for `read`. False: it waits for `flow`; call again. */
bool cold_reads_take(struct log_read *read, int64_t size, struct flow *flow);

/* The journal has ended a write. */
void cold_reads_go_on(struct store *store);

/* Its operation has ended, or it reads nothing: gives back what it holds, if anything. */
void cold_reads_end(struct log_read *read);
