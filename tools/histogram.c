#include "tools/histogram.h"
#include "base/check.h"

/* Steps 0..2^(B+1)-1 are one wide each; after them every power of two has 2^B steps. */
static uint32_t step_of(uint64_t value)
{
    if (value < (2u << HISTOGRAM_STEP_BITS))
        return (uint32_t)value;
    int power = 63 - __builtin_clzll(value);
    int shift = power - HISTOGRAM_STEP_BITS;
    return ((uint32_t)shift << HISTOGRAM_STEP_BITS) + (uint32_t)(value >> shift);
}

static int64_t middle_of(uint32_t step)
{
    if (step < (2u << HISTOGRAM_STEP_BITS))
        return step;
    int shift = (int)(step >> HISTOGRAM_STEP_BITS) - 1;
    uint64_t low = (uint64_t)(step - ((uint32_t)shift << HISTOGRAM_STEP_BITS)) << shift;
    return (int64_t)(low + ((1ull << shift) >> 1));
}

void histogram_add(struct histogram *histogram, int64_t value)
{
    const int64_t highest = (1ll << HISTOGRAM_POWERS) - 1;
    value = value < 0 ? 0 : value > highest ? highest : value;
    histogram->counts[step_of((uint64_t)value)]++;
    if (histogram->count++ == 0)
        histogram->min = value;
    histogram->min = value < histogram->min ? value : histogram->min;
    histogram->max = value > histogram->max ? value : histogram->max;
}

int64_t histogram_value_at(const struct histogram *histogram, double fraction)
{
    check(fraction >= 0 && fraction <= 1);
    if (histogram->count == 0)
        return 0;
    uint64_t wanted = (uint64_t)(fraction * (double)histogram->count + 0.5);
    wanted = wanted ? wanted : 1;
    if (wanted >= histogram->count)
        return histogram->max;
    uint64_t seen = 0;
    for (uint32_t step = 0; step < ARRAY_COUNT(histogram->counts); step++) {
        seen += histogram->counts[step];
        if (seen >= wanted) {
            int64_t value = middle_of(step);
            return value > histogram->max ? histogram->max : value;
        }
    }
    return histogram->max;
}

void histogram_merge(struct histogram *histogram, const struct histogram *from)
{
    if (from->count == 0)
        return;
    for (int i = 0; i < ARRAY_COUNT(histogram->counts); i++)
        histogram->counts[i] += from->counts[i];
    histogram->min = histogram->count && histogram->min < from->min ? histogram->min : from->min;
    histogram->max = histogram->max > from->max ? histogram->max : from->max;
    histogram->count += from->count;
}
