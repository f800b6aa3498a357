#pragma once
/* The structs and descriptors of every message, made of messages.def: of a request `ProduceRequest`
 * `struct produce_request` and `produce_request_message`; of an element its own, too. Set a value
 * up with message_set_defaults (message.h), not with zeroes: many fields are -1 or null when
 * absent. */
#include "base/bytes.h"
#include "protocol/message.h"
#include "protocol/table.h"

#define MESSAGE_MEMBER_VALUE(c_type, name) c_type name;
#define MESSAGE_MEMBER_ARRAY(c_type, name)                                                         \
    c_type *name;                                                                                  \
    int32_t name##_count;
#define MESSAGE_MEMBER_OBJECT(c_type, name)   c_type name;
#define MESSAGE_MEMBER_OPTIONAL(c_type, name) c_type *name;
#define MESSAGE_MEMBER_(shape, type, c_type, element, name, ...)                                   \
    MESSAGE_MEMBER_##shape(c_type, name)
#define MESSAGE_MEMBER(struct_name, field) MESSAGE_MEMBER_ field

#define TABLE(name, kind, key, oldest, newest, flexible, ...)                                      \
    struct name {                                                                                  \
        TABLE_EACH(MESSAGE_MEMBER, name, ##__VA_ARGS__)                                            \
        struct unknown_tags unknown_tags;                                                          \
    };                                                                                             \
    extern const struct message name##_message;
#include "protocol/messages.def"

#undef MESSAGE_MEMBER_VALUE
#undef MESSAGE_MEMBER_ARRAY
#undef MESSAGE_MEMBER_OBJECT
#undef MESSAGE_MEMBER_OPTIONAL
#undef MESSAGE_MEMBER_
#undef MESSAGE_MEMBER
