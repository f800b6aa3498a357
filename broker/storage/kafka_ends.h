#pragma once
/* The ends of logs that a Kafka node has left which did not stop in order. It has no journal: what
 * it had not flushed may be torn, and its own start would read all that lies beyond its recovery
 * points (recovery-point-offset-checkpoint) and cut each log at the first batch that is not whole.
 * So does this, once, before a broker of ours takes the directory for its own:
 *
 *   read all beyond the recovery point -> a fault at or beyond it -> caches and snapshots go, later
 *     segments are kept aside as .log.damaged -> names flushed -> the segment is cut, flushed
 *   -> a fault below it, or the log ends there: that was flushed: nothing is cut, the log is set
 *     aside (aside.h), offline
 *
 * Of the metadata log no recovery point is told, and every batch is flushed before the next follows
 * it: a fault behind which a whole batch lies is damage, and refuses the start.
 * A log that ends before its log start (records deleted up to its end, and that not flushed) goes
 * on at the log start, as Kafka's does.
 *
 * For directories whose last user was a Kafka node only: of our own logs the journal knows the end.
 * Blocks (port_call). May be interrupted anywhere and done again. */
#include "base/error.h"
#include "storage/recovery_halt.h"
#include "storage/recovery_progress.h"
#include <stddef.h>

struct kafka_ends {
    int32_t logs, cut, set_aside; /* looked at; of these */
    char *sentences;              /* of each that was not whole, a line; the caller's (memory_free);
                                     or null */
    size_t sentences_size;
    char fault[512]; /* of an error: a sentence */
};

/* Of the logs of a directory each belongs to one share, by its name: shares may be at work side by
 * side, each on the thread of its port. */
struct kafka_share {
    int number, count;
    struct recovery_progress *progress; /* or null */
    const struct recovery_halt *halt;   /* the same */
};

/* All logs of a directory that are in the share (null: all). MALFORMED: its metadata log is
 * damaged. CANCELLED: another share had failed. */
enum error kafka_ends_cut(struct port *port, const char *directory, const struct kafka_share *share,
                          struct kafka_ends *ret_ends);
