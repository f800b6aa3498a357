/* The floor of the disk: one durable write to a ring of written extents; a write per partition and
 * one flush; reads. */
#include "tools/floor.h"
#include "base/check.h"
#include "base/memory.h"
#include "tools/command.h"
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MEBIBYTE = 1 << 20, FILES = 16 };
#define RING_BYTES (64ll << 20)
#define FILE_BYTES (4ll << 20)

static bool fill(int file, int64_t size_bytes)
{
    uint8_t *data = memory_aligned(4096, MEBIBYTE);
    memset(data, 0x5a, MEBIBYTE);
    int64_t at = 0;
    while (at < size_bytes && pwrite(file, data, MEBIBYTE, at) == MEBIBYTE)
        at += MEBIBYTE;
    memory_free(data);
    return at == size_bytes && fsync(file) == 0;
}

int floor_file_open(const char *directory, const char *name, int64_t size_bytes)
{
    check(size_bytes % MEBIBYTE == 0);
    char path[4096];
    snprintf(path, sizeof path, "%s/bole-floor-%s", directory, name);
    int file = open(path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0644);
    if (file < 0) {
        say("floor", "can't open %s for direct I/O: %s; choose a disk with --dir", path,
            strerror(errno));
        return -1;
    }
    struct stat status;
    if (fstat(file, &status) == 0 && status.st_size == size_bytes)
        return file;
    if (fill(file, size_bytes))
        return file;
    say("floor", "can't write %lld bytes to %s: %s", (long long)size_bytes, path, strerror(errno));
    close(file);
    return -1;
}

void floor_files_remove(const char *directory)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/bole-floor-ring", directory);
    (void)unlink(path); /* it may not have been made */
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "%s/bole-floor-%d", directory, i);
        (void)unlink(path);
    }
}

static bool ring_open(struct io_uring *ring)
{
    int failed = io_uring_queue_init(32, ring,
                                     IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                         IORING_SETUP_COOP_TASKRUN);
    if (failed)
        say("floor", "no io_uring here: %s", strerror(-failed));
    return failed == 0;
}

/* Submits what is prepared and waits for `count` completions, each of which must carry `size`. */
static bool ring_wait(struct io_uring *ring, int count, int64_t size)
{
    io_uring_submit_and_wait(ring, (unsigned)count);
    for (int i = 0; i < count; i++) {
        struct io_uring_cqe *completion;
        int failed = io_uring_wait_cqe(ring, &completion);
        int result = failed ? failed : completion->res;
        if (!failed)
            io_uring_cqe_seen(ring, completion);
        if (result != size) {
            say("floor", "the disk gave %d instead of %lld bytes: %s", result, (long long)size,
                result < 0 ? strerror(-result) : "short");
            return false;
        }
    }
    return true;
}

static void add_disk(struct floor_report *report, const char *row, const struct histogram *times,
                     double bytes, int64_t elapsed_ns)
{
    floor_add(report, row, "rate", "MB/s", bytes * 1e3 / (double)elapsed_ns);
    floor_add(report, row, "p50", "us", (double)histogram_value_at(times, 0.5) / 1e3);
    floor_add(report, row, "p99", "us", (double)histogram_value_at(times, 0.99) / 1e3);
}

static void size_text(char *to, size_t capacity, const char *before, int64_t size)
{
    bool is_mebi = size >= MEBIBYTE;
    snprintf(to, capacity, "%s %lld %s", before, (long long)(is_mebi ? size >> 20 : size >> 10),
             is_mebi ? "MiB" : "KiB");
}

bool floor_journal(const struct floor_settings *settings, struct floor_report *report, int64_t size)
{
    struct io_uring ring;
    if (!ring_open(&ring))
        return false;
    int file = floor_file_open(settings->directory, "ring", RING_BYTES);
    struct histogram *times = memory_zeroed(sizeof *times);
    uint8_t *data = memory_aligned(4096, (size_t)size);
    memset(data, 'j', (size_t)size);
    bool is_well = file >= 0;
    int64_t at = 0, bytes = 0, start_ns = floor_now_ns(), now_ns = start_ns,
            cpu_ns = floor_cpu_ns();
    while (is_well && now_ns - start_ns < settings->measure_ms * 1000000) {
        struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
        io_uring_prep_write(entry, file, data, (unsigned)size, (uint64_t)at);
        entry->rw_flags = RWF_DSYNC;
        is_well = ring_wait(&ring, 1, size);
        int64_t done_ns = floor_now_ns();
        histogram_add(times, done_ns - now_ns);
        now_ns = done_ns;
        bytes += size;
        at = (at + size) % RING_BYTES;
    }
    cpu_ns = floor_cpu_ns() - cpu_ns;
    if (is_well) {
        char row[40];
        size_text(row, sizeof row, "journal write", size);
        add_disk(report, row, times, (double)bytes, now_ns - start_ns);
        floor_add(report, row, "cpu", "s/GB", (double)cpu_ns / (double)bytes);
    }
    if (file >= 0)
        close(file);
    memory_free(data);
    memory_free(times);
    io_uring_queue_exit(&ring);
    return is_well;
}

/* One cycle: a direct write to each file, all completions in, then one flush of one file. */
static bool files_cycle(struct io_uring *ring, const int *files, uint8_t *data, int64_t size,
                        int64_t at)
{
    for (int i = 0; i < FILES; i++)
        io_uring_prep_write(io_uring_get_sqe(ring), files[i], data + i * size, (unsigned)size,
                            (uint64_t)at);
    if (!ring_wait(ring, FILES, size))
        return false;
    if (fdatasync(files[0]) == 0)
        return true;
    say("floor", "fdatasync failed: %s", strerror(errno));
    return false;
}

bool floor_files(const struct floor_settings *settings, struct floor_report *report, int64_t size)
{
    struct io_uring ring;
    if (!ring_open(&ring))
        return false;
    int files[FILES];
    bool is_well = true;
    for (int i = 0; i < FILES; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        files[i] = is_well ? floor_file_open(settings->directory, name, FILE_BYTES) : -1;
        is_well = is_well && files[i] >= 0;
    }
    struct histogram *times = memory_zeroed(sizeof *times);
    uint8_t *data = memory_aligned(4096, (size_t)size * FILES);
    memset(data, 'f', (size_t)size * FILES);
    int64_t at = 0, bytes = 0, start_ns = floor_now_ns(), now_ns = start_ns;
    int64_t cpu_ns = floor_cpu_ns();
    while (is_well && now_ns - start_ns < settings->measure_ms * 1000000) {
        is_well = files_cycle(&ring, files, data, size, at);
        int64_t done_ns = floor_now_ns();
        histogram_add(times, done_ns - now_ns);
        now_ns = done_ns;
        bytes += size * FILES;
        at = (at + size) % FILE_BYTES;
    }
    cpu_ns = floor_cpu_ns() - cpu_ns;
    if (is_well) {
        char row[40];
        size_text(row, sizeof row, "16 files x", size);
        add_disk(report, row, times, (double)bytes, now_ns - start_ns);
        floor_add(report, row, "cpu", "s/GB", (double)cpu_ns / (double)bytes);
    }
    for (int i = 0; i < FILES; i++)
        if (files[i] >= 0)
            close(files[i]);
    memory_free(data);
    memory_free(times);
    io_uring_queue_exit(&ring);
    return is_well;
}

bool floor_read(const struct floor_settings *settings, struct floor_report *report, int64_t size)
{
    enum { DEPTH = 4 };
    struct io_uring ring;
    if (!ring_open(&ring))
        return false;
    int file = floor_file_open(settings->directory, "ring", RING_BYTES);
    uint8_t *data = memory_aligned(4096, (size_t)size * DEPTH);
    bool is_well = file >= 0;
    int64_t at = 0, bytes = 0, start_ns = floor_now_ns(), cpu_ns = floor_cpu_ns();
    while (is_well && floor_now_ns() - start_ns < settings->measure_ms * 1000000) {
        for (int i = 0; i < DEPTH; i++, at = (at + size) % RING_BYTES)
            io_uring_prep_read(io_uring_get_sqe(&ring), file, data + i * size, (unsigned)size,
                               (uint64_t)at);
        is_well = ring_wait(&ring, DEPTH, size);
        bytes += size * DEPTH;
    }
    int64_t elapsed_ns = floor_now_ns() - start_ns;
    cpu_ns = floor_cpu_ns() - cpu_ns;
    if (is_well) {
        floor_add(report, "read 1 MiB direct", "rate", "MB/s",
                  (double)bytes * 1e3 / (double)elapsed_ns);
        floor_add(report, "read 1 MiB direct", "cpu", "s/GB", (double)cpu_ns / (double)bytes);
    }
    if (file >= 0)
        close(file);
    memory_free(data);
    io_uring_queue_exit(&ring);
    return is_well;
}
