#pragma once
/* A set of digests. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image_set {
    uint64_t *digests; /* a table with free places of 0 */
    size_t count, capacity;
};

void image_set_init(struct image_set *set);
void image_set_done(struct image_set *set);

/* True: it was not in the set, and is now. */
bool image_set_add(struct image_set *set, uint64_t digest);
