#include "storage/log_epochs.h"
#include "base/mutant.h"
#include "protocol/batch.h"
#include "storage/drain.h"
#include "storage/log_start.h"
#include "storage/log_state.h"
#include "storage/store.h"
#include <stdio.h>

static void note_change(struct log *log, int32_t kept)
{
    if (kept < log->epochs_written) {
        log->epochs_written = kept;
        log->epochs_cut = true;
    }
}

static void assign(struct log *log, int32_t epoch, int64_t start_offset)
{
    if (epochs_assign(&log->epochs, epoch, start_offset))
        note_change(log, log->epochs.count - 1);
}

void log_epochs_note(struct log *log, const uint8_t *batch)
{
    assign(log, (int32_t)load_be32(batch + BATCH_LEADER_EPOCH_AT), (int64_t)load_be64(batch));
}

void log_epochs_found(struct log *log, const uint8_t *batch)
{
    if ((int32_t)load_be32(batch + BATCH_LEADER_EPOCH_AT) > epochs_latest(&log->epochs))
        log_epochs_note(log, batch);
}

void log_epochs_lead(struct log *log, int32_t epoch)
{
    if (epoch > epochs_latest(&log->epochs))
        assign(log, epoch, log->appended_end);
}

void log_epochs_cut_end(struct log *log, int64_t end_offset)
{
    if (!MUTANT(truncate_keeps_epochs) && epochs_truncate_end(&log->epochs, end_offset))
        note_change(log, log->epochs.count);
}

void log_epochs_cut_start(struct log *log, int64_t start_offset)
{
    if (epochs_truncate_start(&log->epochs, start_offset)) {
        log->epochs_written = 0;
        log->epochs_cut = true;
    }
}

static int64_t drained_end(const struct log *log)
{
    return log->oldest ? log->oldest->base_offset : log->appended_end;
}

/* Entries that belong into the file. */
static int32_t entries_due(const struct log *log)
{
    int32_t count = log->epochs.count;
    while (count > 0 && log->epochs.entries[count - 1].start_offset >= drained_end(log))
        count--;
    return count;
}

bool log_epochs_lag(const struct log *log)
{
    return log->epochs_cut || entries_due(log) > log->epochs_written;
}

static void begin(struct drain *drain)
{
    struct log *log = drain->log;
    size_t most = epochs_text_size(&log->epochs);
    drain->chunk = buffers_take_always(&log->store->core->buffers, most);
    drain->entries = entries_due(log);
    size_t size = epochs_encode(&log->epochs, drained_end(log), (char *)drain->chunk->data, most);
    snprintf(drain->path, sizeof drain->path, "%s/" EPOCHS_FILE, log->folder);
    /* The first one is flushed by the checkpoint: until then the journal knows the whole log. */
    drain->replace = (struct file_replace){.core = log->store->core,
                                           .path = drain->path,
                                           .data = drain->chunk->data,
                                           .size = size,
                                           .unflushed = !log->epochs_file};
    log->epochs_cut = false;
    drain->phase = 1;
}

enum step drain_epochs(struct flow *flow)
{
    struct drain *drain = drain_of(flow);
    struct log *log = drain->log;
    if (drain->phase == 0) {
        if (!log->forced || !log->folder_exists || log->removed || !log_epochs_lag(log))
            return STEP_NEXT;
        if (log->store->fenced)
            return STEP_FAIL;
        /* Cut off at a start that a crash takes back, the file would lack what begins below. */
        if (!log_start_is_durable(log)) {
            waiter_park(&drain->waiter, &log->store->journal.durable_waiters, flow);
            return STEP_AGAIN;
        }
        begin(drain);
    }
    if (!file_replace_step(&drain->replace, flow))
        return STEP_AGAIN;
    drain->phase = 0;
    if (drain->replace.error) {
        log->epochs_cut = true; /* once more, should it be put off */
        drain->op = (struct op){.result = -(int64_t)drain->replace.error};
        return drain_give_up(drain, "leader-epoch-checkpoint could not be written");
    }
    buffer_release(drain->chunk);
    drain->chunk = NULL;
    log->epochs_file = true;
    if (!log->epochs_cut) /* nor meanwhile */
        log->epochs_written = drain->entries;
    if (list_is_empty(&log->dirty_folder))
        list_push(&log->store->dirty_folders, &log->dirty_folder);
    return STEP_NEXT;
}
