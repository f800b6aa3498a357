/* What the scrub finds, and what it makes anew. BOLE_SEED and BOLE_SEEDS choose which seeds, from
 * and to. */
#include "crash/scrubs.h"
#include "support/test.h"
#include <stdio.h>
#include <stdlib.h>

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

TEST(scrub, finds_rot_before_anybody_reads_it)
{
    uint64_t first = number_of("BOLE_SEED", 1), last = number_of("BOLE_SEEDS", first + 11);
    int found = 0, made = 0;
    bool passed = true;
    for (uint64_t seed = first; seed <= last && passed; seed++) {
        struct scrubs scrubs = {.flips = 25};
        scrubs_run(&scrubs, seed);
        found += scrubs.found;
        made += scrubs.made;
        passed = test_expect(scrubs.failure[0] == 0, __FILE__, __LINE__, "%s", scrubs.failure);
    }
    printf("scrub: %d flipped bits found, %d caches made anew\n", found, made);
    TRUE_(!passed || (found > 0 && made > 0));
}
