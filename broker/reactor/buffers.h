#pragma once
/* Buffers of a core: counted, in size classes, aligned to 4096 for direct I/O, taken from a budget.
 * A buffer is taken, referenced and released on one core only; its bytes may be read by others for
 * as long as a reference is kept for them. Charged at its whole size. Released buffers are kept for
 * the next use up to `keep_bytes`, so the warm path allocates nothing; one of exact size serves
 * whoever wants little less. What is kept and what is used are together no more than the budget,
 * unless what is used is more alone. */
#include "base/list.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BUFFER_ALIGNMENT = 4096, BUFFER_CLASSES = 11 }; /* 4 KiB ... 4 MiB; beyond: exact */

struct buffer {
    struct list link; /* in the free list of its class */
    struct buffers *owner;
    uint8_t *data; /* aligned to BUFFER_ALIGNMENT */
    size_t size;   /* bytes of data */
    int32_t references;
    int8_t class;   /* -1: exact size */
    bool set_aside; /* buffer_set_aside */
};

struct buffers {
    struct list kept[BUFFER_CLASSES + 1]; /* the last: those of exact size */
    size_t used_bytes;                    /* in buffers that are referenced */
    size_t aside_bytes;                   /* of these, set aside */
    size_t kept_bytes;                    /* in free lists */
    size_t budget_bytes;                  /* buffers_take returns null beyond it */
    size_t keep_bytes;
    bool large_pages;    /* of new ones of MEMORY_LARGE_PAGE and more */
    struct list waiters; /* flows that wait for the budget; woken at each release */
};

void buffers_init(struct buffers *buffers, size_t budget_bytes, size_t keep_bytes);

/* From now on keeps up to `keep_bytes`, in large pages where that makes sense: for a burst, that
 * uses most of the budget. What is kept beyond that is freed. */
void buffers_keep(struct buffers *buffers, size_t keep_bytes, bool large_pages);

/* Frees what is kept. Every buffer must have been released. */
void buffers_done(struct buffers *buffers);

/* A buffer of at least `size` bytes with one reference, or null when the budget does not allow it.
 * One request is always let through when nothing else is used but what was set aside, however
 * large. */
struct buffer *buffers_take(struct buffers *buffers, size_t size);

/* The same, past the budget: for what must not wait (the metadata log, recovery). Never null. */
struct buffer *buffers_take_always(struct buffers *buffers, size_t size);

/* From here on it is charged to `to` and given back there, with all its references. */
void buffer_move(struct buffer *buffer, struct buffers *to);

/* Says that whoever holds it may have to wait for the budget before it can be given back. It stays
 * charged, but nobody waits for it: else a few such would lock out each other and all the rest. */
void buffer_set_aside(struct buffer *buffer);

void buffer_reference(struct buffer *buffer);
void buffer_release(struct buffer *buffer); /* null is accepted */
