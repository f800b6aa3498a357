#pragma once
/* When requests are due. An open loop: with a rate, request i is due at a time that does not depend
 * on any answer, and its latency counts from there, so a stall of the broker is seen by every
 * request that should have gone out meanwhile (no coordinated omission). Without a rate a request
 * is due when there is room for it. Pure: now comes in as an argument, in ns. */
#include <stdbool.h>
#include <stdint.h>

struct schedule {
    int64_t start_ns;
    int64_t rate;       /* requests/s; 0: as fast as they go */
    int64_t measure_ns; /* from here the requests that are due count (after the warm-up) */
    int64_t end_ns;     /* exclusive: nothing is due from here on */
};

struct schedule_plan {
    int64_t rate, warmup_ms, measure_ms;
};

void schedule_init(struct schedule *schedule, struct schedule_plan plan, int64_t now_ns);

/* When request `index` is due; INT64_MAX if that is at or after the end. Only with a rate. */
int64_t schedule_due_ns(const struct schedule *schedule, int64_t index);

/* True if a request that was due at `due_ns` counts in the result. */
bool schedule_counts(const struct schedule *schedule, int64_t due_ns);

/* How long to sleep from now until `due_ns`: 0 when it has come, and when less than 60 µs are left,
 * which is less than what waking up takes: spin then. */
int64_t schedule_sleep_ns(int64_t due_ns, int64_t now_ns);
