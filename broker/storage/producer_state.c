#include "storage/producer_state.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "storage/folder_script.h"
#include "storage/log_state.h"
#include "storage/producer_snapshot.h"
#include "storage/store.h"

enum { SWEPT_AT_ONCE = 64 };

struct producers_now producer_now(const struct store *store)
{
    const struct now *now = &store->core->now;
    return (struct producers_now){now->monotonic_ns / 1000000, now->wall_ms};
}

static void init_table(struct log *log)
{
    /* Ids come from this broker or, by replication, from another: nobody chooses them freely, but
     * a client may send any. */
    producers_init(&log->producers.table, log->store->options.producer_seed,
                   log->store->options.producers_most);
}

void producer_state_init(struct log *log)
{
    list_init(&log->producers.sweep);
    init_table(log);
}

void producer_state_done(struct log *log)
{
    struct producer_state *state = &log->producers;
    list_remove(&state->sweep);
    producers_done(&state->table);
    memory_free(state->aborted);
    memory_free(state->snapshots);
    memory_free(state->txn_indexes);
    memory_free((void *)(uintptr_t)state->captured.data);
}

void producer_state_reset(struct log *log)
{
    producer_state_done(log);
    log->producers = (struct producer_state){0};
    producer_state_init(log);
}

/* ---- append ------------------------------------------------------------------------------- */

/* The next batch, cut off `left`; its offsets are those that it has. False: no more. */
static bool next_batch(struct bytes *left, struct batch *ret_batch)
{
    if (left->size <= 0 || batch_view(left->data, (size_t)left->size, ret_batch) != ERROR_NONE)
        return false;
    left->data += ret_batch->whole.size;
    left->size -= ret_batch->whole.size;
    return true;
}

enum error producer_state_judge(const struct log *log, struct bytes batches,
                                struct log_append_result *ret)
{
    struct producer_event events[PRODUCER_EVENTS_MAX];
    int count = 0;
    struct batch batch;
    while (next_batch(&batches, &batch)) {
        if (count == PRODUCER_EVENTS_MAX)
            return ERROR_INVALID_RECORD;
        count += producer_event_of(&batch, &events[count]);
    }
    struct producer_duplicate duplicate;
    enum error error = producers_handle(&log->producers.table, events, count, &duplicate);
    if (error != ERROR_DUPLICATE_SEQUENCE_NUMBER)
        return error;
    if (MUTANT(answer_duplicate_with_new_offset))
        return ERROR_NONE;
    REACHED("a duplicate of an appended batch");
    *ret = (struct log_append_result){.base_offset = duplicate.base_offset,
                                      .end_offset = duplicate.last_offset + 1,
                                      .log_start_offset = log->log_start,
                                      .timestamp_ms = duplicate.timestamp_ms,
                                      .is_duplicate = true};
    return error;
}

void producer_state_add_aborted(struct producer_state *state, const struct aborted_txn_entry *entry)
{
    if (state->aborted_count == state->aborted_capacity) {
        state->aborted_capacity = state->aborted_capacity ? 2 * state->aborted_capacity : 8;
        state->aborted = memory_resized(state->aborted,
                                        (size_t)state->aborted_capacity * sizeof *state->aborted);
    }
    state->aborted[state->aborted_count++] = *entry;
}

void producer_state_applied(struct log *log, struct bytes batches, bool has_producers)
{
    struct producer_state *state = &log->producers;
    state->bytes_since += batches.size;
    if (!has_producers)
        return;
    struct batch batch;
    while (next_batch(&batches, &batch)) {
        struct producer_event event;
        struct aborted_txn_entry aborted;
        if (producer_event_of(&batch, &event) &&
            producers_apply(&state->table, &event, producer_now(log->store), &aborted))
            producer_state_add_aborted(state, &aborted);
    }
    if (list_is_empty(&state->sweep) && state->table.by_id.count > 0)
        list_push(&log->store->producing, &state->sweep);
}

void producer_state_resumed(struct log *log, struct bytes batches)
{
    struct batch batch;
    while (next_batch(&batches, &batch))
        if (batch_last_offset(&batch) >= log->producers.loaded_end &&
            !MUTANT(forget_producers_at_open))
            producer_state_applied(log, batch.whole, batch.producer_id >= 0);
}

void producer_state_opened(struct log *log)
{
    struct producer_state *state = &log->producers;
    producers_loaded(&state->table, producer_now(log->store));
    if (state->table.by_id.count > 0 && list_is_empty(&state->sweep))
        list_push(&log->store->producing, &state->sweep);
    if (producer_state_lags(log) && list_is_empty(&log->unsettled))
        list_push(&log->store->unsettled, &log->unsettled); /* a stop shall write a snapshot */
}

/* ---- snapshots ---------------------------------------------------------------------------- */

void producer_state_capture(struct log *log)
{
    struct producer_state *state = &log->producers;
    memory_free((void *)(uintptr_t)state->captured.data); /* not written yet: this one is newer */
    state->captured = producer_snapshot_encode(&state->table);
    state->captured_offset = log->appended_end;
    state->bytes_since = 0;
}

void producer_state_roll(struct log *log)
{
    producer_state_capture(log);
}

void producer_state_save(struct log *log)
{
    if (!log->producers.captured.data)
        producer_state_capture(log);
    drain_request(log);
}

bool producer_state_lags(const struct log *log)
{
    const struct producer_state *state = &log->producers;
    return state->captured.data || state->aborted_saved < state->aborted_count ||
           state->bytes_since >= PRODUCER_SNAPSHOT_IDLE_BYTES ||
           (state->bytes_since > 0 && state->table.by_id.count > 0);
}

bool producer_state_is_due(const struct log *log)
{
    const struct producer_state *state = &log->producers;
    if (log->state != LOG_OPEN)
        return false;
    if (state->captured.data && state->captured_offset <= log->durable_end)
        return true;
    if (log->durable_end < log->appended_end || !log->store->checkpoint.running)
        return false;
    return log->store->checkpoint.everything ? producer_state_lags(log)
                                             : state->bytes_since >= PRODUCER_SNAPSHOT_AFTER_BYTES;
}

static void add_offset(int64_t **offsets, int32_t *count, int32_t *capacity, int64_t offset)
{
    if (*count == *capacity) {
        *capacity = *capacity ? 2 * *capacity : 4;
        *offsets = memory_resized(*offsets, (size_t)*capacity * sizeof **offsets);
    }
    int32_t at = (*count)++;
    for (; at > 0 && (*offsets)[at - 1] > offset; at--)
        (*offsets)[at] = (*offsets)[at - 1];
    (*offsets)[at] = offset;
}

void producer_state_name(struct log *log, const char *name)
{
    struct producer_state *state = &log->producers;
    int64_t offset;
    if (segment_name_parse(name, ".snapshot", &offset))
        add_offset(&state->snapshots, &state->snapshot_count, &state->snapshot_capacity, offset);
    else if (segment_name_parse(name, ".txnindex", &offset))
        add_offset(&state->txn_indexes, &state->txn_index_count, &state->txn_index_capacity,
                   offset);
}

/* ---- transactions ------------------------------------------------------------------------- */

int64_t producer_state_last_stable(struct log *log, int64_t high_watermark)
{
    int64_t offset = producers_last_stable(&log->producers.table, high_watermark);
    return offset > log->log_start ? offset : log->log_start;
}

int32_t producer_state_aborted(const struct log *log, int64_t offset, int64_t end_offset,
                               struct aborted_txn_entry *to, int32_t most)
{
    const struct producer_state *state = &log->producers;
    int32_t low = 0, high = state->aborted_count, count = 0;
    while (low < high) { /* the first whose marker is at or after `offset` */
        int32_t middle = low + (high - low) / 2;
        if (state->aborted[middle].last_offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    for (int32_t i = low; i < state->aborted_count; i++) {
        const struct aborted_txn_entry *entry = &state->aborted[i];
        if (entry->first_offset < end_offset) {
            if (to && count < most)
                to[count] = *entry;
            count++;
        }
        if (entry->last_stable_offset >= end_offset)
            break; /* later ones began at or beyond it */
    }
    return count;
}

bool producer_state_is_saved(const struct log *log, int64_t end_offset)
{
    const struct producer_state *state = &log->producers;
    return state->aborted_saved == state->aborted_count ||
           state->aborted[state->aborted_saved].last_offset >= end_offset;
}

int64_t producer_state_rests_on(const struct log *log)
{
    const struct producer_state *state = &log->producers;
    int64_t first = log->segment_count > 0 ? log->segments[0]->base_offset : 0;
    for (int32_t i = 0; i < state->snapshot_count && first > 0; i++)
        if (state->snapshots[i] >= first)
            return state->snapshots[i];
    return -1;
}

int64_t producer_state_rest(struct log *log, struct folder_script *files)
{
    struct producer_state *state = &log->producers;
    int64_t least = max_i64(log->segments[0]->base_offset, state->proven);
    int32_t count = 0;
    while (count < state->snapshot_count && state->snapshots[count] < least)
        count++;
    if (log->segments[0]->base_offset == 0 || count == state->snapshot_count)
        return -1;
    if (count > 0 && !MUTANT(skip_fsync_before_snapshots_go))
        folder_script_flush(files); /* the name of the one that takes their place */
    for (int32_t i = 0; i < count; i++)
        folder_script_remove(files, state->snapshots[i], ".snapshot");
    state->snapshot_count -= count;
    memmove(state->snapshots, state->snapshots + count,
            (size_t)state->snapshot_count * sizeof *state->snapshots);
    return state->snapshots[0];
}

/* ---- expiry ------------------------------------------------------------------------------- */

/* Of transactions whose markers lie before the first segment nobody can ask any more. */
static void drop_aborted(struct log *log)
{
    struct producer_state *state = &log->producers;
    int32_t count = 0;
    while (count < state->aborted_saved && log->segment_count > 0 &&
           state->aborted[count].last_offset < log->segments[0]->base_offset)
        count++;
    if (count == 0)
        return;
    state->aborted_count -= count;
    state->aborted_saved -= count;
    memmove(state->aborted, state->aborted + count,
            (size_t)state->aborted_count * sizeof *state->aborted);
}

void producer_sweep(struct store *store)
{
    int64_t expiration_ms = store->options.producer_expiration_ms;
    for (int i = 0; i < SWEPT_AT_ONCE && !list_is_empty(&store->producing); i++) {
        struct list *node = list_pop(&store->producing);
        struct log *log = CONTAINER_OF(node, struct log, producers.sweep);
        drop_aborted(log);
        if (expiration_ms > 0)
            producers_expire(&log->producers.table, expiration_ms, producer_now(store));
        if (log->producers.table.by_id.count > 0)
            list_push(&store->producing, node);
    }
}
