#pragma once
/* The broker: what one process, or one machine of the simulator, is. Everything hangs on it;
 * nothing is process-wide. It has a shard per core; a shard and what hangs on it are touched by its
 * core's thread only. Before broker_start and after broker_stop one thread owns everything. */
#include "base/map.h"
#include "base/random.h"
#include "config/settings.h"
#include "logic/image.h"
#include "metrics/metrics.h"
#include "reactor/core.h"

struct broker;
struct store;
struct net;
struct partition;

struct shard {
    struct core core;          /* core.owner points back here */
    struct broker *broker;
    struct image image;        /* this core's copy; all cores apply the same records in order */
    struct map partitions;     /* by {topic id, index}: those whose owner is this core */
    struct list machine_queue; /* core 0: of machine requests that wait their turn */
    struct store *store;       /* journal, drain, logs of this core */
    struct net *net;           /* listeners and connections of this core */
    struct metrics metrics;
    struct random random;
};

enum { BROKER_CORES_MAX = 64 };

struct broker {
    const struct settings *settings; /* the caller's */
    struct shard *shards;
    int core_count;
    int32_t node_id;
    char cluster_id[23];   /* base64url of a uuid, as in meta.properties */
    uint64_t incarnation;  /* random, new at each start */
    struct partition *metadata; /* __cluster_metadata-0, on core 0 */
};
