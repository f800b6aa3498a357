#pragma once
/* The live blocks of a journal, read once at a start and kept in memory: the passes of recovery go
 * over them, and a core that resumes its journal takes them over as they lie. Blocks (port_call).
 */
#include "storage/journal_reader.h"
#include "storage/recovery_halt.h"
#include "storage/recovery_progress.h"

struct journal_content {
    struct journal_reader reader; /* at its end */
    struct buffers buffers;       /* the windows; journal_content_take moves them away */
    struct journal_content_block {
        struct bytes entries;
        struct buffer *window;
    } * blocks;
    int32_t count, capacity;
};

/* Reads all live blocks of the file at `path`; `progress` counts their bytes, or null. An error
 * leaves a sentence in reader.fault or none; see journal_reader_open and journal_reader_next.
 * CANCELLED: it was given up, as `halt` says, which may be null. journal_content_done follows in
 * any case. */
enum error journal_content_load(struct journal_content *content, struct port *port,
                                const char *path, struct recovery_progress *progress,
                                const struct recovery_halt *halt);

/* The windows are charged to `to` from here on; each block's stays referenced until
 * journal_content_done. */
void journal_content_take(struct journal_content *content, struct buffers *to);

void journal_content_done(struct journal_content *content);
