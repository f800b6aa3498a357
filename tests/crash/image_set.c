#include "crash/image_set.h"
#include "base/memory.h"

enum { CAPACITY_INITIAL = 1 << 12 };

void image_set_init(struct image_set *set)
{
    *set = (struct image_set){.capacity = CAPACITY_INITIAL};
    set->digests = memory_zeroed(set->capacity * sizeof set->digests[0]);
}

void image_set_done(struct image_set *set)
{
    memory_free(set->digests);
}

static uint64_t *place_of(const struct image_set *set, uint64_t digest)
{
    size_t at = (size_t)(digest * 0x9e3779b97f4a7c15u >> 20) & (set->capacity - 1);
    while (set->digests[at] && set->digests[at] != digest)
        at = (at + 1) & (set->capacity - 1);
    return &set->digests[at];
}

static void grow(struct image_set *set)
{
    struct image_set larger = {.capacity = 4 * set->capacity, .count = set->count};
    larger.digests = memory_zeroed(larger.capacity * sizeof larger.digests[0]);
    for (size_t i = 0; i < set->capacity; i++)
        if (set->digests[i])
            *place_of(&larger, set->digests[i]) = set->digests[i];
    memory_free(set->digests);
    *set = larger;
}

bool image_set_add(struct image_set *set, uint64_t digest)
{
    digest += digest == 0;
    uint64_t *place = place_of(set, digest);
    if (*place)
        return false;
    *place = digest;
    if (++set->count > set->capacity / 2)
        grow(set);
    return true;
}
