#include "tools/format.h"
#include "support/test.h"

static void expect(const char *wanted_format, const char *want, size_t want_size)
{
    uint8_t raw[64];
    struct writer writer;
    writer_init(&writer, raw, sizeof raw);
    struct record_header headers[2] = {
        {.key = {(const uint8_t *)"a", 1}, .value = {(const uint8_t *)"1", 1}},
        {.key = {(const uint8_t *)"b", 1}, .value = BYTES_NULL}};
    record_write_header(&writer, &headers[0]);
    record_write_header(&writer, &headers[1]);
    struct record record = {.offset = 42,
                            .timestamp = 1700000000000,
                            .key = BYTES_NULL,
                            .value = {(const uint8_t *)"val\0ue", 6},
                            .headers = {raw, (int32_t)writer.size},
                            .headers_count = 2};
    struct format_record from = {&record, STRING("top"), 3};
    struct format format;
    const char *wrong = format_parse(&format, wanted_format);
    if (wrong) {
        EQ_TEXT(wrong, want);
        return;
    }
    struct text text = {0};
    format_write(&format, &from, &text);
    EQ(text.size, want_size);
    if (text.size == want_size && want_size)
        EQ_BYTES(text.data, want, want_size);
    text_done(&text);
}

TEST(format, prints_as_kcat_does)
{
#define CASE(format, want) expect(format, want, sizeof(want) - 1)
    CASE("%s", "val\0ue");
    CASE("%s\\n", "val\0ue\n");
    CASE("%S %K", "6 -1");
    CASE("[%k]", "[]");
    CASE("%t-%p@%o", "top-3@42");
    CASE("%R|", "\0\0\0\6|");
    CASE("%T", "1700000000000");
    CASE("%h", "a=1,b=NULL");
    CASE("100%%\\t\\\\\\x41\\x7e\\0", "100%\t\\A~\0");
    CASE("", "");
    CASE("plain", "plain");
#undef CASE
}

TEST(format, refuses_what_it_does_not_know)
{
    const char *percent = "after % comes one of s S R k K o p t T h %";
    const char *slash = "after \\ comes one of n t r 0 \\ xHH";
    expect("%q", percent, 0);
    expect("abc%", percent, 0);
    expect("\\q", slash, 0);
    expect("\\", slash, 0);
    expect("\\x4", slash, 0);
    expect("\\xg0", slash, 0);
    char many[2200];
    memset(many, 'x', sizeof many);
    many[sizeof many - 1] = 0;
    expect(many, "it is too long", 0);
    for (int i = 0; i + 1 < (int)sizeof many; i += 2)
        memcpy(many + i, "%s", 2);
    many[200] = 0;
    expect(many, "it is too long", 0);
}

TEST(format, undoes_escapes)
{
    char to[16];
    size_t size = 0;
    TRUE_(format_unescape("a\\t\\x00b\\\\", to, &size) == NULL);
    EQ(size, 5);
    EQ_BYTES(to, "a\t\0b\\", 5);
    EQ_TEXT(format_unescape("\\q", to, &size), "after \\ comes one of n t r 0 \\ xHH");
}

TEST(format, names_null_where_it_is_told_to)
{
    struct record record = {.key = BYTES_NULL, .value = BYTES_NULL};
    struct format_record from = {&record, STRING("t"), 0};
    struct format format;
    TRUE_(format_parse(&format, "%k|%s|%R") == NULL);
    format.names_null = true;
    struct text text = {0};
    format_write(&format, &from, &text);
    EQ(text.size, 14);
    EQ_BYTES(text.data, "NULL|NULL|\377\377\377\377", 14);
    text_done(&text);
}
