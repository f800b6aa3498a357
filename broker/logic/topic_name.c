#include "logic/topic_name.h"

static bool is_dots(struct string name)
{
    return string_equal(name, STRING(".")) || string_equal(name, STRING(".."));
}

static bool has_strange_bytes(struct string name)
{
    for (int32_t i = 0; i < name.size; i++) {
        char c = name.data[i], letter = (char)(c | 32);
        bool plain = (letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
                     c == '_' || c == '-';
        if (!plain)
            return true;
    }
    return false;
}

bool topic_name_is_valid(struct string name)
{
    return name.size >= 1 && name.size <= TOPIC_NAME_MAX && !is_dots(name) &&
           !has_strange_bytes(name);
}

struct string topic_name_complaint(struct arena *arena, struct string name)
{
    if (name.size <= 0)
        return STRING("Topic name is invalid: the empty string is not allowed");
    int size = name.size < 300 ? (int)name.size : 300;
    if (is_dots(name))
        return arena_format(arena, "Topic name is invalid: '%.*s' is not allowed", size, name.data);
    if (name.size > TOPIC_NAME_MAX)
        return arena_format(arena,
                            "Topic name is invalid: the length of '%.*s' is longer than the max "
                            "allowed length %d",
                            size, name.data, TOPIC_NAME_MAX);
    return arena_format(arena,
                        "Topic name is invalid: '%.*s' contains one or more characters other than "
                        "ASCII alphanumerics, '.', '_' and '-'",
                        size, name.data);
}

bool topic_name_is_internal(struct string name)
{
    return string_equal(name, STRING("__consumer_offsets")) ||
           string_equal(name, STRING("__transaction_state")) ||
           string_equal(name, STRING("__share_group_state")) ||
           string_equal(name, STRING("__cluster_metadata"));
}
