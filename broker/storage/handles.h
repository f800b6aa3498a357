#pragma once
/* The handles of segments, which are kept open for the next use as long as descriptors last
 * (reactor/openings.h): each core keeps a list of the segments that have one, the least recently
 * used first, and closes those that nobody uses when others are wanted.
 *
 *  1. A handle is closed only while its segment has no users.
 *  2. What was written through a handle that was closed since is flushed through another one of the
 *     same file: whoever flushes or trims opens the segment again (checkpoint.c, drain.c).
 *  3. The list has exactly the segments with an open handle. */
#include "reactor/core.h"
#include "storage/segment.h"

/* Lets the core's openings close kept handles. */
void handles_init(struct core *core);

/* `*place`, one of the segment's two, which is -1, is `handle` from now on. */
void handle_keep(struct segment *segment, int32_t *place, int32_t handle);

/* Takes it out, for the caller to close; -1: there is none. */
int32_t handle_take(struct segment *segment, int32_t *place);

/* It has been used just now. */
void handle_touch(struct segment *segment);
