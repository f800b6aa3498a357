#pragma once
/* What the producers of a slot must be, worked out anew from the batches that were sent, past all
 * code of the broker but the format of a batch. */
#include "crash/rig.h"

/* Of a slot's batches up to `end` (an offset): makes the next one that some producer may send, of
 * the records in `made`; its bytes, made anew in memory of the caller's. Now and then it is of
 * nobody, begins a new epoch, belongs to a transaction, or is a marker that ends one. */
struct bytes model_next_batch(const struct oracle *oracle, int32_t slot, struct random *random,
                              struct bytes made);

/* One of its producer's last five batches, chosen at random, or null if there is none. */
const struct sent *model_recent_batch(const struct oracle *oracle, int32_t slot,
                                      struct random *random);

/* Puts into a slot's folder, if it has one, a good snapshot from beyond the end of its log, with a
 * producer that never was: as of a log that was cut. */
void model_plant_snapshot(struct rig *rig, int32_t slot);

/* Compares a log's table with the batches up to its appended end. False: `why` says what is wrong.
 */
bool model_matches(const struct oracle *oracle, int32_t slot, int32_t generation,
                   const struct log *log, char *why, size_t why_size);
