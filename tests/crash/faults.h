#pragma once
/* One fixed workload, in which the disk operation of a given number fails in one of several ways.
 *
 *   start -> prelude -> [appends, rolls, drains, laps, checkpoints, a deletion, reads, a stop]
 *         -> (loss of power or kill -9) -> [start -> checkpoint -> loss of power]
 *         -> start -> compare -> stop
 *
 * or, with FAULTS_IN_START, the work without a fault, a crash, and a start that meets it. Whatever
 * fails: what was acknowledged is there afterwards, and nothing else; nobody hangs, and somebody is
 * told. A full disk fences nothing unless a flush or the journal met it, and all goes on by itself
 * once there is room. */
#include "crash/fault_plan.h"
#include "crash/operations.h"

enum fault_place { FAULTS_IN_WORK, FAULTS_IN_START };

struct faults {
    /* arguments */
    uint64_t seed;
    int variant; /* of script_settings */
    enum rig_starts starts;
    enum fault_place place;
    enum fault_kind kind;
    uint64_t number; /* from 1; 0: nothing fails */
    bool power_lost; /* the crash afterwards */
    bool relived;    /* behind it comes a life with a checkpoint, and a loss of power */
    /* results */
    uint64_t operations; /* on the disk, in the place where faults come */
    bool met, fenced, refused;
    bool names_lost, checkpointed; /* of the life between: there was none; nothing failed in it */
    uint64_t refusals;             /* appends while the disk was full */
    char failure[700];
};

void faults_run(struct faults *faults);
