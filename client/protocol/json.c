#include "protocol/json.h"
#include "base/check.h"
#include <stdio.h>

struct printer {
    struct writer *writer;
    int16_t version;
};

static void print_struct(struct printer *p, const struct message *type, const uint8_t *value);

static void write_text(struct writer *writer, const char *text)
{
    write_raw(writer, text, strlen(text));
}

void write_json_string(struct writer *writer, struct string text)
{
    write_raw(writer, "\"", 1);
    int32_t begin = 0;
    for (int32_t i = 0; i < text.size; i++) {
        uint8_t c = (uint8_t)text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        char escaped[8];
        if (c >= 0x20)
            snprintf(escaped, sizeof escaped, "\\%c", c);
        else
            snprintf(escaped, sizeof escaped, "\\u%04x", c);
        write_raw(writer, text.data + begin, (size_t)(i - begin));
        write_text(writer, escaped);
        begin = i + 1;
    }
    if (text.size > begin)
        write_raw(writer, text.data + begin, (size_t)(text.size - begin));
    write_raw(writer, "\"", 1);
}

#define ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* Three bytes to four characters; of a shorter end as many characters as hold it. */
static void write_groups(struct writer *writer, const char *alphabet, const uint8_t *data,
                         size_t size)
{
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i < 3 ? size - i : 3;
        uint32_t bits = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                        (left > 2 ? data[i + 2] : 0);
        char group[4] = {alphabet[bits >> 18], alphabet[bits >> 12 & 63], alphabet[bits >> 6 & 63],
                         alphabet[bits & 63]};
        write_raw(writer, group, left + 1);
    }
}

void write_base64(struct writer *writer, struct bytes bytes)
{
    size_t size = bytes.size > 0 ? (size_t)bytes.size : 0;
    write_groups(writer, ALPHABET "+/", bytes.data, size);
    write_raw(writer, "==", (3 - size % 3) % 3);
}

void write_uuid_text(struct writer *writer, struct uuid uuid)
{
    write_groups(writer, ALPHABET "-_", uuid.bytes, sizeof uuid.bytes);
}

static void print_number(struct printer *p, int64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)value);
    write_text(p->writer, digits);
}

static void print_float(struct printer *p, double value)
{
    char digits[32];
    if (value != value)
        snprintf(digits, sizeof digits, "\"NaN\"");
    else if (value - value != 0)
        snprintf(digits, sizeof digits, value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    else
        snprintf(digits, sizeof digits, "%.17g", value);
    write_text(p->writer, digits);
}

static void print_bytes(struct printer *p, struct bytes bytes)
{
    if (bytes.size < 0) {
        write_text(p->writer, "null");
        return;
    }
    write_text(p->writer, "\"");
    write_base64(p->writer, bytes);
    write_text(p->writer, "\"");
}

static void print_value(struct printer *p, const struct field *field, const uint8_t *at)
{
    switch ((enum field_type)field->type) {
    case FIELD_BOOL:
        write_text(p->writer, *(const bool *)at ? "true" : "false");
        break;
    case FIELD_INT8:
        print_number(p, *(const int8_t *)at);
        break;
    case FIELD_INT16:
        print_number(p, *(const int16_t *)at);
        break;
    case FIELD_UINT16:
        print_number(p, *(const uint16_t *)at);
        break;
    case FIELD_INT32:
        print_number(p, *(const int32_t *)at);
        break;
    case FIELD_UINT32:
        print_number(p, *(const uint32_t *)at);
        break;
    case FIELD_INT64:
        print_number(p, *(const int64_t *)at);
        break;
    case FIELD_FLOAT64:
        print_float(p, *(const double *)at);
        break;
    case FIELD_UUID:
        write_text(p->writer, "\"");
        write_uuid_text(p->writer, *(const struct uuid *)at);
        write_text(p->writer, "\"");
        break;
    case FIELD_STRING:
        if (((const struct string *)at)->size < 0)
            write_text(p->writer, "null");
        else
            write_json_string(p->writer, *(const struct string *)at);
        break;
    case FIELD_BYTES:
        print_bytes(p, *(const struct bytes *)at);
        break;
    case FIELD_RECORDS:
        check(!((const struct records *)at)->parts); /* what was decoded is whole */
        print_bytes(p, ((const struct records *)at)->whole);
        break;
    case FIELD_STRUCT:
        print_struct(p, field->element, at);
        break;
    }
}

static void print_field(struct printer *p, const struct field *field, const uint8_t *value)
{
    const uint8_t *at = value + field->offset;
    if (field->shape == SHAPE_VALUE || field->shape == SHAPE_OBJECT) {
        print_value(p, field, at);
        return;
    }
    const uint8_t *pointed = *(uint8_t *const *)at;
    if (field->shape == SHAPE_OPTIONAL) {
        if (pointed)
            print_struct(p, field->element, pointed);
        else
            write_text(p->writer, "null");
        return;
    }
    int32_t count = *(const int32_t *)(value + field->count_offset);
    if (count < 0) {
        write_text(p->writer, "null");
        return;
    }
    write_text(p->writer, "[");
    for (int32_t i = 0; i < count; i++) {
        if (i > 0)
            write_text(p->writer, ",");
        print_value(p, field, pointed + field_type_size(field) * (size_t)i);
    }
    write_text(p->writer, "]");
}

static void print_struct(struct printer *p, const struct message *type, const uint8_t *value)
{
    const char *separator = "{";
    for (int i = 0; i < type->field_count; i++) {
        const struct field *field = &type->fields[i];
        if (!field_is_in(field, p->version) ||
            (field_is_tagged(field, p->version) && field_is_default(field, value)))
            continue;
        char name[64];
        field_json_name(field, name, sizeof name);
        write_text(p->writer, separator);
        write_json_string(p->writer, string_of(name));
        write_text(p->writer, ":");
        print_field(p, field, value);
        separator = ",";
    }
    write_text(p->writer, *separator == '{' ? "{}" : "}");
}

enum error message_print_json(const struct message *message, int16_t version, const void *value,
                              struct writer *writer)
{
    struct printer printer = {writer, version};
    print_struct(&printer, message, value);
    return writer->error;
}
