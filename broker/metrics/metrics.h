#pragma once
/* Counters, gauges and histograms: one struct per core, added to without any lock or atomic by its
 * core alone, and summed from copies that the cores send. The table is metrics.def. Pure.
 *
 * A histogram has eight buckets in each octave, so a value read back is at most 1/8 too large. */
#include "base/writer.h"
#include <stddef.h>

enum refusal {
#define REFUSAL(name, text) REFUSAL_##name,
#include "metrics/refusals.def"
#undef REFUSAL
    REFUSAL_COUNT
};

enum {
    HISTOGRAM_OCTAVES = 41, /* up to 2^43: 2.4 hours in ns; what is larger counts in the last */
    HISTOGRAM_BUCKETS = 8 * HISTOGRAM_OCTAVES,
    LABEL_COUNT_api = 96, /* API keys from 0; a larger one counts as the last */
    LABEL_COUNT_reason = REFUSAL_COUNT,
};

struct histogram {
    uint64_t count, sum, largest;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

struct metrics {
#define COUNTER(name, help)         uint64_t name;
#define GAUGE(name, help)           int64_t name;
#define MAXIMUM(name, help)         int64_t name;
#define LABELLED(name, label, help) uint64_t name[LABEL_COUNT_##label];
#define HISTOGRAM(name, help)       struct histogram name;
#include "metrics/metrics.def"
#undef COUNTER
#undef GAUGE
#undef MAXIMUM
#undef LABELLED
#undef HISTOGRAM
};

/* The bucket of a value: 0-7 for the values 0-7, then eight for each octave. */
static inline int histogram_bucket(uint64_t value)
{
    if (value < 8)
        return (int)value;
    int octave = 63 - __builtin_clzll(value); /* 3 and up */
    int bucket = 8 * (octave - 2) + (int)((value >> (octave - 3)) & 7);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static inline void histogram_observe(struct histogram *histogram, uint64_t value)
{
    histogram->count++;
    histogram->sum += value;
    if (value > histogram->largest)
        histogram->largest = value;
    histogram->buckets[histogram_bucket(value)]++;
}

/* One turn of the loop: counts it, and apart if it took more than 10 ms. */
static inline void metrics_observe_turn(struct metrics *metrics, uint64_t turn_ns)
{
    metrics->turns++;
    metrics->turns_over_10_ms += turn_ns > 10 * 1000 * 1000;
    histogram_observe(&metrics->turn_ns, turn_ns);
}

/* One request of API `key`; keys outside the table count as the last. */
static inline void metrics_count_request(struct metrics *metrics, int key)
{
    bool known = key >= 0 && key < LABEL_COUNT_api;
    metrics->requests[known ? key : LABEL_COUNT_api - 1]++;
}

static inline void metrics_count_refusal(struct metrics *metrics, enum refusal refusal)
{
    metrics->requests_refused[refusal]++;
}

/* The largest value of a bucket. */
uint64_t histogram_bucket_last(int bucket);

/* The value below or at which `share` (0 to 1) of the observations lie, at most 1/8 too large and
 * never above the largest one; 0 when there is none. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

/* Adds `from` to `to`, all of it; the largest values are kept. */
void metrics_add(struct metrics *to, const struct metrics *from);

/* The whole table as Prometheus text (exposition format 0.0.4). `api_name` gives the name of a key,
 * or null for one that has none, which is shown as its number. Labels at 0 are left out. */
void metrics_render(const struct metrics *metrics, const char *(*api_name)(int key),
                    struct writer *writer);
