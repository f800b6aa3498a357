#pragma once
/* A start that goes on with a core's journal as the last run left it: nothing is written first.
 *
 *   read -> pieces of closed logs, in memory -> (ready) -> opened and drained as if just appended
 *
 * The live blocks are read back and become durable pieces that wait to be drained, so a start costs
 * reading the live part of the journal and nothing for each log. A log that has such pieces is
 * joined with its files when it is opened (log_open.c), by whoever needs it first or by its drain.
 * It may be interrupted anywhere: files change only as they do under load, with the journal behind
 * them. What this can't do (other cores than before, a disk with other sectors) recovery.h does. */
#include "base/bytes.h"
#include "base/error.h"

struct journal_content;
struct log;
struct piece;
struct store;

/* Where a closed log's first byte in the journal lies. Its pieces are in the log, its segments from
 * `segment_base` on too. */
struct log_resumed {
    int64_t segment_base, position;
    bool whole;                     /* the files hold nothing that the journal does not */
    bool end_known;                 /* log->appended_end is that of the log; else the files tell */
    bool cut;                       /* the files are to be cut off here first (log_open_cut.c): */
    int64_t cut_base, cut_position; /* place; base -1: nothing in them is the log's any more */
    int64_t cut_end;                /* the end then left; -1 likewise */
};

/* Sets up log->resumed of a log without segments and pieces, and its first segment. */
void resumed_begin(struct log *log, int64_t segment_base, int64_t position);

/* The log, which is resumed, ends here: pieces and segments from there on go, the files are to
 * follow. Base -1: it begins anew at `end_offset`. False: no log can have such a place. */
bool resumed_cut(struct log *log, int64_t segment_base, int64_t position, int64_t end_offset);

/* Does the file of this name lie beyond the place where the files are to be cut off? */
bool resumed_is_cut_off(const struct log *log, const char *name);

/* Its place in log->segments, of a log that is resumed. */
int32_t resumed_first_segment(const struct log *log);

/* A file of the segment with this base was found; others than those resumed are passed over. */
void resumed_exists(struct log *log, int64_t base_offset);

/* Do the files hold nothing that the journal does not? Also of a log that is not resumed. */
bool resumed_is_whole(const struct log *log);

/* None of the files is ours: what is left of the log is what the journal holds, if that. */
void resumed_forget_files(struct log *log);

/* Joins the pieces to the log that was opened, a bounded number at a call; *next is null at first.
 * True: all are, and behave from now on like what was just appended. */
bool resumed_take(struct log *log, const struct piece **next);

struct resume_names {
    /* The log, closed; null: it is gone, or was replayed by a pass of recovery before. */
    struct log *(*log)(void *context, struct uuid topic_id, int32_t partition);
    void *context;
};

/* Instead of store_begin, which is right where there was no journal. `content` is that of the
 * store's journal; its windows become the store's. store->resumed_bytes tells what was found; a
 * checkpoint should follow soon, which frees that memory and makes the next start short. MALFORMED:
 * entries do not join; nothing was changed on disk. A journal of an older version is one of this
 * version afterwards (journal_renew). Blocks. */
enum error store_resume(struct store *store, struct journal_content *content,
                        const struct resume_names *names);
