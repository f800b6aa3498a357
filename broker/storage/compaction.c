#include "storage/compaction.h"
#include "base/check.h"
#include "base/memory.h"
#include "storage/cleaner.h"
#include "storage/compaction_producers.h"
#include "storage/log_state.h"

enum {
    STEP_BYTES = 64 << 10, /* of batches and of their records, plain, in one step */
    ARENA_BYTES = 256 << 20,
    ARENA_KEPT_BYTES = 1 << 20,
};

static enum step pass_begin(struct flow *flow);
static enum step pass_map(struct flow *flow);
static enum step pass_groups(struct flow *flow);
static enum step pass_end(struct flow *flow);

static const struct flow_kind pass_flow = {
    "compaction",
    {{"begin", pass_begin}, {"map", pass_map}, {"groups", pass_groups}, {"end", pass_end}}};

static struct compaction_pass *pass_of(struct flow *flow)
{
    return CONTAINER_OF(flow, struct compaction_pass, flow);
}

void compaction_pass_start(struct compaction_pass *pass)
{
    struct log *log = pass->log;
    check(!log->cleaning && log->state == LOG_OPEN);
    log->cleaning = true;
    log->holders++;
    list_init(&pass->waiters);
    pass->timer = TIMER_INIT;
    arena_init(&pass->arena, ARENA_BYTES);
    compaction_scan_init(&pass->scan, log->store, log->store->options.cleaner.buffer_bytes);
    flow_start(&pass->flow, &pass_flow, log->store->core);
}

bool compaction_pass_is_off(const struct compaction_pass *pass)
{
    const struct log *log = pass->log;
    return log->removed || log->state != LOG_OPEN || log->store->fenced || log->stop_cleaning ||
           !log->settings->compact || pass->cleaner->stopping;
}

bool compaction_pass_pause(struct compaction_pass *pass, struct flow *flow, int64_t batch_bytes)
{
    pass->step_bytes += batch_bytes + (int64_t)pass->arena.used_bytes;
    arena_reset(&pass->arena, ARENA_KEPT_BYTES);
    if (pass->step_bytes < STEP_BYTES)
        return false;
    pass->step_bytes = 0;
    uint64_t done =
        pass->scan.read_bytes + pass->written_bytes + pass->rewrite.writer.written_bytes;
    int64_t until_ns = cleaner_charge(pass->cleaner, done - pass->charged_bytes);
    pass->charged_bytes = done;
    /* A timer, even without a wait: the flow would go on in the same turn else. */
    timer_start(&pass->timer, flow->core, flow, until_ns);
    return true;
}

bool compaction_pass_work(struct compaction_pass *pass, struct flow *flow,
                          int64_t (*work)(void *pass))
{
    const struct batch *batch = &pass->batch;
    if (!pass->away) {
        if (batch->attributes & BATCH_CODEC_MASK || batch->whole.size > STEP_BYTES) {
            pass->away = true;
            pass->work_op = (struct op){.kind = OP_WORK, .flow = flow, .work = work, .data = pass};
            file_op_start(flow->core, &pass->work_op);
            return false;
        }
        (void)work(pass);
        return true;
    }
    pass->away = false;
    if (pass->work_op.result < 0)
        (void)work(pass); /* no thread was to be had */
    return true;
}

/* The walk over batches from `offset` on begins: which transactions were aborted, as is known. */
static void begin_transactions(struct compaction_pass *pass, int64_t offset)
{
    memory_free(pass->aborted);
    int32_t count;
    pass->aborted = compaction_aborted_of(pass->log, offset, &count);
    compaction_transactions_init(&pass->transactions, pass->aborted, count);
}

static enum step pass_begin(struct flow *flow)
{
    struct compaction_pass *pass = pass_of(flow);
    const struct cleaner_options *options = &pass->log->store->options.cleaner;
    int64_t records = pass->range.uncleanable - pass->range.first_dirty;
    uint64_t slots = offset_map_slots(records, options->map_load, options->map_bytes);
    uint8_t key[SIPHASH_KEY_BYTES];
    for (size_t i = 0; i < sizeof key; i += 8)
        store_be64(key + i, random_next(&pass->cleaner->random));
    offset_map_init(&pass->map, memory_zeroed(slots * sizeof(struct offset_slot)), slots,
                    options->map_load, key);
    pass->map.latest = pass->range.first_dirty - 1;
    const struct segment *first = log_segment_at(pass->log, pass->range.first_dirty);
    begin_transactions(pass, first ? first->base_offset : 0);
    pass->compaction =
        (struct compaction){.map = &pass->map,
                            .transactions = &pass->transactions,
                            .now_ms = flow->core->now.wall_ms,
                            .doubts_clock = cleaner_doubts_clock(pass->cleaner),
                            .delete_retention_ms = pass->log->settings->delete_retention_ms,
                            .producer = compaction_producer_of,
                            .context = pass->log};
    pass->next_base = pass->range.first_dirty;
    return STEP_NEXT;
}

static enum step give_up(struct compaction_pass *pass, enum error error)
{
    pass->error = error ? error : ERROR_CANCELLED;
    return STEP_FAIL;
}

/* Rot, or a disk that can't be read: said once, and not tried again. */
static void tell_fault(struct compaction_pass *pass, int64_t segment_base, int64_t position)
{
    struct core *core = pass->flow.core;
    pass->rot = true;
    event_write(&core->events, &core->now, EVENT_ERROR, "compaction_failed",
                "folder=%s segment=%lld position=%lld reason=\"%s\" error=\"%s\"",
                pass->log->folder, (long long)segment_base, (long long)position,
                pass->scan.fault ? pass->scan.fault : "a batch's records can't be read",
                error_text(pass->scan.error ? pass->scan.error : ERROR_CORRUPT_MESSAGE));
}

static enum step scan_failed(struct compaction_pass *pass)
{
    tell_fault(pass, pass->scan.segment->base_offset, pass->scan.position);
    return give_up(pass, ERROR_CORRUPT_MESSAGE);
}

/* The first segment of the dirty part that was not read yet; null: all were. */
static struct segment *next_dirty(const struct compaction_pass *pass)
{
    const struct log *log = pass->log;
    if (pass->next_base >= pass->range.uncleanable || pass->full)
        return NULL;
    struct segment *segment = log_segment_at(log, pass->next_base);
    return segment ? segment : log->segment_count ? log->segments[0] : NULL;
}

static int64_t end_of(const struct log *log, const struct segment *segment)
{
    for (int32_t i = 0; i + 1 < log->segment_count; i++)
        if (log->segments[i] == segment)
            return log->segments[i + 1]->base_offset;
    return INT64_MAX; /* the newest, or gone */
}

static int64_t map_batch(void *context)
{
    struct compaction_pass *pass = context;
    pass->batch_error = compaction_map(&pass->compaction, &pass->batch, pass->range.first_dirty,
                                       &pass->arena, &pass->full);
    return 0;
}

/* Begins with the next dirty segment. END: there is none. */
static enum compaction_scan_result begin_dirty(struct compaction_pass *pass)
{
    struct segment *segment = next_dirty(pass);
    if (!segment && !pass->full)
        pass->map.latest = pass->range.uncleanable - 1;
    if (!segment)
        return COMPACTION_SCAN_END;
    pass->next_base = end_of(pass->log, segment);
    if (pass->next_base > pass->range.uncleanable || segment->size < 0)
        return COMPACTION_SCAN_FAILED; /* the log was cut meanwhile */
    compaction_scan_begin(&pass->scan, segment);
    return COMPACTION_SCAN_BATCH;
}

static enum step pass_map(struct flow *flow)
{
    struct compaction_pass *pass = pass_of(flow);
    struct compaction_scan *scan = &pass->scan;
    for (;;) {
        if (compaction_pass_is_off(pass))
            return give_up(pass, ERROR_CANCELLED);
        if (!pass->away) {
            enum compaction_scan_result result = COMPACTION_SCAN_END;
            if (!scan->segment) {
                result = begin_dirty(pass);
                if (result == COMPACTION_SCAN_FAILED)
                    return give_up(pass, ERROR_CANCELLED);
                if (result == COMPACTION_SCAN_END)
                    return STEP_NEXT;
            }
            if (!pass->full) /* else nothing more is taken: map.latest is final */
                result = compaction_scan_step(scan, flow, &pass->batch);
            if (result == COMPACTION_SCAN_WAITS)
                return STEP_AGAIN;
            if (result == COMPACTION_SCAN_FAILED)
                return scan_failed(pass);
            if (result == COMPACTION_SCAN_END) {
                if (!compaction_scan_close(scan, flow))
                    return STEP_AGAIN;
                continue;
            }
        }
        if (!compaction_pass_work(pass, flow, map_batch))
            return STEP_AGAIN;
        if (pass->batch_error)
            return scan_failed(pass);
        if (compaction_pass_pause(pass, flow, pass->batch.whole.size))
            return STEP_AGAIN;
    }
}

/* Gathers the segments of the next group. Returns how many, 0 when all are rewritten. */
static int32_t next_group(struct compaction_pass *pass, struct segment ***ret_first,
                          int64_t *ret_end_offset)
{
    struct log *log = pass->log;
    int32_t first = 0, count = 0;
    while (first < log->segment_count && log->segments[first]->base_offset < pass->next_base)
        first++;
    struct compaction_segment *segments =
        memory_zeroed((size_t)(log->segment_count + 1) * sizeof *segments);
    for (int32_t i = first; i + 1 < log->segment_count; i++) {
        const struct segment *segment = log->segments[i];
        if (segment->base_offset > pass->map.latest ||
            log->segments[i + 1]->base_offset > pass->range.uncleanable || !segment->sealed ||
            segment->size < 0)
            break;
        segments[count] = (struct compaction_segment){.base_offset = segment->base_offset,
                                                      .size_bytes = segment->size,
                                                      .index_bytes = 8ll * segment->index_count};
        segments[++count].base_offset = log->segments[i + 1]->base_offset;
    }
    struct compaction_limits limits = {log->settings->segment_bytes, log->settings->index_bytes};
    if (count > 0)
        count = compaction_group_end(segments, 0, count, &limits);
    *ret_first = &log->segments[first];
    *ret_end_offset = segments[count].base_offset;
    memory_free(segments);
    return count;
}

static enum step pass_groups(struct flow *flow)
{
    struct compaction_pass *pass = pass_of(flow);
    struct compaction_rewrite *rewrite = &pass->rewrite;
    if (!rewrite->sources && !rewrite->ended) { /* the first one: a walk of its own begins */
        pass->next_base = INT64_MIN;
        compaction_transactions_done(&pass->transactions);
        begin_transactions(pass, 0);
    } else if (rewrite->error) {
        if (rewrite->error == ERROR_CORRUPT_MESSAGE)
            tell_fault(pass, rewrite->fault_segment, rewrite->fault_position);
        return give_up(pass, rewrite->error);
    }
    if (compaction_pass_is_off(pass))
        return give_up(pass, ERROR_CANCELLED);
    struct segment **first;
    int32_t count = next_group(pass, &first, &pass->next_base);
    if (count == 0)
        return STEP_NEXT;
    compaction_rewrite_start(pass, first, count, pass->next_base);
    waiter_park(&pass->waiter, &pass->waiters, flow);
    return STEP_AGAIN;
}

static enum step pass_end(struct flow *flow)
{
    struct compaction_pass *pass = pass_of(flow);
    struct log *log = pass->log;
    if (!compaction_scan_close(&pass->scan, flow))
        return STEP_AGAIN;
    if (!pass->error)
        log->cleaned_end = pass->map.latest + 1;
    if (pass->rot)
        log->uncleanable = true;
    pass->read_bytes = pass->scan.read_bytes;
    log->cleaning = log->stop_cleaning = false;
    log->holders--;
    waiters_wake(&log->idle_waiters);
    compaction_scan_done(&pass->scan);
    compaction_transactions_done(&pass->transactions);
    memory_free(pass->aborted);
    pass->aborted = NULL;
    arena_done(&pass->arena);
    memory_free(pass->map.slots);
    pass->map.slots = NULL;
    cleaner_pass_ended(pass->cleaner);
    return STEP_NEXT;
}
