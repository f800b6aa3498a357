/* message_decode: bytes to structs, led by the tables. Every length is checked against what is left
 * before anything is taken or allocated; the reader's error is sticky, so a loop looks at it once a
 * round and nothing else does. */
#include "base/check.h"
#include "base/utf8.h"
#include "protocol/message.h"

/* So few elements take no memory to speak of; that the bytes for them are missing shows when they
 * are decoded. */
enum { ARRAY_UNCHECKED = 4 };

struct decoder {
    struct reader *reader;
    struct arena *arena;
    int16_t version;
    bool flexible;
};

static void decode_struct(struct decoder *d, const struct message *type, uint8_t *value);

/* A length or count as it is written: compact (n + 1, 0 is null) or of fixed size; -1 for null. */
static int64_t read_compact(struct decoder *d)
{
    return (int64_t)read_uvarint(d->reader) - 1;
}

/* Takes `size` bytes, or null with `nullable` false refused; size -1 is null. */
static const uint8_t *take_sized(struct decoder *d, const struct field *field, int64_t size)
{
    if (__builtin_expect(size < 0, 0)) {
        if (size < -1 || !field_is_nullable(field, d->version))
            reader_fail(d->reader, ERROR_MALFORMED);
        return NULL;
    }
    return reader_take(d->reader, (size_t)size);
}

static struct string decode_string(struct decoder *d, const struct field *field)
{
    int64_t size = d->flexible && !field->classic ? read_compact(d) : read_i16(d->reader);
    const uint8_t *data = take_sized(d, field, size);
    if (!data)
        return size < 0 ? STRING_NULL : (struct string){0};
    if (size > MESSAGE_STRING_MAX || !utf8_is_valid(data, (size_t)size)) {
        reader_fail(d->reader, ERROR_MALFORMED);
        return (struct string){0};
    }
    return (struct string){(const char *)data, (int32_t)size};
}

static struct bytes decode_bytes(struct decoder *d, const struct field *field)
{
    int64_t size = d->flexible ? read_compact(d) : read_i32(d->reader);
    const uint8_t *data = take_sized(d, field, size);
    if (!data)
        return size < 0 ? BYTES_NULL : (struct bytes){0};
    if (size > INT32_MAX) {
        reader_fail(d->reader, ERROR_MALFORMED);
        return (struct bytes){0};
    }
    return (struct bytes){data, (int32_t)size};
}

static void decode_value(struct decoder *d, const struct field *field, uint8_t *at)
{
    struct reader *reader = d->reader;
    const uint8_t *from;
    switch ((enum field_type)field->type) {
    case FIELD_BOOL:
        *(bool *)at = read_i8(reader) != 0;
        break;
    case FIELD_INT8:
        *(int8_t *)at = read_i8(reader);
        break;
    case FIELD_INT16:
    case FIELD_UINT16:
        *(int16_t *)at = read_i16(reader);
        break;
    case FIELD_INT32:
    case FIELD_UINT32:
        *(int32_t *)at = read_i32(reader);
        break;
    case FIELD_INT64:
    case FIELD_FLOAT64: /* the same bits */
        *(int64_t *)at = read_i64(reader);
        break;
    case FIELD_UUID:
        if ((from = reader_take(reader, sizeof(struct uuid))))
            memcpy(at, from, sizeof(struct uuid));
        break;
    case FIELD_STRING:
        *(struct string *)at = decode_string(d, field);
        break;
    case FIELD_BYTES:
        *(struct bytes *)at = decode_bytes(d, field);
        break;
    case FIELD_RECORDS:
        *(struct records *)at = (struct records){.whole = decode_bytes(d, field)};
        break;
    case FIELD_STRUCT:
        decode_struct(d, field->element, at);
        break;
    }
}

static size_t smallest_struct(const struct message *type, int16_t version, bool flexible);

/* The fewest bytes a value of the field takes on the wire, null apart. */
static size_t smallest_value(const struct field *field, int16_t version, bool flexible)
{
    static const uint8_t fixed[] = {
        [FIELD_BOOL] = 1,  [FIELD_INT8] = 1,   [FIELD_INT16] = 2, [FIELD_UINT16] = 2,
        [FIELD_INT32] = 4, [FIELD_UINT32] = 4, [FIELD_INT64] = 8, [FIELD_FLOAT64] = 8,
        [FIELD_UUID] = 16, [FIELD_STRING] = 2, [FIELD_BYTES] = 4, [FIELD_RECORDS] = 4,
    };
    if (field->type == FIELD_STRUCT)
        return smallest_struct(field->element, version, flexible);
    if (flexible && field->type >= FIELD_STRING && !field->classic)
        return 1;
    return fixed[field->type];
}

/* The fewest bytes a struct takes on the wire; at least 1, so that a count is always bounded. */
static size_t smallest_struct(const struct message *type, int16_t version, bool flexible)
{
    size_t size = flexible ? 1 : 0; /* the number of tagged fields */
    for (int i = 0; i < type->field_count; i++) {
        const struct field *field = &type->fields[i];
        if (!field_is_in(field, version) || field_is_tagged(field, version))
            continue;
        if (field->shape == SHAPE_ARRAY)
            size += flexible ? 1 : 4;
        else if (field->shape == SHAPE_OPTIONAL)
            size += 1;
        else
            size += smallest_value(field, version, flexible);
    }
    return size ? size : 1;
}

/* Reads a count and takes memory for as many elements. Null for null, for 0 and after an error. */
static uint8_t *decode_array_start(struct decoder *d, const struct field *field, int32_t *ret_count)
{
    struct reader *reader = d->reader;
    int64_t count = d->flexible ? read_compact(d) : read_i32(reader);
    if (reader->error != ERROR_NONE)
        return NULL;
    if (count <= 0) {
        if (count < -1 || (count == -1 && !field_is_nullable(field, d->version)))
            reader_fail(reader, ERROR_MALFORMED);
        *ret_count = (int32_t)count;
        return NULL;
    }
    if (count > MESSAGE_ARRAY_MAX) {
        reader_fail(reader, ERROR_MALFORMED);
        return NULL;
    }
    size_t left = reader_left(reader);
    if ((size_t)count > left ||
        (count > ARRAY_UNCHECKED &&
         (size_t)count > left / smallest_value(field, d->version, d->flexible))) {
        reader_fail(reader, ERROR_TRUNCATED);
        return NULL;
    }
    uint8_t *elements = arena_take(d->arena, (size_t)count * field_type_size(field));
    if (!elements) {
        reader_fail(reader, ERROR_NO_MEMORY);
        return NULL;
    }
    *ret_count = (int32_t)count;
    return elements;
}

static void decode_array(struct decoder *d, const struct field *field, uint8_t *value)
{
    int32_t count = 0;
    uint8_t *elements = decode_array_start(d, field, &count);
    *(void **)(value + field->offset) = elements;
    *(int32_t *)(value + field->count_offset) = count;
    if (!elements)
        return;
    size_t size = field_type_size(field);
    if (field->type == FIELD_INT32) { /* partition numbers, mostly */
        const uint8_t *from = reader_take(d->reader, (size_t)count * 4);
        for (int32_t i = 0; from && i < count; i++)
            ((uint32_t *)(void *)elements)[i] = load_be32(from + 4 * (size_t)i);
        return;
    }
    for (int32_t i = 0; i < count && d->reader->error == ERROR_NONE; i++)
        decode_value(d, field, elements + size * (size_t)i);
}

/* A struct behind its mark: int8 -1 or 1; inside a tagged field uvarint 0 or 1. */
static void decode_optional(struct decoder *d, const struct field *field, uint8_t *at, bool tagged)
{
    int64_t mark = tagged ? read_compact(d) : read_i8(d->reader);
    bool present = mark == (tagged ? 0 : 1);
    if (!present) {
        if (mark != -1 || !field_is_nullable(field, d->version))
            reader_fail(d->reader, ERROR_MALFORMED);
        *(void **)at = NULL; /* not the default either */
        return;
    }
    uint8_t *element = arena_take(d->arena, field->element->size);
    if (!element) {
        reader_fail(d->reader, ERROR_NO_MEMORY);
        return;
    }
    *(void **)at = element;
    decode_struct(d, field->element, element);
}

static inline void decode_field(struct decoder *d, const struct field *field, uint8_t *value,
                                bool tagged)
{
    if (field->shape == SHAPE_ARRAY)
        decode_array(d, field, value);
    else if (field->shape == SHAPE_OPTIONAL)
        decode_optional(d, field, value + field->offset, tagged);
    else
        decode_value(d, field, value + field->offset);
}

static const struct field *find_tagged(const struct message *type, int16_t version, uint32_t tag)
{
    for (int i = 0; i < type->field_count; i++) {
        const struct field *field = &type->fields[i];
        if (field->tagged && field->tag == tag && field_is_in(field, version) &&
            field_is_tagged(field, version))
            return field;
    }
    return NULL;
}

static void keep_unknown(struct decoder *d, struct unknown_tags *unknown, uint32_t left,
                         struct unknown_tag tag)
{
    if (!unknown->tags)
        unknown->tags = arena_take(d->arena, left * sizeof *unknown->tags);
    if (unknown->tags)
        unknown->tags[unknown->count++] = tag;
    else
        reader_fail(d->reader, ERROR_NO_MEMORY);
}

/* The tagged fields at the end of a struct, ascending by tag (KIP-482), hence none twice. */
static void decode_tags(struct decoder *d, const struct message *type, uint8_t *value)
{
    struct reader *reader = d->reader;
    uint32_t count = read_uvarint(reader);
    if (__builtin_expect(count == 0, 1))
        return;
    if (count > MESSAGE_TAGS_MAX || count > reader_left(reader) / 2) {
        reader_fail(reader, count > MESSAGE_TAGS_MAX ? ERROR_MALFORMED : ERROR_TRUNCATED);
        return;
    }
    struct unknown_tags *unknown = (void *)(value + type->unknown_tags_offset);
    int64_t last = -1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t tag = read_uvarint(reader), size = read_uvarint(reader);
        if (tag <= last)
            reader_fail(reader, ERROR_MALFORMED);
        last = tag;
        const uint8_t *data = reader_take(reader, size);
        if (reader->error != ERROR_NONE)
            return;
        const struct field *field = find_tagged(type, d->version, tag);
        if (!field) {
            keep_unknown(d, unknown, count - i, (struct unknown_tag){tag, {data, (int32_t)size}});
            continue;
        }
        struct reader whole = *reader;
        reader_init(reader, data, size);
        decode_field(d, field, value, true);
        if (reader->error == ERROR_NONE && reader_left(reader) > 0)
            reader_fail(reader, ERROR_MALFORMED);
        if (reader->error != ERROR_NONE)
            return;
        *reader = whole;
    }
}

/* A field that the bytes don't have. */
static void decode_absent(struct decoder *d, const struct field *field, uint8_t *value)
{
    if (field_has_default(field))
        field_set_default(field, value);
    if (!field->default_empty)
        return;
    void *element = arena_take(d->arena, field->element->size);
    if (!element) {
        reader_fail(d->reader, ERROR_NO_MEMORY);
        return;
    }
    message_set_defaults(field->element, element);
    *(void **)(value + field->offset) = element;
}

/* `value` is zeroed. */
static void decode_struct(struct decoder *d, const struct message *type, uint8_t *value)
{
    const struct field *field = type->fields, *end = field + type->field_count;
    for (; field < end; field++) {
        if (!field_is_in(field, d->version) || field_is_tagged(field, d->version))
            decode_absent(d, field, value);
        else
            decode_field(d, field, value, false);
    }
    if (d->flexible)
        decode_tags(d, type, value);
}

enum error message_decode(const struct message *message, int16_t version, struct reader *reader,
                          struct arena *arena, void *value)
{
    check(message->kind != MESSAGE_STRUCT);
    if (version < message->oldest || version > message->newest)
        return ERROR_UNSUPPORTED_VERSION;
    struct decoder decoder = {reader, arena, version, message_is_flexible(message, version)};
    memset(value, 0, message->size);
    decode_struct(&decoder, message, value);
    return reader->error;
}

enum error message_decode_whole(const struct message *message, int16_t version,
                                struct reader *reader, struct arena *arena, void *value)
{
    enum error error = message_decode(message, version, reader, arena, value);
    if (error == ERROR_NONE && reader_left(reader) > 0)
        reader_fail(reader, ERROR_TRAILING_BYTES);
    return error == ERROR_NONE ? reader->error : error;
}
