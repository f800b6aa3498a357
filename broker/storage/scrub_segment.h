#pragma once
/* The scrub of one closed segment: all of its bytes are read, past the page cache, and compared
 * with what is known of them.
 *
 *   size -> sidecar -> open -> scan -> close -> compare -> caches -> end
 *
 * Each batch's CRC, that offsets grow, the header fields by the sidecar, the files beside the .log
 * by it. A segment without a sidecar, or with one of other batches, gets one. Rot is told
 * (log_prove.h); indexes are made anew, that of transactions from memory, if what it has is what
 * the sidecar says. Nothing is changed else. */
#include "storage/file_read.h"
#include "storage/file_replace.h"
#include "storage/log_scan.h"
#include "storage/sidecar.h"

struct segment;

struct scrub_segment {
    struct segment *segment; /* in use; null: none is at work */
    struct sidecar *made;    /* of what is read */
    struct log_scan scan;
    struct file_read read;
    struct file_replace mend; /* of the index of transactions */
    struct bytes mended;      /* what is written; null: nothing is */
    struct op op;
    struct file_stat stat;
    struct waiter waiter;
    int64_t charged; /* position up to which read_bytes counts */
    int32_t handle;
    uint8_t phase, file;
    bool off;            /* given up */
    bool had;            /* its sidecar was in memory */
    uint64_t read_bytes; /* in all; the caller's to charge */
    uint64_t rot;        /* files in which there is some, in all */
    char path[1024];
};

enum scrub_result {
    SCRUB_WAITS, /* a hold was taken */
    SCRUB_READ,  /* a piece was read: charge it, and call again */
    SCRUB_ENDED,
};

void scrub_segment_begin(struct scrub_segment *scrub, struct segment *segment);

/* Goes on, in a step of `flow`. It ends soon when the segment goes or the store stops. */
enum scrub_result scrub_segment_step(struct scrub_segment *scrub, struct flow *flow);
