#pragma once
/* A walk over the batches in one segment's file: for what must be known of bytes that were written
 * before, when a log is opened or one of its caches is built anew. It reads headers; batches from
 * `whole_from` on it reads whole and checks their CRC, control batches it always reads whole.
 * Nothing is changed on disk. */
#include "reactor/buffers.h"
#include "reactor/core.h"

enum log_scan_result {
    SCAN_WAITS, /* a hold was taken on the flow: return STEP_AGAIN and call again */
    SCAN_BATCH, /* scan->batch is the next one */
    SCAN_ENDED, /* `end` is reached */
    SCAN_FAULT, /* scan->fault says why at scan->position */
};

struct log_scan {
    /* arguments */
    struct core *core;
    int32_t handle;        /* open for reading */
    uint64_t alignment;    /* of direct reads; 1 for a buffered handle */
    int64_t position, end; /* in the file; position moves on, and stays at a fault;
                              it may be set back */
    int64_t next_offset;   /* no batch from here on may begin below it; moves on */
    int64_t whole_from;    /* a position; INT64_MAX: only headers */
    int64_t ahead;         /* bytes to be read at once; 0: 64 KiB */
    /* results, good until the next step */
    const uint8_t *batch; /* its header; all of it if `whole` */
    int64_t batch_size;
    bool whole;
    const char *fault;
    enum error error; /* of the read that failed; NONE if the bytes are at fault */
    /* inside */
    struct op op;
    struct buffer *buffer;
    int64_t wanted, have; /* bytes to be read at once; end of what was read */
    bool reading;
};

/* Goes on to the next batch. */
enum log_scan_result log_scan_step(struct log_scan *scan, struct flow *flow);

/* Gives back the memory; the handle is the caller's. No read may be in flight. More than once does
 * no harm. */
void log_scan_done(struct log_scan *scan);
