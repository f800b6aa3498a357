#pragma once
/* Who makes or removes a partition's folder, of the cores that share a log directory: a topic that
 * is deleted and made anew may lie on another core, whose files must not go with the old ones.
 *
 * A claim is held while a folder is made, until its partition.metadata is written, and while one is
 * removed, from the look at whose it is to the end. Nobody holds two, so nobody waits for ever; who
 * finds it taken tries again soon. Folders share claims by hash: that only makes somebody wait. */
#include "base/siphash.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum { FOLDER_CLAIMS = 256, FOLDER_CLAIM_AGAIN_NS = 1000000 };

/* One for each log directory; zeroed at first. */
struct folder_claims {
    _Atomic bool taken[FOLDER_CLAIMS];
};

static inline _Atomic bool *folder_claim_of(struct folder_claims *claims, const char *folder)
{
    static const uint8_t key[SIPHASH_KEY_BYTES];
    return &claims->taken[siphash128(key, folder, strlen(folder)).low % FOLDER_CLAIMS];
}

/* False: another core, or another flow, has it. `claims` null: nobody else shares the directory. */
static inline bool folder_claim(struct folder_claims *claims, const char *folder)
{
    return !claims ||
           !atomic_exchange_explicit(folder_claim_of(claims, folder), true, memory_order_acquire);
}

static inline void folder_release(struct folder_claims *claims, const char *folder)
{
    if (claims)
        atomic_store_explicit(folder_claim_of(claims, folder), false, memory_order_release);
}
