#include "storage/log_search.h"
#include "base/check.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "protocol/batch.h"
#include "storage/index_check.h"
#include "storage/log_state.h"
#include "storage/store.h"
#include <stdio.h>

/* NEXT -> JUDGE -> (ENTRY_OPEN -> ENTRY_READ -> ENTRY_CLOSE) -> BATCHES -> NEXT ... -> RECORD
 *
 * A segment is known by its base offset between the steps: it may be gone when it is looked for
 * again, and then the next one is taken. */
enum { NEXT, JUDGE, ENTRY_OPEN, ENTRY_READ, ENTRY_CLOSE, BATCHES, RECORD, ENDED };

enum {
    READ_BYTES = 256 << 10,
    ENTRY_BYTES = 4096 * TIME_ENTRY_BYTES,
    ARENA_BYTES = 256 << 20, /* of one batch, decompressed */
};

static bool end(struct log_search *search, enum error error)
{
    search->error = error;
    search->phase = ENDED;
    if (error)
        search->offset = search->found_ms = search->leader_epoch = -1;
    return true;
}

void log_search_done(struct log_search *search)
{
    check(!search->started || search->handle < 0);
    log_read_done(&search->read);
    buffer_release(search->buffer);
    search->buffer = NULL;
}

static bool wait_for(struct log_search *search, struct flow *flow, uint8_t phase, struct op op)
{
    search->phase = phase;
    search->op = op;
    search->op.flow = flow;
    file_op_start(search->log->store->core, &search->op);
    return false;
}

/* The segment that is looked at, or null if it is gone. */
static struct segment *current(const struct log_search *search)
{
    struct segment *segment = log_segment_at(search->log, search->base_offset);
    return segment && segment->base_offset == search->base_offset ? segment : NULL;
}

static struct segment *segment_behind(const struct log_search *search)
{
    const struct log *log = search->log;
    if (search->base_offset < 0)
        return log_segment_at(log, log->log_start);
    for (int32_t i = 0; i < log->segment_count; i++)
        if (log->segments[i]->base_offset > search->base_offset)
            return log->segments[i];
    return NULL;
}

/* Offsets of the segment that count. */
static int64_t low_end(const struct log_search *search)
{
    return max_i64(search->base_offset, search->log->log_start);
}

static int64_t high_end(const struct log_search *search)
{
    const struct segment *next = segment_behind(search);
    return next ? min_i64(next->base_offset, search->end_offset) : search->end_offset;
}

/* Is an entry of the time index before what is wanted? Such entries come first. */
static bool is_before(const struct log_search *search, int64_t timestamp_ms, int64_t offset)
{
    return search->largest ? offset < high_end(search) : timestamp_ms < search->timestamp_ms;
}

static void read_batches(struct log_search *search, int64_t from)
{
    search->from = max_i64(from, low_end(search));
    search->until = high_end(search);
    search->phase = BATCHES;
}

/* The last entry before what is wanted was found, or there is none: entry_at is its offset. */
static bool use_entry(struct log_search *search)
{
    read_batches(search, max_i64(search->entry_at, search->base_offset));
    search->unbelieved = search->from == search->entry_at;
    return true;
}

static bool use_pending(struct log_search *search)
{
    const struct segment *segment = current(search);
    for (int32_t i = 0; segment && i < segment->times.pending_count; i++) {
        const struct time_entry *entry = &segment->times.pending[i];
        int64_t offset = segment->base_offset + entry->relative_offset;
        if (!is_before(search, entry->timestamp_ms, offset))
            break;
        search->entry_ms = entry->timestamp_ms;
        search->entry_at = offset;
    }
    return use_entry(search);
}

/* What of this segment must be looked at? True: go on. False: it waits for the file. */
static bool judge(struct log_search *search, struct segment *segment, struct flow *flow)
{
    const struct time_index *times = &segment->times;
    search->phase = NEXT;
    int64_t wanted_ms = search->largest ? search->best_ms + 1 : search->timestamp_ms;
    if (times->max_timestamp_ms < wanted_ms)
        return true;
    int64_t at = segment->base_offset + times->max_relative_offset;
    bool whole = segment->base_offset >= search->log->log_start; /* all of it may be read */
    if (search->largest && whole && at < high_end(search)) {
        search->best_ms = times->max_timestamp_ms;
        search->best_at = at;
        return true;
    }
    search->entry_ms = -1;
    search->entry_at = segment->base_offset - 1;
    if (search->largest && !whole) {
        read_batches(search, low_end(search));
        return true;
    }
    if (times->written == 0)
        return use_pending(search);
    char name[SEGMENT_NAME_SIZE];
    segment_name(segment->base_offset, ".timeindex", name);
    snprintf(search->path, sizeof search->path, "%s/%s", search->log->folder, name);
    search->entry_place = 0;
    return wait_for(search, flow, ENTRY_OPEN,
                    (struct op){.kind = OP_OPEN, .path = search->path, .flags = OPEN_READ});
}

static bool read_entries(struct log_search *search, struct flow *flow)
{
    struct buffers *buffers = &search->log->store->core->buffers;
    if (!search->buffer)
        search->buffer = buffers_take_always(buffers, ENTRY_BYTES);
    return wait_for(search, flow, ENTRY_READ,
                    (struct op){.kind = OP_READ,
                                .handle = search->handle,
                                .data = search->buffer->data,
                                .size = ENTRY_BYTES,
                                .offset = TIME_ENTRY_BYTES * (int64_t)search->entry_place});
}

/* Takes the entries that were read. An entry that is not behind the one before it is not believed,
 * nor what follows: then more batches are read. */
static bool take_entries(struct log_search *search, struct flow *flow)
{
    const struct segment *segment = current(search);
    int64_t count = search->op.result > 0 ? search->op.result / TIME_ENTRY_BYTES : 0;
    bool more = count > 0 && segment;
    for (int64_t i = 0; i < count && more; i++) {
        const uint8_t *entry = search->buffer->data + TIME_ENTRY_BYTES * i;
        int64_t timestamp_ms = (int64_t)load_be64(entry);
        int64_t offset = search->base_offset + load_be32(entry + 8);
        more = search->entry_place < segment->times.written && timestamp_ms > search->entry_ms &&
               offset > search->entry_at && is_before(search, timestamp_ms, offset);
        if (!more)
            break;
        search->entry_ms = timestamp_ms;
        search->entry_at = offset;
        search->entry_place++;
    }
    if (more)
        return read_entries(search, flow);
    buffer_release(search->buffer);
    search->buffer = NULL;
    int32_t handle = search->handle;
    search->handle = -1;
    return wait_for(search, flow, ENTRY_CLOSE, (struct op){.kind = OP_CLOSE, .handle = handle});
}

/* The first record of the batch from `least_offset` on that is as late as `wanted_ms`. False: there
 * is none, or the batch is rot (error). */
static bool look_into(struct log_search *search, const struct batch *batch, int64_t wanted_ms)
{
    if (batch_check_crc(batch) != ERROR_NONE) {
        search->error = ERROR_KAFKA_STORAGE_ERROR;
        return false;
    }
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    struct batch_iterator iterator;
    struct record record;
    bool found = false;
    if (batch_iterate(batch, &arena, &iterator) != ERROR_NONE)
        search->error = ERROR_KAFKA_STORAGE_ERROR;
    else
        while (!found && batch_next(&iterator, &record))
            found = record.timestamp >= wanted_ms && record.offset >= search->log->log_start;
    if (found) {
        search->offset = record.offset;
        search->found_ms = record.timestamp;
        search->leader_epoch = batch->leader_epoch;
    }
    arena_done(&arena);
    return found;
}

/* The largest timestamp in a batch, of its records that may be read. */
static int64_t largest_in(struct log_search *search, const struct batch *batch)
{
    if (batch->base_offset >= search->log->log_start)
        return batch->max_timestamp;
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    struct batch_iterator iterator;
    struct record record;
    int64_t largest_ms = -1;
    if (batch_iterate(batch, &arena, &iterator) == ERROR_NONE)
        while (batch_next(&iterator, &record))
            if (record.offset >= search->log->log_start)
                largest_ms = max_i64(largest_ms, record.timestamp);
    arena_done(&arena);
    return largest_ms;
}

/* The first batch at the time index's entry: is it the one that the entry names? If not, all of the
 * segment is read, and the indexes are made anew some time. */
static bool believe(struct log_search *search, const struct batch *batch)
{
    search->unbelieved = false;
    if (MUTANT(index_entry_believed) ||
        (batch_last_offset(batch) == search->entry_at && batch->max_timestamp == search->entry_ms))
        return true;
    REACHED("time index not believed");
    struct segment *segment = current(search);
    if (segment)
        index_check_distrust(segment);
    search->from = low_end(search);
    return false;
}

/* Looks through what was read. True: nothing more is to be read of it. */
static bool look_through(struct log_search *search)
{
    const struct log_read *read = &search->read;
    for (int i = 0; i < read->parts_count; i++) {
        struct bytes left = read->parts[i];
        struct batch batch;
        while (left.size > 0 && batch_view(left.data, (size_t)left.size, &batch) == ERROR_NONE) {
            int64_t last = batch_last_offset(&batch);
            if (search->unbelieved && !believe(search, &batch))
                return false;
            search->from = last + 1;
            if (search->phase == RECORD)
                return look_into(search, &batch, search->best_ms) || true;
            int64_t largest_ms = search->largest ? largest_in(search, &batch) : -1;
            if (largest_ms > search->best_ms) {
                search->best_ms = largest_ms;
                search->best_at = last;
            }
            if (!search->largest && batch.max_timestamp >= search->timestamp_ms &&
                (look_into(search, &batch, search->timestamp_ms) || search->error))
                return true;
            left = (struct bytes){left.data + batch.whole.size, left.size - batch.whole.size};
        }
    }
    return read->size == 0;
}

/* One read of batches in [from, until). */
static bool step_batches(struct log_search *search, struct flow *flow)
{
    struct log_read *read = &search->read;
    if (!search->reading) {
        if (search->from >= search->until) {
            search->phase = NEXT;
            return search->largest || search->offset < 0 ? true : end(search, ERROR_NONE);
        }
        search->from = max_i64(search->from, search->log->log_start); /* it may have moved */
        *read = (struct log_read){.log = search->log,
                                  .offset = search->from,
                                  .end_offset = search->until,
                                  .max_bytes = READ_BYTES,
                                  .at_least_one = true};
        search->reading = true;
    }
    if (!log_read_step(read, flow))
        return false;
    search->reading = false;
    enum error error = read->error;
    bool ended = error || look_through(search);
    log_read_done(read);
    if (error || search->error)
        return end(search, error ? error : search->error);
    if (search->phase == RECORD || search->offset >= 0)
        return end(search, ERROR_NONE);
    if (ended)
        search->phase = NEXT;
    return true;
}

static bool take_next(struct log_search *search)
{
    const struct segment *segment = segment_behind(search);
    if (segment && segment->base_offset < search->end_offset) {
        search->base_offset = segment->base_offset;
        search->phase = JUDGE;
        return true;
    }
    if (!search->largest || search->best_ms < 0)
        return end(search, ERROR_NONE);
    search->from = search->best_at;
    search->until = search->end_offset;
    search->phase = RECORD;
    return true;
}

static bool step_judge(struct log_search *search, struct flow *flow)
{
    struct segment *segment = current(search);
    if (!segment) {
        search->phase = NEXT;
        return true;
    }
    enum error error = index_check(segment, &search->waiter, flow);
    if (error == ERROR_WOULD_WAIT)
        return false;
    return error ? end(search, error) : judge(search, segment, flow);
}

static bool step(struct log_search *search, struct flow *flow)
{
    switch (search->phase) {
    case NEXT:
        return take_next(search);
    case JUDGE:
        return step_judge(search, flow);
    case ENTRY_OPEN:
        if (search->op.result < 0)
            return use_entry(search); /* only a cache: the segment is read */
        search->handle = (int32_t)search->op.result;
        return read_entries(search, flow);
    case ENTRY_READ:
        return take_entries(search, flow);
    case ENTRY_CLOSE:
        return use_pending(search);
    default:
        return step_batches(search, flow);
    }
}

bool log_search_step(struct log_search *search, struct flow *flow)
{
    if (!search->started) {
        if (search->log->cut && search->log->state != LOG_FAILED) {
            waiter_park(&search->waiter, &search->log->open_waiters, flow);
            return false;
        }
        search->started = true;
        search->base_offset = search->best_ms = search->offset = search->found_ms = -1;
        search->leader_epoch = search->handle = -1;
        if (search->log->state != LOG_OPEN)
            return end(search, search->log->error ? search->log->error : ERROR_BAD_ARGUMENT);
    }
    while (search->phase != ENDED)
        if (!step(search, flow))
            return false;
    return true;
}
