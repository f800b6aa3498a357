#include "protocol/batch_filter.h"
#include "base/check.h"
#include "codec/crc32c.h"

/* Records as they lie in a batch that is not compressed. */
struct plain {
    const uint8_t *records; /* of the original */
    uint8_t *copy;          /* of those that are kept; null as long as all are */
    size_t size;            /* bytes kept so far */
    int32_t count;
    int64_t base_timestamp, max_timestamp;
    bool has_tombstone, new_horizon;
};

/* From the first record that goes on, those that stay are copied. */
static enum error begin_copy(struct plain *plain, size_t most, struct arena *arena)
{
    if (plain->copy)
        return ERROR_NONE;
    plain->copy = arena_take(arena, most ? most : 1);
    if (!plain->copy)
        return ERROR_NO_MEMORY;
    memcpy(plain->copy, plain->records, plain->size);
    return ERROR_NONE;
}

static enum error choose_records(const struct batch *batch, const struct batch_filter *filter,
                                 struct arena *arena, struct plain *plain)
{
    struct batch_iterator iterator;
    enum error error = batch_iterate(batch, arena, &iterator);
    if (error)
        return error;
    size_t most = reader_left(&iterator.reader);
    *plain = (struct plain){.records = iterator.reader.next, .max_timestamp = INT64_MIN};
    struct record record;
    const uint8_t *begin = iterator.reader.next;
    while (!error && batch_next(&iterator, &record)) {
        size_t size = (size_t)(iterator.reader.next - begin);
        if (!filter->keep(filter->context, batch, &record)) {
            error = begin_copy(plain, most, arena);
        } else {
            if (plain->copy)
                memcpy(plain->copy + plain->size, begin, size);
            plain->size += size;
            plain->count++;
            plain->has_tombstone |= record.value.size < 0;
            if (record.timestamp > plain->max_timestamp)
                plain->max_timestamp = record.timestamp;
        }
        begin = iterator.reader.next;
    }
    return error ? error : iterator.reader.error;
}

/* Another base timestamp: every record's delta is written anew, all else is copied. */
static enum error rebase(struct plain *plain, int64_t to, struct arena *arena)
{
    enum { GROWTH_MOST = 9 + 4 }; /* of a delta and of the length before it */
    size_t capacity = plain->size + (size_t)plain->count * GROWTH_MOST;
    uint8_t *memory = arena_take(arena, capacity ? capacity : 1);
    if (!memory)
        return ERROR_NO_MEMORY;
    struct reader reader;
    struct writer writer;
    reader_init(&reader, plain->copy ? plain->copy : plain->records, plain->size);
    writer_init(&writer, memory, capacity);
    for (int32_t i = 0; i < plain->count; i++) {
        int32_t size = read_varint(&reader);
        struct reader body;
        reader_init(&body, reader_take(&reader, (size_t)size), (size_t)size);
        int8_t attributes = (int8_t)*reader_take(&body, 1);
        uint64_t timestamp = (uint64_t)plain->base_timestamp + (uint64_t)read_varlong(&body);
        int64_t delta = (int64_t)(timestamp - (uint64_t)to);
        size_t rest = reader_left(&body);
        write_varint(&writer, (int32_t)(1 + (size_t)varlong_size(delta) + rest));
        write_i8(&writer, attributes);
        write_varlong(&writer, delta);
        write_raw(&writer, body.next, rest);
    }
    check(reader.error == ERROR_NONE && writer.error == ERROR_NONE);
    plain->copy = memory;
    plain->size = writer.size;
    plain->base_timestamp = to;
    return ERROR_NONE;
}

/* Header and records, compressed as the batch was. */
static enum error assemble(const struct batch *batch, const struct plain *plain,
                           struct arena *arena, struct bytes *ret)
{
    uint16_t attributes = batch->attributes;
    struct bytes records = {plain->copy ? plain->copy : plain->records, (int32_t)plain->size};
    enum codec codec = attributes & BATCH_CODEC_MASK;
    if (codec != CODEC_NONE && plain->count > 0) {
        struct codec_output output = {.arena = arena, .limit_bytes = INT32_MAX};
        enum error error = codec_compress(codec, codec_usual_level(codec), records.data,
                                          (size_t)records.size, &output);
        if (error)
            return error;
        records = (struct bytes){output.data, (int32_t)output.size};
    }
    size_t size = BATCH_RECORDS_AT + (size_t)records.size;
    uint8_t *data = arena_take(arena, size);
    if (!data)
        return ERROR_NO_MEMORY;
    memcpy(data, batch->whole.data, BATCH_RECORDS_AT);
    if (records.size > 0)
        memcpy(data + BATCH_RECORDS_AT, records.data, (size_t)records.size);
    int64_t max_timestamp = batch->max_timestamp, base_timestamp = plain->base_timestamp;
    if (plain->count == 0) {
        attributes &= (uint16_t) ~(BATCH_CODEC_MASK | BATCH_DELETE_HORIZON);
        base_timestamp = max_timestamp;
    } else {
        if (plain->new_horizon)
            attributes |= BATCH_DELETE_HORIZON;
        if (!(attributes & BATCH_APPEND_TIME))
            max_timestamp = plain->max_timestamp;
    }
    store_be32(data + BATCH_LENGTH_AT, (uint32_t)(size - BATCH_OVERHEAD));
    store_be16(data + BATCH_ATTRIBUTES_AT, attributes);
    store_be64(data + BATCH_BASE_TIMESTAMP_AT, (uint64_t)base_timestamp);
    store_be64(data + BATCH_MAX_TIMESTAMP_AT, (uint64_t)max_timestamp);
    store_be32(data + BATCH_COUNT_AT, (uint32_t)plain->count);
    store_be32(data + BATCH_CRC_AT,
               crc32c(0, data + BATCH_ATTRIBUTES_AT, size - BATCH_ATTRIBUTES_AT));
    *ret = (struct bytes){data, (int32_t)size};
    return ERROR_NONE;
}

enum error batch_filter(const struct batch *batch, const struct batch_filter *filter,
                        struct arena *arena, struct batch_filtered *ret)
{
    struct plain plain;
    enum error error = choose_records(batch, filter, arena, &plain);
    if (error)
        return error;
    plain.base_timestamp = batch->base_timestamp;
    plain.new_horizon = filter->horizon_ms >= 0 && plain.count > 0 && batch_horizon_ms(batch) < 0 &&
                        (plain.has_tombstone || filter->set_horizon);
    *ret = (struct batch_filtered){.kept_count = plain.count};
    if (plain.count == 0 && !filter->keep_header) {
        ret->changed = true;
        return ERROR_NONE;
    }
    if (plain.count == batch->count && !plain.new_horizon) {
        ret->batch = batch->whole;
        return ERROR_NONE;
    }
    ret->changed = true;
    if (plain.new_horizon)
        error = rebase(&plain, filter->horizon_ms, arena);
    return error ? error : assemble(batch, &plain, arena, &ret->batch);
}
