#include "base/check.h"
#include "base/writer.h"
#include "codec/crc32c.h"
#include "protocol/batch.h"

void batch_builder_init(struct batch_builder *builder, void *data, size_t capacity)
{
    check(data && capacity >= BATCH_RECORDS_AT);
    *builder = (struct batch_builder){
        .data = data, .size_bytes = BATCH_RECORDS_AT, .capacity = capacity, .max_timestamp = -1};
}

static size_t sized_size(struct bytes bytes)
{
    return (size_t)varlong_size(bytes.size) + (bytes.size > 0 ? (size_t)bytes.size : 0);
}

static int64_t timestamp_delta(const struct batch_builder *builder, const struct record *record)
{
    uint64_t delta = (uint64_t)record->timestamp - (uint64_t)builder->base_timestamp;
    return builder->count ? (int64_t)delta : 0;
}

/* Bytes of a record behind its length. */
static size_t body_size(const struct batch_builder *builder, const struct record *record)
{
    return 1 + (size_t)varlong_size(timestamp_delta(builder, record)) +
           (size_t)varlong_size(builder->count) + sized_size(record->key) +
           sized_size(record->value) + (size_t)varlong_size(record->headers_count) +
           (record->headers_count ? (size_t)record->headers.size : 0);
}

size_t record_size(const struct batch_builder *builder, const struct record *record)
{
    size_t size = body_size(builder, record);
    return size + (size_t)varlong_size((int64_t)size);
}

static void write_sized(struct writer *writer, struct bytes bytes)
{
    write_varint(writer, bytes.size);
    if (bytes.size > 0)
        write_raw(writer, bytes.data, (size_t)bytes.size);
}

void record_write_header(struct writer *writer, const struct record_header *header)
{
    check(header->key.size >= 0);
    write_sized(writer, header->key);
    write_sized(writer, header->value);
}

enum error batch_builder_add(struct batch_builder *builder, const struct record *record)
{
    size_t size = record_size(builder, record);
    if (size > builder->capacity - builder->size_bytes || builder->count == INT32_MAX)
        return ERROR_NO_MEMORY;
    struct writer writer;
    writer_init(&writer, builder->data + builder->size_bytes, size);
    write_varint(&writer, (int32_t)body_size(builder, record));
    write_i8(&writer, 0);
    write_varlong(&writer, timestamp_delta(builder, record));
    write_varint(&writer, builder->count);
    write_sized(&writer, record->key);
    write_sized(&writer, record->value);
    write_varint(&writer, record->headers_count);
    if (record->headers_count)
        write_raw(&writer, record->headers.data, (size_t)record->headers.size);
    check(writer.error == ERROR_NONE && writer.size == size);
    if (builder->count == 0)
        builder->base_timestamp = record->timestamp;
    if (builder->count == 0 || record->timestamp > builder->max_timestamp)
        builder->max_timestamp = record->timestamp;
    builder->count++;
    builder->size_bytes += size;
    return ERROR_NONE;
}

void batch_builder_end(struct batch_builder *builder, const struct batch_fields *fields)
{
    check(builder->count > 0 && builder->size_bytes <= INT32_MAX);
    uint8_t *at = builder->data;
    store_be64(at, (uint64_t)fields->base_offset);
    store_be32(at + BATCH_LENGTH_AT, (uint32_t)(builder->size_bytes - BATCH_OVERHEAD));
    store_be32(at + BATCH_LEADER_EPOCH_AT, (uint32_t)fields->leader_epoch);
    at[BATCH_MAGIC_AT] = 2;
    store_be16(at + BATCH_ATTRIBUTES_AT, (uint16_t)fields->attributes);
    store_be32(at + BATCH_LAST_OFFSET_DELTA_AT, (uint32_t)builder->count - 1);
    store_be64(at + BATCH_BASE_TIMESTAMP_AT, (uint64_t)builder->base_timestamp);
    store_be64(at + BATCH_MAX_TIMESTAMP_AT, (uint64_t)builder->max_timestamp);
    store_be64(at + BATCH_PRODUCER_ID_AT, (uint64_t)fields->producer_id);
    store_be16(at + BATCH_PRODUCER_EPOCH_AT, (uint16_t)fields->producer_epoch);
    store_be32(at + BATCH_BASE_SEQUENCE_AT, (uint32_t)fields->base_sequence);
    store_be32(at + BATCH_COUNT_AT, (uint32_t)builder->count);
    store_be32(at + BATCH_CRC_AT,
               crc32c(0, at + BATCH_ATTRIBUTES_AT, builder->size_bytes - BATCH_ATTRIBUTES_AT));
}
