#pragma once
/* `bole bench`: an open-loop generator against any broker that speaks Kafka's protocol. Requests
 * are built once and replayed over many connections on one thread.
 *
 * Invariants
 *  1. With a rate, a request's latency counts from the time it was due (schedule.h); with rate max,
 *     from the time it was handed to its connection.
 *  2. Throughput counts what is answered within the measured time; latency counts every request due
 *     in it, also those answered later; those never answered count at their age.
 *  3. Before the schedule begins every request was sent once and answered without error.
 *  4. Answers of a connection come in order; each is matched by its correlation id and decoded. */
#include "codec/codec.h"
#include "admin.h"
#include "tools/histogram.h"
#include "tools/schedule.h"

enum { BENCH_CONFIGS_MAX = 32, BENCH_ERRORS_MAX = 16 };

enum bench_request { BENCH_PRODUCE, BENCH_API_VERSIONS, BENCH_METADATA };

struct bench_settings {
    const char *kind; /* produce, tiny, partitions, idle */
    const char *broker, *topic;
    enum bench_request request;
    int64_t partitions, per_request;   /* per_request 0: all */
    int64_t batch_bytes, record_bytes; /* before compression */
    enum codec codec;
    int64_t connections, in_flight;
    struct schedule_plan plan;
    int64_t requests; /* in all; 0: by time. The plan is then "max" without a warm-up */
    int64_t acks;
    int64_t pid; /* of the broker; 0: not told */
    struct admin_config configs[BENCH_CONFIGS_MAX];
    int32_t configs_count;
    bool is_json;
};

/* --- requests, built once -------------------------------------------------------------------- */

enum { BENCH_CORRELATION_AT = 8, BENCH_HEAD_BYTES = 12 };

struct bench_frame {
    uint8_t *data; /* length, header, body */
    size_t size;
    int32_t batches;
};

struct bench_frames {
    struct bench_frame *frames;
    int32_t count;
    const struct api *api;
    int16_t version;
    int64_t batch_bytes; /* as built: what was asked for, or a few bytes less */
};

/* Frames for `settings` in `version`: of Produce one for every `per_request` partitions, so that
 * all of them together go once over every partition. `topic` may be null for other requests. */
void bench_frames_build(struct bench_frames *frames, const struct bench_settings *settings,
                        const struct metadata_topic *topic, int16_t version);
void bench_frames_done(struct bench_frames *frames);

/* --- the broker's process -------------------------------------------------------------------- */

struct bench_process {
    bool is_known;
    double cpu_s;                     /* user and system */
    int64_t rss_bytes, rss_max_bytes; /* VmRSS, VmHWM */
    int64_t written_bytes;            /* write_bytes of /proc/PID/io; -1: not readable */
    int64_t write_calls_bytes;        /* wchar: sockets included */
};

/* Looks at /proc. Not known if pid is 0. */
struct bench_process bench_process_look(int64_t pid);

/* --- the result ------------------------------------------------------------------------------ */

struct bench_error {
    int32_t code;
    uint64_t count;
};

struct bench_result {
    struct histogram latency;
    uint64_t requests, batches; /* answered without error within the measured time */
    uint64_t unanswered;        /* due in the measured time, not answered when the run ended */
    double bytes;               /* of acknowledged batches */
    int64_t elapsed_ns;
    struct bench_error errors[BENCH_ERRORS_MAX];
    int error_count;
    struct bench_process before, start, end; /* at the very beginning; around the measured time */
    int64_t create_ms;                       /* the topic's creation; -1: it was there */
};

/* To stdout: a table, or one JSON object. */
void bench_print(const struct bench_settings *settings, const struct bench_result *result);

/* --- the generator --------------------------------------------------------------------------- */

/* Runs the schedule over `connections` connections to `address`. False after a message. */
bool bench_generate(const struct bench_settings *settings, const struct host_port *address,
                    const struct bench_frames *frames, struct bench_result *result);

/* `bole bench idle`: opens connections and holds them. False after a message. */
bool bench_idle(const struct bench_settings *settings, const struct host_port *address,
                struct bench_result *result);
