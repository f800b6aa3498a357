#pragma once
/* Lives recorded at the port, and the start on every image that a crash could have left.
 *
 * BOLE_CRASH=seed:life:cut:kind:number[:cut:kind:number] repeats one image (and the one of a crash
 * in its recovery) and nothing else. */
#include "crash/rig.h"

struct images {
    uint64_t seed;
    int lives;           /* recorded, one after the other, on one disk */
    uint64_t events;     /* of work in each */
    uint32_t cut_step;   /* every so many records a cut, from a random one on; 1: all */
    int choices;         /* for each cut, beside all lost and all kept */
    uint32_t recoveries; /* once in so many images its recovery is cut too; 0: never */
    /* results */
    uint64_t count, recovery_count;
    uint64_t same;     /* not looked at: another one had the same files and promises */
    char failure[800]; /* with the words that repeat it */
};

/* Records lives with these settings and looks at images of each. */
void images_run(struct images *images, const struct rig_settings *settings);
