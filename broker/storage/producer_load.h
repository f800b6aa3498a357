#pragma once
/* Loads a log's producers: the newest good snapshot at or below the end, then the headers of the
 * batches from there on (log_scan.h). Used when a log is opened; and to be used, on an idle
 * log, when its end was cut.
 *
 *   choose -> snapshot -> indexes of transactions -> segments -> remove what lies beyond the end
 *
 * An index of transactions that is damaged takes all snapshots out of use that rest on it: the
 * replay then begins before its segment and makes it again. */
#include "base/error.h"
#include "storage/log_scan.h"
#include "storage/log_state.h"
#include "storage/sidecar.h"

struct producer_load {
    struct flow *flow; /* whose step calls */
    struct log *log;
    struct op op;
    struct file_stat stat;
    struct buffer *buffer;
    int64_t snapshot;       /* offset of the one in use; -1: none, from the start */
    int64_t limit;          /* only snapshots at or below are believed */
    int64_t position;       /* in `segment`: where the replay begins; of a fault */
    int64_t offset;         /* the next batch begins here, or later */
    size_t got;             /* of a small file */
    int32_t segment, index; /* numbers: of log->segments, of producers.txn_indexes */
    int32_t handle;
    uint8_t phase, file_phase;
    bool cut;                   /* a file was removed: the folder is to be flushed */
    struct sidecar_cache noted; /* of the index that is read, by its sidecar */
    int64_t noted_size;         /* of the sidecar's file */
    uint8_t noting;             /* how far that is looked at */
    bool noted_read;            /* it was */
    struct log_scan scan;
    char path[1024];
    const char *fault;      /* why the log fails, a sentence */
    enum error fault_error; /* of the operation that failed; NONE: what was read is wrong */
};

/* Sets up `load` for a log whose segments and end are known. */
void producer_load_init(struct producer_load *load, struct log *log, struct flow *flow);

/* The next part of the work; call it in a step of the flow. WOULD_WAIT: call again, in the next
 * step (a hold was taken, or the step was long enough). NONE: done. KAFKA_STORAGE_ERROR:
 * load->fault says why, the file is load->path. */
enum error producer_load_step(struct producer_load *load);

/* Gives back what it holds; after producer_load_step has ended. */
void producer_load_done(struct producer_load *load);
