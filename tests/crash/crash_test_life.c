/* Whole lives of a store: worked, stopped cleanly or not, and started again on the same disk. */
#include "base/check.h"
#include "crash/rig.h"
#include "support/test.h"
#include <stdio.h>
#include <stdlib.h>

/* One seed: lives that end in all ways, one after the other. */
static bool live(uint64_t seed, int lives, bool clean_only)
{
    struct rig_settings settings = rig_settings_random(seed);
    struct oracle oracle;
    struct rig rig;
    struct random random;
    random_seed(&random, seed ^ 0x11fe);
    oracle_init(&oracle, seed, settings.slots, settings.batch_most);
    rig_init(&rig, &settings, &oracle);
    for (int i = 0; i < lives && !rig.failure[0]; i++) {
        rig_start(&rig);
        rig_work(&rig, 200 + random_below(&random, 4000));
        switch (clean_only ? 0 : random_below(&random, 3)) {
        case 0:
            rig_stop(&rig);
            break;
        case 1:
            rig_crash(&rig, true);
            break;
        default:
            rig_crash(&rig, false);
        }
    }
    bool passed = test_expect(rig.failure[0] == 0, __FILE__, __LINE__, "seed %llu: %s",
                              (unsigned long long)seed, rig.failure);
    rig_done(&rig);
    oracle_done(&oracle);
    return passed;
}

/* How many; more with BOLE_SEEDS. */
static uint64_t seeds(void)
{
    const char *text = getenv("BOLE_SEEDS");
    return text ? strtoull(text, NULL, 10) : 40;
}

static uint64_t first_seed(void)
{
    const char *text = getenv("BOLE_SEED");
    return text ? strtoull(text, NULL, 10) : 1;
}

TEST(life, starts_works_and_stops)
{
    for (uint64_t seed = 1; seed <= seeds(); seed++)
        if (!live(seed, 4, true))
            break;
}

TEST(life, crashes_and_kills)
{
    for (uint64_t seed = first_seed(); seed <= seeds(); seed++)
        if (!live(seed, 8, false))
            break;
}
