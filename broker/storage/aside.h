#pragma once
/* What a journal holds of a log that it can't be joined with: kept in a file of its own in the
 * log's folder, so that the room in the ring is free and all other logs serve.
 *
 * `<offset of its first record, 20 digits>.journal`, big-endian:
 *    0  u64 magic "BOLEASD\1"     8  u32 version 1          12  u32 bytes of the reason
 *   16  u64 bytes of entries     24  u32 zero               28  u32 crc of 0-27 and of all behind
 *   32  the reason, UTF-8; then entries as they lie in a block of a journal (journal_format.h), of
 *       id 1, a BIND first
 *
 * Only for what the files hold: where they can't be read the store is fenced, and the journal keeps
 * what it has until a start can.
 * Invariants
 *  1. A log in whose folder such a file lies is not opened: it would be without the records of its
 *     end, or with other ones. Nothing of such a folder is written, cut or removed but this file.
 *  2. Entries leave a journal only once the file has them, flushed with its name. Whatever fails
 *     before leaves them there. */
#include "base/bytes.h"
#include "base/error.h"
#include "reactor/flow.h"
#include <stddef.h>

struct drain;
struct log;
struct redo;

#define ASIDE_SUFFIX ".journal"

enum { ASIDE_HEADER = 32, ASIDE_ID = 1, ASIDE_REASON_MOST = 600 };

struct aside {
    struct bytes reason, entries; /* within the file's bytes */
    struct uuid topic_id;         /* of its first entry */
};

/* Header and reason into `to`, in front of `entries_size` bytes of entries that are there already:
 * their place is aside_entries_at(reason). */
void aside_seal(uint8_t *to, const char *reason, size_t entries_size);
size_t aside_entries_at(const char *reason);

/* MALFORMED, CHECKSUM, NEWER_VERSION: it is none, is damaged, or of a later version. */
enum error aside_decode(struct bytes file, struct aside *ret);

/* The entries of a closed or failed log's pieces, into `to` if it is not null; their bytes. */
size_t aside_encode_log(const struct log *log, uint8_t *to);

/* A drain's step: a log that can't be opened leaves the journal for such a file. */
enum step drain_aside(struct flow *flow);
