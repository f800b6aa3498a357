#pragma once
/* The walker: one decoder and one encoder for every message, led by the tables of messages.def.
 *
 * Invariants
 *  1. Decoding reads only the bytes it is given, and allocates only from the arena; what it
 * allocates for an array is bounded first: count <= 1,000,000 and <= bytes left, and from 5 on <=
 *     bytes left / smallest element.
 *  2. Strings, bytes and records of a decoded value borrow from the frame; arrays, optional structs
 *     and lists of unknown tags lie in the arena. A value is good as long as both.
 *  3. What was decoded encodes, in the same version, to the same bytes: unknown tagged fields are
 * kept.
 *  4. After an error the value is half filled, and to be thrown away.
 * Source: Kafka's protocol guide; KIP-482 (flexible versions, tagged fields). */
#include "base/arena.h"
#include "base/error.h"
#include "base/reader.h"
#include "base/writer.h"

enum { MESSAGE_ARRAY_MAX = 1000000, MESSAGE_TAGS_MAX = 10000, MESSAGE_STRING_MAX = 32767 };

enum field_type {
    FIELD_BOOL,
    FIELD_INT8,
    FIELD_INT16,
    FIELD_UINT16,
    FIELD_INT32,
    FIELD_UINT32,
    FIELD_INT64,
    FIELD_FLOAT64,
    FIELD_UUID,
    FIELD_STRING,
    FIELD_BYTES,
    FIELD_RECORDS,
    FIELD_STRUCT,
};

enum field_shape {
    SHAPE_VALUE,    /* not a struct */
    SHAPE_ARRAY,    /* pointer and <name>_count; -1 is null */
    SHAPE_OBJECT,   /* a struct by value */
    SHAPE_OPTIONAL, /* a pointer to a struct, or null */
};

enum message_kind {
    MESSAGE_REQUEST,
    MESSAGE_RESPONSE,
    MESSAGE_HEADER,
    MESSAGE_DATA,
    MESSAGE_METADATA_RECORD,
    MESSAGE_COORDINATOR_KEY,
    MESSAGE_COORDINATOR_VALUE,
    MESSAGE_STRUCT, /* an element of a message */
};

struct message;

/* One field of a struct. Ranges of versions include both ends. */
struct field {
    const char *name;              /* snake_case; field_json_name gives Kafka's */
    const struct message *element; /* of FIELD_STRUCT */
    int64_t default_value;
    int16_t from, to; /* versions that have the field */
    int16_t nullable_from, nullable_to;
    int16_t tagged_from; /* a tagged field from this version on */
    uint16_t tag;
    uint16_t offset, count_offset; /* in the struct; count_offset of arrays */
    uint8_t type, shape;           /* enum field_type, enum field_shape */
    bool nullable, tagged;
    bool default_null, default_empty;
    bool ignorable, classic;
};

/* A message, or an element of one. Versions and flexible hold for a whole message; an element takes
 * them from the message it is in. */
struct message {
    const char *name; /* snake_case */
    enum message_kind kind;
    int16_t key; /* of an API, or type of a record; -1 where there is none */
    int16_t oldest, newest;
    int16_t flexible; /* first flexible version; INT16_MAX: never */
    uint16_t field_count;
    uint16_t size; /* bytes of the struct */
    uint16_t unknown_tags_offset;
    const struct field *fields;
};

struct unknown_tag {
    uint32_t tag;
    struct bytes data; /* size never -1 */
};

/* Tagged fields of one struct that the tables don't know, ascending by tag. */
struct unknown_tags {
    struct unknown_tag *tags;
    int32_t count;
};

/* The messages in order of messages.def, elements left out. */
int message_count(void);
const struct message *message_at(int index);

/* By kind and key (of a request the API key, of a metadata record its type); null if there is none.
 * Coordinator keys and values are numbered per log, so the first of several is found. */
const struct message *message_find(enum message_kind kind, int16_t key);

/* True in versions whose lengths are compact and whose structs end with tagged fields. */
static inline bool message_is_flexible(const struct message *message, int16_t version)
{
    return version >= message->flexible;
}

/* Sets every field of the struct at `value` to its default. A pointer to an optional struct becomes
 * null. Allocates nothing. */
void message_set_defaults(const struct message *message, void *value);

/* The same for the `count` structs of an array. */
void message_set_defaults_each(const struct message *message, void *values, int32_t count);

/* Decodes one message into the struct at `value`; fields that `version` lacks get their defaults.
 * Leaves the reader behind the message, and whatever follows to the caller.
 * TRUNCATED; MALFORMED (negative length, null where not allowed, not UTF-8, tags out of order or
 * twice, too many); NO_MEMORY when the arena's budget is used up. */
enum error message_decode(const struct message *message, int16_t version, struct reader *reader,
                          struct arena *arena, void *value);

/* As message_decode, and TRAILING_BYTES if the reader is not at its end afterwards. */
enum error message_decode_whole(const struct message *message, int16_t version,
                                struct reader *reader, struct arena *arena, void *value);

/* Bytes that message_encode will write; 0 if it will refuse. */
size_t message_size(const struct message *message, int16_t version, const void *value);

/* Appends the message to the writer. UNSUPPORTED_VERSION if a field that `version` lacks, and that
 * is not ignorable, is not at its default; INVALID_REQUEST if a field is null that may not be, or a
 * string too long; NO_MEMORY if it does not fit. */
enum error message_encode(const struct message *message, int16_t version, struct writer *writer,
                          const void *value);

/* Where message_encode_gather puts the pieces of a message: what the writer holds and the records'
 * own memory, in the order in which they go out. */
struct gather {
    struct bytes *slices; /* the caller's; null: count only */
    int32_t count, capacity;
    size_t size_bytes; /* sum of all slices */
    size_t start;      /* in the writer: where the slice being written begins */
};

/* The first slice begins at the writer's end as it is now, so that a header written after this and
 * before the message goes with it. `slices` null counts only. */
void gather_init(struct gather *gather, struct bytes *slices, int32_t capacity,
                 const struct writer *writer);

/* As message_encode, but records are not copied: slices of the writer's memory and of the records
 * alternate. The writer's memory must not move afterwards. NO_MEMORY also when there are more
 * slices than the capacity. A writer with data null and a gather with slices null give the sizes to
 * take. */
enum error message_encode_gather(const struct message *message, int16_t version,
                                 struct writer *writer, struct gather *gather, const void *value);

/* Kafka's name of a field in JSON ("timeoutMs") into `name`, terminated; cut if it does not fit. */
void field_json_name(const struct field *field, char *name, size_t capacity);

/* Kafka's name of a message ("ProduceRequest"), likewise. */
void message_kafka_name(const struct message *message, char *name, size_t capacity);

/* True if `field` is in `version`, tagged in it, or may be null in it. */
static inline bool field_is_in(const struct field *field, int16_t version)
{
    return version >= field->from && version <= field->to;
}

static inline bool field_is_tagged(const struct field *field, int16_t version)
{
    return field->tagged && version >= field->tagged_from;
}

static inline bool field_is_nullable(const struct field *field, int16_t version)
{
    return field->nullable && version >= field->nullable_from && version <= field->nullable_to;
}

/* Bytes of one value of `type` in memory, and of an element of an array. */
size_t field_type_size(const struct field *field);

/* True if the field of the struct at `value` is at its default. */
bool field_is_default(const struct field *field, const void *value);

/* Is the default of the field anything but zeros? Then field_set_default has something to do. */
static inline bool field_has_default(const struct field *field)
{
    return field->default_value != 0 || field->default_null || field->shape == SHAPE_OBJECT;
}

/* Sets the field of the struct at `value`, which must be zeroed, to its default. */
void field_set_default(const struct field *field, void *value);
