/* Views of a batch, walking and changing one. */
#include "protocol/batch.h"
#include "base/check.h"
#include "base/mutant.h"
#include "codec/codec.h"
#include "codec/crc32c.h"

enum { LENGTH_MIN = 14 }; /* of a message of magic 0, the smallest there ever was */

void batch_view_header(const uint8_t *data, int32_t size_bytes, struct batch *ret_batch)
{
    *ret_batch = (struct batch){
        .whole = {data, size_bytes},
        .base_offset = (int64_t)load_be64(data),
        .leader_epoch = (int32_t)load_be32(data + BATCH_LEADER_EPOCH_AT),
        .crc = load_be32(data + BATCH_CRC_AT),
        .attributes = load_be16(data + BATCH_ATTRIBUTES_AT),
        .last_offset_delta = (int32_t)load_be32(data + BATCH_LAST_OFFSET_DELTA_AT),
        .base_timestamp = (int64_t)load_be64(data + BATCH_BASE_TIMESTAMP_AT),
        .max_timestamp = (int64_t)load_be64(data + BATCH_MAX_TIMESTAMP_AT),
        .producer_id = (int64_t)load_be64(data + BATCH_PRODUCER_ID_AT),
        .producer_epoch = (int16_t)load_be16(data + BATCH_PRODUCER_EPOCH_AT),
        .base_sequence = (int32_t)load_be32(data + BATCH_BASE_SEQUENCE_AT),
        .count = (int32_t)load_be32(data + BATCH_COUNT_AT),
    };
}

enum error batch_view(const void *data, size_t size, struct batch *ret_batch)
{
    const uint8_t *at = data;
    if (size < BATCH_OVERHEAD)
        return ERROR_TRUNCATED;
    int32_t length = (int32_t)load_be32(at + BATCH_LENGTH_AT);
    if (length < LENGTH_MIN || length > INT32_MAX - BATCH_OVERHEAD)
        return ERROR_CORRUPT_MESSAGE;
    if (size <= BATCH_MAGIC_AT)
        return ERROR_TRUNCATED;
    uint8_t magic = at[BATCH_MAGIC_AT];
    if (magic > 2 || (magic == 2 && length < BATCH_RECORDS_AT - BATCH_OVERHEAD))
        return ERROR_CORRUPT_MESSAGE;
    if (size - BATCH_OVERHEAD < (size_t)length)
        return ERROR_TRUNCATED;
    if (magic < 2)
        return ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT;
    batch_view_header(at, length + BATCH_OVERHEAD, ret_batch);
    return ERROR_NONE;
}

static uint32_t crc_of(const uint8_t *data, size_t size)
{
    return crc32c(0, data + BATCH_ATTRIBUTES_AT, size - BATCH_ATTRIBUTES_AT);
}

enum error batch_check_crc(const struct batch *batch)
{
    return crc_of(batch->whole.data, (size_t)batch->whole.size) == batch->crc
               ? ERROR_NONE
               : ERROR_CORRUPT_MESSAGE;
}

/* The records as they are without compression: borrowed from the batch, or in the arena. */
static enum error plain_records(const struct batch *batch, struct arena *arena,
                                struct bytes *ret_records)
{
    enum codec codec = batch->attributes & BATCH_CODEC_MASK;
    struct bytes stored = {batch->whole.data + BATCH_RECORDS_AT,
                           batch->whole.size - BATCH_RECORDS_AT};
    if (codec == CODEC_NONE) {
        *ret_records = stored;
        return ERROR_NONE;
    }
    if (codec >= CODECS_END)
        return ERROR_UNSUPPORTED_COMPRESSION_TYPE;
    check(arena);
    if (MUTANT(decompress_unbounded))
        arena->budget_bytes = SIZE_MAX;
    size_t left = arena->budget_bytes - arena->used_bytes;
    struct codec_output output = {.arena = arena,
                                  .limit_bytes = left < INT32_MAX ? left : INT32_MAX};
    enum error error = codec_decompress(codec, stored.data, (size_t)stored.size, &output);
    if (error == ERROR_NONE)
        *ret_records = (struct bytes){output.data, (int32_t)output.size};
    return error == ERROR_MALFORMED ? ERROR_INVALID_RECORD : error;
}

enum error batch_iterate(const struct batch *batch, struct arena *arena,
                         struct batch_iterator *ret_iterator)
{
    struct bytes records;
    enum error error = plain_records(batch, arena, &records);
    if (error != ERROR_NONE)
        return error;
    *ret_iterator = (struct batch_iterator){.batch = batch};
    reader_init(&ret_iterator->reader, records.data, (size_t)records.size);
    return ERROR_NONE;
}

/* Bytes with their size in front; -1 is null. */
static struct bytes read_sized(struct reader *reader)
{
    int32_t size = read_varint(reader);
    if (size < 0) {
        if (size < -1)
            reader_fail(reader, ERROR_MALFORMED);
        return BYTES_NULL;
    }
    const uint8_t *data = reader_take(reader, (size_t)size);
    return (struct bytes){data, data ? size : 0};
}

void record_next_header(struct reader *reader, struct record_header *ret_header)
{
    ret_header->key = read_sized(reader);
    if (ret_header->key.size < 0)
        reader_fail(reader, ERROR_MALFORMED);
    ret_header->value = read_sized(reader);
}

/* A varint of one or two bytes; false: look closer. Works on a bare pointer, which the compiler
 * keeps in a register; a reader lies in memory, and a load behind a store per field is what costs.
 */
static inline bool short_varint(const uint8_t **at, const uint8_t *end, int32_t *ret_value)
{
    const uint8_t *p = *at;
    if (end - p < 2)
        return false;
    uint32_t value = p[0];
    size_t size = 1;
    if (value >= 0x80) {
        if (p[1] >= 0x80 || p[1] == 0)
            return false;
        value = (value & 0x7f) | (uint32_t)p[1] << 7;
        size = 2;
    }
    *at = p + size;
    *ret_value = (int32_t)((value >> 1) ^ -(value & 1));
    return true;
}

/* Bytes with such a size in front; false also if they don't end before `end`. */
static inline bool short_sized(const uint8_t **at, const uint8_t *end, struct bytes *ret_bytes)
{
    int32_t size;
    if (!short_varint(at, end, &size) || size < -1 || size >= end - *at)
        return false;
    *ret_bytes = (struct bytes){size < 0 ? NULL : *at, size};
    *at += size > 0 ? size : 0;
    return true;
}

/* A usual record, without headers and with short varints, to the end of [at, end); false: it may be
 * good or bad, and read_record is to tell. */
static bool read_usual_record(const uint8_t *at, const uint8_t *end, const struct batch *batch,
                              struct record *record)
{
    int32_t timestamp_delta, offset_delta;
    if (at == end)
        return false;
    at++; /* attributes */
    if (!short_varint(&at, end, &timestamp_delta) || !short_varint(&at, end, &offset_delta) ||
        !short_sized(&at, end, &record->key) || !short_sized(&at, end, &record->value))
        return false;
    record->offset = (int64_t)((uint64_t)batch->base_offset + (uint64_t)(int64_t)offset_delta);
    record->timestamp =
        batch->attributes & BATCH_APPEND_TIME
            ? batch->max_timestamp
            : (int64_t)((uint64_t)batch->base_timestamp + (uint64_t)(int64_t)timestamp_delta);
    record->headers = (struct bytes){end, 0};
    record->headers_count = 0;
    return end - at == 1 && *at == 0; /* no headers, and nothing behind */
}

/* The body of one record, to the end of the reader, in the terms of its batch. */
static void read_record(struct reader *reader, const struct batch *batch, struct record *record)
{
    reader_take(reader, 1); /* attributes: none is defined */
    int64_t timestamp_delta = read_varlong(reader);
    record->offset = (int64_t)((uint64_t)batch->base_offset + (uint64_t)read_varint(reader));
    record->timestamp =
        batch->attributes & BATCH_APPEND_TIME
            ? batch->max_timestamp /* a sum that may wrap, as Kafka's does */
            : (int64_t)((uint64_t)batch->base_timestamp + (uint64_t)timestamp_delta);
    record->key = read_sized(reader);
    record->value = read_sized(reader);
    record->headers_count = read_varint(reader);
    if (record->headers_count < 0)
        reader_fail(reader, ERROR_MALFORMED);
    record->headers = (struct bytes){reader->next, (int32_t)reader_left(reader)};
    for (int32_t i = 0; i < record->headers_count && reader->error == ERROR_NONE; i++) {
        struct record_header header;
        record_next_header(reader, &header);
    }
    if (reader_left(reader) > 0)
        reader_fail(reader, ERROR_MALFORMED);
}

bool batch_next(struct batch_iterator *iterator, struct record *ret_record)
{
    struct reader *reader = &iterator->reader;
    if (iterator->index >= iterator->batch->count) {
        if (reader_left(reader) > 0)
            reader_fail(reader, ERROR_MALFORMED);
        return false;
    }
    int32_t size = read_varint(reader);
    if (size < 0)
        reader_fail(reader, ERROR_MALFORMED);
    const uint8_t *data = reader_take(reader, size < 0 ? 0 : (size_t)size);
    if (reader->error != ERROR_NONE)
        return false;
    if (!read_usual_record(data, data + size, iterator->batch, ret_record)) {
        struct reader body;
        reader_init(&body, data, (size_t)size);
        read_record(&body, iterator->batch, ret_record);
        if (body.error != ERROR_NONE) {
            reader_fail(reader, body.error);
            return false;
        }
    }
    iterator->index++;
    return true;
}

void batch_assign(void *data, int64_t base_offset, int32_t leader_epoch)
{
    uint8_t *at = data;
    store_be64(at, (uint64_t)base_offset);
    store_be32(at + BATCH_LEADER_EPOCH_AT, (uint32_t)leader_epoch);
}

void batch_stamp(void *data, size_t size, bool append_time, int64_t max_timestamp)
{
    check(size >= BATCH_RECORDS_AT);
    uint8_t *at = data;
    uint16_t attributes = load_be16(at + BATCH_ATTRIBUTES_AT);
    bool was = attributes & BATCH_APPEND_TIME;
    if (was == append_time && (int64_t)load_be64(at + BATCH_MAX_TIMESTAMP_AT) == max_timestamp)
        return;
    attributes &= BATCH_CODEC_MASK | BATCH_TRANSACTIONAL | BATCH_CONTROL | BATCH_DELETE_HORIZON;
    attributes |= append_time ? BATCH_APPEND_TIME : 0;
    store_be16(at + BATCH_ATTRIBUTES_AT, attributes);
    store_be64(at + BATCH_MAX_TIMESTAMP_AT, (uint64_t)max_timestamp);
    store_be32(at + BATCH_CRC_AT, crc_of(at, size));
}

enum error batch_recode(const struct batch *batch, enum codec codec, int level, struct arena *arena,
                        struct bytes *ret_batch)
{
    struct bytes records;
    enum error error = plain_records(batch, arena, &records);
    if (error != ERROR_NONE)
        return error;
    size_t left = arena->budget_bytes - arena->used_bytes;
    struct codec_output output = {.arena = arena, .limit_bytes = left};
    error = codec_compress(codec, level, records.data, (size_t)records.size, &output);
    if (error != ERROR_NONE)
        return error;
    size_t size = BATCH_RECORDS_AT + output.size;
    uint8_t *data = size <= INT32_MAX ? arena_take(arena, size) : NULL;
    if (!data)
        return ERROR_NO_MEMORY;
    memcpy(data, batch->whole.data, BATCH_RECORDS_AT);
    memcpy(data + BATCH_RECORDS_AT, output.data, output.size);
    store_be32(data + BATCH_LENGTH_AT, (uint32_t)(size - BATCH_OVERHEAD));
    store_be16(data + BATCH_ATTRIBUTES_AT,
               (uint16_t)((batch->attributes & ~BATCH_CODEC_MASK) | (int)codec));
    store_be32(data + BATCH_CRC_AT, crc_of(data, size));
    *ret_batch = (struct bytes){data, (int32_t)size};
    return ERROR_NONE;
}
