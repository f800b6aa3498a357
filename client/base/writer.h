#pragma once
/* A writer of big-endian bytes into memory of the caller, with a sticky error: what does not fit is
 * dropped and `error` says so. With data null it only counts, which gives the exact size to take. */
#include "base/bytes.h"
#include "base/error.h"
#include <stddef.h>

struct writer {
    uint8_t *data;   /* null: count only */
    size_t size;     /* bytes written, or that would have been */
    size_t capacity;
    enum error error; /* ERROR_NO_MEMORY when it did not fit; or what writer_fail was given */
};

/* `data` null counts without writing. */
void writer_init(struct writer *writer, void *data, size_t capacity);
void writer_fail(struct writer *writer, enum error error);

void write_raw(struct writer *writer, const void *data, size_t size);
void write_i8(struct writer *writer, int8_t value);
void write_i16(struct writer *writer, int16_t value);
void write_i32(struct writer *writer, int32_t value);
void write_i64(struct writer *writer, int64_t value);
void write_uvarint(struct writer *writer, uint32_t value);
void write_uvarlong(struct writer *writer, uint64_t value);
void write_varint(struct writer *writer, int32_t value);
void write_varlong(struct writer *writer, int64_t value);

/* Bytes that write_uvarlong takes for `value`: 1 to 10. */
int uvarlong_size(uint64_t value);
int varlong_size(int64_t value);
