#pragma once
/* Bits that flip in cold files: of closed segments that have their sidecar, and snapshots of
 * producers, one file of a partition at most, while the broker runs.
 *
 *  - In an index, a time index, a list of aborted transactions, a sidecar or a snapshot: nobody
 *    notices. A snapshot that is damaged gives way to an older one, or to the log.
 *  - In a .log: its partition is offline, a read answers KAFKA_STORAGE_ERROR, or gives a batch
 * whose CRC tells (model_partition.rotten); what is whole in it is what was sent there.
 *  - Nobody else notices, no directory is fenced for it, and the stop is clean. */
#include "sim/broker_sim.h"

enum rot_kind { ROT_CACHE, ROT_LOG };

/* Flips one, if there is a file for it. */
void rot_flip(struct simulation *sim, enum rot_kind kind);
