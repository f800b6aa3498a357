#pragma once
/* The disk operation of a given number fails, once, in one of several ways. */
#include "sim/world.h"

enum fault_kind {
    FAULT_ERROR,      /* ERROR_INPUT_OUTPUT; of a flush: what it covers is lost */
    FAULT_SHORT,      /* half a transfer */
    FAULT_FULL_ONCE,  /* ERROR_NO_SPACE */
    FAULT_FULL_WHILE, /* from there on the disk is full, and later it has room */
    FAULT_KINDS
};

struct fault_plan {
    /* arguments */
    enum fault_kind kind;
    uint64_t number; /* from 1, counted from fault_plan_begin; 0: nothing fails */
    /* results of fault_plan_end */
    uint64_t operations;
    bool met; /* there were as many */
    /* inside */
    struct world *world;
    struct world_action room; /* the disk is made larger */
    uint64_t first;           /* operations submitted before faults may come */
    bool filled;
};

/* Of machine 0 of the world. `plan` stays where it is until fault_plan_end. */
void fault_plan_begin(struct fault_plan *plan, struct world *world);
void fault_plan_end(struct fault_plan *plan);

/* May a store have been fenced for it? A full disk excuses none but flushes and the journal's own
 * writes; a short transfer nothing. */
bool fault_plan_may_fence(const struct fault_plan *plan);

/* Has a flush failed? What it covered is lost, a later one tells so, and only a loss of power
 * begins anew. After fault_plan_end. */
bool fault_plan_lost(const struct fault_plan *plan);
