#pragma once
/* Records from a stream of msgpack maps, as `bole consume -F msgpack` and `bole dump -F msgpack`
 * write them: key, value, timestamp, partition and headers are taken, other members passed over. */
#include "protocol/batch.h"
#include <stddef.h>

struct records_in;

enum records_in_result {
    RECORDS_IN_ONE,   /* a record */
    RECORDS_IN_MORE,  /* what was added holds no further whole one */
    RECORDS_IN_WRONG, /* no such map */
};

struct records_in_record {
    struct record record; /* borrowed until the next call; its offset means nothing */
    int32_t partition;    /* -1: not said */
    bool has_timestamp;
};

struct records_in *records_in_open(void);
void records_in_close(struct records_in *in);

/* Adds bytes of the stream, a copy. False: no memory. */
bool records_in_add(struct records_in *in, const void *data, size_t size);

enum records_in_result records_in_next(struct records_in *in, struct records_in_record *ret);

/* Was all that was added taken? */
bool records_in_is_between(const struct records_in *in);
