#pragma once
/* One pass of compaction over one log, and the rewrite of one group of its segments.
 *
 *   pass:     begin -> map -> groups -> end
 *   rewrite:  open -> copy -> flush -> commit -> install -> retire -> names -> finish
 *
 *   <base>.log.cleaned, .index.cleaned   written and flushed
 *   <base>.log.swap                      renamed, folder flushed: from here on a start finishes it
 *   (reads go to the new segment; those under way on old ones end)
 *   others' .log -> .log.deleted, .index.cleaned -> .index, other caches removed, flushed;
 *   .log.swap -> .log, flushed
 *
 * Invariants
 *  1. Only sealed segments of which no live block of a journal says anything are read or replaced:
 *     a replay would write the old bytes to their old places.
 *  2. A rewritten file ends with the last batch of its group, if only its header: its last offset
 *     says which segments it replaces, and a start needs nothing else (leftovers.h).
 *  3. Until .log.swap is durable nothing of the old files has changed; afterwards nothing but the
 *     end of the script is left to do.
 *  4. Groups are rewritten from the oldest on, each durable before the next is begun: what a
 *     tombstone hides is gone before the tombstone may go.
 *  5. An old segment's names change only when no read is at work on it. */
#include "logic/compaction.h"
#include "reactor/core.h"
#include "storage/compaction_scan.h"
#include "storage/compaction_write.h"
#include "storage/folder_script.h"

struct cleaner;
struct log;

enum { COMPACTION_GROUP_MOST = 4096 }; /* segments */

struct compaction_rewrite {
    struct flow flow;
    struct compaction_pass *pass;
    struct segment **sources; /* each in use (segment->users) until it is retired */
    int32_t source_count, at;
    int64_t end_offset; /* of the last source */
    struct compaction_writer writer;
    struct folder_script names;
    struct op op;
    struct segment *installed; /* in the log; in use until its names are final */
    int32_t read_handle;       /* of the new file */
    bool changed;              /* something has gone, or several become one */
    bool committed, ended;
    struct waiter waiter;
    uint8_t phase;
    enum error error; /* the group was left as it was; CORRUPT_MESSAGE: for rot, there: */
    int64_t fault_segment, fault_position;
};

struct compaction_pass {
    struct flow flow;
    struct cleaner *cleaner;
    struct log *log;
    struct compaction_range range; /* as it was when the pass began */
    struct compaction compaction;
    struct compaction_transactions transactions;
    struct compaction_aborted *aborted; /* that the walk under way knows of */
    struct offset_map map;
    struct arena arena; /* of one batch's records */
    struct compaction_scan scan;
    struct batch batch;         /* that the scan gave last */
    struct batch_filtered left; /* of it */
    enum error batch_error;
    struct op work_op;
    bool away; /* a helper thread has batch, compaction, arena and left */
    struct compaction_rewrite rewrite;
    struct timer timer;
    struct waiter waiter;
    struct list waiters; /* of the rewrite's end */
    int64_t next_base;   /* segments before it are done with */
    int64_t step_bytes;  /* in this step, of batches */
    uint64_t charged_bytes;
    bool full; /* the map: the pass ends at map.latest */
    /* results */
    bool rot;         /* the log can't be read: it is not to be compacted again */
    enum error error; /* NONE: all groups were rewritten */
    uint64_t read_bytes, written_bytes;
};

/* Starts a pass over pass->log with pass->range. The cleaner is told of its end by
 * cleaner_pass_ended. */
void compaction_pass_start(struct compaction_pass *pass);

/* Is the pass to be given up: the log is gone or not to be compacted, the store fails or stops? */
bool compaction_pass_is_off(const struct compaction_pass *pass);

/* Has work(pass), a pure function, done for pass->batch: at once or, where that may take long, by a
 * helper thread. False: it is under way (pass->away, a hold was taken): call it again. */
bool compaction_pass_work(struct compaction_pass *pass, struct flow *flow,
                          int64_t (*work)(void *pass));

/* Called after each batch; what the arena holds of it is gone. True: the step has done enough, or
 * the budget of bytes is used up; a hold was taken: return STEP_AGAIN. */
bool compaction_pass_pause(struct compaction_pass *pass, struct flow *flow, int64_t batch_bytes);

/* Starts the rewrite of `count` segments from `sources` on; pass->waiters are woken at its end. */
void compaction_rewrite_start(struct compaction_pass *pass, struct segment **sources, int32_t count,
                              int64_t end_offset);

/* The rest of a swap, from .log.swap on: for a rewrite and for a start after a crash. `others`: the
 * bases of the segments that it replaces beside its own. */
void compaction_swap_names(struct folder_script *names, int64_t base_offset, const int64_t *others,
                           int32_t count);
