/* Where a container forbids io_uring, the port says so, and the epoll port opens; where the kernel
 * is too old for waits of nanoseconds, that one waits for milliseconds. A filter can't be taken off
 * again, so it is put on a child. */
#include "base/check.h"
#include "reactor/port.h"
#include "support/test.h"
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool forbid(uint32_t call, uint32_t number)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | number),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {ARRAY_COUNT(steps), steps};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* The exit status of the child: 0 if all is as it should be. */
static int open_forbidden(void)
{
    struct port_options options = {
        .queue_depth = 8, .pool_buffer_size = 4096, .pool_buffer_count = 4};
    struct port *port = NULL;
    char why[256] = "";
    if (!forbid(SYS_io_uring_setup, EPERM))
        return 2;
    if (uring_open(&options, &port, why, sizeof why) != ERROR_NOT_SUPPORTED || port)
        return 3;
    if (!strstr(why, "Operation not permitted") || !strstr(why, "forbids"))
        return 4;
    if (epoll_open(&options, &port, why, sizeof why) != ERROR_NONE)
        return 5;
    port->operations->close(port);
    return 0;
}

static int wait_in_milliseconds(void)
{
    struct port_options options = {
        .queue_depth = 8, .pool_buffer_size = 4096, .pool_buffer_count = 4};
    struct port *port;
    char why[256];
    if (!forbid(SYS_epoll_pwait2, ENOSYS) || epoll_open(&options, &port, why, sizeof why))
        return 2;
    struct now start, end;
    port->operations->clock(port, &start);
    int64_t until_ns = start.monotonic_ns + 2500000;
    int waits = 0;
    do {
        port->operations->wait(port, until_ns);
        port->operations->clock(port, &end);
    } while (end.monotonic_ns < until_ns && ++waits < 100);
    if (waits == 100)
        return 3; /* it did not sleep */
    port->operations->wake(port);
    port->operations->wait(port, INT64_MAX);
    port->operations->close(port);
    return 0;
}

static void run_in_child(int (*run)(void))
{
    fflush(NULL);
    pid_t child = fork();
    check(child >= 0);
    if (child == 0)
        _exit(run());
    int status = -1;
    check(waitpid(child, &status, 0) == child);
    EQ(status, 0);
}

TEST(refused, ring_is_explained_and_epoll_opens)
{
    run_in_child(open_forbidden);
}

TEST(refused, fine_waits_become_coarse)
{
    run_in_child(wait_in_milliseconds);
}
