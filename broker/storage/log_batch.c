#include "storage/log_batch.h"
#include "storage/log_epochs.h"
#include "storage/log_state.h"
#include "storage/sidecars.h"

enum { OPENING_GAP_BYTES = 64 << 10 };

void log_appended_batch(struct log *log, struct segment *segment, const uint8_t *batch,
                        int64_t position)
{
    segment_note_batch(segment, batch, position, log->settings->index_interval_bytes);
    log_epochs_note(log, batch);
    sidecar_gather(segment, batch, position);
}

void log_opened_batch(struct log *log, struct segment *segment, const uint8_t *batch,
                      int64_t position)
{
    log_epochs_found(log, batch);
    if (!segment->index_loaded)
        return; /* an older one */
    /* Only a wide gap is filled, unless all is made anew: no journal covers what is written for
     * bytes this old, and a crash could tear it. */
    int32_t interval = log->settings->index_interval_bytes;
    bool anew = segment->index_anew;
    segment_note_batch(segment, batch, position,
                       anew || interval > OPENING_GAP_BYTES ? interval : OPENING_GAP_BYTES);
    sidecar_gather(segment, batch, position);
}

int64_t log_opening_floor(const struct log *log)
{
    return log->epochs_lost && log->segment_count ? log->segments[0]->base_offset : INT64_MAX;
}
