#pragma once
/* The handlers of every API over two cores, ports of memory and a cluster of memory: partitions are
 * arrays of batches, what is appended is committed when the test says so, and what metadata
 * requests want is applied at once. Requests go in as bytes, answers come out as bytes. */
#include "api/serve.h"
#include "cluster/machine.h"
#include "cluster/partition.h"
#include "protocol/batch.h"
#include "protocol/frame.h"
#include "support/fake_port.h"
#include "support/test.h"

enum { BENCH_CORES = 2, BENCH_BATCHES = 64 };

/* struct log of this cluster. */
struct log {
    uint8_t *data[BENCH_BATCHES];
    int32_t sizes[BENCH_BATCHES];
    int64_t base_offsets[BENCH_BATCHES];
    int count, reads;    /* reads: results not given back yet */
    int file_ends_after; /* so many batches at most come of one read; 0: all that fit */
    struct producers producers;
    struct aborted_txn_entry aborted; /* the last one */
    int aborted_count;
    struct epochs epochs;
    int directory; /* that it lies in */
};

enum { BENCH_DIRECTORIES = 2 };

struct bench {
    struct broker broker;
    struct settings settings;
    struct fake_port ports[BENCH_CORES];
    struct arena arena; /* of the test's side */
    int32_t correlation_id;
    int lines, stopped;
    int32_t room_bytes; /* batches larger than it wait for bench_make_room; 0: all have room */
    struct list room;   /* on the partition's core */
    enum error failed[BENCH_DIRECTORIES]; /* directories that have */
    bool holds_commits; /* what is appended stays uncommitted until bench_commit */
    char last_line[EVENT_LINE_BYTES];
};

struct bench *bench_open(void);
void bench_close(struct bench *bench);

/* Runs all cores until nothing moves. */
void bench_settle(struct bench *bench);
void bench_pass_ms(struct bench *bench, int64_t ms);
int32_t bench_connect(struct bench *bench);

/* Makes a topic, partition by partition on the cores in turn. */
struct uuid bench_topic(struct bench *bench, const char *name, int partitions);

/* What was appended to the partition is committed; waiters are woken. */
/* Now there is room for everything, and who waited for it tries again. */
void bench_make_room(struct bench *bench);
void bench_commit(struct bench *bench, struct uuid topic_id, int32_t index);
struct partition *bench_partition(struct bench *bench, struct uuid topic_id, int32_t index);

/* One request as bytes with its length, in the arena. `extra` bytes are added to its end, or taken
 * away, and counted in the length. */
struct bytes bench_frame(struct bench *bench, const struct api *api, int16_t version,
                         const void *request, int extra);

/* Sends a request and runs until nothing moves. */
void bench_send(struct bench *bench, int32_t handle, int16_t key, int16_t version,
                const void *request);

/* The next answer, decoded; null if none has come. */
void *bench_answer(struct bench *bench, int32_t handle, int16_t key, int16_t version);
void *bench_ask(struct bench *bench, int32_t handle, int16_t key, int16_t version,
                const void *request);

/* A request at its defaults, in the arena. */
void *bench_request(struct bench *bench, int16_t key);

/* A batch of `count` records whose values are `value`. */
struct bytes bench_batch(struct bench *bench, const char *value, int count);

bool bench_is_open(struct bench *bench, int32_t handle);
