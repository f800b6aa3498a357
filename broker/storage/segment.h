#pragma once
/* A segment: `<base offset, 20 digits>.log`, its offset index and its time index (time_index.h), in
 * Kafka's formats. While it is the newest it is written directly, in aligned blocks, and may be
 * allocated ahead: sizes here are logical. Rolled, drained, trimmed and flushed it is `sealed` and
 * is read through the page cache.
 */
#include "base/bytes.h"
#include "base/error.h"
#include "base/list.h"
#include "storage/time_index.h"
#include <stdbool.h>
#include <stdint.h>

struct log;

/* Of the end of a segment that grows, the index files may lack entries across checkpoints: with
 * very many partitions each gets a few batches between two of them, and writing the entries of
 * those would cost more than the batches. Recovery looks at so much more. */
enum { SEGMENT_INDEX_LAG_BYTES = 64 << 10, SEGMENT_INDEX_LAG_INTERVALS = 16 };

struct index_entry {
    uint32_t relative_offset; /* of the last record of the batch at `position`, less the base */
    uint32_t position;
};

struct segment {
    struct log *log;
    int64_t base_offset;
    int64_t size;        /* bytes appended; -1: not known yet (an older one, not looked at) */
    int64_t drained;     /* bytes that are in the file */
    int64_t allocated;   /* size of the file */
    int32_t handle;      /* open for direct reading and writing; -1 */
    int32_t read_handle; /* of a sealed one; -1 */
    bool sealed;
    bool exists;         /* the file has been created */
    bool trim;           /* to be cut to its size at the next drain */
    struct list recent;  /* in openings.recent of its core, with one of the two (handles.h) */
    int32_t users;       /* reads and drains at work on its handles */
    uint8_t *partial;    /* copy of the last, not full sector of the file; null: none or unknown */
    struct list dirty;   /* in store->dirty_segments: written since the last flush */
    struct list flushed; /* in checkpoint.flushed: its handle may be closed */
    struct index_entry *index;
    int32_t index_count, index_capacity, index_written;
    bool index_dirty;         /* its file was written since the last flush */
    bool index_bad;           /* an entry has led astray: it is not used any more */
    int64_t indexed_position; /* of the batch the last entry points at */
    bool index_loaded;        /* the entries of the file are in memory */
    bool index_files;         /* both are there and end with what counts as written */
    bool index_uncut;         /* both may have entries beyond the end, of a log that was cut */
    bool index_anew;          /* while the log is opened: the files are not believed */
    struct time_index times;
    struct index_check *check;          /* at work on the indexes (index_check.h); or null */
    bool check_failed;                  /* the last one, and nobody was told yet */
    int64_t first_timestamp_ms;         /* max timestamp of the first batch; -1: none, no batch */
    int64_t created_ms;                 /* wall clock when it was begun or opened */
    int64_t hint_offset, hint_position; /* where the last read ended: the next one begins there */
    uint64_t touched_sequence;          /* of the last journal block that says anything of it */
    int64_t first_ms, newest_ms; /* timestamps: of its first batch, its largest, once `dated` */
    bool dated;
    bool swapping;                   /* compacted just now: its files do not have their names yet */
    struct sidecar *sidecar;         /* gathered so far, or read; null: nothing is known */
    bool sidecar_known;              /* its file was looked for (sidecars.h) */
    bool sidecar_newer;              /* its file is of a newer version: it stays */
    struct sidecar_job *sidecar_job; /* that reads it now; or null */
    struct list sidecar_due;         /* in sidecars->due: to be written */
    bool rot_told;                   /* it has rot, and the log of events says so */
};

/* Suffixes of what lies beside a segment's .log and is made anew when it is missing: where a
 * segment goes, or its bytes become others, they go too. */
enum { SEGMENT_CACHES = 4 };
extern const char *const segment_caches[SEGMENT_CACHES];

enum { SEGMENT_NAME_SIZE = 32 };

/* "00000000000000000042.log" into name[SEGMENT_NAME_SIZE]. */
void segment_name(int64_t base_offset, const char *suffix, char *name);

/* Parses such a name; false if it is none or has another suffix. suffix null: whatever it is. */
bool segment_name_parse(const char *name, const char *suffix, int64_t *ret_base_offset);

struct segment *segment_new(struct log *log, int64_t base_offset);
void segment_free(struct segment *segment);

/* Notes that the batch whose last record is `last_offset` lies at `position`: an entry at most
 * every interval_bytes. True if there is one now. */
bool segment_index_note(struct segment *segment, int64_t last_offset, int64_t position,
                        int32_t interval_bytes);

/* Notes the batch at `position` in both indexes; of its bytes the header is looked at. */
void segment_note_batch(struct segment *segment, const uint8_t *batch, int64_t position,
                        int32_t interval_bytes);

/* Are both index files there with all there is to say, the largest timestamp too? */
bool segment_indexes_are_complete(const struct segment *segment);

/* Do the index files lack entries of batches that are in the segment's file, below
 * segment_indexes_end of it? */
bool segment_indexes_lag(const struct segment *segment, int32_t interval_bytes);

/* Of a segment that the journal goes on with at `position`: the last checkpoint has flushed all
 * index entries of batches below the place that is returned, SEGMENT_INDEX_LAG_BYTES or
 * SEGMENT_INDEX_LAG_INTERVALS before it. Those beyond may be missing or torn, and are not believed.
 * An interval_bytes larger than the log's is as safe. */
int64_t segment_indexes_end(int64_t position, int32_t interval_bytes);

/* Offsets less the base below which a time index is believed as far as the offset index is: with
 * the last entry of that it got its own. */
uint32_t segment_times_end(const struct segment *segment);

/* The suffix of an index file that was written since its last flush, which counts as flushed from
 * now on; null: there is none. */
const char *segment_take_dirty_index(struct segment *segment);

/* The position to begin scanning at for `offset`: of the entry with the largest offset at or below
 * it, or 0. */
uint32_t segment_index_find(const struct segment *segment, int64_t offset);

/* How many entries point below `position`. */
int32_t segment_index_below(const struct segment *segment, int64_t position);

/* Kafka's file form: big-endian pairs. `count` entries from `first` on, into `to` (8 bytes each).
 */
void index_encode(const struct segment *segment, int32_t first, int32_t count, uint8_t *to);

/* Reads a file's entries into the segment's index. Stops before the first entry that can't be right
 * (not increasing, beyond `size`): the index is a cache, the scan does the rest. */
void index_decode(struct segment *segment, const uint8_t *data, size_t data_size, int64_t size);
