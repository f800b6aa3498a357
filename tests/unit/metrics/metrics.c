#include "metrics/metrics.h"
#include "base/random.h"
#include "support/test.h"
#include <stdlib.h>

TEST(histogram, puts_every_value_into_the_bucket_that_holds_it)
{
    for (int i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
        uint64_t last = histogram_bucket_last(i);
        EQ(histogram_bucket(last), i);
        EQ(histogram_bucket(last + 1), i + 1);
    }
    EQ(histogram_bucket(0), 0);
    EQ(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
    EQ(histogram_bucket_last(HISTOGRAM_BUCKETS - 1), (1ull << 43) - 1);
}

TEST(histogram, tells_quantiles_at_most_an_eighth_too_large)
{
    struct histogram histogram = {0};
    EQ(histogram_quantile(&histogram, 0.5), 0);
    for (uint64_t value = 1; value <= 100000; value++)
        histogram_observe(&histogram, value);
    static const double shares[] = {0.001, 0.5, 0.9, 0.99, 0.999, 1};
    for (int i = 0; i < 6; i++) {
        double exact = shares[i] * 100000, got = (double)histogram_quantile(&histogram, shares[i]);
        TRUE_(got >= exact && got <= exact * 1.125);
    }
    EQ(histogram_quantile(&histogram, 0), 1);
    EQ(histogram_quantile(&histogram, 1), 100000); /* never above the largest */
    EQ(histogram.sum, 5000050000);
    EQ(histogram.largest, 100000);
    histogram_observe(&histogram, UINT64_MAX);
    EQ((uint64_t)histogram_quantile(&histogram, 1) == UINT64_MAX, true);
}

TEST(metrics, sum_over_cores)
{
    static struct metrics one, two, sum;
    one = two = sum = (struct metrics){0};
    metrics_observe_turn(&one, 10 * 1000 * 1000);
    metrics_observe_turn(&two, 10 * 1000 * 1000 + 1);
    metrics_count_request(&one, 3);
    metrics_count_request(&two, 3);
    metrics_count_request(&two, -1);
    metrics_count_request(&two, 32767);
    metrics_count_refusal(&two, REFUSAL_UNKNOWN_API);
    one.connections_open = 5;
    two.connections_open = -2; /* a gauge of one core may go below zero; their sum does not */
    metrics_add(&sum, &two);   /* the larger turn first: it must be kept */
    metrics_add(&sum, &one);
    EQ(sum.turns, 2);
    EQ(sum.turns_over_10_ms, 1);
    EQ(sum.turn_ns.count, 2);
    EQ(sum.turn_ns.largest, 10 * 1000 * 1000 + 1);
    EQ(sum.requests[3], 2);
    EQ(sum.requests[LABEL_COUNT_api - 1], 2);
    EQ(sum.requests_refused[REFUSAL_UNKNOWN_API], 1);
    EQ(sum.connections_open, 3);
}

static const char *name_of(int key)
{
    return key == 3 ? "Metadata" : NULL;
}

TEST(metrics, render_as_prometheus_text)
{
    static struct metrics metrics;
    metrics = (struct metrics){.connections_open = 7, .produce_bytes = UINT64_MAX};
    metrics_count_request(&metrics, 3);
    metrics_count_request(&metrics, 18);
    metrics_count_refusal(&metrics, REFUSAL_TOO_MANY_CONNECTIONS);
    histogram_observe(&metrics.journal_flush_ns, 1023);
    histogram_observe(&metrics.journal_flush_ns, 1024);
    struct writer count, writer;
    writer_init(&count, NULL, 0);
    metrics_render(&metrics, name_of, &count);
    char *text = malloc(count.size + 1);
    writer_init(&writer, text, count.size);
    metrics_render(&metrics, name_of, &writer);
    EQ(writer.error, ERROR_NONE);
    text[writer.size] = 0;
    static const char *const wanted[] = {
        "# HELP bole_connections_open Connections of clients that are open.\n"
        "# TYPE bole_connections_open gauge\nbole_connections_open 7\n",
        "# TYPE bole_requests counter\nbole_requests{api=\"Metadata\"} 1\n"
        "bole_requests{api=\"18\"} 1\n# HELP",
        "bole_requests_refused{reason=\"too_many_connections\"} 1\n",
        "bole_produce_bytes 18446744073709551615\n",
        "# TYPE bole_journal_flush_ns histogram\nbole_journal_flush_ns_bucket{le=\"1023\"} 1\n"
        "bole_journal_flush_ns_bucket{le=\"2047\"} 2\n",
        "bole_journal_flush_ns_bucket{le=\"+Inf\"} 2\nbole_journal_flush_ns_sum 2047\n"
        "bole_journal_flush_ns_count 2\n",
    };
    for (int i = 0; i < (int)(sizeof wanted / sizeof wanted[0]); i++)
        test_expect(strstr(text, wanted[i]) != NULL, __FILE__, __LINE__, "missing:\n%s", wanted[i]);
    free(text);
}
