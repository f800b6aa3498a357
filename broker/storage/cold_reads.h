#pragma once
/* Reads of what lies in files: from the page cache where it has all that is wanted, else from the
 * disk. Each source has a budget of bytes in flight, store_options.cold_read_bytes, and a queue of
 * those who wait for it.
 *
 * A disk serves its queue in order, so what readers of old data have put there stands before the
 * journal's next write: small requests, few at a time, nothing read ahead (OPEN_NOTHING_AHEAD), and
 * none begins while the journal writes. The page cache is asked first (READ_CACHED_ONLY), which
 * concerns no disk: that waits for no write and for nobody who waits for the disk. Its budget is
 * what a core copies in a turn, for a copy ends with the turn in which it begins.
 *
 *  1. in_flight_bytes is at most the budget, or one read is under way alone.
 *  2. Who waits holds nothing that others wait for but its request. It is woken by the end of a
 *     read from its source or, for the disk, of a write of the journal, in the order of arrival,
 *     and each of them ends; woken in vain, it waits for the next one.
 *  3. Nobody takes what somebody was woken for, or comes before those who wait for the same source:
 *     a reader that goes on and on would let nobody else read.
 *  4. None begins on the disk while the journal writes. Between two of its writes, however close,
 *     one does.
 *  5. A read is in one queue, or holds of one budget, at a time. */
#include "base/list.h"
#include <stdbool.h>
#include <stdint.h>

struct flow;
struct log_read;
struct store;

/* Bytes of one such read, unless a batch is larger: the core copies and sends no more of it in one
 * go, so that what others wait for comes in between. */
enum { COLD_READ_MOST = 256 << 10 };

enum cold_source { COLD_CACHE, COLD_DISK, COLD_SOURCES };

/* A store's. */
struct cold_reads {
    struct cold_queue {
        int64_t in_flight_bytes;
        int32_t woken; /* that have not looked yet */
        struct list waiters;
    } queues[COLD_SOURCES];
    bool cache_untold; /* the system can't tell what the page cache has */
};

void cold_reads_init(struct cold_reads *cold);

/* Takes `size` bytes of the budget of `source` for `read`. False: it waits for `flow`; call again,
 * for the same source or another. */
bool cold_reads_take(struct log_read *read, enum cold_source source, int64_t size,
                     struct flow *flow);

/* The journal has ended a write. */
void cold_reads_go_on(struct store *store);

/* Its operation has ended, or it reads nothing: gives back what it holds, if anything. */
void cold_reads_end(struct log_read *read);
