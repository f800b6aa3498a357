#pragma once
/* Inside cluster/: one core's share, opened and closed by broker.c on one thread. */
#include "cluster/broker.h"

struct journal_content;

/* Sets up core, stores and the partitions that the image gives to this core; `port` is asked
 * (blocks) and stays the core's. contents[d]: of its journal in directory d, to be gone on with;
 * null: that journal begins anew. */
enum error shard_open(struct broker *broker, int core, struct port *port,
                      struct journal_content **contents, char *why, size_t why_size);

/* Closes and frees them, once nothing runs any more; directories of which something is left in the
 * journal are not settled. Blocks. */
void shard_close(struct shard *shard);
