/* What the scripts can't see through the port: addresses as the kernel has them, options of
 * sockets, the table of errors. */
#include "reactor/files.h"
#include "reactor/system.h"
#include "base/check.h"
#include "support/test.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

typedef enum error (*port_opener)(const struct port_options *options, struct port **ret_port,
                                  char *why, size_t why_size);

TEST(system, names_errors)
{
    static const struct {
        int number;
        enum error error;
    } rows[] = {
        {ENOSPC, ERROR_NO_SPACE},        {EDQUOT, ERROR_NO_SPACE},
        {EIO, ERROR_INPUT_OUTPUT},       {ECONNRESET, ERROR_CONNECTION_RESET},
        {EPIPE, ERROR_CONNECTION_RESET}, {ENOBUFS, ERROR_NO_BUFFERS},
        {ECANCELED, ERROR_CANCELLED},    {ENOENT, ERROR_NOT_FOUND},
        {EEXIST, ERROR_ALREADY_EXISTS},  {EACCES, ERROR_NO_PERMISSION},
        {EPERM, ERROR_NO_PERMISSION},    {EADDRINUSE, ERROR_ADDRESS_IN_USE},
        {EMFILE, ERROR_TOO_MANY_FILES},  {ENFILE, ERROR_TOO_MANY_FILES},
        {ENOSYS, ERROR_NOT_SUPPORTED},   {EOPNOTSUPP, ERROR_NOT_SUPPORTED},
        {EINVAL, ERROR_NOT_SUPPORTED},   {ECONNREFUSED, ERROR_CONNECTION_REFUSED},
        {EXDEV, ERROR_INPUT_OUTPUT}, /* in no row */
    };
    for (int i = 0; i < ARRAY_COUNT(rows); i++)
        EQ(error_of_errno(rows[i].number), rows[i].error);
}

/* As Java's FileChannel.tryLock does it, so a Kafka broker, in another process. */
static bool another_locks_it(const char *path)
{
    pid_t child = fork();
    if (child == 0) {
        struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int file = open(path, O_RDWR | O_CLOEXEC);
        _exit(file >= 0 && fcntl(file, F_SETLK, &range) == 0 ? 0 : 1);
    }
    int status = -1;
    TRUE_(child > 0 && waitpid(child, &status, 0) == child);
    return status == 0;
}

TEST(system, locks_out_those_who_lock_ranges)
{
    char path[] = "/tmp/bole-lock-XXXXXX";
    int plain = mkstemp(path), file = open(path, O_RDWR | O_CLOEXEC);
    TRUE_(plain >= 0 && file >= 0);
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    TRUE_(another_locks_it(path));
    EQ(fcntl(plain, F_OFD_SETLK, &range), 0);
    EQ(file_opened(file, OPEN_LOCK), -(int64_t)ERROR_NO_PERMISSION);
    range.l_type = F_UNLCK;
    EQ(fcntl(plain, F_OFD_SETLK, &range), 0);
    file = open(path, O_RDWR | O_CLOEXEC);
    EQ(file_opened(file, OPEN_LOCK), file);
    TRUE_(!another_locks_it(path));
    close(file);
    close(plain);
    unlink(path);
}

TEST(system, translates_addresses)
{
    static const struct address rows[] = {
        {.family = 4, .bytes = {[12] = 10, 1, 2, 3}, .port = 9092},
        {.family = 6, .bytes = {0x20, 1, 0xd, 0xb8, [15] = 7}, .port = 1},
    };
    for (int i = 0; i < ARRAY_COUNT(rows); i++) {
        union socket_address name;
        struct address back;
        TRUE_(socket_address_write(&name, &rows[i]) > 0);
        socket_address_read(&back, &name);
        TRUE_(back.family == rows[i].family && back.port == rows[i].port);
        EQ_BYTES(back.bytes, rows[i].bytes, 16);
    }
    struct address mapped = {.family = 6, .bytes = {[10] = 0xff, 0xff, 192, 168, 0, 1}, .port = 5};
    struct address back;
    union socket_address name;
    socket_address_write(&name, &mapped);
    socket_address_read(&back, &name);
    EQ(back.family, 4);
    EQ_BYTES(back.bytes, ((uint8_t[16]){[12] = 192, 168, 0, 1}), 16);
    struct address none = {.family = 0};
    EQ(socket_address_write(&name, &none), 0);
}

static bool has_no_delay(int64_t handle)
{
    int on = 0;
    socklen_t size = sizeof on;
    return getsockopt((int)handle, IPPROTO_TCP, TCP_NODELAY, &on, &size) == 0 && on;
}

/* Accepted and connected sockets send at once. A listener of IPv6 takes IPv4, if there is IPv6. */
static void connect_through(port_opener open, struct address listen_at)
{
    struct port_options options = {
        .queue_depth = 8, .pool_buffer_size = 4096, .pool_buffer_count = 4};
    struct port *port;
    char why[256];
    check(open(&options, &port, why, sizeof why) == ERROR_NONE);
    struct op listen = {.kind = OP_LISTEN, .address = &listen_at};
    listen_at.port = (uint16_t)(28200 + getpid() % 2000);
    while (port_call(port, &listen) < 0 && listen_at.port < 31000)
        listen_at.port++;
    struct address address = {.family = 4, .bytes = {[12] = 127, 0, 0, 1}, .port = listen_at.port};
    struct address peer = {0};
    struct op accept = {.kind = OP_ACCEPT, .handle = (int32_t)listen.result, .address = &peer};
    struct op connect = {.kind = OP_CONNECT, .address = &address};
    op_start(port, &accept);
    op_start(port, &connect);
    while (accept.running || connect.running)
        port->operations->wait(port, INT64_MAX);
    TRUE_(has_no_delay(accept.result));
    TRUE_(has_no_delay(connect.result));
    EQ(peer.family, 4);
    EQ_BYTES(peer.bytes, address.bytes, 16);
    close((int)accept.result);
    close((int)connect.result);
    close((int)listen.result);
    port->operations->close(port);
}

TEST(system, sends_small_frames_at_once)
{
    struct address four = {.family = 4, .bytes = {[12] = 127, 0, 0, 1}}, six = {.family = 6};
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    static const port_opener ports[] = {uring_open, epoll_open};
    for (int i = 0; i < ARRAY_COUNT(ports); i++) {
        connect_through(ports[i], four);
        if (probe >= 0)
            connect_through(ports[i], six);
    }
    if (probe >= 0)
        close(probe);
}
