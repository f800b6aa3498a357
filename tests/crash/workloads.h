#pragma once
/* Every workload of a few operations (operations.def), cut at every moment, with every choice of
 * what a crash may have kept. Workloads form a tree: what two have in common at their beginning is
 * looked at once, so of each only the cuts after the beginning of its last operation count. Images
 * that were seen before with the same promises are not looked at again.
 *
 * A start on an image must find what was promised and nothing that was not sent, change nothing
 * when done again, and leave after a clean stop what a further start finds to be just that (done
 * once for each disk that a recovery or a stop leaves: most images lead to the same few).
 *
 * BOLE_WORKLOAD=variant:operation,...:recording:cut:kind:number:start[:cut:kind:number:start]
 * repeats one image (and the one of a crash in its recovery); without numbers one workload. */
#include "crash/operations.h"

enum { WORKLOAD_OPERATIONS_MAX = 3 };

struct workloads {
    uint64_t seed;
    int variant;            /* of script_settings; a wish has its own */
    int operations;         /* in a workload, at most */
    int sample;             /* of those of three operations one in so many: each pair of operations
                             * still meets, in each two of the three places; 0: all */
    int subset_units;       /* of so many unflushed units every subset is taken */
    int single_units;       /* of more, this many alone lost and alone kept, each */
    int draws;              /* and so many random ones */
    uint32_t both_once_in;  /* images that are started in both ways; the others in one of them */
    uint32_t recoveries;    /* once in so many images the start on it is crashed too; 0: never */
    uint32_t recovery_cuts; /* of each of those */
    int share, shares;      /* of the workloads only each shares-th, from `share` on */
    uint64_t images_most;   /* 0: no limit */
    /* results */
    uint64_t workloads, cuts, images, same, recovery_images;
    uint64_t known;     /* recoveries that came to a disk which others had come to */
    char now[200];      /* the words that repeat what is being looked at */
    char failure[1000]; /* with them */
};

/* Ends with the first failure. */
void workloads_run(struct workloads *workloads);
