/* The floor of sockets: a sink that discards, and an echo of tiny frames on io_uring. */
#include "tools/floor.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/memory.h"
#include "tools/command.h"
#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { SINK_BYTES = 1 << 20 };

bool floor_sink(const struct floor_settings *settings, struct floor_report *report, int64_t size)
{
    struct floor_load load = {
        .run = floor_load_flood, .measure_ms = settings->measure_ms, .frame_bytes = (int)size};
    struct floor_child child;
    if (!floor_child_start(&child, settings, &load))
        return false;
    uint8_t *buffer = memory_aligned(4096, SINK_BYTES);
    int64_t bytes = 0, cpu_ns = floor_cpu_ns(), start_ns = floor_now_ns();
    ssize_t got;
    while ((got = recv(child.socket, buffer, SINK_BYTES, 0)) > 0)
        bytes += got;
    cpu_ns = floor_cpu_ns() - cpu_ns;
    int64_t elapsed_ns = floor_now_ns() - start_ns;
    memory_free(buffer);
    bool is_well = floor_child_wait(&child);
    if (is_well) {
        char row[40];
        snprintf(row, sizeof row, size < 1 << 20 ? "sink %lld KiB" : "sink %lld MiB",
                 (long long)(size < 1 << 20 ? size >> 10 : size >> 20));
        floor_add(report, row, "rate", "GB/s", (double)bytes / (double)elapsed_ns);
        floor_add(report, row, "cpu", "s/GB", (double)cpu_ns / (double)bytes);
    }
    floor_child_done(&child);
    return is_well;
}

enum { ECHO_FRAME_BYTES = 24, ECHO_BUFFER_BYTES = 1 << 16 };
enum { ECHO_RECEIVED = 1, ECHO_SENT = 2 };

/* Two buffers: one receives while the other, with what it received, is sent back. */
struct echo {
    struct io_uring ring;
    int socket;
    uint8_t *buffers[2];
    int receiving;                /* the buffer that receives; the other may be being sent */
    int64_t send_begin, send_end; /* of the other buffer */
    int64_t held_bytes;           /* received and not yet given to be sent */
    bool is_receiving, is_sending, is_over;
};

static void echo_receive(struct echo *echo)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&echo->ring);
    check(entry != NULL);
    io_uring_prep_recv(entry, echo->socket, echo->buffers[echo->receiving] + echo->held_bytes,
                       (size_t)(ECHO_BUFFER_BYTES - echo->held_bytes), 0);
    io_uring_sqe_set_data64(entry, ECHO_RECEIVED);
    echo->is_receiving = true;
}

static void echo_send(struct echo *echo)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&echo->ring);
    check(entry != NULL);
    io_uring_prep_send(entry, echo->socket, echo->buffers[!echo->receiving] + echo->send_begin,
                       (size_t)(echo->send_end - echo->send_begin), MSG_NOSIGNAL);
    io_uring_sqe_set_data64(entry, ECHO_SENT);
    echo->is_sending = true;
}

/* Whole frames that were received go to be sent, once the send before is done; a frame's rest
 * moves to the other buffer. */
static void echo_turn(struct echo *echo)
{
    if (echo->is_receiving || echo->is_over)
        return;
    uint8_t *buffer = echo->buffers[echo->receiving];
    int64_t whole = 0;
    while (echo->held_bytes - whole >= 4) {
        int64_t size = 4 + (int64_t)load_be32(buffer + whole);
        if (size > echo->held_bytes - whole)
            break;
        whole += size;
    }
    if (whole && !echo->is_sending) {
        echo->receiving = !echo->receiving;
        echo->held_bytes -= whole;
        memcpy(echo->buffers[echo->receiving], buffer + whole, (size_t)echo->held_bytes);
        echo->send_begin = 0;
        echo->send_end = whole;
        echo_send(echo);
    }
    if (echo->held_bytes < ECHO_BUFFER_BYTES)
        echo_receive(echo);
}

static void echo_complete(struct echo *echo, uint64_t what, int result)
{
    if (what == ECHO_RECEIVED) {
        echo->is_receiving = false;
        echo->is_over = result <= 0;
        echo->held_bytes += result > 0 ? result : 0;
    } else {
        echo->is_sending = false;
        echo->is_over |= result <= 0;
        echo->send_begin += result > 0 ? result : 0;
        if (!echo->is_over && echo->send_begin < echo->send_end)
            echo_send(echo);
    }
}

static void echo_run(struct echo *echo)
{
    echo_receive(echo);
    while (!echo->is_over) {
        io_uring_submit_and_wait(&echo->ring, 1);
        struct io_uring_cqe *completion;
        unsigned head, seen = 0;
        io_uring_for_each_cqe(&echo->ring, head, completion)
        {
            echo_complete(echo, io_uring_cqe_get_data64(completion), completion->res);
            seen++;
        }
        io_uring_cq_advance(&echo->ring, seen);
        echo_turn(echo);
    }
}

bool floor_echo(const struct floor_settings *settings, struct floor_report *report,
                int64_t in_flight)
{
    struct floor_load load = {.run = floor_load_frames,
                              .measure_ms = settings->measure_ms,
                              .frame_bytes = ECHO_FRAME_BYTES,
                              .answer_bytes = ECHO_FRAME_BYTES,
                              .in_flight = (int)in_flight};
    struct echo echo = {0};
    int failed = io_uring_queue_init(8, &echo.ring,
                                     IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                         IORING_SETUP_COOP_TASKRUN);
    if (failed) {
        say("floor", "no io_uring here: %s", strerror(-failed));
        return false;
    }
    struct floor_child child;
    if (!floor_child_start(&child, settings, &load)) {
        io_uring_queue_exit(&echo.ring);
        return false;
    }
    echo.socket = child.socket;
    for (int i = 0; i < 2; i++)
        echo.buffers[i] = memory_aligned(4096, ECHO_BUFFER_BYTES);
    int64_t cpu_ns = floor_cpu_ns();
    echo_run(&echo);
    cpu_ns = floor_cpu_ns() - cpu_ns;
    io_uring_queue_exit(&echo.ring);
    for (int i = 0; i < 2; i++)
        memory_free(echo.buffers[i]);
    bool is_well = floor_child_wait(&child);
    if (is_well) {
        const struct floor_shared *shared = child.shared;
        char row[40];
        snprintf(row, sizeof row, "echo, %lld in flight", (long long)in_flight);
        double requests = (double)shared->requests;
        floor_add(report, row, "rate", "req/s", requests * 1e9 / (double)shared->elapsed_ns);
        floor_add(report, row, "per_cpu_s", "req", requests * 1e9 / (double)cpu_ns);
        floor_add(report, row, "p50", "us",
                  (double)histogram_value_at(&shared->latency, 0.5) / 1e3);
        floor_add(report, row, "p99", "us",
                  (double)histogram_value_at(&shared->latency, 0.99) / 1e3);
    }
    floor_child_done(&child);
    return is_well;
}
