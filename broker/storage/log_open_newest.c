/* The newest segment of a log that is opened: its indexes are read and judged, its end is scanned.
 *
 *   indexes -> segment -> judge -> scan -> rebuild
 *
 * An index is a cache. It is taken if all its entries are in order, its last entry names a batch
 * that is as it says, and nothing before that is larger; else both are made anew by a scan over all
 * headers, and written atomically. */
#include "base/mutant.h"
#include "base/reached.h"
#include "protocol/batch.h"
#include "storage/handles.h"
#include "storage/log_batch.h"
#include "storage/log_opening.h"
#include "storage/store.h"

enum {
    TAIL_BYTES = 1 << 20, /* checked whole where an index does not say what is old */
    LOOK_BYTES = 512,     /* of one batch's header */
};

/* `size` of opening_read_file, for the offset index. */
static void take_offsets(struct log_opening *opening, int64_t size)
{
    struct segment *newest = opening->newest;
    /* Of a log that is resumed the file may hold more, or less, and that be torn. */
    bool resumed = opening->log->resumed != NULL;
    int32_t interval = opening->log->settings->index_interval_bytes;
    int64_t end = resumed ? segment_indexes_end(opening->limit, interval) : opening->limit;
    if (size > 0)
        index_decode(newest, opening->buffer->data, (size_t)size, end);
    bool exact = 8 * (int64_t)newest->index_count == size || resumed;
    bool expected = end > interval;
    newest->index_loaded = true;
    newest->index_files = size >= 0 && !opening->log->resumed;
    opening->offsets_lost = size < 0 ? expected : !exact;
}

static void take_times(struct log_opening *opening, int64_t size)
{
    struct segment *newest = opening->newest;
    bool whole = size < 0 ||
                 time_index_decode(&newest->times, opening->buffer->data, (size_t)size,
                                   opening->log->resumed ? segment_times_end(newest) : INT32_MAX);
    newest->index_files &= size >= 0;
    opening->times_lost =
        (!whole && !opening->log->resumed) || (size < 0 && newest->index_count > 0);
}

/* Reads both, one after the other. */
enum step open_indexes(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct segment *newest = opening->newest;
    int64_t size;
    if (!newest->index_loaded) {
        if (opening->phase == 0)
            opening_segment_path(opening, newest, ".index");
        if (opening_read_file(opening, &size))
            return STEP_AGAIN;
        take_offsets(opening, size);
    }
    if (opening->phase == 0)
        opening_segment_path(opening, newest, ".timeindex");
    if (opening_read_file(opening, &size))
        return STEP_AGAIN;
    take_times(opening, size);
    newest->times.known = true;
    return STEP_NEXT;
}

enum step open_segment(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct segment *newest = opening->newest;
    if (opening->limit == 0)
        return STEP_NEXT;
    if (opening->phase++ == 0) {
        opening_segment_path(opening, newest, ".log");
        opening_start_op(opening, (struct op){.kind = OP_OPEN,
                                              .path = opening->path,
                                              .flags = OPEN_READ | OPEN_WRITE | OPEN_DIRECT});
        return STEP_AGAIN;
    }
    opening->phase = 0;
    if (opening->op.result < 0)
        return opening_give_up(opening, "the newest segment can't be opened");
    handle_keep(newest, &newest->handle, (int32_t)opening->op.result);
    newest->users++; /* until the log is open */
    opening->uses_newest = true;
    return STEP_NEXT;
}

static int64_t last_entry_position(const struct segment *segment)
{
    return segment->index_count ? segment->index[segment->index_count - 1].position : 0;
}

/* A scan of headers from `position` on. */
static void begin_scan(struct log_opening *opening, int64_t position)
{
    struct log *log = opening->log;
    struct segment *newest = opening->newest;
    log_scan_done(&opening->scan);
    opening->scan = (struct log_scan){.core = log->store->core,
                                      .handle = newest->handle,
                                      .alignment = log->store->alignment,
                                      .position = position,
                                      .end = opening->limit,
                                      .next_offset = newest->base_offset,
                                      .whole_from = INT64_MAX};
}

/* Goes to the batch that the time index's last entry names. True: it waits. */
static bool judge_times(struct log_opening *opening, struct flow *flow)
{
    const struct time_index *times = &opening->newest->times;
    int64_t base_offset = opening->newest->base_offset;
    for (;;) {
        struct log_scan *scan = &opening->scan;
        enum log_scan_result result = log_scan_step(scan, flow);
        if (result == SCAN_WAITS)
            return true;
        int64_t last = -1;
        if (result == SCAN_BATCH)
            last = batch_last_offset_at(scan->batch) - base_offset;
        if (result == SCAN_BATCH && last < times->last_relative_offset)
            continue;
        if (result != SCAN_BATCH || last != times->last_relative_offset ||
            (int64_t)load_be64(scan->batch + BATCH_MAX_TIMESTAMP_AT) != times->last_timestamp_ms)
            opening->times_lost = true;
        return false;
    }
}

/* Reads the header of the batch at `position` alone. */
static void begin_look(struct log_opening *opening, int64_t position)
{
    begin_scan(opening, position);
    opening->scan.ahead = LOOK_BYTES;
}

/* The scan begins behind the first batch with an epoch that the file does not know: where that one
 * began is not known either. */
static bool is_newer_than_epochs(const struct log_opening *opening)
{
    const struct log *log = opening->log;
    const uint8_t *batch = opening->scan.batch;
    return (int32_t)load_be32(batch + BATCH_LEADER_EPOCH_AT) > epochs_latest(&log->epochs) &&
           (int64_t)load_be64(batch) > log->segments[0]->base_offset;
}

/* Looks at the first batch of the segment, at the one where the scan is to begin, then at that of
 * the time index's last entry. */
enum step open_judge(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct segment *newest = opening->newest;
    const struct time_index *times = &newest->times;
    if (opening->limit == 0)
        return STEP_NEXT;
    if (opening->phase == 0) {
        begin_look(opening, 0);
        opening->phase = 1;
    }
    if (opening->phase == 1) {
        enum log_scan_result result = log_scan_step(&opening->scan, flow);
        if (result == SCAN_WAITS)
            return STEP_AGAIN;
        if (result != SCAN_BATCH)
            return opening_scan_fault(opening);
        newest->first_timestamp_ms =
            (int64_t)load_be64(opening->scan.batch + BATCH_MAX_TIMESTAMP_AT);
        begin_look(opening, last_entry_position(newest));
        opening->phase = 2;
    }
    if (opening->phase == 2) {
        enum log_scan_result result = log_scan_step(&opening->scan, flow);
        if (result == SCAN_WAITS)
            return STEP_AGAIN;
        if (result == SCAN_BATCH && is_newer_than_epochs(opening)) {
            opening->log->epochs_lost = true;
            epochs_free(&opening->log->epochs);
            opening->log->epochs_written = 0;
        }
        opening->phase = 3;
    }
    if (times->written > 0 && !opening->times_lost && !MUTANT(index_entry_believed)) {
        if (opening->phase == 3)
            begin_scan(opening, segment_index_find(newest, newest->base_offset +
                                                               times->last_relative_offset));
        opening->phase = 4;
        if (judge_times(opening, flow))
            return STEP_AGAIN;
    }
    opening->phase = 0;
    return STEP_NEXT;
}

/* Begins once more at the first batch, without the indexes. */
static void distrust(struct log_opening *opening)
{
    struct segment *newest = opening->newest;
    REACHED("index not believed");
    opening->offsets_lost = opening->times_lost = true;
    newest->index_count = newest->index_written = 0;
    newest->indexed_position = 0;
    newest->index_files = false;
    newest->index_anew = true;
    time_index_free(&newest->times);
    newest->times.known = true;
    begin_scan(opening, 0);
    opening->scan.whole_from = max_i64(0, opening->limit - TAIL_BYTES);
}

/* The scan begins at the last index entry, or earlier if somebody wants to know of more. Behind
 * that entry it reads whole batches: a crash may have left something there. */
static void begin_newest(struct log_opening *opening)
{
    struct segment *newest = opening->newest;
    int64_t last_entry = last_entry_position(newest);
    int64_t floor = log_opening_floor(opening->log);
    begin_scan(opening, floor < INT64_MAX ? segment_index_find(newest, floor) : last_entry);
    opening->scan.whole_from = last_entry;
    if (opening->offsets_lost || opening->times_lost)
        distrust(opening);
}

/* With the last entry of the offset index the time index got one too, unless no timestamp up to
 * there was larger. Is this batch against it? */
static bool is_against_times(const struct log_opening *opening)
{
    const struct segment *newest = opening->newest;
    const struct log_scan *scan = &opening->scan;
    return !opening->times_lost && newest->index_count > 0 && scan->position > 0 &&
           scan->position <= last_entry_position(newest) &&
           (int64_t)load_be64(scan->batch + BATCH_MAX_TIMESTAMP_AT) >
               newest->times.last_timestamp_ms &&
           !MUTANT(index_entry_believed);
}

/* The files have been looked through: their end is the log's, or meets what the journal holds. */
static enum step join(struct log_opening *opening)
{
    struct log *log = opening->log;
    if (!log->resumed || !log->resumed->end_known) {
        log->appended_end = opening->scan.next_offset;
        return STEP_NEXT;
    }
    int64_t begin = log->oldest ? log->oldest->base_offset : log->appended_end;
    if (begin < opening->scan.next_offset) {
        opening->op.result = 0;
        return opening_give_up(opening, "offsets do not join those in the journal");
    }
    return STEP_NEXT;
}

enum step open_scan(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct log *log = opening->log;
    struct segment *newest = opening->newest;
    struct log_scan *scan = &opening->scan;
    if (opening->phase++ == 0)
        begin_newest(opening);
    opening->phase = 1;
    for (int i = 0; i < SCAN_BATCHES; i++) {
        switch (log_scan_step(scan, flow)) {
        case SCAN_WAITS:
            return STEP_AGAIN;
        case SCAN_BATCH:
            if (is_against_times(opening))
                distrust(opening);
            else
                log_opened_batch(log, newest, scan->batch, scan->position);
            break;
        case SCAN_ENDED:
            opening->phase = 0;
            newest->index_anew = false;
            return join(opening);
        case SCAN_FAULT:
            if (scan->error || !newest->index_count || scan->next_offset != newest->base_offset)
                return opening_scan_fault(opening);
            distrust(opening); /* the index led astray */
            break;
        }
    }
    return STEP_AGAIN;
}

/* The file of one index, in opening->buffer; its size. */
static size_t encode(struct log_opening *opening, bool times)
{
    struct segment *newest = opening->newest;
    int32_t count = times ? newest->times.pending_count : newest->index_count;
    size_t size = (size_t)count * (times ? TIME_ENTRY_BYTES : 8);
    buffer_release(opening->buffer);
    opening->buffer = buffers_take_always(&opening->log->store->core->buffers, size + 1);
    if (times)
        time_index_encode(&newest->times, count, opening->buffer->data);
    else
        index_encode(newest, 0, count, opening->buffer->data);
    return size;
}

/* Writes indexes that were made anew. Where that fails they are written later, with the next
 * entries: they are caches. */
enum step open_rebuild(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct log *log = opening->log;
    struct segment *newest = opening->newest;
    bool worth = newest->index_count > 0;
    if (!worth || !opening->times_lost || log->store->fenced)
        return STEP_NEXT;
    if (opening->phase % 2 == 0) {
        bool times = opening->phase > 0;
        if (times)
            time_index_enter(&newest->times, (uint32_t)opening->limit - 1);
        opening_segment_path(opening, newest, times ? ".timeindex" : ".index");
        size_t size = encode(opening, times);
        opening->replace = (struct file_replace){.core = log->store->core,
                                                 .path = opening->path,
                                                 .data = opening->buffer->data,
                                                 .size = size};
        opening->phase++;
    }
    if (!file_replace_step(&opening->replace, flow))
        return STEP_AGAIN;
    if (opening->replace.error)
        return STEP_NEXT;
    if (opening->phase == 1) {
        opening->phase = 2;
        return STEP_AGAIN;
    }
    newest->index_written = newest->index_count;
    time_index_wrote(&newest->times, newest->times.pending_count);
    newest->index_files = true;
    if (list_is_empty(&log->dirty_folder))
        list_push(&log->store->dirty_folders, &log->dirty_folder);
    return STEP_NEXT;
}
