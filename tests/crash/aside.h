#pragma once
/* A store of two logs, of which the journal holds the ends; the files of one are damaged below
 * where the journal begins. A start sets that log aside: what was acknowledged of it lies, to the
 * byte, in a file of its own, its other files stay as they are, the other log serves, and the stop
 * is clean. A later start says the same. The start that sets aside is crashed and begun again. */
#include "crash/operations.h"

enum aside_damage {
    ASIDE_CUT,     /* the segment ends before the journal's first byte */
    ASIDE_FLIPPED, /* a batch header before it is damaged */
    ASIDE_GONE,    /* the folder is gone */
    ASIDE_OWNER,   /* partition.metadata is damaged */
    ASIDE_DAMAGES
};

struct aside_run {
    /* arguments */
    enum aside_damage damage;
    enum rig_starts starts;
    int crash_at; /* events of the first start after which it is crashed; 0: it is not */
    /* results */
    char failure[700];
};

void aside_run(struct aside_run *run);

enum owner_damage { OWNER_MISSING, OWNER_EMPTY, OWNER_CUT, OWNER_ZERO, OWNER_DAMAGES };
enum owner_journal { JOURNAL_HOLDS_ALL, JOURNAL_HOLDS_END, JOURNAL_HOLDS_NOTHING, OWNER_JOURNALS };

/* The same store, in which partition.metadata of one log was lost: it is made anew, and nothing of
 * the log is missing. */
struct owner_run {
    /* arguments */
    enum owner_damage damage;
    enum rig_starts starts;
    enum owner_journal journal; /* of the log; the rest lies in segments alone */
    int crash_at;               /* as above */
    /* results */
    char failure[700];
};

void owner_run(struct owner_run *run);
