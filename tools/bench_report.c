/* What `bole bench` prints. */
#include "tools/bench.h"
#include <stdio.h>
#include <string.h>

/* Figures that several rows of bench_report.def need. */
struct bench_work {
    double seconds, cpu_s, p50_us, p99_us, p99_9_us, written_bytes, write_calls_bytes;
    bool is_idle, is_known, has_batches, has_cpu, has_cpu_per_byte, has_written;
};

static struct bench_work work_of(const struct bench_settings *settings,
                                 const struct bench_result *result)
{
    const struct bench_process *start = &result->start, *end = &result->end;
    struct bench_work work = {
        .seconds = (double)result->elapsed_ns / 1e9,
        .cpu_s = end->cpu_s - start->cpu_s,
        .p50_us = (double)histogram_value_at(&result->latency, 0.5) / 1e3,
        .p99_us = (double)histogram_value_at(&result->latency, 0.99) / 1e3,
        .p99_9_us = (double)histogram_value_at(&result->latency, 0.999) / 1e3,
        .written_bytes = (double)(end->written_bytes - start->written_bytes),
        .write_calls_bytes = (double)(end->write_calls_bytes - start->write_calls_bytes),
        .is_idle = strcmp(settings->kind, "idle") == 0,
        .is_known = start->is_known && end->is_known,
    };
    bool has_bytes = work.is_known && result->bytes > 0;
    work.has_batches = !work.is_idle && settings->request == BENCH_PRODUCE;
    work.has_cpu = work.is_known && !work.is_idle && result->requests > 0 && work.cpu_s > 0;
    work.has_cpu_per_byte = work.has_batches && has_bytes;
    work.has_written = work.has_cpu_per_byte && start->written_bytes >= 0;
    return work;
}

static void print_json(const struct bench_settings *s, const struct bench_result *r)
{
    const struct bench_work w = work_of(s, r);
    printf("{\"kind\":\"%s\",\"partitions\":%lld,\"batch_bytes\":%lld,\"in_flight\":%lld,"
           "\"rate\":%lld,\"acks\":%lld,\"codec\":\"%s\"",
           s->kind, (long long)s->partitions, (long long)s->batch_bytes, (long long)s->in_flight,
           (long long)s->plan.rate, (long long)s->acks, codec_name(s->codec));
#define FIGURE(name, unit, decimals, known, value)                                                 \
    if (known)                                                                                     \
        printf(",\"" #name "\":%.*f", decimals, value);                                            \
    else                                                                                           \
        printf(",\"" #name "\":null");
#include "tools/bench_report.def"
#undef FIGURE
    printf(",\"errors\":{");
    for (int i = 0; i < r->error_count; i++)
        printf("%s\"%s\":%llu", i ? "," : "", error_name((enum error)r->errors[i].code),
               (unsigned long long)r->errors[i].count);
    printf("}}\n");
}

void bench_print(const struct bench_settings *s, const struct bench_result *r)
{
    if (s->is_json) {
        print_json(s, r);
        return;
    }
    const struct bench_work w = work_of(s, r);
#define FIGURE(name, unit, decimals, known, value)                                                 \
    if (known)                                                                                     \
        printf("%-22s %14.*f %s\n", #name, decimals, value, unit);
#include "tools/bench_report.def"
#undef FIGURE
    for (int i = 0; i < r->error_count; i++)
        printf("error %-30s %llu\n", error_name((enum error)r->errors[i].code),
               (unsigned long long)r->errors[i].count);
}
