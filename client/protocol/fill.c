/* message_fill: see compare.h. */
#include "base/check.h"
#include "protocol/compare.h"

enum { CHARACTERS_MAX = 10, BYTES_MAX = 12, ELEMENTS_MAX = 2, UNKNOWN_TAGS_FROM = 100 };

struct filler {
    struct random *random;
    struct arena *arena;
    int16_t version;
    bool flexible;
    enum error error; /* sticky */
};

static void fill_struct(struct filler *f, const struct message *type, uint8_t *value);

static void *take(struct filler *f, size_t size)
{
    void *memory = arena_take(f->arena, size);
    if (!memory)
        f->error = ERROR_NO_MEMORY;
    return memory;
}

/* A number of `bits` bits, often one at an edge. */
static int64_t fill_number(struct filler *f, int bits)
{
    uint64_t any = random_next(f->random);
    switch (random_below(f->random, 6)) {
    case 0:
        return 0;
    case 1:
        return -1;
    case 2:
        return (int64_t)(UINT64_MAX >> (65 - bits)); /* the largest */
    case 3:
        return -(int64_t)(UINT64_MAX >> (65 - bits)) - 1; /* the smallest */
    case 4:
        return (int64_t)(any & 63);
    default:
        return (int64_t)any;
    }
}

static struct string fill_text(struct filler *f)
{
    static const char *const some[] = {"a",  "Z",  "7",  ".", "_",  "-",
                                       "\"", "\\", "\n", "ß", "木", "🪵"};
    int count = (int)random_below(f->random, CHARACTERS_MAX + 1);
    char *text = take(f, 4 * CHARACTERS_MAX);
    int32_t size = 0;
    for (int i = 0; text && i < count; i++) {
        const char *one = some[random_below(f->random, ARRAY_COUNT(some))];
        memcpy(text + size, one, strlen(one));
        size += (int32_t)strlen(one);
    }
    return (struct string){text, size};
}

static struct bytes fill_bytes(struct filler *f)
{
    int32_t size = (int32_t)random_below(f->random, BYTES_MAX + 1);
    uint8_t *data = take(f, BYTES_MAX);
    for (int32_t i = 0; data && i < size; i++)
        data[i] = (uint8_t)random_next(f->random);
    return (struct bytes){data, data ? size : 0};
}

static void fill_value(struct filler *f, const struct field *field, uint8_t *at)
{
    bool null = field_is_nullable(field, f->version) && random_once_in(f->random, 4);
    switch ((enum field_type)field->type) {
    case FIELD_BOOL:
        *(bool *)at = random_once_in(f->random, 2);
        break;
    case FIELD_INT8:
        *(int8_t *)at = (int8_t)fill_number(f, 8);
        break;
    case FIELD_INT16:
    case FIELD_UINT16:
        *(int16_t *)at = (int16_t)fill_number(f, 16);
        break;
    case FIELD_INT32:
    case FIELD_UINT32:
        *(int32_t *)at = (int32_t)fill_number(f, 32);
        break;
    case FIELD_INT64:
    case FIELD_FLOAT64:
        *(int64_t *)at = fill_number(f, 64);
        break;
    case FIELD_UUID:
        for (size_t i = 0; i < sizeof(struct uuid) && !random_once_in(f->random, 40); i++)
            at[i] = (uint8_t)random_next(f->random);
        break;
    case FIELD_STRING:
        *(struct string *)at = null ? STRING_NULL : fill_text(f);
        break;
    case FIELD_BYTES:
        *(struct bytes *)at = null ? BYTES_NULL : fill_bytes(f);
        break;
    case FIELD_RECORDS:
        *(struct records *)at = (struct records){.whole = null ? BYTES_NULL : fill_bytes(f)};
        break;
    case FIELD_STRUCT:
        fill_struct(f, field->element, at);
        break;
    }
}

static void fill_array(struct filler *f, const struct field *field, uint8_t *value)
{
    int32_t *count = (int32_t *)(void *)(value + field->count_offset);
    *count = (int32_t)random_below(f->random, ELEMENTS_MAX + 1);
    if (field_is_nullable(field, f->version) && random_once_in(f->random, 4))
        *count = -1;
    if (*count <= 0)
        return;
    size_t size = field_type_size(field);
    uint8_t *elements = take(f, size * (size_t)*count);
    if (!elements) {
        *count = 0;
        return;
    }
    *(void **)(value + field->offset) = elements;
    for (int32_t i = 0; i < *count; i++)
        fill_value(f, field, elements + size * (size_t)i);
}

static void fill_optional(struct filler *f, const struct field *field, uint8_t *at)
{
    if (field_is_nullable(field, f->version) && random_once_in(f->random, 4))
        return;
    uint8_t *element = take(f, field->element->size);
    if (!element)
        return;
    *(void **)at = element;
    fill_struct(f, field->element, element);
}

static void fill_unknown(struct filler *f, struct unknown_tags *unknown)
{
    int32_t count = (int32_t)random_between(f->random, 1, 2);
    unknown->tags = take(f, (size_t)count * sizeof *unknown->tags);
    uint32_t tag = UNKNOWN_TAGS_FROM;
    for (int32_t i = 0; unknown->tags && i < count; i++) {
        tag += 1 + (uint32_t)random_below(f->random, 20000);
        unknown->tags[i] = (struct unknown_tag){tag, fill_bytes(f)};
        unknown->count = i + 1;
    }
}

static void fill_struct(struct filler *f, const struct message *type, uint8_t *value)
{
    message_set_defaults(type, value);
    for (int i = 0; i < type->field_count; i++) {
        const struct field *field = &type->fields[i];
        uint8_t *at = value + field->offset;
        if (!field_is_in(field, f->version))
            continue;
        if (field->shape == SHAPE_ARRAY)
            fill_array(f, field, value);
        else if (field->shape == SHAPE_OPTIONAL)
            fill_optional(f, field, at);
        else
            fill_value(f, field, at);
    }
    if (f->flexible && random_once_in(f->random, 8))
        fill_unknown(f, (void *)(value + type->unknown_tags_offset));
}

enum error message_fill(const struct message *message, int16_t version, struct random *random,
                        struct arena *arena, void *value)
{
    check(version >= message->oldest && version <= message->newest);
    struct filler filler = {random, arena, version, message_is_flexible(message, version), 0};
    fill_struct(&filler, message, value);
    return filler.error;
}
