#include "cluster/metadata_log.h"
#include "base/reader.h"
#include "protocol/messages.h"

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

enum error metadata_log_decode(struct bytes value, struct arena *arena, struct metadata_value *ret)
{
    struct reader reader;
    reader_init(&reader, value.data, value.size > 0 ? (size_t)value.size : 0);
    uint32_t frame = read_uvarint(&reader), type = read_uvarint(&reader);
    uint32_t version = read_uvarint(&reader);
    ret->message = type <= INT16_MAX ? message_find(MESSAGE_METADATA_RECORD, (int16_t)type) : NULL;
    if (reader.error || frame != FRAME_VERSION || !ret->message ||
        version > (uint32_t)ret->message->newest)
        return ERROR_NEWER_VERSION;
    ret->value = arena_take(arena, ret->message->size);
    if (!ret->value)
        return ERROR_NO_MEMORY;
    return message_decode(ret->message, (int16_t)version, &reader, arena, ret->value);
}
