#include "storage/segment.h"
#include "base/check.h"
#include "base/memory.h"
#include "protocol/batch.h"
#include "storage/sidecar_format.h"
#include <string.h>

const char *const segment_caches[SEGMENT_CACHES] = {".index", ".timeindex", ".txnindex",
                                                    SIDECAR_SUFFIX};

void segment_name(int64_t base_offset, const char *suffix, char *name)
{
    check(base_offset >= 0 && 20 + strlen(suffix) < SEGMENT_NAME_SIZE);
    for (int i = 19; i >= 0; i--, base_offset /= 10)
        name[i] = (char)('0' + base_offset % 10);
    memcpy(name + 20, suffix, strlen(suffix) + 1);
}

bool segment_name_parse(const char *name, const char *suffix, int64_t *ret_base_offset)
{
    int64_t base = 0;
    for (int i = 0; i < 20; i++) {
        if (name[i] < '0' || name[i] > '9' || base > (INT64_MAX - (name[i] - '0')) / 10)
            return false;
        base = base * 10 + (name[i] - '0');
    }
    if (suffix ? strcmp(name + 20, suffix) != 0 : name[20] != '.')
        return false;
    *ret_base_offset = base;
    return true;
}

struct segment *segment_new(struct log *log, int64_t base_offset)
{
    struct segment *segment = memory_zeroed(sizeof *segment);
    segment->log = log;
    segment->base_offset = base_offset;
    segment->handle = segment->read_handle = -1;
    list_init(&segment->recent);
    list_init(&segment->dirty);
    list_init(&segment->flushed);
    list_init(&segment->sidecar_due);
    time_index_init(&segment->times);
    segment->first_timestamp_ms = -1;
    return segment;
}

void segment_free(struct segment *segment)
{
    if (!segment)
        return;
    check(segment->users == 0 && segment->handle < 0 && segment->read_handle < 0);
    list_remove(&segment->recent);
    list_remove(&segment->dirty);
    list_remove(&segment->flushed);
    list_remove(&segment->sidecar_due);
    sidecar_free(segment->sidecar);
    memory_free(segment->partial);
    memory_free(segment->index);
    time_index_free(&segment->times);
    memory_free(segment);
}

static void push_entry(struct segment *segment, struct index_entry entry)
{
    if (segment->index_count == segment->index_capacity) {
        segment->index_capacity = segment->index_capacity ? 2 * segment->index_capacity : 4;
        segment->index = memory_resized(segment->index, (size_t)segment->index_capacity *
                                                            sizeof(struct index_entry));
    }
    segment->index[segment->index_count++] = entry;
}

bool segment_index_note(struct segment *segment, int64_t last_offset, int64_t position,
                        int32_t interval_bytes)
{
    if (position == 0 || position - segment->indexed_position < interval_bytes)
        return false;
    push_entry(segment, (struct index_entry){(uint32_t)(last_offset - segment->base_offset),
                                             (uint32_t)position});
    segment->indexed_position = position;
    return true;
}

void segment_note_batch(struct segment *segment, const uint8_t *batch, int64_t position,
                        int32_t interval_bytes)
{
    int64_t last = batch_last_offset_at(batch);
    int64_t max_timestamp_ms = (int64_t)load_be64(batch + BATCH_MAX_TIMESTAMP_AT);
    time_index_note(&segment->times, max_timestamp_ms, (uint32_t)(last - segment->base_offset));
    if (position == 0)
        segment->first_timestamp_ms = max_timestamp_ms;
    if (segment_index_note(segment, last, position, interval_bytes))
        time_index_enter(&segment->times, (uint32_t)position);
}

bool segment_indexes_are_complete(const struct segment *segment)
{
    return segment->index_files && !segment->index_uncut &&
           segment->index_written == segment->index_count &&
           time_index_is_complete(&segment->times);
}

bool segment_indexes_lag(const struct segment *segment, int32_t interval_bytes)
{
    int64_t end = segment_indexes_end(segment->drained, interval_bytes);
    return segment->index_uncut || segment_index_below(segment, end) > segment->index_written ||
           time_index_below(&segment->times, end) > 0;
}

int64_t segment_indexes_end(int64_t position, int32_t interval_bytes)
{
    int64_t lag =
        min_i64(SEGMENT_INDEX_LAG_BYTES, SEGMENT_INDEX_LAG_INTERVALS * (int64_t)interval_bytes);
    return max_i64(0, position - lag);
}

uint32_t segment_times_end(const struct segment *segment)
{
    int32_t count = segment->index_count;
    return count ? segment->index[count - 1].relative_offset + 1 : 0;
}

const char *segment_take_dirty_index(struct segment *segment)
{
    if (segment->index_dirty) {
        segment->index_dirty = false;
        return ".index";
    }
    if (segment->times.dirty) {
        segment->times.dirty = false;
        return ".timeindex";
    }
    return NULL;
}

uint32_t segment_index_find(const struct segment *segment, int64_t offset)
{
    int32_t low = 0, high = segment->index_count;
    while (low < high) { /* the first entry beyond `offset` */
        int32_t middle = low + (high - low) / 2;
        if (segment->base_offset + segment->index[middle].relative_offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? segment->index[low - 1].position : 0;
}

int32_t segment_index_below(const struct segment *segment, int64_t position)
{
    int32_t count = segment->index_count;
    while (count > 0 && segment->index[count - 1].position >= position)
        count--;
    return count;
}

void index_encode(const struct segment *segment, int32_t first, int32_t count, uint8_t *to)
{
    for (int32_t i = 0; i < count; i++) {
        store_be32(to + 8 * i, segment->index[first + i].relative_offset);
        store_be32(to + 8 * i + 4, segment->index[first + i].position);
    }
}

void index_decode(struct segment *segment, const uint8_t *data, size_t data_size, int64_t size)
{
    segment->index_count = 0;
    segment->indexed_position = 0;
    struct index_entry before = {0, 0};
    for (size_t i = 0; i + 8 <= data_size; i += 8) {
        struct index_entry entry = {load_be32(data + i), load_be32(data + i + 4)};
        bool grows = entry.position > before.position &&
                     (i == 0 || entry.relative_offset > before.relative_offset);
        if (!grows || entry.position >= size)
            break;
        push_entry(segment, entry);
        before = entry;
    }
    segment->index_written = segment->index_count;
    segment->indexed_position = before.position;
}
