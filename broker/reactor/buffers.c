#include "reactor/buffers.h"
#include "reactor/flow.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"

void buffers_init(struct buffers *buffers, size_t budget_bytes, size_t keep_bytes)
{
    *buffers = (struct buffers){.budget_bytes = budget_bytes, .keep_bytes = keep_bytes};
    for (int i = 0; i <= BUFFER_CLASSES; i++)
        list_init(&buffers->kept[i]);
    list_init(&buffers->waiters);
}

static void free_buffer(struct buffer *buffer)
{
    memory_free(buffer->data);
    memory_free(buffer);
}

/* Frees of what is kept, the largest first, until no more than `most` bytes are. */
static void trim(struct buffers *buffers, size_t most)
{
    for (int i = BUFFER_CLASSES; i >= 0 && buffers->kept_bytes > most; i--)
        for (struct list *node;
             buffers->kept_bytes > most && (node = list_pop(&buffers->kept[i]));) {
            struct buffer *buffer = CONTAINER_OF(node, struct buffer, link);
            buffers->kept_bytes -= buffer->size;
            free_buffer(buffer);
        }
}

void buffers_keep(struct buffers *buffers, size_t keep_bytes, bool large_pages)
{
    buffers->keep_bytes = keep_bytes;
    buffers->large_pages = large_pages;
    trim(buffers, keep_bytes);
}

void buffers_done(struct buffers *buffers)
{
    check(buffers->used_bytes == 0);
    trim(buffers, 0);
}

static int class_of(size_t size)
{
    int class = 0;
    while (class < BUFFER_CLASSES && ((size_t)BUFFER_ALIGNMENT << class) < size)
        class ++;
    return class < BUFFER_CLASSES ? class : -1;
}

/* What a buffer of `size` bytes takes of the budget. */
static size_t charged_size(size_t size)
{
    int class = class_of(size);
    return class >= 0 ? (size_t)BUFFER_ALIGNMENT << class : align_up(size, BUFFER_ALIGNMENT);
}

/* One that is kept, of that class or, without one, of about that size; or null. */
static struct list *take_kept(struct buffers *buffers, int class, size_t size)
{
    if (class >= 0)
        return list_pop(&buffers->kept[class]);
    struct list *kept = &buffers->kept[BUFFER_CLASSES];
    for (struct list *node = kept->next; node != kept; node = node->next) {
        const struct buffer *buffer = CONTAINER_OF(node, struct buffer, link);
        if (buffer->size >= size && buffer->size - size <= size / 4) {
            list_remove(node);
            return node;
        }
    }
    return NULL;
}

static struct buffer *new_buffer(struct buffers *buffers, int class, size_t size)
{
    size_t used = buffers->used_bytes + size;
    trim(buffers, used < buffers->budget_bytes ? buffers->budget_bytes - used : 0);
    struct buffer *buffer = memory_zeroed(sizeof *buffer);
    bool large = buffers->large_pages && size >= MEMORY_LARGE_PAGE;
    buffer->data = memory_aligned(large ? MEMORY_LARGE_PAGE : BUFFER_ALIGNMENT, size);
    if (large)
        memory_prefer_large_pages(buffer->data, size);
    buffer->size = size;
    buffer->class = (int8_t) class;
    buffer->owner = buffers;
    list_init(&buffer->link);
    return buffer;
}

struct buffer *buffers_take_always(struct buffers *buffers, size_t size)
{
    int class = class_of(size);
    size_t rounded = charged_size(size);
    struct list *node = take_kept(buffers, class, rounded);
    struct buffer *buffer =
        node ? CONTAINER_OF(node, struct buffer, link) : new_buffer(buffers, class, rounded);
    if (node)
        buffers->kept_bytes -= buffer->size;
    check(buffer->references == 0);
    buffer->references = 1;
    buffers->used_bytes += buffer->size;
    return buffer;
}

struct buffer *buffers_take(struct buffers *buffers, size_t size)
{
    if (buffers->used_bytes + charged_size(size) > buffers->budget_bytes) {
        if (buffers->used_bytes > buffers->aside_bytes || MUTANT(budget_too_small_waits_for_ever))
            return NULL;
        REACHED("let through alone");
    }
    return buffers_take_always(buffers, size);
}

void buffer_move(struct buffer *buffer, struct buffers *to)
{
    check(buffer->references > 0 && !buffer->set_aside);
    buffer->owner->used_bytes -= buffer->size;
    waiters_wake(&buffer->owner->waiters);
    to->used_bytes += buffer->size;
    buffer->owner = to;
}

void buffer_set_aside(struct buffer *buffer)
{
    check(buffer->references == 1 && !buffer->set_aside);
    buffer->set_aside = true;
    buffer->owner->aside_bytes += buffer->size;
}

void buffer_reference(struct buffer *buffer)
{
    check(buffer->references > 0);
    buffer->references++;
}

void buffer_release(struct buffer *buffer)
{
    if (!buffer)
        return;
    check(buffer->references > 0);
    if (--buffer->references > 0)
        return;
    struct buffers *owner = buffer->owner;
    if (buffer->set_aside)
        owner->aside_bytes -= buffer->size;
    buffer->set_aside = false;
    owner->used_bytes -= buffer->size;
    if (owner->kept_bytes + buffer->size <= owner->keep_bytes) {
        owner->kept_bytes += buffer->size;
        list_push_front(&owner->kept[buffer->class >= 0 ? buffer->class : BUFFER_CLASSES],
                        &buffer->link);
    } else {
        free_buffer(buffer);
    }
    waiters_wake(&owner->waiters);
}
