#pragma once
/* Drives one session over a TCP socket with poll(): the only file of the client that does input and
 * output. Calls wait, at most until their deadline; several requests may be in flight. Not thread
 * safe. After an error of the connection (anything a call returns beside UNSUPPORTED_VERSION and
 * INVALID_REQUEST) it must be closed. */
#include "host_port.h"
#include "session/session.h"

struct driver {
    struct session session;
    int socket; /* -1: closed */
    struct host_port address;
    char reason[512]; /* why the last call failed, a sentence */
};

/* Milliseconds of the monotonic clock: what deadlines are made of. */
int64_t driver_now_ms(void);

/* Connects, trying each address of the host, and waits for the broker's versions.
 * NOT_FOUND (no such host), CONNECTION_REFUSED, CONNECTION_RESET, TIMED_OUT, what the session
 * refused. On error it is closed already. */
enum error driver_open(struct driver *driver, const struct host_port *address,
                       struct session_settings settings, int64_t deadline_ms);
void driver_close(struct driver *driver);
bool driver_is_open(const struct driver *driver);

/* Encodes a request and sends all that waits; answers that come meanwhile are kept. */
enum error driver_send(struct driver *driver, enum api_key key, const void *message, void *context,
                       int64_t deadline_ms);

/* Waits for the next answer. It is good until the next call. */
enum error driver_receive(struct driver *driver, int64_t deadline_ms,
                          struct session_response *ret_response);

/* Sends one request and waits for its answer; no other may be in flight. */
enum error driver_call(struct driver *driver, enum api_key key, const void *message,
                       int64_t deadline_ms, struct session_response *ret_response);
