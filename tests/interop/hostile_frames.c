/* Frames and requests that are not what they should be: each closes its own connection, with
 * nothing sent and no memory taken, and no other. */
#include "interop/hostile.h"
#include "protocol/messages.h"
#include <stdio.h>

enum { GROWTH_MOST_BYTES = 4 << 20 };

/* These bytes from a new client get it disconnected. */
static void expect_refused(struct stage *stage, struct bytes bytes, const char *what)
{
    int client = client_connect(stage);
    bool refused = client_send(client, bytes) && client_is_refused(client);
    test_expect(refused, __FILE__, __LINE__, "%s: is not refused", what);
    test_expect(neighbour_is_well(stage), __FILE__, __LINE__, "%s: the neighbour is not well",
                what);
    client_close(client);
}

static struct bytes literal(const void *data, size_t size)
{
    return (struct bytes){data, (int32_t)size};
}

#define LITERAL(text) literal(text, sizeof(text) - 1)

TEST(hostile_frames, lengths_that_can_not_be_are_refused_before_more_arrives)
{
    struct stage stage;
    if (stage_open(&stage, NULL)) {
        expect_refused(&stage, LITERAL("\xff\xff\xff\xff"), "-1");
        expect_refused(&stage, LITERAL("\x80\0\0\0"), "-2^31");
        expect_refused(&stage, LITERAL("\x7f\xff\xff\xff"), "2^31-1");
        expect_refused(&stage, LITERAL("\x06\x40\0\x01"), "one above socket.request.max.bytes");
        expect_refused(&stage, LITERAL("\0\0\0\0"), "0");
        expect_refused(&stage, LITERAL("\0\0\0\x01\x00"), "1");
        expect_refused(&stage, LITERAL("\0\0\0\x07\0\x12\0\0\0\0\0"), "7");
        expect_refused(&stage, LITERAL("GET / HTTP/1.1\r\n\r\n"), "HTTP");
        expect_refused(&stage, LITERAL("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"), "TLS");
        TRUE_(grown_bytes(&stage) < GROWTH_MOST_BYTES);
    }
    stage_close(&stage);
}

TEST(hostile_frames, a_large_length_alone_takes_no_memory)
{
    struct stage stage;
    int clients[16];
    if (stage_open(&stage, NULL)) {
        for (int i = 0; i < ARRAY_COUNT(clients); i++) {
            clients[i] = client_connect(&stage);
            TRUE_(client_send(clients[i], LITERAL("\x06\x40\0\0\0\x03")));
        }
        TRUE_(neighbour_is_well(&stage));
        TRUE_(grown_bytes(&stage) < GROWTH_MOST_BYTES);
        for (int i = 0; i < ARRAY_COUNT(clients); i++)
            client_close(clients[i]);
    }
    stage_close(&stage);
}

TEST(hostile_frames, unknown_keys_and_versions_are_refused)
{
    static const int16_t keys[] = {4, 5, 7, 96, 127, 500, INT16_MAX, -1, INT16_MIN};
    struct stage stage;
    if (stage_open(&stage, NULL)) {
        char what[32];
        for (int i = 0; i < ARRAY_COUNT(keys); i++) {
            snprintf(what, sizeof what, "key %d", keys[i]);
            expect_refused(&stage, frame_raw(&stage, keys[i], 0, LITERAL("")), what);
        }
        for (int version = -1; version <= 14; version += 15) {
            snprintf(what, sizeof what, "Metadata %d", version);
            expect_refused(&stage, frame_raw(&stage, API_METADATA, (int16_t)version, LITERAL("")),
                           what);
        }
        for (int16_t version = 0; version < 3; version++)
            expect_refused(&stage,
                           frame_raw(&stage, API_PRODUCE, version, LITERAL("\0\1\0\0\0\0\0\0\0\0")),
                           "Produce below 3");
    }
    stage_close(&stage);
}

TEST(hostile_frames, an_unknown_version_of_api_versions_is_answered_in_version_0)
{
    static const int16_t versions[] = {-1, 6, 99, INT16_MAX};
    struct stage stage;
    if (stage_open(&stage, NULL)) {
        int client = client_connect(&stage);
        for (int i = 0; i < ARRAY_COUNT(versions); i++) { /* KIP-511 */
            TRUE_(client_send(client, frame_raw(&stage, API_API_VERSIONS, versions[i],
                                                LITERAL("what nobody knows yet"))));
            struct api_versions_response *out = answer_of(
                &stage, client_receive(&stage, client), API_API_VERSIONS, 0, stage.correlation_id);
            if (!TRUE_(out != NULL))
                break;
            EQ(out->error_code, ERROR_UNSUPPORTED_VERSION);
            TRUE_(out->api_keys_count > 0);
            EQ(out->api_keys[0].api_key, API_PRODUCE);
            EQ(out->api_keys[0].min_version, 0); /* KAFKA-18659 */
        }
        client_close(client);
    }
    stage_close(&stage);
}

TEST(hostile_frames, a_request_one_byte_short_or_long_is_refused)
{
    static const int16_t keys[] = {
#define HANDLER(constant, ...) API_##constant,
#include "api/handlers.def"
#undef HANDLER
    };
    struct stage stage;
    if (stage_open(&stage, NULL))
        for (int i = 0; i < ARRAY_COUNT(keys); i++) {
            const struct api *api = api_find(keys[i]);
            int16_t version = api->newest_stable;
            void *in = request_of(&stage, keys[i]);
            expect_refused(&stage, frame_of(&stage, keys[i], version, in, -1), api->name);
            expect_refused(&stage, frame_of(&stage, keys[i], version, in, 1), api->name);
        }
    stage_close(&stage);
}

TEST(hostile_frames, a_count_of_2_to_the_31_takes_no_memory)
{
    struct stage stage;
    if (stage_open(&stage, NULL)) {
        for (int i = 0; i < 20; i++) {
            expect_refused(&stage, frame_raw(&stage, API_METADATA, 1, LITERAL("\x7f\xff\xff\xff")),
                           "Metadata 1");
            expect_refused(&stage,
                           frame_raw(&stage, API_METADATA, 12, LITERAL("\xff\xff\xff\xff\x07")),
                           "Metadata 12, compact");
            expect_refused(&stage,
                           frame_raw(&stage, API_METADATA, 12, LITERAL("\xff\xff\xff\xff\x0f")),
                           "Metadata 12, compact, 2^32-1");
            expect_refused(
                &stage,
                frame_raw(&stage, API_PRODUCE, 3, LITERAL("\xff\xff\0\1\0\0\0\0\x7f\xff\xff\xff")),
                "Produce 3");
            expect_refused(&stage,
                           frame_raw(&stage, API_LIST_OFFSETS, 1,
                                     LITERAL("\xff\xff\xff\xff\0\x0f\x42\x40\0\1t")),
                           "ListOffsets 1, a million");
        }
        TRUE_(grown_bytes(&stage) < GROWTH_MOST_BYTES);
    }
    stage_close(&stage);
}

TEST(hostile_frames, negative_lengths_other_than_null_are_refused)
{
    struct stage stage;
    if (stage_open(&stage, NULL)) {
        expect_refused(&stage, frame_raw(&stage, API_METADATA, 1, LITERAL("\xff\xff\xff\xfe")),
                       "a count of -2");
        expect_refused(&stage, frame_raw(&stage, API_METADATA, 0, LITERAL("\xff\xff\xff\xff")),
                       "null where there is none");
        expect_refused(&stage, frame_raw(&stage, API_METADATA, 1, LITERAL("\0\0\0\1\xff\xff")),
                       "the name of a topic is null");
        expect_refused(&stage, frame_raw(&stage, API_METADATA, 1, LITERAL("\0\0\0\1\x80\0")),
                       "the name of a topic has -32768 bytes");
        expect_refused(&stage, LITERAL("\0\0\0\x0a\0\x03\0\1\0\0\0\1\xff\xfe"),
                       "the client's id has -2 bytes");
    }
    stage_close(&stage);
}

TEST(hostile_frames, overlong_varints_are_refused)
{
    struct stage stage;
    if (stage_open(&stage, NULL)) {
        expect_refused(&stage, frame_raw(&stage, API_METADATA, 12, LITERAL("\x81\0\1\0\0")),
                       "a count in two bytes where one would do");
        expect_refused(&stage,
                       frame_raw(&stage, API_METADATA, 12, LITERAL("\x80\x80\x80\x80\x80\1\1\0\0")),
                       "a count in six bytes");
        expect_refused(&stage,
                       frame_raw(&stage, API_METADATA, 12, LITERAL("\xff\xff\xff\xff\x1f\1\0\0")),
                       "a count of more than 32 bits");
    }
    stage_close(&stage);
}

TEST(hostile_frames, tags_beyond_the_frame_or_twice_are_refused)
{
    struct stage stage;
    if (stage_open(&stage, NULL)) {
        expect_refused(&stage, frame_raw(&stage, API_METADATA, 12, LITERAL("\0\1\0\1\x05\x7f")),
                       "a tag beyond the frame");
        expect_refused(&stage,
                       frame_raw(&stage, API_METADATA, 12, LITERAL("\0\1\0\2\x05\1a\x05\1b")),
                       "a tag twice");
        expect_refused(&stage,
                       frame_raw(&stage, API_METADATA, 12, LITERAL("\0\1\0\2\x06\1a\x05\1b")),
                       "tags that descend");
        expect_refused(&stage,
                       frame_raw(&stage, API_METADATA, 12, LITERAL("\0\1\0\xff\xff\xff\xff\x0f")),
                       "2^32-1 tags");
        struct bytes good = frame_raw(&stage, API_METADATA, 12, LITERAL("\0\1\0\1\x05\1a"));
        int client = client_connect(&stage);
        TRUE_(client_send(client, good)); /* a tag that nobody knows is no harm */
        TRUE_(client_receive(&stage, client).size > 0);
        client_close(client);
    }
    stage_close(&stage);
}

TEST(hostile_frames, strings_that_are_not_utf_8_are_refused)
{
    struct stage stage;
    if (stage_open(&stage, NULL)) {
        expect_refused(&stage, frame_raw(&stage, API_METADATA, 1, LITERAL("\0\0\0\1\0\2\xc3\x28")),
                       "a cut sequence");
        expect_refused(&stage, frame_raw(&stage, API_METADATA, 1, LITERAL("\0\0\0\1\0\2\xc0\x80")),
                       "an overlong sequence");
        expect_refused(&stage,
                       frame_raw(&stage, API_METADATA, 1, LITERAL("\0\0\0\1\0\3\xed\xa0\x80")),
                       "half a surrogate pair");
        expect_refused(&stage, LITERAL("\0\0\0\x0b\0\x03\0\1\0\0\0\1\0\1\xff"), "a client's id");
    }
    stage_close(&stage);
}

static void expect_bad_name(struct stage *stage, int client, struct string name)
{
    struct create_topics_request *in = request_of(stage, API_CREATE_TOPICS);
    struct create_topics_request_creatable_topic topic = {
        .name = name, .num_partitions = 1, .replication_factor = 1};
    in->topics = &topic;
    in->topics_count = 1;
    struct create_topics_response *out = client_ask(stage, client, API_CREATE_TOPICS, 7, in);
    if (TRUE_(out && out->topics_count == 1))
        EQ(out->topics[0].error_code, ERROR_INVALID_TOPIC_EXCEPTION);
    struct metadata_request *metadata = request_of(stage, API_METADATA);
    struct metadata_request_topic asked = {.name = name};
    metadata->topics = &asked;
    metadata->topics_count = 1;
    metadata->allow_auto_topic_creation = true;
    struct metadata_response *found = client_ask(stage, client, API_METADATA, 12, metadata);
    if (TRUE_(found && found->topics_count == 1))
        EQ(found->topics[0].error_code, ERROR_INVALID_TOPIC_EXCEPTION);
}

TEST(hostile_frames, topic_names_outside_the_set_are_refused)
{
    struct stage stage;
    char long_name[251];
    memset(long_name, 'a', sizeof long_name);
    if (stage_open(&stage, NULL)) {
        int client = client_connect(&stage);
        expect_bad_name(&stage, client, STRING(""));
        expect_bad_name(&stage, client, STRING("."));
        expect_bad_name(&stage, client, STRING(".."));
        expect_bad_name(&stage, client, STRING("../../etc/passwd"));
        expect_bad_name(&stage, client, STRING("a/b"));
        expect_bad_name(&stage, client, STRING("a b"));
        expect_bad_name(&stage, client, STRING("a\0b"));
        expect_bad_name(&stage, client, STRING("\xc3\xa4"));
        expect_bad_name(&stage, client, (struct string){long_name, 250});
        client_close(client);
    }
    stage_close(&stage);
}
