#include "protocol/hash.h"
#include "base/check.h"

uint32_t hash_murmur2(const void *data, size_t size)
{
    const uint32_t multiplier = 0x5bd1e995, seed = 0x9747b28c;
    const uint8_t *at = data;
    uint32_t hash = seed ^ (uint32_t)size;
    for (; size >= 4; at += 4, size -= 4) {
        uint32_t word =
            (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        word *= multiplier;
        word ^= word >> 24;
        hash = (hash * multiplier) ^ (word * multiplier);
    }
    if (size > 0) {
        for (size_t i = 0; i < size; i++)
            hash ^= (uint32_t)at[i] << (8 * i);
        hash *= multiplier;
    }
    hash ^= hash >> 13;
    hash *= multiplier;
    return hash ^ hash >> 15;
}

int32_t hash_java_string(struct string text)
{
    uint32_t hash = 0;
    const uint8_t *at = (const uint8_t *)text.data, *end = at + (text.size > 0 ? text.size : 0);
    while (at < end) {
        int more = *at < 0x80 ? 0 : *at < 0xe0 ? 1 : *at < 0xf0 ? 2 : 3;
        check(more < end - at);
        uint32_t point = more ? *at & (0x3fu >> more) : *at;
        for (at++; more > 0; more--)
            point = point << 6 | (*at++ & 0x3f);
        if (point >= 0x10000) {
            hash = 31 * hash + (0xd800 + ((point - 0x10000) >> 10));
            point = 0xdc00 + ((point - 0x10000) & 0x3ff);
        }
        hash = 31 * hash + point;
    }
    return (int32_t)hash;
}

int32_t hash_java_uuid(struct uuid uuid)
{
    uint64_t both = load_be64(uuid.bytes) ^ load_be64(uuid.bytes + 8);
    return (int32_t)(uint32_t)(both >> 32 ^ both);
}
