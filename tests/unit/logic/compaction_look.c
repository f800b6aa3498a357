/* Which log is compacted, and which of its segments. */
#include "logic/compaction.h"
#include "support/test.h"

enum { NOW = 1000000 };

/* Segments of 100 offsets and 1,000 bytes from 0 on; the last one is active. */
struct look_case {
    const char *name;
    int32_t settled; /* so many from the oldest on */
    int64_t log_start, cleaned_end, stable_end;
    struct compaction_rules rules;
    int64_t first_dirty, uncleanable, clean_bytes, dirty_bytes;
    bool overdue, due;
};

static const struct compaction_rules usual = {0.5, 0, INT64_MAX, 0};

static void look_at(const struct look_case *row)
{
    struct compaction_segment segments[6];
    for (int i = 0; i < 6; i++) /* batches are a second apart, 10 segments ago the first was made */
        segments[i] = (struct compaction_segment){.base_offset = 100 * i,
                                                  .size_bytes = 1000,
                                                  .first_ms = NOW - 60000 + 10000 * i,
                                                  .newest_ms = NOW - 50001 + 10000 * i,
                                                  .settled = i < row->settled};
    struct compaction_view view = {.segments = segments,
                                   .segment_count = 6,
                                   .log_start = row->log_start,
                                   .log_end = 550,
                                   .cleaned_end = row->cleaned_end,
                                   .stable_end = row->stable_end,
                                   .now_ms = NOW,
                                   .rules = &row->rules};
    struct compaction_range range;
    compaction_look(&view, &range);
    bool right = range.first_dirty == row->first_dirty && range.uncleanable == row->uncleanable &&
                 range.clean_bytes == row->clean_bytes && range.dirty_bytes == row->dirty_bytes &&
                 range.overdue == row->overdue && range.due == row->due;
    test_expect(right, __FILE__, __LINE__, "%s: dirty %lld to %lld, %lld + %lld bytes, %d %d",
                row->name, (long long)range.first_dirty, (long long)range.uncleanable,
                (long long)range.clean_bytes, (long long)range.dirty_bytes, range.overdue,
                range.due);
}

TEST(compaction, finds_what_may_be_rewritten)
{
    const struct look_case rows[] = {
        {"all but the active", 6, 0, -1, 550, usual, 0, 500, 0, 5000, false, true},
        {"half is clean", 6, 0, 300, 550, usual, 300, 500, 3000, 2000, false, false},
        {"a little more is dirty", 6, 0, 200, 550, usual, 200, 500, 2000, 3000, false, true},
        {"in the middle of a segment", 6, 0, 250, 550, usual, 250, 500, 2000, 3000, false, true},
        {"all is clean", 6, 0, 500, 550, usual, 500, 500, 5000, 0, false, false},
        {"cleaned into the active one", 6, 0, 520, 550, usual, 520, 520, 5000, 0, false, false},
        {"the watermark on a border", 6, 0, -1, 300, usual, 0, 300, 0, 3000, false, true},
        {"the watermark inside", 6, 0, -1, 299, usual, 0, 200, 0, 2000, false, true},
        {"nothing is committed", 6, 0, -1, 0, usual, 0, 0, 0, 0, false, false},
        {"not settled", 2, 0, -1, 550, usual, 0, 200, 0, 2000, false, true},
        {"none is settled", 0, 0, -1, 550, usual, 0, 0, 0, 0, false, false},
        {"the start has moved", 6, 150, 100, 550, usual, 150, 500, 1000, 4000, false, true},
        {"from another life", 6, 0, 9000, 550, usual, 0, 500, 0, 5000, false, true},
        {"ratio 0", 6, 0, 400, 550, {0, 0, INT64_MAX, 0}, 400, 500, 4000, 1000, false, true},
        {"ratio 1", 6, 0, -1, 550, {1, 0, INT64_MAX, 0}, 0, 500, 0, 5000, false, false},
        /* the newest of segment 2 is 30,001 old, of segment 3 20,001 */
        {"min lag", 6, 0, -1, 550, {0.5, 30000, INT64_MAX, 0}, 0, 300, 0, 3000, false, true},
        {"min lag, just old",
         6,
         0,
         -1,
         550,
         {0.5, 30001, INT64_MAX, 0},
         0,
         300,
         0,
         3000,
         false,
         true},
        {"min lag, just young",
         6,
         0,
         -1,
         550,
         {0.5, 30002, INT64_MAX, 0},
         0,
         200,
         0,
         2000,
         false,
         true},
        {"min lag beside clean ones",
         6,
         0,
         400,
         550,
         {0, 60000, INT64_MAX, 0},
         400,
         400,
         4000,
         0,
         false,
         false},
        /* the first of segment 4 is 20,000 old */
        {"max lag", 6, 0, 400, 550, {0.5, 0, 19999, 0}, 400, 500, 4000, 1000, true, true},
        {"max lag, not yet",
         6,
         0,
         400,
         550,
         {0.5, 0, 20000, 0},
         400,
         500,
         4000,
         1000,
         false,
         false},
        {"max lag, but clean", 6, 0, 500, 550, {0.5, 0, 1, 0}, 500, 500, 5000, 0, false, false},
    };
    for (int i = 0; i < (int)(sizeof rows / sizeof rows[0]); i++)
        look_at(&rows[i]);
}

TEST(compaction, takes_nothing_for_old_by_a_clock_that_may_be_wrong)
{
    struct compaction_segment segments[3];
    for (int i = 0; i < 3; i++)
        segments[i] = (struct compaction_segment){.base_offset = 100 * i,
                                                  .size_bytes = 1000,
                                                  .first_ms = NOW - 60000,
                                                  .newest_ms = NOW - 50000,
                                                  .settled = true};
    struct compaction_rules rules = {0.5, 10000, INT64_MAX, 0};
    struct compaction_view view = {.segments = segments,
                                   .segment_count = 3,
                                   .log_end = 250,
                                   .cleaned_end = -1,
                                   .stable_end = 250,
                                   .now_ms = NOW,
                                   .rules = &rules};
    struct compaction_range range;
    compaction_look(&view, &range);
    EQ(range.due, true);
    view.doubts_clock = true;
    compaction_look(&view, &range);
    EQ(range.due, false);
    EQ(range.uncleanable, 0);
    EQ(range.due_ms, INT64_MIN); /* who knows when it is trusted again? */
    rules.min_lag_ms = 0;
    compaction_look(&view, &range);
    EQ(range.due, true);
}

/* The same segments: when does a look have to come back? */
struct due_case {
    const char *name;
    int32_t settled;
    int64_t cleaned_end, stable_end;
    struct compaction_rules rules;
    int64_t due_ms;
};

TEST(compaction, tells_when_something_may_be_due_by_time_alone)
{
    const struct due_case rows[] = {
        {"never", 6, 500, 550, usual, INT64_MAX},
        {"never, for what is dirty is too little", 6, 400, 550, usual, INT64_MAX},
        {"now", 6, -1, 550, usual, INT64_MIN},
        {"not settled", 4, 400, 550, usual, INT64_MIN},
        {"above the watermark", 6, 300, 450, usual, INT64_MAX},
        {"not settled above the watermark", 4, 400, 450, usual, INT64_MIN},
        /* the first of segment 4 is 20,000 old, the newest of segment 2 30,001 */
        {"max lag", 6, 400, 550, {0.5, 0, 20000, 0}, NOW + 1},
        {"max lag, the oldest counts", 6, 300, 550, {0.5, 0, 40000, 0}, NOW + 10001},
        {"max lag, overdue", 6, 400, 550, {0.5, 0, 19999, 0}, INT64_MIN},
        {"max lag, but clean", 6, 500, 550, {0.5, 0, 1, 0}, INT64_MAX},
        {"max lag beyond all time", 6, 400, 550, {0.5, 0, INT64_MAX - 1, 0}, INT64_MAX},
        {"min lag", 6, 200, 550, {0.5, 40000, INT64_MAX, 0}, NOW + 9999},
        {"min lag, the watermark first", 6, 200, 250, {0.5, 40000, INT64_MAX, 0}, INT64_MAX},
        {"both", 6, 200, 550, {0.9, 30001, 41000, 0}, NOW + 1001},
    };
    for (int i = 0; i < (int)(sizeof rows / sizeof rows[0]); i++) {
        struct compaction_segment segments[6];
        for (int k = 0; k < 6; k++)
            segments[k] = (struct compaction_segment){.base_offset = 100 * k,
                                                      .size_bytes = 1000,
                                                      .first_ms = NOW - 60000 + 10000 * k,
                                                      .newest_ms = NOW - 50001 + 10000 * k,
                                                      .settled = k < rows[i].settled};
        struct compaction_view view = {.segments = segments,
                                       .segment_count = 6,
                                       .log_end = 550,
                                       .cleaned_end = rows[i].cleaned_end,
                                       .stable_end = rows[i].stable_end,
                                       .now_ms = NOW,
                                       .rules = &rows[i].rules};
        struct compaction_range range;
        compaction_look(&view, &range);
        test_expect(range.due_ms == rows[i].due_ms, __FILE__, __LINE__, "%s: %lld", rows[i].name,
                    (long long)range.due_ms);
        if (range.due_ms == INT64_MIN || range.due_ms == INT64_MAX)
            continue;
        view.now_ms = range.due_ms - 1; /* and a look just before finds the same */
        compaction_look(&view, &range);
        EQ(range.due_ms, rows[i].due_ms);
    }
}

TEST(compaction, of_an_empty_log_is_nothing)
{
    struct compaction_view view = {.cleaned_end = -1, .rules = &usual};
    struct compaction_range range;
    compaction_look(&view, &range);
    TRUE_(!range.due && range.segments_end == 0 && range.dirty_bytes == 0);
}

TEST(compaction, takes_what_is_overdue_first_then_the_dirtiest)
{
    struct compaction_range a = {.dirty_ratio = 0.9}, b = {.dirty_ratio = 0.6};
    TRUE_(compaction_is_before(&a, &b) && !compaction_is_before(&b, &a));
    b.overdue = true;
    TRUE_(!compaction_is_before(&a, &b) && compaction_is_before(&b, &a));
    TRUE_(!compaction_is_before(&b, &b));
}

TEST(compaction, groups_segments_within_the_limits)
{
    struct compaction_segment segments[] = {
        {.base_offset = 0, .size_bytes = 400, .index_bytes = 8},
        {.base_offset = 10, .size_bytes = 400, .index_bytes = 8},
        {.base_offset = 20, .size_bytes = 400, .index_bytes = 80},
        {.base_offset = 30, .size_bytes = 4000, .index_bytes = 8},
        {.base_offset = 40, .size_bytes = 1, .index_bytes = 8},
        {.base_offset = 41ll + INT32_MAX, .size_bytes = 1, .index_bytes = 8},
        {.base_offset = 50ll + INT32_MAX},
    };
    struct compaction_limits limits = {1000, 1000}, narrow = {1000, 20};
    EQ(compaction_group_end(segments, 0, 6, &limits), 2);
    EQ(compaction_group_end(segments, 0, 1, &limits), 1);
    EQ(compaction_group_end(segments, 1, 6, &limits), 3);
    EQ(compaction_group_end(segments, 1, 6, &narrow), 2);
    EQ(compaction_group_end(segments, 3, 6, &limits), 4); /* too large, but by itself */
    EQ(compaction_group_end(segments, 4, 6, &limits), 5); /* offsets must fit 32 bits */
    EQ(compaction_group_end(segments, 5, 6, &limits), 6);
}
