/* Record batches: one byte of choices, one of the codec, then a batch as a client could send it.
 * Two choices help the search past the checksum and the compression: the length and CRC are put
 * right, or the records are compressed first.
 *  1. Validation and iteration stay within the arena's budget, whatever the batch expands to.
 *  2. What a leader accepted can be read by a consumer: exactly `count` records, offsets dense from
 *     0, every header within its record.
 *  3. Compressed anew with any codec it has the same records. */
#include "fuzz/fuzz.h"
#include "codec/crc32c.h"
#include "protocol/batch.h"

enum { BUDGET_BYTES = 1 << 20, RECORDS_MOST = 1 << 16 };
enum { PUTS_RIGHT = 1, COMPRESSES = 2, KEYS = 4, APPEND_TIME = 8, OLD_VERSION = 16, SMALL = 32 };

/* A copy of the input, compressed and sealed as `choices` say. Size 0: it does not fit. */
static struct bytes prepare(struct bytes from, uint8_t choices, enum codec codec,
                            struct arena *arena)
{
    struct codec_output output = {.arena = arena, .limit_bytes = BUDGET_BYTES};
    bool has_header = from.size >= BATCH_RECORDS_AT;
    size_t header = has_header ? BATCH_RECORDS_AT : (size_t)from.size;
    struct bytes records = {from.data + header, from.size - (int32_t)header};
    if (has_header && (choices & COMPRESSES)) {
        if (codec_compress(codec, codec_usual_level(codec), records.data, (size_t)records.size,
                           &output) != ERROR_NONE)
            return (struct bytes){0};
        records = (struct bytes){output.data, (int32_t)output.size};
    }
    size_t size = header + (size_t)records.size;
    uint8_t *copy = arena_take(arena, size);
    if (!copy || size == 0)
        return (struct bytes){0};
    memcpy(copy, from.data, header);
    if (records.size > 0)
        memcpy(copy + header, records.data, (size_t)records.size);
    if (has_header && (choices & COMPRESSES))
        copy[BATCH_ATTRIBUTES_AT + 1] =
            (uint8_t)((copy[BATCH_ATTRIBUTES_AT + 1] & ~BATCH_CODEC_MASK) | codec);
    if (has_header && (choices & PUTS_RIGHT)) {
        store_be32(copy + BATCH_LENGTH_AT, (uint32_t)size - BATCH_OVERHEAD);
        copy[BATCH_MAGIC_AT] = 2;
        store_be32(copy + BATCH_CRC_AT,
                   crc32c(0, copy + BATCH_ATTRIBUTES_AT, size - BATCH_ATTRIBUTES_AT));
    }
    return (struct bytes){copy, (int32_t)size};
}

static void check_headers(const struct record *record)
{
    struct reader reader;
    reader_init(&reader, record->headers.data, (size_t)record->headers.size);
    for (int32_t i = 0; i < record->headers_count; i++) {
        struct record_header header;
        record_next_header(&reader, &header);
        check(reader.error == ERROR_NONE && header.key.size >= 0);
    }
    check(reader_left(&reader) == 0);
}

/* Walks the records. Returns how many; *ret_crc is the CRC of keys and values, in order. */
static int32_t walk(const struct batch *batch, struct arena *arena, bool accepted,
                    uint32_t *ret_crc)
{
    struct batch_iterator iterator;
    struct record record;
    int32_t count = 0;
    *ret_crc = 0;
    enum error error = batch_iterate(batch, arena, &iterator);
    check(!accepted || error == ERROR_NONE || error == ERROR_NO_MEMORY);
    if (error != ERROR_NONE)
        return -1;
    while (count < RECORDS_MOST && batch_next(&iterator, &record)) {
        check(!accepted || record.offset == batch->base_offset + count);
        if (accepted)
            check_headers(&record);
        if (record.key.size > 0)
            *ret_crc = crc32c(*ret_crc, record.key.data, (size_t)record.key.size);
        if (record.value.size > 0)
            *ret_crc = crc32c(*ret_crc, record.value.data, (size_t)record.value.size);
        count++;
    }
    check(!accepted || iterator.reader.error == ERROR_NONE);
    return count;
}

static void check_accepted(const struct batch_report *report)
{
    struct arena arena;
    uint32_t crc, crc_again;
    arena_init(&arena, 4 * BUDGET_BYTES);
    int32_t count = walk(&report->batch, &arena, true, &crc);
    check(count == report->batch.count);
    for (enum codec codec = CODEC_NONE; codec < CODECS_END; codec++) {
        struct bytes again;
        struct batch batch;
        arena_reset(&arena, BUDGET_BYTES);
        if (batch_recode(&report->batch, codec, codec_usual_level(codec), &arena, &again) !=
            ERROR_NONE)
            continue;
        check(batch_view(again.data, (size_t)again.size, &batch) == ERROR_NONE);
        check(batch.whole.size == again.size && batch_check_crc(&batch) == ERROR_NONE);
        int32_t count_again = walk(&batch, &arena, true, &crc_again);
        check(count_again < 0 || (count_again == count && crc_again == crc));
    }
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    uint8_t choices = input_u8(&input);
    enum codec codec = input_u8(&input) % CODECS_END;
    struct batch_rules rules = {.now_ms = 1700000000000,
                                .before_max_ms = INT64_MAX,
                                .after_max_ms = 3600000,
                                .size_max_bytes = choices & SMALL ? 256 : 65536,
                                .segment_max_bytes = 65536,
                                .record_max_bytes = choices & SMALL ? 64 : 65536,
                                .produce_version = choices & OLD_VERSION ? 3 : 13,
                                .append_time = choices & APPEND_TIME,
                                .keys_required = choices & KEYS};
    struct arena own, arena;
    arena_init(&own, 4 * BUDGET_BYTES);
    arena_init(&arena, BUDGET_BYTES);
    struct bytes bytes = prepare(input_rest(&input), choices, codec, &own);
    struct batch_report report;
    enum error error = batch_validate(bytes, &rules, &arena, &report);
    check(arena.used_bytes <= BUDGET_BYTES);
    check((error == ERROR_NONE) == (report.text == NULL) || error == ERROR_NO_MEMORY);
    check(report.records_count >= 0 && report.records_count <= BATCH_RECORD_ERRORS_MAX);
    if (error == ERROR_NONE) {
        check(report.batch.whole.size == bytes.size);
        batch_assign((uint8_t *)(uintptr_t)bytes.data, 0, 7);
        batch_stamp((uint8_t *)(uintptr_t)bytes.data, (size_t)bytes.size, rules.append_time,
                    report.max_timestamp);
        check(batch_view(bytes.data, (size_t)bytes.size, &report.batch) == ERROR_NONE);
        check(batch_check_crc(&report.batch) == ERROR_NONE);
        check_accepted(&report);
    }
    struct batch batch;
    arena_reset(&arena, 0);
    while (bytes.size > 0 && batch_view(bytes.data, (size_t)bytes.size, &batch) == ERROR_NONE) {
        uint32_t crc; /* as a consumer reads what some broker sent */
        walk(&batch, &arena, false, &crc);
        check(arena.used_bytes <= BUDGET_BYTES);
        arena_reset(&arena, 0);
        bytes.data += batch.whole.size;
        bytes.size -= batch.whole.size;
    }
    arena_done(&arena);
    arena_done(&own);
    return 0;
}
