#include "storage/roll.h"
#include "storage/log.h"
#include "storage/segment.h"
#include "support/test.h"

static const struct log_settings settings = {
    .segment_bytes = 1000, .index_bytes = 120, .index_interval_bytes = 1, .segment_ms = 60000};

/* One of 500 bytes from offset 100 on, whose first batch is of time 10000. */
static struct segment *half_full(void)
{
    struct segment *segment = segment_new(NULL, 100);
    segment->size = 500;
    segment->first_timestamp_ms = 10000;
    segment->created_ms = 5000;
    return segment;
}

TEST(roll, by_size_time_and_offset)
{
    static const struct {
        int64_t size_bytes, last_offset, max_timestamp_ms, now_ms;
        bool due;
    } cases[] = {
        {500, 101, 10000, 10000, false},
        {501, 101, 10000, 10000, true},
        {1, 101, 70000, 10000, false}, /* as old as it may be, by its records */
        {1, 101, 70001, 10000, true},
        {1, 101, 10000, 900000, false}, /* the clock does not count */
        {1, 101, -1, 900000, false},
        {1, 101, 1, 1, false}, /* earlier than the first */
        {1, 100 + INT64_C(2147483647), 10000, 0, false},
        {1, 101 + INT64_C(2147483647), 10000, 0, true},
    };
    struct segment *segment = half_full();
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++) {
        struct roll_append append = {cases[i].size_bytes, cases[i].last_offset,
                                     cases[i].max_timestamp_ms, cases[i].now_ms};
        test_expect(roll_is_due(segment, &settings, &append) == cases[i].due, __FILE__, __LINE__,
                    "case %d: want %d", i, cases[i].due);
    }
    segment->first_timestamp_ms = -1; /* records without a time: the clock does */
    TRUE_(!roll_is_due(segment, &settings, &(struct roll_append){1, 101, -1, 65000}));
    TRUE_(roll_is_due(segment, &settings, &(struct roll_append){1, 101, -1, 65001}));
    segment->size = 0;
    TRUE_(!roll_is_due(segment, &settings, &(struct roll_append){5000, 101, -1, 900000}));
    segment_free(segment);
}

TEST(roll, a_compacted_log_rolls_in_time_for_its_lag)
{
    struct log_settings some = settings;
    some.max_compaction_lag_ms = settings.segment_ms / 2;
    EQ(roll_after_ms(&some), settings.segment_ms);
    some.compact = true;
    EQ(roll_after_ms(&some), settings.segment_ms / 2);
    struct segment *segment = half_full();
    int64_t late = segment->first_timestamp_ms + settings.segment_ms / 2;
    TRUE_(!roll_is_due(segment, &some, &(struct roll_append){1, 101, late, 0}));
    TRUE_(roll_is_due(segment, &some, &(struct roll_append){1, 101, late + 1, 0}));
    TRUE_(!roll_is_due(segment, &settings, &(struct roll_append){1, 101, late + 1, 0}));
    some.max_compaction_lag_ms = INT64_MAX;
    EQ(roll_after_ms(&some), settings.segment_ms);
    segment_free(segment);
}

TEST(roll, when_one_of_the_indexes_is_full)
{
    struct segment *segment = half_full();
    struct roll_append append = {1, 200, 10000, 0};
    for (int i = 1; i <= 14; i++)
        segment_index_note(segment, 100 + i, 10 * i, 10);
    TRUE_(!roll_is_due(segment, &settings, &append));
    segment_index_note(segment, 115, 150, 10); /* 15 entries of 8 bytes */
    TRUE_(roll_is_due(segment, &settings, &append));
    segment_free(segment);
    segment = half_full();
    for (int i = 0; i < 8; i++) {
        time_index_note(&segment->times, 10000 + i, (uint32_t)i);
        time_index_enter(&segment->times, 10 * (uint32_t)i);
    }
    TRUE_(!roll_is_due(segment, &settings, &append));
    time_index_note(&segment->times, 20000, 9); /* 9 of 12 bytes: the tenth is for the end */
    time_index_enter(&segment->times, 100);
    TRUE_(roll_is_due(segment, &settings, &append));
    segment_free(segment);
}

TEST(roll, jitter_is_below_its_limits_and_stays)
{
    struct log_settings some = settings;
    EQ(roll_jitter_ms(&some, 7, 100), 0);
    some.segment_jitter_ms = 1000;
    int64_t least = 1000, most = 0;
    for (int64_t base = 0; base < 200; base++) {
        int64_t jitter = roll_jitter_ms(&some, 7, base);
        EQ(jitter, roll_jitter_ms(&some, 7, base));
        least = jitter < least ? jitter : least;
        most = jitter > most ? jitter : most;
    }
    TRUE_(least >= 0 && least < 100 && most > 900 && most < 1000);
    some.segment_ms = 10;
    for (int64_t base = 0; base < 50; base++)
        TRUE_(roll_jitter_ms(&some, 7, base) < 10);
}
