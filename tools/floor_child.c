/* The generator's side of `bole floor`: a child process over loopback TCP. */
#include "tools/floor.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/memory.h"
#include "tools/command.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t floor_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t floor_cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

bool floor_pin(int cpu)
{
    if (cpu < 0)
        return true;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) == 0)
        return true;
    say("floor", "can't pin to CPU %d: %s; choose others with --pin, or --pin none", cpu,
        strerror(errno));
    return false;
}

/* A connected pair of TCP sockets over loopback; false on any failure, errno kept. */
static bool tcp_pair(int ends[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ends[0] = ends[1] = -1;
    bool is_well = listener >= 0 && bind(listener, (struct sockaddr *)&address, size) == 0 &&
                   listen(listener, 1) == 0 &&
                   getsockname(listener, (struct sockaddr *)&address, &size) == 0;
    if (is_well) {
        ends[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        is_well = ends[1] >= 0 && connect(ends[1], (struct sockaddr *)&address, size) == 0;
    }
    if (is_well)
        is_well = (ends[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;
    int one = 1;
    for (int i = 0; i < 2 && is_well; i++)
        is_well = setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0;
    int kept = errno;
    if (listener >= 0)
        close(listener);
    for (int i = 0; i < 2 && !is_well; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    errno = kept;
    return is_well;
}

bool floor_child_start(struct floor_child *child, const struct floor_settings *settings,
                       const struct floor_load *load)
{
    int ends[2];
    if (!tcp_pair(ends)) {
        say("floor", "no loopback connection: %s", strerror(errno));
        return false;
    }
    child->socket = ends[0];
    child->shared = mmap(NULL, sizeof *child->shared, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(child->shared != MAP_FAILED);
    fflush(stdout);
    child->pid = fork();
    if (child->pid == 0) {
        close(ends[0]);
        if (!floor_pin(settings->client_cpu))
            _exit(1);
        load->run(ends[1], load, child->shared);
        _exit(0);
    }
    close(ends[1]);
    if (child->pid > 0)
        return true;
    if (child->pid < 0)
        say("floor", "can't fork: %s", strerror(errno));
    close(child->socket);
    if (child->pid > 0)
        waitpid(child->pid, NULL, 0);
    floor_child_done(child);
    return false;
}

bool floor_child_wait(struct floor_child *child)
{
    int status = 0;
    close(child->socket);
    waitpid(child->pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    say("floor", "the generator failed");
    return false;
}

void floor_child_done(struct floor_child *child)
{
    munmap(child->shared, sizeof *child->shared);
}

static void send_all(int socket, const uint8_t *data, int64_t size)
{
    while (size > 0) {
        ssize_t sent = send(socket, data, (size_t)size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            _exit(1);
        data += sent;
        size -= sent;
    }
}

void floor_load_flood(int socket, const struct floor_load *load, struct floor_shared *shared)
{
    uint8_t *data = memory_aligned(4096, (size_t)load->frame_bytes);
    memset(data, 'x', (size_t)load->frame_bytes);
    int64_t start_ns = floor_now_ns(), end_ns = start_ns + load->measure_ms * 1000000;
    while (floor_now_ns() < end_ns) {
        send_all(socket, data, load->frame_bytes);
        shared->requests++;
    }
    shared->elapsed_ns = floor_now_ns() - start_ns;
}

enum { ANSWERS_BYTES = 1 << 16 };

/* Sends and receives on one thread. What a send can't take now waits until the socket has room, and
 * answers are read meanwhile: else both sides could wait for each other. */
struct frame_load {
    const struct floor_load *load;
    struct floor_shared *shared;
    int socket;
    uint8_t *frame;
    int64_t unsent_bytes;                   /* of all frames begun, 0 to in_flight x frame_bytes */
    int64_t begun, answered, partial_bytes; /* partial: of the next answer, already read */
    int64_t *begun_ns;                      /* by number modulo in_flight */
};

static void begin_frames(struct frame_load *state, int64_t now_ns)
{
    while (state->begun - state->answered < state->load->in_flight) {
        state->begun_ns[state->begun++ % state->load->in_flight] = now_ns;
        state->unsent_bytes += state->load->frame_bytes;
    }
}

static void send_some(struct frame_load *state)
{
    /* `frame` holds in_flight frames one after the other, all alike. */
    int64_t total = (int64_t)state->load->frame_bytes * state->load->in_flight;
    int64_t begin =
        (total - state->unsent_bytes % state->load->frame_bytes) % state->load->frame_bytes;
    int64_t size = min_i64(state->unsent_bytes, total - begin);
    ssize_t sent =
        send(state->socket, state->frame + begin, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        _exit(1);
    state->unsent_bytes -= sent > 0 ? sent : 0;
}

static void receive_some(struct frame_load *state, int flags)
{
    uint8_t answers[ANSWERS_BYTES];
    ssize_t size = recv(state->socket, answers, sizeof answers, flags);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
        _exit(1);
    if (size < 0)
        return;
    int64_t now_ns = floor_now_ns();
    state->partial_bytes += size;
    for (; state->partial_bytes >= state->load->answer_bytes; state->answered++) {
        state->partial_bytes -= state->load->answer_bytes;
        int64_t begun_ns = state->begun_ns[state->answered % state->load->in_flight];
        histogram_add(&state->shared->latency, now_ns - begun_ns);
    }
}

void floor_load_frames(int socket, const struct floor_load *load, struct floor_shared *shared)
{
    size_t frames_bytes = (size_t)load->frame_bytes * (size_t)load->in_flight;
    struct frame_load state = {.load = load, .shared = shared, .socket = socket};
    state.frame = memory_aligned(4096, frames_bytes);
    memset(state.frame, 'x', frames_bytes);
    for (int i = 0; i < load->in_flight; i++)
        store_be32(state.frame + (size_t)i * (size_t)load->frame_bytes,
                   (uint32_t)load->frame_bytes - 4);
    state.begun_ns = memory_zeroed((size_t)load->in_flight * sizeof *state.begun_ns);
    int64_t start_ns = floor_now_ns(), end_ns = start_ns + load->measure_ms * 1000000;
    for (;;) {
        int64_t now_ns = floor_now_ns();
        if (now_ns < end_ns)
            begin_frames(&state, now_ns);
        else if (state.answered == state.begun)
            break;
        if (state.unsent_bytes)
            send_some(&state);
        if (state.unsent_bytes) {
            struct pollfd poll_ = {.fd = socket, .events = POLLIN | POLLOUT};
            poll(&poll_, 1, 1000);
            receive_some(&state, MSG_DONTWAIT);
        } else {
            receive_some(&state, 0);
        }
    }
    shared->requests = (uint64_t)state.answered;
    shared->elapsed_ns = floor_now_ns() - start_ns;
}
