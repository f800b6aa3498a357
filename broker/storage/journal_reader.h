#pragma once
/* Reads the live blocks of a journal after a stop, in order. For recovery and `bole dump`. Blocks
 * (port_call). */
#include "reactor/buffers.h"
#include "reactor/port.h"
#include "storage/journal_format.h"

struct journal_reader {
    struct port *port;
    int32_t handle;
    int64_t file_size, position;
    struct anchor anchor;
    int64_t write_position; /* where the write began that the last block read was part of */
    uint64_t sequence;      /* of the next block */
    uint32_t chain;
    uint16_t lap;              /* of the last block read */
    uint32_t direct_alignment; /* of the disk it lies on now */
    int64_t live_bytes;    /* from the first live block to `position`, with what a wrap skipped */
    bool wrapped;          /* between the two */
    uint8_t *window;       /* bytes of the file from window_from on */
    struct buffers *keeps; /* not null: each window is a buffer of these, and stays (windows) */
    struct list windows;
    int64_t window_from, window_size, window_capacity;
    int64_t ahead;   /* size of the next window that is kept, if more is not asked for */
    bool wanted;     /* the newest of windows holds a block */
    bool fresh;      /* created, and no anchor ever written: nothing to read */
    char fault[160]; /* what is wrong, with the position, after CHECKSUM or NEWER_VERSION */
};

/* Opens the file at `path` and reads its anchor. CHECKSUM: both anchors are damaged, though they
 * were written. NEWER_VERSION. Close it in any case. */
enum error journal_reader_open(struct journal_reader *reader, struct port *port, const char *path);

/* From here on what was read stays in memory, in buffers taken from `buffers` past their budget, so
 * that entries are borrowed until journal_reader_close. */
void journal_reader_keep(struct journal_reader *reader, struct buffers *buffers);

/* With journal_reader_keep: the buffer that the last block's entries lie in. */
struct buffer *journal_reader_window(struct journal_reader *reader);

/* The next block's entries, borrowed until the next call. NONE with size 0: the end (a torn write,
 * if there is one, is not acknowledged and is not returned). CHECKSUM: a block is damaged though
 * later writes followed it: rot, not a torn end. */
enum error journal_reader_next(struct journal_reader *reader, struct bytes *ret_entries);

void journal_reader_close(struct journal_reader *reader);
