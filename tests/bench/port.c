/* What the ports cost on this machine, with nothing above them.
 *
 *   bench_port turns [uring|epoll]        turns, operations and round trips over a socket
 *   bench_port durable FOLDER [ROUNDS]    the ways to make one direct write durable, in written
 * extents
 *
 * In each round all ways to write are taken once, in random order: taken one after the other, or
 * always in the same order, what the disk does meanwhile shifts them by 50 % either way. */
#include "base/check.h"
#include "base/memory.h"
#include "base/random.h"
#include "reactor/files.h"
#include "reactor/port.h"
#include "reactor/system.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 32, FILE_BYTES = 64 << 20, WAYS = 4, ROUNDS_MAX = 10000 };

static int64_t nanoseconds(void)
{
    struct now now;
    system_clock(&now);
    return now.monotonic_ns;
}

static struct port *open_port(bool with_epoll)
{
    struct port_options options = {
        .queue_depth = 256, .pool_buffer_size = 16384, .pool_buffer_count = 64};
    struct port *port;
    char why[256] = "";
    if ((with_epoll ? epoll_open : uring_open)(&options, &port, why, sizeof why)) {
        fprintf(stderr, "bench_port: %s\n", why);
        exit(1);
    }
    return port;
}

static void await(struct port *port, const struct op *op)
{
    while (op->running)
        port->operations->wait(port, INT64_MAX);
}

static void print_per(const char *what, int64_t start_ns, int count)
{
    printf("%-44s %8.1f ns\n", what, (double)(nanoseconds() - start_ns) / count);
}

/* The cheapest operation there is: a receive into no handle, which fails at once. */
static void measure_operations(struct port *port, int batch, const char *what)
{
    enum { COUNT = 320000 };
    struct op ops[BATCH];
    char data[1];
    int64_t start_ns = nanoseconds();
    for (int i = 0; i < COUNT; i += batch) {
        for (int j = 0; j < batch; j++) {
            ops[j] = (struct op){.kind = OP_RECEIVE, .handle = 1 << 19, .data = data, .size = 1};
            op_start(port, &ops[j]);
        }
        for (int j = 0; j < batch; j++)
            await(port, &ops[j]);
    }
    print_per(what, start_ns, COUNT);
}

static void connect_pair(struct port *port, int32_t *ret_near, int32_t *ret_far)
{
    struct address address = {.family = 4, .bytes = {[12] = 127, [15] = 1}, .port = 20790};
    struct op listen = {.kind = OP_LISTEN, .address = &address};
    int64_t listener = port_call(port, &listen);
    check(listener >= 0);
    struct op accept = {.kind = OP_ACCEPT, .handle = (int32_t)listener};
    struct op connect = {.kind = OP_CONNECT, .address = &address};
    op_start(port, &accept);
    op_start(port, &connect);
    await(port, &accept);
    await(port, &connect);
    *ret_near = (int32_t)connect.result;
    *ret_far = (int32_t)accept.result;
    struct op close = {.kind = OP_CLOSE, .handle = (int32_t)listener};
    port_call(port, &close);
}

/* There and back over `pairs` connections at once: of each, two sends and two receives. */
static void measure_round_trips(struct port *port, int pairs, size_t size, bool pool,
                                const char *what)
{
    enum { COUNT = 64000 };
    int32_t near[BATCH], far[BATCH];
    static char data[BATCH][16384], out[16384];
    struct iovec vector = {out, size};
    for (int i = 0; i < pairs; i++)
        connect_pair(port, &near[i], &far[i]);
    int64_t start_ns = nanoseconds();
    for (int i = 0; i < COUNT; i += pairs)
        for (int way = 0; way < 2; way++) {
            struct op receives[BATCH], sends[BATCH];
            for (int j = 0; j < pairs; j++) {
                receives[j] = (struct op){.kind = OP_RECEIVE,
                                          .handle = way ? near[j] : far[j],
                                          .data = pool ? NULL : data[j],
                                          .size = size};
                sends[j] = (struct op){.kind = OP_SEND,
                                       .handle = way ? far[j] : near[j],
                                       .vectors = &vector,
                                       .vector_count = 1};
                op_start(port, &receives[j]);
                op_start(port, &sends[j]);
            }
            for (int j = 0; j < pairs; j++) {
                await(port, &sends[j]);
                await(port, &receives[j]);
                check(receives[j].result == (int64_t)size && sends[j].result == (int64_t)size);
                if (pool)
                    port->operations->give_back(port, receives[j].pool_buffer);
            }
        }
    print_per(what, start_ns, COUNT);
    for (int i = 0; i < 2 * pairs; i++) {
        struct op close = {.kind = OP_CLOSE, .handle = i < pairs ? near[i] : far[i - pairs]};
        port_call(port, &close);
    }
}

static void measure_turns(bool with_epoll)
{
    enum { TURNS = 1000000 };
    struct port *port = open_port(with_epoll);
    port->operations->wait(port, 0);
    int64_t start_ns = nanoseconds();
    for (int i = 0; i < TURNS; i++)
        port->operations->wait(port, 0);
    print_per("turn with nothing to do", start_ns, TURNS);
    measure_operations(port, 1, "failing operation, one per turn");
    measure_operations(port, BATCH, "failing operation, 32 per turn");
    measure_round_trips(port, 1, 64, true, "round trip of 64 bytes, 1 connection, pool");
    measure_round_trips(port, 1, 64, false, "round trip of 64 bytes, 1 connection");
    measure_round_trips(port, BATCH, 64, true, "round trip of 64 bytes, 32 connections, pool");
    measure_round_trips(port, BATCH, 64, false, "round trip of 64 bytes, 32 connections");
    measure_round_trips(port, BATCH, 4096, true, "round trip of 4 KiB, 32 connections, pool");
    port->operations->close(port);
}

static const char *const way_names[WAYS] = {"ring, durable write", "ring write, ring flush",
                                            "pwritev2, RWF_DSYNC", "pwrite, fdatasync"};

/* Writes once in one of four ways and returns the nanoseconds it took. */
static int64_t write_once(struct port *port, int way, struct op write)
{
    int64_t start_ns = nanoseconds(), size = (int64_t)write.vectors[0].iov_len;
    write.flags = way == 0 || way == 2 ? WRITE_DURABLE : 0;
    check((way < 2 ? port_call(port, &write) : file_call(&write)) == size);
    struct op flush = {.kind = OP_FLUSH, .handle = write.handle};
    if (way == 1)
        check(port_call(port, &flush) == 0);
    if (way == 3)
        check(file_call(&flush) == 0);
    return nanoseconds() - start_ns;
}

static int compare_times(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static void measure_size(struct port *port, int32_t file, uint8_t *memory, size_t size, int rounds)
{
    static int64_t times_ns[WAYS][ROUNDS_MAX];
    int64_t offset = 0;
    struct iovec vector = {memory, size};
    struct random random;
    random_seed(&random, size);
    for (int round = 0; round < rounds; round++) {
        int order[WAYS] = {0, 1, 2, 3};
        for (int i = WAYS; i > 0; i--) {
            int chosen = (int)random_below(&random, (uint64_t)i), way = order[chosen];
            order[chosen] = order[i - 1];
            struct op op = {.kind = OP_WRITE,
                            .handle = file,
                            .offset = offset,
                            .vectors = &vector,
                            .vector_count = 1};
            times_ns[way][round] = write_once(port, way, op);
            offset = (offset + (int64_t)size) % FILE_BYTES;
        }
    }
    for (int way = 0; way < WAYS; way++) {
        qsort(times_ns[way], (size_t)rounds, sizeof times_ns[0][0], compare_times);
        printf("%5zu KiB  %-24s p50 %7.1f  p99 %7.1f us\n", size / 1024, way_names[way],
               (double)times_ns[way][rounds / 2] / 1000,
               (double)times_ns[way][rounds * 99 / 100] / 1000);
    }
}

static void measure_durable(const char *folder, int rounds)
{
    struct port *port = open_port(false);
    char path[4096];
    snprintf(path, sizeof path, "%s/bench_port.data", folder);
    struct op open = {
        .kind = OP_OPEN, .path = path, .flags = OPEN_READ | OPEN_WRITE | OPEN_CREATE | OPEN_DIRECT};
    int32_t file = (int32_t)port_call(port, &open);
    if (file < 0) {
        fprintf(stderr, "bench_port: %s: %s\n", path, error_text(op_error(open.result)));
        exit(1);
    }
    struct op allocate = {.kind = OP_ALLOCATE, .handle = file, .size = FILE_BYTES};
    port_call(port, &allocate);
    uint8_t *memory = memory_aligned(4096, 1 << 20);
    memset(memory, 'x', 1 << 20);
    struct iovec vector = {memory, 1 << 20};
    for (int64_t offset = 0; offset < FILE_BYTES; offset += 1 << 20) {
        struct op write = {.kind = OP_WRITE,
                           .handle = file,
                           .offset = offset,
                           .vectors = &vector,
                           .vector_count = 1};
        check(port_call(port, &write) == 1 << 20);
    }
    struct op flush = {.kind = OP_FLUSH, .handle = file};
    check(port_call(port, &flush) == 0);
    static const size_t sizes[] = {4 << 10, 64 << 10, 256 << 10, 1 << 20};
    for (int i = 0; i < ARRAY_COUNT(sizes); i++)
        measure_size(port, file, memory, sizes[i], rounds);
    struct op remove = {.kind = OP_REMOVE, .path = path};
    port_call(port, &remove);
    memory_free(memory);
    port->operations->close(port);
}

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "turns") == 0) {
        measure_turns(count > 2 && strcmp(arguments[2], "epoll") == 0);
        return 0;
    }
    if (count > 2 && strcmp(arguments[1], "durable") == 0) {
        long rounds = count > 3 ? strtol(arguments[3], NULL, 10) : 300;
        measure_durable(arguments[2], rounds > 0 && rounds <= ROUNDS_MAX ? (int)rounds : 300);
        return 0;
    }
    fprintf(stderr, "usage: bench_port turns [uring|epoll] | durable FOLDER [ROUNDS]\n");
    return 2;
}
