#include "logic/duplicates.h"
#include "base/map.h"

void duplicates_find(const struct string *names, int32_t count, uint64_t seed, uint8_t *ret_seen)
{
    struct map map;
    map_init(&map, seed);
    for (int32_t i = 0; i < count; i++) {
        ret_seen[i] = SEEN_ONCE;
        if (names[i].size < 0)
            continue;
        uint8_t *first = map_get(&map, names[i].data, (size_t)names[i].size);
        if (first) {
            *first = SEEN_TWICE;
            ret_seen[i] = SEEN_BEFORE;
        } else {
            map_put(&map, names[i].data, (size_t)names[i].size, &ret_seen[i]);
        }
    }
    map_done(&map);
}
