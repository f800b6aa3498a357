#include "crash/caches.h"
#include "support/test.h"

TEST(caches, are_made_anew)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        char failure[800];
        caches_run(seed, 25, failure, sizeof failure);
        EQ_TEXT(failure, "");
    }
}
