#pragma once
/* Drains: each moves durable bytes of one log to its segment's file, one chunk at a time.
 *
 *   log -> folder -> open -> partial -> allocate -> write -> trim -> index -> producers -> finish
 *
 * A step with nothing to do passes at once. An unforced drain writes whole sectors and keeps the
 * rest in memory; a forced one (a checkpoint waits) writes all, with zeros behind the end, and
 * keeps a copy of the last, not full sector, which the next write repeats. Invariants
 *  1. At most one drain is at work on a log, with one operation in flight.
 *  2. Only durable pieces are written; a piece is dropped when all of it is in the file. */
#include "reactor/core.h"

struct drain {
    struct flow flow;
    struct op op;
    struct iovec vector;
    struct list idle;        /* in store->idle_drains */
    struct waiter waiter;    /* in store->drain_room */
    struct log *log;         /* null: idle */
    struct segment *segment; /* of this chunk; null: nothing to write */
    struct buffer *chunk;
    int64_t from, end;   /* aligned start of the write; end of its data */
    uint8_t phase;       /* within a step of several operations */
    int32_t handle;      /* of a small file being written */
    bool names_to_flush; /* of indexes of transactions (producer_save.c) */
    char path[1024];
};
