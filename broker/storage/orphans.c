#include "storage/orphans.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "storage/folder.h"
#include "storage/journal_format.h"
#include "storage/redo.h"
#include "storage/segment.h"
#include <stdio.h>

enum { COMPARED_BYTES = 512 /* a sector: it is there or it is not */ };

struct orphan_beginning {
    int32_t partition;
    int64_t base;        /* of the segment */
    struct bytes append; /* at its place 0 */
};

/* ---- finding them -------------------------------------------------------------------------- */

/* What an id of one journal means just now. */
struct orphan_binding {
    bool is_bound, is_orphan;
    int32_t partition;
    int64_t base, position; /* of its next byte; -1: the next BIND tells */
};

struct bindings {
    struct orphan_binding *of;
    uint32_t count;
};

static struct orphan_binding *binding_of(struct bindings *bindings, uint32_t id)
{
    if (id >= bindings->count) {
        uint32_t count = id + 64;
        bindings->of = memory_resized(bindings->of, count * sizeof bindings->of[0]);
        memset(bindings->of + bindings->count, 0,
               (count - bindings->count) * sizeof bindings->of[0]);
        bindings->count = count;
    }
    return &bindings->of[id];
}

static void note_beginning(struct orphans *orphans, const struct orphan_binding *binding,
                           struct bytes append)
{
    if (orphans->count == orphans->capacity) {
        orphans->capacity = orphans->capacity ? 2 * orphans->capacity : 8;
        orphans->beginnings = memory_resized(
            orphans->beginnings, (size_t)orphans->capacity * sizeof orphans->beginnings[0]);
    }
    orphans->beginnings[orphans->count++] = (struct orphan_beginning){
        .partition = binding->partition, .base = binding->base, .append = append};
}

static void take_entry(struct orphans *orphans, struct bindings *bindings,
                       const struct recovery_names *names, const struct journal_entry *entry)
{
    struct orphan_binding *binding = binding_of(bindings, entry->id);
    switch (entry->kind) {
    case ENTRY_BIND:
        if (!binding->is_bound) /* else it has rolled, or an anchor was written */
            binding->is_orphan = entry->segment_base == 0 && entry->position == 0 &&
                                 !names->exists(names->context, entry->topic_id, entry->partition);
        binding->is_bound = true;
        binding->partition = entry->partition;
        binding->base = entry->segment_base;
        binding->position = entry->position;
        break;
    case ENTRY_APPEND:
        if (binding->is_orphan && binding->position == 0)
            note_beginning(orphans, binding, entry->batches);
        binding->position += entry->batches.size;
        break;
    case ENTRY_CUT:
        binding->base = entry->segment_base;
        binding->position = entry->segment_base < 0 ? -1 : (int64_t)entry->position;
        break;
    default:
        break;
    }
}

void orphans_find(struct orphans *orphans, const struct recovery *recovery,
                  const struct recovery_names *names)
{
    *orphans = (struct orphans){0};
    for (int i = 0; i < recovery->journal_count; i++) {
        const struct journal_content *content = &recovery->journals[i].content;
        struct bindings bindings = {0};
        for (int32_t at = 0; recovery->journals[i].loaded && at < content->count; at++) {
            struct reader reader;
            struct bytes entries = content->blocks[at].entries;
            reader_init(&reader, entries.data, (size_t)entries.size);
            for (struct journal_entry entry; entry_decode(&reader, &entry);)
                take_entry(orphans, &bindings, names, &entry);
        }
        memory_free(bindings.of);
    }
}

void orphans_done(struct orphans *orphans)
{
    memory_free(orphans->beginnings);
}

/* ---- knowing what they left ---------------------------------------------------------------- */

struct look {
    const struct orphans *orphans;
    struct port *port;
    const char *folder;
    int32_t partition, segments;
    bool others; /* there is a segment that is none of theirs, or can't be read */
};

/* Reads the beginning of a file. Its bytes; negative: it can't be read. */
static int64_t read_beginning(struct port *port, const char *path, uint8_t *to, size_t size)
{
    struct op open = {.kind = OP_OPEN, .path = path, .flags = OPEN_READ};
    int64_t handle = port_call(port, &open), read = 0, got = 1;
    if (handle < 0)
        return handle;
    while (got > 0 && read < (int64_t)size) {
        struct op op = {.kind = OP_READ,
                        .handle = (int32_t)handle,
                        .data = to + read,
                        .size = size - (size_t)read,
                        .offset = read};
        got = port_call(port, &op);
        read += got > 0 ? got : 0;
    }
    struct op close = {.kind = OP_CLOSE, .handle = (int32_t)handle};
    (void)port_call(port, &close); /* only read */
    return got < 0 ? got : read;
}

static bool is_zero(const uint8_t *bytes, int64_t size)
{
    for (int64_t i = 0; i < size; i++)
        if (bytes[i])
            return false;
    return true;
}

static bool is_theirs(const struct look *look, int64_t base, const uint8_t *bytes, int64_t size)
{
    if (is_zero(bytes, size))
        return true;
    for (int32_t i = 0; i < look->orphans->count; i++) {
        const struct orphan_beginning *beginning = &look->orphans->beginnings[i];
        int64_t compared = min_i64(size, beginning->append.size);
        if (beginning->partition == look->partition && beginning->base == base &&
            memcmp(bytes, beginning->append.data, (size_t)compared) == 0)
            return true;
    }
    return false;
}

static enum error look_at_file(void *context, char kind, const char *name)
{
    struct look *look = context;
    int64_t base;
    if (kind != 'f' || !segment_name_parse(name, ".log", &base))
        return ERROR_NONE;
    char path[1400];
    uint8_t bytes[COMPARED_BYTES];
    snprintf(path, sizeof path, "%s/%s", look->folder, name);
    int64_t size = read_beginning(look->port, path, bytes, sizeof bytes);
    look->segments++;
    look->others |= size < 0 || !is_theirs(look, base, bytes, size);
    return ERROR_NONE;
}

/* Does partition.metadata say whose the folder is, rightly or not? */
static bool is_named(struct port *port, const char *folder)
{
    char path[1400];
    uint8_t text[PARTITION_METADATA_SIZE];
    snprintf(path, sizeof path, "%s/" PARTITION_METADATA_FILE, folder);
    int64_t size = read_beginning(port, path, text, sizeof text);
    if (size < 0)
        return op_error(size) != ERROR_NOT_FOUND;
    return !partition_metadata_is_torn((struct bytes){text, (int32_t)size});
}

bool orphans_left(const struct orphans *orphans, struct port *port, const char *folder,
                  int32_t partition)
{
    bool any = false;
    for (int32_t i = 0; i < orphans->count && !any; i++)
        any = orphans->beginnings[i].partition == partition;
    if (!any || is_named(port, folder) || MUTANT(orphan_stays))
        return false;
    struct look look = {.orphans = orphans, .port = port, .folder = folder, .partition = partition};
    enum error error = redo_list(port, folder, look_at_file, &look);
    return !error && look.segments > 0 && !look.others;
}
