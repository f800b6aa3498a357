#pragma once
/* Inside cluster/: a log directory that fails while the broker runs.
 *
 *   a write or flush of one core fails: its store is fenced           (store_fence)
 *     -> core 0: the last one, or that of the metadata log? the process ends, and says why
 *        else every core's store in that directory is fenced too, and the registration of the node
 *        is written without it, so that nothing is placed there any more
 *
 * Its partitions answer KAFKA_STORAGE_ERROR from then on; all others are served. Nothing is
 * retried: the next start takes the directory up again, if it can. */
#include "cluster/broker.h"

/* One core's part in one directory. */
struct fencing {
    struct shard *shard;
    int directory;
    bool told; /* core 0 knows, or need not */
    struct mail up, down;
    struct flow up_flow, down_flow;
};

/* After broker_open's registration, before the cores run: from here on fences are noticed. */
void offline_open(struct broker *broker);
void offline_close(struct broker *broker);

/* Has it failed since the start? On core 0. */
bool offline_is(const struct broker *broker, int directory);
