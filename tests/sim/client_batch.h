#pragma once
/* A batch as a simulated producer sends it: records of the model in any codec, with keys, headers
 * and times; now and then with a lie in it that the broker must find out. It knows what the broker
 * has to say to it. */
#include "sim/client.h"

enum {
    CLIENT_BATCH_BYTES_MAX = 160 << 10,
    CLIENT_BATCH_SPACE = CLIENT_BATCH_BYTES_MAX + (32 << 10)
};

/* What may be wrong with it. */
enum batch_lie {
    LIE_NONE,
    LIE_TIME_AHEAD,    /* a day too early */
    LIE_TIME_BEHIND,   /* two days old: wrong in some topics */
    LIE_CRC,           /* of other bytes */
    LIE_COUNT,         /* one record more than there are; the CRC is right */
    LIE_INNER_OFFSETS, /* the first record is not the first; the CRC is right */
    LIES
};

struct client_batch {
    struct model_partition *partition;
    uint64_t first_uid;
    int32_t count, size_bytes;
    enum codec codec;
    enum batch_lie lie;
};

/* How a producer makes them. */
struct client_batch_habits {
    uint32_t value_max;   /* bytes of a value */
    int32_t records_max;  /* of a batch */
    int codec;            /* enum codec; CODECS_END: any */
    uint64_t lie_once_in; /* 0: it never lies */
    int16_t version;      /* of Produce */
};

/* Draws a batch for `partition`, tells the model, and writes it to `bytes`, CLIENT_BATCH_SPACE of
 * them. Returns what is to be sent. */
struct bytes client_batch_make(struct client *client, struct model_partition *partition,
                               const struct client_batch_habits *habits, uint8_t *bytes,
                               struct client_batch *ret_batch);

/* What the broker must answer whatever its state: an error, or NONE for a good one. */
enum error client_batch_verdict(const struct client_batch *batch, int16_t version);

/* Is this an answer to it that may be given by a sound broker? Of `acks` and `version` requests. */
bool client_batch_may_fail(const struct client_batch *batch, int16_t version, int16_t acks,
                           int64_t segment_bytes, enum error error);
