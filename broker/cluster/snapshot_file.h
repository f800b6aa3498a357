#pragma once
/* Files of snapshots of the metadata log, Kafka's (KIP-630): record batches like those of a log,
 * with offsets of their own from 0 on; the first is a control batch with a SnapshotHeaderRecord,
 * the last one with a SnapshotFooterRecord. A file without its footer was not written to its end.
 *
 *   <end offset, 20 digits>-<epoch, 10 digits>.checkpoint     what the log says below end offset
 *   ....checkpoint.part                                       being written; removed at a start
 *   ....checkpoint.damaged                                    put aside by a start */
#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "cluster/quorum.h"
#include <stdbool.h>
#include <stddef.h>

#define SNAPSHOT_SUFFIX         ".checkpoint"
#define SNAPSHOT_PART_SUFFIX    ".checkpoint.part"
#define SNAPSHOT_DAMAGED_SUFFIX ".checkpoint.damaged"

enum { SNAPSHOT_NAME_SIZE = 64 };

struct snapshot_id {
    int64_t end_offset; /* of the log, exclusive */
    int32_t epoch;      /* of the last record below it */
};

/* The name with `suffix` into name[SNAPSHOT_NAME_SIZE]. */
void snapshot_name(struct snapshot_id id, const char *suffix, char *name);

/* Parses such a name; false if it is none or has another suffix. */
bool snapshot_name_parse(const char *name, const char *suffix, struct snapshot_id *ret);

/* The control batches at the beginning and the end of a file, in the arena. The first has, behind
 * the header, what the quorum is to be known by. `last_ms`: the time of the last record that the
 * snapshot holds; `base_offset` of the footer: the number of records before it. NO_MEMORY. */
enum error snapshot_encode_header(struct arena *arena, const struct quorum *quorum, int32_t epoch,
                                  int64_t last_ms, struct bytes *ret);
enum error snapshot_encode_footer(struct arena *arena, int32_t epoch, int64_t last_ms,
                                  int64_t base_offset, struct bytes *ret);

/* What came of judging a file. */
struct snapshot_report {
    const char *fault; /* a phrase; null: it is whole */
    int64_t position;  /* of the batch with the fault */
    int64_t records;   /* those of control batches left out */
    int64_t last_ms;   /* as its header says; -1 if that can't be read */
};

/* Judges a whole file: framing, CRCs, dense offsets from 0, header first, footer last. */
bool snapshot_check(const uint8_t *data, size_t size, struct snapshot_report *ret);

/* Of a file's first bytes: the time in its header, or -1. */
int64_t snapshot_header_time(const uint8_t *data, size_t size);
