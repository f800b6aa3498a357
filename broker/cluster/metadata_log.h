#pragma once
/* `__cluster_metadata-0` as records: how a decision becomes a batch, and a value of the log a
 * record again (a start reads with metadata_load.h). A record's value is uvarint frame version 1,
 * uvarint type, uvarint version, body. */
#include "base/arena.h"
#include "logic/record_list.h"
#include "protocol/batch.h"

/* One batch of all records, in the arena. NO_MEMORY; INVALID_REQUEST if a value can't be encoded.
 */
enum error metadata_log_encode(const struct record_list *records, int64_t now_ms,
                               struct arena *arena, struct bytes *ret_batch);

/* A record's value as it lies in the log. */
struct metadata_value {
    const struct message *message;
    void *value; /* the struct of messages.h, in the arena; strings borrow from the bytes */
};

/* NEWER_VERSION: of a type or version not known here; as message_decode otherwise. */
enum error metadata_log_decode(struct bytes value, struct arena *arena, struct metadata_value *ret);
