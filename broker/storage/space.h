#pragma once
/* What a full disk does to a store: appends to ordinary logs are refused, everything else goes on,
 * and it ends by itself.
 *
 *   roomy -> full     less is free than the head-room and what is to be drained, or an operation
 *                     has met a full disk                                    [judge, space_met]
 *   full  -> roomy    a look finds that and a quarter more, and what was tried again since the look
 *                     before has not met a full disk                         [judge]
 *
 * While a store is in doubt (it is full, or was appended to) it looks once a second, and at once
 * when half of what was free has been appended. An operation that met a full disk is put off: its
 * drain or checkpoint ends, the bytes stay in live blocks of the journal and in memory, and with
 * the next look they are tried again. Until then (`blocked`) no drain and no checkpoint begins.
 * Invariants
 *  1. Nothing is fenced for a full disk, except by a flush: what a failed flush covered is lost to
 *     every later one, whatever its reason was.
 *  2. A checkpoint that was put off has flushed and freed nothing.
 *  3. Essential logs (__cluster_metadata) are appended to all the same, so that topics can be
 *     deleted: an eighth of the ring is kept for them (journal_reserve). */
#include "reactor/core.h"

struct store;

enum { SPACE_HEADROOM_AUTO = -1 };

struct space {
    int64_t
        headroom_bytes;    /* of free space; 0: looks begin when an operation has met a full disk */
    int64_t left_bytes;    /* to be appended before the next look comes at once */
    bool full;             /* appends to ordinary logs are refused */
    bool blocked;          /* something was put off since the last look */
    bool checkpoint;       /* among it a checkpoint */
    bool everything;       /* of everything */
    bool watching, asking; /* the flow runs; its question is under way */
    uint8_t phase;
    uint64_t seen_appended; /* appended_bytes of the store at the last look */
    struct flow flow;
    struct timer timer;
    struct op op;
    struct file_space found; /* by the last look; total 0: there was none */
    struct list waiters;     /* flows that try again at the next look, or when the store stops */
};

/* Takes the first look; the directory is open. Blocks. */
void space_open(struct store *store);

/* So many bytes were appended just now. */
void space_appended(struct store *store, int64_t bytes);

/* An operation has met a full disk, while `what`: it is put off. */
void space_met(struct store *store, const char *what);

/* Puts a flow that can't go on without space off until the next look. False: the store is stopping
 * or fenced, so there will be none. */
bool space_await(struct store *store, struct waiter *waiter, struct flow *flow, const char *what);

/* A checkpoint was asked for, or had begun, that can't be made now. */
void space_put_off_checkpoint(struct store *store, bool everything);

/* May so much be taken for what is not needed? */
bool space_is_ample(const struct store *store, int64_t bytes);

/* The store stops: what was put off is tried once more, and then no more. */
void space_stop(struct store *store);
