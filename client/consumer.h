#pragma once
/* Reads one topic, or one partition of it, from given offsets, without a group. Records of a
 * partition come in order; partitions take turns. Batches are checked (CRC) before they are read.
 */
#include "client.h"
#include "protocol/batch.h"

struct consumer_settings {
    int32_t max_wait_ms; /* how long a broker may hold a fetch that finds nothing */
    int32_t partition_bytes, fetch_bytes;
    size_t decompress_bytes; /* budget for one batch */
    int32_t retries;         /* rounds in a row that fail for now, before the consumer does */
};

#define CONSUMER_SETTINGS_DEFAULT                                                                  \
    ((struct consumer_settings){.max_wait_ms = 500,                                                \
                                .partition_bytes = 1 << 20,                                        \
                                .fetch_bytes = 16 << 20,                                           \
                                .decompress_bytes = 256 << 20,                                     \
                                .retries = 100})

enum consumer_from {
    CONSUMER_BEGINNING,
    CONSUMER_END,
    CONSUMER_OFFSET, /* `value` is the offset */
    CONSUMER_BACK,   /* `value` records before the end, or the beginning */
    CONSUMER_TIME,   /* the first record not older than `value`, ms since 1970; or the end */
};

struct consumer_start {
    enum consumer_from from;
    int64_t value;
};

enum consumer_event {
    CONSUMER_RECORD, /* one is there */
    CONSUMER_IDLE,   /* there is none now; the next call waits for some */
    CONSUMER_FAILED, /* the consumer's error; the reason is the client's */
};

struct consumer_partition {
    int32_t index;
    int64_t next_offset;
    int64_t high_watermark; /* as last fetched; -1: not yet */
    int64_t back;           /* of CONSUMER_BACK, while the start is being looked up */
    bool is_stopped;        /* nothing more of it is wanted */
};

struct consumer_fetch; /* a request that waits for its answer */

struct consumer {
    struct client *client;
    struct consumer_settings settings;
    char *topic;
    struct consumer_partition *partitions;
    int32_t partition_count;
    int32_t *waiting_nodes; /* fetches in flight, one a node */
    int32_t waiting_count, waiting_first;
    int32_t failed_rounds; /* in a row */
    bool is_round_empty;   /* no record came since the round of fetches began */
    enum error error;
    struct arena arena; /* of the batch being read, if it is compressed */
    /* where in the answer that is being read: */
    const struct fetch_response *response;
    int32_t topic_at, partition_at;
    struct bytes left; /* batches not yet read */
    struct consumer_partition *reading;
    struct batch batch;
    struct batch_iterator iterator;
    bool has_batch;
};

/* Looks the topic up. `partition` -1: all. */
enum error consumer_open(struct consumer *consumer, struct client *client, const char *topic,
                         int32_t partition, struct consumer_settings settings);
void consumer_close(struct consumer *consumer);

/* Where to begin, in every partition. To be called once, before the first consumer_next. */
enum error consumer_start(struct consumer *consumer, struct consumer_start start);

/* The next record and its partition; both good until the next call. */
enum consumer_event consumer_next(struct consumer *consumer, struct record *ret_record,
                                  int32_t *ret_partition);

/* Nothing more of a partition is wanted. Once that holds for all, consumer_is_stopped is true and
 * consumer_next may not be called. */
void consumer_stop(struct consumer *consumer, int32_t partition);
bool consumer_is_stopped(const struct consumer *consumer);

/* True if every partition was stopped, or read up to its high watermark as the broker last told it.
 */
bool consumer_is_at_end(const struct consumer *consumer);
