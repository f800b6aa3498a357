/* `bole consume -F json`: one object a line. Keys and values are strings where they are UTF-8; else
 * the member's name ends with _base64, so that no text can be taken for the other. */
#include "base/check.h"
#include "base/utf8.h"
#include "protocol/json.h"
#include "tools/format.h"
#include <stdio.h>

static void write_text(struct writer *writer, const char *text)
{
    write_raw(writer, text, strlen(text));
}

static void write_number(struct writer *writer, const char *name, int64_t number)
{
    char text[64];
    snprintf(text, sizeof text, ",\"%s\":%lld", name, (long long)number);
    write_text(writer, text);
}

/* "name":null, "name":"text" or "name_base64":"...". */
static void write_member(struct writer *writer, const char *name, struct bytes bytes)
{
    bool is_text = bytes.size <= 0 || utf8_is_valid(bytes.data, (size_t)bytes.size);
    write_text(writer, "\"");
    write_text(writer, name);
    write_text(writer, is_text ? "\":" : "_base64\":\"");
    if (bytes.size < 0) {
        write_text(writer, "null");
    } else if (is_text) {
        write_json_string(writer, (struct string){(const char *)bytes.data, bytes.size});
    } else {
        write_base64(writer, bytes);
        write_text(writer, "\"");
    }
}

static void write_headers(struct writer *writer, const struct record *record)
{
    struct reader reader;
    if (record->headers.size <= 0)
        return;
    reader_init(&reader, record->headers.data, (size_t)record->headers.size);
    for (int32_t i = 0; i < record->headers_count; i++) {
        struct record_header header;
        record_next_header(&reader, &header);
        if (reader.error)
            return;
        write_text(writer, i ? ",{" : "{");
        write_member(writer, "key", header.key);
        write_text(writer, ",");
        write_member(writer, "value", header.value);
        write_text(writer, "}");
    }
}

static void write_record(struct writer *writer, const struct format_record *from)
{
    const struct record *record = from->record;
    write_text(writer, "{\"topic\":");
    write_json_string(writer, from->topic);
    write_number(writer, "partition", from->partition);
    write_number(writer, "offset", record->offset);
    write_number(writer, "timestamp", record->timestamp);
    write_text(writer, ",");
    write_member(writer, "key", record->key);
    write_text(writer, ",");
    write_member(writer, "value", record->value);
    write_text(writer, ",\"headers\":[");
    write_headers(writer, record);
    write_text(writer, "]}\n");
}

void format_write_json(const struct format_record *from, struct text *text)
{
    struct writer writer;
    writer_init(&writer, NULL, 0);
    write_record(&writer, from);
    size_t size = writer.size;
    writer_init(&writer, text_reserve(text, size), size);
    write_record(&writer, from);
    check(writer.error == ERROR_NONE && writer.size == size);
    text->size += size;
}
