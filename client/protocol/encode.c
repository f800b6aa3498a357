/* message_encode, message_encode_gather and message_size: structs to bytes, led by the tables. */
#include "base/check.h"
#include "protocol/message.h"

struct encoder {
    struct writer *writer;
    struct gather *gather; /* null: records are copied */
    int16_t version;
    bool flexible;
};

static void encode_struct(struct encoder *e, const struct message *type, const uint8_t *value);

/* A length or count: compact (n + 1, 0 is null) or int32; size -1 is null. */
static void write_count(struct encoder *e, int32_t count)
{
    if (e->flexible)
        write_uvarint(e->writer, (uint32_t)count + 1);
    else
        write_i32(e->writer, count);
}

/* False, with an error, if `size` is null where the field may not be. */
static bool may_have_size(struct encoder *e, const struct field *field, int32_t size)
{
    check(size >= -1);
    if (size == -1 && !field_is_nullable(field, e->version)) {
        writer_fail(e->writer, ERROR_INVALID_REQUEST);
        return false;
    }
    return true;
}

static void encode_string(struct encoder *e, const struct field *field, struct string string)
{
    if (!may_have_size(e, field, string.size))
        return;
    if (string.size > MESSAGE_STRING_MAX)
        writer_fail(e->writer, ERROR_INVALID_REQUEST);
    if (e->flexible && !field->classic)
        write_uvarint(e->writer, (uint32_t)string.size + 1);
    else
        write_i16(e->writer, (int16_t)string.size);
    if (string.size > 0)
        write_raw(e->writer, string.data, (size_t)string.size);
}

static void push_slice(struct encoder *e, struct bytes slice)
{
    struct gather *gather = e->gather;
    if (slice.size <= 0)
        return;
    if (gather->slices) {
        if (gather->count == gather->capacity) {
            writer_fail(e->writer, ERROR_NO_MEMORY);
            return;
        }
        gather->slices[gather->count] = slice;
    }
    gather->count++;
    gather->size_bytes += (size_t)slice.size;
}

/* Ends the slice being written in the writer's memory. */
static void end_slice(struct encoder *e)
{
    struct gather *gather = e->gather;
    const struct writer *writer = e->writer;
    if (writer->error != ERROR_NONE)
        return;
    const uint8_t *data = writer->data ? writer->data + gather->start : NULL;
    push_slice(e, (struct bytes){data, (int32_t)(writer->size - gather->start)});
    gather->start = writer->size;
}

static void encode_records(struct encoder *e, const struct field *field,
                           const struct records *records)
{
    struct bytes whole = records->whole;
    if (!may_have_size(e, field, whole.size))
        return;
    write_count(e, whole.size);
    const struct bytes *parts = records->parts ? records->parts : &whole;
    int32_t count = records->parts ? records->parts_count : 1;
    if (e->gather && whole.size > 0)
        end_slice(e);
    int64_t left = whole.size;
    for (int32_t i = 0; i < count && whole.size > 0; i++) {
        left -= parts[i].size;
        if (e->gather)
            push_slice(e, parts[i]);
        else
            write_raw(e->writer, parts[i].data, (size_t)parts[i].size);
    }
    check(whole.size <= 0 || left == 0); /* the parts are as long as was said */
}

static void encode_value(struct encoder *e, const struct field *field, const uint8_t *at)
{
    struct writer *writer = e->writer;
    switch ((enum field_type)field->type) {
    case FIELD_BOOL:
        write_i8(writer, *(const bool *)at ? 1 : 0);
        break;
    case FIELD_INT8:
        write_i8(writer, *(const int8_t *)at);
        break;
    case FIELD_INT16:
    case FIELD_UINT16:
        write_i16(writer, *(const int16_t *)at);
        break;
    case FIELD_INT32:
    case FIELD_UINT32:
        write_i32(writer, *(const int32_t *)at);
        break;
    case FIELD_INT64:
    case FIELD_FLOAT64: /* the same bits */
        write_i64(writer, *(const int64_t *)at);
        break;
    case FIELD_UUID:
        write_raw(writer, at, sizeof(struct uuid));
        break;
    case FIELD_STRING:
        encode_string(e, field, *(const struct string *)at);
        break;
    case FIELD_BYTES: {
        const struct bytes *bytes = (const struct bytes *)at;
        if (may_have_size(e, field, bytes->size)) {
            write_count(e, bytes->size);
            if (bytes->size > 0)
                write_raw(writer, bytes->data, (size_t)bytes->size);
        }
        break;
    }
    case FIELD_RECORDS:
        encode_records(e, field, (const struct records *)at);
        break;
    case FIELD_STRUCT:
        encode_struct(e, field->element, at);
        break;
    }
}

static void encode_array(struct encoder *e, const struct field *field, const uint8_t *value)
{
    const uint8_t *elements = *(uint8_t *const *)(value + field->offset);
    int32_t count = *(const int32_t *)(value + field->count_offset);
    if (!may_have_size(e, field, count))
        return;
    write_count(e, count);
    size_t size = field_type_size(field);
    for (int32_t i = 0; i < count; i++)
        encode_value(e, field, elements + size * (size_t)i);
}

static void encode_optional(struct encoder *e, const struct field *field, const uint8_t *at,
                            bool tagged)
{
    const uint8_t *element = *(uint8_t *const *)at;
    if (!may_have_size(e, field, element ? 0 : -1))
        return;
    if (tagged)
        write_uvarint(e->writer, element ? 1 : 0);
    else
        write_i8(e->writer, element ? 1 : -1);
    if (element)
        encode_struct(e, field->element, element);
}

static inline void encode_field(struct encoder *e, const struct field *field, const uint8_t *value,
                                bool tagged)
{
    if (field->shape == SHAPE_ARRAY)
        encode_array(e, field, value);
    else if (field->shape == SHAPE_OPTIONAL)
        encode_optional(e, field, value + field->offset, tagged);
    else
        encode_value(e, field, value + field->offset);
}

/* A tagged field with its tag and, because it goes before the bytes, its size. */
static void encode_tagged(struct encoder *e, const struct field *field, const uint8_t *value)
{
    struct writer counting;
    writer_init(&counting, NULL, 0);
    struct encoder sizer = {&counting, NULL, e->version, e->flexible};
    encode_field(&sizer, field, value, true);
    if (counting.error != ERROR_NONE)
        writer_fail(e->writer, counting.error);
    write_uvarint(e->writer, field->tag);
    write_uvarint(e->writer, (uint32_t)counting.size);
    struct encoder inner = {e->writer, NULL, e->version, e->flexible}; /* gathers nothing */
    encode_field(&inner, field, value, true);
}

static bool must_write_tagged(const struct field *field, int16_t version, const uint8_t *value)
{
    return field->tagged && field_is_in(field, version) && field_is_tagged(field, version) &&
           !field_is_default(field, value);
}

/* The known field with the smallest tag above `last` that must be written; null if there is none.
 */
static const struct field *next_tagged(const struct encoder *e, const struct message *type,
                                       const uint8_t *value, int64_t last)
{
    const struct field *next = NULL;
    for (int i = 0; i < type->field_count; i++) {
        const struct field *field = &type->fields[i];
        if (field->tagged && field->tag > last && (!next || field->tag < next->tag) &&
            must_write_tagged(field, e->version, value))
            next = field;
    }
    return next;
}

/* Known and unknown tagged fields, merged in ascending order. `known` of them are known. */
static void encode_tags(struct encoder *e, const struct message *type, const uint8_t *value,
                        uint32_t known)
{
    const struct unknown_tags *unknown = (const void *)(value + type->unknown_tags_offset);
    write_uvarint(e->writer, known + (uint32_t)unknown->count);
    int64_t last = -1;
    int32_t i = 0;
    for (;;) {
        const struct field *field = known ? next_tagged(e, type, value, last) : NULL;
        for (; i < unknown->count && (!field || unknown->tags[i].tag < field->tag); i++) {
            const struct unknown_tag *tag = &unknown->tags[i];
            write_uvarint(e->writer, tag->tag);
            write_uvarint(e->writer, (uint32_t)tag->data.size);
            write_raw(e->writer, tag->data.data, (size_t)tag->data.size);
        }
        if (!field)
            break;
        encode_tagged(e, field, value);
        last = field->tag;
    }
}

static void encode_struct(struct encoder *e, const struct message *type, const uint8_t *value)
{
    const struct field *field = type->fields, *end = field + type->field_count;
    uint32_t known = 0;
    for (; field < end; field++) {
        if (!field_is_in(field, e->version)) {
            if (!field->ignorable && !field_is_default(field, value))
                writer_fail(e->writer, ERROR_UNSUPPORTED_VERSION);
        } else if (!field_is_tagged(field, e->version)) {
            encode_field(e, field, value, false);
        } else if (!field_is_default(field, value)) {
            known++;
        }
    }
    if (e->flexible)
        encode_tags(e, type, value, known);
}

static enum error encode(struct encoder *e, const struct message *message, const void *value)
{
    check(message->kind != MESSAGE_STRUCT);
    if (e->version < message->oldest || e->version > message->newest)
        writer_fail(e->writer, ERROR_UNSUPPORTED_VERSION);
    else
        encode_struct(e, message, value);
    return e->writer->error;
}

size_t message_size(const struct message *message, int16_t version, const void *value)
{
    struct writer counting;
    writer_init(&counting, NULL, 0);
    return message_encode(message, version, &counting, value) == ERROR_NONE ? counting.size : 0;
}

enum error message_encode(const struct message *message, int16_t version, struct writer *writer,
                          const void *value)
{
    struct encoder e = {writer, NULL, version, message_is_flexible(message, version)};
    return encode(&e, message, value);
}

void gather_init(struct gather *gather, struct bytes *slices, int32_t capacity,
                 const struct writer *writer)
{
    *gather = (struct gather){.slices = slices, .capacity = capacity, .start = writer->size};
}

enum error message_encode_gather(const struct message *message, int16_t version,
                                 struct writer *writer, struct gather *gather, const void *value)
{
    struct encoder e = {writer, gather, version, message_is_flexible(message, version)};
    encode(&e, message, value);
    end_slice(&e);
    return writer->error;
}
