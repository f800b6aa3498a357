#pragma once
/* What the model knows of where logs begin: what clients asked to be deleted, what was
 * acknowledged, and what the broker's own structures say, which are looked at after every event.
 *
 *  1. The log start never goes back within an incarnation; and never below what was acknowledged,
 *     whatever is lost with the power.
 *  2. It moves no further than somebody asked for.
 *  3. A read below what was acknowledged answers OFFSET_OUT_OF_RANGE; one at or above all that the
 *     log start ever was does not.
 *  4. What lies at or above it and was promised is there (model_verified). */
#include "sim/client_model.h"

/* The broker has its log begin there now. */
void model_start_seen(struct model *model, struct model_partition *partition, int64_t start);

/* A client asks for the deletion of all below `offset`; -1: below the high watermark. */
void model_start_asked(struct model_partition *partition, int64_t offset);

/* Such a request was answered. */
void model_start_promised(struct model *model, struct model_partition *partition, int64_t start);

/* A client was told, in answer to what was asked when `promised` was promised, that the log begins
 * at `start`. `who` asked. */
void model_start_told(struct model *model, const struct model_partition *partition,
                      int64_t promised, int64_t start, const char *who);

/* What was asked for at `offset`, when `promised` was promised, was answered with `error`: is
 * OFFSET_OUT_OF_RANGE, or that it is not, wrong? */
bool model_start_explains(const struct model_partition *partition, int64_t offset, int64_t promised,
                          enum error error);
