#include "base/memory.h"
#include "base/random.h"
#include "codec/crc32c.h"
#include "protocol/batch.h"
#include "support/test.h"

enum { NOW = 1700000000 };

static const struct batch_rules rules = {
    .now_ms = NOW,
    .before_max_ms = INT64_MAX,
    .after_max_ms = 3600000,
    .size_max_bytes = 1 << 20,
    .segment_max_bytes = INT32_MAX,
    .record_max_bytes = INT32_MAX,
    .produce_version = 13,
};

static struct bytes text(const char *string)
{
    return (struct bytes){(const uint8_t *)string, (int32_t)strlen(string)};
}

/* Three records, dated NOW, NOW + 5 and NOW + 3; the second has a null value and two headers. */
static struct batch_builder build(uint8_t *memory, size_t capacity)
{
    struct batch_builder builder;
    uint8_t headers[64];
    struct writer writer;
    writer_init(&writer, headers, sizeof headers);
    record_write_header(&writer, &(struct record_header){text("h"), BYTES_NULL});
    record_write_header(&writer, &(struct record_header){text(""), text("value")});
    struct record records[] = {
        {.timestamp = NOW, .key = text("k0"), .value = text("v0")},
        {.timestamp = NOW + 5,
         .key = text("k1"),
         .value = BYTES_NULL,
         .headers = {headers, (int32_t)writer.size},
         .headers_count = 2},
        {.timestamp = NOW + 3, .key = BYTES_NULL, .value = text("")},
    };
    batch_builder_init(&builder, memory, capacity);
    for (int i = 0; i < 3; i++)
        EQ(batch_builder_add(&builder, &records[i]), ERROR_NONE);
    batch_builder_end(&builder, &BATCH_FIELDS_PLAIN);
    return builder;
}

static enum error validate(const void *data, size_t size, const struct batch_rules *with,
                           struct batch_report *report)
{
    return batch_validate((struct bytes){data, (int32_t)size}, with, NULL, report);
}

static void redo_crc(uint8_t *data, size_t size)
{
    store_be32(data + BATCH_CRC_AT,
               crc32c(0, data + BATCH_ATTRIBUTES_AT, size - BATCH_ATTRIBUTES_AT));
}

TEST(batch, reads_what_was_built)
{
    uint8_t memory[512];
    struct batch_builder built = build(memory, sizeof memory);
    struct batch batch;
    struct batch_iterator iterator;
    struct record record;
    EQ(batch_view(built.data, built.size_bytes, &batch), ERROR_NONE);
    EQ(batch.whole.size, built.size_bytes);
    EQ(batch.count, 3);
    EQ(batch.base_timestamp, NOW);
    EQ(batch.max_timestamp, NOW + 5);
    EQ(batch_check_crc(&batch), ERROR_NONE);
    EQ(batch_iterate(&batch, NULL, &iterator), ERROR_NONE);
    TRUE_(batch_next(&iterator, &record));
    TRUE_(bytes_equal(record.key, text("k0")) && bytes_equal(record.value, text("v0")));
    TRUE_(batch_next(&iterator, &record));
    EQ(record.offset, 1);
    EQ(record.timestamp, NOW + 5);
    EQ(record.value.size, -1);
    EQ(record.headers_count, 2);
    struct reader reader;
    struct record_header header;
    reader_init(&reader, record.headers.data, (size_t)record.headers.size);
    record_next_header(&reader, &header);
    TRUE_(bytes_equal(header.key, text("h")) && header.value.size == -1);
    record_next_header(&reader, &header);
    TRUE_(header.key.size == 0 && bytes_equal(header.value, text("value")));
    TRUE_(batch_next(&iterator, &record));
    EQ(record.key.size, -1);
    EQ(record.value.size, 0);
    TRUE_(!batch_next(&iterator, &record));
    EQ(iterator.reader.error, ERROR_NONE);
}

TEST(batch, a_good_one_is_accepted)
{
    uint8_t memory[512];
    struct batch_builder built = build(memory, sizeof memory);
    struct batch_report report;
    EQ(validate(built.data, built.size_bytes, &rules, &report), ERROR_NONE);
    EQ(report.max_timestamp, NOW + 5);
    TRUE_(report.text == NULL);
}

TEST(batch, every_cut_is_refused)
{
    uint8_t memory[512];
    struct batch_builder built = build(memory, sizeof memory);
    struct batch_report report;
    for (size_t size = 0; size < built.size_bytes; size++)
        EQ(validate(built.data, size, &rules, &report), ERROR_INVALID_RECORD);
}

TEST(batch, every_flipped_bit_under_the_crc_is_refused)
{
    uint8_t memory[512];
    struct batch_builder built = build(memory, sizeof memory);
    struct batch_report report;
    for (size_t i = BATCH_CRC_AT * 8; i < built.size_bytes * 8; i++) {
        memory[i / 8] ^= (uint8_t)(1u << (i % 8));
        EQ(validate(built.data, built.size_bytes, &rules, &report), ERROR_CORRUPT_MESSAGE);
        memory[i / 8] ^= (uint8_t)(1u << (i % 8));
    }
}

TEST(batch, a_header_that_lies_is_refused)
{
    static const struct {
        int at, size;
        int64_t value;
        enum error want;
    } cases[] = {
        {BATCH_COUNT_AT, 4, 2, ERROR_INVALID_RECORD},
        {BATCH_COUNT_AT, 4, INT32_MAX, ERROR_INVALID_RECORD},
        {BATCH_COUNT_AT, 4, -1, ERROR_INVALID_RECORD},
        {BATCH_LAST_OFFSET_DELTA_AT, 4, 1, ERROR_INVALID_RECORD},
        {BATCH_LAST_OFFSET_DELTA_AT, 4, -1, ERROR_INVALID_RECORD},
        {BATCH_PRODUCER_ID_AT, 8, 7, ERROR_INVALID_RECORD}, /* without a sequence */
        {BATCH_ATTRIBUTES_AT, 2, BATCH_CONTROL, ERROR_INVALID_RECORD},
        {BATCH_ATTRIBUTES_AT, 2, 5, ERROR_INVALID_RECORD}, /* no such codec */
        {BATCH_BASE_TIMESTAMP_AT, 8, INT64_MAX - 9, ERROR_INVALID_TIMESTAMP},
        {BATCH_LENGTH_AT, 4, -1, ERROR_CORRUPT_MESSAGE},
        {BATCH_LENGTH_AT, 4, 48, ERROR_CORRUPT_MESSAGE},
        {BATCH_LENGTH_AT, 4, INT32_MAX, ERROR_CORRUPT_MESSAGE},
        {0, 8, 5, ERROR_INVALID_RECORD}, /* base offset */
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        uint8_t memory[512];
        struct batch_builder built = build(memory, sizeof memory);
        struct batch_report report;
        uint8_t big[8];
        store_be64(big, (uint64_t)cases[i].value);
        memcpy(memory + cases[i].at, big + 8 - cases[i].size, (size_t)cases[i].size);
        redo_crc(built.data, built.size_bytes);
        EQ(validate(built.data, built.size_bytes, &rules, &report), cases[i].want);
        TRUE_(report.text != NULL);
    }
}

TEST(batch, message_sets_are_told_apart)
{
    uint8_t memory[512];
    struct batch_builder built = build(memory, sizeof memory);
    struct batch_report report;
    for (uint8_t magic = 0; magic < 2; magic++) {
        memory[BATCH_MAGIC_AT] = magic;
        EQ(validate(built.data, built.size_bytes, &rules, &report),
           ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT);
    }
    memory[BATCH_MAGIC_AT] = 3;
    EQ(validate(built.data, built.size_bytes, &rules, &report), ERROR_CORRUPT_MESSAGE);
}

TEST(batch, names_the_records_that_are_wrong)
{
    uint8_t memory[512];
    struct batch_builder built = build(memory, sizeof memory);
    struct batch_report report;
    struct batch_rules with = rules;
    with.keys_required = true;
    EQ(validate(built.data, built.size_bytes, &with, &report), ERROR_INVALID_RECORD);
    EQ(report.records_count, 1);
    EQ(report.record_errors[0], 2);
    with = rules;
    with.after_max_ms = 4;
    EQ(validate(built.data, built.size_bytes, &with, &report), ERROR_INVALID_TIMESTAMP);
    EQ(report.records_count, 1);
    EQ(report.record_errors[0], 1);
}

TEST(batch, limits_are_kept)
{
    uint8_t memory[512];
    struct batch_builder built = build(memory, sizeof memory);
    struct batch_report report;
    struct batch_rules with = rules;
    with.size_max_bytes = (int32_t)built.size_bytes;
    EQ(validate(built.data, built.size_bytes, &with, &report), ERROR_NONE);
    with.size_max_bytes--;
    EQ(validate(built.data, built.size_bytes, &with, &report), ERROR_MESSAGE_TOO_LARGE);
}

TEST(batch, two_in_one_are_refused)
{
    uint8_t memory[512];
    struct batch_builder built = build(memory, sizeof memory / 2);
    struct batch_report report;
    memcpy(memory + built.size_bytes, memory, built.size_bytes);
    EQ(validate(memory, 2 * built.size_bytes, &rules, &report), ERROR_INVALID_RECORD);
    EQ(validate(memory, built.size_bytes + 5, &rules, &report), ERROR_INVALID_RECORD);
}

TEST(batch, assigning_leaves_the_crc_right)
{
    uint8_t memory[512];
    struct batch_builder built = build(memory, sizeof memory);
    struct batch batch;
    batch_assign(built.data, 1000, 7);
    EQ(batch_view(built.data, built.size_bytes, &batch), ERROR_NONE);
    EQ(batch_check_crc(&batch), ERROR_NONE);
    EQ(batch.base_offset, 1000);
    EQ(batch.leader_epoch, 7);
    EQ(batch_last_offset(&batch), 1002);
}

TEST(batch, stamping_redoes_the_crc)
{
    uint8_t memory[512];
    struct batch_builder built = build(memory, sizeof memory);
    struct batch batch;
    struct batch_iterator iterator;
    struct record record;
    batch_stamp(built.data, built.size_bytes, true, NOW + 99);
    EQ(batch_view(built.data, built.size_bytes, &batch), ERROR_NONE);
    EQ(batch_check_crc(&batch), ERROR_NONE);
    EQ(batch_iterate(&batch, NULL, &iterator), ERROR_NONE);
    while (batch_next(&iterator, &record))
        EQ(record.timestamp, NOW + 99);
    EQ(iterator.index, 3);
}

TEST(batch, a_full_builder_says_so_and_stays_good)
{
    uint8_t memory[BATCH_RECORDS_AT + 20];
    struct batch_builder builder;
    struct record record = {.timestamp = NOW, .key = BYTES_NULL, .value = text("0123456789")};
    struct batch_report report;
    batch_builder_init(&builder, memory, sizeof memory);
    EQ(batch_builder_add(&builder, &record), ERROR_NONE);
    EQ(batch_builder_add(&builder, &record), ERROR_NO_MEMORY);
    batch_builder_end(&builder, &BATCH_FIELDS_PLAIN);
    EQ(validate(builder.data, builder.size_bytes, &rules, &report), ERROR_NONE);
}

TEST(batch, every_codec_is_validated_inside)
{
    uint8_t memory[512];
    struct batch_builder built = build(memory, sizeof memory);
    struct batch batch;
    EQ(batch_view(built.data, built.size_bytes, &batch), ERROR_NONE);
    for (int codec = CODEC_GZIP; codec < CODECS_END; codec++) {
        struct arena arena;
        struct bytes packed, plain;
        struct batch_report report;
        struct batch_iterator iterator;
        struct record record;
        arena_init(&arena, 1 << 20);
        EQ(batch_recode(&batch, (enum codec)codec, codec_usual_level((enum codec)codec), &arena,
                        &packed),
           ERROR_NONE);
        EQ(batch_validate(packed, &rules, &arena, &report), ERROR_NONE);
        EQ(report.max_timestamp, NOW + 5);
        EQ(report.batch.attributes & BATCH_CODEC_MASK, codec);
        EQ(batch_iterate(&report.batch, &arena, &iterator), ERROR_NONE);
        for (int i = 0; i < 3; i++) {
            TRUE_(batch_next(&iterator, &record));
            EQ(record.offset, i);
        }
        EQ(batch_recode(&report.batch, CODEC_NONE, codec_usual_level(CODEC_NONE), &arena, &plain),
           ERROR_NONE);
        EQ(plain.size, built.size_bytes);
        EQ_BYTES(plain.data, built.data, built.size_bytes);
        arena_done(&arena);
    }
}

TEST(batch, a_compressed_count_that_lies_is_refused)
{
    uint8_t memory[512];
    struct batch_builder built = build(memory, sizeof memory);
    struct batch batch;
    EQ(batch_view(built.data, built.size_bytes, &batch), ERROR_NONE);
    for (int32_t count = 2; count <= 4; count += 2) {
        struct arena arena;
        struct bytes packed;
        struct batch_report report;
        uint8_t copy[512];
        arena_init(&arena, 1 << 20);
        EQ(batch_recode(&batch, CODEC_LZ4, codec_usual_level(CODEC_LZ4), &arena, &packed),
           ERROR_NONE);
        memcpy(copy, packed.data, (size_t)packed.size);
        store_be32(copy + BATCH_COUNT_AT, (uint32_t)count);
        store_be32(copy + BATCH_LAST_OFFSET_DELTA_AT, (uint32_t)count - 1);
        redo_crc(copy, (size_t)packed.size);
        EQ(batch_validate((struct bytes){copy, packed.size}, &rules, &arena, &report),
           ERROR_INVALID_RECORD);
        arena_done(&arena);
    }
}

TEST(batch, a_bomb_meets_the_budget)
{
    size_t size = 4 << 20;
    uint8_t *memory = memory_zeroed(size + 100), *value = memory_zeroed(size);
    struct batch_builder builder;
    struct record record = {.timestamp = NOW, .key = BYTES_NULL, .value = {value, (int32_t)size}};
    struct batch batch;
    batch_builder_init(&builder, memory, size + 100);
    EQ(batch_builder_add(&builder, &record), ERROR_NONE);
    batch_builder_end(&builder, &BATCH_FIELDS_PLAIN);
    EQ(batch_view(builder.data, builder.size_bytes, &batch), ERROR_NONE);
    for (int codec = CODEC_GZIP; codec < CODECS_END; codec++) {
        struct arena roomy, tight;
        struct bytes packed;
        struct batch_report report;
        arena_init(&roomy, SIZE_MAX);
        arena_init(&tight, 1 << 20);
        EQ(batch_recode(&batch, (enum codec)codec, codec_usual_level((enum codec)codec), &roomy,
                        &packed),
           ERROR_NONE);
        EQ(batch_validate(packed, &rules, &tight, &report), ERROR_NO_MEMORY);
        struct batch_rules with = rules;
        with.record_max_bytes = 1 << 20;
        EQ(batch_validate(packed, &with, &roomy, &report), ERROR_INVALID_RECORD);
        arena_done(&roomy);
        arena_done(&tight);
    }
    memory_free(memory);
    memory_free(value);
}

/* Bytes of the records flipped, the CRC made right again: whatever the records then are, reading
 * them ends, stays within the batch (ASan looks: the copy has its exact size) and sees no record
 * twice. */
TEST(batch, rubbish_in_records_is_read_within_bounds)
{
    uint8_t memory[512];
    struct batch_builder built = build(memory, sizeof memory);
    struct random random;
    int refused = 0;
    random_seed(&random, 11);
    for (int i = 0; i < 20000; i++) {
        uint8_t *copy = memory_aligned(16, built.size_bytes);
        struct batch_report report;
        memcpy(copy, built.data, built.size_bytes);
        for (uint64_t flips = 1 + random_below(&random, 3); flips > 0; flips--)
            copy[BATCH_RECORDS_AT + random_below(&random, built.size_bytes - BATCH_RECORDS_AT)] =
                (uint8_t)random_next(&random);
        redo_crc(copy, built.size_bytes);
        enum error error = validate(copy, built.size_bytes, &rules, &report);
        TRUE_(error == ERROR_NONE || error == ERROR_INVALID_RECORD ||
              error == ERROR_INVALID_TIMESTAMP);
        TRUE_((error == ERROR_NONE) == (report.records_count == 0));
        refused += error != ERROR_NONE;
        memory_free(copy);
    }
    TRUE_(refused > 10000 && refused < 20000); /* a value's bytes may be anything */
}
