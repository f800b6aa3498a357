#pragma once
/* Views of bytes and strings, big-endian loads and stores. A view owns nothing. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Bytes that somebody else owns. size -1 (data null): Kafka's null. */
struct bytes {
    const uint8_t *data;
    int32_t size;
};

/* UTF-8 text that somebody else owns, not terminated. size -1 (data null): Kafka's null. */
struct string {
    const char *data;
    int32_t size;
};

/* Record batches of one partition. Decoded: `whole` borrows from the frame and parts is null.
 * To encode pieces that lie apart, set parts (borrowed until sent) and the sum of their sizes in
 * whole.size. whole.size -1: null. */
struct records {
    struct bytes whole;
    const struct bytes *parts;
    int32_t parts_count;
};

struct uuid {
    uint8_t bytes[16];
};

#define STRING(literal) ((struct string){literal, (int32_t)sizeof(literal) - 1})
#define STRING_NULL     ((struct string){0, -1})
#define BYTES_NULL      ((struct bytes){0, -1})

static inline struct string string_of(const char *text)
{
    return text ? (struct string){text, (int32_t)strlen(text)} : STRING_NULL;
}

static inline bool string_equal(struct string a, struct string b)
{
    return a.size == b.size && (a.size <= 0 || memcmp(a.data, b.data, (size_t)a.size) == 0);
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size <= 0 || memcmp(a.data, b.data, (size_t)a.size) == 0);
}

static inline bool uuid_equal(struct uuid a, struct uuid b)
{
    return memcmp(a.bytes, b.bytes, 16) == 0;
}

static inline bool uuid_is_zero(struct uuid a)
{
    return uuid_equal(a, (struct uuid){{0}});
}

static inline uint16_t load_be16(const void *from)
{
    uint16_t value;
    memcpy(&value, from, sizeof value);
    return __builtin_bswap16(value);
}

static inline uint32_t load_be32(const void *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return __builtin_bswap32(value);
}

static inline uint64_t load_be64(const void *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return __builtin_bswap64(value);
}

static inline void store_be16(void *to, uint16_t value)
{
    value = __builtin_bswap16(value);
    memcpy(to, &value, sizeof value);
}

static inline void store_be32(void *to, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(to, &value, sizeof value);
}

static inline void store_be64(void *to, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(to, &value, sizeof value);
}

/* Up and down to a multiple of `alignment`, a power of two. */
static inline uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

static inline uint64_t align_down(uint64_t value, uint64_t alignment)
{
    return value & ~(alignment - 1);
}

static inline int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
