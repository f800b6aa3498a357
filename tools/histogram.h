#pragma once
/* A histogram of durations: 256 steps to each power of two, so a quantile is at most 0.4 % off;
 * values below 512 ns are exact. Adding is a shift and an increment; the memory is one block.
 * After Gil Tene's HdrHistogram. */
#include <stdint.h>

enum { HISTOGRAM_STEP_BITS = 8, HISTOGRAM_POWERS = 42 };

struct histogram {
    uint64_t counts[(HISTOGRAM_POWERS - HISTOGRAM_STEP_BITS + 1) << HISTOGRAM_STEP_BITS];
    uint64_t count;
    int64_t max; /* exact */
    int64_t min; /* exact; 0 while empty */
};

/* Counts `value`; below 0 counts as 0, above 2^42 - 1 (73 minutes in ns) as that. */
void histogram_add(struct histogram *histogram, int64_t value);

/* The value that `fraction` (0 to 1) of all values do not exceed: the middle of its step, never
 * above max. 0 while empty. */
int64_t histogram_value_at(const struct histogram *histogram, double fraction);

/* Adds all of `from`. */
void histogram_merge(struct histogram *histogram, const struct histogram *from);
