#include "base/map.h"
#include "base/random.h"
#include "support/test.h"

TEST(map, agrees_with_an_array_under_random_changes)
{
    enum { KEYS = 200 };
    static uint32_t keys[KEYS], values[KEYS];
    bool present[KEYS] = {false};
    struct random random;
    random_seed(&random, 7);
    struct map map;
    map_init(&map, 99);
    int count = 0;
    for (int i = 0; i < KEYS; i++)
        keys[i] = (uint32_t)i * 64;
    for (int round = 0; round < 20000; round++) {
        uint64_t i = random_below(&random, KEYS);
        if (random_once_in(&random, 2)) {
            EQ(map_put(&map, &keys[i], 4, &values[i]) != NULL, present[i]);
            count += !present[i];
            present[i] = true;
        } else {
            EQ(map_remove(&map, &keys[i], 4) != NULL, present[i]);
            count -= present[i];
            present[i] = false;
        }
        EQ(map.count, count);
    }
    for (int i = 0; i < KEYS; i++)
        TRUE_(map_get(&map, &keys[i], 4) == (present[i] ? &values[i] : NULL));
    uint32_t position = 0;
    int walked = 0;
    while (map_next(&map, &position))
        walked++;
    EQ(walked, count);
    map_done(&map);
}
