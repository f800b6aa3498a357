#pragma once
/* Which batches of a log belong to aborted transactions, and which markers nothing depends on any
 * more, seen while the log is walked in the order of offsets. Kafka's CleanedTransactionMetadata.
 * Pure. */
#include "base/map.h"
#include "protocol/batch.h"

/* An aborted transaction as the transaction index has it. */
struct compaction_aborted {
    int64_t producer_id;
    int64_t first_offset; /* of its first record */
    int64_t last_offset;  /* of its abort marker */
};

struct compaction_transactions {
    const struct compaction_aborted *aborted; /* by first offset; borrowed */
    int32_t aborted_count, aborted_next;
    struct map open; /* by producer id: transactions of which something was seen */
};

/* Begins a walk; what is in `aborted` has begun at or after its first offset, or goes on there. */
void compaction_transactions_init(struct compaction_transactions *transactions,
                                  const struct compaction_aborted *aborted, int32_t count);
void compaction_transactions_done(struct compaction_transactions *transactions);

enum marker { MARKER_ABORT = 0, MARKER_COMMIT = 1, MARKER_OTHER = -1 };

/* The kind of the marker that a control batch is; MARKER_OTHER for one without records. */
enum marker batch_marker(const struct batch *batch);

/* A data batch. True: its transaction was aborted, so that its records may go. */
bool compaction_transactions_batch(struct compaction_transactions *transactions,
                                   const struct batch *batch);

/* A control batch. True: nothing of its transaction is left before it, so that it may go once its
 * horizon has passed. *ret_aborted is written, and *ret_keeps true, if it ends an aborted
 * transaction of which something is left. */
bool compaction_transactions_marker(struct compaction_transactions *transactions,
                                    const struct batch *batch,
                                    struct compaction_aborted *ret_aborted, bool *ret_keeps);
