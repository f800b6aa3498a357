#include "logic/offset_map.h"
#include "base/check.h"

enum { SLOTS_LEAST = 2 };

static uint64_t limit_of(uint64_t slot_count, double load)
{
    uint64_t limit = (uint64_t)((double)slot_count * load);
    limit = limit < 1 ? 1 : limit;
    return limit < slot_count ? limit : slot_count - 1;
}

uint64_t offset_map_slots(int64_t records, double load, int64_t most_bytes)
{
    check(records >= 0);
    load = load < 0.01 ? 0.01 : load > 1 ? 1 : load;
    double wanted = (double)records / load + 2; /* for limit_of to be at least `records` */
    double most = (double)(most_bytes / (int64_t)sizeof(struct offset_slot));
    double slots = wanted < most ? wanted : most;
    return slots < SLOTS_LEAST ? SLOTS_LEAST : (uint64_t)slots;
}

void offset_map_init(struct offset_map *map, void *memory, uint64_t slot_count, double load,
                     const uint8_t key[SIPHASH_KEY_BYTES])
{
    check(memory && slot_count >= SLOTS_LEAST);
    *map = (struct offset_map){.slots = memory,
                               .slot_count = slot_count,
                               .limit = limit_of(slot_count, load),
                               .latest = -1};
    memcpy(map->key, key, sizeof map->key);
}

/* The slot of the hash, or the empty one where it would be put. */
static struct offset_slot *find(const struct offset_map *map, struct hash128 hash)
{
    uint64_t at = (uint64_t)((unsigned __int128)hash.low * map->slot_count >> 64);
    for (;;) {
        struct offset_slot *slot = &map->slots[at];
        if (slot->end == 0 || (slot->hash.low == hash.low && slot->hash.high == hash.high))
            return slot;
        at = at + 1 < map->slot_count ? at + 1 : 0;
    }
}

bool offset_map_put(struct offset_map *map, struct bytes key, int64_t offset)
{
    check(key.size >= 0 && offset >= 0);
    struct hash128 hash = siphash128(map->key, key.data, (size_t)key.size);
    struct offset_slot *slot = find(map, hash);
    if (slot->end == 0) {
        if (map->count >= map->limit)
            return false;
        map->count++;
        slot->hash = hash;
    }
    if (slot->end <= offset)
        slot->end = offset + 1;
    return true;
}

int64_t offset_map_get(const struct offset_map *map, struct bytes key)
{
    check(key.size >= 0);
    return find(map, siphash128(map->key, key.data, (size_t)key.size))->end - 1;
}
