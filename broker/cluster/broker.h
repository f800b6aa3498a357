#pragma once
/* The broker: what one process, or one machine of the simulator, is. Everything hangs on it;
 * nothing is process-wide. It has a shard per core; a shard and what hangs on it are touched by its
 * core's thread only.
 *
 *   broker_open -> cores run -> broker_stop_cores -> cores have stopped -> broker_close */
#include "base/map.h"
#include "base/random.h"
#include "cluster/quorum.h"
#include "config/settings.h"
#include "logic/image.h"
#include "metrics/metrics.h"
#include "reactor/core.h"
#include "reactor/crew.h"
#include "storage/folder_claims.h"
#include "storage/offset_checkpoint.h"

struct broker;
struct store;
struct net;
struct partition;
struct api_state;
struct snapshots;
struct offset_files;
struct whereabouts;
struct fencing;
struct offline;
struct leaving;
struct start_progress;

struct shard {
    struct core core; /* core.owner points back here */
    struct broker *broker;
    struct image image;       /* this core's copy; all cores apply the same records in order */
    struct map partitions;    /* by {topic id, index}: those whose owner is this core */
    struct store **stores;    /* of each log directory: journal, drain, logs of this core; one more,
                                 fenced, for logs whose directory is not here */
    struct fencing *fencings; /* of each log directory (cluster/offline.h) */
    struct net *net;          /* listeners and connections of this core */
    struct api_state *api;    /* what the calls under way need (api/api.h) */
    struct metrics metrics;
    struct random random;
    int64_t producer_id_next, producer_id_end; /* of this core's block: to be given out */
    struct flow stop_flow;                     /* settles, then stops the core */
    struct mail stop_mail;
    struct waiter stop_waiter;
};

/* One log directory: files of its own, and a store per core. Constant while cores run. */
struct directory {
    char *path;     /* no trailing slash */
    struct uuid id; /* of meta.properties; zero while it is absent */
    struct folder_claims claims;
    int32_t lock_handle;
    bool holds_partitions;            /* log.dirs names it; else metadata.log.dir alone does */
    enum error absent;                /* NONE, or why it could not be used at the start */
    char reason[400];                 /* a sentence about that */
    bool unmarked;                    /* the start found no mark (cluster/directory.h) */
    bool settled;                     /* at shard_close: nothing was left in its journals */
    struct offset_checkpoint cleaned; /* while the broker opens: how far logs were compacted */
    char *cleaned_text;
};

/* Changes of metadata under way. The counts are of requests whose records the log has taken. */
struct machine_state {
    struct image decided;  /* has their records, committed or not */
    bool busy;             /* a request is between its decision and the log's answer */
    bool failed;           /* a commit failed: `decided` holds what will never be */
    struct flow *holder;   /* whose turn it is, while busy */
    struct list queue;     /* of those that wait for the turn */
    struct list under_way; /* of machine_request.under_way: taken and not applied everywhere */
    uint64_t taken, applied, settled; /* in the log; applied on core 0; on every core */
    struct list to_apply, to_settle;  /* of waiters, by the count that they wait for */
};

enum { BROKER_CORES_MAX = 64, METADATA_VERSION = 29 };

struct broker {
    const struct settings *settings; /* the caller's */
    struct shard *shards;
    int core_count;
    int32_t node_id;
    char cluster_id[23];  /* base64url of a uuid, as in meta.properties */
    struct quorum quorum; /* of the metadata log, on core 0 once the cores run */
    uint64_t incarnation; /* random, new at each start */
    /* Called on core 0 once no connection is left after net_stop; by who runs the cores. */
    void (*stopped)(struct broker *broker);
    /* Called when the directory of the metadata log, or the last other one, was fenced: nothing
     * more can be acknowledged. On the core whose store it was, or on core 0. By who runs the
     * cores; null: the broker goes on answering KAFKA_STORAGE_ERROR. */
    void (*fenced)(struct broker *broker, struct shard *shard);
    struct partition *metadata;        /* __cluster_metadata-0, on core 0 */
    struct offset_files *offset_files; /* Kafka's, on core 0 (cluster/offset_files.h) */
    struct snapshots *snapshots;       /* of it, on core 0 (cluster/snapshots.h) */
    struct machine_state machine;      /* on core 0 (cluster/machine.h) */
    struct flow stop_flow;             /* core 0: the node leaves, then every core stops */
    struct leaving *leaving;           /* core 0: a stop's part of the registration */
    const char *root; /* what their relative paths begin behind, ends in a slash; by who runs the
                         cores; null: not told */
    struct directory *directories; /* in the order of log.dirs */
    int directory_count;
    int metadata_directory;          /* the metadata log lies in this one */
    struct offline *offline;         /* of each directory, on core 0 (cluster/offline.h) */
    struct whereabouts *whereabouts; /* while it opens (cluster/whereabouts.h) */
    struct start_progress *progress; /* while it opens (cluster/start_progress.h) */
    char warning[600]; /* of the start, about directories: a sentence for the operator; or empty */
    char *sentences;   /* what the start did to logs that a Kafka node left, a line each; or null */
    uint64_t replayed_bytes;  /* by recovery, and found in journals that were resumed */
    int64_t recovery_ms;      /* until all cores had recovered what is theirs */
    bool metadata_unended;    /* the log that the start read ends within a transaction */
    struct metadata_read {    /* by the start, of the metadata log */
        int64_t snapshot_end; /* -1: there was none */
        uint64_t snapshot_bytes, snapshot_records, log_bytes, log_records;
        char warning[600]; /* a sentence for the operator; or empty */
    } metadata_read;
};

/* What a broker starts with; the caller's. */
struct broker_start {
    const struct settings *settings; /* must outlive the broker */
    struct port **ports;             /* of each core */
    int core_count;
    uint64_t seed;     /* from the system's randomness */
    struct crew *crew; /* has the cores recover side by side */
    /* Gets lines of the log while a start takes long (cluster/start_progress.h), on the thread of
     * any core; null: nobody does. */
    void (*write)(void *owner, const char *line, size_t size);
    void *write_owner;
};

/* Makes the directory the broker's (lock, meta.properties), has each core read its journals, reads
 * the metadata log into every shard's image, has each core replay its logs, where that is needed,
 * and open its stores with a new journal or go on with the one it has (storage/resume.h), and
 * registers the node. Apart from the crew's parts all happens on the thread of ports[0], which
 * alone is asked then: every core has it as its port meanwhile, since a ring may be used by the
 * thread that opened it only. No core may run before this has returned: an old journal that came
 * back after a crash would be replayed over newer data. On an error `why` says it in a sentence,
 * with what to do, and nothing is left to close, but
 * broker->sentences to be freed (memory_free). */
enum error broker_open(struct broker *broker, const struct broker_start *start, char *why,
                       size_t why_size);

/* On core 0 while the cores run: the node is fenced in the metadata log, then each core drains,
 * trims and flushes its share, and then stops running (core->stopping). */
void broker_stop_cores(struct broker *broker);

/* After the cores have stopped: closes everything and marks the directory as cleanly stopped, if
 * all was settled. One thread, that of ports[0], which alone is asked. Frees everything. */
void broker_close(struct broker *broker);

/* The folder of the metadata log's directory. */
const char *broker_metadata_path(const struct broker *broker);
