#pragma once
/* The inside of a log, shared by the files of this folder and by cluster/partition.c, which embeds
 * nothing of it but keeps a pointer. See log.h for what it does. */
#include "logic/epochs.h"
#include "storage/log.h"
#include "storage/producer_state.h"
#include "storage/resume.h"
#include "storage/segment.h"

/* Bytes of one append, in a slab of the journal, until they have been drained. A piece lies wholly
 * in one segment. */
struct piece {
    struct piece *next;
    struct buffer *slab;
    const uint8_t *data;
    struct segment *segment;
    uint64_t sequence; /* of the journal block */
    int64_t base_offset, end_offset;
    uint32_t size, position; /* bytes; place in the segment's file */
};

/* Names of a log. The folder is `<directory>/<topic>-<partition>`. */
struct log_identity {
    struct uuid topic_id;
    int32_t partition;
    struct string topic; /* copied */
};

struct log {
    struct store *store;
    const struct log_settings *settings;
    struct log_settings last_settings; /* a copy, once the log is removed */
    struct uuid topic_id;
    int32_t partition;
    uint32_t id; /* in the journal */
    enum log_state state;
    enum error error;          /* of LOG_FAILED */
    char *fault;               /* a sentence: file, position, reason; or null */
    bool unreadable;           /* an operation failed: it says nothing of what the files hold */
    bool set_aside;            /* what its journal held lies in a file (aside.h) */
    bool essential;            /* appended to on a full disk, too (space.h) */
    bool removed;              /* its topic is gone: pieces are dropped, files removed */
    char *folder;              /* path, no trailing slash */
    struct segment **segments; /* by base offset; the last one is active */
    int32_t segment_count, segment_capacity;
    int64_t log_start, durable_end, appended_end; /* log_start of a closed one: as far as told */
    uint64_t start_sequence;   /* of the block that tells of log_start (log_start.h) */
    struct list start_link;    /* in store->starts */
    struct list retained;      /* in retention->logs or ->pending (retention.h) */
    int64_t retention_due_ms;  /* while it is closed nothing of it is due before, by age, */
    int64_t retention_due_end; /* if it still ends here: what came later may be older */
    struct list retire_link;   /* with its store's retirer (retire.h) */
    int32_t retiring;          /* segments below log_start whose names have not gone for good */
    struct epochs epochs;
    int32_t epochs_written;    /* of them, the first so many are in the file */
    bool epochs_cut;           /* the file has some that hold no longer */
    bool epochs_file;          /* there is one */
    bool epochs_lost;          /* while it is opened: the file did not tell, the scan does */
    uint64_t bound_sequence;   /* of the block with the last BIND */
    int64_t recovery_point;    /* see recovery_point.h; -1: not known */
    uint64_t marked_sequence;  /* the mark behind which it was bound last, */
    int64_t marked_end;        /* and the appended end then */
    uint64_t touched_sequence; /* of the last block with an append */
    struct piece *oldest, *newest, *first_not_durable;
    int64_t undrained_bytes; /* durable and not drained: what a drain may take */
    struct list unsettled;   /* in store->unsettled: has pieces, or its file is not trimmed */
    struct list ready;       /* in store->ready while it is due */
    struct list dirty_folder;
    bool folder_exists, draining;
    bool owner_lost; /* the next drain writes partition.metadata before anything else */
    bool forced;     /* the running checkpoint waits for it */
    struct list open_waiters,
        idle_waiters; /* opened or failed; no drain or read at work any more */
    struct log_opening *opening;
    struct log_cut *cut;             /* under way (log_truncate.h): appends and reads wait */
    enum error cut_error;            /* of the last one, until its caller was told */
    uint64_t cut_sequence;           /* of the block with the last CUT entry */
    struct log_resumed *resumed;     /* until it is opened; null: the journal held nothing of it */
    struct producer_state producers; /* of its batches */
    int32_t reads;                   /* at work */
    int32_t holders;                 /* flows of the layers above that use it */
    struct list opened;              /* in store->opened while it is open (log_close.h) */
    int64_t used_ns;                 /* when it was asked for last, while it is open */
    bool was_closed;                 /* it was open before, and ended here: */
    int64_t closed_end;
    struct list scrubbed;  /* in scrub->logs or ->pending */
    struct list cleanable; /* in cleaner->logs or ->pending, while it is compacted */
    int64_t cleaned_end;   /* compacted below; -1: not known */
    /* What the cleaner's last look found, for while the log is closed: nothing is due before due_ms
     * (INT64_MIN: not known) as long as it has the same ends. */
    struct {
        int64_t due_ms, start, end, committed_end;
        double dirty_ratio;
    } looked;
    bool cleaning;      /* a pass is at work on its closed segments */
    bool stop_cleaning; /* the pass at work is to end soon; wait in idle_waiters */
    bool uncleanable;   /* it has rot: no pass tries it again */
    /* Told when durable_end has moved or the log has failed. May wake flows, nothing more. */
    void (*moved)(struct log *log, void *context);
    /* Up to where what it holds is committed and decided; null: the durable end. */
    int64_t (*stable_end)(const struct log *log, void *context);
    /* Below it nothing is ever cut off: the high watermark. Null: 0, and that nobody cuts. */
    int64_t (*committed_end)(const struct log *log, void *context);
    void *context;
};

struct log *log_new(struct store *store, const struct log_identity *identity,
                    const struct log_settings *settings);

/* For a deleted topic: drops what is in memory, and once nobody uses the log any more closes and
 * removes its files and frees it. The pointer is good only for those who hold it (log->holders). */
void log_remove(struct log *log);

/* Does a drain, a read, its opening or a cut use it just now? */
bool log_is_in_use(const struct log *log);

/* Frees the memory. Its drains and reads must have ended (log_is_quiet), its files been closed. */
void log_free(struct log *log);

/* The oldest segment that was rolled and is wholly drained, but not trimmed; or null. */
struct segment *log_untrimmed_segment(const struct log *log);

/* Is there nothing of an empty log that could tell where it begins? A drain makes the file. */
bool log_needs_file(const struct log *log);

/* Has everything before the running checkpoint's mark reached the segments, with its index entries,
 * and is the newest one trimmed unless something came after the mark? */
bool log_is_settled(const struct log *log);

/* The running checkpoint need not wait for it any longer. */
void log_unforce(struct log *log);

/* Nothing of the store points at it any more: no piece, drain, read or flush. */
bool log_is_quiet(const struct log *log);

/* Does nobody use its files (but one of `looked_at`, which may be null), and is everything in them,
 * trimmed, with its indexes, flushed, and freed in the journal? */
bool log_rests(const struct log *log, const struct segment *looked_at);

/* Called by the journal: blocks up to `sequence` are on stable storage. */
void log_durable_moved(struct log *log, uint64_t sequence);

/* Fails the log: every later call returns `error`; who waits is woken. */
void log_fail(struct log *log, enum error error);

/* The newest segment, or null before the first append to an empty log. */
struct segment *log_active(const struct log *log);

/* Adds a segment at the end. */
struct segment *log_add_segment(struct log *log, int64_t base_offset);

/* Adds a piece at the end, not durable yet. */
struct piece *log_new_piece(struct log *log);

/* Tells of the batches of a piece that was just added (log_batch.h). */
void log_note_piece(struct log *log, const struct piece *piece);

/* Writes a BIND to `segment` at `to` (ENTRY_BIND_SIZE_MAX, reserved in the journal) if an entry of
 * this log needs one before it, or with `anew` in any case; *entries grows by it. Its bytes. */
uint32_t log_bind(struct log *log, struct segment *segment, bool anew, uint8_t *to,
                  uint32_t *entries);

/* Closes the newest segment, which is not empty: the next append goes to a new one. */
void log_roll(struct log *log);

/* Drops the oldest piece. */
void log_drop_oldest(struct log *log);

/* The newest segment whose base is at or below `offset`, or null. */
struct segment *log_segment_at(const struct log *log, int64_t offset);
