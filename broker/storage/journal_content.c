#include "storage/journal_content.h"
#include "base/check.h"
#include "base/memory.h"

static void add_block(struct journal_content *content, struct bytes entries)
{
    if (content->count == content->capacity) {
        content->capacity = content->capacity ? 2 * content->capacity : 64;
        content->blocks = memory_resized(content->blocks, (size_t)content->capacity *
                                                              sizeof(struct journal_content_block));
    }
    content->blocks[content->count++] =
        (struct journal_content_block){entries, journal_reader_window(&content->reader)};
}

enum error journal_content_load(struct journal_content *content, struct port *port,
                                const char *path, struct recovery_progress *progress,
                                const struct recovery_halt *halt)
{
    *content = (struct journal_content){0};
    buffers_init(&content->buffers, SIZE_MAX, 0);
    enum error error = journal_reader_open(&content->reader, port, path);
    journal_reader_keep(&content->reader, &content->buffers);
    struct bytes entries = {NULL, 1};
    while (!error && entries.size > 0) {
        error = recovery_is_off(halt) ? ERROR_CANCELLED
                                      : journal_reader_next(&content->reader, &entries);
        if (error || entries.size == 0)
            break;
        add_block(content, entries);
        recovery_moved(progress, port, RECOVERY_JOURNAL_BYTES, (uint64_t)entries.size);
    }
    return error;
}

void journal_content_take(struct journal_content *content, struct buffers *to)
{
    for (struct list *node = content->reader.windows.next; node != &content->reader.windows;
         node = node->next)
        buffer_move(CONTAINER_OF(node, struct buffer, link), to);
}

void journal_content_done(struct journal_content *content)
{
    journal_reader_close(&content->reader);
    buffers_done(&content->buffers);
    memory_free(content->blocks);
    content->blocks = NULL;
}
