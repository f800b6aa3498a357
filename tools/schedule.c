#include "tools/schedule.h"
#include "base/check.h"

enum { SPIN_NS = 60000 };

void schedule_init(struct schedule *schedule, struct schedule_plan plan, int64_t now_ns)
{
    check(plan.rate >= 0 && plan.warmup_ms >= 0 && plan.measure_ms > 0);
    int64_t measure_ns = now_ns + plan.warmup_ms * 1000000;
    *schedule = (struct schedule){.start_ns = now_ns,
                                  .rate = plan.rate,
                                  .measure_ns = measure_ns,
                                  .end_ns = measure_ns + plan.measure_ms * 1000000};
}

int64_t schedule_due_ns(const struct schedule *schedule, int64_t index)
{
    check(schedule->rate > 0 && index >= 0);
    /* Whole seconds apart, so that the product does not overflow. */
    int64_t seconds = index / schedule->rate, rest = index % schedule->rate;
    int64_t due_ns = schedule->start_ns + seconds * 1000000000 + rest * 1000000000 / schedule->rate;
    return due_ns < schedule->end_ns ? due_ns : INT64_MAX;
}

bool schedule_counts(const struct schedule *schedule, int64_t due_ns)
{
    return due_ns >= schedule->measure_ns && due_ns < schedule->end_ns;
}

int64_t schedule_sleep_ns(int64_t due_ns, int64_t now_ns)
{
    int64_t left_ns = due_ns - now_ns;
    return left_ns < SPIN_NS ? 0 : left_ns - SPIN_NS / 2;
}
