#pragma once
/* What the simulated clients know: every record that was sent, what was acknowledged or read at
 * which offset, which topics were made and deleted. All oracles on data come down to it.
 *
 *  1. A record (uid) is sent once, to one partition of one topic id; it appears at one offset at
 * most.
 *  2. What was acknowledged, or read by a consumer, stays at its offset with its bytes for as long
 * as the topic lives: `promised_end` is the end of all that.
 *  3. A topic whose deletion was answered does not come back; one whose creation was answered, or
 *     that was seen, does not vanish unless its deletion was asked for. */
#include "base/bytes.h"
#include "base/map.h"
#include "sim/world.h"

/* Cores hear of a change one after the other: for so long one may not know of a topic that another
 * has shown. */
#define MODEL_SPREAD_NS 1000000000ll

enum { MODEL_PARTITIONS_MAX = 8, MODEL_NAME_SIZE = 32, MODEL_VALUE_MIN = 12 };

struct model_topic;

struct model_slot {
    uint64_t uid;     /* 0: not known */
    bool is_promised; /* acknowledged or read */
    bool is_verified; /* read since model_verify_begin */
};

struct model_partition {
    struct model_topic *topic;
    int32_t index;
    struct model_slot *slots; /* by offset */
    int64_t capacity, promised_end, verified_count, promised_count;
    int64_t high_watermark_seen; /* in this incarnation of the broker; -1 */
};

struct model_topic {
    struct uuid id;
    char name[MODEL_NAME_SIZE];
    int32_t partition_count;
    bool delete_asked;
    int64_t seen_ns;    /* when it was known to exist */
    int64_t deleted_ns; /* when its deletion was answered; INT64_MAX */
    struct model_partition partitions[MODEL_PARTITIONS_MAX];
};

struct model_record {
    struct model_partition *partition;
    int64_t offset; /* -1: not known */
    uint32_t size;  /* of the value */
};

struct model {
    struct world *world;
    struct map by_id; /* struct model_topic */
    struct model_topic **topics;
    int32_t topic_count, topic_capacity;
    struct model_record *records; /* by uid; 0 is nobody's */
    uint64_t record_count, record_capacity;
    uint64_t acknowledged, read;
};

void model_init(struct model *model, struct world *world);
void model_done(struct model *model);

/* Null: never heard of. */
struct model_topic *model_find(const struct model *model, struct uuid id);

/* A broker said, in answer to what was asked at `asked_ns`, that the topic exists. */
struct model_topic *model_topic_seen(struct model *model, struct uuid id, struct string name,
                                     int32_t partition_count, int64_t asked_ns);

/* A list of all topics, asked for at `asked_ns`, does not have it. */
void model_topic_missing(struct model *model, struct model_topic *topic, int64_t asked_ns);

/* Its deletion was answered: NONE, or that it does not exist. */
void model_topic_deleted(struct model *model, struct model_topic *topic);

/* A record is about to be sent; returns its uid. `size` of the value, MODEL_VALUE_MIN at least. */
uint64_t model_send(struct model *model, struct model_partition *partition, uint32_t size);

/* The value of a record: uid, then bytes that follow from it. */
void model_value(uint64_t uid, uint8_t *value, uint32_t size);

/* It was acknowledged at `offset`. */
void model_acknowledge(struct model *model, uint64_t uid, int64_t offset);

/* This value was found at `offset`. `promises`: by a consumer, so it must stay. */
void model_read(struct model *model, struct model_partition *partition, int64_t offset,
                struct bytes value, bool promises);

/* From now on reads are counted: model_verified says whether all promised offsets of a partition
 * were read since. */
void model_verify_begin(struct model *model);
bool model_verified(const struct model_partition *partition);

/* Checks one fetched or stored run of whole batches: CRCs, dense offsets, every record. Offsets go
 * on from *next; -1: anywhere. */
void model_read_batches(struct model *model, struct model_partition *partition, struct bytes data,
                        int64_t *next, bool promises);
