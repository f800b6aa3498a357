#pragma once
/* Reads the live blocks of a journal after a stop, in order. For recovery and `bole dump`. Blocks
 * (port_call). */
#include "reactor/port.h"
#include "storage/journal_format.h"

struct journal_reader {
    struct port *port;
    int32_t handle;
    int64_t file_size, position;
    struct anchor anchor;
    uint64_t sequence; /* of the next block */
    uint32_t chain;
    uint8_t *window; /* bytes of the file from window_from on */
    int64_t window_from, window_size, window_capacity;
    bool fresh;      /* created, and no anchor ever written: nothing to read */
    char fault[160]; /* what is wrong, with the position, after CHECKSUM or NEWER_VERSION */
};

/* Opens the file at `path` and reads its anchor. CHECKSUM: both anchors are damaged, though they
 * were written. NEWER_VERSION. Close it in any case. */
enum error journal_reader_open(struct journal_reader *reader, struct port *port, const char *path);

/* The next block's entries, borrowed until the next call. NONE with size 0: the end (a torn write,
 * if there is one, is not acknowledged and is not returned). CHECKSUM: a block is damaged though
 * later writes followed it: rot, not a torn end. */
enum error journal_reader_next(struct journal_reader *reader, struct bytes *ret_entries);

void journal_reader_close(struct journal_reader *reader);
