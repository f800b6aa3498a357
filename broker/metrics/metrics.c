#include "metrics/metrics.h"
#include "base/check.h"
#include <stdio.h>
#include <stdarg.h>

uint64_t histogram_bucket_last(int bucket)
{
    check(bucket >= 0 && bucket < HISTOGRAM_BUCKETS);
    if (bucket < 8)
        return (uint64_t)bucket;
    int octave = bucket / 8 + 2;
    return ((uint64_t)(8 + bucket % 8 + 1) << (octave - 3)) - 1;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    check(share >= 0 && share <= 1);
    double wanted = share * (double)histogram->count;
    uint64_t seen = 0;
    for (int i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
        seen += histogram->buckets[i];
        if (seen && (double)seen >= wanted) {
            uint64_t last = histogram_bucket_last(i);
            return last < histogram->largest ? last : histogram->largest;
        }
    }
    return histogram->largest;
}

static void add_histogram(struct histogram *to, const struct histogram *from)
{
    to->count += from->count;
    to->sum += from->sum;
    to->largest = to->largest > from->largest ? to->largest : from->largest;
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
}

static void add_labelled(uint64_t *to, const uint64_t *from, int count)
{
    for (int i = 0; i < count; i++)
        to[i] += from[i];
}

void metrics_add(struct metrics *to, const struct metrics *from)
{
#define COUNTER(name, help)         to->name += from->name;
#define GAUGE(name, help)           to->name += from->name;
#define MAXIMUM(name, help)         to->name = max_i64(to->name, from->name);
#define LABELLED(name, label, help) add_labelled(to->name, from->name, LABEL_COUNT_##label);
#define HISTOGRAM(name, help)       add_histogram(&to->name, &from->name);
#include "metrics/metrics.def"
#undef COUNTER
#undef GAUGE
#undef MAXIMUM
#undef LABELLED
#undef HISTOGRAM
}

/* What rendering goes through: the place it writes to and the names of labels' values. */
struct render {
    struct writer *writer;
    const char *(*api_name)(int key);
};

static void put(struct render *render, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(struct render *render, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    check(size >= 0 && size < (int)sizeof line);
    write_raw(render->writer, line, (size_t)size);
}

static void put_head(struct render *render, const char *name, const char *type, const char *help)
{
    put(render, "# HELP bole_%s %s\n# TYPE bole_%s %s\n", name, help, name, type);
}

static const char *refusal_text(int refusal)
{
    static const char *const texts[] = {
#define REFUSAL(name, text) text,
#include "metrics/refusals.def"
#undef REFUSAL
    };
    return texts[refusal];
}

static void put_label_api(struct render *render, const char *name, int key, uint64_t value)
{
    const char *text = render->api_name ? render->api_name(key) : NULL;
    if (text)
        put(render, "bole_%s{api=\"%s\"} %llu\n", name, text, (unsigned long long)value);
    else
        put(render, "bole_%s{api=\"%d\"} %llu\n", name, key, (unsigned long long)value);
}

static void put_label_reason(struct render *render, const char *name, int reason, uint64_t value)
{
    put(render, "bole_%s{reason=\"%s\"} %llu\n", name, refusal_text(reason),
        (unsigned long long)value);
}

/* Buckets of whole octaves, from 2^10 on: what is shown must not depend on what was seen. */
static void put_histogram(struct render *render, const char *name,
                          const struct histogram *histogram)
{
    uint64_t seen = 0;
    for (int i = 0; i < HISTOGRAM_BUCKETS - 1; i++) { /* the last has no end of its own */
        seen += histogram->buckets[i];
        uint64_t last = histogram_bucket_last(i);
        bool ends_octave = i >= 8 && i % 8 == 7;
        if (ends_octave && last >= 1023)
            put(render, "bole_%s_bucket{le=\"%llu\"} %llu\n", name, (unsigned long long)last,
                (unsigned long long)seen);
    }
    put(render, "bole_%s_bucket{le=\"+Inf\"} %llu\nbole_%s_sum %llu\nbole_%s_count %llu\n", name,
        (unsigned long long)histogram->count, name, (unsigned long long)histogram->sum, name,
        (unsigned long long)histogram->count);
}

void metrics_render(const struct metrics *metrics, const char *(*api_name)(int key),
                    struct writer *writer)
{
    struct render render = {writer, api_name};
#define COUNTER(name, help)                                                                        \
    put_head(&render, #name, "counter", help);                                                     \
    put(&render, "bole_%s %llu\n", #name, (unsigned long long)metrics->name);
#define GAUGE(name, help)                                                                          \
    put_head(&render, #name, "gauge", help);                                                       \
    put(&render, "bole_%s %lld\n", #name, (long long)metrics->name);
#define MAXIMUM GAUGE
#define LABELLED(name, label, help)                                                                \
    put_head(&render, #name, "counter", help);                                                     \
    for (int i = 0; i < LABEL_COUNT_##label; i++) {                                                \
        if (metrics->name[i])                                                                      \
            put_label_##label(&render, #name, i, metrics->name[i]);                                \
    }
#define HISTOGRAM(name, help)                                                                      \
    put_head(&render, #name, "histogram", help);                                                   \
    put_histogram(&render, #name, &metrics->name);
#include "metrics/metrics.def"
#undef COUNTER
#undef GAUGE
#undef MAXIMUM
#undef LABELLED
#undef HISTOGRAM
}
