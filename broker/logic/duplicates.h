#pragma once
/* Names that a request has more than once. Pure. */
#include "base/bytes.h"

enum seen {
    SEEN_ONCE,
    SEEN_TWICE,  /* the first of several */
    SEEN_BEFORE, /* a later one */
};

/* Says of each of `count` names how often it is seen, as a byte of enum seen. Null names are all
 * SEEN_ONCE. `seed` keeps a client from choosing names whose hashes collide. */
void duplicates_find(const struct string *names, int32_t count, uint64_t seed, uint8_t *ret_seen);
