#pragma once
/* Directories that earlier versions have left behind (golden/), opened by this one: their files are
 * put on a disk of the world, stores are started there, and every log is read through. */
#include "base/arena.h"
#include "sim/disk.h"
#include "sim/world.h"
#include "storage/recovery.h"
#include "storage/store.h"

enum { GOLDEN_LOGS_MAX = 8, GOLDEN_CORES_MAX = 2, GOLDEN_FILES_MAX = 64 };

/* A file of an unpacked directory. Bytes are borrowed from the archive. */
struct golden_file {
    char path[128]; /* "data/plain-0/00000000000000000000.log"; a folder ends with a slash */
    struct bytes bytes;
};

struct golden_files {
    struct golden_file files[GOLDEN_FILES_MAX];
    int count;
    struct arena arena;
};

/* Unpacks a gzipped tar (ustar) at `path`. False: it can't be read. */
bool golden_unpack(struct golden_files *files, const char *path);
void golden_free(struct golden_files *files);

/* A disk with these files and nothing else; the caller's. */
struct disk *golden_disk(const struct golden_files *files);

/* A log, as it is to be looked for, and what was found. */
struct golden_log {
    /* arguments */
    const char *topic;
    int32_t partition;
    const char *topic_id; /* as partition.metadata has it */
    int32_t core;         /* whose journal holds it */
    /* results */
    enum error error; /* of opening or reading; then the rest is what was read before */
    int64_t start, end, records, batches;
    int64_t producers, last_stable;
    int32_t epochs;
    uint32_t crc; /* CRC-32C of a line "offset key:value" of each record */
};

/* Told of each batch that was read, whole. */
typedef void golden_batch(void *context, struct golden_log *log, struct bytes batch);

struct golden_start {
    /* arguments */
    const struct golden_files *files;
    struct golden_log *logs;
    int log_count, cores;
    bool replays;        /* as after a change of cores; else the journals are resumed */
    golden_batch *batch; /* or null */
    void *context;
    /* results */
    bool refused, fenced; /* refused: `why` tells */
    uint64_t found_bytes; /* in the journals */
    char why[600];
};

/* Starts on the files, reads all logs, stops cleanly, starts again and reads once more: the second
 * time the results must be the same, which is checked unless something was refused. Ends within a
 * bounded number of events, which is checked. */
void golden_run(struct golden_start *start);
