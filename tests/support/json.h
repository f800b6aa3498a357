#pragma once
/* A small reader of JSON for test data: a tree in an arena, numbers as they are written. */
#include "base/arena.h"
#include <stdbool.h>

enum json_kind {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json {
    enum json_kind kind;
    struct string name; /* of a member of an object */
    struct string text; /* of a number as written, of a string decoded */
    struct json *first; /* of an array or object */
    struct json *next;  /* beside it */
};

/* The value in `text`, which must hold nothing else; null if it is no JSON. */
struct json *json_parse(struct arena *arena, struct string text);

/* The member of an object; null if there is none, or if `object` is null. */
const struct json *json_get(const struct json *object, const char *name);

/* A member that is a string; a null string if there is none, or it is null. */
struct string json_text(const struct json *object, const char *name);

/* A member that is a number; `otherwise` if there is none, or it is null. */
int64_t json_number(const struct json *object, const char *name, int64_t otherwise);

/* True if they are equal as values: members in any order, floats by value, integers by digits. */
bool json_equal(const struct json *a, const struct json *b);

/* The bytes that a string of hex digits stands for, in the arena; size -1 if `hex` is null. */
struct bytes json_hex(struct arena *arena, struct string hex);
