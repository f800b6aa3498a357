#include "storage/log_start.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "storage/file_replace.h"
#include "storage/log_epochs.h"
#include "storage/log_starts.h"
#include "storage/log_state.h"
#include "storage/retire.h"
#include "storage/store.h"
#include <stdio.h>

/* The file being written. */
struct log_start_save {
    struct file_replace replace;
    struct bytes text;
    char path[1100];
};

static void note(struct log *log)
{
    if (list_is_empty(&log->start_link))
        list_push(&log->store->starts, &log->start_link);
}

void log_start_found(struct log *log, int64_t offset)
{
    check(log->state == LOG_CLOSED);
    if (offset <= log->log_start)
        return;
    log->log_start = offset;
    note(log);
}

enum error log_start_at(struct log *log, int64_t offset)
{
    struct store *store = log->store;
    struct journal *journal = &store->journal;
    if (log->cut && log->state != LOG_FAILED)
        return ERROR_WOULD_WAIT;
    if (log->state != LOG_OPEN)
        return log->state == LOG_FAILED ? log->error : ERROR_BAD_ARGUMENT;
    if (store->fenced)
        return ERROR_KAFKA_STORAGE_ERROR;
    if (offset > log->durable_end && !MUTANT(delete_past_high_watermark))
        return ERROR_OFFSET_OUT_OF_RANGE;
    if (offset <= log->log_start)
        return ERROR_NONE;
    /* on a full disk it is what makes room */
    uint8_t *to = journal_reserve_essential(journal, ENTRY_BIND_SIZE_MAX + ENTRY_START_SIZE_MAX);
    if (!to)
        return ERROR_WOULD_WAIT;
    uint32_t entries = 1, used = log_bind(log, log_active(log), false, to, &entries);
    used += (uint32_t)entry_start_encode(log->id, offset, to + used);
    log->start_sequence = journal_filling_sequence(journal);
    log->log_start = offset;
    journal_commit(journal, used, entries, log);
    note(log);
    store->starts_changed = true;
    log_epochs_cut_start(log, offset);
    if (log->folder_exists && log_epochs_lag(log) && list_is_empty(&log->unsettled))
        list_push(&store->unsettled, &log->unsettled);
    if (log->moved)
        log->moved(log, log->context);
    retire_request(log);
    return ERROR_NONE;
}

bool log_start_is_durable(const struct log *log)
{
    return log->start_sequence <= log->store->journal.durable_sequence;
}

enum error log_start_await(struct log *log, struct waiter *waiter, struct flow *flow)
{
    if (log->removed)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (log_start_is_durable(log))
        return ERROR_NONE;
    if (log->state == LOG_FAILED || log->store->fenced)
        return ERROR_KAFKA_STORAGE_ERROR;
    waiter_park(waiter, &log->store->journal.durable_waiters, flow);
    return ERROR_WOULD_WAIT;
}

/* ---- the file ------------------------------------------------------------------------------ */

/* Does its first segment say the same? Not while names of earlier ones may come back. */
static bool is_told_by_segments(const struct log *log)
{
    return log->state == LOG_OPEN && log->retiring == 0 && log->segment_count > 0 &&
           log->segments[0]->base_offset >= log->log_start;
}

static struct bytes text_of(struct store *store)
{
    struct log_starts starts;
    log_starts_init(&starts);
    struct list *next;
    for (struct list *node = store->starts.next; node != &store->starts; node = next) {
        struct log *log = CONTAINER_OF(node, struct log, start_link);
        next = node->next;
        if (is_told_by_segments(log))
            list_remove(node);
        else
            log_starts_note(&starts, log->topic_id, log->partition, log->log_start);
    }
    struct bytes text = log_starts_encode(&starts);
    log_starts_done(&starts);
    return text;
}

static void begin(struct store *store)
{
    struct log_start_save *save = store->starts_save = memory_zeroed(sizeof *save);
    store->starts_changed = false;
    save->text = text_of(store);
    snprintf(save->path, sizeof save->path, "%s/%s-%d", store->options.directory, LOG_STARTS_FILE,
             store->core->id);
    save->replace = (struct file_replace){.core = store->core,
                                          .path = save->path,
                                          .data = save->text.data,
                                          .size = (size_t)save->text.size};
}

bool log_start_save_step(struct store *store, struct flow *flow, enum error *ret_error)
{
    *ret_error = ERROR_NONE;
    if (!store->starts_save) {
        if (!store->starts_changed)
            return true;
        begin(store);
    }
    struct log_start_save *save = store->starts_save;
    if (!file_replace_step(&save->replace, flow))
        return false;
    *ret_error = save->replace.error;
    REACHED("log starts saved");
    store->directory_dirty = true; /* its name is flushed with the folders */
    memory_free((void *)(uintptr_t)save->text.data);
    memory_free(save);
    store->starts_save = NULL;
    return true;
}
