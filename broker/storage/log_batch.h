#pragma once
/* What a log notes of each of its batches, one place for all who want to know: the indexes, and
 * what else is a cache of the log. A batch is noted once when it is appended and once by the scan
 * at each opening (log_open.c), in the order of offsets. */
#include <stdint.h>

struct log;
struct segment;

/* `batch` was appended just now, whole and numbered, at `position` of the segment. */
void log_appended_batch(struct log *log, struct segment *segment, const uint8_t *batch,
                        int64_t position);

/* The scan at the log's opening has come by `batch`: its header, all of it if it is a control batch
 * or lies behind the last index entry of the newest segment. */
void log_opened_batch(struct log *log, struct segment *segment, const uint8_t *batch,
                      int64_t position);

/* Where the scan at opening is to begin: at the batch that holds this offset, or before it. Called
 * once the folder was listed. INT64_MAX: what the newest segment's index leaves open is enough. */
int64_t log_opening_floor(const struct log *log);
