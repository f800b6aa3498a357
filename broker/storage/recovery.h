#pragma once
/* Start after a stop of any kind: what the journals of one directory hold.
 *
 *   recovery_open -> recovery_read, by each core its share -> recovery_is_read -> passes
 *                                                             (recovery_pass.h), or stores resume
 *
 * Every entry of a live block is written at the place it was given when it was appended, so a
 * replay can be repeated, and interrupted, at any point. Afterwards each log that was touched ends
 * exactly with its last whole entry, in a file cut to that size, and everything is flushed; then,
 * and only then, new journals may begin. Runs before the cores serve (port_call). The replay comes
 * in passes: the metadata log first, since it names the folders of the others. Where the cores are
 * still those that wrote the journals, a second pass is not needed: each resumes its own, and what
 * lies there is drained while the broker serves (resume.h).
 *
 * Between recovery_open and recovery_is_read several threads may be at work, each in recovery_read
 * for journals of its own; all else is one thread's, or only looks. */
#include "base/map.h"
#include "reactor/port.h"
#include "storage/journal_content.h"
#include "storage/log_starts.h"
#include "storage/recovery_halt.h"
#include "storage/recovery_progress.h"

struct recovery_journal {
    char *path;
    int32_t number; /* of the core that wrote it */
    bool loaded;    /* by recovery_read, with or without an error; else that it was given up */
    enum error error;
    struct journal_content content;
    struct map bound; /* struct recovery_bound: every log that it holds something of */
};

struct recovery {
    struct port *port;
    const char *directory;
    int32_t directory_handle;
    struct recovery_journal *journals;
    int32_t journal_count, journal_capacity;
    struct log_starts starts; /* of the files, and of what was replayed */
    bool starts_moved;        /* what is known is not in `log-starts` yet */
    uint64_t replayed_bytes;
    bool strict;        /* a log whose files do not join with the journal refuses the start */
    char fault[512];    /* a sentence: file, position, reason, what to do */
    uint64_t set_aside; /* logs whose files did not join: the start goes on without them */
    char warning[600];  /* about the first of them; or empty */
    struct recovery_progress *progress; /* the caller's, set after recovery_open; or null */
    struct recovery_halt *halt;         /* the same */
    bool is_kafkas; /* a Kafka node died here: folders that no topic names stay, as strays */
};

/* Tells the folder of a log in this pass: its path into folder[size]; false: not in this pass, or
 * its topic is gone. */
struct recovery_names {
    bool (*folder)(void *context, struct uuid topic_id, int32_t partition, char *folder,
                   size_t size);
    /* For recovery_clean: does any topic have this log, in whatever directory? */
    bool (*exists)(void *context, struct uuid topic_id, int32_t partition);
    void *context;
};

/* Lists the directory for journals, and reads where logs begin. An error may leave a sentence in
 * recovery->fault. */
enum error recovery_open(struct recovery *recovery, struct port *port, const char *directory);

/* Reads the journals whose number leaves `share` when divided by `shares`, and notes of which logs
 * they tell. Errors are kept for recovery_is_read; after the first one nothing more is read. On the
 * thread of `port`; others may read other
 * shares meanwhile. */
void recovery_read(struct recovery *recovery, struct port *port, int share, int shares);

/* Once all shares are read: the first error, with a sentence in recovery->fault: a journal is
 * damaged in the middle, was written by a newer version, or the disk failed. CANCELLED: only
 * another directory's failed (recovery_halt.h). */
enum error recovery_is_read(struct recovery *recovery);

/* A log, and the journal (its number is that of a core) that holds something of it. */
struct recovery_bound {
    struct recovery_bound_key {
        struct uuid topic_id;
        int32_t partition;
    } key;
    bool recovered; /* counted in the progress */
};

/* The next log that a journal holds something of, some of them twice; null: that was all. Both
 * places are 0 at first. */
const struct recovery_bound *recovery_next_bound(const struct recovery *recovery, int32_t *journal,
                                                 uint32_t *place);

/* May the cores go on with the journals as they are (storage/resume.h), so that no further pass is
 * needed? Only if each log lies in the journal of the core that owns it now. `core` tells that
 * core, -1 if the log is gone. */
bool recovery_may_resume(const struct recovery *recovery, int core_count,
                         int32_t (*core)(void *context, struct uuid topic_id, int32_t partition),
                         void *context);

/* Does any journal hold something of the log? */
bool recovery_holds(const struct recovery *recovery, struct uuid topic_id, int32_t partition);

/* The journal of that number, for store_resume; null: there is none. */
struct journal_content *recovery_journal(const struct recovery *recovery, int32_t number);

/* A core goes on with the journal of that number: its logs are recovered, as far as a start goes.
 * On the thread of `port`. */
void recovery_count_resumed(const struct recovery *recovery, struct port *port, int32_t number);

/* On one thread: reads what was not read, and makes one pass (recovery_pass.h) over all journals
 * for the logs that `names` knows. An error leaves recovery->fault. Nothing is cut then. */
enum error recovery_replay(struct recovery *recovery, const struct recovery_names *names);

/* Removes the folders of partitions that `names` does not know (deleted topics), what deleted
 * topics have left in folders of others (orphans.h), and journals of cores from `core_count` on. Of
 * a Kafka node's directory it renames those folders, as Kafka does, to
 * `<topic>-<partition>.<32 hexadecimal digits>-stray`. Only after the last pass. */
enum error recovery_clean(struct recovery *recovery, const struct recovery_names *names,
                          int core_count);

void recovery_close(struct recovery *recovery);
