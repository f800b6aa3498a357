#include "base/heap.h"
#include "base/check.h"
#include "base/memory.h"

void heap_init(struct heap *heap)
{
    *heap = (struct heap){0};
}

void heap_done(struct heap *heap)
{
    memory_free(heap->nodes);
    *heap = (struct heap){0};
}

static bool before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static void put(struct heap *heap, int32_t place, struct heap_node *node)
{
    heap->nodes[place] = node;
    node->place = place;
}

static void sift_up(struct heap *heap, int32_t place, struct heap_node *node)
{
    while (place > 0 && before(node, heap->nodes[(place - 1) / 2])) {
        put(heap, place, heap->nodes[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put(heap, place, node);
}

static void sift_down(struct heap *heap, int32_t place, struct heap_node *node)
{
    for (int32_t child; (child = 2 * place + 1) < heap->count; place = child) {
        if (child + 1 < heap->count && before(heap->nodes[child + 1], heap->nodes[child]))
            child++;
        if (!before(heap->nodes[child], node))
            break;
        put(heap, place, heap->nodes[child]);
    }
    put(heap, place, node);
}

void heap_insert(struct heap *heap, struct heap_node *node, int64_t key)
{
    check(node->place == -1);
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity ? 2 * heap->capacity : 16;
        heap->nodes =
            memory_resized(heap->nodes, (size_t)heap->capacity * sizeof(struct heap_node *));
    }
    node->key = key;
    node->order = heap->inserted++;
    sift_up(heap, heap->count++, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (node->place == -1)
        return;
    check(heap->nodes[node->place] == node);
    int32_t place = node->place;
    struct heap_node *last = heap->nodes[--heap->count];
    node->place = -1;
    if (last == node)
        return;
    if (place > 0 && before(last, heap->nodes[(place - 1) / 2]))
        sift_up(heap, place, last);
    else
        sift_down(heap, place, last);
}

struct heap_node *heap_first(const struct heap *heap)
{
    return heap->count ? heap->nodes[0] : NULL;
}
