#pragma once
/* A cleanly stopped directory in which one bit of a closed segment, or of what lies beside it, is
 * flipped, or its sidecar is gone: the scrub of the next life finds the rot, or makes anew what can
 * be made anew, while nobody reads anything; and a compaction meets the rot, not writes it anew. */
#include <stddef.h>
#include <stdint.h>

struct scrubs {
    int flips; /* images of one directory, each with one */
    /* results */
    int found, made;
    char failure[800];
};

void scrubs_run(struct scrubs *scrubs, uint64_t seed);
