/* A snapshot of producers: one byte says whether its CRC is made right, two how far the log goes,
 * the rest is the file behind version and CRC. What is taken of it is written the same way again,
 * and taken again; its offsets lie below the end. The same bytes as an index of transactions. */
#include "storage/producer_snapshot.h"
#include "base/memory.h"
#include "codec/crc32c.h"
#include "fuzz/fuzz.h"
#include "storage/txn_index.h"

enum { HEADER = 6, SIZE_MAX_BYTES = 1 << 16 };

static struct bytes again(struct bytes file, int64_t end_offset)
{
    struct producers producers;
    producers_init(&producers, 1, 0);
    check(producer_snapshot_decode(file, end_offset, &producers) == ERROR_NONE);
    struct bytes bytes = producer_snapshot_encode(&producers);
    for (const struct producer *producer = NULL;
         (producer = producers_next(&producers, producer));) {
        check(producer->id >= 0 && producer->count <= PRODUCER_BATCHES);
        check(producer_txn_first_offset(producer) < end_offset);
        for (int i = 0; i < producer->count; i++) {
            const struct producer_batch *batch = producer_batch(producer, i);
            check(batch->last_offset >= batch->offset_delta && batch->last_offset < end_offset);
        }
    }
    check(producers_last_stable(&producers, end_offset) <= end_offset);
    producers_done(&producers);
    return bytes;
}

static void try_snapshot(struct bytes file, int64_t end_offset)
{
    struct producers producers;
    producers_init(&producers, 1, 0);
    enum error error = producer_snapshot_decode(file, end_offset, &producers);
    producers_done(&producers);
    check(error == ERROR_NONE || error == ERROR_CHECKSUM || error == ERROR_MALFORMED ||
          error == ERROR_NEWER_VERSION);
    if (error)
        return;
    struct bytes once = again(file, end_offset), twice = again(once, end_offset);
    check(once.size == twice.size && memcmp(once.data, twice.data, (size_t)once.size) == 0);
    memory_free((void *)(uintptr_t)once.data);
    memory_free((void *)(uintptr_t)twice.data);
}

static void try_index(struct bytes file, int64_t base_offset)
{
    struct aborted_txn_entry entry;
    uint8_t bytes[TXN_INDEX_ENTRY];
    for (int32_t i = 0; txn_index_decode(file, i, base_offset, &entry); i++) {
        check(entry.first_offset <= entry.last_offset && entry.last_offset >= base_offset);
        txn_index_encode(&entry, bytes);
        check(memcmp(bytes, file.data + (size_t)i * TXN_INDEX_ENTRY, sizeof bytes) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    bool makes_crc = input_u8(&input) & 1;
    int64_t end_offset = input_u16(&input);
    struct bytes rest = input_rest(&input);
    if (rest.size > SIZE_MAX_BYTES)
        return 0;
    uint8_t *bytes = memory_zeroed((size_t)rest.size + HEADER);
    struct bytes file = {bytes, rest.size + HEADER};
    if (rest.size > 0)
        memcpy(bytes + HEADER, rest.data, (size_t)rest.size);
    store_be16(bytes, 1);
    if (makes_crc)
        store_be32(bytes + 2, crc32c(0, bytes + HEADER, (size_t)rest.size));
    try_snapshot(file, end_offset);
    try_index(rest, end_offset / 2);
    memory_free(bytes);
    return 0;
}
