#pragma once
/* What a leader does to a batch from a client before it is appended: validates it, gives it the
 * topic's codec, and the leader's timestamp. Pure; in one go where that is short, else for a helper
 * thread (OP_WORK), so that no step takes long (design: 500 µs). */
#include "base/arena.h"
#include "config/topic_settings.h"
#include "protocol/batch.h"

struct judgement {
    struct bytes batches; /* as they came, in memory of the request; stamped in place */
    struct batch_rules rules;
    enum codec codec; /* wanted, if `recodes` */
    int level;
    bool recodes; /* compression.type is not `producer` */
    /* what came of it */
    enum error error; /* for the partition's error code; then the report says why */
    struct batch_report report;
    struct bytes stored; /* the batch to append: `batches`, or a copy in memory of `judge` */
};

/* What to judge, by the settings of the topic. */
void judgement_init(struct judgement *judgement, struct bytes batches,
                    const struct batch_rules *rules, const struct topic_settings *settings);

/* True if it may be tried at once: with an arena whose budget is *ret_budget bytes. `inline_bytes`
 * (produce.inline.bytes) bounds what is decompressed. */
bool judgement_is_short(const struct judgement *judgement, int32_t inline_bytes,
                        size_t *ret_budget);

/* Judges with memory of `arena`: also that of `stored`, where it is a copy. False: its budget was
 * too small, and nothing has changed; a larger one may do. */
bool judge(struct judgement *judgement, struct arena *arena);

/* OP_WORK on a judgement: judges with an arena of its own, of DECOMPRESSED_BYTES_MAX, and leaves
 * `stored`, where it is a copy, in memory to be freed (memory_free). Returns 0. */
int64_t judge_apart(void *judgement);

/* What is too large for any arena is refused. */
void judge_refuse(struct judgement *judgement);
