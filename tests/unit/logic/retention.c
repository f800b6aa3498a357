#include "logic/retention.h"
#include "logic/steady_clock.h"
#include "base/check.h"
#include "support/test.h"

/* Three segments of 100 bytes, [0,10) [10,20) [20,30), dated 1000, 2000, 3000; all committed. */
static struct retention_segment segments[3];

static struct retention_view a_view(int64_t now_ms, int64_t retention_ms, int64_t retention_bytes)
{
    for (int i = 0; i < 3; i++)
        segments[i] = (struct retention_segment){
            .base_offset = 10 * i, .size_bytes = 100, .dated = true, .largest_ms = 1000 * (i + 1)};
    return (struct retention_view){.segments = segments,
                                   .segment_count = 3,
                                   .log_end = 30,
                                   .high_watermark = 30,
                                   .now_ms = now_ms,
                                   .clock_holds = true,
                                   .rules = {retention_ms, retention_bytes}};
}

TEST(retention, goes_by_age_and_by_size)
{
    static const struct {
        int64_t now_ms, retention_ms, retention_bytes, log_start;
        bool rolls;
    } cases[] = {
        {9000, -1, -1, 0, false},    /* no limit */
        {1500, 500, -1, 0, false},   /* not older than that */
        {1501, 500, -1, 10, false},  /* just older */
        {3500, 500, -1, 20, false},  /* the newest is not */
        {3501, 500, -1, 30, true},   /* all are: it is closed first */
        {1000, 0, -1, 0, false},     /* nothing is older than now */
        {1001, 0, -1, 10, false},    /* kept for no time */
        {0, -1, 300, 0, false},      /* fits */
        {0, -1, 201, 0, false},      /* without the oldest it would be less */
        {0, -1, 200, 10, false},     /* just without it */
        {0, -1, 1, 20, false},       /* never less than what is asked to be kept */
        {0, -1, 0, 30, true},        /* nothing is to be kept */
        {1501, 500, 100, 20, false}, /* whichever goes further */
        {INT64_MAX, INT64_MAX, -1, 0, false},
    };
    for (int i = 0; i < ARRAY_COUNT(cases); i++) {
        struct retention_view view =
            a_view(cases[i].now_ms, cases[i].retention_ms, cases[i].retention_bytes);
        struct retention_decision decision;
        retention_decide(&view, &decision);
        EQ(decision.log_start, cases[i].log_start);
        EQ(decision.rolls, cases[i].rolls);
        EQ(decision.undated, -1);
    }
}

TEST(retention, keeps_what_is_not_committed)
{
    struct retention_decision decision;
    struct retention_view view = a_view(9000, 0, 0);
    view.high_watermark = 19;
    retention_decide(&view, &decision);
    EQ(decision.log_start, 10);
    view.high_watermark = 29;
    retention_decide(&view, &decision);
    EQ(decision.log_start, 20);
    TRUE_(!decision.rolls);
}

TEST(retention, is_held_back_by_a_record_of_the_future)
{
    struct retention_decision decision;
    struct retention_view view = a_view(9000, 500, -1);
    segments[0].largest_ms = 99000;
    retention_decide(&view, &decision);
    EQ(decision.log_start, 0);
    EQ(decision.due_ms, 99500);
}

TEST(retention, dates_a_segment_without_timestamps_by_its_beginning)
{
    struct retention_decision decision;
    struct retention_view view = a_view(5000, 500, -1);
    segments[0].largest_ms = -1;
    segments[0].begun_ms = 4499;
    retention_decide(&view, &decision);
    EQ(decision.log_start, 30);
    segments[0].begun_ms = 4500;
    retention_decide(&view, &decision);
    EQ(decision.log_start, 0);
}

TEST(retention, does_not_count_what_lies_below_the_log_start)
{
    struct retention_decision decision;
    struct retention_view view = a_view(0, -1, 150);
    view.log_start = 10;
    retention_decide(&view, &decision);
    EQ(decision.log_start, 10);
    view.log_start = 15; /* inside: the whole segment counts */
    retention_decide(&view, &decision);
    EQ(decision.log_start, 15);
}

TEST(retention, asks_for_a_date_only_where_it_needs_one)
{
    struct retention_decision decision;
    struct retention_view view = a_view(1501, 500, -1);
    segments[1].dated = segments[2].dated = false;
    retention_decide(&view, &decision);
    EQ(decision.undated, 1);
    EQ(decision.log_start, 10);
    view.now_ms = 1500;
    retention_decide(&view, &decision);
    EQ(decision.undated, -1);
}

TEST(retention, trusts_no_clock_that_is_not_steady)
{
    struct retention_decision decision;
    struct retention_view view = a_view(9000, 500, 200);
    view.clock_holds = false;
    retention_decide(&view, &decision);
    EQ(decision.log_start, 10); /* by size only */
}

TEST(retention, leaves_an_empty_newest_segment)
{
    struct retention_decision decision;
    struct retention_view view = a_view(9000, 500, -1);
    segments[2].size_bytes = 0;
    view.log_end = view.high_watermark = 20;
    retention_decide(&view, &decision);
    EQ(decision.log_start, 20);
    TRUE_(!decision.rolls);
}

TEST(steady_clock, begins_its_ten_minutes_anew_at_a_step_either_way)
{
    struct steady_clock clock = {0};
    int64_t wall = 1700000000000, at = 5;
    TRUE_(!steady_clock_look(&clock, at, wall));
    TRUE_(!steady_clock_look(&clock, at + STEADY_CLOCK_MS - 1, wall + STEADY_CLOCK_MS - 1));
    TRUE_(steady_clock_look(&clock, at + STEADY_CLOCK_MS, wall + STEADY_CLOCK_MS));
    for (int forth = 0; forth < 2; forth++) {
        int64_t step = forth ? 3600000 : -3600000;
        struct steady_clock other = clock;
        int64_t now = at + STEADY_CLOCK_MS + 1000, there = wall + STEADY_CLOCK_MS + 1000 + step;
        TRUE_(!steady_clock_look(&other, now, there));
        TRUE_(!steady_clock_look(&other, now + STEADY_CLOCK_MS - 1, there + STEADY_CLOCK_MS - 1));
        TRUE_(steady_clock_look(&other, now + STEADY_CLOCK_MS, there + STEADY_CLOCK_MS));
    }
}

TEST(steady_clock, bears_slewing)
{
    struct steady_clock clock = {0};
    int64_t wall = 1700000000000, at = 0;
    bool steady = false;
    for (int i = 0; i < 100; i++, at += 30000, wall += 30030)
        steady = steady_clock_look(&clock, at, wall);
    TRUE_(steady);
}
