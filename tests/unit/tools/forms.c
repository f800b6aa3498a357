/* The forms of `bole consume -F`. */
#include "tools/format.h"
#include "support/test.h"

typedef void write_form(const struct format_record *record, struct text *text);

static void expect(write_form *write, const struct record *record, const void *want, size_t size)
{
    struct format_record from = {record, STRING("top"), 3};
    struct text text = {0};
    write(&from, &text);
    EQ(text.size, size);
    if (text.size == size)
        EQ_BYTES(text.data, want, size);
    text_done(&text);
}

static struct bytes bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, (int32_t)strlen(text)};
}
#define EXPECT(write, record, want) expect(write, record, want, sizeof(want) - 1)

/* Two headers: a=1 and b=null, and their bytes. */
static struct record with_headers(uint8_t *raw, size_t size)
{
    struct writer writer;
    writer_init(&writer, raw, size);
    record_write_header(&writer, &(struct record_header){bytes_of("a"), bytes_of("1")});
    record_write_header(&writer, &(struct record_header){bytes_of("b"), BYTES_NULL});
    return (struct record){.offset = 42,
                           .timestamp = 1700000000000,
                           .key = bytes_of("k"),
                           .value = bytes_of("v"),
                           .headers = {raw, (int32_t)writer.size},
                           .headers_count = 2};
}

TEST(forms, json_is_an_object_a_line)
{
    struct record record = {.offset = 7, .timestamp = -1, .key = BYTES_NULL, .value = bytes_of("")};
    EXPECT(format_write_json, &record,
           "{\"topic\":\"top\",\"partition\":3,\"offset\":7,\"timestamp\":-1,"
           "\"key\":null,\"value\":\"\",\"headers\":[]}\n");
    record.value = bytes_of("line\n\"quoted\" \xc3\xa9");
    EXPECT(format_write_json, &record,
           "{\"topic\":\"top\",\"partition\":3,\"offset\":7,\"timestamp\":-1,"
           "\"key\":null,\"value\":\"line\\u000a\\\"quoted\\\" \xc3\xa9\",\"headers\":[]}\n");
}

TEST(forms, json_says_what_is_base64)
{
    struct record record = {.key = bytes_of("\xff\xfe"), .value = bytes_of("a\xc3")};
    EXPECT(format_write_json, &record,
           "{\"topic\":\"top\",\"partition\":3,\"offset\":0,\"timestamp\":0,"
           "\"key_base64\":\"//4=\",\"value_base64\":\"YcM=\",\"headers\":[]}\n");
}

TEST(forms, json_keeps_the_order_of_headers)
{
    uint8_t raw[16];
    struct record record = with_headers(raw, sizeof raw);
    EXPECT(format_write_json, &record,
           "{\"topic\":\"top\",\"partition\":3,\"offset\":42,\"timestamp\":1700000000000,"
           "\"key\":\"k\",\"value\":\"v\","
           "\"headers\":[{\"key\":\"a\",\"value\":\"1\"},{\"key\":\"b\",\"value\":null}]}\n");
}

TEST(forms, msgpack_is_a_map_a_record)
{
    uint8_t raw[16];
    struct record record = with_headers(raw, sizeof raw);
    EXPECT(format_write_msgpack, &record,
           "\x87\xa5topic\xa3top\xa9partition\x03\xa6offset\x2a"
           "\xa9timestamp\xcf\x00\x00\x01\x8b\xcf\xe5\x68\x00"
           "\xa3key\xc4\x01k\xa5value\xc4\x01v"
           "\xa7headers\x92\x92\xc4\x01\x61\xc4\x01\x31\x92\xc4\x01\x62\xc0");
    record.key = BYTES_NULL;
    record.headers_count = 0;
    EXPECT(format_write_msgpack, &record,
           "\x87\xa5topic\xa3top\xa9partition\x03\xa6offset\x2a"
           "\xa9timestamp\xcf\x00\x00\x01\x8b\xcf\xe5\x68\x00"
           "\xa3key\xc0\xa5value\xc4\x01v\xa7headers\x90");
}
