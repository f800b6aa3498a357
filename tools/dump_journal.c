/* Journals of `bole dump`, read by the very reader that recovery uses. */
#include "base/memory.h"
#include "reactor/port.h"
#include "storage/aside.h"
#include "storage/folder.h"
#include "storage/journal_reader.h"
#include "tools/dump.h"
#include <inttypes.h>

/* Ids that a journal has bound so far. */
struct ids {
    bool *is_bound;
    int *redos; /* of dump->redos, by id */
    uint32_t count;
};

enum { ID_MAX = 1 << 24 };

static bool open_port(struct dump *dump, const char *path)
{
    static const struct port_options options = {
        .queue_depth = 8, .pool_buffer_size = 4096, .pool_buffer_count = 1};
    char why[256];
    if (!dump->port && epoll_open(&options, &dump->port, why, sizeof why) != ERROR_NONE) {
        dump_fault(dump, path, -1, "it can't be read: %s", why);
        return false;
    }
    return true;
}

/* The slots as they are; that one of them is torn is no damage, since the other counts. */
static void print_anchors(struct dump *dump, const char *path)
{
    struct dump_file file;
    if (!dump_file_open(dump, &file, path))
        return;
    for (int i = 0; i < 2; i++) {
        const uint8_t *slot = dump_file_at(&file, i * JOURNAL_ANCHOR_SLOT, JOURNAL_ANCHOR_SLOT);
        struct anchor anchor;
        enum error error = slot ? anchor_decode(slot, &anchor) : ERROR_TRUNCATED;
        if (error)
            dump_event(dump, "anchor slot=%d %s\n", i, error_text(error));
        else
            dump_event(dump,
                       "anchor slot=%d version=%" PRIu32 " generation=%" PRIu64 " salt=%016" PRIx64
                       " alignment=%" PRIu32 " start_position=%" PRId64 " start_sequence=%" PRIu64
                       " crc=ok\n",
                       i, anchor.version, anchor.generation, anchor.salt, anchor.alignment,
                       anchor.start_position, anchor.start_sequence);
    }
    dump_file_close(&file);
}

/* The first place that live blocks give to a log is where recovery begins to write. */
static int note_bind(struct dump *dump, const struct journal_entry *entry)
{
    for (int i = 0; i < dump->redo_count; i++)
        if (uuid_equal(dump->redos[i].topic_id, entry->topic_id) &&
            dump->redos[i].partition == entry->partition)
            return i;
    if (dump->redo_count == dump->redo_capacity) {
        dump->redo_capacity = 2 * dump->redo_capacity + 16;
        dump->redos =
            memory_resized(dump->redos, (size_t)dump->redo_capacity * sizeof(struct dump_redo));
    }
    dump->redos[dump->redo_count] =
        (struct dump_redo){entry->topic_id, entry->partition, entry->segment_base, entry->position};
    return dump->redo_count++;
}

/* What lies beyond a cut, recovery takes away. Base -1: everything. */
static void note_cut(struct dump_redo *redo, const struct journal_entry *entry)
{
    bool is_before =
        entry->segment_base < redo->segment_base ||
        (entry->segment_base == redo->segment_base && entry->position < redo->position);
    if (is_before) {
        redo->segment_base = entry->segment_base;
        redo->position = entry->position;
    }
}

static bool bind_id(struct ids *ids, uint32_t id, int redo)
{
    if (id >= ID_MAX)
        return false;
    if (id >= ids->count) {
        uint32_t count = id + 64;
        ids->is_bound = memory_resized(ids->is_bound, count * sizeof(bool));
        ids->redos = memory_resized(ids->redos, count * sizeof(int));
        memset(ids->is_bound + ids->count, 0, (count - ids->count) * sizeof(bool));
        ids->count = count;
    }
    ids->is_bound[id] = true;
    ids->redos[id] = redo;
    return true;
}

static void ids_done(struct ids *ids)
{
    memory_free(ids->is_bound);
    memory_free(ids->redos);
}

/* One entry. Null: it is sound. */
static const char *dump_entry(struct dump *dump, const char *path, struct ids *ids,
                              int64_t position, const struct journal_entry *entry)
{
    if (entry->kind == ENTRY_BIND) {
        char topic_id[UUID_TEXT_SIZE];
        uuid_encode(entry->topic_id, topic_id);
        dump_event(dump,
                   "bind id=%" PRIu32 " topic_id=%s partition=%d segment=%020" PRId64
                   " position=%" PRIu32 "\n",
                   entry->id, topic_id, entry->partition, entry->segment_base, entry->position);
        return bind_id(ids, entry->id, note_bind(dump, entry)) ? NULL
                                                               : "an id that is too large is bound";
    }
    if (entry->kind == ENTRY_START)
        dump_event(dump, "start id=%" PRIu32 " offset=%" PRId64 "\n", entry->id, entry->offset);
    else if (entry->kind == ENTRY_CUT)
        dump_event(dump,
                   "cut id=%" PRIu32 " offset=%" PRId64 " segment=%020" PRId64 " position=%" PRIu32
                   "\n",
                   entry->id, entry->offset, entry->segment_base, entry->position);
    else
        dump_event(dump, "append id=%" PRIu32 " size=%d\n", entry->id, entry->batches.size);
    if (entry->id >= ids->count || !ids->is_bound[entry->id])
        return "an entry of an id that no bind before it names";
    if (entry->kind == ENTRY_CUT)
        note_cut(&dump->redos[ids->redos[entry->id]], entry);
    if (entry->kind == ENTRY_APPEND)
        dump_batches(dump, path, position, entry->batches, 0, dump->is_aside);
    return NULL;
}

static void dump_entries(struct dump *dump, const char *path, struct ids *ids, int64_t position,
                         struct bytes entries)
{
    struct reader reader;
    struct journal_entry entry;
    reader_init(&reader, entries.data, (size_t)entries.size);
    const char *fault = NULL;
    while (!fault && entry_decode(&reader, &entry)) {
        int64_t at = position; /* of an append: that of its batches */
        if (entry.kind == ENTRY_APPEND)
            at += entry.batches.data - entries.data;
        fault = dump_entry(dump, path, ids, at, &entry);
    }
    if (!fault && reader.error)
        fault = error_text(reader.error);
    if (fault)
        dump_fault(dump, path, position, "%s", fault);
}

static void dump_blocks(struct dump *dump, const char *path, struct journal_reader *reader)
{
    struct ids ids = {0};
    struct bytes entries;
    int64_t blocks = 0, bytes = 0;
    enum error error;
    while (!(error = journal_reader_next(reader, &entries)) && entries.size > 0) {
        struct block_header header;
        const uint8_t *block = entries.data - BLOCK_HEADER_SIZE;
        int64_t size =
            (int64_t)align_up((uint64_t)entries.size + BLOCK_HEADER_SIZE, reader->anchor.alignment);
        (void)block_peek(block, &header); /* the reader has found it whole */
        dump_event(dump,
                   "block position=%" PRId64 " length=%" PRIu32 " sequence=%" PRIu64
                   " lap=%u place=%u entries=%" PRIu32 " crc=ok\n",
                   reader->position - size, header.length, header.sequence, header.lap,
                   header.place, header.entry_count);
        dump_entries(dump, path, &ids, reader->position - size + BLOCK_HEADER_SIZE, entries);
        blocks++;
        bytes += size;
    }
    if (error)
        dump_fault(dump, path, reader->position, "%s",
                   reader->fault[0] ? reader->fault : error_text(error));
    dump_end(dump, path, "live_blocks=%" PRId64 " live_bytes=%" PRId64 " file_bytes=%" PRId64,
             blocks, bytes, reader->file_size);
    ids_done(&ids);
}

void dump_journal(struct dump *dump, const char *path)
{
    struct journal_reader reader;
    dump_begin(dump, path);
    if (!open_port(dump, path))
        return;
    enum error error = journal_reader_open(&reader, dump->port, path);
    if (!error || reader.handle >= 0)
        print_anchors(dump, path);
    if (error)
        dump_fault(dump, path, -1, "%s", reader.fault[0] ? reader.fault : error_text(error));
    else
        dump_blocks(dump, path, &reader);
    journal_reader_close(&reader);
}

/* That it is there is a fault of the partition's: it can't be opened; but not of the records that
 * somebody asks for. */
void dump_aside(struct dump *dump, const char *path)
{
    struct dump_file file;
    struct aside aside;
    dump_begin(dump, path);
    if (!dump_file_open(dump, &file, path))
        return;
    const uint8_t *bytes = dump_file_at(&file, 0, file.size);
    enum error error =
        bytes ? aside_decode((struct bytes){bytes, (int32_t)file.size}, &aside) : ERROR_TRUNCATED;
    if (error) {
        dump_fault(dump, path, -1, "%s", error_text(error));
    } else {
        struct ids ids = {0};
        dump_event(dump, "aside version=1 entries_bytes=%d crc=ok\n", aside.entries.size);
        dump->is_aside = true;
        dump_entries(dump, path, &ids, aside.entries.data - bytes, aside.entries);
        dump->is_aside = false;
        void (*say)(struct dump *, const char *, int64_t, const char *, ...) =
            dump->write_record ? dump_left : dump_fault;
        say(dump, path, -1, "the partition was set aside and is offline, since %.*s",
            aside.reason.size, (const char *)aside.reason.data);
        ids_done(&ids);
    }
    dump_file_close(&file);
}
