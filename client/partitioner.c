#include "partitioner.h"
#include "base/check.h"

/* Austin Appleby's MurmurHash2 (public domain), read little-endian, as Kafka's Utils.murmur2. */
int32_t murmur2(struct bytes key)
{
    check(key.size >= 0);
    const uint32_t mix = 0x5bd1e995;
    uint32_t size = (uint32_t)key.size, hash = 0x9747b28c ^ size;
    const uint8_t *at = key.data;
    for (; size >= 4; size -= 4, at += 4) {
        uint32_t word =
            (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        word *= mix;
        word ^= word >> 24;
        hash = hash * mix ^ word * mix;
    }
    for (uint32_t i = size; i > 0; i--)
        hash ^= (uint32_t)at[i - 1] << 8 * (i - 1);
    if (size)
        hash *= mix;
    hash ^= hash >> 13;
    hash *= mix;
    return (int32_t)(hash ^ hash >> 15);
}

int32_t partition_of_key(struct bytes key, int32_t count)
{
    check(count > 0);
    return (murmur2(key) & INT32_MAX) % count;
}

void sticky_init(struct sticky *sticky, uint64_t seed)
{
    random_seed(&sticky->random, seed);
    sticky->partition = -1;
}

int32_t sticky_partition(struct sticky *sticky, int32_t count)
{
    check(count > 0);
    if (sticky->partition < 0 || sticky->partition >= count)
        sticky->partition = (int32_t)random_below(&sticky->random, (uint64_t)count);
    return sticky->partition;
}

void sticky_change(struct sticky *sticky, int32_t count)
{
    int32_t before = sticky_partition(sticky, count);
    if (count == 1)
        return;
    int32_t step = (int32_t)random_below(&sticky->random, (uint64_t)count - 1);
    sticky->partition = (before + 1 + step) % count;
}
