#pragma once
/* Start after a stop of any kind: replays the journals of a directory over the segments.
 *
 * Every entry of a live block is written at the place it was given when it was appended, so a
 * replay can be repeated, and interrupted, at any point. Afterwards each log that was touched ends
 * exactly with its last whole entry, in a file cut to that size, and everything is flushed; then,
 * and only then, new journals may begin. Runs on one thread before the cores serve (port_call). The
 * replay comes in passes: the metadata log first, since it names the folders of the others. Where
 * the cores are still those that wrote the journals, a second pass is not needed: each resumes its
 * own, and what lies there is drained while the broker serves (resume.h). */
#include "base/map.h"
#include "reactor/port.h"
#include "storage/journal_content.h"
#include "storage/log_starts.h"

struct recovery_journal {
    char *path;
    int32_t number; /* of the core that wrote it */
    bool loaded;    /* by the first pass */
    struct journal_content content;
};

struct recovery {
    struct port *port;
    const char *directory;
    int32_t directory_handle;
    struct recovery_journal *journals;
    int32_t journal_count, journal_capacity;
    struct map redos;   /* by topic id and partition: logs being replayed */
    struct map skipped; /* bound ids of logs that are not of this pass, per journal */
    struct map bound;   /* struct recovery_bound: every log that a journal holds something of */
    struct log_starts starts; /* of the files, and of what was replayed */
    bool starts_moved;        /* what is known is not in `log-starts` yet */
    uint64_t replayed_bytes, blocks;
    bool flush_all;     /* many logs: one OP_FLUSH_ALL at the end instead of two flushes each */
    bool strict;        /* a log whose files do not join with the journal refuses the start */
    char fault[512];    /* a sentence: file, position, reason, what to do */
    uint64_t set_aside; /* logs whose files did not join: the start goes on without them */
    char warning[600];  /* about the first of them; or empty */
};

/* Tells the folder of a log in this pass: its path into folder[size]; false: not in this pass, or
 * its topic is gone. */
struct recovery_names {
    bool (*folder)(void *context, struct uuid topic_id, int32_t partition, char *folder,
                   size_t size);
    void *context;
};

/* Lists the directory for journals, and reads where logs begin. An error may leave a sentence in
 * recovery->fault. */
enum error recovery_open(struct recovery *recovery, struct port *port, const char *directory);

/* A log, and the journal (its number is that of a core) that holds something of it. */
struct recovery_bound {
    struct uuid topic_id;
    int32_t partition, journal;
};

/* After a first pass: may the cores go on with the journals as they are (storage/resume.h), so that
 * no further pass is needed? Only if each log lies in the journal of the core that owns it now.
 * `core` tells that core, -1 if the log is gone. */
bool recovery_may_resume(const struct recovery *recovery, int core_count,
                         int32_t (*core)(void *context, struct uuid topic_id, int32_t partition),
                         void *context);

/* After a first pass: does any journal hold something of the log? */
bool recovery_holds(const struct recovery *recovery, struct uuid topic_id, int32_t partition);

/* The journal of that number, for store_resume; null: there is none, or no pass was made. */
struct journal_content *recovery_journal(const struct recovery *recovery, int32_t number);

/* One pass over all journals: writes, cuts and flushes the logs that `names` knows. An error leaves
 * recovery->fault: the journal is damaged in the middle, was written by a newer version, or the
 * disk failed. Nothing is cut then. */
enum error recovery_replay(struct recovery *recovery, const struct recovery_names *names);

/* Removes the folders of partitions that `names` does not know (deleted topics), and journals of
 * cores from `core_count` on. Only after the last pass. */
enum error recovery_clean(struct recovery *recovery, const struct recovery_names *names,
                          int core_count);

void recovery_close(struct recovery *recovery);
