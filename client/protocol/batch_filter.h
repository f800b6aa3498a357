#pragma once
/* A batch of which only some records stay: what compaction writes in its place. Base offset, last
 * offset delta, leader epoch, producer fields, kind of timestamp and codec stay as they are, and so
 * does each record that is kept: its offset, its timestamp, its bytes. Pure. */
#include "protocol/batch.h"

struct batch_filter {
    /* Does the record stay? Asked once for each, in order. */
    bool (*keep)(void *context, const struct batch *batch, const struct record *record);
    void *context;
    bool keep_header;   /* with no record left a header without records stays */
    bool set_horizon;   /* of a marker whose transaction is empty: the horizon is set anyhow */
    int64_t horizon_ms; /* the delete horizon (KIP-534) for a batch that has none yet and keeps a
                           tombstone; -1: none is set */
};

struct batch_filtered {
    struct bytes
        batch; /* borrows the original, where nothing changed, or the arena; size 0: none */
    int32_t kept_count; /* of records */
    bool changed;
};

/* The delete horizon of a batch, or -1. */
static inline int64_t batch_horizon_ms(const struct batch *batch)
{
    return batch->attributes & BATCH_DELETE_HORIZON ? batch->base_timestamp : -1;
}

/* Asks `filter` for every record and makes the batch that is left. MALFORMED, TRUNCATED,
 * INVALID_RECORD: the records can't be read; NO_MEMORY: more than the arena's budget. */
enum error batch_filter(const struct batch *batch, const struct batch_filter *filter,
                        struct arena *arena, struct batch_filtered *ret);
