#include "base/map.h"
#include "base/check.h"
#include "base/memory.h"

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* In the manner of wyhash: multiply and fold, eight bytes at a time. Never 0. */
static uint64_t hash_bytes(uint64_t seed, const uint8_t *data, size_t size)
{
    uint64_t hash = mix(seed ^ 0x9e3779b97f4a7c15u, size ^ 0xbf58476d1ce4e5b9u);
    while (size >= 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        hash = mix(hash ^ word, 0xa0761d6478bd642fu ^ seed);
        data += 8;
        size -= 8;
    }
    uint64_t word = 0;
    if (size)
        memcpy(&word, data, size);
    hash = mix(hash ^ word, 0xe7037ed1a0b428dbu);
    return hash ? hash : 1;
}

void map_init(struct map *map, uint64_t seed)
{
    *map = (struct map){.seed = seed};
}

void map_done(struct map *map)
{
    memory_free(map->slots);
    map->slots = NULL;
    map->capacity = map->count = 0;
}

/* The slot that holds the key, or the empty one where it belongs. */
static struct map_slot *find_slot(const struct map *map, uint64_t hash, const void *key,
                                  size_t key_size)
{
    uint32_t mask = map->capacity - 1;
    for (uint32_t i = (uint32_t)hash & mask;; i = (i + 1) & mask) {
        struct map_slot *slot = &map->slots[i];
        if (slot->hash == 0)
            return slot;
        if (slot->hash == hash && slot->key_size == key_size &&
            memcmp(slot->key, key, key_size) == 0)
            return slot;
    }
}

static void grow(struct map *map)
{
    struct map old = *map;
    map->capacity = old.capacity ? 2 * old.capacity : 8;
    map->slots = memory_zeroed(map->capacity * sizeof *map->slots);
    for (uint32_t i = 0; i < old.capacity; i++) {
        struct map_slot *slot = &old.slots[i];
        if (slot->hash)
            *find_slot(map, slot->hash, slot->key, slot->key_size) = *slot;
    }
    memory_free(old.slots);
}

void *map_get(const struct map *map, const void *key, size_t key_size)
{
    if (map->count == 0)
        return NULL;
    return find_slot(map, hash_bytes(map->seed, key, key_size), key, key_size)->value;
}

void *map_put(struct map *map, const void *key, size_t key_size, void *value)
{
    check(value != NULL);
    if (4 * (map->count + 1) > 3 * map->capacity)
        grow(map);
    uint64_t hash = hash_bytes(map->seed, key, key_size);
    struct map_slot *slot = find_slot(map, hash, key, key_size);
    void *before = slot->value;
    map->count += before == NULL;
    *slot = (struct map_slot){hash, key, (uint32_t)key_size, value};
    return before;
}

void *map_remove(struct map *map, const void *key, size_t key_size)
{
    if (map->count == 0)
        return NULL;
    struct map_slot *slot = find_slot(map, hash_bytes(map->seed, key, key_size), key, key_size);
    void *value = slot->value;
    if (!value)
        return NULL;
    map->count--;
    uint32_t mask = map->capacity - 1, hole = (uint32_t)(slot - map->slots);
    for (uint32_t i = (hole + 1) & mask; map->slots[i].hash; i = (i + 1) & mask) {
        uint32_t home = (uint32_t)map->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) { /* the hole lies on its way: move it */
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (struct map_slot){0};
    return value;
}

void *map_next(const struct map *map, uint32_t *position)
{
    while (*position < map->capacity) {
        struct map_slot *slot = &map->slots[(*position)++];
        if (slot->hash)
            return slot->value;
    }
    return NULL;
}
