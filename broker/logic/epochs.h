#pragma once
/* The leader epochs of one log: with which offset each began (KIP-101, KIP-279, KIP-320). By them a
 * follower or a consumer finds where its history leaves the leader's. Pure.
 *
 * Invariants
 *  1. Epochs and start offsets of the entries grow strictly. */
#include "base/bytes.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct epoch_entry {
    int32_t epoch;
    int64_t start_offset;
};

struct epochs {
    struct epoch_entry *entries; /* own memory */
    int32_t count, capacity;
};

void epochs_free(struct epochs *epochs);

/* Records of `epoch` are appended from `start_offset` on. Nothing if the latest entry says so
 * already; entries that it contradicts, not older or not before it, go. True if anything changed.
 * A negative epoch is none. */
bool epochs_assign(struct epochs *epochs, int32_t epoch, int64_t start_offset);

/* The log was cut to `end_offset`, exclusive: epochs that began there or later go. True if changed.
 */
bool epochs_truncate_end(struct epochs *epochs, int64_t end_offset);

/* The log begins at `start_offset` now: epochs that ended before go, the one that holds it begins
 * there. True if changed. */
bool epochs_truncate_start(struct epochs *epochs, int64_t start_offset);

/* The end of `epoch` in a log that ends at `log_end_offset`: the largest epoch that is not larger
 * than it, and where the next one begins. Of the latest it is the log's end. Epoch and offset are
 * -1 if `epoch` is larger than all known ones or none is known; an epoch before all known ones is
 * answered with itself and the start of the first. */
struct epoch_entry epochs_end(const struct epochs *epochs, int32_t epoch, int64_t log_end_offset);

/* The epoch of the record at `offset`; -1: not known. */
int32_t epochs_at(const struct epochs *epochs, int64_t offset);

/* The latest; -1: none. */
int32_t epochs_latest(const struct epochs *epochs);

/* Kafka's `leader-epoch-checkpoint`: "0", the number of entries, then epoch and start offset of
 * each, one a line. Those that began before `end_offset` are written; returns the size, which is at
 * most `capacity`; 0 if that is too small (epochs_text_size). */
size_t epochs_encode(const struct epochs *epochs, int64_t end_offset, char *text, size_t capacity);
size_t epochs_text_size(const struct epochs *epochs);

/* Takes such a text, whole. False, and no entries, if it is none, is cut, or its entries do not
 * grow. */
bool epochs_decode(struct epochs *epochs, struct bytes text);
