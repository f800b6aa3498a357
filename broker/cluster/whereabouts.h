#pragma once
/* Inside cluster/: in which log directory each partition lies.
 *
 * The metadata say it (PartitionRecord.directories, KIP-858). Where they do not, or name a
 * directory that does not hold it, a start looks: the partition is where its folder lies, else
 * where a journal holds something of it. What was found out is written into the metadata once the
 * node is registered, so every later start is told.
 *
 * Invariants
 *  1. A partition that belongs to a directory which is not here, or can't be used, is offline: it
 * is never made anew in another one (KAFKA-16234).
 *  2. A folder is removed only if no topic has its name, if its partition.metadata names another
 *     topic id than the topic has now, or if a journal holds all that lies there of a deleted
 *     topic (storage/orphans.h). */
#include "cluster/recover.h"
#include "logic/image.h"

/* The place in broker->directories; directory_count: it is offline. Any core, by its own image. */
int whereabouts_of(const struct broker *broker, const struct image_topic *topic, int32_t index);

/* Finds out, once the metadata log has been read and the journals of all directories: for
 * whereabouts_of from here on. BAD_ARGUMENT: a partition lies in two directories. Sets
 * broker->warning if some are offline. Blocks. */
enum error whereabouts_look(struct broker *broker, const struct recover *recovers,
                            struct port *port, char *why, size_t why_size);

/* Is this folder of the directory left from a topic that is gone? */
bool whereabouts_is_stray(const struct broker *broker, const char *folder);

/* For a decision on core 0: a record for each of at most `most` partitions of which the metadata do
 * not say yet where they lie. */
struct record_list;
void whereabouts_write(const struct broker *broker, const struct image *image, int32_t most,
                       struct record_list *records);

/* Forgets what was found: the metadata say it all now. */
void whereabouts_forget(struct broker *broker);
