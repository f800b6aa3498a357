#pragma once
/* Snapshots of the metadata log while the broker runs, on core 0 (KIP-630).
 *
 *   applied ... due -> turn -> encode ... (turn given back) -> write -> flush -> rename -> flush
 *
 * One is due after metadata.log.max.record.bytes.between.snapshots bytes of records, or once a
 * record has waited for metadata.log.max.snapshot.interval.ms. Invariants
 *  1. The image is encoded while the machine's turn is held, so that it stays what it is: what the
 *     committed log says up to its end. Changes of metadata wait meanwhile; nothing else does.
 *  2. Encoding takes a bounded number of records a turn of the core.
 *  3. The file gets its name once its bytes are flushed. Only when its name is flushed too older
 *     snapshots go; segments go at a start (metadata_load.h).
 *  4. An image that has left records out, neither applied nor kept (image_kept.h), is not written:
 *     the log keeps what a snapshot would lose.
 * A failure to write is told, fences nothing, and is forgotten: the next one that is due begins
 * anew. The memory taken is the encoded image's, until it is written. */
#include "cluster/metadata_load.h"

struct snapshots;
struct machine_request;

/* Makes what hangs on the broker; `found` is what the start has found. Nothing is begun yet. */
void snapshots_open(struct broker *broker, const struct metadata_found *found);

/* From now on snapshots are made. On core 0. */
void snapshots_start(struct broker *broker);

/* Records of `size_bytes`, appended at `time_ms`, were committed and applied. On core 0, while the
 * machine's turn is held. */
void snapshots_applied(struct broker *broker, int64_t size_bytes, int64_t time_ms);

/* Ends: what is under way comes to its end, nothing new is begun. NONE: done. WOULD_WAIT: `waiter`
 * is parked for `flow`; call again. On core 0. */
enum error snapshots_stop(struct broker *broker, struct waiter *waiter, struct flow *flow);

/* Frees. No core may run any more. */
void snapshots_close(struct broker *broker);

/* For tests: how many were written since the start, and the end offset of the newest one known; -1
 * none. */
uint64_t snapshots_written(const struct broker *broker, int64_t *ret_end_offset);
