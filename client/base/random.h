#pragma once
/* A small seeded generator (xoshiro256**, Blackman and Vigna 2018). Not for secrets. The state is
 * the caller's, so the same seed gives the same run. */
#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state[4];
};

/* Any seed will do, 0 too (spread by splitmix64). */
void random_seed(struct random *random, uint64_t seed);

uint64_t random_next(struct random *random);

/* Uniform in [0, end); end must be above 0. */
uint64_t random_below(struct random *random, uint64_t end);

/* Uniform in [low, high], both included. */
int64_t random_between(struct random *random, int64_t low, int64_t high);

/* True once in `times` on average; never when times is 0. */
bool random_once_in(struct random *random, uint64_t times);
