#pragma once
/* Inside cluster/: the cores' shares, opened side by side, closed by broker.c on one thread. */
#include "cluster/recover.h"

/* Each core, on its thread, sets up its stores and the partitions that the image gives to it, and
 * goes on with its journals or begins them anew. Afterwards all shards are to be closed, also after
 * an error, and every core has the first one's port. A directory where that fails on any core is
 * given up on all; an error, and `why`, where the metadata log lies there. */
enum error shards_open(struct broker *broker, const struct recover *recovers,
                       const struct broker_start *start, char *why, size_t why_size);

/* Closes and frees them, once nothing runs any more; directories of which something is left in the
 * journal are not settled. Blocks. */
void shard_close(struct shard *shard);
