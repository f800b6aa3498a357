#pragma once
/* The time index of one segment, `.timeindex` in Kafka's format: entries of 12 bytes, big-endian,
 * a timestamp (8) and the last offset of the batch that has it, less the segment's base (4). An
 * entry says that no batch before the one with that offset has a timestamp as large, and is made
 * with each entry of the offset index if the largest timestamp has grown since. The last entry of a
 * segment that is trimmed is its largest timestamp.
 *
 * In memory lie only the largest timestamp so far and the entries that are not in the file yet.
 * Invariants
 *  1. Timestamps and offsets of the entries grow strictly, over file and pending ones.
 *  2. last_timestamp_ms ≤ max_timestamp_ms, both -1 without batches that have one. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TIME_ENTRY_BYTES = 12 };

struct time_entry {
    int64_t timestamp_ms;
    uint32_t relative_offset;
    uint32_t position; /* of the batch at which it was made: written once that is in the file */
};

struct time_index {
    int64_t max_timestamp_ms; /* of the batches noted; -1: none */
    uint32_t max_relative_offset;
    bool known;                /* of all of the segment's batches */
    int64_t last_timestamp_ms; /* of the last entry, wherever it is; -1: there is none */
    uint32_t last_relative_offset;
    int32_t written; /* entries in the file */
    bool dirty;      /* the file was written since the last flush */
    struct time_entry *pending;
    int32_t pending_count, pending_capacity;
};

void time_index_init(struct time_index *index);
void time_index_free(struct time_index *index);

/* Notes a batch: its max timestamp and its last offset, less the base. */
void time_index_note(struct time_index *index, int64_t max_timestamp_ms, uint32_t relative_offset);

/* Makes an entry of the largest timestamp so far, at the batch at `position`, unless the last entry
 * says as much. */
void time_index_enter(struct time_index *index, uint32_t position);

/* Is the largest timestamp in an entry, and are all entries in the file? */
bool time_index_is_complete(const struct time_index *index);

/* How many of the pending entries are of batches below `position`. */
int32_t time_index_below(const struct time_index *index, int64_t position);

/* The first `count` of the pending entries in the file's form, into `to` (12 bytes each). */
void time_index_encode(const struct time_index *index, int32_t count, uint8_t *to);

/* These lie in the file now. */
void time_index_wrote(struct time_index *index, int32_t count);

/* Takes a file's entries: all that grow and lie below `end_relative_offset`, up to the first that
 * does not. Sets what the last of them says; true if all of `size` bytes were taken. May be called
 * with a file's pieces, one after the other, the first time after time_index_init. */
bool time_index_decode(struct time_index *index, const uint8_t *data, size_t size,
                       uint32_t end_relative_offset);
