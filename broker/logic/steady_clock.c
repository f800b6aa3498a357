#include "logic/steady_clock.h"

bool steady_clock_look(struct steady_clock *clock, int64_t monotonic_ms, int64_t wall_ms)
{
    int64_t elapsed_ms = monotonic_ms - clock->monotonic_ms;
    int64_t apart_ms = wall_ms - clock->wall_ms - elapsed_ms;
    int64_t slack_ms = STEADY_CLOCK_SLACK_MS + elapsed_ms / 1000;
    if (!clock->started || apart_ms > slack_ms || apart_ms < -slack_ms)
        clock->since_ms = monotonic_ms;
    clock->started = true;
    clock->wall_ms = wall_ms;
    clock->monotonic_ms = monotonic_ms;
    return monotonic_ms - clock->since_ms >= STEADY_CLOCK_MS;
}
