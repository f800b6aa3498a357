#include "crash/rot.h"
#include "support/test.h"

TEST(rot, is_refused_or_harmless)
{
    int refused = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rot rot = {.flips = 40};
        rot_run(&rot, seed);
        EQ_TEXT(rot.failure, "");
        EQ(rot.told_file, rot.refused);
        refused += rot.refused;
    }
    TRUE_(refused > 10);
}
