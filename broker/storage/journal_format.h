#pragma once
/* The journal's bytes. Pure: no I/O. All integers little-endian, all CRCs CRC32C.
 *
 * File:  | anchor slot 0 | anchor slot 1 | ring of blocks ...            |
 *        0               4096            8192 = JOURNAL_RING_BEGIN        end of file
 *
 * Anchor (64 bytes, the rest of the slot zero): where the live blocks begin. Two slots, written in
 * turn; the one with the higher generation and a right CRC counts.
 *    0  u64 magic "BOLEJRN\1"      8  u32 version (1, 2)      12 u32 alignment of blocks
 *   16  u64 generation            24  u64 salt                32 u64 start position
 *   40  u64 start sequence        48  u32 chain before start  52 u32 zero
 *   56  u32 zero                  60  u32 crc of bytes 0-59
 *
 * Block (a multiple of the alignment): header of 40 bytes, entries, zeros.
 *    0  u32 magic "BJB1"           4  u32 length of header and entries
 *    8  u64 salt                  16  u64 sequence            24 u16 lap   26 u16 place
 *   28  u32 number of entries     32  u32 crc of the block before (the chain)
 *   36  u32 crc of bytes 0-35 and 40-length, continued from the chain
 * The salt is new at every start, the sequence grows by one from block to block: nothing of an
 * older lap or an older run can parse. `place` counts the blocks before it in the same write: a
 * damaged block is a torn end only if no later write followed. A block that does not fit before the
 * end of the file lies at JOURNAL_RING_BEGIN instead.
 *
 * Entries:
 *   BIND    u8 1, uvarint id, 16 bytes topic id, u32 partition, u64 segment base, u32 position:
 *           from here on `id` means this log, whose next byte lies there. Comes before the first
 *           use of an id behind each anchor, and at each roll.
 *   APPEND  u8 2, uvarint id, uvarint size, record batches as they lie in the segment.
 *   START   u8 3, uvarint id, u64 offset: the log begins there from here on.
 *   CUT     u8 4, uvarint id, u64 offset, u64 segment base, u32 position: the log ends at that
 *           offset from here on; its next byte lies at that place, and no segment beyond is left.
 *           Base -1 (position 0): nothing is left, it begins anew at that offset, and the next BIND
 *           names its first segment.
 * START and CUT are of version 2. Blocks have no version: a journal of version 1 that is resumed
 * gets an anchor of version 2 before anything is written behind its blocks. */
#include "base/bytes.h"
#include "base/error.h"
#include "base/reader.h"
#include <stddef.h>

enum {
    JOURNAL_RING_BEGIN = 8192,
    JOURNAL_ANCHOR_SLOT = 4096,
    JOURNAL_VERSION = 2,
    BLOCK_HEADER_SIZE = 40,
    ENTRY_BIND_SIZE_MAX = 1 + 5 + 16 + 4 + 8 + 4,
    ENTRY_APPEND_HEADER_MAX = 1 + 5 + 5,
    ENTRY_START_SIZE_MAX = 1 + 5 + 8,
    ENTRY_CUT_SIZE_MAX = 1 + 5 + 8 + 8 + 4,
};

struct anchor {
    uint32_t version; /* set by anchor_decode; JOURNAL_VERSION is what is written */
    uint32_t alignment;
    uint64_t generation, salt;
    int64_t start_position;
    uint64_t start_sequence;
    uint32_t start_chain; /* CRC of the block before the first live one */
};

/* Writes a whole slot of JOURNAL_ANCHOR_SLOT bytes. */
void anchor_encode(const struct anchor *anchor, uint8_t *slot);

/* MALFORMED: no anchor or a wrong CRC; NEWER_VERSION: by a newer Bole. */
enum error anchor_decode(const uint8_t *slot, struct anchor *ret);

struct block_header {
    uint32_t length; /* of header and entries */
    uint64_t salt, sequence;
    uint16_t lap, place;
    uint32_t entry_count, chain, crc;
};

/* Fills in the header of the `length` bytes at `block`, whose entries are in place. Returns the
 * CRC: the chain of the next block. */
uint32_t block_seal(uint8_t *block, const struct block_header *header);

/* Reads the header only; false unless magic and length are possible. Says nothing on the CRC. */
bool block_peek(const uint8_t *block, struct block_header *ret);

/* Is the CRC of the `header.length` bytes at `block` right, given its chain? */
bool block_is_whole(const uint8_t *block, const struct block_header *header);

enum entry_kind { ENTRY_BIND = 1, ENTRY_APPEND = 2, ENTRY_START = 3, ENTRY_CUT = 4 };

struct journal_entry {
    enum entry_kind kind;
    uint32_t id;
    /* BIND */
    struct uuid topic_id;
    int32_t partition;
    /* BIND, CUT */
    int64_t segment_base;
    uint32_t position;
    /* START, CUT */
    int64_t offset;
    /* APPEND: borrowed from the block */
    struct bytes batches;
};

/* All return the bytes written at `to`, where there is room for the maximum. */
size_t entry_bind_encode(const struct journal_entry *entry, uint8_t *to);
size_t entry_append_header_encode(uint32_t id, uint32_t size, uint8_t *to);
size_t entry_start_encode(uint32_t id, int64_t offset, uint8_t *to);
size_t entry_cut_encode(const struct journal_entry *entry, uint8_t *to);

/* The next entry. False at the end, or when reader->error is set: also for a negative offset, or a
 * place that no log can have. */
bool entry_decode(struct reader *reader, struct journal_entry *ret);
