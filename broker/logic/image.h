#pragma once
/* The cluster as its metadata log says it is: brokers, topics, partitions, settings of topics,
 * feature levels. Made by applying KRaft's records in order and by nothing else, so every core and
 * every broker that applied the same records holds the same image. Pure; owns what it holds.
 *
 * Invariants
 *  1. A topic is in both maps, by name and by id, or in none.
 *  2. partition_count is the number of entries of `partitions` that exist; an entry exists if its
 *     core is not -1.
 *  3. core_load[c] is the number of existing partitions whose core is c.
 *  4. A partition keeps its core as long as its topic lives, over starts too while the number of
 *     cores stays: the same records give the same cores, and a snapshot names them (image_write.h).
 *  5. epoch grows by one with every image_apply, whatever came of it.
 *  6. image_directory_load(d) is the number of replicas of existing partitions that d is named for.
 */
#include "base/error.h"
#include "base/map.h"
#include "config/settings.h"
#include "config/topic_settings.h"
#include "logic/image_kept.h"

enum {
    IMAGE_PARTITIONS_MAX = 1000000, /* of one topic; beyond it a record is refused as malformed */
    IMAGE_REPLICAS_MAX = 1000,      /* in any list of replicas of one partition */
};

/* KRaft's ConfigRecord.resource_type. */
enum { IMAGE_RESOURCE_TOPIC = 2 };

/* The lists of broker ids that a partition has. */
enum image_list {
    IMAGE_REPLICAS, /* the preferred leader first */
    IMAGE_ISR,
    IMAGE_REMOVING,
    IMAGE_ADDING,
    IMAGE_ELR, /* eligible leader replicas, KIP-966 */
    IMAGE_LAST_KNOWN_ELR,
    IMAGE_LIST_COUNT
};

struct image_partition {
    struct uuid *directories; /* of each replica, zero: not said; the lists follow in the block */
    int32_t leader;           /* -1: none */
    int32_t leader_epoch, partition_epoch;
    uint16_t counts[IMAGE_LIST_COUNT];
    int16_t core; /* that owns it; -1: there is no such partition */
    int8_t leader_recovery_state;
};

struct image_config {
    char *name, *value; /* owned, terminated */
};

struct image_topic {
    struct uuid id;
    char *name;                         /* owned, terminated */
    char *folded;                       /* the name with . as _; null where it has neither */
    struct image_partition *partitions; /* by partition id */
    struct image_config *configs;       /* in order of their first record */
    int32_t name_size, partition_capacity, partition_count, config_count;
    uint64_t changed_epoch;         /* image epoch of the last record about it: what caches go by */
    struct topic_settings settings; /* memo of image_topic_settings ... */
    uint64_t settings_epoch;        /* ... as of this changed_epoch; 0: none yet */
};

struct image_endpoint {
    char *name, *host; /* owned, terminated */
    uint16_t port;
    int16_t security_protocol;
};

struct image_broker {
    int32_t id;
    int64_t epoch;
    struct uuid incarnation_id;
    char *rack; /* owned; null: none */
    struct image_endpoint *endpoints;
    struct uuid *log_dirs; /* those that may be used (KIP-858), in the broker's order */
    int32_t endpoint_count, log_dir_count;
    bool is_fenced, in_controlled_shutdown;
};

struct image_feature {
    char *name; /* owned */
    int16_t level;
};

struct image {
    struct map by_name, by_id;    /* struct image_topic */
    struct map by_folded;         /* of names with . or _, to find those that differ only in that */
    struct map directories;       /* struct image_directory, by id */
    struct image_broker *brokers; /* ascending by id */
    struct image_feature *features;
    int32_t *core_load;
    int32_t broker_count, feature_count, core_count;
    int32_t topic_count, partition_count;
    int64_t next_producer_id; /* ids below were given to some broker (logic/producer_ids.h) */
    uint64_t epoch;
    struct image_kept kept;   /* what nothing here acts on yet, for snapshots */
    uint64_t ignored_records; /* neither applied nor kept: a snapshot would lose something */
};

/* An empty image for a broker of `core_count` cores (1 to 1024). `seed` is that of its maps. */
void image_init(struct image *image, int core_count, uint64_t seed);
void image_done(struct image *image);

/* Applies one decoded record: `record` is the struct of messages.h that belongs to `type`, the key
 * of a metadata record. What the image needs is copied. A record of a type that is not applied yet
 * is kept, or counted in ignored_records. A record that cannot be true changes nothing and returns
 * TOPIC_ALREADY_EXISTS, UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, BROKER_ID_NOT_REGISTERED or
 * MALFORMED: the log is broken, and the caller says so. */
enum error image_apply(struct image *image, int16_t type, const void *record);

/* Null where there is none. Borrowed until the next apply. */
const struct image_topic *image_topic_by_name(const struct image *image, struct string name);
const struct image_topic *image_topic_by_id(const struct image *image, struct uuid id);
const struct image_partition *image_partition(const struct image_topic *topic, int32_t id);
const struct image_broker *image_broker(const struct image *image, int32_t id);

/* A topic whose name differs from `name` only in . and _, or null; `name` itself does not count. */
const struct image_topic *image_topic_colliding(const struct image *image, struct string name);

/* Walks the topics in no particular order: start with *position 0; null at the end. */
const struct image_topic *image_next_topic(const struct image *image, uint32_t *position);

/* One of a partition's lists; *ret_count entries. */
const int32_t *image_partition_list(const struct image_partition *partition, enum image_list list,
                                    int32_t *ret_count);

/* The core that owns the partition; -1 where it does not exist. */
int image_partition_core(const struct image *image, struct uuid topic_id, int32_t partition_id);

/* The log directory of that broker in which the partition lies (KIP-858); zero: it is not said. */
struct uuid image_partition_directory(const struct image_partition *partition, int32_t broker_id);

/* The replicas that can't be used: their broker is gone, or the log directory that they lie in is
 * none of those it has registered (KRaftMetadataCache.isReplicaInOfflineDir). How many; `ret`, if
 * not null, has room for all replicas. */
int32_t image_offline_replicas(const struct image *image, const struct image_partition *partition,
                               int32_t *ret);

/* How many replicas lie in the directory. */
int32_t image_directory_load(const struct image *image, struct uuid directory);

/* Level of a feature; 0 where no record set it. */
int16_t image_feature_level(const struct image *image, struct string name);

static inline struct string image_topic_name(const struct image_topic *topic)
{
    return (struct string){topic->name, topic->name_size};
}

/* The settings in force for a topic: its own over the broker's. A setting of the log that this
 * version refuses is left at the broker's. Parsed once after each change of the topic; `broker`
 * must be the same in every call. */
void image_topic_settings(const struct image_topic *topic, const struct settings *broker,
                          struct topic_settings *ret_settings);

/* True if both hold the same, epochs and cores too, whatever the seeds of their maps. */
bool image_equal(const struct image *a, const struct image *b);

/* The same, what is kept too, but for the epochs and what was ignored: one may have been made of a
 * snapshot. */
bool image_same(const struct image *a, const struct image *b);
