#pragma once
/* The newest offset of each key in a part of a log: what compaction decides by. Kafka's
 * SkimpyOffsetMap: a key is known by 16 bytes of its hash, keys are not kept. Kafka's is MD5; ours
 * is keyed with bytes drawn anew for every pass, so no client can choose keys that collide, and
 * chance (n² / 2^129) is left out of account: keys are not compared. Pure; the memory is the
 * caller's.
 *
 * Invariants
 *  1. count ≤ limit < slots: a search ends at an empty slot.
 *  2. An entry never moves to an older offset. */
#include "base/bytes.h"
#include "base/siphash.h"
#include <stddef.h>

struct offset_slot {
    struct hash128 hash;
    int64_t end; /* the offset + 1; 0: empty */
};

struct offset_map {
    struct offset_slot *slots;
    uint64_t slot_count, limit, count;
    uint8_t key[SIPHASH_KEY_BYTES];
    int64_t latest; /* everything up to it, from where the map began, is in the map; -1 */
};

/* Slots for keys of `records` records at `load` (0 to 1) of the slots used, within `most_bytes`; at
 * least 2. */
uint64_t offset_map_slots(int64_t records, double load, int64_t most_bytes);

/* Sets up an empty map in `memory`: slot_count zeroed slots. */
void offset_map_init(struct offset_map *map, void *memory, uint64_t slot_count, double load,
                     const uint8_t key[SIPHASH_KEY_BYTES]);

/* Notes that `key` has a record at `offset`. False: it is new and the map is full; nothing has
 * changed. */
bool offset_map_put(struct offset_map *map, struct bytes key, int64_t offset);

/* The newest offset noted for `key`, or -1. */
int64_t offset_map_get(const struct offset_map *map, struct bytes key);
