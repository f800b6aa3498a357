#pragma once
/* The broker: what one process, or one machine of the simulator, is. Everything hangs on it;
 * nothing is process-wide. It has a shard per core; a shard and what hangs on it are touched by its
 * core's thread only.
 *
 *   broker_open -> shard_open for every core -> (all opened) -> broker_register -> cores run
 *   -> shard_settle on every core -> shard_close for every core -> broker_close
 *
 * broker_open runs before the threads of the other cores start; no core may serve before every
 * shard has been opened, since that is what ends the old journals: one that came back after a crash
 * would be replayed over newer data. */
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
    struct api_state *api;     /* what the calls under way need (api/deadline.h) */
    struct metrics metrics;
    struct random random;
    bool settled; /* at shard_close: nothing was left in the journal */
};

enum { BROKER_CORES_MAX = 64, METADATA_VERSION = 29 };

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
    bool machine_busy;          /* core 0: a machine request is between its decision and its end */
    struct registration *registration;
    enum error ready;           /* STOPPED until the node is registered */
    char *directory;
    int32_t lock_handle;
    uint64_t replayed_bytes;    /* by recovery */
    struct port *port;          /* the first core's */
};

/* Makes the directory the broker's (lock, meta.properties), replays the journals, reads the metadata
 * log into every shard's image. Uses port_call on `port`, the first core's. `seed` is from the
 * system's randomness. On failure `why` is a sentence with what to do. */
enum error broker_open(struct broker *broker, const struct settings *settings, struct port *port,
                       int core_count, uint64_t seed, char *why, size_t why_size);

/* On the core's own thread: sets up core, store and the partitions it owns. */
enum error shard_open(struct broker *broker, int core, struct port *port, char *why,
                      size_t why_size);

/* A flow's part of a clean stop: drains, trims and flushes this core's share. NONE: done (also when
 * the store is fenced: there is nothing more to do). WOULD_WAIT: `waiter` is parked, call again. */
enum error shard_settle(struct shard *shard, struct waiter *waiter, struct flow *flow);

/* On the core's own thread, once nothing runs any more. Blocks. */
void shard_close(struct shard *shard);

/* After every shard: writes the clean-shutdown file if all were settled, unlocks. Blocks. */
void broker_close(struct broker *broker, struct port *port);

/* Starts what tells the metadata log of this start of the node: a hold of `origin` on core 0 is
 * released when it is committed; broker->ready then says whether it was. */
void broker_register(struct broker *broker, struct flow *origin);
