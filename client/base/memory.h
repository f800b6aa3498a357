#pragma once
/* The process's heap, behind three names. Nothing outside base/ calls malloc. Out of memory is not
 * an error that a caller could handle: budgets keep us from it, and if it comes the process ends.
 */
#include <stddef.h>
#include <stdint.h>

/* `size` zeroed bytes. Never null. Free with memory_free. */
void *memory_zeroed(size_t size);

/* `size` bytes, content undefined, aligned to `alignment` (a power of two, ≥ 16). Never null. */
void *memory_aligned(size_t alignment, size_t size);

/* Grows or shrinks as realloc does; never null unless size is 0. */
void *memory_resized(void *memory, size_t size);

/* An array of `count` items of `size` bytes with room for one more: it grows at powers of two. */
static inline void *memory_with_room(void *items, int32_t count, size_t size)
{
    if (count & (count - 1))
        return items;
    return memory_resized(items, (size_t)(count ? 2 * count : 1) * size);
}

/* Bytes of a large page, and what a block must be aligned to, to lie in such. */
enum { MEMORY_LARGE_PAGE = 2 << 20 };

/* A hint, for a block of memory_aligned(MEMORY_LARGE_PAGE, ...) that nobody has touched yet and
 * that will be used whole: fewer page faults, and fewer misses where it is read here and there.
 * Where the system has no large pages to give, nothing happens. */
void memory_prefer_large_pages(void *memory, size_t size);

/* Null is accepted. */
void memory_free(void *memory);

/* Gives back to the system what has been freed here and there, as far as it fills whole pages:
 * after very many blocks were. Takes milliseconds where there is much. */
void memory_trim(void);

/* For a program, at its start: blocks of `size` bytes and more are given back to the system when
 * they are freed. Otherwise the C library learns from a burst to keep such memory in its heap,
 * which other blocks then leave full of holes. */
void memory_give_back_from(int size);
