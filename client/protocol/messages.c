/* The descriptors of messages.def, and the list of all messages. */
#include "protocol/messages.h"
#include "base/check.h"
#include <stddef.h>

#define COUNT_OFFSET_VALUE(struct_name, name)    0
#define COUNT_OFFSET_ARRAY(struct_name, name)    offsetof(struct struct_name, name##_count)
#define COUNT_OFFSET_OBJECT(struct_name, name)   0
#define COUNT_OFFSET_OPTIONAL(struct_name, name) 0

#define FIELD_ROW_(struct_name, shape_, type_, c_type, element_, name_, from_, to_, ...)           \
    {.name = #name_,                                                                               \
     .shape = SHAPE_##shape_,                                                                      \
     .type = type_,                                                                                \
     .element = element_,                                                                          \
     .from = from_,                                                                                \
     .to = to_,                                                                                    \
     .offset = offsetof(struct struct_name, name_),                                                \
     .count_offset = COUNT_OFFSET_##shape_(struct_name, name_),                                    \
     __VA_ARGS__},
#define FIELD_ROW_OPEN(...)         FIELD_ROW_(__VA_ARGS__)
#define FIELD_CONTENT(...)          __VA_ARGS__
#define FIELD_ROW(struct_name, row) FIELD_ROW_OPEN(struct_name, FIELD_CONTENT row)

/* A row more than there are fields: a message may have none, and C knows no empty array. */
#define TABLE(name_, kind_, key_, oldest_, newest_, flexible_, ...)                                \
    static const struct field name_##_fields[] = {                                                 \
        TABLE_EACH(FIELD_ROW, name_, ##__VA_ARGS__){.name = NULL}};                                \
    const struct message name_##_message = {                                                       \
        .name = #name_,                                                                            \
        .kind = MESSAGE_##kind_,                                                                   \
        .key = key_,                                                                               \
        .oldest = oldest_,                                                                         \
        .newest = newest_,                                                                         \
        .flexible = flexible_,                                                                     \
        .field_count = ARRAY_COUNT(name_##_fields) - 1,                                            \
        .size = sizeof(struct name_),                                                              \
        .unknown_tags_offset = offsetof(struct name_, unknown_tags),                               \
        .fields = name_##_fields,                                                                  \
    };
#include "protocol/messages.def"

static const struct message *const every_message[] = {
#define TABLE(name, kind, ...)         LISTED_##kind(name)
#define LISTED_REQUEST(name)           &name##_message,
#define LISTED_RESPONSE(name)          &name##_message,
#define LISTED_HEADER(name)            &name##_message,
#define LISTED_DATA(name)              &name##_message,
#define LISTED_METADATA_RECORD(name)   &name##_message,
#define LISTED_COORDINATOR_KEY(name)   &name##_message,
#define LISTED_COORDINATOR_VALUE(name) &name##_message,
#define LISTED_STRUCT(name)
#include "protocol/messages.def"
};

int message_count(void)
{
    return ARRAY_COUNT(every_message);
}

const struct message *message_at(int index)
{
    check(index >= 0 && index < ARRAY_COUNT(every_message));
    return every_message[index];
}

const struct message *message_find(enum message_kind kind, int16_t key)
{
    for (int i = 0; i < ARRAY_COUNT(every_message); i++) {
        if (every_message[i]->kind == kind && every_message[i]->key == key)
            return every_message[i];
    }
    return NULL;
}
