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
struct api_state;

struct shard {
    struct core core;          /* core.owner points back here */
    struct broker *broker;
    struct image image;        /* this core's copy; all cores apply the same records in order */
    struct map partitions;     /* by {topic id, index}: those whose owner is this core */
    struct list machine_queue; /* core 0: of machine requests that wait their turn */
    struct store *store;       /* journal, drain, logs of this core */
    struct net *net;           /* listeners and connections of this core */
    struct api_state *api;     /* what the calls under way need (api/api.h) */
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
    /* Called on core 0 once no connection is left after net_stop; by who runs the cores. */
    void (*stopped)(struct broker *broker);
    struct partition *metadata; /* __cluster_metadata-0, on core 0 */
};

/* Opens the stores, recovers, loads the metadata log and registers the node. One thread, and only
 * ports[0] is asked for anything until this returns: every core has it as its port meanwhile, since
 * a ring may be used by the thread that opened it only. The simulator's ports don't mind either.
 * On an error `why` says it in a sentence, and nothing is left to close. */
enum error broker_open(struct broker *broker, const struct settings *settings, struct port **ports,
                       int core_count, uint64_t seed, char *why, size_t why_size);

/* Drains, trims, and marks the directories as cleanly stopped; frees everything. One thread, that of
 * ports[0], which alone is asked. */
void broker_close(struct broker *broker);
