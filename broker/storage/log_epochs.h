#pragma once
/* The leader epochs of a log (logic/epochs.h) and their file, `leader-epoch-checkpoint` in Kafka's
 * format. The file is a cache of what the batches' headers say. A checkpoint writes it, with the
 * epochs that began in what has been drained, before the journal gives up the entries that would
 * tell; recovery makes the rest of it. Where it is missing or damaged, the scan at the log's
 * opening walks all headers and makes it anew. */
#include <stdbool.h>
#include <stdint.h>

#define EPOCHS_FILE "leader-epoch-checkpoint"

struct drain;
struct flow;
struct log;

/* Notes the batch whose header lies at `batch`, that was appended. */
void log_epochs_note(struct log *log, const uint8_t *batch);

/* The same of one that lies there already: nothing, if its epoch is known. */
void log_epochs_found(struct log *log, const uint8_t *batch);

/* This broker leads from now on with this epoch: what is appended next begins it. */
void log_epochs_lead(struct log *log, int32_t epoch);

/* The log was cut: from `end_offset` on, or before `start_offset`. */
void log_epochs_cut_end(struct log *log, int64_t end_offset);
void log_epochs_cut_start(struct log *log, int64_t start_offset);

/* Does the file lack an epoch that began in the segments, or have one that holds no longer? */
bool log_epochs_lag(const struct log *log);

/* Step of a drain for which a checkpoint waits: writes the file if it lags. */
enum step drain_epochs(struct flow *flow);
