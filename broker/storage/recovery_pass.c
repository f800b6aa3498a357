#include "storage/recovery_pass.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "storage/redo.h"
#include "storage/redo_aside.h"
#include <stdio.h>

enum { FLUSH_ALL_LOGS = 16, FAULT_BYTES = sizeof((struct recovery_pass *)0)->fault };

void recovery_pass_init(struct recovery_pass *pass, const struct recovery *recovery,
                        struct port *port, const struct recovery_names *names)
{
    *pass = (struct recovery_pass){
        .recovery = recovery, .port = port, .names = names, .strict = recovery->strict};
    map_init(&pass->redos, 0);
    log_starts_init(&pass->starts);
}

int64_t recovery_pass_call(const struct recovery_pass *pass, struct op *op)
{
    if (op->kind != OP_CLOSE && recovery_is_off(pass->recovery->halt))
        return -(int64_t)ERROR_CANCELLED;
    return port_call(pass->port, op);
}

void recovery_blame(char *fault, const struct recovery_journal *journal, enum error error)
{
    const char *said = journal->content.reader.fault;
    snprintf(fault, FAULT_BYTES,
             "%s: %s; it is kept as it is: restore it from a copy, or move it away to start "
             "without what it alone held",
             journal->path, said[0] ? said : error_text(error));
}

/* ---- one journal --------------------------------------------------------------------------- */

/* What the ids of one journal mean: null for logs that are not of this pass. */
struct bindings {
    struct redo **redos;
    uint32_t count;
};

static void note_id(struct bindings *bindings, uint32_t id, struct redo *redo)
{
    if (id >= bindings->count) {
        uint32_t count = id + 64;
        bindings->redos = memory_resized(bindings->redos, count * sizeof(struct redo *));
        for (uint32_t i = bindings->count; i < count; i++)
            bindings->redos[i] = NULL;
        bindings->count = count;
    }
    bindings->redos[id] = redo;
}

/* The log of this pass that an entry binds; *ret null: it is not of this pass. */
static enum error find_redo(struct recovery_pass *pass, const struct journal_entry *entry,
                            struct redo **ret)
{
    struct redo_key key = {entry->topic_id, entry->partition};
    char folder[1024];
    *ret = map_get(&pass->redos, &key, sizeof key);
    if (*ret || !pass->names->folder(pass->names->context, entry->topic_id, entry->partition,
                                     folder, sizeof folder))
        return ERROR_NONE;
    struct redo *redo = *ret = memory_zeroed(sizeof *redo);
    redo->key = key;
    snprintf(redo->folder, sizeof redo->folder, "%s", folder);
    map_put(&pass->redos, &redo->key, sizeof redo->key, redo);
    pass->flush_all = pass->redos.count > FLUSH_ALL_LOGS;
    enum error error = redo_begin(redo, pass, entry->segment_base == 0 && entry->position == 0);
    return error && redo_aside_begin(redo, error) ? ERROR_NONE : error;
}

static enum error bind(struct recovery_pass *pass, struct bindings *bindings,
                       const struct journal_entry *entry)
{
    struct redo *redo;
    enum error error = find_redo(pass, entry, &redo);
    if (error)
        return error;
    note_id(bindings, entry->id, redo);
    if (!redo)
        return ERROR_NONE;
    if (!redo->aside) {
        error = redo_bind(redo, entry->segment_base, entry->position);
        if (!error || !redo_aside_begin(redo, error))
            return error;
    }
    return redo_aside_take(redo, entry);
}

/* An entry of a log that is bound. */
static enum error replay_entry(struct redo *redo, const struct journal_entry *entry)
{
    if (entry->kind == ENTRY_APPEND && !redo->aside) {
        enum error error = redo_append(redo, entry->batches);
        if (!error || !redo_aside_begin(redo, error))
            return error;
        error = redo_aside_take_place(redo);
        if (error)
            return error;
    }
    if (entry->kind == ENTRY_START) {
        (void)log_starts_note(&redo->pass->starts, redo->key.topic_id, redo->key.partition,
                              entry->offset); /* whether it is news is seen when passes join */
        return redo->aside ? redo_aside_take(redo, entry) : ERROR_NONE;
    }
    if (redo->aside)
        return redo_aside_take(redo, entry);
    if (entry->kind == ENTRY_CUT)
        return redo_cut(redo, entry->segment_base, entry->position, entry->offset);
    return ERROR_MALFORMED; /* a kind that nobody has written yet */
}

static enum error replay_block(struct recovery_pass *pass, struct bindings *bindings,
                               struct bytes entries)
{
    struct reader reader;
    reader_init(&reader, entries.data, (size_t)entries.size);
    struct journal_entry entry;
    while (entry_decode(&reader, &entry)) {
        enum error error = ERROR_NONE;
        check(entry.kind == ENTRY_BIND || entry.id < bindings->count); /* looked at before */
        if (entry.kind == ENTRY_BIND)
            error = bind(pass, bindings, &entry);
        else if (bindings->redos[entry.id])
            error = replay_entry(bindings->redos[entry.id], &entry);
        if (error)
            return error;
    }
    return reader.error;
}

/* Does it hold something of a log of this pass? */
static bool is_wanted(const struct recovery_pass *pass, const struct recovery_journal *journal)
{
    char folder[1024];
    uint32_t position = 0;
    for (const struct recovery_bound *bound; (bound = map_next(&journal->bound, &position));)
        if (pass->names->folder(pass->names->context, bound->key.topic_id, bound->key.partition,
                                folder, sizeof folder))
            return true;
    return false;
}

static enum error replay_journal(struct recovery_pass *pass, const struct recovery_journal *journal)
{
    const struct journal_content *content = &journal->content;
    struct bindings bindings = {0};
    enum error error = ERROR_NONE;
    if (!is_wanted(pass, journal))
        return ERROR_NONE;
    for (int32_t i = 0; i < content->count && !error; i++)
        error = recovery_is_off(pass->recovery->halt)
                    ? ERROR_CANCELLED
                    : replay_block(pass, &bindings, content->blocks[i].entries);
    if (error && pass->fault[0] == 0)
        recovery_blame(pass->fault, journal, error);
    memory_free(bindings.redos);
    return error;
}

/* ---- all of them --------------------------------------------------------------------------- */

static void count_recovered(const struct recovery_pass *pass, const struct redo *redo)
{
    const struct recovery *recovery = pass->recovery;
    struct recovery_bound_key key = {redo->key.topic_id, redo->key.partition};
    uint64_t news = 0;
    for (int i = 0; i < recovery->journal_count; i++) {
        struct recovery_bound *bound = map_get(&recovery->journals[i].bound, &key, sizeof key);
        if (bound && !bound->recovered) {
            bound->recovered = true;
            news++;
        }
    }
    recovery_moved(recovery->progress, pass->port, RECOVERY_LOGS_RECOVERED, news);
}

void recovery_pass_run(struct recovery_pass *pass)
{
    const struct recovery *recovery = pass->recovery;
    enum error error = ERROR_NONE;
    for (int i = 0; i < recovery->journal_count && !error; i++)
        error = replay_journal(pass, &recovery->journals[i]);
    uint32_t position = 0;
    for (struct redo *redo; !error && (redo = map_next(&pass->redos, &position));) {
        error = recovery_is_off(recovery->halt) ? ERROR_CANCELLED : redo_end(redo);
        if (!error)
            count_recovered(pass, redo);
    }
    position = 0;
    for (struct redo *redo; (redo = map_next(&pass->redos, &position));) {
        if (redo->handle >= 0) {
            struct op close = {.kind = OP_CLOSE, .handle = redo->handle};
            (void)port_call(pass->port, &close); /* the error above counts */
        }
        redo_done(redo);
    }
    map_done(&pass->redos);
    map_init(&pass->redos, 0);
    pass->error = error;
}

/* What a pass knows becomes the recovery's; it is done with. */
static enum error take_over(struct recovery *recovery, struct recovery_pass *pass)
{
    uint32_t position = 0;
    for (const struct log_start *start; (start = map_next(&pass->starts.map, &position));)
        recovery->starts_moved |= log_starts_note(&recovery->starts, start->key.topic_id,
                                                  start->key.partition, start->offset);
    log_starts_done(&pass->starts);
    recovery->replayed_bytes += pass->replayed_bytes;
    if (recovery->set_aside == 0 && pass->set_aside > 0)
        memcpy(recovery->warning, pass->warning, sizeof recovery->warning);
    recovery->set_aside += pass->set_aside;
    return pass->error;
}

enum error recovery_pass_join(struct recovery *recovery, struct recovery_pass *passes, int count)
{
    enum error error = ERROR_NONE;
    bool flush_all = false;
    for (int i = 0; i < count; i++) {
        enum error its = take_over(recovery, &passes[i]);
        if (its && (!error || i == recovery_first_failed(recovery->halt))) {
            memcpy(recovery->fault, passes[i].fault, sizeof recovery->fault);
            error = its;
        }
        flush_all |= passes[i].flush_all;
    }
    /* Folders' own names are flushed before the journals are given up (store_open). */
    if (!error && flush_all && !MUTANT(skip_fsync_of_all_replayed)) {
        struct op flush = {.kind = OP_FLUSH_ALL, .handle = recovery->directory_handle};
        error = op_error(port_call(recovery->port, &flush));
    }
    if (!error && recovery->starts_moved)
        error = log_starts_save(&recovery->starts, recovery->port, recovery->directory);
    recovery->starts_moved = false;
    return error;
}
