#pragma once
/* `<offset>.snapshot`: the producers of a partition as of an offset, Kafka's format (message
 * ProducerSnapshot, version 1; all big-endian):
 *
 *   int16 version 1, uint32 CRC-32C of all that follows it, int32 count, then of each entry
 *   int64 producer id, int16 epoch, int32 last sequence, int64 last offset, int32 offset delta,
 *   int64 timestamp, int32 coordinator epoch, int64 first offset of the open transaction (-1 none)
 *
 * Kafka writes one entry for each producer, with its newest batch. We write one for each of its
 * batches, oldest first: who reads them into a map by producer id, as Kafka does, is left with the
 * newest, and we have them all, so that snapshot and replay are the live state. Least recently
 * active producers come first. Pure. */
#include "base/bytes.h"
#include "logic/producers.h"

enum {
    PRODUCER_SNAPSHOT_HEADER = 10,
    PRODUCER_SNAPSHOT_ENTRY = 46,
    PRODUCER_SNAPSHOT_BYTES_MAX = 256 << 20, /* a larger file is taken for damaged */
};

/* The file, in memory of the caller's (memory_free). */
struct bytes producer_snapshot_encode(const struct producers *producers);

/* Puts what the file holds into `producers`, which must be empty. NEWER_VERSION; CHECKSUM;
 * MALFORMED: a size or an entry that can't be, also one at or beyond `end_offset`. Then
 * `producers` may hold a part: throw it away. */
enum error producer_snapshot_decode(struct bytes file, int64_t end_offset,
                                    struct producers *producers);

/* Walks the entries of a file for printing, whole or not; start with *at 0. False at the end. */
bool producer_snapshot_next(struct bytes file, int32_t *at, struct producer_image *ret_image);

/* NONE, or why the file as a whole is not to be believed: NEWER_VERSION, CHECKSUM, MALFORMED. */
enum error producer_snapshot_check(struct bytes file);
