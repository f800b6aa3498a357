#pragma once
/* Logs of deleted topics of which live journals hold everything, and what they left in folders.
 *
 * Files of a new log are flushed by the first checkpoint that frees its entries. If the topic is
 * deleted before, a topic of the same name is made, and the power fails then, a folder may be left
 * with segments of the old log and without its partition.metadata: as one of the new topic that has
 * lost that file. Such a folder is known by its bytes: each segment begins with what the journal
 * says of the old log, or with zeros. It is removed at the start, before those entries are freed.
 *
 * Invariant: no anchor passes the entries of a log before its partition.metadata is durable
 * (checkpoint.c; of a deleted one folder_clear_await_names). */
#include "storage/recovery.h"

struct orphan_beginning;

struct orphans {
    struct orphan_beginning *beginnings; /* of their segments; the bytes are the journals' */
    int32_t count, capacity;
};

/* After a first pass: finds them. `names->exists` tells which logs there are. */
void orphans_find(struct orphans *orphans, const struct recovery *recovery,
                  const struct recovery_names *names);
void orphans_done(struct orphans *orphans);

/* Is what lies in `folder`, of that partition, left by one of them? Blocks. */
bool orphans_left(const struct orphans *orphans, struct port *port, const char *folder,
                  int32_t partition);
