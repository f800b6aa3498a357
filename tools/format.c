#include "tools/format.h"
#include "base/check.h"
#include "base/memory.h"
#include <stdio.h>

char *text_reserve(struct text *text, size_t size)
{
    if (text->capacity - text->size < size) {
        size_t twice = 2 * text->capacity + 4096;
        text->capacity = text->size + size > twice ? text->size + size : twice;
        text->data = memory_resized(text->data, text->capacity);
    }
    return text->data + text->size;
}

void text_add(struct text *text, const void *data, size_t size)
{
    if (size)
        memcpy(text_reserve(text, size), data, size);
    text->size += size;
}

void text_done(struct text *text)
{
    memory_free(text->data);
    *text = (struct text){0};
}

static int digit_of(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 32;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Reads what follows a backslash at *at; -1 if it is no escape. */
static int escape(const char **at)
{
    char letter = *(*at)++;
    switch (letter) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    case '\\':
        return '\\';
    case '0':
        return 0;
    case 'x': {
        int high = digit_of((*at)[0]);
        int low = high < 0 ? -1 : digit_of((*at)[1]);
        if (low < 0)
            return -1;
        *at += 2;
        return high << 4 | low;
    }
    default:
        return -1;
    }
}

static const char bad_escape[] = "after \\ comes one of n t r 0 \\ xHH";

const char *format_unescape(const char *text, char *to, size_t *ret_size)
{
    size_t size = 0;
    while (*text) {
        int letter = (unsigned char)*text++;
        if (letter == '\\' && (letter = escape(&text)) < 0)
            return bad_escape;
        to[size++] = (char)letter;
    }
    *ret_size = size;
    return NULL;
}

const char *format_parse(struct format *format, const char *text)
{
    *format = (struct format){0};
    int16_t used = 0;
    while (*text) {
        if (format->part_count == FORMAT_PARTS_MAX || used == FORMAT_TEXT_BYTES)
            return "it is too long";
        struct format_part *last =
            format->part_count ? &format->parts[format->part_count - 1] : NULL;
        int letter = (unsigned char)*text++;
        if (letter == '%' && *text != '%') {
            if (!*text || !strchr("sSRkKoptTh", *text))
                return "after % comes one of s S R k K o p t T h %";
            format->parts[format->part_count++] = (struct format_part){.what = *text++};
            continue;
        }
        if (letter == '%')
            text++;
        if (letter == '\\' && (letter = escape(&text)) < 0)
            return bad_escape;
        if (!last || last->what != 'l') {
            last = &format->parts[format->part_count++];
            *last = (struct format_part){.what = 'l', .begin = used, .end = used};
        }
        format->text[used++] = (char)letter;
        last->end = used;
    }
    return NULL;
}

static void add_number(struct text *text, int64_t number)
{
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%lld", (long long)number);
    text_add(text, digits, (size_t)size);
}

static void add_bytes(struct text *text, struct bytes bytes)
{
    if (bytes.size > 0)
        text_add(text, bytes.data, (size_t)bytes.size);
}

/* A key or a value. */
static void add_member(const struct format *format, struct text *text, struct bytes bytes)
{
    if (bytes.size < 0 && format->names_null)
        text_add(text, "NULL", 4);
    add_bytes(text, bytes);
}

static void add_size(struct text *text, int32_t size)
{
    uint8_t bytes[4];
    store_be32(bytes, (uint32_t)size);
    text_add(text, bytes, sizeof bytes);
}

static void add_headers(struct text *text, const struct record *record)
{
    struct reader reader;
    reader_init(&reader, record->headers.data,
                record->headers.size > 0 ? (size_t)record->headers.size : 0);
    for (int32_t i = 0; i < record->headers_count && !reader.error; i++) {
        struct record_header header;
        record_next_header(&reader, &header);
        if (reader.error)
            return;
        if (i)
            text_add(text, ",", 1);
        add_bytes(text, header.key);
        text_add(text, "=", 1);
        if (header.value.size < 0)
            text_add(text, "NULL", 4);
        add_bytes(text, header.value);
    }
}

void format_write(const struct format *format, const struct format_record *from, struct text *text)
{
    const struct record *record = from->record;
    for (int i = 0; i < format->part_count; i++) {
        const struct format_part *part = &format->parts[i];
        switch (part->what) {
        case 'l':
            text_add(text, format->text + part->begin, (size_t)(part->end - part->begin));
            break;
        case 's':
            add_member(format, text, record->value);
            break;
        case 'R':
            add_size(text, record->value.size);
            break;
        case 'S':
            add_number(text, record->value.size);
            break;
        case 'k':
            add_member(format, text, record->key);
            break;
        case 'K':
            add_number(text, record->key.size);
            break;
        case 'o':
            add_number(text, record->offset);
            break;
        case 'p':
            add_number(text, from->partition);
            break;
        case 't':
            text_add(text, from->topic.data, (size_t)from->topic.size);
            break;
        case 'T':
            add_number(text, record->timestamp);
            break;
        case 'h':
            add_headers(text, record);
            break;
        default:
            check(false);
        }
    }
}
