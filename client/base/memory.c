#include "base/memory.h"
#include "base/check.h"
#include <malloc.h>
#include <stdlib.h>
#include <stdio.h>
#include <unistd.h>
#include <string.h>
#include <sys/mman.h>

void check_failed(const char *file, int line, const char *what)
{
    dprintf(2, "%s:%d: check failed: %s\n", file, line, what);
    abort();
}

void *memory_zeroed(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    check(memory != NULL);
    return memory;
}

void *memory_aligned(size_t alignment, size_t size)
{
    check(alignment >= 16 && (alignment & (alignment - 1)) == 0);
    void *memory = aligned_alloc(alignment, (size + alignment - 1) & ~(alignment - 1));
    check(memory != NULL);
    return memory;
}

void *memory_resized(void *memory, size_t size)
{
    void *resized = realloc(memory, size);
    check(resized != NULL || size == 0);
    return resized;
}

void memory_prefer_large_pages(void *memory, size_t size)
{
    (void)madvise(memory, size, MADV_HUGEPAGE); /* no such pages here: as good as before */
}

void memory_free(void *memory)
{
    free(memory);
}

void memory_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

void memory_give_back_from(int size)
{
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, size);
#else
    (void)size;
#endif
}
