#pragma once
/* Is a node the whole cluster? Pure. */
#include "logic/image.h"

/* False, and a sentence with what to do, where another broker is registered, or a partition has a
 * replica on another node: as the only node of a cluster this one would take offsets that the
 * others do not know of. */
bool alone_is(const struct image *image, int32_t node_id, char *why, size_t why_size);
