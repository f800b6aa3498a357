#pragma once
/* Drains: each moves durable bytes of one log to its segment's file, one chunk at a time.
 *
 *   log -> (aside) -> folder -> open -> partial -> allocate -> write -> trim -> indexes -> epochs
 * -> producers
 *       -> finish
 *
 * A step with nothing to do passes at once. An unforced drain writes whole sectors and keeps the
 * rest in memory; a forced one (a checkpoint waits) writes all, with zeros behind the end, and
 * keeps a copy of the last, not full sector, which the next write repeats. Invariants
 *  1. At most one drain is at work on a log, with one operation in flight.
 *  2. Only durable pieces are written; a piece is dropped when all of it is in the file. */
#include "reactor/core.h"
#include "storage/file_replace.h"

enum { DRAIN_CHUNK_BYTES = 256 << 10 };

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
    uint8_t opening;     /* the same of the segment's opening */
    uint8_t file;        /* of the indexes the one that is written */
    int32_t entries;     /* that are being written to it */
    int32_t handle;      /* of a small file being written */
    bool remade;         /* the folder was there before its first drain */
    bool claims;         /* its folder (folder_claims.h) */
    struct timer timer;  /* to claim it again */
    bool names_to_flush; /* of indexes of transactions (producer_save.c) */
    char path[1024];
    struct file_replace replace;
};

/* For the steps, which lie in several files. */
struct drain *drain_of(struct flow *flow);
void drain_start_op(struct drain *drain, struct op op);

/* Fences the store and skips to the end; on a full disk the drain is put off (space.h): it ends,
 * and what it has not done is done by the next one. Nothing on the drain's way may fail and be
 * passed over. */
enum step drain_give_up(struct drain *drain, const char *what);

/* Writes the entries that the segment's index files lack: at a trim, at a checkpoint, or when many
 * wait. Only of what is in the segment: an entry for bytes that a crash takes back would come to
 * point into others. */
enum step drain_indexes(struct flow *flow);
