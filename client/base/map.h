#pragma once
/* A hash map from bytes to pointers, open addressing with linear probing. Keys are not copied: they
 * must lie in what the value points to, or live as long. The hash is seeded, so that names chosen
 * by a client can't be made to collide. */
#include "base/bytes.h"
#include <stddef.h>

struct map_slot {
    uint64_t hash; /* 0: empty */
    const void *key;
    uint32_t key_size;
    void *value;
};

struct map {
    struct map_slot *slots; /* null while empty */
    uint32_t capacity;      /* a power of two */
    uint32_t count;
    uint64_t seed;
};

/* Allocates nothing until the first put. */
void map_init(struct map *map, uint64_t seed);

/* Frees the table; not what the values point to. */
void map_done(struct map *map);

/* The value, or null. */
void *map_get(const struct map *map, const void *key, size_t key_size);

/* Puts `value` (not null); returns the value that was there before, or null. The key of an entry
 * that was there is replaced too. */
void *map_put(struct map *map, const void *key, size_t key_size, void *value);

/* Takes the entry out and returns its value, or null. */
void *map_remove(struct map *map, const void *key, size_t key_size);

/* Walks all values in no particular order: start with *position 0; null at the end. The map must
 * not change meanwhile. */
void *map_next(const struct map *map, uint32_t *position);
