#pragma once
/* The log directories of a broker as a whole, while it starts: which there are, whose they are, and
 * which can be used.
 *
 * Invariants
 *  1. All that are used belong to one cluster and to this node, and each has an id of its own.
 *  2. A directory that belongs to somebody else, is in use by another process, or is named twice
 *     stops the start; one that can't be made, locked or read does not, unless the metadata log
 * lies there: its partitions are offline, and none of them is made anew elsewhere (KAFKA-16234).
 *  3. A new directory is taken up; never as that of the metadata log beside others that are not
 *     new: what those hold would belong to no topic any more. */
#include "cluster/broker.h"

/* From log.dirs (or log.dir) and metadata.log.dir: broker->directories. BAD_ARGUMENT where one is
 * named twice. */
enum error directories_name(struct broker *broker, char *why, size_t why_size);

/* Makes, locks and reads them; gives the broker its cluster id. On an error `why` says what and
 * what to do. Blocks. */
enum error directories_open(struct broker *broker, struct port *port, char *why, size_t why_size);

/* Goes on without a directory: it is absent from here on. An error where the start can't: the
 * metadata log lies there; then `why` says so. */
enum error directories_give_up(struct broker *broker, int directory, enum error error,
                               const char *what, char *why, size_t why_size);

/* Unlocks them. Blocks. */
void directories_close(struct broker *broker, struct port *port);
void directories_free(struct broker *broker);

/* Its place in broker->directories, absent or not; -1: none has that id. */
int directories_find(const struct broker *broker, struct uuid id);
