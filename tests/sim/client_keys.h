#pragma once
/* Keys of compacted topics: few, so that records hide each other, and now and then a tombstone.
 * What compaction may take away, and what not:
 *
 *  1. Of each key the newest record that was promised is there, or a newer one; but a tombstone may
 *     be gone, and nothing else of its key before it, once delete.retention.ms have passed.
 *  2. What is there is what was sent, at its old offset, in order (client_model.h).
 *  3. Who reads from the log start to the high watermark, whatever compaction does meanwhile, has
 *     met 1 for all that was promised when it began (model_pass). */
#include "sim/client_model.h"

/* Of a record that is sent to a compacted topic. */
int model_key(uint64_t uid);
bool model_is_tombstone(const struct model *model, uint64_t uid);

/* A reader begins at or below the log start. */
void model_pass_begin(struct model *model, struct model_partition *partition,
                      struct model_pass *pass);

/* It has met this record. */
void model_pass_meet(struct model_pass *pass, uint64_t uid, int64_t offset);

/* It has come to the end: has it met what it must have? */
void model_pass_end(struct model *model, const struct model_partition *partition,
                    struct model_pass *pass, const char *who);
