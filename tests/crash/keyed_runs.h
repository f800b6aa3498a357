#pragma once
/* Runs of a keyed log: lives one after the other, and all that a crash could leave of one. */
#include "crash/fault_plan.h"
#include "crash/keyed.h"

/* Lives of a log: worked, cleaned to the end or not, ended by a stop or, with `crashes`, by a crash
 * too. Sets up `keyed`, which is the caller's to end; its failure says what was wrong. */
void keyed_lives(uint64_t seed, bool crashes, struct keyed *keyed);

/* The same, and operations that write fail. */
void keyed_faults(uint64_t seed, struct keyed *keyed);

/* One life in which the disk operation of a number fails, while the log is written, read and
 * compacted; then it is cleaned to the end, stopped or crashed, and started without faults. */
struct keyed_fault {
    /* arguments */
    uint64_t seed;
    enum fault_kind kind;
    uint64_t number;
    bool power_lost; /* by the crash, if there is one */
    /* results */
    struct keyed *keyed; /* set up; the caller's to end */
    bool met, fenced;
    uint64_t swaps; /* that were begun while the fault could come */
};
void keyed_fault(struct keyed_fault *fault);

struct keyed_cuts {
    struct keyed *keyed; /* set up by keyed_images; the caller's */
    struct disk_recording *recording;
    struct random random;
    int64_t begin;
    /* results */
    uint64_t images, recoveries;
};

/* A first life fills a log, a second one is recorded while it is compacted; at about every
 * `step`-th event it is cut, and the log started on what a crash could leave. */
void keyed_images(uint64_t seed, uint32_t step, struct keyed_cuts *run);

/* Three closed segments, of each of which some records are the newest of their keys, become one: in
 * a life that is cut everywhere, with changes of names lost that were not flushed. */
struct keyed_swap {
    uint64_t seed; /* an argument; of what matters only the order of events is drawn from it */
    uint64_t images;
    char failure[700];
};

void keyed_swap(struct keyed_swap *swap);
