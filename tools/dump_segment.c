/* Segments and indexes of `bole dump`. */
#include "base/check.h"
#include "codec/codec.h"
#include "protocol/batch.h"
#include "protocol/json.h"
#include "protocol/messages.h"
#include "reactor/events.h"
#include "storage/folder.h"
#include "storage/segment.h"
#include "tools/dump.h"
#include "tools/format.h"
#include <inttypes.h>

enum { ARENA_BYTES = 256 << 20, QUOTED_BYTES = 200, NAME_BYTES = 300, INDEX_ENTRY_BYTES = 8 };

/* --- records --------------------------------------------------------------------------------- */

/* A value of __cluster_metadata as JSON; false if it is none. */
static bool print_metadata_record(struct dump *dump, struct arena *arena,
                                  const struct record *record)
{
    struct reader reader;
    if (record->value.size <= 0)
        return false;
    reader_init(&reader, record->value.data, (size_t)record->value.size);
    uint32_t frame = read_uvarint(&reader), type = read_uvarint(&reader);
    uint32_t version = read_uvarint(&reader);
    const struct message *message =
        type <= INT16_MAX ? message_find(MESSAGE_METADATA_RECORD, (int16_t)type) : NULL;
    if (reader.error || frame != 1 || !message || version > (uint32_t)message->newest)
        return false;
    void *value = arena_take(arena, message->size);
    if (!value)
        return false;
    message_set_defaults(message, value);
    if (message_decode_whole(message, (int16_t)version, &reader, arena, value))
        return false;
    struct writer writer;
    writer_init(&writer, NULL, 0);
    (void)message_print_json(message, (int16_t)version, value, &writer); /* only counts */
    char *json = arena_take(arena, writer.size + 1);
    if (!json)
        return false;
    writer_init(&writer, json, writer.size);
    if (message_print_json(message, (int16_t)version, value, &writer))
        return false;
    dump_event(dump, "record offset=%" PRId64 " type=%" PRIu32 " version=%" PRIu32 " %s\n",
               record->offset, type, version, json);
    return true;
}

static const char *quoted(char *to, struct bytes bytes)
{
    if (bytes.size < 0)
        return "null";
    return event_quote(to, QUOTED_BYTES, (struct string){(const char *)bytes.data, bytes.size});
}

/* Of the folder "t-0" that the file lies in; of another, none. */
static void name_partition(const char *path, struct format_record *to)
{
    const char *name = strrchr(path, '/'), *folder = name;
    char text[NAME_BYTES];
    while (folder && folder > path && folder[-1] != '/')
        folder--;
    size_t size = folder ? (size_t)(name - folder) : 0;
    snprintf(text, sizeof text, "%.*s", (int)(size < sizeof text ? size : 0), folder ? folder : "");
    struct string topic;
    if (folder_name_parse(text, &topic, &to->partition))
        to->topic = (struct string){folder, topic.size};
}

static void write_record(struct dump *dump, const char *path, const struct record *record)
{
    struct format_record from = {.record = record, .topic = STRING("")};
    struct text text = {0};
    name_partition(path, &from);
    dump->write_record(&from, &text);
    (void)fwrite(text.data, 1, text.size, dump->records); /* command_dump asks for errors */
    text_done(&text);
}

static void print_record(struct dump *dump, struct arena *arena, const struct record *record)
{
    char key[QUOTED_BYTES], value[QUOTED_BYTES];
    if (dump->is_metadata_log && print_metadata_record(dump, arena, record))
        return;
    dump_event(dump,
               "record offset=%" PRId64 " timestamp=%" PRId64
               " key=%s value=%s value_size=%d headers=%d\n",
               record->offset, record->timestamp, quoted(key, record->key),
               quoted(value, record->value), record->value.size, record->headers_count);
}

/* Why the records of a batch with the right CRC can't be read; null: they can. */
static const char *walk_records(struct dump *dump, const char *path, const struct batch *batch)
{
    struct arena arena;
    struct batch_iterator iterator;
    struct record record;
    arena_init(&arena, ARENA_BYTES);
    enum error error = batch_iterate(batch, &arena, &iterator);
    bool is_control = batch->attributes & BATCH_CONTROL;
    while (!error && batch_next(&iterator, &record)) {
        if (record.offset < dump->from_offset)
            continue;
        if (dump->write_record && !is_control)
            write_record(dump, path, &record);
        else if (!is_control || !dump_control_record(dump, &record))
            print_record(dump, &arena, &record);
    }
    if (!error)
        error = iterator.reader.error;
    arena_done(&arena);
    return error ? error_text(error) : NULL;
}

/* --- batches --------------------------------------------------------------------------------- */

static const char *codec_text(const struct batch *batch)
{
    uint16_t codec = batch->attributes & BATCH_CODEC_MASK;
    return codec < CODECS_END ? codec_name((enum codec)codec) : "unknown";
}

/* Prints and judges one whole batch. Null: it is sound. */
static const char *dump_batch(struct dump *dump, const char *path, int64_t position,
                              const struct batch *batch, int64_t next_offset, bool with_records)
{
    bool is_right = batch_check_crc(batch) == ERROR_NONE;
    dump_event(dump,
               "batch position=%" PRId64 " size=%d offsets=%" PRId64 "-%" PRId64
               " records=%d codec=%s epoch=%d timestamp=%" PRId64 "%s%s producer=%" PRId64
               " crc=%s\n",
               position, batch->whole.size, batch->base_offset, batch_last_offset(batch),
               batch->count, codec_text(batch), batch->leader_epoch, batch->max_timestamp,
               batch->attributes & BATCH_CONTROL ? " control" : "",
               batch->attributes & BATCH_TRANSACTIONAL ? " transactional" : "", batch->producer_id,
               is_right ? "ok" : "wrong");
    if (!is_right)
        return "the CRC of the batch does not match";
    if (batch->base_offset < next_offset || batch->last_offset_delta < 0)
        return "the offsets of the batch do not follow those before it";
    return with_records ? walk_records(dump, path, batch) : NULL;
}

/* The size of the batch whose header is at `header`; -1: it can't be one. */
static int64_t size_of_batch(const uint8_t *header)
{
    int64_t size = batch_size_at(header);
    return size < BATCH_RECORDS_AT || header[BATCH_MAGIC_AT] != 2 ? -1 : size;
}

int64_t dump_batches(struct dump *dump, const char *path, int64_t position, struct bytes bytes,
                     int64_t next_offset, bool with_records)
{
    int32_t at = 0;
    while (at < bytes.size) {
        struct batch batch;
        enum error error = batch_view(bytes.data + at, (size_t)(bytes.size - at), &batch);
        const char *fault =
            error ? error_text(error)
                  : dump_batch(dump, path, position + at, &batch, next_offset, with_records);
        if (fault)
            dump_fault(dump, path, position + at, "%s", fault);
        if (error)
            break;
        next_offset = batch_last_offset(&batch) + 1;
        at += batch.whole.size;
    }
    return next_offset;
}

/* --- segments -------------------------------------------------------------------------------- */

int64_t dump_redo_position(const struct dump *dump, int64_t base_offset)
{
    if (!dump->redo || base_offset < dump->redo->segment_base)
        return INT64_MAX;
    return base_offset == dump->redo->segment_base ? dump->redo->position : 0;
}

struct walk {
    struct dump *dump;
    const char *path;
    struct dump_file file;
    int64_t redo_position, position, next_offset;
    int64_t batches, records;
};

/* What is wrong at the walk's place: damage, or bytes that recovery does not keep. */
static void judge_place(struct walk *walk, const char *reason)
{
    bool is_alone = !walk->dump->has_journals && dump_file_is_zero(&walk->file, walk->position);
    if (walk->position >= walk->redo_position)
        dump_left(walk->dump, walk->path, walk->position,
                  "%s; the journal holds the log from position %" PRId64 " on", reason,
                  walk->redo_position);
    else if (is_alone)
        dump_left(walk->dump, walk->path, walk->position,
                  "zeros up to the end: room that was allocated ahead");
    else
        dump_fault(walk->dump, walk->path, walk->position, "%s", reason);
}

/* Judges the batch at the walk's place and goes on behind it. False: there is no way on. */
static bool walk_batch(struct walk *walk)
{
    const uint8_t *header = dump_file_at(&walk->file, walk->position, BATCH_RECORDS_AT);
    if (!header) {
        judge_place(walk, "bytes are left after the last whole batch");
        return false;
    }
    int64_t size = size_of_batch(header);
    if (size < 0) {
        judge_place(walk, "no batch begins here");
        return false;
    }
    const uint8_t *data = dump_file_at(&walk->file, walk->position, size);
    if (!data) {
        judge_place(walk, "the batch reaches beyond the end of the file");
        return false;
    }
    struct batch batch;
    enum error error = batch_view(data, (size_t)size, &batch);
    const char *fault =
        error ? error_text(error)
              : dump_batch(walk->dump, walk->path, walk->position, &batch, walk->next_offset, true);
    if (fault)
        judge_place(walk, fault);
    if (error || (fault && walk->position >= walk->redo_position))
        return false;
    walk->batches++;
    walk->records += batch.count;
    walk->position += size;
    if (batch.last_offset_delta >= 0 && batch.base_offset >= walk->next_offset)
        walk->next_offset = batch_last_offset(&batch) + 1;
    return true;
}

void dump_segment(struct dump *dump, const char *path, int64_t base_offset)
{
    struct walk walk = {.dump = dump,
                        .path = path,
                        .redo_position = dump_redo_position(dump, base_offset),
                        .next_offset = base_offset};
    dump_begin(dump, path);
    if (dump_file_open(dump, &walk.file, path)) {
        if (base_offset < dump->previous_end)
            dump_fault(dump, path, -1,
                       "it begins before the end of the segment before it, %" PRId64,
                       dump->previous_end);
        if (walk.redo_position != INT64_MAX && walk.file.size < walk.redo_position)
            dump_fault(dump, path, walk.file.size,
                       "it ends here, and the journal holds the log from %" PRId64 " on only",
                       walk.redo_position);
        while (walk.position < walk.file.size && walk_batch(&walk))
            ;
        dump_end(dump, path,
                 "batches=%" PRId64 " records=%" PRId64 " bytes=%" PRId64 " end_offset=%" PRId64,
                 walk.batches, walk.records, walk.position, walk.next_offset);
    }
    dump->previous_end = walk.next_offset;
    dump_file_close(&walk.file);
}

/* --- indexes --------------------------------------------------------------------------------- */

struct index_walk {
    struct dump *dump;
    const char *path;
    struct dump_file log;
    int64_t base_offset;
    int64_t position; /* of a batch in the segment, at or before the entry's */
};

/* Goes through the segment's headers to the entry's place. Null: a batch with that last offset
 * begins there. */
static const char *check_entry(struct index_walk *walk, struct index_entry entry)
{
    while (walk->position < entry.position) {
        const uint8_t *header = dump_file_at(&walk->log, walk->position, BATCH_RECORDS_AT);
        int64_t size = header ? size_of_batch(header) : -1;
        if (size < 0)
            return "it points beyond the whole batches of the segment";
        walk->position += size;
    }
    if (walk->position != entry.position)
        return "it points into the middle of a batch";
    const uint8_t *header = dump_file_at(&walk->log, walk->position, BATCH_RECORDS_AT);
    if (!header || size_of_batch(header) < 0)
        return "it points beyond the whole batches of the segment";
    int64_t last = batch_last_offset_at(header);
    if (last != walk->base_offset + entry.relative_offset)
        return "its offset is not the last of the batch it points at";
    return NULL;
}

/* Judges the entries; returns how many there are. */
static int64_t walk_entries(struct index_walk *walk, struct dump_file *index)
{
    struct dump *dump = walk->dump;
    int64_t redo_position = dump_redo_position(dump, walk->base_offset), at = 0;
    struct index_entry before = {0};
    const uint8_t *bytes;
    for (; (bytes = dump_file_at(index, at, INDEX_ENTRY_BYTES)); at += INDEX_ENTRY_BYTES) {
        struct index_entry entry = {load_be32(bytes), load_be32(bytes + 4)};
        if (entry.position == 0 && entry.relative_offset == 0 && dump_file_is_zero(index, at)) {
            dump_left(dump, walk->path, at, "zeros up to the end: room that was allocated ahead");
            break;
        }
        dump_event(dump, "entry offset=%" PRId64 " position=%" PRIu32 "\n",
                   walk->base_offset + entry.relative_offset, entry.position);
        if (entry.position >= redo_position) {
            dump_left(dump, walk->path, at, "it points behind %" PRId64 ", which the journal holds",
                      redo_position);
            break;
        }
        const char *fault = at > 0 && (entry.position <= before.position ||
                                       entry.relative_offset <= before.relative_offset)
                                ? "it is not beyond the entry before it"
                                : check_entry(walk, entry);
        if (fault) {
            dump_fault(dump, walk->path, at,
                       "%s (an index is a cache: reads find their way "
                       "without it)",
                       fault);
            break;
        }
        before = entry;
    }
    return at / INDEX_ENTRY_BYTES;
}

void dump_index(struct dump *dump, const char *path, int64_t base_offset)
{
    struct index_walk walk = {.dump = dump, .path = path, .base_offset = base_offset};
    struct dump_file index;
    char log_path[4096];
    size_t size = strlen(path) - strlen(".index");
    dump_begin(dump, path);
    snprintf(log_path, sizeof log_path, "%.*s.log", (int)size, path);
    bool is_open = dump_file_open(dump, &index, path);
    if (is_open && dump_file_open(dump, &walk.log, log_path)) {
        int64_t entries = walk_entries(&walk, &index);
        if (index.size % INDEX_ENTRY_BYTES != 0)
            dump_fault(dump, path, index.size - index.size % INDEX_ENTRY_BYTES,
                       "the last entry is cut");
        dump_end(dump, path, "entries=%" PRId64, entries);
        dump_file_close(&walk.log);
    } else if (is_open) {
        dump_file_close(&walk.log);
    }
    dump_file_close(&index);
}
