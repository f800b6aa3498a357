/* Every served API at every version: a plain request is answered; the same cut short or with bytes
 * too many closes the connection with one line, and its neighbour goes on. */
#include "api/api.h"
#include "api/bench.h"
#include "base/check.h"
#include "base/memory.h"
#include "net/request.h"

static void ping(struct bench *bench, int32_t handle)
{
    struct metadata_request *in = bench_request(bench, API_METADATA);
    struct metadata_response *out = bench_ask(bench, handle, API_METADATA, 9, in);
    TRUE_(out && out->brokers_count == 1);
}

static void refused(struct bench *bench, struct bytes frame, const char *why)
{
    int32_t handle = bench_connect(bench);
    int lines = bench->lines;
    fake_feed(&bench->ports[0], handle, frame.data, (size_t)frame.size);
    bench_settle(bench);
    TRUE_(!bench_is_open(bench, handle));
    EQ(bench->ports[0].sockets[handle].out_size, 0);
    EQ(bench->lines, lines + 1);
    TRUE_(strstr(bench->last_line, "event=request_refused") && strstr(bench->last_line, why));
    memory_free(bench->ports[0].sockets[handle].in);
    memory_free(bench->ports[0].sockets[handle].out);
    bench->ports[0].sockets[handle] = (struct fake_socket){0};
}

static void every_version(int16_t key)
{
    struct bench *bench = bench_open();
    int32_t neighbour = bench_connect(bench);
    const struct api *api = api_find(key);
    struct handler handler;
    TRUE_(handler_find(key, &handler));
    for (int16_t version = handler.oldest; version <= handler.newest; version++) {
        bench_pass_ms(bench, 2000); /* so that the limit of lines a second is not met */
        const void *in = bench_request(bench, key);
        if (key == API_API_VERSIONS) {
            ((struct api_versions_request *)in)->client_software_name = STRING("test");
            ((struct api_versions_request *)in)->client_software_version = STRING("1.0");
        }
        if (key == API_PRODUCE)
            ((struct produce_request *)in)->acks = 1;
        int32_t handle = bench_connect(bench);
        TRUE_(bench_ask(bench, handle, key, version, in) != NULL);
        fake_end(&bench->ports[0], handle);
        bench_settle(bench);
        memory_free(bench->ports[0].sockets[handle].in);
        memory_free(bench->ports[0].sockets[handle].out);
        bench->ports[0].sockets[handle] = (struct fake_socket){0};
        if (message_size(api->request, version, in) > 0)
            refused(bench, bench_frame(bench, api, version, in, -1), "too early");
        refused(bench, bench_frame(bench, api, version, in, 1), "bytes are left");
    }
    ping(bench, neighbour);
    bench_close(bench);
}

#define HANDLER(constant, name, advertised, oldest, newest, frame)                                 \
    TEST(frames, name##_at_every_version)                                                          \
    {                                                                                              \
        every_version(API_##constant);                                                             \
    }
#include "api/handlers.def"
#undef HANDLER

/* What librdkafka sends for all topics: the flags stand three bytes later than they should. */
TEST(frames, metadata_of_all_topics_may_slip_by_three_bytes)
{
    struct bench *bench = bench_open();
    int32_t handle = bench_connect(bench);
    const struct api *api = api_find(API_METADATA);
    for (int16_t version = 9; version <= 13; version++) {
        bench_pass_ms(bench, 2000); /* so that the limit of lines a second is not met */
        struct metadata_request *in = bench_request(bench, API_METADATA);
        in->topics_count = -1;
        in->topics = NULL;
        struct bytes frame = bench_frame(bench, api, version, in, 3);
        fake_feed(&bench->ports[0], handle, frame.data, (size_t)frame.size);
        bench_settle(bench);
        struct metadata_response *out = bench_answer(bench, handle, API_METADATA, version);
        TRUE_(out && out->brokers_count == 1);
        refused(bench, bench_frame(bench, api, version, in, 2), "bytes are left");
        refused(bench, bench_frame(bench, api, version, in, 4), "bytes are left");
        in->topics_count = 0;
        refused(bench, bench_frame(bench, api, version, in, 3), "bytes are left");
    }
    bench_close(bench);
}

/* A count of 2^31-1 is refused before anything is allocated for it. */
TEST(frames, a_count_of_all_ones_allocates_nothing)
{
    struct bench *bench = bench_open();
    struct metadata_request *in = bench_request(bench, API_METADATA);
    in->topics = NULL;
    in->topics_count = 0;
    struct bytes frame = bench_frame(bench, api_find(API_METADATA), 1, in, 0);
    store_be32((uint8_t *)frame.data + frame.size - 4, 0x7fffffff);
    size_t used = bench->broker.shards[0].core.buffers.used_bytes;
    refused(bench, frame, "");
    EQ(bench->broker.shards[0].core.buffers.used_bytes, used);
    for (int i = 0; i < BENCH_CORES; i++) {
        struct list *kept = &bench->broker.shards[i].net->kept_requests;
        for (struct list *node = kept->next; node != kept; node = node->next)
            EQ(CONTAINER_OF(node, struct request, link)->arena.used_bytes, 0);
    }
    bench_close(bench);
}

TEST(frames, what_is_not_served_is_refused_by_name)
{
    struct bench *bench = bench_open();
    uint8_t bytes[] = {0, 0, 0, 10, 0, API_JOIN_GROUP, 0, 0, 0, 0, 0, 1, 255, 255};
    refused(bench, (struct bytes){bytes, sizeof bytes}, "why=\"this API is not served\"");
    bytes[5] = 99;
    refused(bench, (struct bytes){bytes, sizeof bytes}, "why=\"there is no such API\"");
    bytes[5] = API_PRODUCE;
    refused(bench, (struct bytes){bytes, sizeof bytes}, "api=0 version=0");
    bytes[3] = 1;
    refused(bench, (struct bytes){bytes, 5}, "too early");
    bytes[3] = 0;
    refused(bench, (struct bytes){bytes, 4}, "too early");
    bench_close(bench);
}

enum {
#define HANDLER(constant, ...) SERVED_##constant,
#include "api/handlers.def"
#undef HANDLER
    SERVED_COUNT
};

TEST(api_versions, lists_what_is_served)
{
    struct bench *bench = bench_open();
    int32_t handle = bench_connect(bench);
    struct api_versions_request *in = bench_request(bench, API_API_VERSIONS);
    struct api_versions_response *out = bench_ask(bench, handle, API_API_VERSIONS, 0, in);
    EQ(out->error_code, 0);
    EQ(out->api_keys_count, SERVED_COUNT);
    EQ(out->api_keys[0].api_key, API_PRODUCE);
    EQ(out->api_keys[0].min_version, 0); /* KAFKA-18659 */
    EQ(out->api_keys[0].max_version, 13);
    EQ(out->api_keys[1].min_version, 4);
    bench_close(bench);
}

TEST(api_versions, answers_an_unknown_version_in_the_oldest_form)
{
    struct bench *bench = bench_open();
    int32_t handle = bench_connect(bench);
    uint8_t bytes[] = {0, 0, 0, 12, 0, 18, 0, 77, 0, 0, 0, 1, 1, 2, 3, 4};
    fake_feed(&bench->ports[0], handle, bytes, sizeof bytes);
    bench_settle(bench);
    struct api_versions_response *out = bench_answer(bench, handle, API_API_VERSIONS, 0);
    TRUE_(out != NULL);
    EQ(out->error_code, ERROR_UNSUPPORTED_VERSION);
    EQ(out->api_keys_count, SERVED_COUNT);
    TRUE_(bench_is_open(bench, handle));
    bench_close(bench);
}

TEST(api_versions, tells_a_misrouted_client)
{
    struct bench *bench = bench_open();
    int32_t handle = bench_connect(bench);
    struct api_versions_request *in = bench_request(bench, API_API_VERSIONS);
    in->client_software_name = STRING("a");
    in->client_software_version = STRING("1");
    in->node_id = 8;
    EQ(((struct api_versions_response *)bench_ask(bench, handle, API_API_VERSIONS, 5, in))
           ->error_code,
       ERROR_REBOOTSTRAP_REQUIRED);
    in->node_id = 7;
    EQ(((struct api_versions_response *)bench_ask(bench, handle, API_API_VERSIONS, 5, in))
           ->error_code,
       0);
    in->client_software_name = STRING("-");
    EQ(((struct api_versions_response *)bench_ask(bench, handle, API_API_VERSIONS, 5, in))
           ->error_code,
       ERROR_INVALID_REQUEST);
    bench_close(bench);
}

TEST(find_coordinator, says_that_nobody_coordinates)
{
    struct bench *bench = bench_open();
    int32_t handle = bench_connect(bench);
    struct find_coordinator_request *in = bench_request(bench, API_FIND_COORDINATOR);
    struct string keys[] = {STRING("a"), STRING("b")};
    in->key = keys[0];
    struct find_coordinator_response *out = bench_ask(bench, handle, API_FIND_COORDINATOR, 3, in);
    EQ(out->error_code, ERROR_UNSUPPORTED_VERSION); /* not one that is tried again */
    EQ(out->node_id, -1);
    TRUE_(out->error_message.size > 0);
    in->key = STRING("");
    in->coordinator_keys = keys;
    in->coordinator_keys_count = 2;
    out = bench_ask(bench, handle, API_FIND_COORDINATOR, 6, in);
    EQ(out->coordinators_count, 2);
    for (int i = 0; i < out->coordinators_count; i++) {
        TRUE_(string_equal(out->coordinators[i].key, keys[i]));
        EQ(out->coordinators[i].error_code, ERROR_UNSUPPORTED_VERSION);
    }
    in->key_type = 3;
    out = bench_ask(bench, handle, API_FIND_COORDINATOR, 6, in);
    EQ(out->coordinators[0].error_code, ERROR_INVALID_REQUEST);
    bench_close(bench);
}
