#include "storage/time_index.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"

void time_index_init(struct time_index *index)
{
    *index = (struct time_index){.max_timestamp_ms = -1, .last_timestamp_ms = -1};
}

void time_index_free(struct time_index *index)
{
    memory_free(index->pending);
    time_index_init(index);
}

void time_index_note(struct time_index *index, int64_t max_timestamp_ms, uint32_t relative_offset)
{
    if (max_timestamp_ms <= index->max_timestamp_ms && !MUTANT(time_index_not_monotonic))
        return;
    index->max_timestamp_ms = max_timestamp_ms;
    index->max_relative_offset = relative_offset;
}

void time_index_enter(struct time_index *index, uint32_t position)
{
    if (index->max_timestamp_ms <= index->last_timestamp_ms && !MUTANT(time_index_not_monotonic))
        return;
    if (index->pending_count == index->pending_capacity) {
        index->pending_capacity = index->pending_capacity ? 2 * index->pending_capacity : 4;
        index->pending = memory_resized(index->pending, (size_t)index->pending_capacity *
                                                            sizeof(struct time_entry));
    }
    index->pending[index->pending_count++] =
        (struct time_entry){index->max_timestamp_ms, index->max_relative_offset, position};
    index->last_timestamp_ms = index->max_timestamp_ms;
    index->last_relative_offset = index->max_relative_offset;
}

bool time_index_is_complete(const struct time_index *index)
{
    return index->pending_count == 0 && index->max_timestamp_ms <= index->last_timestamp_ms;
}

int32_t time_index_below(const struct time_index *index, int64_t position)
{
    int32_t count = index->pending_count;
    while (count > 0 && index->pending[count - 1].position >= position)
        count--;
    return count;
}

void time_index_encode(const struct time_index *index, int32_t count, uint8_t *to)
{
    check(count <= index->pending_count);
    for (int32_t i = 0; i < count; i++) {
        store_be64(to + TIME_ENTRY_BYTES * i, (uint64_t)index->pending[i].timestamp_ms);
        store_be32(to + TIME_ENTRY_BYTES * i + 8, index->pending[i].relative_offset);
    }
}

void time_index_wrote(struct time_index *index, int32_t count)
{
    check(count <= index->pending_count);
    index->written += count;
    index->pending_count -= count;
    memmove(index->pending, index->pending + count,
            (size_t)index->pending_count * sizeof(struct time_entry));
    if (index->pending_count == 0) {
        memory_free(index->pending);
        index->pending = NULL;
        index->pending_capacity = 0;
    }
}

bool time_index_decode(struct time_index *index, const uint8_t *data, size_t size,
                       uint32_t end_relative_offset)
{
    size_t at = 0;
    for (; at + TIME_ENTRY_BYTES <= size; at += TIME_ENTRY_BYTES) {
        int64_t timestamp_ms = (int64_t)load_be64(data + at);
        uint32_t relative_offset = load_be32(data + at + 8);
        bool grows = timestamp_ms > index->last_timestamp_ms &&
                     (index->written == 0 || relative_offset > index->last_relative_offset);
        if (!grows || relative_offset >= end_relative_offset)
            break;
        index->last_timestamp_ms = index->max_timestamp_ms = timestamp_ms;
        index->last_relative_offset = index->max_relative_offset = relative_offset;
        index->written++;
    }
    return at == size;
}
