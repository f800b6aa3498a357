#pragma once
/* Files opened by a core. Descriptors are few and partitions many, so handles that are kept for the
 * next use give way to those that are wanted now, and nothing fails for lack of one:
 *
 *  - Whoever keeps a handle open counts it in `kept` and gives `close_one`, which hands out a kept
 *    one that nobody uses. At `limit` kept ones an opening first closes such a one.
 *  - An opening that ends with TOO_MANY_FILES closes a kept one and is tried again; where there is
 *    none, it is tried again after a while, since others have to give one back.
 *
 * A kept handle in use is never closed, so `kept` may pass the limit while more are at work. */
#include "reactor/flow.h"
#include "reactor/port.h"

struct core;
struct opener;

struct openings {
    struct core *core;
    struct list waiting;    /* of struct op, not begun */
    struct list idle;       /* of struct opener */
    struct opener *openers; /* made at the first use */
    int32_t kept, limit;
    struct list recent; /* of whoever keeps one, the least recently used first */
    /* A kept handle nobody uses, no longer kept, for the caller to close; -1: there is none. Null:
     * nobody keeps any. */
    int32_t (*close_one)(struct openings *openings);
};

void openings_init(struct openings *openings, struct core *core);
void openings_done(struct openings *openings);

/* Starts a file operation of a flow of this core, as op_start does; one that opens a file waits
 * until there is a descriptor. */
void file_op_start(struct core *core, struct op *op);
