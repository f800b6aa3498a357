#include "session/session.h"
#include "support/test.h"
#include <stdio.h>

/* The broker's side, scripted: frames are appended here and given to the session. */
struct script {
    uint8_t bytes[8192];
    size_t size;
};

static void script_answer(struct script *script, enum api_key key, int16_t version, int32_t id,
                          const void *message)
{
    const struct api *api = api_find((int16_t)key);
    struct writer writer;
    writer_init(&writer, script->bytes + script->size + 4, sizeof script->bytes - script->size - 4);
    EQ(response_header_encode(&writer, api, version, id), ERROR_NONE);
    EQ(message_encode(api->response, version, &writer, message), ERROR_NONE);
    store_be32(script->bytes + script->size, (uint32_t)writer.size);
    script->size += 4 + writer.size;
}

struct offer {
    int16_t key, oldest, newest;
};

static void script_versions(struct script *script, int16_t version, int32_t id, int16_t error,
                            const struct offer *offers, int count)
{
    struct api_versions_response_api_version keys[8];
    struct api_versions_response message;
    message_set_defaults(&api_versions_response_message, &message);
    for (int i = 0; i < count; i++) {
        message_set_defaults(&api_versions_response_api_version_message, &keys[i]);
        keys[i].api_key = offers[i].key;
        keys[i].min_version = offers[i].oldest;
        keys[i].max_version = offers[i].newest;
    }
    message.error_code = error;
    message.api_keys = keys;
    message.api_keys_count = count;
    script_answer(script, API_API_VERSIONS, version, id, &message);
}

static void script_metadata(struct script *script, int16_t version, int32_t id, int32_t controller)
{
    struct metadata_response message;
    message_set_defaults(&metadata_response_message, &message);
    message.cluster_id = STRING("c");
    message.controller_id = controller;
    script_answer(script, API_METADATA, version, id, &message);
}

static enum error ask_metadata(struct session *session, void *context)
{
    struct metadata_request message;
    message_set_defaults(&metadata_request_message, &message);
    return session_request(session, API_METADATA, &message, context);
}

/* Key, version and correlation id of the first request of the output, which is then dropped. */
struct sent {
    int16_t key, version;
    int32_t id, size;
};

static struct sent take_sent(struct session *session)
{
    struct bytes out = session_output(session);
    struct sent sent = {-1, -1, -1, 0};
    if (out.size < 12)
        return sent;
    sent = (struct sent){(int16_t)load_be16(out.data + 4), (int16_t)load_be16(out.data + 6),
                         (int32_t)load_be32(out.data + 8), (int32_t)load_be32(out.data)};
    session_sent(session, 4 + (size_t)sent.size);
    return sent;
}

static const struct offer usual[] = {
    {API_METADATA, 2, 9}, {API_PRODUCE, 3, 9}, {90, 0, 0}, {999, 0, 1}};

static void start(struct session *session, struct session_settings settings)
{
    session_init(session, settings);
    take_sent(session);
    struct script script = {.size = 0};
    script_versions(&script, api_find(API_API_VERSIONS)->newest_stable, 0, 0, usual, 4);
    session_receive(session, script.bytes, script.size);
    struct session_response response;
    EQ(session_next(session, &response), ERROR_WOULD_WAIT);
    EQ(session->state, SESSION_READY);
}

TEST(session, asks_for_versions_before_anything_else)
{
    struct session session;
    session_init(&session, SESSION_SETTINGS_DEFAULT);
    EQ(ask_metadata(&session, NULL), ERROR_WOULD_WAIT);
    struct sent sent = take_sent(&session);
    EQ(sent.key, API_API_VERSIONS);
    EQ(sent.version, api_find(API_API_VERSIONS)->newest_stable);
    EQ(session_output(&session).size, 0);
    EQ(session_version(&session, API_METADATA), -1);
    session_done(&session);
}

TEST(session, uses_the_newest_version_that_both_know)
{
    struct session session;
    start(&session, SESSION_SETTINGS_DEFAULT);
    EQ(session_version(&session, API_METADATA), 9);
    EQ(session_version(&session, API_FETCH), -1);
    EQ(ask_metadata(&session, NULL), ERROR_NONE);
    struct sent sent = take_sent(&session);
    EQ(sent.key, API_METADATA);
    EQ(sent.version, 9);
    EQ(sent.id, 1);
    struct fetch_request fetch;
    message_set_defaults(&fetch_request_message, &fetch);
    EQ(session_request(&session, API_FETCH, &fetch, NULL), ERROR_UNSUPPORTED_VERSION);
    session_done(&session);
}

TEST(session, offers_beyond_our_tables_are_cut_and_limits_hold)
{
    struct session session;
    session_init(&session, SESSION_SETTINGS_DEFAULT);
    session_limit(&session, API_PRODUCE, 9);
    session_limit(&session, API_FETCH, 3);
    const struct offer offers[] = {{API_METADATA, 0, 99},
                                   {API_PRODUCE, 0, 99},
                                   {API_FETCH, 0, 99},
                                   {API_LIST_OFFSETS, 90, 99}};
    struct script script = {.size = 0};
    script_versions(&script, api_find(API_API_VERSIONS)->newest_stable, 0, 0, offers, 4);
    session_receive(&session, script.bytes, script.size);
    struct session_response response;
    EQ(session_next(&session, &response), ERROR_WOULD_WAIT);
    EQ(session_version(&session, API_METADATA), api_find(API_METADATA)->newest_stable);
    EQ(session_version(&session, API_PRODUCE), 9);
    EQ(session_version(&session, API_FETCH), -1);
    EQ(session_version(&session, API_LIST_OFFSETS), -1);
    session_done(&session);
}

TEST(session, asks_again_when_the_broker_is_older)
{
    struct session session;
    session_init(&session, SESSION_SETTINGS_DEFAULT);
    take_sent(&session);
    const struct offer offers[] = {{API_API_VERSIONS, 0, 2}, {API_METADATA, 0, 5}};
    struct script script = {.size = 0};
    script_versions(&script, 0, 0, ERROR_UNSUPPORTED_VERSION, offers, 2);
    session_receive(&session, script.bytes, script.size);
    struct session_response response;
    EQ(session_next(&session, &response), ERROR_WOULD_WAIT);
    struct sent sent = take_sent(&session);
    EQ(sent.key, API_API_VERSIONS);
    EQ(sent.version, 2);
    script.size = 0;
    script_versions(&script, 2, sent.id, 0, offers, 2);
    session_receive(&session, script.bytes, script.size);
    EQ(session_next(&session, &response), ERROR_WOULD_WAIT);
    EQ(session.state, SESSION_READY);
    EQ(session_version(&session, API_METADATA), 5);
    session_done(&session);
}

TEST(session, a_broker_that_refuses_every_version_fails_it)
{
    struct session session;
    session_init(&session, SESSION_SETTINGS_DEFAULT);
    struct script script = {.size = 0};
    script_versions(&script, 0, 0, ERROR_UNSUPPORTED_VERSION, NULL, 0);
    script_versions(&script, 0, 1, ERROR_UNSUPPORTED_VERSION, NULL, 0);
    session_receive(&session, script.bytes, script.size);
    struct session_response response;
    EQ(session_next(&session, &response), ERROR_UNSUPPORTED_VERSION);
    EQ(session.state, SESSION_FAILED);
    EQ_TEXT(session_reason(&session), "the broker knows no version of ApiVersions that we know");
    EQ(ask_metadata(&session, NULL), ERROR_UNSUPPORTED_VERSION);
    session_done(&session);
}

TEST(session, answers_cut_anywhere_are_the_same)
{
    struct script script = {.size = 0};
    script_metadata(&script, 9, 1, 41);
    script_metadata(&script, 9, 2, 42);
    for (size_t cut = 0; cut <= script.size; cut++) {
        struct session session;
        start(&session, SESSION_SETTINGS_DEFAULT);
        int first, second;
        EQ(ask_metadata(&session, &first), ERROR_NONE);
        EQ(ask_metadata(&session, &second), ERROR_NONE);
        struct session_response response;
        void *contexts[2] = {&first, &second};
        int got = 0;
        for (int part = 0; part < 2; part++) {
            session_receive(&session, script.bytes + (part ? cut : 0),
                            part ? script.size - cut : cut);
            while (session_next(&session, &response) == ERROR_NONE) {
                const struct metadata_response *message = response.message;
                EQ(message->controller_id, 41 + got);
                TRUE_(response.context == contexts[got]);
                TRUE_(string_equal(message->cluster_id, STRING("c")));
                got++;
            }
        }
        EQ(got, 2);
        EQ(session_in_flight(&session), 0);
        session_done(&session);
    }
}

TEST(session, bytes_one_by_one_through_the_space_are_the_same)
{
    struct session session;
    start(&session, SESSION_SETTINGS_DEFAULT);
    EQ(ask_metadata(&session, NULL), ERROR_NONE);
    struct script script = {.size = 0};
    script_metadata(&script, 9, 1, 7);
    struct session_response response;
    for (size_t i = 0; i < script.size; i++) {
        EQ(session_next(&session, &response), ERROR_WOULD_WAIT);
        size_t room;
        *session_space(&session, &room) = script.bytes[i];
        TRUE_(room >= 16384);
        session_received(&session, 1);
    }
    EQ(session_next(&session, &response), ERROR_NONE);
    EQ(((const struct metadata_response *)response.message)->controller_id, 7);
    session_done(&session);
}

/* Sends one metadata request and gives the session `size` bytes in answer. */
static void expect_failure(const uint8_t *bytes, size_t size, enum error error, const char *reason)
{
    struct session session;
    struct session_settings settings = SESSION_SETTINGS_DEFAULT;
    settings.frame_bytes_max = 1000;
    start(&session, settings);
    EQ(ask_metadata(&session, NULL), ERROR_NONE);
    session_receive(&session, bytes, size);
    struct session_response response;
    EQ(session_next(&session, &response), error);
    EQ_TEXT(session_reason(&session), reason);
    EQ(session_next(&session, &response), error);
    EQ(ask_metadata(&session, NULL), error);
    size_t room;
    session_space(&session, &room);
    TRUE_(room < 100000);
    session_done(&session);
}

TEST(session, a_wrong_correlation_id_fails_it)
{
    struct script script = {.size = 0};
    script_metadata(&script, 9, 5, 1);
    expect_failure(script.bytes, script.size, ERROR_MALFORMED,
                   "the broker answered request 5 where 1 was next");
}

TEST(session, lengths_out_of_bounds_fail_it_at_once)
{
    static const struct {
        uint32_t size;
        const char *text;
    } cases[] = {{1001, "1001"},
                 {0x7fffffff, "2147483647"},
                 {0x80000000, "-2147483648"},
                 {0xffffffff, "-1"},
                 {0, "0"},
                 {3, "3"}};
    for (int i = 0; i < 6; i++) {
        uint8_t bytes[4];
        char reason[200];
        store_be32(bytes, cases[i].size);
        snprintf(reason, sizeof reason,
                 "the broker announced an answer of %s bytes, the limit is 1000; "
                 "is it a Kafka port without TLS?",
                 cases[i].text);
        expect_failure(bytes, 4, ERROR_MALFORMED, reason);
    }
}

TEST(session, a_body_one_byte_short_or_long_fails_it)
{
    struct script script = {.size = 0};
    script_metadata(&script, 9, 1, 1);
    store_be32(script.bytes, load_be32(script.bytes) - 1);
    expect_failure(script.bytes, script.size - 1, ERROR_TRUNCATED,
                   "the broker's answer to Metadata version 9 is wrong: the bytes end too early");
    script.size = 0;
    script_metadata(&script, 9, 1, 1);
    store_be32(script.bytes, load_be32(script.bytes) + 1);
    expect_failure(script.bytes, script.size + 1, ERROR_TRAILING_BYTES,
                   "the broker's answer to Metadata version 9 is wrong: bytes are left after the "
                   "end");
}

TEST(session, an_answer_that_nobody_asked_for_fails_it)
{
    struct session session;
    start(&session, SESSION_SETTINGS_DEFAULT);
    struct script script = {.size = 0};
    script_metadata(&script, 9, 1, 1);
    session_receive(&session, script.bytes, script.size);
    struct session_response response;
    EQ(session_next(&session, &response), ERROR_MALFORMED);
    EQ_TEXT(session_reason(&session), "the broker answered what was not asked");
    session_done(&session);
}

TEST(session, an_answer_beyond_the_memory_budget_fails_it)
{
    struct session_settings settings = SESSION_SETTINGS_DEFAULT;
    settings.arena_bytes = 600;
    struct session session;
    start(&session, settings);
    EQ(ask_metadata(&session, NULL), ERROR_NONE);
    struct metadata_response_broker brokers[20];
    struct metadata_response message;
    message_set_defaults(&metadata_response_message, &message);
    message.brokers = brokers;
    message.brokers_count = 20;
    for (int i = 0; i < 20; i++) {
        message_set_defaults(&metadata_response_broker_message, &brokers[i]);
        brokers[i].host = STRING("h");
    }
    struct script script = {.size = 0};
    script_answer(&script, API_METADATA, 9, 1, &message);
    session_receive(&session, script.bytes, script.size);
    struct session_response response;
    EQ(session_next(&session, &response), ERROR_NO_MEMORY);
    session_done(&session);
}

TEST(session, requests_without_answers_take_no_place_in_flight)
{
    struct session_settings settings = SESSION_SETTINGS_DEFAULT;
    settings.in_flight_max = 2;
    struct session session;
    start(&session, settings);
    struct produce_request produce;
    message_set_defaults(&produce_request_message, &produce);
    for (int i = 0; i < 5; i++)
        EQ(session_request(&session, API_PRODUCE, &produce, NULL), ERROR_NONE);
    EQ(session_in_flight(&session), 0);
    produce.acks = -1;
    EQ(session_request(&session, API_PRODUCE, &produce, NULL), ERROR_NONE);
    EQ(ask_metadata(&session, NULL), ERROR_NONE);
    EQ(ask_metadata(&session, NULL), ERROR_WOULD_WAIT);
    EQ(session_in_flight(&session), 2);
    session_done(&session);
}

TEST(session, a_field_that_the_version_lacks_is_refused_and_nothing_is_sent)
{
    struct session session;
    session_init(&session, SESSION_SETTINGS_DEFAULT);
    const struct offer old[] = {{API_METADATA, 0, 3}};
    struct script script = {.size = 0};
    script_versions(&script, api_find(API_API_VERSIONS)->newest_stable, 0, 0, old, 1);
    session_receive(&session, script.bytes, script.size);
    struct session_response response;
    EQ(session_next(&session, &response), ERROR_WOULD_WAIT);
    take_sent(&session);
    struct metadata_request message;
    message_set_defaults(&metadata_request_message, &message);
    message.allow_auto_topic_creation = false; /* since version 4, not ignorable */
    EQ(session_request(&session, API_METADATA, &message, NULL), ERROR_UNSUPPORTED_VERSION);
    EQ(session_output(&session).size, 0);
    EQ(session_in_flight(&session), 0);
    session_done(&session);
}
