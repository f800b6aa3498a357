#pragma once
/* The inside of the opening of a log, shared by log_open.c and log_open_newest.c. */
#include "storage/aside.h"
#include "storage/file_replace.h"
#include "storage/folder_script.h"
#include "storage/log_scan.h"
#include "storage/producer_load.h"
#include "storage/log_state.h"

enum { SCAN_BATCHES = 256 /* in one step */, OPENING_FAULT_BYTES = ASIDE_REASON_MOST + 1 };

struct log_opening {
    struct flow flow;
    struct op op;
    struct file_stat stat;
    struct log *log;
    struct buffer *buffer;
    struct waiter waiter;
    int32_t handle;
    uint8_t phase;
    struct leftovers *leftovers; /* of a compaction; null: none */
    uint8_t cut_phase;           /* of open_cut */
    struct folder_script cuts;   /* files beyond the end that the journal tells */
    struct folder_script below;  /* removals of indexes that have lost their segments */
    int64_t *index_bases;        /* of index files that may have lost their segment */
    int32_t index_base_count, index_base_capacity;
    bool counted;             /* in store->openings_at_work */
    int64_t aside;            /* the base of a file set aside (aside.h); -1: there is none */
    bool stale;               /* the folder is of another topic of this name */
    struct segment *newest;   /* whose end is looked through */
    bool uses_newest;         /* it has us as a user */
    int64_t limit;            /* its end in the file */
    int32_t stat_at;          /* the segment whose size is asked for */
    const struct piece *next; /* of those that are resumed, to be taken */
    bool offsets_lost;        /* the newest segment's offset index is not to be believed */
    bool times_lost;          /* nor its time index */
    enum error read_error;    /* of a small file that could not be read */
    int64_t position;         /* in a small file that is read */
    int32_t older;            /* the closed segment that is scanned, its place in log->segments */
    struct log_scan scan;
    struct file_replace replace;
    char path[1024];
    struct producer_load producers;
};

struct log_opening *opening_of(struct flow *flow);
void opening_start_op(struct log_opening *opening, struct op op);

/* Fails the log and skips to the end. */
enum step opening_give_up(struct log_opening *opening, const char *what);
enum step opening_scan_fault(struct log_opening *opening);

/* Of one of the segment's files, into opening->path. */
void opening_segment_path(struct log_opening *opening, const struct segment *segment,
                          const char *suffix);

/* Opens, reads into opening->buffer and closes the small file at opening->path. True: it waits.
 * False: it has ended; then *ret_size is the bytes read, -1 if there is no such file, -2 if it
 * can't be read. */
bool opening_read_file(struct log_opening *opening, int64_t *ret_size);

/* Steps: was it set aside, and is the folder its own (log_open_owner.c)? */
enum step open_aside(struct flow *flow);
enum step open_metadata(struct flow *flow);

/* Step: cuts off the files where the journal says that the log ended (log_open_cut.c). */
enum step open_cut(struct flow *flow);

/* Notes a file of the folder that is no segment, while it is listed. */
void opening_note_index(struct log_opening *opening, const char *name);

/* Removes index files whose segment has gone below the log start. */
enum step open_start(struct flow *flow);

/* Steps for the newest segment. */
enum step open_indexes(struct flow *flow);
enum step open_segment(struct flow *flow);
enum step open_judge(struct flow *flow);
enum step open_scan(struct flow *flow);
enum step open_rebuild(struct flow *flow);
