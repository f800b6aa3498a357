#pragma once
/* The indexes of a segment that recovery replays into: what the files say of the bytes before the
 * journal's is kept but for the end, the rest is made anew. The checkpoint that freed the journal
 * before them has left both files complete up to segment_indexes_end (drain_indexes.c); if the time
 * index is not believed, both are made anew from the headers of the segment. Blocks. */
#include "base/bytes.h"
#include "base/error.h"

struct redo;

/* Begins with the segment that was bound: bytes are replayed from redo->written on. */
enum error redo_index_begin(struct redo *redo);

/* Notes batches that are replayed at `position`. */
enum error redo_index_note(struct redo *redo, struct bytes batches, int64_t position);

/* The log was cut at redo->written and ends at `end_offset`: what the time index has beyond goes.
 */
enum error redo_index_cut(struct redo *redo, int64_t end_offset);

/* Writes, cuts and, unless everything is, flushes both files. */
enum error redo_index_end(struct redo *redo);
