#pragma once
/* Moving the log start: records below it are gone for readers at once, and for good once the
 * journal's block with a START entry is durable; whole segments below it go later (retire.h).
 *
 *   log_start_at -> START in a block -> durable -> (checkpoint) a line in log-starts-N -> anchor
 *                                         `-> names of segments below go
 * Invariants
 *  1. log start ≤ high watermark. It never goes back, and may lie inside a batch (KAFKA-6975).
 *  2. Before the journal's anchor frees a START entry, the log's first segment begins there or the
 *     store's file says so (log_starts.h).
 *  3. No name of a segment goes before the log start above it is durable. */
#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

struct flow;
struct log;
struct store;
struct waiter;

/* The log begins at `offset` from now on, which must be at or below its high watermark. NONE: also
 * where it began there or later before; await log_start_await for good. WOULD_WAIT: the journal is
 * full, or the log is being cut off: park in log_room(log). OFFSET_OUT_OF_RANGE: beyond what is
 * durable. */
enum error log_start_at(struct log *log, int64_t offset);

/* NONE: the log start is durable. WOULD_WAIT: `waiter` is parked for `flow`; call again.
 * KAFKA_STORAGE_ERROR: it never will be. */
enum error log_start_await(struct log *log, struct waiter *waiter, struct flow *flow);

bool log_start_is_durable(const struct log *log);

/* A start of the broker tells of an earlier one, of a closed log. */
void log_start_found(struct log *log, int64_t offset);

/* Of a checkpoint, before the anchor: writes the store's file if a start has moved. True: it has
 * ended, *ret_error says how. False: it waits (a hold was taken): call it again. */
bool log_start_save_step(struct store *store, struct flow *flow, enum error *ret_error);
