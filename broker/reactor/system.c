#include "reactor/system.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LISTEN_BACKLOG = 1024 };

static const struct {
    int number;
    enum error error;
} table[] = {
    {ENOENT, ERROR_NOT_FOUND},
    {ENOTDIR, ERROR_NOT_FOUND},
    {EADDRNOTAVAIL, ERROR_NOT_FOUND},
    {EEXIST, ERROR_ALREADY_EXISTS},
    {ENOTEMPTY, ERROR_ALREADY_EXISTS}, /* entries exist in the folder */
    {ENOSPC, ERROR_NO_SPACE},
    {EDQUOT, ERROR_NO_SPACE},
    {EFBIG, ERROR_NO_SPACE},
    {EIO, ERROR_INPUT_OUTPUT},
    {ECONNRESET, ERROR_CONNECTION_RESET},
    {EPIPE, ERROR_CONNECTION_RESET},
    {ENOTCONN, ERROR_CONNECTION_RESET},
    {ECONNABORTED, ERROR_CONNECTION_RESET},
    {ECONNREFUSED, ERROR_CONNECTION_REFUSED},
    {EHOSTUNREACH, ERROR_CONNECTION_REFUSED},
    {ENETUNREACH, ERROR_CONNECTION_REFUSED},
    {ENETDOWN, ERROR_CONNECTION_REFUSED},
    {ETIMEDOUT, ERROR_TIMED_OUT},
    {ECANCELED, ERROR_CANCELLED},
    {EINTR, ERROR_CANCELLED}, /* a kernel worker that was cancelled in the middle of a call */
    {ENOBUFS, ERROR_NO_BUFFERS},
    {ENOMEM, ERROR_NO_MEMORY},
    {EACCES, ERROR_NO_PERMISSION},
    {EPERM, ERROR_NO_PERMISSION},
    {EROFS, ERROR_NO_PERMISSION},
    {EADDRINUSE, ERROR_ADDRESS_IN_USE},
    {EMFILE, ERROR_TOO_MANY_FILES},
    {ENFILE, ERROR_TOO_MANY_FILES},
    {EINVAL, ERROR_NOT_SUPPORTED},
    {ENOSYS, ERROR_NOT_SUPPORTED},
    {EOPNOTSUPP, ERROR_NOT_SUPPORTED},
    {EAFNOSUPPORT, ERROR_NOT_SUPPORTED},
    {EBADF, ERROR_BAD_ARGUMENT},
    {EFAULT, ERROR_BAD_ARGUMENT},
    {EISDIR, ERROR_BAD_ARGUMENT},
    {ELOOP, ERROR_BAD_ARGUMENT},
    {ENAMETOOLONG, ERROR_BAD_ARGUMENT},
    {ENOTSOCK, ERROR_BAD_ARGUMENT},
    {EAGAIN, ERROR_WOULD_WAIT},
};

enum error error_of_errno(int number)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].number == number)
            return table[i].error;
    return ERROR_INPUT_OUTPUT;
}

int64_t result_of_errno(void)
{
    return -(int64_t)error_of_errno(errno);
}

void system_clock(struct now *now)
{
    struct timespec monotonic, wall;
    clock_gettime(CLOCK_MONOTONIC, &monotonic);
    clock_gettime(CLOCK_REALTIME, &wall);
    now->monotonic_ns = (int64_t)monotonic.tv_sec * 1000000000 + monotonic.tv_nsec;
    now->wall_ms = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000;
}

socklen_t socket_address_write(union socket_address *to, const struct address *address)
{
    memset(to, 0, sizeof *to);
    if (address->family == 4) {
        to->four.sin_family = AF_INET;
        to->four.sin_port = htons(address->port);
        memcpy(&to->four.sin_addr, address->bytes + 12, 4);
        return sizeof to->four;
    }
    if (address->family == 6) {
        to->six.sin6_family = AF_INET6;
        to->six.sin6_port = htons(address->port);
        memcpy(&to->six.sin6_addr, address->bytes, 16);
        return sizeof to->six;
    }
    return 0;
}

void socket_address_read(struct address *address, const union socket_address *from)
{
    *address = (struct address){0};
    if (from->plain.sa_family == AF_INET) {
        address->family = 4;
        address->port = ntohs(from->four.sin_port);
        memcpy(address->bytes + 12, &from->four.sin_addr, 4);
    } else if (from->plain.sa_family == AF_INET6) {
        address->port = ntohs(from->six.sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&from->six.sin6_addr)) {
            address->family = 4;
            memcpy(address->bytes + 12, from->six.sin6_addr.s6_addr + 12, 4);
        } else {
            address->family = 6;
            memcpy(address->bytes, &from->six.sin6_addr, 16);
        }
    }
}

int64_t socket_create(const struct address *address, int flags)
{
    if (address->family != 4 && address->family != 6)
        return -(int64_t)ERROR_BAD_ARGUMENT;
    int family = address->family == 4 ? AF_INET : AF_INET6, on = 1;
    int handle = socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (handle < 0)
        return result_of_errno();
    if (setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) {
        int64_t result = result_of_errno();
        close(handle);
        return result;
    }
    return handle;
}

void socket_local_address(int32_t handle, struct address *address)
{
    union socket_address name;
    socklen_t size = sizeof name;
    if (getsockname(handle, &name.plain, &size) == 0)
        socket_address_read(address, &name);
}

int64_t socket_listen(struct address *address, int flags)
{
    int64_t handle = socket_create(address, flags);
    if (handle < 0)
        return handle;
    int on = 1, off = 0, socket = (int)handle;
    union socket_address name;
    socklen_t size = socket_address_write(&name, address);
    bool done = setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                (address->family == 4 ||
                 setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0) &&
                bind(socket, &name.plain, size) == 0 && listen(socket, LISTEN_BACKLOG) == 0 &&
                getsockname(socket, &name.plain, &size) == 0;
    if (!done) {
        int64_t result = result_of_errno();
        close(socket);
        return result;
    }
    address->port = address->family == 4 ? ntohs(name.four.sin_port) : ntohs(name.six.sin6_port);
    return handle;
}

int64_t socket_shutdown(int32_t handle)
{
    if (shutdown(handle, SHUT_RDWR) < 0 && errno != ENOTCONN)
        return result_of_errno();
    return 0;
}
