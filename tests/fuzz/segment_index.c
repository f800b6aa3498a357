/* A segment's index files and the leader epochs beside them: two bytes are the size of the segment,
 * two an offset to look for, the rest is the file. What was taken of it is increasing and below the
 * size, a look-up points into the segment at or before the offset, and it encodes to the bytes it
 * came from. */
#include "fuzz/fuzz.h"
#include "base/memory.h"
#include "logic/epochs.h"
#include "storage/segment.h"

/* The same bytes as a time index: what was taken grows, and encodes to the bytes it came from. */
static void look_at_times(struct bytes file)
{
    struct time_index index;
    time_index_init(&index);
    bool whole = time_index_decode(&index, file.data, (size_t)file.size, INT32_MAX);
    check(index.written >= 0 && index.written <= file.size / TIME_ENTRY_BYTES);
    check(!whole || index.written * TIME_ENTRY_BYTES == file.size);
    int64_t before_ms = -1, before = -1;
    for (int32_t i = 0; i < index.written; i++) {
        int64_t timestamp_ms = (int64_t)load_be64(file.data + TIME_ENTRY_BYTES * i);
        int64_t offset = load_be32(file.data + TIME_ENTRY_BYTES * i + 8);
        check(timestamp_ms > before_ms && offset > before && offset < INT32_MAX);
        before_ms = timestamp_ms;
        before = offset;
    }
    check(index.last_timestamp_ms == before_ms && index.max_timestamp_ms == before_ms);
    time_index_free(&index);
}

/* And as leader epochs: one that was taken whole encodes to a text that is taken again. */
static void look_at_epochs(struct bytes file)
{
    struct epochs epochs = {0}, again = {0};
    if (epochs_decode(&epochs, file)) {
        size_t most = epochs_text_size(&epochs);
        char *text = memory_zeroed(most);
        size_t size = epochs_encode(&epochs, INT64_MAX, text, most);
        check(epochs_decode(&again, (struct bytes){(const uint8_t *)text, (int32_t)size}));
        for (int32_t i = 0; i < again.count; i++)
            check(again.entries[i].epoch == epochs.entries[i].epoch &&
                  again.entries[i].start_offset == epochs.entries[i].start_offset);
        memory_free(text);
    } else {
        check(epochs.count == 0);
    }
    epochs_free(&epochs);
    epochs_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    int64_t segment_size = (int64_t)input_u16(&input) << 12, base_offset = INT64_C(1) << 40;
    int64_t offset = base_offset + ((int64_t)input_u16(&input) << 16);
    struct bytes file = input_rest(&input);
    struct segment *segment = segment_new(NULL, base_offset);
    index_decode(segment, file.data, (size_t)file.size, segment_size);
    check(segment->index_count >= 0 && segment->index_count <= file.size / 8);
    for (int32_t i = 0; i < segment->index_count; i++) {
        struct index_entry *entry = &segment->index[i];
        check(entry->position < segment_size);
        check(i == 0 || (entry->position > entry[-1].position &&
                         entry->relative_offset > entry[-1].relative_offset));
    }
    uint32_t position = segment_index_find(segment, offset);
    check(position == 0 || position < segment_size);
    for (int32_t i = 0; i < segment->index_count; i++)
        check((segment->index[i].relative_offset + base_offset <= offset) ==
              (segment->index[i].position <= position));
    int32_t below = segment_index_below(segment, position);
    check(below >= 0 && below <= segment->index_count);
    if (segment->index_count > 0) {
        uint8_t *again = memory_zeroed((size_t)segment->index_count * 8);
        index_encode(segment, 0, segment->index_count, again);
        check(memcmp(again, file.data, (size_t)segment->index_count * 8) == 0);
        memory_free(again);
    }
    segment_free(segment);
    look_at_times(file);
    look_at_epochs(file);
    return 0;
}
