#pragma once
/* An arena: memory of one request, freed at once, within a budget. Chunks come from the heap the
 * first time and are kept by arena_reset, so a warm arena allocates nothing.
 * Owner: one flow at a time; not shared between cores. */
#include "base/bytes.h"
#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t used_bytes;          /* handed out since the last reset */
    size_t budget_bytes;        /* arena_take returns null beyond it */
};

/* Sets up an empty arena that hands out at most `budget_bytes` between resets. Allocates nothing.
 */
void arena_init(struct arena *arena, size_t budget_bytes);

/* Frees everything. The arena may be used again. */
void arena_done(struct arena *arena);

/* Forgets what was handed out; keeps one chunk of at most `keep_bytes`, so the next use is free. */
void arena_reset(struct arena *arena, size_t keep_bytes);

/* Bytes of the chunks that it holds, used or not. */
size_t arena_held_bytes(const struct arena *arena);

/* `size` zeroed bytes aligned to 16, or null when the budget is used up. */
void *arena_take(struct arena *arena, size_t size);

/* What is left of the newest chunk, within the budget and not zeroed, for bytes whose number is
 * known only once they are written: arena_keep then takes the first `size` of them. Good until the
 * next call; null with size 0 before the first arena_take. */
void *arena_rest(const struct arena *arena, size_t *ret_size);
void arena_keep(struct arena *arena, size_t size);

/* A copy of `bytes` in the arena; null on budget. A copy of `size` 0 is not null. */
void *arena_copy(struct arena *arena, const void *bytes, size_t size);

/* printf into the arena; "" with size 0 when the budget is used up. Terminated beyond `size`. */
struct string arena_format(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
