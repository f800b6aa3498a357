#include "cluster/metadata_log.h"
#include "base/check.h"
#include "base/memory.h"
#include "cluster/catalogue.h"
#include "protocol/messages.h"
#include "storage/redo.h"
#include "storage/segment.h"
#include <stdio.h>

enum { FRAME_VERSION = 1, FRAME_SIZE_MAX = 15, RECORD_OVERHEAD = 32 };

/* The newest version of a record's table is written; metadata.version will choose later. */
static size_t encode_value(const struct metadata_record *record, struct writer *writer)
{
    write_uvarint(writer, FRAME_VERSION);
    write_uvarint(writer, (uint32_t)record->message->key);
    write_uvarint(writer, (uint32_t)record->message->newest);
    enum error error =
        message_encode(record->message, record->message->newest, writer, record->value);
    if (error)
        writer_fail(writer, error);
    return writer->size;
}

enum error metadata_log_encode(const struct record_list *records, int64_t now_ms,
                               struct arena *arena, struct bytes *ret_batch)
{
    size_t capacity = BATCH_RECORDS_AT, largest = 0;
    for (const struct metadata_record *record = records->first; record; record = record->next) {
        size_t size =
            FRAME_SIZE_MAX + message_size(record->message, record->message->newest, record->value);
        largest = size > largest ? size : largest;
        capacity += size + RECORD_OVERHEAD;
    }
    uint8_t *data = arena_take(arena, capacity), *value = arena_take(arena, largest);
    if (!data || !value)
        return ERROR_NO_MEMORY;
    struct batch_builder builder;
    batch_builder_init(&builder, data, capacity);
    for (const struct metadata_record *record = records->first; record; record = record->next) {
        struct writer writer;
        writer_init(&writer, value, largest);
        size_t size = encode_value(record, &writer);
        if (writer.error)
            return ERROR_INVALID_REQUEST;
        struct record in = {
            .timestamp = now_ms, .key = BYTES_NULL, .value = {value, (int32_t)size}};
        enum error error = batch_builder_add(&builder, &in);
        if (error)
            return error;
    }
    batch_builder_end(&builder, &BATCH_FIELDS_PLAIN);
    *ret_batch = (struct bytes){builder.data, (int32_t)builder.size_bytes};
    return ERROR_NONE;
}

/* ---- reading back ------------------------------------------------------------------------ */

struct loading {
    struct broker *broker;
    struct port *port;
    const char *folder;
    int64_t *bases;
    int32_t base_count, base_capacity;
    struct arena arena;
    int64_t next_offset;
    char *why;
    size_t why_size;
};

static enum error fault(struct loading *loading, enum error error, const char *what)
{
    snprintf(loading->why, loading->why_size, "%s, offset %lld: %s (%s)", loading->folder,
             (long long)loading->next_offset, what, error_text(error));
    return error;
}

static enum error apply_value(struct loading *loading, struct bytes value)
{
    struct reader reader;
    reader_init(&reader, value.data, value.size > 0 ? (size_t)value.size : 0);
    uint32_t frame = read_uvarint(&reader), type = read_uvarint(&reader);
    uint32_t version = read_uvarint(&reader);
    const struct message *message =
        type <= INT16_MAX ? message_find(MESSAGE_METADATA_RECORD, (int16_t)type) : NULL;
    if (reader.error || frame != FRAME_VERSION || !message || version > (uint32_t)message->newest)
        return fault(loading, ERROR_NEWER_VERSION, "a record of a type or version not known here");
    void *decoded = arena_take(&loading->arena, message->size);
    enum error error = message_decode(message, (int16_t)version, &reader, &loading->arena, decoded);
    for (int i = 0; i < loading->broker->core_count && !error; i++)
        error = catalogue_apply(&loading->broker->shards[i], message, decoded);
    return error ? fault(loading, error, "a record that can't be applied") : ERROR_NONE;
}

static enum error apply_batch(struct loading *loading, const struct batch *batch)
{
    struct batch_iterator iterator;
    struct record record;
    enum error error = batch_check_crc(batch);
    if (!error)
        error = batch_iterate(batch, &loading->arena, &iterator);
    if (error)
        return fault(loading, error, "a batch that is damaged");
    while (!error && batch_next(&iterator, &record)) {
        loading->next_offset = record.offset;
        if (!(batch->attributes & BATCH_CONTROL))
            error = apply_value(loading, record.value);
        arena_reset(&loading->arena, 1 << 20);
    }
    return error;
}

static enum error read_whole(struct loading *loading, const char *path, uint8_t **ret_data,
                             int64_t *ret_size)
{
    struct file_stat stat;
    struct op open = {.kind = OP_OPEN, .path = path, .flags = OPEN_READ};
    int64_t handle = port_call(loading->port, &open);
    if (handle < 0)
        return op_error(handle);
    struct op stat_op = {.kind = OP_STAT, .handle = (int32_t)handle, .data = &stat};
    int64_t result = port_call(loading->port, &stat_op);
    uint8_t *data = NULL;
    int64_t size = 0;
    if (result >= 0) {
        data = memory_aligned(4096, (size_t)stat.size_bytes + 1);
        do {
            struct op read = {.kind = OP_READ,
                              .handle = (int32_t)handle,
                              .data = data + size,
                              .size = (size_t)(stat.size_bytes - size),
                              .offset = size};
            result = size < stat.size_bytes ? port_call(loading->port, &read) : 0;
            size += result > 0 ? result : 0;
        } while (result > 0);
    }
    struct op close = {.kind = OP_CLOSE, .handle = (int32_t)handle};
    (void)port_call(loading->port, &close); /* only read */
    *ret_data = data;
    *ret_size = size;
    return op_error(result);
}

static enum error load_segment(struct loading *loading, int64_t base)
{
    char name[SEGMENT_NAME_SIZE], path[1100];
    segment_name(base, ".log", name);
    snprintf(path, sizeof path, "%s/%s", loading->folder, name);
    uint8_t *data = NULL;
    int64_t size = 0, at = 0;
    loading->next_offset = base;
    enum error error = read_whole(loading, path, &data, &size);
    if (error)
        (void)fault(loading, error, "the segment can't be read");
    while (!error && at < size) {
        struct batch batch;
        error = batch_view(data + at, (size_t)(size - at), &batch);
        if (error)
            (void)fault(loading, error, "a batch that is damaged");
        else
            error = apply_batch(loading, &batch);
        at += error ? 0 : batch.whole.size;
    }
    memory_free(data);
    return error;
}

static enum error note_base(void *context, char kind, const char *name)
{
    struct loading *loading = context;
    int64_t base;
    if (kind != 'f' || !segment_name_parse(name, ".log", &base))
        return ERROR_NONE;
    if (loading->base_count == loading->base_capacity) {
        loading->base_capacity = loading->base_capacity ? 2 * loading->base_capacity : 4;
        loading->bases =
            memory_resized(loading->bases, (size_t)loading->base_capacity * sizeof(int64_t));
    }
    loading->bases[loading->base_count++] = base;
    return ERROR_NONE;
}

static int compare_bases(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

enum error metadata_log_load(struct broker *broker, struct port *port, const char *folder,
                             char *why, size_t why_size)
{
    struct loading loading = {
        .broker = broker, .port = port, .folder = folder, .why = why, .why_size = why_size};
    arena_init(&loading.arena, 64u << 20);
    enum error error = redo_list(port, folder, note_base, &loading);
    if (error == ERROR_NOT_FOUND)
        error = ERROR_NONE;
    else if (error)
        (void)fault(&loading, error, "the folder can't be read");
    if (loading.base_count > 1)
        qsort(loading.bases, (size_t)loading.base_count, sizeof(int64_t), compare_bases);
    for (int i = 0; i < loading.base_count && !error; i++)
        error = load_segment(&loading, loading.bases[i]);
    memory_free(loading.bases);
    arena_done(&loading.arena);
    return error;
}
