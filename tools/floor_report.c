/* The samples of `bole floor`, and how they are printed. */
#include "tools/floor.h"
#include "base/check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct floor_row *row_of(struct floor_report *report, const char *name)
{
    for (int i = 0; i < report->row_count; i++)
        if (strcmp(report->rows[i].name, name) == 0)
            return &report->rows[i];
    check(report->row_count < FLOOR_ROWS_MAX);
    struct floor_row *row = &report->rows[report->row_count++];
    snprintf(row->name, sizeof row->name, "%s", name);
    return row;
}

void floor_add(struct floor_report *report, const char *row_name, const char *name,
               const char *unit, double sample)
{
    struct floor_row *row = row_of(report, row_name);
    int place = 0;
    while (place < row->metric_count && strcmp(row->metrics[place].name, name) != 0)
        place++;
    if (place == row->metric_count) {
        check(row->metric_count < FLOOR_METRICS_MAX);
        row->metrics[row->metric_count++] = (struct floor_metric){.name = name, .unit = unit};
    }
    struct floor_metric *metric = &row->metrics[place];
    check(metric->count < FLOOR_SAMPLES_MAX);
    metric->samples[metric->count++] = sample;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(const struct floor_metric *metric)
{
    int middle = metric->count / 2;
    return metric->count % 2 ? metric->samples[middle]
                             : (metric->samples[middle - 1] + metric->samples[middle]) / 2;
}

static void print_json(const struct floor_report *report)
{
    printf("{");
    for (int i = 0; i < report->row_count; i++) {
        const struct floor_row *row = &report->rows[i];
        printf("%s\"%s\":{", i ? "," : "", row->name);
        for (int m = 0; m < row->metric_count; m++) {
            const struct floor_metric *metric = &row->metrics[m];
            printf("%s\"%s\":{\"unit\":\"%s\",\"median\":%.6g,\"min\":%.6g,\"max\":%.6g}",
                   m ? "," : "", metric->name, metric->unit, median(metric), metric->samples[0],
                   metric->samples[metric->count - 1]);
        }
        printf("}");
    }
    printf("}\n");
}

void floor_print(struct floor_report *report, bool is_json)
{
    for (int i = 0; i < report->row_count; i++)
        for (int m = 0; m < report->rows[i].metric_count; m++) {
            struct floor_metric *metric = &report->rows[i].metrics[m];
            qsort(metric->samples, (size_t)metric->count, sizeof *metric->samples, compare);
        }
    if (is_json) {
        print_json(report);
        return;
    }
    printf("%-24s %-18s %12s %12s %12s\n", "", "", "median", "min", "max");
    for (int i = 0; i < report->row_count; i++)
        for (int m = 0; m < report->rows[i].metric_count; m++) {
            const struct floor_metric *metric = &report->rows[i].metrics[m];
            printf("%-24s %-10s %7s %12.5g %12.5g %12.5g\n", m ? "" : report->rows[i].name,
                   metric->name, metric->unit, median(metric), metric->samples[0],
                   metric->samples[metric->count - 1]);
        }
}
