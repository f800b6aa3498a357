#pragma once
/* Sends records to one topic, in batches: records gather per partition; when a batch or the buffer
 * is full, or at producer_flush, all that waits goes out, one request to each leader, and the
 * answers are awaited. What was refused for now is sent again after a refresh of the metadata. A
 * record that was sent again may be there twice: without a producer id a broker can't tell. */
#include "client.h"
#include "partitioner.h"
#include "protocol/batch.h"

struct producer_settings {
    int16_t acks;         /* -1 every replica in sync, 1 the leader, 0 none: no answer */
    int32_t batch_bytes;  /* of one partition; a longer record goes alone */
    int32_t buffer_bytes; /* of all partitions */
    int32_t retries;
    enum codec codec;
    uint64_t seed; /* of the choice of partitions for records without key */
};

#define PRODUCER_SETTINGS_DEFAULT                                                                  \
    ((struct producer_settings){                                                                   \
        .acks = -1, .batch_bytes = 512 << 10, .buffer_bytes = 16 << 20, .retries = 20})

struct producer_slot;

struct producer {
    struct client *client;
    struct producer_settings settings;
    char *topic;
    int32_t partition_count;
    struct producer_slot *slots; /* by partition */
    size_t held_bytes;
    struct sticky sticky;
    struct arena arena; /* of a batch while it is compressed */
    uint64_t records_acknowledged;
};

/* Looks the topic up; the broker may create it, if it is set to. */
enum error producer_open(struct producer *producer, struct client *client, const char *topic,
                         struct producer_settings settings);
/* Drops what was not flushed. */
void producer_close(struct producer *producer);

/* Takes a copy of the record: its timestamp, key, value and headers (raw, as record_write_header
 * makes them) count. `partition` -1: by its key, or any. May send. On error the reason is the
 * client's. */
enum error producer_add(struct producer *producer, const struct record *record, int32_t partition);

/* Sends all that waits; NONE once every record is acknowledged. */
enum error producer_flush(struct producer *producer);
