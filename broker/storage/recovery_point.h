#pragma once
/* Kafka's recovery point of a log: up to where all of it is flushed in its segments. Here nobody
 * needs it, for the journal knows; it is written for Kafka (cluster/offset_files.h). It costs two
 * numbers at the first append behind each mark, which names its place in the journal anyway. */
#include <stdint.h>

struct log;

/* The log is about to name its place behind the newest mark. */
void recovery_point_mark(struct log *log);

/* All of the log up to its appended end is in its files, or recovery puts it right: it was cut. */
void recovery_point_cut(struct log *log);

/* An offset; never above the truth. -1: nothing is known, for the log was not opened. */
int64_t recovery_point(const struct log *log);
