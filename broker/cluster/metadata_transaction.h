#pragma once
/* Transactions of the metadata log (KIP-868), while a start reads it: the records between a
 * BeginTransactionRecord and an EndTransactionRecord take effect together at that end, or never,
 * after an AbortTransactionRecord. Kafka's controllers write one when they found a log; ours write
 * none. Held back here is a copy of the records' values.
 *
 *   CLOSED -> begin -> OPEN -> end: replayed, or abort: dropped -> CLOSED
 *
 * A log that ends in an open one is that of a controller that died; whoever leads next aborts it
 * before writing anything else. */
#include "base/bytes.h"
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { METADATA_TRANSACTION_MOST = 256 << 20 /* bytes held back */ };

struct metadata_transaction {
    bool is_open;
    uint8_t *values; /* each behind its size, int32 */
    size_t size, capacity;
};

enum metadata_transaction_turn {
    METADATA_APPLY,  /* the record takes effect now */
    METADATA_HELD,   /* it was copied; or it began a transaction, or aborted one */
    METADATA_REPLAY, /* it ended one: what was held takes effect (metadata_transaction_next) */
    METADATA_BROKEN, /* begun twice, or ended without a beginning, or too large */
};

/* Takes the next record of the log: its type, and its value as it lies there. */
enum metadata_transaction_turn metadata_transaction_take(struct metadata_transaction *transaction,
                                                         int16_t type, struct bytes value);

/* After METADATA_REPLAY: the next value that was held, from *position 0 on; size -1: no more. */
struct bytes metadata_transaction_next(const struct metadata_transaction *transaction,
                                       size_t *position);

/* Frees what was held. */
void metadata_transaction_done(struct metadata_transaction *transaction);
