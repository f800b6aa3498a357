#pragma once
/* A reader of big-endian bytes with a sticky error: after the first failure every read returns zero
 * or null and the position stays, so decoding needs no `if` per field; look at `error` at the end.
 * Varints are Kafka's (zigzag for varint and varlong, plain for uvarint); overlong ones are refused
 * as MALFORMED, as are those whose value does not fit. */
#include "base/bytes.h"
#include "base/error.h"
#include <stddef.h>

struct reader {
    const uint8_t *next, *end;
    enum error error; /* ERROR_TRUNCATED, ERROR_MALFORMED; NONE while all is well */
};

void reader_init(struct reader *reader, const void *data, size_t size);
void reader_fail(struct reader *reader, enum error error);

static inline size_t reader_left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->next);
}

/* `size` bytes, borrowed; null and an error if fewer are left. */
static inline const uint8_t *reader_take(struct reader *reader, size_t size)
{
    if (__builtin_expect(reader_left(reader) < size, 0)) {
        reader_fail(reader, ERROR_TRUNCATED);
        return NULL;
    }
    const uint8_t *at = reader->next;
    reader->next += size;
    return at;
}

static inline int8_t read_i8(struct reader *reader)
{
    const uint8_t *at = reader_take(reader, 1);
    return at ? (int8_t)*at : 0;
}

static inline int16_t read_i16(struct reader *reader)
{
    const uint8_t *at = reader_take(reader, 2);
    return at ? (int16_t)load_be16(at) : 0;
}

static inline int32_t read_i32(struct reader *reader)
{
    const uint8_t *at = reader_take(reader, 4);
    return at ? (int32_t)load_be32(at) : 0;
}

static inline int64_t read_i64(struct reader *reader)
{
    const uint8_t *at = reader_take(reader, 8);
    return at ? (int64_t)load_be64(at) : 0;
}

uint32_t read_uvarint_long(struct reader *reader); /* of any size; call read_uvarint */

/* The forms of one and two bytes, which nearly all have; false: look closer. */
static inline bool read_uvarint_short(struct reader *reader, uint32_t *ret_value)
{
    const uint8_t *at = reader->next;
    size_t left = reader_left(reader);
    if (__builtin_expect(left > 0 && at[0] < 0x80, 1)) {
        *ret_value = at[0];
        reader->next = at + 1;
        return true;
    }
    if (left < 2 || at[1] >= 0x80 || at[1] == 0)
        return false;
    *ret_value = (uint32_t)(at[0] & 0x7f) | (uint32_t)at[1] << 7;
    reader->next = at + 2;
    return true;
}

static inline uint32_t read_uvarint(struct reader *reader)
{
    uint32_t value;
    return read_uvarint_short(reader, &value) ? value : read_uvarint_long(reader);
}

uint64_t read_uvarlong_long(struct reader *reader); /* of any size; call read_uvarlong */

static inline uint64_t read_uvarlong(struct reader *reader)
{
    uint32_t value;
    return read_uvarint_short(reader, &value) ? value : read_uvarlong_long(reader);
}

static inline int32_t read_varint(struct reader *reader)
{
    uint32_t value = read_uvarint(reader);
    return (int32_t)((value >> 1) ^ -(value & 1));
}

static inline int64_t read_varlong(struct reader *reader)
{
    uint64_t value = read_uvarlong(reader);
    return (int64_t)((value >> 1) ^ -(value & 1));
}
