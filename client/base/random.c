#include "base/random.h"
#include "base/check.h"

static uint64_t rotate(uint64_t value, int by)
{
    return (value << by) | (value >> (64 - by));
}

void random_seed(struct random *random, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        random->state[i] = z ^ (z >> 31);
    }
}

uint64_t random_next(struct random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t random_below(struct random *random, uint64_t end)
{
    check(end > 0);
    return (uint64_t)(((unsigned __int128)random_next(random) * end) >> 64);
}

int64_t random_between(struct random *random, int64_t low, int64_t high)
{
    check(low <= high);
    uint64_t span = (uint64_t)high - (uint64_t)low + 1;
    return span ? (int64_t)((uint64_t)low + random_below(random, span))
                : (int64_t)random_next(random);
}

bool random_once_in(struct random *random, uint64_t times)
{
    return times && random_below(random, times) == 0;
}
