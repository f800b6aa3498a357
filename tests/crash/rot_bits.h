#pragma once
/* Every bit of every file of a small directory flipped, one at a time, and a start on each: it is
 * refused, or what it serves is right and complete. Reads begin at every batch, last one first, so
 * that indexes are asked.
 *
 * What can't be told is counted apart: rot in the journal's last write looks like a torn end, which
 * may cost what that write held and nothing else; of a batch's offset and leader epoch nothing is a
 * checksum until the segment has a sidecar.
 *
 * BOLE_ROT=directory:path:bit:start repeats one. */
#include "crash/operations.h"

/* How the directory comes about. */
enum rot_directory {
    ROT_KILLED,  /* records in the journal, in segments, and in both */
    ROT_STOPPED, /* after a clean stop: segments and indexes only */
    ROT_DIRECTORIES
};

struct rot_bits {
    enum rot_directory directory;
    int starts;        /* enum rig_starts */
    bool all;          /* also all bits of bytes that are zero; else one of each */
    int step;          /* of journals and segments only each step-th of these */
    int small_step;    /* the same of the other files */
    int share, shares; /* of the bits only each shares-th, from `share` on */
    /* results */
    uint64_t bits, refused, told, harmless, torn, untold;
    char now[200];
    char failure[1000];
};

/* Ends with the first failure. */
void rot_bits_run(struct rot_bits *bits);
