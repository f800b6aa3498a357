#pragma once
/* `__cluster_metadata-0` as records: how a decision becomes a batch, and how the log is read back
 * at a start. A record's value is uvarint frame version 1, uvarint type, uvarint version, body. */
#include "base/arena.h"
#include "cluster/broker.h"
#include "logic/record_list.h"
#include "protocol/batch.h"

/* One batch of all records, in the arena. NO_MEMORY; INVALID_REQUEST if a value can't be encoded.
 */
enum error metadata_log_encode(const struct record_list *records, int64_t now_ms,
                               struct arena *arena, struct bytes *ret_batch);

/* Reads every record of the log's segments in `folder` and applies it to the images of all shards.
 * Recovery must have replayed the log before. Blocks (port_call). An error leaves a sentence in
 * why: file, offset, reason. A folder that is not there is an empty log. */
enum error metadata_log_load(struct broker *broker, struct port *port, const char *folder,
                             char *why, size_t why_size);
