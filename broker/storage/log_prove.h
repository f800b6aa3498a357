#pragma once
/* Part of a read from a closed segment's file: before batches are given to anybody, the sidecar
 * proves their base offsets and leader epochs, which no CRC of a batch covers. A read begins at the
 * beginning of a run, at most SIDECAR_RUN_BYTES earlier than it would, and looks at the headers of
 * whole runs; so each read proves what it gives, and nothing need be remembered. A segment without
 * a sidecar is read as it is. */
#include "storage/log.h"

/* The read is to begin at read->position: sets it back to where its run begins. */
void log_prove_begin(struct log_read *read);

enum log_proof {
    LOG_PROVED,    /* all before `end`, or there is no sidecar */
    LOG_UNPROVED,  /* all before read->proved only: more bytes are needed, up to *ret_needed */
    LOG_DISPROVED, /* all before read->proved only: there is rot behind it; it has been told */
};

/* Proves the runs that begin before `end`, by `data`: the bytes of the file from `from` on. */
enum log_proof log_prove(struct log_read *read, struct bytes data, int64_t from, int64_t end,
                         int64_t *ret_needed);

/* The file must be read up to here before the batch at `position` can be proved: its headers at
 * least. 0: nothing is to be proved. */
int64_t log_prove_reach(const struct log_read *read, int64_t position);

/* Tells of rot in a closed segment, once for each: what is wrong, where, and what can be done. */
struct sidecar_fault;
void log_tell_rot(struct segment *segment, const char *suffix, const struct sidecar_fault *fault);
