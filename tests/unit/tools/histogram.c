#include "tools/histogram.h"
#include "base/memory.h"
#include "base/random.h"
#include "support/test.h"
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

TEST(histogram, quantiles_are_within_half_a_percent_of_the_sorted_values)
{
    enum { COUNT = 20000 };
    int64_t *values = memory_zeroed(COUNT * sizeof *values);
    struct histogram *histogram = memory_zeroed(sizeof *histogram);
    struct random random;
    random_seed(&random, 3);
    for (int i = 0; i < COUNT; i++) { /* spread over 40 powers of two */
        values[i] = (int64_t)(random_next(&random) >> (24 + random_below(&random, 39)));
        histogram_add(histogram, values[i]);
    }
    qsort(values, COUNT, sizeof *values, compare);
    static const double fractions[] = {0.001, 0.1, 0.5, 0.9, 0.99, 0.999};
    for (int i = 0; i < 6; i++) {
        int64_t want = values[(int)(fractions[i] * COUNT + 0.5) - 1];
        int64_t got = histogram_value_at(histogram, fractions[i]);
        int64_t apart = got > want ? got - want : want - got;
        test_expect(apart * 200 <= want, __FILE__, __LINE__, "quantile %g: got %lld, want %lld",
                    fractions[i], (long long)got, (long long)want);
    }
    EQ(histogram->max, values[COUNT - 1]);
    EQ(histogram->min, values[0]);
    EQ(histogram_value_at(histogram, 1), values[COUNT - 1]);
    memory_free(values);
    memory_free(histogram);
}

TEST(histogram, small_values_are_exact_and_limits_hold)
{
    struct histogram *histogram = memory_zeroed(sizeof *histogram);
    EQ(histogram_value_at(histogram, 0.5), 0);
    for (int i = 1; i <= 511; i++)
        histogram_add(histogram, i);
    EQ(histogram_value_at(histogram, 0.5), 256);
    EQ(histogram_value_at(histogram, 0), 1);
    histogram_add(histogram, -5);
    EQ(histogram->min, 0);
    histogram_add(histogram, INT64_MAX);
    EQ(histogram->max, (1ll << HISTOGRAM_POWERS) - 1);
    EQ(histogram->count, 513);
    memory_free(histogram);
}

TEST(histogram, merging_is_the_same_as_adding_all)
{
    struct histogram *all = memory_zeroed(sizeof *all), *parts[2];
    for (int i = 0; i < 2; i++)
        parts[i] = memory_zeroed(sizeof *parts[i]);
    struct random random;
    random_seed(&random, 4);
    for (int i = 0; i < 5000; i++) {
        int64_t value = (int64_t)random_below(&random, 1u << 30);
        histogram_add(all, value);
        histogram_add(parts[i % 3 == 0], value);
    }
    histogram_merge(parts[0], parts[1]);
    EQ_BYTES(parts[0], all, sizeof *all);
    memory_free(all);
    memory_free(parts[0]);
    memory_free(parts[1]);
}
