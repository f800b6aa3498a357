#include "base/arena.h"
#include "base/check.h"
#include "base/memory.h"
#include <stdarg.h>
#include <stdio.h>

enum { CHUNK_BYTES = 4096 - 32, ALIGNMENT = 16 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t size_bytes, used_bytes;
    _Alignas(ALIGNMENT) uint8_t data[];
};

void arena_init(struct arena *arena, size_t budget_bytes)
{
    *arena = (struct arena){.budget_bytes = budget_bytes};
}

void arena_done(struct arena *arena)
{
    while (arena->chunks) {
        struct arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        memory_free(chunk);
    }
    arena->used_bytes = 0;
}

void arena_reset(struct arena *arena, size_t keep_bytes)
{
    struct arena_chunk *keep = NULL;
    while (arena->chunks) {
        struct arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        if (chunk->size_bytes <= keep_bytes && (!keep || chunk->size_bytes > keep->size_bytes)) {
            memory_free(keep);
            keep = chunk;
        } else {
            memory_free(chunk);
        }
    }
    if (keep) {
        keep->next = NULL;
        keep->used_bytes = 0;
    }
    arena->chunks = keep;
    arena->used_bytes = 0;
}

size_t arena_held_bytes(const struct arena *arena)
{
    size_t bytes = 0;
    for (const struct arena_chunk *chunk = arena->chunks; chunk; chunk = chunk->next)
        bytes += chunk->size_bytes;
    return bytes;
}

void *arena_take(struct arena *arena, size_t size)
{
    if (size > arena->budget_bytes || arena->used_bytes > arena->budget_bytes - size)
        return NULL;
    size_t rounded = align_up(size ? size : 1, ALIGNMENT);
    struct arena_chunk *chunk = arena->chunks;
    if (!chunk || chunk->size_bytes - chunk->used_bytes < rounded) {
        size_t double_last = chunk ? 2 * chunk->size_bytes : CHUNK_BYTES;
        size_t wanted = double_last < (1u << 20) ? double_last : (1u << 20);
        wanted = rounded > wanted ? rounded : wanted;
        chunk = memory_aligned(ALIGNMENT, sizeof *chunk + wanted);
        chunk->size_bytes = wanted;
        chunk->used_bytes = 0;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    void *taken = chunk->data + chunk->used_bytes;
    chunk->used_bytes += rounded;
    arena->used_bytes += size;
    memset(taken, 0, size);
    return taken;
}

void *arena_rest(const struct arena *arena, size_t *ret_size)
{
    struct arena_chunk *chunk = arena->chunks;
    *ret_size = 0;
    if (!chunk)
        return NULL;
    size_t left = chunk->size_bytes - chunk->used_bytes;
    size_t allowed = arena->budget_bytes - arena->used_bytes;
    *ret_size = left < allowed ? left : allowed;
    return chunk->data + chunk->used_bytes;
}

void arena_keep(struct arena *arena, size_t size)
{
    struct arena_chunk *chunk = arena->chunks;
    check(chunk && size <= chunk->size_bytes - chunk->used_bytes);
    size_t rounded = align_up(size, ALIGNMENT), left = chunk->size_bytes - chunk->used_bytes;
    chunk->used_bytes += rounded < left ? rounded : left;
    arena->used_bytes += size;
}

void *arena_copy(struct arena *arena, const void *bytes, size_t size)
{
    void *copy = arena_take(arena, size);
    if (copy && size)
        memcpy(copy, bytes, size);
    return copy;
}

struct string arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    check(size >= 0);
    char *text = arena_take(arena, (size_t)size + 1);
    if (text)
        vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return text ? (struct string){text, size} : STRING("");
}
