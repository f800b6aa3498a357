#include "storage/recovery.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "storage/folder.h"
#include "storage/journal_reader.h"
#include "storage/orphans.h"
#include "storage/recovery_pass.h"
#include "storage/redo.h"
#include "storage/start_files.h"
#include <stdio.h>

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
    map_init(&recovery->journals[recovery->journal_count - 1].bound, 0);
    return ERROR_NONE;
}

enum error recovery_open(struct recovery *recovery, struct port *port, const char *directory)
{
    *recovery = (struct recovery){.port = port, .directory = directory, .directory_handle = -1};
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

static void close_journal(struct recovery_journal *journal)
{
    uint32_t position = 0;
    for (struct recovery_bound *bound; (bound = map_next(&journal->bound, &position));)
        memory_free(bound);
    map_done(&journal->bound);
    if (journal->loaded)
        journal_content_done(&journal->content);
    memory_free(journal->path);
}

void recovery_close(struct recovery *recovery)
{
    for (int i = 0; i < recovery->journal_count; i++)
        close_journal(&recovery->journals[i]);
    memory_free(recovery->journals);
    log_starts_done(&recovery->starts);
    if (recovery->directory_handle >= 0) {
        struct op close = {.kind = OP_CLOSE, .handle = recovery->directory_handle};
        (void)port_call(recovery->port, &close); /* nothing was written through it */
    }
}

/* ---- reading ------------------------------------------------------------------------------- */

/* Which ids of a journal mean something so far. */
struct ids {
    bool *bound;
    uint32_t count;
};

static void note_id(struct ids *ids, uint32_t id)
{
    if (id >= ids->count) {
        uint32_t count = id + 64;
        ids->bound = memory_resized(ids->bound, count * sizeof(bool));
        memset(ids->bound + ids->count, 0, (count - ids->count) * sizeof(bool));
        ids->count = count;
    }
    ids->bound[id] = true;
}

/* True: it was not known of this journal. */
static bool note_bound(struct recovery_journal *journal, const struct journal_entry *entry)
{
    struct recovery_bound_key key = {entry->topic_id, entry->partition};
    if (map_get(&journal->bound, &key, sizeof key))
        return false;
    struct recovery_bound *bound = memory_zeroed(sizeof *bound);
    bound->key = key;
    map_put(&journal->bound, &bound->key, sizeof bound->key, bound);
    return true;
}

/* Of which logs a block tells; that its entries can be read, by whoever comes over them later. */
static enum error look_at_block(struct recovery_journal *journal, struct ids *ids,
                                struct bytes entries, uint64_t *ret_news)
{
    struct reader reader;
    reader_init(&reader, entries.data, (size_t)entries.size);
    struct journal_entry entry;
    while (entry_decode(&reader, &entry)) {
        if (entry.kind == ENTRY_BIND) {
            note_id(ids, entry.id);
            *ret_news += note_bound(journal, &entry);
        } else if (entry.id >= ids->count || !ids->bound[entry.id]) {
            return ERROR_MALFORMED;
        }
    }
    return reader.error;
}

static void read_journal(struct recovery *recovery, struct recovery_journal *journal,
                         struct port *port)
{
    struct journal_content *content = &journal->content;
    struct ids ids = {0};
    uint64_t news = 0;
    journal->loaded = true;
    journal->error =
        journal_content_load(content, port, journal->path, recovery->progress, recovery->halt);
    for (int32_t i = 0; i < content->count && !journal->error; i++)
        journal->error = look_at_block(journal, &ids, content->blocks[i].entries, &news);
    memory_free(ids.bound);
    recovery_moved(recovery->progress, port, RECOVERY_LOGS, news);
    recovery_moved(recovery->progress, port, RECOVERY_JOURNALS_READ, 1);
}

void recovery_read(struct recovery *recovery, struct port *port, int share, int shares)
{
    check(share >= 0 && share < shares);
    for (int i = 0; i < recovery->journal_count; i++) {
        struct recovery_journal *journal = &recovery->journals[i];
        if ((uint32_t)journal->number % (uint32_t)shares != (uint32_t)share)
            continue; /* another thread's, perhaps at work on it */
        if (!journal->loaded && recovery_is_off(recovery->halt))
            journal->error = ERROR_CANCELLED;
        else if (!journal->loaded)
            read_journal(recovery, journal, port);
        if (journal->error && journal->error != ERROR_CANCELLED)
            recovery_failed(recovery->halt, journal->number);
    }
}

enum error recovery_is_read(struct recovery *recovery)
{
    const struct recovery_journal *blamed = NULL;
    for (int i = 0; i < recovery->journal_count; i++) {
        const struct recovery_journal *journal = &recovery->journals[i];
        check(journal->loaded || journal->error);
        if (journal->error && (!blamed || journal->number == recovery_first_failed(recovery->halt)))
            blamed = journal;
    }
    if (!blamed)
        return ERROR_NONE;
    recovery_blame(recovery->fault, blamed, blamed->error);
    return blamed->error;
}

/* ---- what was read ------------------------------------------------------------------------- */

const struct recovery_bound *recovery_next_bound(const struct recovery *recovery, int32_t *journal,
                                                 uint32_t *place)
{
    for (; *journal < recovery->journal_count; (*journal)++, *place = 0) {
        const struct recovery_bound *bound = map_next(&recovery->journals[*journal].bound, place);
        if (bound)
            return bound;
    }
    return NULL;
}

bool recovery_holds(const struct recovery *recovery, struct uuid topic_id, int32_t partition)
{
    struct recovery_bound_key key = {topic_id, partition};
    for (int i = 0; i < recovery->journal_count; i++)
        if (map_get(&recovery->journals[i].bound, &key, sizeof key))
            return true;
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
    int32_t journal = 0;
    uint32_t place = 0;
    for (const struct recovery_bound *bound;
         (bound = recovery_next_bound(recovery, &journal, &place));) {
        int32_t owner = core(context, bound->key.topic_id, bound->key.partition);
        int32_t number = recovery->journals[journal].number;
        if (number >= core_count || (owner >= 0 && owner != number))
            return false;
    }
    return true;
}

struct journal_content *recovery_journal(const struct recovery *recovery, int32_t number)
{
    for (int i = 0; i < recovery->journal_count; i++)
        if (recovery->journals[i].number == number && recovery->journals[i].loaded)
            return &recovery->journals[i].content;
    return NULL;
}

void recovery_count_resumed(const struct recovery *recovery, struct port *port, int32_t number)
{
    uint64_t news = 0;
    for (int i = 0; i < recovery->journal_count; i++) {
        if (recovery->journals[i].number != number)
            continue;
        uint32_t position = 0;
        for (struct recovery_bound *bound;
             (bound = map_next(&recovery->journals[i].bound, &position));) {
            news += !bound->recovered;
            bound->recovered = true;
        }
    }
    recovery_moved(recovery->progress, port, RECOVERY_LOGS_RECOVERED, news);
}

enum error recovery_replay(struct recovery *recovery, const struct recovery_names *names)
{
    recovery_read(recovery, recovery->port, 0, 1);
    enum error error = recovery_is_read(recovery);
    if (error)
        return error;
    struct recovery_pass pass;
    recovery_pass_init(&pass, recovery, recovery->port, names);
    recovery_pass_run(&pass);
    return recovery_pass_join(recovery, &pass, 1);
}

/* ---- what no topic names any more --------------------------------------------------------- */

struct cleaning {
    struct recovery *recovery;
    const struct recovery_names *names;
    struct orphans orphans;
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
                                            path, sizeof path)) {
        if (!orphans_left(&cleaning->orphans, cleaning->recovery->port, path, partition))
            return ERROR_NONE;
        REACHED("a new topic's folder with a deleted one's segments");
    }
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

/* Under the name of its topic's id and partition it meets no other. */
static enum error keep_stray(struct recovery *recovery, const char *folder)
{
    char path[1024], to[1100];
    struct bytes text;
    struct uuid id = {{0}};
    snprintf(path, sizeof path, "%.950s/partition.metadata", folder);
    if (start_file_read(recovery->port, path, PARTITION_METADATA_SIZE, &text) == ERROR_NONE)
        (void)partition_metadata_decode(text, &id); /* none is as good as zero here */
    memory_free((void *)(uintptr_t)text.data);
    snprintf(to, sizeof to, "%.950s.%016llx%016llx-stray", folder,
             (unsigned long long)load_be64(id.bytes), (unsigned long long)load_be64(id.bytes + 8));
    REACHED("a stray folder of a Kafka node");
    struct op rename = {.kind = OP_RENAME, .path = folder, .path_to = to};
    return op_error(port_call(recovery->port, &rename));
}

enum error recovery_clean(struct recovery *recovery, const struct recovery_names *names,
                          int core_count)
{
    struct recovery_pass pass = {.recovery = recovery, .port = recovery->port};
    struct cleaning cleaning = {.recovery = recovery, .names = names};
    orphans_find(&cleaning.orphans, recovery, names);
    enum error error = redo_list(recovery->port, recovery->directory, note_folder, &cleaning);
    orphans_done(&cleaning.orphans);
    for (int i = 0; i < cleaning.count; i++) {
        bool deleted = folder_name_is_deleted(strrchr(cleaning.folders[i], '/') + 1);
        if (!error && recovery->is_kafkas && !deleted) {
            error = keep_stray(recovery, cleaning.folders[i]);
        } else if (!error) {
            REACHED("folder of a deleted topic");
            error = redo_remove_folder(&pass, cleaning.folders[i]);
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
    if (MUTANT(skip_fsync_of_cleaning))
        return error;
    return error ? error : op_error(port_call(recovery->port, &flush));
}
