/* Direct writes to extents that are written already must complete without a kernel worker thread:
 * one of them would be woken for each write, and is what makes latency jump on a busy machine. Only
 * on ext4: other file systems differ by kernel. The writes are of one block each, for one that
 * spans two extents is handed over, and where extents lie is up to the file system. */
#include "base/check.h"
#include "base/memory.h"
#include "reactor/port.h"
#include "support/test.h"
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { BLOCK = 4096, BLOCKS = 256, EXT4_MAGIC = 0xef53 };

/* The kernel names a worker after the thread whose ring it serves. */
static int count_kernel_workers(void)
{
    char wanted[32];
    snprintf(wanted, sizeof wanted, "iou-wrk-%d\n", gettid());
    DIR *tasks = opendir("/proc/self/task");
    check(tasks);
    int found = 0;
    for (struct dirent *task; (task = readdir(tasks));) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *file = fopen(path, "r");
        if (!file)
            continue;
        if (fgets(name, sizeof name, file))
            found += strcmp(name, wanted) == 0;
        fclose(file);
    }
    closedir(tasks);
    return found;
}

static void overwrite(struct port *port, int file, uint8_t *memory, uint32_t flags)
{
    struct op ops[16];
    struct iovec vectors[16];
    for (int round = 0; round < 32; round++) {
        for (int i = 0; i < 16; i++) {
            vectors[i] = (struct iovec){memory, BLOCK};
            ops[i] = (struct op){.kind = OP_WRITE,
                                 .handle = file,
                                 .offset = (int64_t)((round * 16 + i) % BLOCKS) * BLOCK,
                                 .flags = flags,
                                 .vectors = &vectors[i],
                                 .vector_count = 1};
            op_start(port, &ops[i]);
        }
        for (int i = 0; i < 16; i++) {
            while (ops[i].running)
                port->operations->wait(port, INT64_MAX);
            EQ(ops[i].result, BLOCK);
        }
    }
}

/* In a thread of its own, for which no worker was ever started. */
static void *run(void *argument)
{
    int file = *(int *)argument;
    struct port_options options = {
        .queue_depth = 64, .pool_buffer_size = 4096, .pool_buffer_count = 4};
    struct port *port;
    char why[256];
    check(uring_open(&options, &port, why, sizeof why) == ERROR_NONE);
    uint8_t *memory = memory_aligned(BLOCK, BLOCK);
    memset(memory, 'x', BLOCK);
    overwrite(port, file, memory, WRITE_DURABLE);
    EQ(count_kernel_workers(), 0);
    overwrite(port, file, memory, 0);
    EQ(count_kernel_workers(), 0);
    /* That they would have been seen: a flush by the ring does start one. */
    struct op flush = {.kind = OP_FLUSH, .handle = file};
    op_start(port, &flush); /* not port_call, which makes the call on this thread */
    while (flush.running)
        port->operations->wait(port, INT64_MAX);
    EQ(flush.result, 0);
    TRUE_(count_kernel_workers() > 0);
    port->operations->close(port);
    memory_free(memory);
    return NULL;
}

TEST(inline, overwrites_start_no_kernel_worker)
{
    char path[256];
    const char *parent = getenv("BOLE_TEST_FOLDER");
    snprintf(path, sizeof path, "%s/bole-inline-XXXXXX", parent ? parent : "/var/tmp");
    int plain = mkstemp(path), file = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    check(plain >= 0);
    struct statfs where;
    if (file >= 0 && fstatfs(plain, &where) == 0 && where.f_type == EXT4_MAGIC) {
        /* Written directly, too: a page in the cache would make the kernel hand over the write. */
        static _Alignas(BLOCK) const uint8_t zeros[BLOCKS * BLOCK];
        check(pwrite(file, zeros, sizeof zeros, 0) == sizeof zeros);
        check(fsync(file) == 0);
        pthread_t thread;
        check(pthread_create(&thread, NULL, run, &file) == 0);
        check(pthread_join(thread, NULL) == 0);
    } else {
        printf("inline: not ext4, nothing to see\n");
    }
    if (file >= 0)
        close(file);
    close(plain);
    unlink(path);
}
