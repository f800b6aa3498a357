#pragma once
/* An intrusive binary min-heap ordered by a 64-bit key; equal keys come out in order of insertion.
 * A node knows its place, so removal is logarithmic. */
#include <stdbool.h>
#include <stdint.h>

struct heap_node {
    int64_t key;
    uint64_t order;
    int32_t place; /* -1: in no heap */
};

struct heap {
    struct heap_node **nodes;
    int32_t count, capacity;
    uint64_t inserted;
};

void heap_init(struct heap *heap);
void heap_done(struct heap *heap); /* frees the array only */

/* Inserts `node`, which must be in no heap (place -1). */
void heap_insert(struct heap *heap, struct heap_node *node, int64_t key);

/* Takes `node` out; nothing if it is in no heap. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* The node with the smallest key, left where it is; null when empty. */
struct heap_node *heap_first(const struct heap *heap);
