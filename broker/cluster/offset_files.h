#pragma once
/* Kafka's checkpoint files of offsets, one of each in every log directory, written for Kafka and
 * for people; a start takes from them only what they say of logs that it does not open:
 *
 *   recovery-point-offset-checkpoint   up to where a log is flushed in its segments
 *   replication-offset-checkpoint      its high watermark
 *   log-start-offset-checkpoint        where it begins, if records were deleted; at a clean stop
 *                                      only, and never read here: cluster/kafka_starts.h
 *
 *   wait -> gather (each core its partitions, a bounded number a turn) -> write, per directory
 *
 * While the broker runs they lag: the first is looked at each
 * log.flush.offset.checkpoint.interval.ms, the second each
 * replica.high.watermark.checkpoint.interval.ms, and a file is written when it says something new.
 * At a clean stop both are right. What only the journal holds is not in the first. A failure to
 * write is told, fences nothing, and is tried again at the next time. Everything here is on core 0
 * but the gathering. */
#include "cluster/broker.h"

struct flow;
struct waiter;

/* Reads the files of all directories, before the shards are opened; damaged ones say
 * nothing and are written anew. Blocks. */
void offset_files_open(struct broker *broker, struct port *port);

/* Tells every partition of the shard, just made, what was read. */
void offset_files_tell(struct shard *shard);

/* The cores are about to run: from now on the files are written. */
void offset_files_start(struct broker *broker);

/* Ends: what is under way comes to its end. NONE: done. WOULD_WAIT: `waiter` is parked for `flow`;
 * call again. On core 0. */
enum error offset_files_stop(struct broker *broker, struct waiter *waiter, struct flow *flow);

/* Writes the files of a directory, flushed; all cores have stopped and no log is closed yet.
 * Blocks. */
enum error offset_files_write(struct broker *broker, int directory, struct port *port);

/* Frees. */
void offset_files_close(struct broker *broker);
