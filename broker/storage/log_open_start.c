/* Caches of segments that have gone below the log start: a crash may keep any of the names that
 * were to go together. The segments that it has kept go later (retire.h): what they say of
 * producers may still be needed. */
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "storage/log_opening.h"
#include "storage/store.h"

void opening_note_index(struct log_opening *opening, const char *name)
{
    int64_t base;
    bool is_cache = false;
    for (int i = 0; i < SEGMENT_CACHES; i++)
        is_cache |= segment_name_parse(name, segment_caches[i], &base);
    if (!is_cache || !segment_name_parse(name, NULL, &base))
        return;
    if (opening->index_base_count == opening->index_base_capacity) {
        opening->index_base_capacity = 2 * opening->index_base_capacity + 8;
        opening->index_bases =
            memory_resized(opening->index_bases,
                           (size_t)opening->index_base_capacity * sizeof *opening->index_bases);
    }
    opening->index_bases[opening->index_base_count++] = base;
}

/* Indexes of transactions that go with their segments are not looked for any more. */
static void forget_txn_indexes(struct producer_state *state, int64_t first_base)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < state->txn_index_count; i++)
        if (state->txn_indexes[i] >= first_base)
            state->txn_indexes[kept++] = state->txn_indexes[i];
    state->txn_index_count = kept;
}

static void remove_base(struct folder_script *below, int64_t base)
{
    REACHED("an index that has lost its segment");
    for (int i = 0; i < SEGMENT_CACHES; i++)
        folder_script_remove(below, base, segment_caches[i]);
}

/* Has its segment gone? Several go at a time, and a crash keeps any of the names: what has lost its
 * own may lie between others that go once more. */
static bool is_orphan(const struct log *log, int64_t base, int64_t first)
{
    const struct segment *segment = log_segment_at(log, base);
    return base < max_i64(first, log->log_start) && (!segment || segment->base_offset != base);
}

static void plan(struct log_opening *opening)
{
    struct log *log = opening->log;
    struct folder_script *below = &opening->below;
    folder_script_init(below, log->folder);
    if (opening->index_base_count == 0)
        return;
    int64_t first = log->segment_count > 0 ? log->segments[0]->base_offset : log->log_start;
    for (int32_t i = 0; i < opening->index_base_count; i++)
        if (is_orphan(log, opening->index_bases[i], first))
            remove_base(below, opening->index_bases[i]);
    forget_txn_indexes(&log->producers, first);
    if (below->count > 0 && !MUTANT(skip_fsync_of_lone_caches))
        folder_script_flush(below);
}

enum step open_start(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    if (opening->phase++ == 0)
        plan(opening);
    opening->phase = 1;
    if (opening->below.count > 0) {
        if (!folder_script_step(&opening->below, opening->log->store, flow))
            return STEP_AGAIN;
        opening->op.result = -(int64_t)opening->below.error;
        if (opening->below.error)
            return opening_give_up(opening, "an index that has lost its segment can't be removed");
    }
    opening->phase = 0;
    return STEP_NEXT;
}
