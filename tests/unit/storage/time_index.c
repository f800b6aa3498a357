#include "storage/time_index.h"
#include "support/test.h"

/* Batches of ten records, an entry at every other one. */
static struct time_index of(const int64_t *timestamps, int count)
{
    struct time_index index;
    time_index_init(&index);
    for (int i = 0; i < count; i++) {
        time_index_note(&index, timestamps[i], 10 * (uint32_t)i + 9);
        if (i % 2)
            time_index_enter(&index, 100 * (uint32_t)i);
    }
    return index;
}

TEST(time_index, entries_grow_and_name_the_first_batch_with_the_largest)
{
    static const struct {
        int64_t timestamps[6];
        int count;
        struct time_entry entries[4];
    } cases[] = {
        {{1, 2, 3, 4, 5, 6}, 3, {{2, 19, 100}, {4, 39, 300}, {6, 59, 500}}},
        {{9, 2, 3, 4, 5, 6}, 1, {{9, 9, 100}}},
        {{5, 5, 5, 9, 9, 9}, 2, {{5, 9, 100}, {9, 39, 300}}},
        {{1, 2, 7, 3, 4, 5}, 2, {{2, 19, 100}, {7, 29, 300}}},
        {{-1, -1, -1, -1, -1, 0}, 1, {{0, 59, 500}}},
        {{-1, -1, -1, -1, -1, -1}, 0, {{0}}},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++) {
        struct time_index index = of(cases[i].timestamps, 6);
        EQ(index.pending_count, cases[i].count);
        for (int j = 0; j < index.pending_count; j++) {
            EQ(index.pending[j].timestamp_ms, cases[i].entries[j].timestamp_ms);
            EQ(index.pending[j].relative_offset, cases[i].entries[j].relative_offset);
            EQ(index.pending[j].position, cases[i].entries[j].position);
        }
        time_index_free(&index);
    }
}

TEST(time_index, last_entry_is_the_largest_once_it_is_closed)
{
    struct time_index index = of((int64_t[]){1, 2, 9}, 3);
    EQ(index.max_timestamp_ms, 9);
    EQ(index.max_relative_offset, 29);
    TRUE_(!time_index_is_complete(&index));
    time_index_enter(&index, 299);
    EQ(index.pending_count, 2);
    EQ(index.last_timestamp_ms, 9);
    EQ(time_index_below(&index, 100), 0);
    EQ(time_index_below(&index, 101), 1);
    EQ(time_index_below(&index, 300), 2);
    time_index_wrote(&index, 1);
    EQ(index.pending[0].timestamp_ms, 9);
    TRUE_(!time_index_is_complete(&index));
    time_index_wrote(&index, 1);
    EQ(index.written, 2);
    TRUE_(index.pending == NULL);
    TRUE_(time_index_is_complete(&index));
    time_index_enter(&index, 400); /* it says that already */
    TRUE_(time_index_is_complete(&index));
    time_index_free(&index);
}

TEST(time_index, comes_back_as_far_as_it_can_be_right)
{
    struct time_index index = of((int64_t[]){1, 2, 3, 4, 5, 6}, 6), back;
    uint8_t bytes[48] = {0};
    time_index_encode(&index, 3, bytes);
    static const uint8_t first[12] = {0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 19};
    TRUE_(memcmp(bytes, first, 12) == 0);
    static const struct {
        uint32_t size, end;
        int written;
        bool whole;
    } cases[] = {
        {36, 100, 3, true}, {48, 100, 3, false} /* zeros behind */,  {36, 59, 2, false},
        {36, 60, 3, true},  {35, 100, 2, false} /* half an entry */, {0, 100, 0, true},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++) {
        time_index_init(&back);
        EQ(time_index_decode(&back, bytes, cases[i].size, cases[i].end), cases[i].whole);
        EQ(back.written, cases[i].written);
        EQ(back.max_timestamp_ms, cases[i].written ? 2 * cases[i].written : -1);
        EQ(back.last_timestamp_ms, back.max_timestamp_ms);
    }
    time_index_init(&back); /* piece by piece */
    TRUE_(time_index_decode(&back, bytes, 12, 100));
    TRUE_(time_index_decode(&back, bytes + 12, 24, 100));
    EQ(back.written, 3);
    TRUE_(!time_index_decode(&back, bytes, 12, 100));
    bytes[12 + 7] = 2; /* no later than the one before it */
    time_index_init(&back);
    TRUE_(!time_index_decode(&back, bytes, 36, 100));
    EQ(back.written, 1);
    time_index_free(&index);
}
