#include "storage/recovery_point.h"
#include "storage/log_state.h"
#include "storage/store.h"

/* What lies before the mark of the last checkpoint that has ended is flushed: all, if nothing came
 * behind it; else up to what came first. */
int64_t recovery_point(const struct log *log)
{
    uint64_t ended = log->store->journal.anchor_sequences[1];
    if (log->state != LOG_OPEN)
        return log->recovery_point;
    if (log->touched_sequence < ended || log->touched_sequence == 0)
        return log->appended_end;
    return log->marked_sequence == ended ? log->marked_end : log->recovery_point;
}

void recovery_point_mark(struct log *log)
{
    log->recovery_point = recovery_point(log);
    log->marked_sequence = log->store->journal.mark_sequence;
    log->marked_end = log->appended_end;
}

void recovery_point_cut(struct log *log)
{
    log->recovery_point = log->marked_end = log->appended_end;
    log->marked_sequence = log->store->journal.mark_sequence;
}
