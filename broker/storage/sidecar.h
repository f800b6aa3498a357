#pragma once
/* What a sidecar says of a closed segment, in memory: CRCs of the header fields that the batches'
 * own CRCs leave out, run by run, and of the segment's indexes. Pure.
 *
 * A run is a row of whole batches: it begins where the one before it ends and is complete once it
 * has SIDECAR_RUN_BYTES or more. So whoever reads a batch has its header proved by the headers of
 * less than SIDECAR_RUN_BYTES before it and behind it, and never looks at the rest of the file.
 *
 *   heads  CRC32C of bytes 0-16 of each batch: base offset, length, leader epoch, magic
 *   names  CRC32C of bytes 17-20 of each batch, its own CRC: which batches these are
 *
 * Heads that differ while the names agree are rot in a header. If the names differ too, the batches
 * are others, or damaged ones; their own CRCs tell which (sidecar_judge). */
#include "base/bytes.h"
#include "base/error.h"

enum {
    SIDECAR_RUN_BYTES = 16 << 10,
    SIDECAR_HEADS = 17,         /* bytes of a batch that count for `heads` */
    SIDECAR_NAMES = 4,          /* behind them, for `names` */
    SIDECAR_RUNS_MAX = 1 << 18, /* more than a segment of 2^32 bytes has */
};

struct sidecar_run {
    uint32_t position; /* of its first batch */
    uint32_t heads, names;
};

/* Of the files beside the .log, in the order of segment_caches (segment.h). */
enum sidecar_file { SIDECAR_INDEX, SIDECAR_TIMES, SIDECAR_TRANSACTIONS, SIDECAR_FILES };

struct sidecar_cache {
    bool there; /* else there was no such file, and nothing is known of one */
    int64_t size;
    uint32_t crc; /* CRC32C of all of it */
};

struct sidecar {
    int64_t base_offset;              /* of the segment */
    int64_t first_offset, end_offset; /* of its records; the base, both, while there are none */
    int64_t size;                     /* of the .log: of the batches noted */
    struct sidecar_run *runs;
    int32_t run_count, run_capacity;
    struct sidecar_cache files[SIDECAR_FILES];
};

struct sidecar *sidecar_new(int64_t base_offset);

/* Null is accepted. */
void sidecar_free(struct sidecar *sidecar);

/* Notes the next batch, whose header is given: it lies at sidecar->size. */
void sidecar_note(struct sidecar *sidecar, const uint8_t *batch);

/* Can it be of a segment with this .log? `end_most`: the base of the next segment, or INT64_MAX. If
 * not it is stale: of an earlier file of this name. */
bool sidecar_fits(const struct sidecar *sidecar, int64_t base_offset, int64_t log_size,
                  int64_t end_most);

/* Is this file as it was? True if nothing is known of it. */
bool sidecar_cache_agrees(const struct sidecar_cache *cache, struct bytes file);

/* What a file's bytes come to. */
struct sidecar_cache sidecar_cache_of(struct bytes file);

/* The run in which `position` lies; there is one: position < size. */
int32_t sidecar_run_at(const struct sidecar *sidecar, int64_t position);

/* Where it ends. */
int64_t sidecar_run_end(const struct sidecar *sidecar, int32_t run);

enum sidecar_verdict {
    SIDECAR_AGREES,
    SIDECAR_SHORT, /* more data is needed */
    SIDECAR_ROT,   /* a header, or a batch, is damaged */
    SIDECAR_OTHER, /* these are other batches, whole ones: the sidecar is stale */
};

/* Where and what, for people. */
struct sidecar_fault {
    int64_t position; /* in the file */
    const char *what;
    bool heads; /* only heads differ: all batches are at their places, and their CRCs as noted */
};

/* Compares the batches of a run with the sidecar. `data` are the file's bytes from `from` on, which
 * is at or before the run's beginning; needed are those up to the last batch's header, and all of
 * the batches where they are not those that were noted. ROT: *ret_fault says where. SHORT:
 * ret_fault->position is where the data must reach, within the file. */
enum sidecar_verdict sidecar_judge(const struct sidecar *sidecar, int32_t run, struct bytes data,
                                   int64_t from, struct sidecar_fault *ret_fault);

/* Compares what is known of a segment with what was noted of all of its batches just now, whose own
 * CRCs are right: AGREES, ROT in a header (*ret_fault), or OTHER. */
enum sidecar_verdict sidecar_compare(const struct sidecar *known, const struct sidecar *now,
                                     struct sidecar_fault *ret_fault);

/* Of a run whose heads differ: is it one flipped bit, and which? True: *ret_fault names the batch
 * and the field. Takes some milliseconds. */
bool sidecar_find_bit(const struct sidecar *sidecar, int32_t run, struct bytes data, int64_t from,
                      struct sidecar_fault *ret_fault);
