#include "session/session.h"
#include "base/check.h"
#include "base/memory.h"
#include <stdarg.h>
#include <stdio.h>

enum { SPACE_BYTES_MIN = 16 << 10, KEPT_BYTES = 64 << 10, ANSWER_BYTES_MIN = 4 };

/* --- buffers ---------------------------------------------------------------------------------- */

/* Makes room for `size` bytes at the end: moves what is held to the front, or grows. */
static void buffer_reserve(struct session_buffer *buffer, size_t size)
{
    size_t held = buffer->end - buffer->begin;
    if (buffer->begin && buffer->capacity - buffer->end < size) {
        memmove(buffer->data, buffer->data + buffer->begin, held);
        buffer->begin = 0;
        buffer->end = held;
    }
    if (buffer->capacity - buffer->end >= size)
        return;
    size_t twice = 2 * buffer->capacity;
    buffer->capacity = held + size > twice ? held + size : twice;
    buffer->data = memory_resized(buffer->data, buffer->capacity);
}

static void buffer_drop(struct session_buffer *buffer, size_t size)
{
    check(size <= buffer->end - buffer->begin);
    buffer->begin += size;
    if (buffer->begin == buffer->end)
        buffer->begin = buffer->end = 0;
}

/* --- failing ---------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static enum error
session_fail(struct session *session, enum error error, const char *format, ...)
{
    check(error != ERROR_NONE && error != ERROR_WOULD_WAIT);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(session->reason, sizeof session->reason, format, arguments);
    va_end(arguments);
    session->state = SESSION_FAILED;
    session->error = error;
    return error;
}

/* --- requests --------------------------------------------------------------------------------- */

static enum error encode(struct session *session, const struct api *api, int16_t version,
                         const void *message)
{
    struct writer counter;
    writer_init(&counter, NULL, 0);
    int32_t correlation_id = session->next_correlation_id;
    enum error error =
        request_header_encode(&counter, api, version, correlation_id, session->settings.client_id);
    if (!error)
        error = message_encode(api->request, version, &counter, message);
    if (error)
        return error;
    if (counter.size > INT32_MAX)
        return ERROR_INVALID_REQUEST;
    buffer_reserve(&session->out, 4 + counter.size);
    struct writer writer;
    writer_init(&writer, session->out.data + session->out.end, 4 + counter.size);
    write_i32(&writer, (int32_t)counter.size);
    error =
        request_header_encode(&writer, api, version, correlation_id, session->settings.client_id);
    if (!error)
        error = message_encode(api->request, version, &writer, message);
    check(!error && writer.size == 4 + counter.size);
    session->out.end += writer.size;
    session->next_correlation_id = (correlation_id + 1) & INT32_MAX;
    return ERROR_NONE;
}

static bool is_answered(const struct api *api, const void *message)
{
    return api->key != API_PRODUCE || ((const struct produce_request *)message)->acks != 0;
}

static enum error request(struct session *session, const struct api *api, int16_t version,
                          const void *message, void *context)
{
    int32_t correlation_id = session->next_correlation_id;
    enum error error = encode(session, api, version, message);
    if (error || !is_answered(api, message))
        return error;
    int32_t place =
        (session->flight_first + session->flight_count++) % session->settings.in_flight_max;
    session->flights[place] = (struct session_flight){
        .api = api, .correlation_id = correlation_id, .version = version, .context = context};
    return ERROR_NONE;
}

static void ask_versions(struct session *session, int16_t version)
{
    struct api_versions_request message;
    message_set_defaults(&api_versions_request_message, &message);
    message.client_software_name = STRING("bole");
    message.client_software_version = STRING("0.1.0");
    enum error error = request(session, api_find(API_API_VERSIONS), version, &message, NULL);
    check(!error);
}

void session_init(struct session *session, struct session_settings settings)
{
    check(settings.in_flight_max > 0 && settings.frame_bytes_max > ANSWER_BYTES_MIN);
    *session = (struct session){.settings = settings, .state = SESSION_ASKING};
    size_t flights_bytes = (size_t)settings.in_flight_max * sizeof *session->flights;
    session->flights = memory_zeroed(flights_bytes);
    arena_init(&session->arena, settings.arena_bytes);
    for (int i = 0; i < SESSION_API_KEYS; i++) {
        session->ranges[i].newest = -1;
        session->limits[i] = INT16_MAX;
    }
    ask_versions(session, api_find(API_API_VERSIONS)->newest_stable);
}

void session_done(struct session *session)
{
    memory_free(session->flights);
    memory_free(session->in.data);
    memory_free(session->out.data);
    arena_done(&session->arena);
    *session = (struct session){.state = SESSION_FAILED, .error = ERROR_CANCELLED};
}

void session_limit(struct session *session, enum api_key key, int16_t newest)
{
    check((int)key >= 0 && (int)key < SESSION_API_KEYS && session->state == SESSION_ASKING);
    session->limits[key] = newest;
}

int16_t session_version(const struct session *session, enum api_key key)
{
    check((int)key >= 0 && (int)key < SESSION_API_KEYS);
    const struct session_range *range = &session->ranges[key];
    int16_t newest = range->newest;
    newest = newest < session->limits[key] ? newest : session->limits[key];
    return newest >= range->oldest ? newest : -1;
}

enum error session_request(struct session *session, enum api_key key, const void *message,
                           void *context)
{
    const struct api *api = api_find((int16_t)key);
    check(api != NULL && message != NULL);
    if (session->state == SESSION_FAILED)
        return session->error;
    if (session->state == SESSION_ASKING ||
        session->flight_count == session->settings.in_flight_max)
        return ERROR_WOULD_WAIT;
    int16_t version = session_version(session, key);
    if (version < 0)
        return ERROR_UNSUPPORTED_VERSION;
    return request(session, api, version, message, context);
}

struct bytes session_output(const struct session *session)
{
    const struct session_buffer *out = &session->out;
    size_t size = out->end - out->begin;
    if (size == 0)
        return (struct bytes){0};
    return (struct bytes){out->data + out->begin, (int32_t)min_i64((int64_t)size, 1 << 30)};
}

void session_sent(struct session *session, size_t size)
{
    buffer_drop(&session->out, size);
    if (session->out.end == 0 && session->out.capacity > KEPT_BYTES) {
        memory_free(session->out.data);
        session->out = (struct session_buffer){0};
    }
}

/* --- answers ---------------------------------------------------------------------------------- */

uint8_t *session_space(struct session *session, size_t *ret_size)
{
    struct session_buffer *in = &session->in;
    size_t held = in->end - in->begin, wanted = SPACE_BYTES_MIN;
    if (held >= 4) {
        /* A length that session_next will refuse asks for no memory. */
        uint32_t size = load_be32(in->data + in->begin);
        if (size <= (uint32_t)session->settings.frame_bytes_max && 4 + (size_t)size > held)
            wanted = 4 + (size_t)size - held > wanted ? 4 + (size_t)size - held : wanted;
    }
    buffer_reserve(in, wanted);
    *ret_size = in->capacity - in->end;
    return in->data + in->end;
}

void session_received(struct session *session, size_t size)
{
    check(size <= session->in.capacity - session->in.end);
    session->in.end += size;
}

void session_receive(struct session *session, const void *data, size_t size)
{
    buffer_reserve(&session->in, size);
    if (size)
        memcpy(session->in.data + session->in.end, data, size);
    session_received(session, size);
}

/* Takes the answer to ApiVersions, or asks again in a version that the broker knows. */
static enum error take_versions(struct session *session, int16_t version,
                                const struct api_versions_response *response)
{
    const struct api *api = api_find(API_API_VERSIONS);
    if (response->error_code && response->error_code != ERROR_UNSUPPORTED_VERSION)
        return session_fail(session, error_from_wire(response->error_code),
                            "the broker refused to tell its versions: %s",
                            error_name(error_from_wire(response->error_code)));
    if (response->error_code) {
        int16_t again = 0;
        for (int32_t i = 0; i < response->api_keys_count; i++)
            if (response->api_keys[i].api_key == API_API_VERSIONS)
                again = response->api_keys[i].max_version;
        again = again > api->newest_stable ? api->newest_stable : again;
        if (again < 0 || again >= version)
            return session_fail(session, ERROR_UNSUPPORTED_VERSION,
                                "the broker knows no version of ApiVersions that we know");
        ask_versions(session, again);
        return ERROR_NONE;
    }
    for (int32_t i = 0; i < response->api_keys_count; i++) {
        const struct api *known = api_find(response->api_keys[i].api_key);
        if (!known || known->key >= SESSION_API_KEYS)
            continue; /* newer than we are */
        int16_t oldest = response->api_keys[i].min_version;
        int16_t newest = response->api_keys[i].max_version;
        struct session_range *range = &session->ranges[known->key];
        range->oldest = oldest > known->oldest ? oldest : known->oldest;
        range->newest = newest < known->newest_stable ? newest : known->newest_stable;
    }
    session->state = SESSION_READY;
    return ERROR_NONE;
}

/* Decodes the body of an answer into the arena. */
static enum error decode(struct session *session, const struct session_flight *flight,
                         struct reader *reader, void **ret_message)
{
    const struct message *table = flight->api->response;
    int16_t version = flight->version;
    /* A broker that does not know the version of our ApiVersions answers in version 0 (KIP-511). */
    if (flight->api->key == API_API_VERSIONS && reader_left(reader) >= 2 &&
        load_be16(reader->next) == ERROR_UNSUPPORTED_VERSION)
        version = 0;
    void *message = arena_take(&session->arena, table->size);
    enum error error = ERROR_NO_MEMORY;
    if (message) {
        message_set_defaults(table, message);
        error = message_decode_whole(table, version, reader, &session->arena, message);
    }
    if (error)
        return session_fail(session, error, "the broker's answer to %s version %d is wrong: %s",
                            flight->api->name, version, error_text(error));
    *ret_message = message;
    return ERROR_NONE;
}

/* Finds the next whole frame; the reader is then at its header. */
static enum error next_frame(struct session *session, struct reader *ret_reader)
{
    struct session_buffer *in = &session->in;
    size_t held = in->end - in->begin;
    if (held < 4)
        return ERROR_WOULD_WAIT;
    int32_t size = (int32_t)load_be32(in->data + in->begin);
    if (size < ANSWER_BYTES_MIN || size > session->settings.frame_bytes_max)
        return session_fail(session, ERROR_MALFORMED,
                            "the broker announced an answer of %d bytes, the limit is %d; "
                            "is it a Kafka port without TLS?",
                            size, session->settings.frame_bytes_max);
    if (held - 4 < (size_t)size)
        return ERROR_WOULD_WAIT;
    reader_init(ret_reader, in->data + in->begin + 4, (size_t)size);
    in->begin += 4 + (size_t)size; /* the bytes stay until space is asked for */
    return ERROR_NONE;
}

static enum error next_answer(struct session *session, struct session_response *response)
{
    struct reader reader;
    enum error error = next_frame(session, &reader);
    if (error)
        return error;
    int32_t correlation_id = read_i32(&reader);
    if (session->flight_count == 0)
        return session_fail(session, ERROR_MALFORMED, "the broker answered what was not asked");
    struct session_flight flight = session->flights[session->flight_first];
    if (flight.correlation_id != correlation_id)
        return session_fail(session, ERROR_MALFORMED,
                            "the broker answered request %d where %d was next", correlation_id,
                            flight.correlation_id);
    session->flight_first = (session->flight_first + 1) % session->settings.in_flight_max;
    session->flight_count--;
    arena_reset(&session->arena, KEPT_BYTES);
    if (response_header_version(flight.api, flight.version) >= 1) {
        struct response_header header;
        reader.next -= 4;
        error = message_decode(&response_header_message, 1, &reader, &session->arena, &header);
        if (error)
            return session_fail(session, error, "the header of an answer is wrong: %s",
                                error_text(error));
    }
    void *message = NULL;
    error = decode(session, &flight, &reader, &message);
    if (error)
        return error;
    *response = (struct session_response){.api = flight.api,
                                          .version = flight.version,
                                          .context = flight.context,
                                          .message = message};
    return ERROR_NONE;
}

enum error session_next(struct session *session, struct session_response *ret_response)
{
    struct session_response response;
    while (session->state == SESSION_ASKING) {
        enum error error = next_answer(session, &response);
        if (!error)
            error = take_versions(session, response.version, response.message);
        if (error)
            return error;
    }
    if (session->state == SESSION_FAILED)
        return session->error;
    enum error error = next_answer(session, &response);
    if (!error)
        *ret_response = response;
    return error;
}

int32_t session_in_flight(const struct session *session)
{
    return session->flight_count;
}

const char *session_reason(const struct session *session)
{
    return session->reason;
}
