/* Whole lives of a store: worked, stopped cleanly or not, and started again on the same disk, with
 * and without faults of the disk. BOLE_SEED and BOLE_SEEDS choose which seeds, from and to. */
#include "base/check.h"
#include "crash/lives.h"
#include "support/test.h"
#include <stdio.h>
#include <stdlib.h>

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void run(enum lives_kind kind, uint64_t count)
{
    uint64_t first = number_of("BOLE_SEED", 1), last = number_of("BOLE_SEEDS", first + count - 1);
    bool passed = true;
    for (uint64_t seed = first; seed <= last && passed; seed++) {
        char failure[800];
        lives_run(kind, seed, 8, failure, sizeof failure);
        passed = test_expect(failure[0] == 0, __FILE__, __LINE__, "seed %llu: %s",
                             (unsigned long long)seed, failure);
    }
}

TEST(life, starts_works_and_stops)
{
    run(LIVES_CLEAN, 40);
}

TEST(life, crashes_and_kills)
{
    run(LIVES_CRASHES, 60);
}

TEST(life, faults_of_the_disk)
{
    run(LIVES_FAULTS, 80);
}

TEST(life, removed_and_recreated)
{
    run(LIVES_REMOVALS, 40);
}
