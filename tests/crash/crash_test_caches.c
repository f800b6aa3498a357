/* Caches of a cleanly stopped directory removed, cut, cleared, flipped or swapped. BOLE_SEED and
 * BOLE_SEEDS choose which seeds, from and to. */
#include "crash/caches.h"
#include "support/test.h"
#include <stdlib.h>

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

TEST(caches, are_made_anew)
{
    uint64_t first = number_of("BOLE_SEED", 1), last = number_of("BOLE_SEEDS", first + 11);
    bool passed = true;
    for (uint64_t seed = first; seed <= last && passed; seed++) {
        char failure[800];
        caches_run(seed, 25, failure, sizeof failure);
        passed = test_expect(failure[0] == 0, __FILE__, __LINE__, "%s", failure);
    }
}
