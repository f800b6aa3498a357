/* A client's session against a broker that sends anything: one byte of choices, then steps, each a
 * byte: what is asked, or so many bytes arrive. A choice puts the length and the correlation id of
 * what arrives right, so that the search gets as far as the bodies.
 *  1. The session keeps its invariants: a failed one stays failed, with a reason, and nothing it
 *     decodes goes beyond its budget.
 *  2. What it holds of the input is no more than it was given, and a little. */
#include "fuzz/fuzz.h"
#include "protocol/compare.h"
#include "protocol/messages.h"
#include "session/session.h"

enum { STEPS_MOST = 64, FRAME_MOST = 4096, ARENA_BYTES = 1 << 20 };
enum { PUTS_RIGHT = 1, KNOWS_VERSIONS = 2 };

/* The answer to the first request, so that the session is ready for others. */
static void answer_versions(struct session *session)
{
    static const struct {
        int16_t key, oldest, newest;
    } offers[] = {{API_PRODUCE, 0, 13},      {API_FETCH, 4, 18},          {API_LIST_OFFSETS, 1, 11},
                  {API_METADATA, 0, 13},     {API_API_VERSIONS, 0, 4},    {API_CREATE_TOPICS, 2, 7},
                  {API_DELETE_TOPICS, 1, 6}, {API_DESCRIBE_CONFIGS, 1, 4}};
    struct api_versions_response_api_version keys[ARRAY_COUNT(offers)];
    struct api_versions_response message;
    message_set_defaults(&api_versions_response_message, &message);
    for (int i = 0; i < ARRAY_COUNT(offers); i++) {
        message_set_defaults(&api_versions_response_api_version_message, &keys[i]);
        keys[i].api_key = offers[i].key;
        keys[i].min_version = offers[i].oldest;
        keys[i].max_version = offers[i].newest;
    }
    message.api_keys = keys;
    message.api_keys_count = ARRAY_COUNT(offers);
    const struct api *api = api_find(API_API_VERSIONS);
    uint8_t bytes[512];
    struct writer writer;
    writer_init(&writer, bytes + 4, sizeof bytes - 4);
    check(response_header_encode(&writer, api, api->newest_stable, 0) == ERROR_NONE);
    check(message_encode(api->response, api->newest_stable, &writer, &message) == ERROR_NONE);
    store_be32(bytes, (uint32_t)writer.size);
    session_receive(session, bytes, 4 + writer.size);
}

static void ask(struct session *session, uint8_t choice)
{
    static const enum api_key keys[] = {API_PRODUCE,       API_FETCH,           API_LIST_OFFSETS,
                                        API_METADATA,      API_API_VERSIONS,    API_CREATE_TOPICS,
                                        API_DELETE_TOPICS, API_DESCRIBE_CONFIGS};
    union {
        struct produce_request produce;
        struct fetch_request fetch;
        struct list_offsets_request list_offsets;
        struct metadata_request metadata;
        struct api_versions_request api_versions;
        struct create_topics_request create_topics;
        struct delete_topics_request delete_topics;
        struct describe_configs_request describe_configs;
    } message;
    enum api_key key = keys[choice % ARRAY_COUNT(keys)];
    message_set_defaults(api_find((int16_t)key)->request, &message);
    (void)session_request(session, key, &message, session); /* refused where it can't go out */
    session_sent(session, (size_t)session_output(session).size);
}

static void check_session(const struct session *session)
{
    bool failed = session->state == SESSION_FAILED;
    check(failed == (session->error != ERROR_NONE) && failed == (*session_reason(session) != 0));
    check(session_in_flight(session) >= 0 &&
          session_in_flight(session) <= session->settings.in_flight_max);
    check(session->arena.used_bytes <= ARENA_BYTES);
    check(session->in.capacity <= 16 * FRAME_MOST + (64 << 10));
}

static void take_answers(struct session *session)
{
    struct session_response response;
    enum error error, before = session->error;
    while ((error = session_next(session, &response)) == ERROR_NONE) {
        check(response.api && response.message);
        check(message_equal(response.api->response, response.version, response.message,
                            response.message));
    }
    check(before == ERROR_NONE || error == before);
    check(error == ERROR_WOULD_WAIT || session->state == SESSION_FAILED);
}

static void arrive(struct session *session, struct bytes bytes, bool puts_right)
{
    uint8_t head[8];
    if (puts_right && session->flight_count > 0) {
        store_be32(head, (uint32_t)bytes.size + 4);
        store_be32(head + 4, (uint32_t)session->flights[session->flight_first].correlation_id);
        session_receive(session, head, sizeof head);
    }
    size_t room;
    uint8_t *space = session_space(session, &room);
    check(room >= 16384);
    if ((size_t)bytes.size <= room / 2) { /* both ways in */
        if (bytes.size > 0)
            memcpy(space, bytes.data, (size_t)bytes.size);
        session_received(session, (size_t)bytes.size);
    } else {
        session_receive(session, bytes.data, (size_t)bytes.size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    uint8_t choices = input_u8(&input);
    struct session session;
    struct session_settings settings = SESSION_SETTINGS_DEFAULT;
    settings.frame_bytes_max = FRAME_MOST;
    settings.arena_bytes = ARENA_BYTES;
    settings.in_flight_max = 4;
    session_init(&session, settings);
    if (choices & KNOWS_VERSIONS)
        answer_versions(&session);
    take_answers(&session);
    for (int i = 0; i < STEPS_MOST && input.next < input.end; i++) {
        uint8_t step = input_u8(&input);
        if (step & 1)
            ask(&session, step >> 1);
        else
            arrive(&session, input_take(&input, input_u16(&input) % FRAME_MOST),
                   (choices & PUTS_RIGHT) && !(step & 2));
        take_answers(&session);
        check_session(&session);
    }
    session_done(&session);
    return 0;
}
