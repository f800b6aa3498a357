#pragma once
/* `<base offset>.txnindex`: the aborted transactions whose markers lie in a segment, by marker,
 * Kafka's format: of each entry int16 version 0, int64 producer id, first offset, last offset (of
 * the marker) and last stable offset, big-endian. Pure. */
#include "base/bytes.h"
#include "logic/producers.h"

enum { TXN_INDEX_ENTRY = 34 };

/* One entry into to[TXN_INDEX_ENTRY]. */
void txn_index_encode(const struct aborted_txn_entry *entry, uint8_t *to);

/* Entry `number` of a file. False: there is none, or its version is not known, or it can't be true
 * in a segment that begins at `base_offset`. */
bool txn_index_decode(struct bytes file, int32_t number, int64_t base_offset,
                      struct aborted_txn_entry *ret_entry);
