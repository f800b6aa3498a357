#pragma once
/* The same run for each number, or one in so many, until one lies beyond the end of what there is.
 * A process does some of them, and then another one goes on: what simulated crashes have left in
 * its memory ends with it, and one that dies says at which number. */
#include <stdbool.h>
#include <stdint.h>

enum { NUMBERS_TALLIES = 6, NUMBERS_FAILURE_BYTES = 900 };

struct numbers {
    /* arguments */
    void (*run)(struct numbers *numbers, uint64_t number); /* adds to the results */
    const void *context;                                   /* read by `run` */
    uint64_t first, step;                                  /* numbers: first, first + step, ... */
    /* results */
    uint64_t runs, at; /* at: the number that is run, or that failed */
    uint64_t tallies[NUMBERS_TALLIES];
    bool ended;
    char failure[NUMBERS_FAILURE_BYTES]; /* the first; ends all */
};

void numbers_run(struct numbers *numbers);

/* The step and the first number: one in `otherwise`, beginning somewhere below that, or what
 * BOLE_FAULTS and BOLE_FAULTS_FROM say. */
void numbers_choose(struct numbers *numbers, uint64_t otherwise, uint64_t from);
