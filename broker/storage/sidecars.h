#pragma once
/* The sidecars of a store's closed segments (sidecar.h): gathered as batches are appended, written
 * once a segment is sealed, read when something of a closed segment is first needed.
 *
 *   write: read -> caches -> write -> end          load: read -> end
 *
 * Off every acknowledged path: one is written at a time, by a flow of its own. Invariants
 *  1. A sidecar is written after the flush of the files that it speaks of, and atomically.
 *  2. It is a cache of truth about others: missing, damaged or stale it is as good as none, and the
 *     segment as good as without. Where it can't be written it is not: a scrub makes it (scrub.h).
 *  3. While names of a compaction's swap are not final none is read or written. */
#include "base/list.h"
#include <stdbool.h>
#include <stdint.h>

struct flow;
struct segment;
struct store;
struct waiter;

struct sidecars {
    struct list due;  /* struct segment.sidecar_due: to be written */
    struct list jobs; /* at work */
    bool writing;     /* one of them writes */
};

void sidecars_init(struct sidecars *sidecars);

/* Notes a batch at `position` of a segment that is appended to, or looked through from its start.
 */
void sidecar_gather(struct segment *segment, const uint8_t *batch, int64_t position);

/* The segment was sealed just now, or one of its caches was made anew: its sidecar is written, if
 * its batches were gathered or the file tells of them. */
void sidecar_is_due(struct segment *segment);

/* Writes of those that are due what may be written now: a checkpoint has ended. */
void sidecars_go_on(struct store *store);

/* Is segment->sidecar all that is to be known of a sealed segment? True: not yet; `waiter` is
 * parked for `flow`: call it again. */
bool sidecar_await(struct segment *segment, struct waiter *waiter, struct flow *flow);

/* Who had a sidecar read for a purpose of its own has done with it: it goes from memory, unless it
 * is at work. */
void sidecar_drop(struct segment *segment);

/* At a stop: is any still at work? It ends soon; then `waiter` is parked until one has. */
bool sidecars_await_all(struct store *store, struct waiter *waiter, struct flow *flow);
