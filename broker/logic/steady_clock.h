#pragma once
/* May the wall clock be trusted to tell how old records are? Only once it has gone with the
 * monotonic clock for ten minutes: a step either way, and a start, begin them anew. Pure. */
#include <stdbool.h>
#include <stdint.h>

enum { STEADY_CLOCK_MS = 10 * 60 * 1000, STEADY_CLOCK_SLACK_MS = 1000 };

struct steady_clock {
    bool started;
    int64_t wall_ms, monotonic_ms; /* when it was looked at last */
    int64_t since_ms;              /* steady from then on, monotonic */
};

/* Looks at both clocks: is the wall clock steady? Slewing by a thousandth, and a second, is no
 * step. */
bool steady_clock_look(struct steady_clock *clock, int64_t monotonic_ms, int64_t wall_ms);
