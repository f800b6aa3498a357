/* Reads of a log: from the pieces in memory, else from a segment's file.
 *
 * A file read goes: size -> handle -> index -> bytes -> (more bytes) -> done. Until a segment is
 * sealed it is read directly through the handle it is written with, so never through the page
 * cache; a sealed one is read buffered. */
#include "base/check.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "codec/crc32c.h"
#include "protocol/batch.h"
#include "storage/cold_reads.h"
#include "storage/handles.h"
#include "storage/index_check.h"
#include "storage/log_prove.h"
#include "storage/log_read_memory.h"
#include "storage/log_state.h"
#include "storage/sidecar.h"
#include "storage/store.h"
#include <stdio.h>

enum { SCAN_BYTES = 64 << 10 };

enum read_state {
    READ_START,
    READ_SIZE,
    READ_OPEN,
    READ_INDEX_SIZE,
    READ_INDEX,
    READ_BUFFER,
    READ_BYTES,
    READ_ENDED
};

void log_read_done(struct log_read *read)
{
    for (int i = 0; i < ARRAY_COUNT(read->buffers); i++) {
        buffer_release(read->buffers[i]);
        read->buffers[i] = NULL;
    }
    read->parts_count = 0;
}

static bool end_read(struct log_read *read, enum error error)
{
    if (read->segment) {
        read->segment->users--;
        read->segment = NULL;
        read->log->reads--;
        waiters_wake(&read->log->idle_waiters);
    }
    cold_reads_end(read);
    read->error = error;
    read->state = READ_ENDED;
    if (error)
        read->size = 0;
    return true;
}

static bool read_memory(struct log_read *read)
{
    log_read_memory(read);
    return end_read(read, ERROR_NONE);
}

/* ---- files ------------------------------------------------------------------------------ */

static void start_op(struct log_read *read, struct flow *flow, struct op op)
{
    read->op = op;
    read->op.flow = flow;
    file_op_start(read->log->store->core, &read->op);
}

/* The path of one of the segment's files, in memory of the read until its operation has ended. */
static const char *file_path(struct log_read *read, const char *suffix)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(read->segment->base_offset, suffix, name);
    struct buffer *buffer = buffers_take_always(&read->log->store->core->buffers, 1024);
    buffer_release(read->buffers[0]);
    read->buffers[0] = buffer;
    snprintf((char *)buffer->data, buffer->size, "%s/%s", read->log->folder, name);
    return (const char *)buffer->data;
}

static bool use_segment(struct log_read *read, struct segment *segment)
{
    if (read->segment) {
        read->segment->users--;
        read->log->reads--;
    }
    read->segment = segment;
    segment->users++;
    read->log->reads++;
    read->position = -1;
    read->state = READ_SIZE;
    return true;
}

/* The index of a sealed segment is read once, whole, from its file; before the segment is opened,
 * since who waits for a descriptor must hold none. */
static bool start_index(struct log_read *read, struct flow *flow)
{
    struct segment *segment = read->segment;
    if (segment->index_loaded || !segment->sealed)
        return false;
    read->state = READ_INDEX_SIZE;
    start_op(read, flow,
             (struct op){.kind = OP_OPEN, .path = file_path(read, ".index"), .flags = OPEN_READ});
    return true;
}

/* The next state that needs an operation, started here; or READ_BUFFER when all is at hand. */
static bool prepare(struct log_read *read, struct flow *flow)
{
    struct segment *segment = read->segment;
    if (segment->size < 0) {
        read->state = READ_SIZE;
        start_op(
            read, flow,
            (struct op){.kind = OP_STAT, .path = file_path(read, ".log"), .data = &read->stat});
        return false;
    }
    read->state = READ_BUFFER; /* what was waited for until here is done with */
    if (sidecar_await(segment, &read->waiter, flow) || start_index(read, flow))
        return false;
    if ((segment->sealed ? segment->read_handle : segment->handle) < 0) {
        read->state = READ_OPEN;
        start_op(read, flow,
                 (struct op){.kind = OP_OPEN,
                             .path = file_path(read, ".log"),
                             .flags = segment->sealed ? OPEN_READ | OPEN_NOTHING_AHEAD
                                                      : OPEN_READ | OPEN_WRITE | OPEN_DIRECT});
        return false;
    }
    return true;
}

/* Where to begin: where the last read ended, or the index's entry at or below the offset. */
static void choose_position(struct log_read *read)
{
    struct segment *segment = read->segment;
    read->hinted = segment->hint_position > 0 && segment->hint_offset == read->offset;
    if (read->hinted)
        read->position = segment->hint_position;
    else
        read->position = segment->index_bad ? 0 : segment_index_find(segment, read->offset);
    read->believed = read->position == 0;
    read->looked = read->not_cached = false;
    log_prove_begin(read);
    read->wanted = (int32_t)min_i64((int64_t)read->max_bytes + SCAN_BYTES, COLD_READ_MOST);
}

/* Only whole batches lie in the file below it: a drain may have written part of the oldest piece.
 */
static int64_t readable_end(const struct segment *segment)
{
    const struct piece *oldest = segment->log->oldest;
    if (segment->sealed)
        return segment->size;
    return oldest && oldest->segment == segment ? oldest->position : segment->drained;
}

/* A segment that is still written is read directly: of that the page cache knows nothing. */
static enum cold_source source_of(const struct log_read *read)
{
    bool asks_cache =
        read->segment->sealed && !read->not_cached && !read->log->store->cold.cache_untold;
    return asks_cache ? COLD_CACHE : COLD_DISK;
}

/* Takes a buffer and starts the read of `wanted` bytes at `position`. */
static bool start_bytes(struct log_read *read, struct flow *flow)
{
    struct segment *segment = read->segment;
    struct store *store = read->log->store;
    int64_t end = readable_end(segment);
    uint64_t alignment = segment->sealed ? 1 : store->alignment;
    int64_t from = (int64_t)align_down((uint64_t)read->position, alignment);
    int64_t to =
        (int64_t)align_up((uint64_t)min_i64(end, read->position + read->wanted), alignment);
    check(to > from);
    buffer_release(read->buffers[0]); /* who waits for the budget must hold nothing of it */
    read->buffers[0] = NULL;
    enum cold_source source = source_of(read);
    if (!cold_reads_take(read, source, to - from, flow))
        return false;
    struct buffer *buffer = buffers_take(&store->core->buffers, (size_t)(to - from));
    if (!buffer && !read->at_least_one)
        return end_read(read, ERROR_NONE); /* others will come for it */
    if (!buffer) {
        /* To wait here could be for ever: the request holds its frame, and parts on other cores,
         * which others may wait for. So the first batch is read past the budget, at first not much
         * of it. */
        REACHED("read past the budget");
        if (!read->looked)
            to = (int64_t)align_up((uint64_t)min_i64(end, read->position + SCAN_BYTES), alignment);
        buffer = buffers_take_always(&store->core->buffers, (size_t)(to - from));
    }
    read->buffers[0] = buffer;
    read->state = READ_BYTES;
    handle_touch(segment);
    start_op(read, flow,
             (struct op){.kind = OP_READ,
                         .handle = segment->sealed ? segment->read_handle : segment->handle,
                         .data = buffer->data,
                         .size = (size_t)(to - from),
                         .offset = from,
                         .flags = source == COLD_CACHE ? READ_CACHED_ONLY : 0});
    return false;
}

static bool crc_is_right(const uint8_t *batch, int64_t size)
{
    return crc32c(0, batch + BATCH_ATTRIBUTES_AT, (size_t)size - BATCH_ATTRIBUTES_AT) ==
           load_be32(batch + BATCH_CRC_AT);
}

/* Does the batch at an index's entry, or where the last read ended, begin as one must there? Of
 * `left` bytes that were read of it. */
static bool is_believable(const struct log_read *read, const uint8_t *batch, int64_t left)
{
    int64_t size = batch_size_at(batch), base_offset = (int64_t)load_be64(batch);
    bool beyond =
        base_offset > read->offset && !read->hinted; /* there may be a gap behind a hint */
    if (size < BATCH_RECORDS_AT || batch[BATCH_MAGIC_AT] != 2 || beyond ||
        base_offset < read->segment->base_offset)
        return false;
    return size > left || crc_is_right(batch, size);
}

/* Can a batch begin with this header, behind one that ends at `least`? What lies in a file below
 * `end` is whole and durable. */
static bool is_plausible(const struct log_read *read, const uint8_t *batch, int64_t least,
                         int64_t room)
{
    int64_t size = batch_size_at(batch), base_offset = (int64_t)load_be64(batch);
    int64_t end_offset = batch_last_offset_at(batch) + 1;
    return size >= BATCH_RECORDS_AT && size <= room && batch[BATCH_MAGIC_AT] == 2 &&
           base_offset >= least && end_offset > base_offset && end_offset <= read->log->durable_end;
}

/* Goes back to the file: from `at` on, or from where nothing is proved yet; `needed`: up to there
 * at least. */
static bool read_on(struct log_read *read, int64_t at, int64_t needed)
{
    if (read->proving)
        at = min_i64(at, read->proved);
    read->position = at;
    read->wanted = (int32_t)max_i64(read->wanted, needed - at);
    read->state = READ_BUFFER;
    return false;
}

static enum log_proof prove(struct log_read *read, int64_t end, int64_t *ret_needed)
{
    int64_t have = min_i64(read->op.offset + read->op.result, readable_end(read->segment));
    struct bytes data = {read->buffers[0]->data, (int32_t)(have - read->op.offset)};
    *ret_needed = end;
    return log_prove(read, data, read->op.offset, end, ret_needed);
}

/* All before `at` was passed over, and the read goes on from there. */
static bool pass_over(struct log_read *read, int64_t at, int64_t needed)
{
    int64_t wanted;
    enum log_proof proof = prove(read, at, &wanted);
    if (proof == LOG_DISPROVED)
        return end_read(read, ERROR_KAFKA_STORAGE_ERROR);
    return read_on(read, at, proof == LOG_UNPROVED ? max_i64(wanted, needed) : needed);
}

/* The batches from `first` to `end` are what is read: those of them that are proved. */
static bool give(struct log_read *read, int64_t first, int64_t end)
{
    const uint8_t *data = read->buffers[0]->data;
    int64_t begin = read->op.offset, needed;
    enum log_proof proof = prove(read, end, &needed);
    if (proof != LOG_PROVED && read->proved <= first)
        return proof == LOG_DISPROVED ? end_read(read, ERROR_KAFKA_STORAGE_ERROR)
                                      : read_on(read, first, needed);
    if (proof != LOG_PROVED)
        end = read->proved;
    for (int64_t at = first; at < end; at += batch_size_at(data + (at - begin)))
        read->segment->hint_offset = batch_last_offset_at(data + (at - begin)) + 1;
    if (end > first) {
        read->segment->hint_position = end;
        read->next_offset = read->segment->hint_offset;
        read->parts[0] = (struct bytes){data + (first - begin), (int32_t)(end - first)};
        read->parts_count = 1;
        read->size = (int32_t)(end - first);
    }
    return end_read(read, ERROR_NONE);
}

/* Nothing below end_offset, by what the batch at `at` says. */
static bool give_nothing(struct log_read *read, int64_t at)
{
    int64_t needed;
    switch (prove(read, at + 1, &needed)) {
    case LOG_DISPROVED:
        return end_read(read, ERROR_KAFKA_STORAGE_ERROR);
    case LOG_UNPROVED:
        return read_on(read, at, needed);
    default:
        return end_read(read, ERROR_NONE);
    }
}

/* Nothing is read: who opens or scrubs the segment says more. */
static bool meet_rot(struct log_read *read, int64_t position, const char *what)
{
    if (read->segment->sealed)
        log_tell_rot(read->segment, ".log",
                     &(struct sidecar_fault){.position = position, .what = what});
    return end_read(read, ERROR_KAFKA_STORAGE_ERROR);
}

/* Looks through what was read. True: results are set. False: more must be read. */
static bool take_batches(struct log_read *read)
{
    struct segment *segment = read->segment;
    int64_t end = readable_end(segment);
    int64_t have = min_i64(read->op.offset + read->op.result, end);
    const uint8_t *data = read->buffers[0]->data;
    int64_t begin = read->op.offset;
    int64_t at = read->position, first = -1, least = segment->base_offset;
    const uint8_t *passed = NULL; /* the batch before, if it was passed over */
    while (at + BATCH_RECORDS_AT <= have) {
        const uint8_t *batch = data + (at - begin);
        int64_t size = batch_size_at(batch), end_offset = batch_last_offset_at(batch) + 1;
        if (!read->believed && !MUTANT(index_entry_believed) &&
            !is_believable(read, batch, have - at)) {
            REACHED("index not believed");
            segment->index_bad = true;     /* it is only a cache: reads begin without it, */
            index_check_distrust(segment); /* until it has been made anew */
            segment->hint_position = 0;
            read->position = read->proved = 0;
            read->believed = true;
            read->state = READ_BUFFER;
            return false;
        }
        read->believed = true;
        if (!is_plausible(read, batch, least, end - at)) {
            if (first >= 0 && read->proving)
                break; /* of those before it, what is proved */
            return meet_rot(read, at, "no batch can begin with this header");
        }
        least = end_offset;
        if (end_offset > read->end_offset)
            break;
        if (end_offset > read->offset) {
            if (first < 0 && passed && (int64_t)load_be64(batch) > read->offset &&
                !crc_is_right(passed, batch_size_at(passed))) /* it is what hides the offset */
                return meet_rot(read, begin + (passed - data), "a batch's CRC does not match");
            if (first < 0)
                first = at;
            bool fits = at + size - first <= read->max_bytes || (at == first && read->at_least_one);
            if (!fits)
                break;
            if (at + size > have) {
                if (at > first)
                    break;
                read->wanted = 0; /* it is longer than what was read: just it, and its proof */
                return pass_over(read, at, max_i64(at + size, log_prove_reach(read, at)));
            }
        }
        passed = at + size <= have ? batch : NULL;
        at += size;
        if (at > have)
            break;
    }
    if (first >= 0)
        return give(read, first, at);
    if (at >= end && passed && !crc_is_right(passed, batch_size_at(passed)))
        return meet_rot(read, begin + (passed - data), "a batch's CRC does not match");
    bool goes_on = at + BATCH_RECORDS_AT <= end && at > read->position; /* not reached yet */
    bool cut = at + BATCH_RECORDS_AT <= end && have < end && at + BATCH_RECORDS_AT > have;
    if (goes_on || cut || at >= end) /* at the end: compaction has left a gap there */
        return pass_over(read, at, at + (cut ? BATCH_RECORDS_AT : 0));
    return give_nothing(read, at);
}

/* The segment after the one that has nothing for the read: what it held there was compacted away.
 * If it was replaced meanwhile, the one in its place is looked at. */
static bool next_segment(struct log_read *read)
{
    struct log *log = read->log;
    int64_t base_offset = read->segment->base_offset;
    for (int i = 0; i < log->segment_count; i++)
        if (log->segments[i] == read->segment)
            return i + 1 < log->segment_count && use_segment(read, log->segments[i + 1]);
    struct segment *instead = log_segment_at(log, max_i64(read->offset, base_offset));
    return instead && use_segment(read, instead);
}

static bool read_bytes_ended(struct log_read *read)
{
    bool from_cache = read->op.flags & READ_CACHED_ONLY;
    cold_reads_end(read);
    read->not_cached = from_cache && read->op.result < (int64_t)read->op.size;
    if (read->not_cached) { /* whatever the reason: the disk is asked for it */
        if (read->op.result == -ERROR_NOT_SUPPORTED) {
            REACHED("nobody can tell what the page cache has");
            read->log->store->cold.cache_untold = true;
        }
        read->state = READ_BUFFER;
        return false;
    }
    if (read->op.result <= 0)
        return end_read(read, ERROR_KAFKA_STORAGE_ERROR);
    if (from_cache)
        REACHED("read from the page cache");
    else if (read->segment->sealed)
        REACHED("read from the disk");
    read->looked = true;
    return take_batches(read);
}

/* Takes the index, unless the sidecar says that it was another. A missing one is no fault: the scan
 * is only longer. */
static void loaded_index(struct log_read *read)
{
    struct segment *segment = read->segment;
    struct bytes file = {read->buffers[0]->data, (int32_t)max_i64(read->op.result, 0)};
    const struct sidecar_cache *cache =
        segment->sidecar ? &segment->sidecar->files[SIDECAR_INDEX] : NULL;
    segment->index_loaded = true;
    /* of a shorter one it can't be told whether all was read: what was is in order, or not taken */
    if (cache && file.size >= cache->size && !sidecar_cache_agrees(cache, file)) {
        REACHED("index not what its sidecar says");
        index_check_distrust(segment);
        return;
    }
    index_decode(segment, file.data, (size_t)file.size, segment->size);
}

static bool read_index(struct log_read *read, struct flow *flow)
{
    struct segment *segment = read->segment;
    if (read->op.kind == OP_OPEN) {
        if (read->op.result < 0) {
            segment->index_loaded = true;
            return false;
        }
        int32_t handle = (int32_t)read->op.result;
        size_t size = (size_t)(segment->size / 64 + 8); /* more entries than batches can be */
        size = size > (10u << 20) ? (10u << 20) : size;
        struct buffer *buffer = buffers_take_always(&read->log->store->core->buffers, size);
        buffer_release(read->buffers[0]);
        read->buffers[0] = buffer;
        start_op(
            read, flow,
            (struct op){.kind = OP_READ, .handle = handle, .data = buffer->data, .size = size});
        return true;
    }
    if (read->op.kind == OP_READ) {
        loaded_index(read);
        start_op(read, flow, (struct op){.kind = OP_CLOSE, .handle = read->op.handle});
        return true;
    }
    return false;
}

static bool step_file(struct log_read *read, struct flow *flow);

/* Goes on where the segment's file has nothing more: in memory, or in the next file. */
static bool read_behind(struct log_read *read, struct flow *flow)
{
    const struct piece *oldest = read->log->oldest;
    bool in_memory = oldest && oldest->segment == read->segment;
    if (!in_memory) {
        if (!next_segment(read))
            return end_read(read, ERROR_NONE);
        in_memory = oldest && oldest->segment == read->segment && oldest->position == 0;
    }
    if (!in_memory)
        return step_file(read, flow);
    REACHED("read from a file goes on in memory");
    buffer_release(read->buffers[0]);
    read->buffers[0] = NULL;
    return read_memory(read);
}

static bool step_file(struct log_read *read, struct flow *flow)
{
    struct segment *segment = read->segment;
    switch ((enum read_state)read->state) {
    case READ_SIZE:
        if (read->op.kind == OP_STAT && segment->size < 0) {
            if (read->op.result < 0)
                return end_read(read, ERROR_KAFKA_STORAGE_ERROR);
            segment->size = segment->drained = segment->allocated = read->stat.size_bytes;
        }
        break;
    case READ_OPEN: {
        if (read->op.result < 0)
            return end_read(read, ERROR_KAFKA_STORAGE_ERROR);
        int32_t *handle = segment->sealed ? &segment->read_handle : &segment->handle;
        if (*handle >= 0) { /* somebody else was quicker */
            start_op(read, flow, (struct op){.kind = OP_CLOSE, .handle = (int32_t)read->op.result});
            read->state = READ_BUFFER;
            return false;
        }
        handle_keep(segment, handle, (int32_t)read->op.result);
        break;
    }
    case READ_INDEX_SIZE:
        if (read_index(read, flow))
            return false;
        break;
    case READ_BYTES:
        if (read_bytes_ended(read))
            return true;
        break;
    default:
        break;
    }
    if (!prepare(read, flow))
        return false;
    if (read->position < 0)
        choose_position(read);
    if (read->position >= readable_end(segment))
        return read_behind(read, flow);
    return start_bytes(read, flow);
}

bool log_read_step(struct log_read *read, struct flow *flow)
{
    struct log *log = read->log;
    if (read->state == READ_START) {
        read->size = read->parts_count = 0;
        read->next_offset = read->offset;
        read->segment = NULL;
        memset(read->buffers, 0, sizeof read->buffers);
        list_init(&read->waiter.link);
        if (log->cut && log->state != LOG_FAILED) {
            waiter_park(&read->waiter, &log->open_waiters, flow);
            return false;
        }
        if (log->state != LOG_OPEN)
            return end_read(read, log->state == LOG_FAILED ? log->error : ERROR_BAD_ARGUMENT);
        if (read->offset < log->log_start || read->offset > log->appended_end)
            return end_read(read, ERROR_OFFSET_OUT_OF_RANGE);
        if (read->offset >= read->end_offset)
            return end_read(read, ERROR_NONE);
        if (log->oldest && read->offset >= log->oldest->base_offset)
            return read_memory(read);
        REACHED("read from a file");
        struct segment *segment = log_segment_at(log, read->offset);
        if (!segment)
            return end_read(read, ERROR_OFFSET_OUT_OF_RANGE);
        use_segment(read, segment);
    }
    return step_file(read, flow);
}
