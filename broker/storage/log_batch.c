#include "storage/log_batch.h"
#include "base/bytes.h"
#include "protocol/batch.h"
#include "storage/log_state.h"

enum { OPENING_GAP_BYTES = 64 << 10 };

static int64_t last_offset(const uint8_t *batch)
{
    return (int64_t)load_be64(batch) + (int32_t)load_be32(batch + BATCH_LAST_OFFSET_DELTA_AT);
}

void log_appended_batch(struct log *log, struct segment *segment, const uint8_t *batch,
                        int64_t position)
{
    segment_index_note(segment, last_offset(batch), position, log->settings->index_interval_bytes);
}

void log_opened_batch(struct log *log, struct segment *segment, const uint8_t *batch,
                      int64_t position)
{
    if (segment != log_active(log))
        return;
    /* Only a wide gap is filled: no journal covers what is written for bytes this old, and a crash
     * could tear it. */
    int32_t gap = log->settings->index_interval_bytes;
    gap = gap > OPENING_GAP_BYTES ? gap : OPENING_GAP_BYTES;
    segment_index_note(segment, last_offset(batch), position, gap);
}

int64_t log_opening_floor(const struct log *log)
{
    (void)log; /* the indexes need no more */
    return INT64_MAX;
}
