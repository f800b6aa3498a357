#pragma once
/* Start after a stop of any kind: replays the journals of a directory over the segments.
 *
 * Every entry of a live block is written at the place it was given when it was appended, so a
 * replay can be repeated, and interrupted, at any point. Afterwards each log that was touched ends
 * exactly with its last whole entry, in a file cut to that size, and everything is flushed; then,
 * and only then, store_open may begin new journals. Runs on one thread before the cores serve
 * (port_call). The replay comes in passes: the metadata log first, since it names the folders of
 * the others. */
#include "base/map.h"
#include "reactor/port.h"
#include "storage/journal_format.h"

struct recovery {
    struct port *port;
    const char *directory;
    int32_t directory_handle;
    char **journals; /* paths */
    int32_t journal_count, journal_capacity;
    struct map redos;   /* by topic id and partition: logs being replayed */
    struct map skipped; /* bound ids of logs that are not of this pass, per journal */
    uint64_t replayed_bytes, blocks;
    bool flush_all;  /* many logs: one OP_FLUSH_ALL at the end instead of two flushes each */
    char fault[512]; /* a sentence: file, position, reason, what to do */
};

/* Tells the folder of a log in this pass: its path into folder[size]; false: not in this pass, or
 * its topic is gone. */
struct recovery_names {
    bool (*folder)(void *context, struct uuid topic_id, int32_t partition, char *folder,
                   size_t size);
    void *context;
};

/* Lists the directory for journals. */
enum error recovery_open(struct recovery *recovery, struct port *port, const char *directory);

/* One pass over all journals: writes, cuts and flushes the logs that `names` knows. An error leaves
 * recovery->fault: the journal is damaged in the middle, was written by a newer version, or the
 * disk failed. Nothing is cut then. */
enum error recovery_replay(struct recovery *recovery, const struct recovery_names *names);

/* Removes the folders of partitions that `names` does not know (deleted topics), and journals of
 * cores from `core_count` on. Only after the last pass. */
enum error recovery_clean(struct recovery *recovery, const struct recovery_names *names,
                          int core_count);

void recovery_close(struct recovery *recovery);
