#include "driver.h"
#include "base/check.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int64_t driver_now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

bool driver_is_open(const struct driver *driver)
{
    return driver->socket >= 0;
}

static enum error error_of(int number)
{
    switch (number) {
    case ECONNREFUSED:
        return ERROR_CONNECTION_REFUSED;
    case ETIMEDOUT:
        return ERROR_TIMED_OUT;
    case EMFILE:
    case ENFILE:
        return ERROR_TOO_MANY_FILES;
    case EACCES:
    case EPERM:
        return ERROR_NO_PERMISSION;
    case ECONNRESET:
    case EPIPE:
        return ERROR_CONNECTION_RESET;
    default:
        return ERROR_INPUT_OUTPUT;
    }
}

/* Writes the reason, with the broker's address in front, and returns `error`. */
__attribute__((format(printf, 3, 4))) static enum error
fail(struct driver *driver, enum error error, const char *format, ...)
{
    char address[HOST_PORT_BYTES], text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(driver->reason, sizeof driver->reason, "%s: %s",
             host_port_format(&driver->address, address), text);
    return error;
}

/* What of a failed session or refused request has to be told. */
static enum error fail_session(struct driver *driver, enum error error)
{
    const char *reason = session_reason(&driver->session);
    return fail(driver, error, "%s", *reason ? reason : error_text(error));
}

/* Waits until the socket is ready for one of `events`; NONE, or TIMED_OUT. */
static enum error wait_for(struct driver *driver, short events, int64_t deadline_ms)
{
    for (;;) {
        int64_t left_ms = deadline_ms - driver_now_ms();
        if (left_ms < 0)
            left_ms = 0;
        struct pollfd entry = {.fd = driver->socket, .events = events};
        int ready = poll(&entry, 1, (int)min_i64(left_ms, 1 << 30));
        if (ready > 0)
            return ERROR_NONE;
        if (ready == 0)
            return fail(driver, ERROR_TIMED_OUT, "no answer in time");
        if (errno != EINTR)
            return fail(driver, error_of(errno), "%s", strerror(errno));
    }
}

static enum error send_output(struct driver *driver)
{
    struct bytes output = session_output(&driver->session);
    ssize_t sent =
        send(driver->socket, output.data, (size_t)output.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0)
        session_sent(&driver->session, (size_t)sent);
    else if (errno != EAGAIN && errno != EINTR)
        return fail(driver, error_of(errno), "sending failed: %s", strerror(errno));
    return ERROR_NONE;
}

static enum error receive_input(struct driver *driver)
{
    size_t room;
    uint8_t *space = session_space(&driver->session, &room);
    ssize_t size = recv(driver->socket, space, room, MSG_DONTWAIT);
    if (size > 0)
        session_received(&driver->session, (size_t)size);
    else if (size == 0)
        return fail(driver, ERROR_CONNECTION_RESET, "the broker closed the connection");
    else if (errno != EAGAIN && errno != EINTR)
        return fail(driver, error_of(errno), "receiving failed: %s", strerror(errno));
    return ERROR_NONE;
}

/* One round: waits until bytes can move, and moves them. */
static enum error step(struct driver *driver, int64_t deadline_ms)
{
    bool has_output = session_output(&driver->session).size > 0;
    enum error error = wait_for(driver, POLLIN | (has_output ? POLLOUT : 0), deadline_ms);
    if (!error && has_output)
        error = send_output(driver);
    if (!error)
        error = receive_input(driver);
    return error;
}

static enum error connect_to(struct driver *driver, const struct addrinfo *target,
                             int64_t deadline_ms)
{
    driver->socket = socket(target->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (driver->socket < 0)
        return fail(driver, error_of(errno), "no socket: %s", strerror(errno));
    int failed = connect(driver->socket, target->ai_addr, target->ai_addrlen) == 0 ? 0 : errno;
    if (failed == EINPROGRESS) {
        enum error error = wait_for(driver, POLLOUT, deadline_ms);
        if (error)
            return fail(driver, error, "no connection in time");
        socklen_t size = sizeof failed;
        getsockopt(driver->socket, SOL_SOCKET, SO_ERROR, &failed, &size);
    }
    if (failed)
        return fail(driver, error_of(failed), "can't connect: %s", strerror(failed));
    int one = 1;
    setsockopt(driver->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return ERROR_NONE;
}

static enum error connect_any(struct driver *driver, int64_t deadline_ms)
{
    char port[16];
    snprintf(port, sizeof port, "%d", driver->address.port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *targets = NULL;
    int failed = getaddrinfo(driver->address.host, port, &hints, &targets);
    if (failed)
        return fail(driver, ERROR_NOT_FOUND, "can't find the host: %s", gai_strerror(failed));
    enum error error = ERROR_NOT_FOUND;
    for (const struct addrinfo *target = targets; target; target = target->ai_next) {
        error = connect_to(driver, target, deadline_ms);
        if (!error)
            break;
        if (driver->socket >= 0)
            close(driver->socket);
        driver->socket = -1;
    }
    freeaddrinfo(targets);
    return error;
}

enum error driver_open(struct driver *driver, const struct host_port *address,
                       struct session_settings settings, int64_t deadline_ms)
{
    *driver = (struct driver){.socket = -1, .address = *address};
    enum error error = connect_any(driver, deadline_ms);
    if (error)
        return error;
    session_init(&driver->session, settings);
    while (!error && driver->session.state == SESSION_ASKING) {
        error = step(driver, deadline_ms);
        struct session_response none;
        if (!error)
            error = session_next(&driver->session, &none);
        if (error == ERROR_WOULD_WAIT)
            error = ERROR_NONE;
        else if (driver->session.state == SESSION_FAILED)
            error = fail_session(driver, error);
    }
    if (error)
        driver_close(driver);
    return error;
}

void driver_close(struct driver *driver)
{
    if (driver->socket < 0)
        return;
    close(driver->socket);
    driver->socket = -1;
    session_done(&driver->session);
}

enum error driver_send(struct driver *driver, enum api_key key, const void *message, void *context,
                       int64_t deadline_ms)
{
    check(driver_is_open(driver));
    enum error error = session_request(&driver->session, key, message, context);
    if (error == ERROR_UNSUPPORTED_VERSION)
        return fail(driver, error, "the broker offers no version of %s that can carry this request",
                    api_name((int16_t)key));
    if (error)
        return fail_session(driver, error);
    error = send_output(driver);
    while (!error && session_output(&driver->session).size > 0)
        error = step(driver, deadline_ms);
    return error;
}

enum error driver_receive(struct driver *driver, int64_t deadline_ms,
                          struct session_response *ret_response)
{
    check(driver_is_open(driver) && session_in_flight(&driver->session) > 0);
    for (;;) {
        enum error error = session_next(&driver->session, ret_response);
        if (error != ERROR_WOULD_WAIT)
            return error ? fail_session(driver, error) : ERROR_NONE;
        error = step(driver, deadline_ms);
        if (error)
            return error;
    }
}

enum error driver_call(struct driver *driver, enum api_key key, const void *message,
                       int64_t deadline_ms, struct session_response *ret_response)
{
    check(session_in_flight(&driver->session) == 0);
    enum error error = driver_send(driver, key, message, NULL, deadline_ms);
    return error ? error : driver_receive(driver, deadline_ms, ret_response);
}
