#pragma once
/* What compaction must know of a log's producers (producer_state.h). On the log's core. */
#include "logic/compaction.h"

struct log;

/* For compaction.producer; the context is the log. A producer's last data batch keeps its header,
 * so that a replay without a snapshot finds its last sequence: the last one that no crash takes. */
bool compaction_producer_of(void *log, int64_t producer_id, struct compaction_producer *ret);

/* The aborted transactions whose markers lie at or above `offset`, by their first offsets:
 * *ret_count of them, to be freed; null if there are none. */
struct compaction_aborted *compaction_aborted_of(const struct log *log, int64_t offset,
                                                 int32_t *ret_count);
