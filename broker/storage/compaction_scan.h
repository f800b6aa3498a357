#pragma once
/* Walks the batches of a closed segment for compaction: direct reads, so that the page cache stays
 * with those who read the log, into memory of its own of a bounded size; a batch that is larger
 * gets as much as it needs. Every batch's CRC is looked at and, at the segment's end, the header
 * fields by its sidecar: a rewrite would make rot in these look right for ever. On the log's core.
 */
#include "protocol/batch.h"
#include "reactor/flow.h"

struct segment;
struct sidecar;
struct store;

enum compaction_scan_result {
    COMPACTION_SCAN_WAITS, /* a hold was taken: return STEP_AGAIN and call it again */
    COMPACTION_SCAN_BATCH,
    COMPACTION_SCAN_END,
    COMPACTION_SCAN_FAILED, /* scan->fault says why */
};

struct compaction_scan {
    struct store *store;
    struct segment *segment; /* being walked; in use (segment->users) until the scan is closed */
    int64_t position;        /* of the next batch */
    uint64_t read_bytes;     /* ever */
    const char *suffix;      /* of the file; ".log" unless it is set */
    const char *fault;       /* why it failed, a sentence */
    enum error error;        /* of the operation that did; NONE: it is rot */
    /* inside */
    uint8_t *buffer;
    size_t buffer_bytes, least_bytes;
    int64_t from, to; /* of the file: what is in the buffer */
    int32_t handle;
    bool opened;
    bool had;             /* the segment's sidecar was in memory */
    struct sidecar *made; /* of the batches so far */
    struct waiter waiter;
    struct op op;
    char path[1100];
};

/* Takes no memory yet. */
void compaction_scan_init(struct compaction_scan *scan, struct store *store, uint32_t buffer_bytes);

/* Begins with the first batch of `segment`, whose size must be known. */
void compaction_scan_begin(struct compaction_scan *scan, struct segment *segment);

/* Goes on to the next batch; it is good until the next call. */
enum compaction_scan_result compaction_scan_step(struct compaction_scan *scan, struct flow *flow,
                                                 struct batch *ret_batch);

/* Closes the file. False: a hold was taken, call it again. More than once does no harm. */
bool compaction_scan_close(struct compaction_scan *scan, struct flow *flow);

/* Frees the memory; the file must have been closed. */
void compaction_scan_done(struct compaction_scan *scan);
