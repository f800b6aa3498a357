#include "storage/recovery.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "storage/folder.h"
#include "storage/journal_reader.h"
#include "storage/redo.h"
#include "storage/redo_aside.h"
#include <stdio.h>

enum { FLUSH_ALL_LOGS = 16 };

static enum error note_journal(void *context, char kind, const char *name)
{
    struct recovery *recovery = context;
    if (kind != 'f' || strncmp(name, "journal-", 8) != 0)
        return ERROR_NONE;
    if (recovery->journal_count == recovery->journal_capacity) {
        recovery->journal_capacity =
            recovery->journal_capacity ? 2 * recovery->journal_capacity : 4;
        recovery->journals =
            memory_resized(recovery->journals,
                           (size_t)recovery->journal_capacity * sizeof(struct recovery_journal));
    }
    size_t size = strlen(recovery->directory) + strlen(name) + 2;
    char *path = memory_zeroed(size);
    snprintf(path, size, "%s/%s", recovery->directory, name);
    recovery->journals[recovery->journal_count++] =
        (struct recovery_journal){.path = path, .number = (int32_t)strtol(name + 8, NULL, 10)};
    return ERROR_NONE;
}

enum error recovery_open(struct recovery *recovery, struct port *port, const char *directory)
{
    *recovery = (struct recovery){.port = port, .directory = directory, .directory_handle = -1};
    map_init(&recovery->redos, 0);
    map_init(&recovery->bound, 0);
    log_starts_init(&recovery->starts);
    struct op open = {.kind = OP_OPEN, .path = directory, .flags = OPEN_READ | OPEN_DIRECTORY};
    int64_t handle = port_call(port, &open);
    if (handle < 0)
        return op_error(handle);
    recovery->directory_handle = (int32_t)handle;
    enum error error = redo_list(port, directory, note_journal, recovery);
    return error ? error
                 : log_starts_load(&recovery->starts, port, directory, &recovery->starts_moved,
                                   recovery->fault, sizeof recovery->fault);
}

void recovery_close(struct recovery *recovery)
{
    uint32_t position = 0;
    for (struct redo *redo; (redo = map_next(&recovery->redos, &position));) {
        redo_done(redo);
    }
    map_done(&recovery->redos);
    position = 0;
    for (struct recovery_bound *bound; (bound = map_next(&recovery->bound, &position));)
        memory_free(bound);
    map_done(&recovery->bound);
    for (int i = 0; i < recovery->journal_count; i++) {
        if (recovery->journals[i].loaded)
            journal_content_done(&recovery->journals[i].content);
        memory_free(recovery->journals[i].path);
    }
    memory_free(recovery->journals);
    log_starts_done(&recovery->starts);
    if (recovery->directory_handle >= 0) {
        struct op close = {.kind = OP_CLOSE, .handle = recovery->directory_handle};
        (void)port_call(recovery->port, &close); /* nothing was written through it */
    }
}

/* ---- one journal -------------------------------------------------------------------------- */

/* What the ids of one journal mean: null for logs that are not of this pass. */
struct bindings {
    struct redo **redos;
    uint32_t count;
    bool *bound;
};

static void note_bound(struct recovery *recovery, const struct journal_entry *entry, int32_t number)
{
    struct recovery_bound key = {entry->topic_id, entry->partition, number};
    if (map_get(&recovery->bound, &key, sizeof key))
        return;
    struct recovery_bound *bound = memory_zeroed(sizeof *bound);
    *bound = key;
    map_put(&recovery->bound, bound, sizeof *bound, bound);
}

bool recovery_holds(const struct recovery *recovery, struct uuid topic_id, int32_t partition)
{
    for (int i = 0; i < recovery->journal_count; i++) {
        struct recovery_bound key = {topic_id, partition, recovery->journals[i].number};
        if (map_get(&recovery->bound, &key, sizeof key))
            return true;
    }
    return false;
}

bool recovery_may_resume(const struct recovery *recovery, int core_count,
                         int32_t (*core)(void *context, struct uuid topic_id, int32_t partition),
                         void *context)
{
    for (int i = 0; i < recovery->journal_count; i++) {
        const struct journal_reader *reader = &recovery->journals[i].content.reader;
        if (!reader->fresh && reader->anchor.alignment != reader->direct_alignment)
            return false; /* it came from another kind of disk */
    }
    uint32_t position = 0;
    for (const struct recovery_bound *bound; (bound = map_next(&recovery->bound, &position));) {
        int32_t owner = core(context, bound->topic_id, bound->partition);
        if (bound->journal >= core_count || (owner >= 0 && owner != bound->journal))
            return false;
    }
    return true;
}

static enum error bind(struct recovery *recovery, const struct recovery_names *names,
                       struct bindings *bindings, const struct journal_entry *entry)
{
    if (entry->id >= bindings->count) {
        uint32_t count = entry->id + 64;
        bindings->redos = memory_resized(bindings->redos, count * sizeof(struct redo *));
        bindings->bound = memory_resized(bindings->bound, count * sizeof(bool));
        for (uint32_t i = bindings->count; i < count; i++) {
            bindings->redos[i] = NULL;
            bindings->bound[i] = false;
        }
        bindings->count = count;
    }
    struct redo_key key = {entry->topic_id, entry->partition};
    struct redo *redo = map_get(&recovery->redos, &key, sizeof key);
    char folder[1024];
    bindings->bound[entry->id] = true;
    if (!redo) {
        bindings->redos[entry->id] = NULL;
        if (!names->folder(names->context, entry->topic_id, entry->partition, folder,
                           sizeof folder))
            return ERROR_NONE;
        redo = memory_zeroed(sizeof *redo);
        redo->key = key;
        snprintf(redo->folder, sizeof redo->folder, "%s", folder);
        map_put(&recovery->redos, &redo->key, sizeof redo->key, redo);
        recovery->flush_all = recovery->redos.count > FLUSH_ALL_LOGS;
        enum error error =
            redo_begin(redo, recovery, entry->segment_base == 0 && entry->position == 0);
        if (error && !redo_aside_begin(redo, error))
            return error;
    }
    bindings->redos[entry->id] = redo;
    if (!redo->aside) {
        enum error error = redo_bind(redo, entry->segment_base, entry->position);
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
        struct recovery *recovery = redo->recovery;
        recovery->starts_moved |= log_starts_note(&recovery->starts, redo->key.topic_id,
                                                  redo->key.partition, entry->offset);
        return redo->aside ? redo_aside_take(redo, entry) : ERROR_NONE;
    }
    if (redo->aside)
        return redo_aside_take(redo, entry);
    if (entry->kind == ENTRY_CUT)
        return redo_cut(redo, entry->segment_base, entry->position, entry->offset);
    return ERROR_MALFORMED; /* a kind that nobody has written yet */
}

static enum error replay_block(struct recovery *recovery, const struct recovery_names *names,
                               struct bindings *bindings, struct bytes entries, int32_t number)
{
    struct reader reader;
    reader_init(&reader, entries.data, (size_t)entries.size);
    struct journal_entry entry;
    while (entry_decode(&reader, &entry)) {
        enum error error = ERROR_NONE;
        if (entry.kind == ENTRY_BIND) {
            note_bound(recovery, &entry, number);
            error = bind(recovery, names, bindings, &entry);
        } else if (entry.id >= bindings->count || !bindings->bound[entry.id]) {
            error = ERROR_MALFORMED;
        } else if (bindings->redos[entry.id]) {
            error = replay_entry(bindings->redos[entry.id], &entry);
        }
        if (error)
            return error;
    }
    return reader.error;
}

static enum error replay_journal(struct recovery *recovery, const struct recovery_names *names,
                                 struct recovery_journal *journal)
{
    struct journal_content *content = &journal->content;
    struct bindings bindings = {0};
    enum error error = ERROR_NONE;
    if (!journal->loaded)
        error = journal_content_load(content, recovery->port, journal->path);
    journal->loaded = true;
    for (int32_t i = 0; i < content->count && !error; i++)
        error =
            replay_block(recovery, names, &bindings, content->blocks[i].entries, journal->number);
    recovery->blocks += (uint64_t)content->count;
    if (error && recovery->fault[0] == 0)
        snprintf(recovery->fault, sizeof recovery->fault,
                 "%s: %s; it is kept as it is: restore it from a copy, or move it away to start "
                 "without what it alone held",
                 journal->path,
                 content->reader.fault[0] ? content->reader.fault : error_text(error));
    memory_free(bindings.redos);
    memory_free(bindings.bound);
    return error;
}

struct journal_content *recovery_journal(const struct recovery *recovery, int32_t number)
{
    for (int i = 0; i < recovery->journal_count; i++)
        if (recovery->journals[i].number == number && recovery->journals[i].loaded)
            return &recovery->journals[i].content;
    return NULL;
}

enum error recovery_replay(struct recovery *recovery, const struct recovery_names *names)
{
    enum error error = ERROR_NONE;
    for (int i = 0; i < recovery->journal_count && !error; i++)
        error = replay_journal(recovery, names, &recovery->journals[i]);
    uint32_t position = 0;
    for (struct redo *redo; !error && (redo = map_next(&recovery->redos, &position));)
        error = redo_end(redo);
    bool any = recovery->redos.count > 0;
    position = 0;
    for (struct redo *redo; (redo = map_next(&recovery->redos, &position));) {
        if (redo->handle >= 0) {
            struct op close = {.kind = OP_CLOSE, .handle = redo->handle};
            (void)port_call(recovery->port, &close); /* the error above counts */
        }
        redo_done(redo);
    }
    map_done(&recovery->redos);
    map_init(&recovery->redos, 0);
    if (!error && any && !MUTANT(skip_directory_fsync)) {
        struct op flush = {.kind = recovery->flush_all ? OP_FLUSH_ALL : OP_FLUSH,
                           .handle = recovery->directory_handle};
        error = op_error(port_call(recovery->port, &flush));
    }
    recovery->flush_all = false;
    if (!error && recovery->starts_moved)
        error = log_starts_save(&recovery->starts, recovery->port, recovery->directory);
    recovery->starts_moved = false;
    return error;
}

/* ---- what no topic names any more --------------------------------------------------------- */

struct cleaning {
    struct recovery *recovery;
    const struct recovery_names *names;
    char **folders;
    int32_t count, capacity;
};

static enum error note_folder(void *context, char kind, const char *name)
{
    struct cleaning *cleaning = context;
    struct string topic;
    int32_t partition;
    bool deleted = kind == 'd' && folder_name_is_deleted(name); /* by a Kafka node */
    if (!deleted && (kind != 'd' || !folder_name_parse(name, &topic, &partition)))
        return ERROR_NONE;
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", cleaning->recovery->directory, name);
    if (!deleted && cleaning->names->folder(cleaning->names->context, (struct uuid){{0}}, partition,
                                            path, sizeof path))
        return ERROR_NONE;
    if (cleaning->count == cleaning->capacity) {
        cleaning->capacity = cleaning->capacity ? 2 * cleaning->capacity : 8;
        cleaning->folders =
            memory_resized(cleaning->folders, (size_t)cleaning->capacity * sizeof(char *));
    }
    size_t size = strlen(path) + 1;
    cleaning->folders[cleaning->count] = memory_zeroed(size);
    memcpy(cleaning->folders[cleaning->count++], path, size);
    return ERROR_NONE;
}

enum error recovery_clean(struct recovery *recovery, const struct recovery_names *names,
                          int core_count)
{
    struct cleaning cleaning = {.recovery = recovery, .names = names};
    enum error error = redo_list(recovery->port, recovery->directory, note_folder, &cleaning);
    for (int i = 0; i < cleaning.count; i++) {
        if (!error) {
            REACHED("folder of a deleted topic");
            error = redo_remove_folder(recovery, cleaning.folders[i]);
        }
        memory_free(cleaning.folders[i]);
    }
    memory_free(cleaning.folders);
    for (int i = 0; i < recovery->journal_count && !error; i++) {
        if (recovery->journals[i].number < core_count)
            continue;
        struct op op = {.kind = OP_REMOVE, .path = recovery->journals[i].path};
        error = op_error(port_call(recovery->port, &op));
    }
    /* A journal that came back after a crash would be replayed over newer data. */
    struct op flush = {.kind = OP_FLUSH, .handle = recovery->directory_handle};
    return error ? error : op_error(port_call(recovery->port, &flush));
}
