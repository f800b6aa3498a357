#include "logic/offset_map.h"
#include "base/memory.h"
#include "support/test.h"

static const uint8_t hash_key[SIPHASH_KEY_BYTES] = {7};

static struct bytes number_key(const uint32_t *number)
{
    return (struct bytes){(const uint8_t *)number, sizeof *number};
}

TEST(offset_map, keeps_the_newest_offset_of_each_key)
{
    struct offset_slot slots[64] = {0};
    struct offset_map map;
    offset_map_init(&map, slots, 64, 0.9, hash_key);
    EQ(map.limit, 57);
    uint32_t a = 1, b = 2, c = 3;
    TRUE_(offset_map_put(&map, number_key(&a), 0));
    TRUE_(offset_map_put(&map, number_key(&b), 5));
    TRUE_(offset_map_put(&map, number_key(&a), 9));
    TRUE_(offset_map_put(&map, number_key(&a), 4)); /* never older */
    EQ(map.count, 2);
    EQ(offset_map_get(&map, number_key(&a)), 9);
    EQ(offset_map_get(&map, number_key(&b)), 5);
    EQ(offset_map_get(&map, number_key(&c)), -1);
    TRUE_(offset_map_put(&map, (struct bytes){NULL, 0}, 11)); /* an empty key is a key */
    EQ(offset_map_get(&map, (struct bytes){NULL, 0}), 11);
}

TEST(offset_map, is_full_at_its_limit_for_new_keys_only)
{
    struct offset_slot slots[4] = {0};
    struct offset_map map;
    offset_map_init(&map, slots, 4, 1, hash_key);
    EQ(map.limit, 3); /* one slot stays empty */
    for (uint32_t i = 0; i < 3; i++)
        TRUE_(offset_map_put(&map, number_key(&i), i));
    uint32_t other = 3, known = 1;
    TRUE_(!offset_map_put(&map, number_key(&other), 3));
    TRUE_(offset_map_put(&map, number_key(&known), 8));
    EQ(offset_map_get(&map, number_key(&known)), 8);
    EQ(offset_map_get(&map, number_key(&other)), -1);
}

TEST(offset_map, takes_memory_for_the_records_within_its_bound)
{
    EQ(sizeof(struct offset_slot), 24);
    static const struct {
        int64_t records;
        double load;
        int64_t most_bytes;
        uint64_t slots;
    } rows[] = {
        {0, 0.9, 1 << 20, 2},   {9, 0.9, 1 << 20, 12},       {1000, 0.5, 1 << 20, 2002},
        {1000, 0.5, 2400, 100}, {1000, 0, 240000, 10000},    {5, 0.9, 0, 2},
        {5, 2, 1 << 20, 7},     {INT64_MAX, 0.9, 2400, 100},
    };
    for (int i = 0; i < (int)(sizeof rows / sizeof rows[0]); i++)
        EQ(offset_map_slots(rows[i].records, rows[i].load, rows[i].most_bytes), rows[i].slots);
}

/* With as many slots as it asks for, a map holds every record's key, whatever the load. */
TEST(offset_map, holds_as_many_keys_as_were_asked_for)
{
    for (int load = 10; load <= 100; load += 15) {
        uint64_t count = offset_map_slots(1000, load / 100.0, 1 << 20);
        struct offset_slot *slots = memory_zeroed(count * sizeof *slots);
        struct offset_map map;
        offset_map_init(&map, slots, count, load / 100.0, hash_key);
        uint32_t put = 0;
        for (uint32_t i = 0; i < 1000; i++)
            put += offset_map_put(&map, number_key(&i), i);
        EQ(put, 1000);
        for (uint32_t i = 0; i < 1000; i++)
            put -= offset_map_get(&map, number_key(&i)) == i;
        EQ(put, 0);
        memory_free(slots);
    }
}
