#include "storage/compaction_producers.h"
#include "base/memory.h"
#include "storage/log_state.h"
#include <stdlib.h>

bool compaction_producer_of(void *context, int64_t producer_id, struct compaction_producer *ret)
{
    const struct log *log = context;
    const struct producer *producer = producers_find(&log->producers.table, producer_id);
    if (!producer)
        return false;
    *ret = (struct compaction_producer){.last_data_offset = -1, .epoch = producer->epoch};
    int64_t end = log->stable_end ? log->stable_end(log, log->context) : log->durable_end;
    for (int back = 0; back < producer->count; back++) {
        int64_t last_offset = producer_batch(producer, back)->last_offset;
        if (last_offset < end) {
            ret->last_data_offset = last_offset;
            break;
        }
        ret->is_open = true; /* a crash may take it: then an older one is the last */
    }
    ret->is_open &= ret->last_data_offset < 0;
    return true;
}

static int compare_first_offsets(const void *a, const void *b)
{
    int64_t left = ((const struct compaction_aborted *)a)->first_offset;
    int64_t right = ((const struct compaction_aborted *)b)->first_offset;
    return left < right ? -1 : left > right;
}

struct compaction_aborted *compaction_aborted_of(const struct log *log, int64_t offset,
                                                 int32_t *ret_count)
{
    const struct producer_state *state = &log->producers;
    *ret_count = 0;
    if (state->aborted_count == 0)
        return NULL;
    struct compaction_aborted *aborted =
        memory_zeroed((size_t)state->aborted_count * sizeof *aborted);
    int32_t count = 0;
    for (int32_t i = 0; i < state->aborted_count; i++) {
        const struct aborted_txn_entry *entry = &state->aborted[i];
        if (entry->last_offset >= offset)
            aborted[count++] = (struct compaction_aborted){entry->producer_id, entry->first_offset,
                                                           entry->last_offset};
    }
    if (count > 1)
        qsort(aborted, (size_t)count, sizeof *aborted, compare_first_offsets);
    *ret_count = count;
    return aborted;
}
