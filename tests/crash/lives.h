#pragma once
/* A loop of starts and ends over one disk, everything drawn from the seed. */
#include "crash/rig.h"

enum lives_kind {
    LIVES_CLEAN,    /* clean stops only */
    LIVES_CRASHES,  /* clean stops, crashes, kills */
    LIVES_FAULTS,   /* and operations on the disk that fail */
    LIVES_REMOVALS, /* and logs that are removed and made anew */
};

/* Empty text in failure[size]: all was right. */
void lives_run(enum lives_kind kind, uint64_t seed, int lives, char *failure, size_t size);
