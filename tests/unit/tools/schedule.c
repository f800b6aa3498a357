#include "tools/schedule.h"
#include "support/test.h"

TEST(schedule, requests_are_due_at_a_steady_rate)
{
    struct schedule schedule;
    schedule_init(&schedule,
                  (struct schedule_plan){.rate = 3, .warmup_ms = 1000, .measure_ms = 2000}, 500);
    EQ(schedule_due_ns(&schedule, 0), 500);
    EQ(schedule_due_ns(&schedule, 1), 500 + 333333333);
    EQ(schedule_due_ns(&schedule, 3), 500 + 1000000000);
    EQ(schedule_due_ns(&schedule, 8), 500 + 2666666666);
    EQ(schedule_due_ns(&schedule, 9), INT64_MAX);
    int counted = 0;
    for (int i = 0; schedule_due_ns(&schedule, i) != INT64_MAX; i++)
        counted += schedule_counts(&schedule, schedule_due_ns(&schedule, i));
    EQ(counted, 6);
}

TEST(schedule, does_not_drift_over_days)
{
    struct schedule schedule;
    const int64_t day_ms = 24ll * 3600 * 1000;
    schedule_init(&schedule, (struct schedule_plan){.rate = 700001, .measure_ms = 10 * day_ms}, 0);
    EQ(schedule_due_ns(&schedule, 700001ll * 3600 * 24 * 9), 9 * day_ms * 1000000);
}

/* A broker that stalls for a second: a generator that sends one request when the one before is
 * answered would see one slow request; every request due meanwhile must see what was left of it. */
TEST(schedule, a_stall_is_seen_by_every_request_that_was_due_meanwhile)
{
    struct schedule schedule;
    schedule_init(&schedule, (struct schedule_plan){.rate = 1000, .measure_ms = 3000}, 0);
    const int64_t stall_start_ns = 1000000000, stall_end_ns = 2000000000;
    int slow = 0;
    for (int i = 0; i < 3000; i++) {
        int64_t due_ns = schedule_due_ns(&schedule, i);
        bool is_stalled = due_ns >= stall_start_ns && due_ns < stall_end_ns;
        int64_t answered_ns = is_stalled ? stall_end_ns : due_ns + 1000;
        slow += answered_ns - due_ns > 500000000;
    }
    EQ(slow, 500);
}

TEST(schedule, sleeps_only_when_waking_up_is_in_time)
{
    EQ(schedule_sleep_ns(1000, 1000), 0);
    EQ(schedule_sleep_ns(1000, 5000), 0);
    EQ(schedule_sleep_ns(59999, 0), 0);
    EQ(schedule_sleep_ns(1000000, 0), 970000);
}
