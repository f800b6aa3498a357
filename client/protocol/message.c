/* What the tables say of a field or a message, apart from decoding and encoding: defaults, sizes,
 * names. */
#include "protocol/message.h"
#include "base/check.h"

size_t field_type_size(const struct field *field)
{
    static const uint8_t sizes[] = {
        [FIELD_BOOL] = sizeof(bool),
        [FIELD_INT8] = 1,
        [FIELD_INT16] = 2,
        [FIELD_UINT16] = 2,
        [FIELD_INT32] = 4,
        [FIELD_UINT32] = 4,
        [FIELD_INT64] = 8,
        [FIELD_FLOAT64] = 8,
        [FIELD_UUID] = sizeof(struct uuid),
        [FIELD_STRING] = sizeof(struct string),
        [FIELD_BYTES] = sizeof(struct bytes),
        [FIELD_RECORDS] = sizeof(struct records),
    };
    return field->type == FIELD_STRUCT ? field->element->size : sizes[field->type];
}

static void set_default_value(const struct field *field, void *at)
{
    int64_t value = field->default_value;
    int32_t size = field->default_null ? -1 : 0;
    switch ((enum field_type)field->type) {
    case FIELD_BOOL:
        *(bool *)at = value != 0;
        break;
    case FIELD_INT8:
        *(int8_t *)at = (int8_t)value;
        break;
    case FIELD_INT16:
    case FIELD_UINT16:
        *(int16_t *)at = (int16_t)value;
        break;
    case FIELD_INT32:
    case FIELD_UINT32:
        *(int32_t *)at = (int32_t)value;
        break;
    case FIELD_INT64:
        *(int64_t *)at = value;
        break;
    case FIELD_STRING:
        ((struct string *)at)->size = size;
        break;
    case FIELD_BYTES:
        ((struct bytes *)at)->size = size;
        break;
    case FIELD_RECORDS:
        ((struct records *)at)->whole.size = size;
        break;
    case FIELD_FLOAT64: /* zero, as they are */
    case FIELD_UUID:
    case FIELD_STRUCT:
        break;
    }
}

void field_set_default(const struct field *field, void *value)
{
    uint8_t *at = (uint8_t *)value + field->offset;
    switch ((enum field_shape)field->shape) {
    case SHAPE_VALUE:
        if (field->default_value != 0 || field->default_null)
            set_default_value(field, at);
        break;
    case SHAPE_ARRAY:
        if (field->default_null)
            *(int32_t *)((uint8_t *)value + field->count_offset) = -1;
        break;
    case SHAPE_OBJECT:
        message_set_defaults(field->element, at);
        break;
    case SHAPE_OPTIONAL: /* null, as it is */
        break;
    }
}

void message_set_defaults(const struct message *message, void *value)
{
    memset(value, 0, message->size);
    const struct field *field = message->fields, *end = field + message->field_count;
    for (; field < end; field++)
        if (field_has_default(field))
            field_set_default(field, value);
}

void message_set_defaults_each(const struct message *message, void *values, int32_t count)
{
    check(count >= 0);
    if (count > 0)
        message_set_defaults(message, values);
    for (int32_t i = 1; i < count; i++)
        memcpy((uint8_t *)values + (size_t)i * message->size, values, message->size);
}

static bool struct_is_default(const struct message *message, const void *value)
{
    const struct unknown_tags *unknown =
        (const void *)((const uint8_t *)value + message->unknown_tags_offset);
    if (unknown->count > 0)
        return false;
    for (int i = 0; i < message->field_count; i++) {
        if (!field_is_default(&message->fields[i], value))
            return false;
    }
    return true;
}

static bool value_is_default(const struct field *field, const void *at)
{
    int64_t value = field->default_value;
    int32_t size = field->default_null ? -1 : 0;
    switch ((enum field_type)field->type) {
    case FIELD_BOOL:
        return *(const bool *)at == (value != 0);
    case FIELD_INT8:
        return *(const int8_t *)at == value;
    case FIELD_INT16:
        return *(const int16_t *)at == value;
    case FIELD_UINT16:
        return *(const uint16_t *)at == value;
    case FIELD_INT32:
        return *(const int32_t *)at == value;
    case FIELD_UINT32:
        return *(const uint32_t *)at == value;
    case FIELD_INT64:
        return *(const int64_t *)at == value;
    case FIELD_FLOAT64:
        return *(const double *)at == 0;
    case FIELD_UUID:
        return uuid_is_zero(*(const struct uuid *)at);
    case FIELD_STRING:
        return ((const struct string *)at)->size == size;
    case FIELD_BYTES:
        return ((const struct bytes *)at)->size == size;
    case FIELD_RECORDS:
        return ((const struct records *)at)->whole.size == size;
    case FIELD_STRUCT:
        return struct_is_default(field->element, at);
    }
    return false;
}

bool field_is_default(const struct field *field, const void *value)
{
    const uint8_t *at = (const uint8_t *)value + field->offset;
    switch ((enum field_shape)field->shape) {
    case SHAPE_VALUE:
    case SHAPE_OBJECT:
        return value_is_default(field, at);
    case SHAPE_ARRAY:
        return *(const int32_t *)((const uint8_t *)value + field->count_offset) ==
               (field->default_null ? -1 : 0);
    case SHAPE_OPTIONAL: {
        const void *pointed = *(void *const *)at;
        return field->default_empty ? pointed && struct_is_default(field->element, pointed)
                                    : !pointed;
    }
    }
    return false;
}

/* snake_case to camelCase; the tables hold only names for which that is Kafka's name. */
static void camel_case(const char *snake, bool capital, char *name, size_t capacity)
{
    check(capacity > 0);
    size_t size = 0;
    for (; *snake && size + 1 < capacity; snake++) {
        if (*snake == '_') {
            capital = true;
            continue;
        }
        name[size++] = capital && *snake >= 'a' && *snake <= 'z' ? (char)(*snake - 32) : *snake;
        capital = false;
    }
    name[size] = 0;
}

void field_json_name(const struct field *field, char *name, size_t capacity)
{
    camel_case(field->name, false, name, capacity);
}

void message_kafka_name(const struct message *message, char *name, size_t capacity)
{
    camel_case(message->name, true, name, capacity);
}
