#pragma once
/* The replay of one log: gathers entries, writes them where they belong, cuts the end. Blocks. */
#include "base/bytes.h"
#include "logic/epochs.h"
#include "reactor/port.h"
#include <stdbool.h>

struct recovery_pass;
struct segment;

struct redo {
    struct redo_key {
        struct uuid topic_id;
        int32_t partition;
    } key;
    struct recovery_pass *pass;
    char folder[1024];
    int64_t segment_base;
    bool bind_pending; /* what comes next goes to a place where nothing was opened yet: */
    int64_t bound_base, bound_position;
    int32_t handle;        /* of the segment; -1 */
    int64_t written;       /* all bytes of the segment below it are in the file */
    uint8_t *gathered;     /* the bytes from `written` on */
    struct segment *index; /* of the segment: only its indexes are used */
    bool times_pending;    /* what lies before the first replayed batch is not looked at yet */
    bool times_lost;       /* ... and its time index is not to be believed */
    struct epochs epochs;  /* of the log */
    bool epochs_uncut;     /* may still have some of what is replayed */
    bool epochs_lost;      /* the file is missing or damaged */
    uint8_t *epochs_text;  /* the file as it was; null: it is not looked at */
    int64_t epochs_size;   /* bytes of it */
    int64_t gathered_size, gathered_capacity, last_entry_size;
    bool bound;          /* its first segment was opened: from here on files change */
    bool aside;          /* its entries go to a file aside (redo_aside.h) */
    bool aside_appended; /* one of them has records */
    int64_t aside_first; /* their first offset; of none, the base of the segment */
    char *aside_reason;  /* a sentence */
    uint8_t *aside_data; /* the entries */
    size_t aside_size, aside_capacity;
};

/* Begins with a log: makes sure its folder is there and of this topic. `whole`: the journal holds
 * the log from its first byte on, so that a folder of somebody else's is a leftover and is removed.
 */
enum error redo_begin(struct redo *redo, struct recovery_pass *pass, bool whole);

/* From here on bytes go to this segment and position, if any do. */
enum error redo_bind(struct redo *redo, int64_t segment_base, int64_t position);

enum error redo_append(struct redo *redo, struct bytes batches);

/* The log ended there (ENTRY_CUT): cuts off what the segment has beyond, removes files beyond it.
 */
enum error redo_cut(struct redo *redo, int64_t segment_base, int64_t position, int64_t end_offset);

/* Frees what an error has left. The handle is the caller's. */
void redo_done(struct redo *redo);

/* Writes the rest, cuts the file there, removes segments beyond it, flushes file and folder. */
enum error redo_end(struct redo *redo);

/* Writes `size` bytes of a file that is open. */
enum error redo_write(struct recovery_pass *pass, int32_t handle, const void *data, int64_t size,
                      int64_t offset);

/* Removes `folder` with its files. Nothing of that is flushed here: what a crash brings back is
 * removed once more, for then the journal still holds the log that takes its place, or no topic
 * names the folder; and that it is gone is flushed by recovery_clean or store_open. */
enum error redo_remove_folder(struct recovery_pass *pass, const char *folder);

/* Lists a folder and calls `each` with kind ('d', 'f') and name, until it returns an error. */
enum error redo_list(struct port *port, const char *folder,
                     enum error (*each)(void *context, char kind, const char *name), void *context);
