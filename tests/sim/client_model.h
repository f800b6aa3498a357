#pragma once
/* What the simulated clients know: every record that was sent, what was acknowledged or read at
 * which offset, which topics were made and deleted. All oracles on data come down to it.
 *
 *  1. A record (uid) is sent once, to one partition of one topic id; it appears at one offset at
 * most.
 *  2. What was acknowledged, or read by a consumer, stays at its offset with its bytes for as long
 * as the topic lives and the log start is below it: `promised_end` is the end of all that.
 *  3. What was refused for good appears nowhere.
 *  4. Key, value, headers, timestamp and codec are what was sent, or what the topic's rules say.
 *  5. A topic never shrinks, and never grows beyond what was asked for.
 *  6. A topic whose deletion was answered does not come back; one whose creation was answered, or
 *     that was seen, does not vanish unless its deletion was asked for. */
#include "base/bytes.h"
#include "base/map.h"
#include "protocol/batch.h"
#include "sim/world.h"

/* Cores hear of a change one after the other: for so long one may not know of a topic that another
 * has shown. */
#define MODEL_SPREAD_NS 1000000000ll

enum {
    MODEL_PARTITIONS_MAX = 8,
    MODEL_NAME_SIZE = 32,
    MODEL_VALUE_MIN = 12,
    MODEL_EXTRA_BYTES = 64, /* of key and of headers, each */
    MODEL_CODEC_SENT = -1,
    MODEL_KEYS = 8, /* of a compacted topic */
};

/* Names of a kind: "fixed-0" stays for ever, "passing-0" is deleted and made again, both are made
 * with settings of their own; "auto-0" comes by being asked for and has the broker's. */
enum model_kind { MODEL_FIXED, MODEL_PASSING, MODEL_AUTOMATIC, MODEL_KINDS };

enum { MODEL_NAMES_MAX = 4 }; /* of each kind */

/* The settings of topics of one name, for as long as the seed runs. */
struct model_rules {
    int codec; /* enum codec; MODEL_CODEC_SENT: the producer's */
    bool append_time;
    bool old_is_refused; /* message.timestamp.before.max.ms is an hour */
    int32_t size_max_bytes, min_insync;
    int64_t retention_ms, retention_bytes; /* -1: no limit */
    int64_t delete_delay_ms;
    bool compacts, keeps; /* cleanup.policy: compact; not delete */
    int64_t tombstone_ms; /* delete.retention.ms */
};

/* A reader's way through a compacted log (client_keys.h). */
struct model_pass {
    bool runs;
    int64_t promised[MODEL_KEYS]; /* the newest when it began; -1 none */
    int64_t met[MODEL_KEYS];      /* the last one; -1 none */
};

struct model_topic;

struct model_slot {
    uint64_t uid;     /* 0: not known */
    uint32_t crc;     /* of the batch that begins here and was read, with all in it; 0: none was */
    bool is_promised; /* acknowledged or read */
    bool is_verified; /* read since model_verify_begin */
};

struct model_partition {
    struct model_topic *topic;
    int32_t index;
    struct model_slot *slots; /* by offset */
    int64_t capacity, promised_end;
    int64_t high_watermark_seen; /* in this incarnation of the broker; -1 */
    /* log starts (client_start.h): acknowledged; ever seen; seen last, in this incarnation; asked
     */
    int64_t start_promised, start_seen, start_now, start_asked;
    bool rotten;           /* a bit of its .log has flipped, or of */
    bool cache_rotten;     /* what lies beside it (broker_rot.h) */
    bool on_disk;          /* found there by the last oracle */
    int32_t purges_to_end; /* asked in this incarnation, to whatever the high watermark is then */
    int64_t seen_ns;       /* when it was known to exist */
};

struct model_topic {
    struct uuid id;
    char name[MODEL_NAME_SIZE];
    const struct model_rules *rules;
    enum model_kind kind;
    int32_t partition_count; /* as far as is known */
    int32_t grow_asked;      /* the most it may have come to */
    int32_t in_flight;       /* requests of producers */
    bool delete_asked;
    int64_t seen_ns;    /* when it was known to exist */
    int64_t deleted_ns; /* when its deletion was answered; INT64_MAX */
    struct model_partition partitions[MODEL_PARTITIONS_MAX];
};

struct model_record {
    struct model_partition *partition;
    int64_t offset;    /* -1: not known */
    uint32_t size;     /* of the value */
    int64_t timestamp; /* MODEL_NO_TIME: the leader gives it, and it was not seen yet */
    uint8_t codec;     /* of the batch it was sent in */
    bool refused;      /* it must not appear */
};

#define MODEL_NO_TIME INT64_MIN

struct model {
    struct world *world;
    struct map by_id; /* struct model_topic */
    struct model_topic **topics;
    int32_t topic_count, topic_capacity;
    struct model_record *records; /* by uid; 0 is nobody's */
    uint64_t record_count, record_capacity;
    uint64_t acknowledged, read;
    struct model_pass *pass; /* of who reads just now; or null */
    struct model_rules rules[MODEL_KINDS][MODEL_NAMES_MAX];
};

void model_init(struct model *model, struct world *world);
void model_done(struct model *model);

/* compression.type of such a topic. */
const char *model_compression(const struct model_rules *rules);

/* And its cleanup.policy. */
const char *model_cleanup(const struct model_rules *rules);

/* Null: never heard of. */
struct model_topic *model_find(const struct model *model, struct uuid id);

/* A broker said, in answer to what was asked at `asked_ns`, that the topic exists. */
struct model_topic *model_topic_seen(struct model *model, struct uuid id, struct string name,
                                     int32_t partition_count, int64_t asked_ns);

/* A list of all topics, asked for at `asked_ns`, does not have it. */
void model_topic_missing(struct model *model, struct model_topic *topic, int64_t asked_ns);

/* Its deletion was answered: NONE, or that it does not exist. */
void model_topic_deleted(struct model *model, struct model_topic *topic);

/* It was asked to grow to `count` partitions. */
void model_grow_asked(struct model_topic *topic, int32_t count);

/* The topic was said to have so many partitions, in answer to what was asked at
 * `asked_ns`. */
void model_count_seen(struct model *model, struct model_topic *topic, int32_t count,
                      int64_t asked_ns);

/* A record is about to be sent; returns its uid. `size` of the value, MODEL_VALUE_MIN at least. */
uint64_t model_send(struct model *model, struct model_partition *partition, uint32_t size,
                    int64_t timestamp, enum codec codec);

/* Nothing of it may ever be seen: it is sent in a way that is refused. */
void model_refuse(struct model *model, uint64_t uid);

/* The bytes of a record. */
struct model_bytes {
    uint8_t key[MODEL_EXTRA_BYTES], headers[MODEL_EXTRA_BYTES];
};

/* What follows from the uid: value (`size` bytes at `value`), key, headers; those of a tombstone,
 * which has no value, say the uid. */
void model_value(uint64_t uid, uint8_t *value, uint32_t size);
void model_extras(const struct model *model, uint64_t uid, struct model_bytes *bytes,
                  struct record *ret_record);

/* It was acknowledged at `offset`, with the leader's time or -1. */
void model_acknowledge(struct model *model, uint64_t uid, int64_t offset, int64_t append_time_ms);

/* This record was found in the partition. `promises`: by a consumer, so it must stay. */
void model_read(struct model *model, struct model_partition *partition, const struct record *record,
                bool promises);

/* From now on reads are noted: model_verified says whether all promised offsets of a partition,
 * from `start` on, were read since; if not, *ret_missing is the first that was not. */
void model_verify_begin(struct model *model);
bool model_verified(const struct model_partition *partition, int64_t start, int64_t *ret_missing);

/* Checks one fetched or stored run of whole batches: CRCs, dense offsets, every record. Offsets go
 * on from *next; -1: anywhere. */
void model_read_batches(struct model *model, struct model_partition *partition, struct bytes data,
                        int64_t *next, bool promises);
