#pragma once
/* A walk over the batches of a segment's file that nobody vouches for, while a broker starts: each
 * is read whole; framing, CRC and offsets are judged. Blocks (port_call). Nothing is changed. */
#include "base/error.h"
#include "storage/recovery_halt.h"
#include "storage/recovery_progress.h"
#include <stdbool.h>

struct batch_walk {
    /* arguments */
    struct port *port;
    struct recovery_progress *progress; /* counts the bytes that are read; or null */
    const struct recovery_halt *halt;   /* or null */
    int32_t handle;
    int64_t size;        /* of the file */
    int64_t base_offset; /* of the segment: offsets lie within 2^31 of it */
    int64_t position;    /* moves on, behind the last whole batch */
    int64_t next_offset; /* the next batch begins there or later; moves on */
    /* results */
    const char *fault; /* why no whole batch lies at the position; null: the file ends there */
    bool is_old;       /* it is a message set of an old format, which is not judged */
    /* inside */
    uint8_t *data;
    int64_t capacity;
};

/* Walks to the first batch that is not whole, or to the end. An error is of a read, or CANCELLED.
 */
enum error batch_walk_run(struct batch_walk *walk);

/* Does any whole batch, of a later offset, begin behind a fault? */
enum error batch_walk_goes_on(struct batch_walk *walk, bool *ret_goes_on);

/* Frees the memory; the handle is the caller's. */
void batch_walk_done(struct batch_walk *walk);
