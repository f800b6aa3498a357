#pragma once
/* Writes what compaction leaves of some segments into one file, `<base>.log.cleaned`, directly and
 * in large aligned pieces, and its index beside it. On the log's core. */
#include "base/bytes.h"
#include "reactor/flow.h"

struct log;
struct segment;

struct compaction_writer {
    struct log *log;
    struct segment *segment; /* new, in no log yet; the writer's until it is taken */
    enum error error;        /* of the operation that failed */
    const char *fault;       /* and what failed, a sentence */
    uint64_t written_bytes;
    /* inside */
    uint8_t *buffer;
    size_t buffer_bytes, least_bytes, filled;
    int64_t position; /* in the file, of the buffer's first byte: aligned */
    int32_t handle;
    uint8_t phase;
    struct op op;
    struct iovec vector;
    uint8_t *index;
    char path[1100];
};

/* The files will be named by `base_offset`. Takes no memory but for the segment. */
void compaction_writer_init(struct compaction_writer *writer, struct log *log, int64_t base_offset,
                            uint32_t buffer_bytes);

/* Adds a batch. Call compaction_writer_step before the next one. */
void compaction_writer_put(struct compaction_writer *writer, struct bytes batch,
                           int64_t last_offset);

/* Creates the file at the first call, and writes what has gathered if it is much. True: more may be
 * put, or writer->fault is set. False: a hold was taken: return STEP_AGAIN and call it again. */
bool compaction_writer_step(struct compaction_writer *writer, struct flow *flow);

/* Writes the rest, cuts the file to its size, writes the index, flushes both. As above; true: all
 * is on stable storage, or writer->fault is set. */
bool compaction_writer_finish(struct compaction_writer *writer, struct flow *flow);

/* Closes what is open. False: a hold was taken, call it again. */
bool compaction_writer_close(struct compaction_writer *writer, struct flow *flow);

/* Frees memory, and the segment unless it was taken. */
void compaction_writer_done(struct compaction_writer *writer);
