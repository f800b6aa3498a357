/* The least a durable broker must do, in one process and one thread on one ring: receive frames of
 * 256 KiB (16 partitions x 16 KiB), write what has arrived to a journal and flush it, answer.
 *
 * 1. The stream of frames lies in one circular buffer, at its position modulo the buffer's size,
 *    and in the file at its position modulo the file's size. durable <= writing_end <= received.
 * 2. Whole sectors are written; frames are whole sectors, so the end of a frame never waits for
 *    what comes after it. A receive writes at `received` and above: what is being written does not
 *    change.
 * 3. One write is in flight at a time; it takes whatever arrived while the last one was flushed.
 * 4. A frame is answered once its last byte is durable; answers leave in one send.
 *
 * What a broker must do beyond it (CRC, decoding, offsets, the drain) is not in the floor. */
#include "tools/floor.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/memory.h"
#include "tools/command.h"
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SECTOR_BYTES = 4096, BUFFER_BYTES = 4 << 20, FRAME_BYTES = 256 << 10 };
enum { ANSWER_BYTES = 40, ANSWERS_MAX = 64 };
enum { DURABLE_RECEIVED = 1, DURABLE_WRITTEN = 2, DURABLE_SENT = 3 };
#define RING_BYTES (64ll << 20)
_Static_assert(FRAME_BYTES % SECTOR_BYTES == 0 && RING_BYTES % BUFFER_BYTES == 0,
               "invariants 1, 2");

struct durable {
    struct io_uring ring;
    int socket, file;
    uint8_t *buffer;
    int64_t received, writing_end, durable; /* positions in the stream */
    int64_t answered_bytes;                 /* answers sent; each is ANSWER_BYTES */
    uint8_t answers[ANSWERS_MAX * ANSWER_BYTES];
    bool is_receiving, is_writing, is_sending, is_over, has_failed;
};

static struct io_uring_sqe *entry_of(struct durable *durable)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&durable->ring);
    check(entry != NULL);
    return entry;
}

/* Starts whatever can be started. */
static void durable_turn(struct durable *durable)
{
    int64_t begin = durable->durable % BUFFER_BYTES;
    int64_t end = (int64_t)align_down((uint64_t)durable->received, SECTOR_BYTES);
    int64_t size = min_i64(end - durable->durable, BUFFER_BYTES - begin);
    if (!durable->is_writing && size > 0) {
        struct io_uring_sqe *entry = entry_of(durable);
        io_uring_prep_write(entry, durable->file, durable->buffer + begin, (unsigned)size,
                            (uint64_t)(durable->durable % RING_BYTES));
        entry->rw_flags = RWF_DSYNC;
        entry->user_data = DURABLE_WRITTEN;
        durable->writing_end = durable->durable + size;
        durable->is_writing = true;
    }
    begin = durable->received % BUFFER_BYTES;
    size = min_i64(durable->durable + BUFFER_BYTES - durable->received, BUFFER_BYTES - begin);
    if (!durable->is_receiving && !durable->is_over && size > 0) {
        struct io_uring_sqe *entry = entry_of(durable);
        io_uring_prep_recv(entry, durable->socket, durable->buffer + begin, (size_t)size, 0);
        entry->user_data = DURABLE_RECEIVED;
        durable->is_receiving = true;
    }
    int64_t owed_bytes = durable->durable / FRAME_BYTES * ANSWER_BYTES - durable->answered_bytes;
    if (!durable->is_sending && owed_bytes > 0) {
        struct io_uring_sqe *entry = entry_of(durable);
        size = min_i64(owed_bytes, (int64_t)sizeof durable->answers);
        io_uring_prep_send(entry, durable->socket, durable->answers, (size_t)size, MSG_NOSIGNAL);
        entry->user_data = DURABLE_SENT;
        durable->is_sending = true;
    }
}

static void durable_complete(struct durable *durable, uint64_t what, int result)
{
    switch (what) {
    case DURABLE_RECEIVED:
        durable->is_receiving = false;
        durable->is_over = result <= 0;
        durable->received += result > 0 ? result : 0;
        break;
    case DURABLE_WRITTEN:
        durable->is_writing = false;
        durable->has_failed |= result != durable->writing_end - durable->durable;
        durable->durable = durable->writing_end;
        break;
    case DURABLE_SENT:
        durable->is_sending = false;
        durable->has_failed |= result <= 0;
        durable->answered_bytes += result > 0 ? result : 0;
        break;
    }
}

/* Until the generator has closed its end, which it does once every frame is answered. */
static void durable_run(struct durable *durable)
{
    while (!durable->has_failed && !durable->is_over) {
        durable_turn(durable);
        io_uring_submit_and_wait(&durable->ring, 1);
        struct io_uring_cqe *completion;
        unsigned head, seen = 0;
        io_uring_for_each_cqe(&durable->ring, head, completion)
        {
            durable_complete(durable, completion->user_data, completion->res);
            seen++;
        }
        io_uring_cq_advance(&durable->ring, seen);
    }
}

static void add_rows(struct floor_report *report, const struct floor_shared *shared,
                     int64_t in_flight, int64_t cpu_ns)
{
    char row[40];
    snprintf(row, sizeof row, "durable, %lld in flight", (long long)in_flight);
    double bytes = (double)shared->requests * FRAME_BYTES;
    floor_add(report, row, "rate", "MB/s", bytes * 1e3 / (double)shared->elapsed_ns);
    floor_add(report, row, "cpu", "s/GB", (double)cpu_ns / bytes);
    floor_add(report, row, "p50", "us", (double)histogram_value_at(&shared->latency, 0.5) / 1e3);
    floor_add(report, row, "p99", "us", (double)histogram_value_at(&shared->latency, 0.99) / 1e3);
}

bool floor_durable(const struct floor_settings *settings, struct floor_report *report,
                   int64_t in_flight)
{
    struct floor_load load = {.run = floor_load_frames,
                              .measure_ms = settings->measure_ms,
                              .frame_bytes = FRAME_BYTES,
                              .answer_bytes = ANSWER_BYTES,
                              .in_flight = (int)in_flight};
    struct durable *durable = memory_zeroed(sizeof *durable);
    struct floor_child child;
    bool has_child = false, is_well = false;
    int failed = io_uring_queue_init(8, &durable->ring,
                                     IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                         IORING_SETUP_COOP_TASKRUN);
    if (failed)
        say("floor", "no io_uring here: %s", strerror(-failed));
    durable->file = failed ? -1 : floor_file_open(settings->directory, "ring", RING_BYTES);
    durable->buffer = memory_aligned(SECTOR_BYTES, BUFFER_BYTES);
    memset(durable->buffer, 0, BUFFER_BYTES); /* touched, so that no page fault is measured */
    if (durable->file >= 0)
        has_child = floor_child_start(&child, settings, &load);
    if (has_child) {
        durable->socket = child.socket;
        int64_t cpu_ns = floor_cpu_ns();
        durable_run(durable);
        cpu_ns = floor_cpu_ns() - cpu_ns;
        is_well = floor_child_wait(&child) && !durable->has_failed;
        if (is_well)
            add_rows(report, child.shared, in_flight, cpu_ns);
        else
            say("floor", "writing to the journal or answering failed");
        floor_child_done(&child);
    }
    if (durable->file >= 0)
        close(durable->file);
    if (!failed)
        io_uring_queue_exit(&durable->ring);
    memory_free(durable->buffer);
    memory_free(durable);
    return is_well;
}
