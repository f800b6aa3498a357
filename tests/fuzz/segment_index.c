/* A segment's index file: two bytes are the size of the segment, two an offset to look for, the
 * rest is the file. What was taken of it is increasing and below the size, a look-up points into
 * the segment at or before the offset, and it encodes to the bytes it came from. */
#include "fuzz/fuzz.h"
#include "base/memory.h"
#include "storage/segment.h"

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
    return 0;
}
