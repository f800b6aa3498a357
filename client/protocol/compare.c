#include "protocol/compare.h"
#include "base/check.h"

static bool struct_equal(const struct message *type, int16_t version, const uint8_t *a,
                         const uint8_t *b);

static bool value_equal(const struct field *field, int16_t version, const uint8_t *a,
                        const uint8_t *b)
{
    switch ((enum field_type)field->type) {
    case FIELD_STRING:
        return string_equal(*(const struct string *)a, *(const struct string *)b);
    case FIELD_BYTES:
        return bytes_equal(*(const struct bytes *)a, *(const struct bytes *)b);
    case FIELD_RECORDS:
        check(!((const struct records *)a)->parts && !((const struct records *)b)->parts);
        return bytes_equal(((const struct records *)a)->whole, ((const struct records *)b)->whole);
    case FIELD_STRUCT:
        return struct_equal(field->element, version, a, b);
    default:
        return memcmp(a, b, field_type_size(field)) == 0;
    }
}

static bool field_equal(const struct field *field, int16_t version, const uint8_t *a,
                        const uint8_t *b)
{
    if (field->shape == SHAPE_VALUE || field->shape == SHAPE_OBJECT)
        return value_equal(field, version, a + field->offset, b + field->offset);
    const uint8_t *in_a = *(uint8_t *const *)(a + field->offset);
    const uint8_t *in_b = *(uint8_t *const *)(b + field->offset);
    if (field->shape == SHAPE_OPTIONAL)
        return in_a && in_b ? struct_equal(field->element, version, in_a, in_b) : in_a == in_b;
    int32_t count = *(const int32_t *)(a + field->count_offset);
    if (count != *(const int32_t *)(b + field->count_offset))
        return false;
    size_t size = field_type_size(field);
    for (int32_t i = 0; i < count; i++) {
        if (!value_equal(field, version, in_a + size * (size_t)i, in_b + size * (size_t)i))
            return false;
    }
    return true;
}

static bool unknown_equal(const struct unknown_tags *a, const struct unknown_tags *b)
{
    if (a->count != b->count)
        return false;
    for (int32_t i = 0; i < a->count; i++) {
        if (a->tags[i].tag != b->tags[i].tag || !bytes_equal(a->tags[i].data, b->tags[i].data))
            return false;
    }
    return true;
}

static bool struct_equal(const struct message *type, int16_t version, const uint8_t *a,
                         const uint8_t *b)
{
    for (int i = 0; i < type->field_count; i++) {
        if (field_is_in(&type->fields[i], version) && !field_equal(&type->fields[i], version, a, b))
            return false;
    }
    return unknown_equal((const void *)(a + type->unknown_tags_offset),
                         (const void *)(b + type->unknown_tags_offset));
}

bool message_equal(const struct message *message, int16_t version, const void *a, const void *b)
{
    return struct_equal(message, version, a, b);
}
