#pragma once
/* `bole floor`: what this machine can do at best, measured with programs that do nothing but the
 * system calls a broker can't do without. Each measurement runs once per repetition, all of them in
 * turn, so that a busy minute of the machine falls on all alike; the report gives the median. The
 * side that stands for the broker is this process, pinned to one CPU; the generator is a child,
 * pinned to another. */
#include "tools/histogram.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct floor_settings {
    const char *directory; /* on the disk to measure */
    int64_t repetitions;
    int64_t measure_ms;         /* of each measurement in each repetition */
    int server_cpu, client_cpu; /* -1: not pinned */
    const char *only;           /* names that begin so; null: all */
    bool is_json;
};

/* --- the report: samples by row and metric -------------------------------------------------- */

enum { FLOOR_ROWS_MAX = 32, FLOOR_METRICS_MAX = 6, FLOOR_SAMPLES_MAX = 100 };

struct floor_metric {
    const char *name, *unit;
    double samples[FLOOR_SAMPLES_MAX];
    int count;
};

struct floor_row {
    char name[40];
    struct floor_metric metrics[FLOOR_METRICS_MAX];
    int metric_count;
};

struct floor_report {
    struct floor_row rows[FLOOR_ROWS_MAX];
    int row_count;
};

/* Adds one sample; `name` and `unit` must live as long as the report. */
void floor_add(struct floor_report *report, const char *row, const char *name, const char *unit,
               double sample);
/* Median, least and greatest of each metric, to stdout: a table or one JSON object. */
void floor_print(struct floor_report *report, bool is_json);

/* --- a child that generates over loopback TCP ------------------------------------------------ */

/* Lies in memory that both processes see. */
struct floor_shared {
    struct histogram latency;
    uint64_t requests;
    int64_t elapsed_ns;
};

struct floor_child {
    pid_t pid;
    int socket; /* this process's end, TCP_NODELAY */
    struct floor_shared *shared;
};

/* What the child does: generate on `socket` for `settings->measure_ms`, write its numbers. */
struct floor_load {
    void (*run)(int socket, const struct floor_load *load, struct floor_shared *shared);
    int64_t measure_ms;
    int frame_bytes, answer_bytes, in_flight;
};

/* Pins this process to `cpu`; -1 does nothing. False after a message. */
bool floor_pin(int cpu);
/* Forks the child and pins it. False after a message. */
bool floor_child_start(struct floor_child *child, const struct floor_settings *settings,
                       const struct floor_load *load);
/* Waits for the child's end and closes; `shared` stays until floor_child_done. */
bool floor_child_wait(struct floor_child *child);
void floor_child_done(struct floor_child *child);

/* A load: frames of `frame_bytes` that begin with their length (4 bytes, without itself), answered
 * by `answer_bytes` each, `in_flight` at a time; latency from a frame's first send to its answer.
 */
void floor_load_frames(int socket, const struct floor_load *load, struct floor_shared *shared);
/* A load: `frame_bytes` a send, no answers. */
void floor_load_flood(int socket, const struct floor_load *load, struct floor_shared *shared);

int64_t floor_now_ns(void);
int64_t floor_cpu_ns(void); /* user and system time of this process */

/* --- the measurements: one repetition each; false after a message ---------------------------- */

bool floor_sink(const struct floor_settings *settings, struct floor_report *report, int64_t size);
bool floor_echo(const struct floor_settings *settings, struct floor_report *report,
                int64_t in_flight);
bool floor_journal(const struct floor_settings *settings, struct floor_report *report,
                   int64_t size);
bool floor_files(const struct floor_settings *settings, struct floor_report *report, int64_t size);
bool floor_read(const struct floor_settings *settings, struct floor_report *report, int64_t size);
bool floor_durable(const struct floor_settings *settings, struct floor_report *report,
                   int64_t in_flight);

/* --- files ----------------------------------------------------------------------------------- */

/* Opens `directory/name` for direct I/O, all `size_bytes` (a multiple of 1 MiB) written and
 * flushed; a file that is there in that size is taken as it is. -1 after a message. */
int floor_file_open(const char *directory, const char *name, int64_t size_bytes);
/* Removes what floor_file_open made in `directory`. */
void floor_files_remove(const char *directory);
