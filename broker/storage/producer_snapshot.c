#include "storage/producer_snapshot.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/reader.h"
#include "base/writer.h"
#include "codec/crc32c.h"

enum { VERSION = 1, CRC_AT = 2, ENTRIES_AT = 6 };

static void write_entry(struct writer *writer, const struct producer *producer,
                        struct producer_batch batch)
{
    write_i64(writer, producer->id);
    write_i16(writer, producer->epoch);
    write_i32(writer, batch.last_sequence);
    write_i64(writer, batch.last_offset);
    write_i32(writer, batch.offset_delta);
    write_i64(writer, batch.timestamp_ms);
    write_i32(writer, producer->coordinator_epoch);
    write_i64(writer, producer_txn_first_offset(producer));
}

/* Entries of one producer: of each batch, and one more for what none of them says: no batch at
 * all, or a marker's time. */
static int32_t write_producer(struct writer *writer, const struct producer *producer)
{
    int32_t count = producer->count;
    struct producer_batch newest = {.last_offset = -1, .last_sequence = -1};
    for (int32_t back = producer->count - 1; back >= 0; back--) {
        newest = *producer_batch(producer, back);
        write_entry(writer, producer, newest);
    }
    if (count > 0 && newest.timestamp_ms == producer->last_timestamp_ms)
        return count;
    newest.timestamp_ms = producer->last_timestamp_ms;
    write_entry(writer, producer, newest);
    return count + 1;
}

struct bytes producer_snapshot_encode(const struct producers *producers)
{
    size_t capacity = PRODUCER_SNAPSHOT_HEADER + (size_t)producers->by_id.count *
                                                     (PRODUCER_BATCHES + 1) *
                                                     PRODUCER_SNAPSHOT_ENTRY;
    uint8_t *data = memory_aligned(16, capacity);
    struct writer writer;
    writer_init(&writer, data, capacity);
    write_i16(&writer, VERSION);
    write_i32(&writer, 0);
    write_i32(&writer, 0);
    int32_t count = 0;
    for (const struct producer *producer = NULL; (producer = producers_next(producers, producer));)
        count += write_producer(&writer, producer);
    check(writer.error == ERROR_NONE);
    store_be32(data + ENTRIES_AT, (uint32_t)count);
    store_be32(data + CRC_AT, crc32c(0, data + ENTRIES_AT, writer.size - ENTRIES_AT));
    return (struct bytes){data, (int32_t)writer.size};
}

enum error producer_snapshot_check(struct bytes file)
{
    if (file.size < 2)
        return ERROR_MALFORMED;
    if (load_be16(file.data) != VERSION)
        return ERROR_NEWER_VERSION;
    if (file.size < PRODUCER_SNAPSHOT_HEADER)
        return ERROR_MALFORMED;
    if (crc32c(0, file.data + ENTRIES_AT, (size_t)file.size - ENTRIES_AT) !=
        load_be32(file.data + CRC_AT))
        return ERROR_CHECKSUM;
    int64_t count = (int32_t)load_be32(file.data + ENTRIES_AT);
    return PRODUCER_SNAPSHOT_HEADER + count * PRODUCER_SNAPSHOT_ENTRY == file.size
               ? ERROR_NONE
               : ERROR_MALFORMED;
}

bool producer_snapshot_next(struct bytes file, int32_t *at, struct producer_image *ret_image)
{
    if (*at == 0)
        *at = PRODUCER_SNAPSHOT_HEADER;
    if (file.size - *at < PRODUCER_SNAPSHOT_ENTRY)
        return false;
    struct reader reader;
    reader_init(&reader, file.data + *at, PRODUCER_SNAPSHOT_ENTRY);
    ret_image->id = read_i64(&reader);
    ret_image->epoch = read_i16(&reader);
    ret_image->last_sequence = read_i32(&reader);
    ret_image->last_offset = read_i64(&reader);
    ret_image->offset_delta = read_i32(&reader);
    ret_image->timestamp_ms = read_i64(&reader);
    ret_image->coordinator_epoch = read_i32(&reader);
    ret_image->txn_first_offset = read_i64(&reader);
    *at += PRODUCER_SNAPSHOT_ENTRY;
    return true;
}

enum error producer_snapshot_decode(struct bytes file, int64_t end_offset,
                                    struct producers *producers)
{
    enum error error = producer_snapshot_check(file);
    if (error)
        return error;
    struct producer_image image;
    for (int32_t at = 0; producer_snapshot_next(file, &at, &image);) {
        if (image.last_offset >= end_offset || image.txn_first_offset >= end_offset ||
            !producers_restore(producers, &image))
            return ERROR_MALFORMED;
    }
    return ERROR_NONE;
}
