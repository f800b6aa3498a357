#pragma once
/* A cleanly stopped directory of which one cache, an index or the leader epochs, was lost, cut,
 * cleared, damaged or changed for another: the next life finds every record and every time all the
 * same, and leaves the file as it must be. */
#include <stddef.h>
#include <stdint.h>

/* Does so `count` times with the directory that is left by `seed`. failure: "" if all is well. */
void caches_run(uint64_t seed, int count, char *failure, size_t size);
