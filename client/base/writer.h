#pragma once
/* A writer of big-endian bytes into memory of the caller, with a sticky error: what does not fit is
 * dropped and `error` says so. With data null it only counts, which gives the exact size to take.
 */
#include "base/bytes.h"
#include "base/error.h"
#include <stddef.h>

struct writer {
    uint8_t *data;    /* null: count only */
    size_t size;      /* bytes written, or that would have been */
    size_t capacity;  /* after an error `size`, so that nothing more fits */
    enum error error; /* ERROR_NO_MEMORY when it did not fit; or what writer_fail was given */
};

/* `data` null counts without writing. */
void writer_init(struct writer *writer, void *data, size_t capacity);
void writer_fail(struct writer *writer, enum error error);

/* Takes the next `size` bytes: where they lie, or null when they are only counted or don't fit. */
static inline uint8_t *writer_take(struct writer *writer, size_t size)
{
    if (__builtin_expect(size > writer->capacity - writer->size, 0)) {
        writer_fail(writer, ERROR_NO_MEMORY);
        return NULL;
    }
    uint8_t *at = writer->data ? writer->data + writer->size : NULL;
    writer->size += size;
    return at;
}

static inline void write_raw(struct writer *writer, const void *data, size_t size)
{
    uint8_t *at = writer_take(writer, size);
    if (at && size)
        memcpy(at, data, size);
}

static inline void write_i8(struct writer *writer, int8_t value)
{
    uint8_t *at = writer_take(writer, 1);
    if (at)
        *at = (uint8_t)value;
}

static inline void write_i16(struct writer *writer, int16_t value)
{
    uint8_t *at = writer_take(writer, 2);
    if (at)
        store_be16(at, (uint16_t)value);
}

static inline void write_i32(struct writer *writer, int32_t value)
{
    uint8_t *at = writer_take(writer, 4);
    if (at)
        store_be32(at, (uint32_t)value);
}

static inline void write_i64(struct writer *writer, int64_t value)
{
    uint8_t *at = writer_take(writer, 8);
    if (at)
        store_be64(at, (uint64_t)value);
}

void write_uvarlong_long(struct writer *writer, uint64_t value); /* call write_uvarlong */

static inline void write_uvarlong(struct writer *writer, uint64_t value)
{
    if (__builtin_expect(value < 0x80, 1))
        write_i8(writer, (int8_t)value);
    else
        write_uvarlong_long(writer, value);
}

static inline void write_uvarint(struct writer *writer, uint32_t value)
{
    write_uvarlong(writer, value);
}

void write_varint(struct writer *writer, int32_t value);
void write_varlong(struct writer *writer, int64_t value);

/* Bytes that write_uvarlong takes for `value`: 1 to 10. */
int uvarlong_size(uint64_t value);
int varlong_size(int64_t value);
