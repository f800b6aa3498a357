#pragma once
/* One connection to a broker, without the connection: bytes in, bytes out. It asks for the broker's
 * versions first, encodes each request in the newest version that both know, and matches answers to
 * requests. It does no input or output and has no clock; a driver moves the bytes.
 *
 *   asking -> ready   [the answer to ApiVersions was taken]
 *   asking -> asking  [the broker does not know our version of ApiVersions: asked again, KIP-511]
 *   any    -> failed  [the broker sent something that can't be right; the connection must be
 * closed]
 *
 * Invariants
 *  1. Answers come in the order of the requests, as Kafka's brokers send them; anything else fails.
 *  2. A failed session stays failed: every call returns the same error, session_reason says why.
 *  3. A response and all it points to are good until the next call of session_next, session_space
 * or session_receive. */
#include "base/arena.h"
#include "base/bytes.h"
#include "protocol/frame.h"

enum { SESSION_API_KEYS = 128, SESSION_REASON_BYTES = 160 };

struct session_settings {
    struct string client_id; /* borrowed; null: none */
    int32_t frame_bytes_max; /* a longer answer fails the session */
    int32_t in_flight_max;   /* requests that wait for an answer at a time */
    size_t arena_bytes;      /* budget for decoding one answer */
};

#define SESSION_SETTINGS_DEFAULT                                                                   \
    ((struct session_settings){.client_id = STRING("bole"),                                        \
                               .frame_bytes_max = 256 << 20,                                       \
                               .in_flight_max = 64,                                                \
                               .arena_bytes = 64 << 20})

enum session_state { SESSION_ASKING, SESSION_READY, SESSION_FAILED };

struct session_flight {
    const struct api *api;
    int32_t correlation_id;
    int16_t version;
    void *context;
};

struct session_range {
    int16_t oldest, newest; /* newest -1: not offered */
};

struct session_buffer {
    uint8_t *data;
    size_t begin, end, capacity;
};

struct session {
    struct session_settings settings;
    enum session_state state;
    enum error error;
    char reason[SESSION_REASON_BYTES];
    struct session_buffer in, out;
    struct session_flight *flights; /* a ring of in_flight_max */
    int32_t flight_first, flight_count;
    int32_t next_correlation_id;
    struct session_range ranges[SESSION_API_KEYS]; /* common to the broker and us */
    int16_t limits[SESSION_API_KEYS];              /* newest version the user wants */
    struct arena arena;
};

/* An answer, decoded. */
struct session_response {
    const struct api *api;
    int16_t version;
    void *context;       /* as given to session_request */
    const void *message; /* of api->response */
};

/* The request for the broker's versions is at once in the output. */
void session_init(struct session *session, struct session_settings settings);
void session_done(struct session *session);

/* Never goes above version `newest` of an API. To be called before the session is ready. */
void session_limit(struct session *session, enum api_key key, int16_t newest);

/* The version in which requests of this API go out; -1 if broker and we have none in common, or the
 * broker was not heard yet. */
int16_t session_version(const struct session *session, enum api_key key);

/* Encodes `message`, of the API's request struct, to the output. An answer will carry `context`; a
 * Produce with acks 0 has none. WOULD_WAIT: the versions are not known yet, or too many requests
 * are in flight; UNSUPPORTED_VERSION: the broker does not offer the API, or only versions that lack
 * a field that is set; INVALID_REQUEST; or the session's error. Nothing was written then. */
enum error session_request(struct session *session, enum api_key key, const void *message,
                           void *context);

/* What waits to be sent; size 0 if nothing. */
struct bytes session_output(const struct session *session);
/* The first `size` bytes of the output were sent. */
void session_sent(struct session *session, size_t size);

/* Room for received bytes, at least 16 KiB and at least the rest of the frame being received. */
uint8_t *session_space(struct session *session, size_t *ret_size);
/* `size` bytes were written to the space. */
void session_received(struct session *session, size_t size);
/* The same with bytes that lie elsewhere. */
void session_receive(struct session *session, const void *data, size_t size);

/* The next answer. WOULD_WAIT: none is whole yet. Any other error fails the session. */
enum error session_next(struct session *session, struct session_response *ret_response);

/* Requests that wait for an answer, the one for the versions included. */
int32_t session_in_flight(const struct session *session);

/* Why the session failed, a sentence; "" if it did not. */
const char *session_reason(const struct session *session);
