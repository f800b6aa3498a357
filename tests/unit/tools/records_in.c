/* What `bole consume -F msgpack` writes, read again. */
#include "tools/records_in.h"
#include "support/test.h"
#include "tools/format.h"

static struct bytes bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, (int32_t)strlen(text)};
}

static void expect_bytes(struct bytes got, struct bytes want)
{
    EQ(got.size, want.size);
    if (got.size == want.size && want.size > 0)
        EQ_BYTES(got.data, want.data, (size_t)want.size);
}

/* Two records, in pieces of each size. */
TEST(records_in, are_those_that_were_written)
{
    uint8_t raw[16];
    struct writer writer;
    writer_init(&writer, raw, sizeof raw);
    record_write_header(&writer, &(struct record_header){bytes_of("a"), bytes_of("1")});
    record_write_header(&writer, &(struct record_header){bytes_of("a"), BYTES_NULL});
    const struct record records[] = {
        {.offset = 5,
         .timestamp = 1700000000000,
         .key = bytes_of("k"),
         .value = BYTES_NULL,
         .headers = {raw, (int32_t)writer.size},
         .headers_count = 2},
        {.offset = 6, .timestamp = -1, .key = BYTES_NULL, .value = bytes_of("")},
    };
    struct text text = {0};
    for (int i = 0; i < 2; i++)
        format_write_msgpack(&(struct format_record){&records[i], STRING("t"), 3 + i}, &text);
    for (size_t piece = 1; piece <= text.size; piece++) {
        struct records_in *in = records_in_open();
        struct records_in_record got;
        int count = 0;
        for (size_t at = 0; at < text.size; at += piece) {
            size_t size = at + piece < text.size ? piece : text.size - at;
            TRUE_(records_in_add(in, text.data + at, size));
            while (records_in_next(in, &got) == RECORDS_IN_ONE && count < 2) {
                EQ(got.partition, 3 + count);
                TRUE_(got.has_timestamp);
                EQ(got.record.timestamp, records[count].timestamp);
                expect_bytes(got.record.key, records[count].key);
                expect_bytes(got.record.value, records[count].value);
                EQ(got.record.headers_count, records[count].headers_count);
                if (got.record.headers_count > 0)
                    expect_bytes(got.record.headers, records[count].headers);
                count++;
            }
        }
        EQ(count, 2);
        TRUE_(records_in_is_between(in));
        records_in_close(in);
    }
    text_done(&text);
}

static enum records_in_result result_of(const char *data, size_t size)
{
    struct records_in *in = records_in_open();
    struct records_in_record got;
    TRUE_(records_in_add(in, data, size));
    enum records_in_result result = records_in_next(in, &got);
    TRUE_(result != RECORDS_IN_MORE || !records_in_is_between(in));
    records_in_close(in);
    return result;
}
#define RESULT_OF(text) result_of(text, sizeof(text) - 1)

TEST(records_in, refuse_what_is_no_record)
{
    EQ(RESULT_OF("\x80"), RECORDS_IN_ONE); /* neither key nor value */
    EQ(RESULT_OF("\x81\xa5value\xa3yes"), RECORDS_IN_ONE);
    EQ(RESULT_OF("\x81\xa5other\x07"), RECORDS_IN_ONE);
    EQ(RESULT_OF("\x81\xa5value\xc4\x05no"), RECORDS_IN_MORE);
    EQ(RESULT_OF("\x07"), RECORDS_IN_WRONG);
    EQ(RESULT_OF("\xc1"), RECORDS_IN_WRONG);
    EQ(RESULT_OF("\x81\xa5value\x07"), RECORDS_IN_WRONG);
    EQ(RESULT_OF("\x81\xa9partition\xff"), RECORDS_IN_WRONG);
    EQ(RESULT_OF("\x81\xa9timestamp\xa1x"), RECORDS_IN_WRONG);
    EQ(RESULT_OF("\x81\xa7headers\x91\x92\xc0\xc0"), RECORDS_IN_WRONG);
    EQ(RESULT_OF("\x81\xa7headers\x07"), RECORDS_IN_WRONG);
}
