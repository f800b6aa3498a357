#pragma once
/* The indexes of a closed segment: judged before they are relied on for a look-up by time, and made
 * anew where they are missing, damaged, stale or too short.
 *
 *   size -> open -> times -> offsets -> judge -> rebuild -> write -> end
 *
 * All entries must be in order; the time index's last entry must name a batch that is as it says,
 * and no batch behind that may be later. What is made anew is made from the headers of all batches,
 * in steps, and written atomically. Readers go on meanwhile: without an index a scan is longer. */
#include "base/error.h"
#include "reactor/flow.h"

struct log;
struct segment;
struct store;

/* NONE: the segment's largest timestamp and its place are known, and its time index can be read.
 * WOULD_WAIT: `waiter` is parked for `flow`; call again. KAFKA_STORAGE_ERROR: the segment can't be
 * read. */
enum error index_check(struct segment *segment, struct waiter *waiter, struct flow *flow);

/* At a stop: is any still at work? It ends soon; then `waiter` is parked until one has. */
bool index_check_await_all(struct store *store, struct waiter *waiter, struct flow *flow);

/* An index has led a reader astray: both are made anew, some time. */
void index_check_distrust(struct segment *segment);
