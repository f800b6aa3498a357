/* What some APIs answer beyond one request: fetch sessions, descriptions of settings, cursors, and
 * the page of metrics; over real sockets against a real broker. */
#include "interop/wire.h"
#include "protocol/batch.h"
#include "support/test.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* -- fetch sessions ------------------------------------------------------------------------ */

/* A Fetch of a session; with epoch 0 it names both partitions of the topic. */
static const struct fetch_response *fetch(struct wire *wire, int handle, int32_t id, int32_t epoch)
{
    const struct api *api = api_find(API_FETCH);
    arena_reset(&wire->arena, WIRE_ARENA_BYTES);
    struct fetch_request *request = TAKE(wire, fetch_request);
    request->session_id = id;
    request->session_epoch = epoch;
    request->max_bytes = 65536;
    request->min_bytes = 1;
    struct fetch_request_fetch_topic *topic = TAKE(wire, fetch_request_fetch_topic);
    struct fetch_request_fetch_partition partitions[2], one;
    message_set_defaults(&fetch_request_fetch_partition_message, &one);
    one.partition_max_bytes = 65536;
    partitions[0] = partitions[1] = one;
    partitions[1].partition = 1;
    topic->topic_id = wire->topic_id;
    topic->partitions = partitions;
    topic->partitions_count = 2;
    request->topics = topic;
    request->topics_count = epoch == 0;
    int64_t size = wire_exchange(wire, handle, wire_encode(wire, api, 13, request));
    const struct fetch_response *response = size > 0 ? wire_decode(wire, api, 13, size) : NULL;
    TRUE_(response != NULL);
    return response ? response : TAKE(wire, fetch_response);
}

/* Produces one record; the error of the answer, or -2 where none came. */
static int produce(struct wire *wire, int32_t index, int16_t acks)
{
    struct produce_request *request = TAKE(wire, produce_request);
    struct produce_request_topic_produce_data *topic =
        TAKE(wire, produce_request_topic_produce_data);
    topic->topic_id = wire->topic_id;
    topic->partition_data = TAKE(wire, produce_request_partition_produce_data);
    topic->partition_data_count = 1;
    topic->partition_data->index = index;
    topic->partition_data->records.whole = wire_record(wire);
    request->acks = acks;
    request->timeout_ms = 10000;
    request->topic_data = topic;
    request->topic_data_count = 1;
    const struct produce_response *response = wire_call(wire, api_find(API_PRODUCE), 13, request);
    return response ? response->responses->partition_responses->error_code : -2;
}

static int32_t partitions_in(const struct fetch_response *response)
{
    return response->responses_count == 1 ? response->responses->partitions_count : 0;
}

TEST(answers, a_fetch_session_tells_only_what_is_new)
{
    struct wire *wire = wire_start(NULL);
    if (!wire)
        return;
    int handle = wire_dial(wire);
    const struct fetch_response *response = fetch(wire, handle, 0, 0);
    int32_t id = response->session_id;
    TRUE_(id > 0);
    EQ(partitions_in(response), 2);
    response = fetch(wire, handle, id, 1);
    EQ(response->session_id, id);
    EQ(response->responses_count, 0); /* nothing happened */
    EQ(produce(wire, 1, -1), ERROR_NONE);
    response = fetch(wire, handle, id, 2);
    EQ(partitions_in(response), 1);
    if (partitions_in(response) == 1) {
        EQ(response->responses->partitions->partition_index, 1);
        TRUE_(response->responses->partitions->records.whole.size > 0);
    }
    response = fetch(wire, handle, id, 2); /* again: the epoch went on */
    EQ(response->error_code, ERROR_INVALID_FETCH_SESSION_EPOCH);
    response = fetch(wire, handle, id, -1); /* closes it */
    EQ(response->error_code, ERROR_NONE);
    EQ(response->session_id, 0);
    response = fetch(wire, handle, id, 3);
    EQ(response->error_code, ERROR_FETCH_SESSION_ID_NOT_FOUND);
    close(handle);
    wire_end(wire);
}

/* -- settings that Produce honours --------------------------------------------------------- */

TEST(answers, acks_all_needs_enough_replicas)
{
    struct wire *wire = wire_start("min.insync.replicas=2");
    if (!wire)
        return;
    EQ(produce(wire, 0, -1), ERROR_NOT_ENOUGH_REPLICAS);
    EQ(produce(wire, 0, 1), ERROR_NONE); /* as in Kafka */
    wire_end(wire);
}

TEST(answers, a_timestamp_too_old_is_refused)
{
    struct wire *wire = wire_start("log.message.timestamp.before.max.ms=1000");
    if (!wire)
        return;
    EQ(produce(wire, 0, -1), ERROR_INVALID_TIMESTAMP);
    wire_end(wire);
}

TEST(answers, a_batch_gets_the_codec_of_the_topic)
{
    struct wire *wire = wire_start("compression.type=zstd");
    if (!wire)
        return;
    EQ(produce(wire, 0, -1), ERROR_NONE);
    int handle = wire_dial(wire);
    const struct fetch_response *response = fetch(wire, handle, 0, 0);
    close(handle);
    struct batch batch;
    struct batch_iterator iterator;
    struct record record;
    struct bytes records = {0};
    if (TRUE_(partitions_in(response) == 2))
        records = response->responses->partitions->records.whole;
    if (!TRUE_(records.size > 0) ||
        !TRUE_(batch_view(records.data, (size_t)records.size, &batch) == ERROR_NONE)) {
        wire_end(wire);
        return;
    }
    EQ(batch.attributes & BATCH_CODEC_MASK, CODEC_ZSTD);
    EQ(batch_check_crc(&batch), ERROR_NONE);
    EQ(batch_iterate(&batch, &wire->arena, &iterator), ERROR_NONE);
    TRUE_(batch_next(&iterator, &record) && record.value.size == 1 && *record.value.data == 'x');
    EQ(record.timestamp, 1700000000000);
    TRUE_(!batch_next(&iterator, &record));
    EQ(iterator.reader.error, ERROR_NONE);
    wire_end(wire);
}

/* -- settings ------------------------------------------------------------------------------ */

static const struct describe_configs_response_describe_configs_result *
describe(struct wire *wire, int8_t type, const char *name, const char *key)
{
    struct describe_configs_request *request = TAKE(wire, describe_configs_request);
    struct string wanted = string_of(key);
    request->resources = TAKE(wire, describe_configs_request_describe_configs_resource);
    request->resources->resource_type = type;
    request->resources->resource_name = string_of(name);
    request->resources->configuration_keys = key ? &wanted : NULL;
    request->resources->configuration_keys_count = key ? 1 : -1;
    request->resources_count = 1;
    request->include_synonyms = true;
    const struct describe_configs_response *response =
        wire_call(wire, api_find(API_DESCRIBE_CONFIGS), 4, request);
    bool good = response && response->results_count == 1;
    TRUE_(good);
    return good ? response->results : TAKE(wire, describe_configs_response_describe_configs_result);
}

static void expect_complaint(struct wire *wire, int8_t type, const char *name, enum error error,
                             const char *text)
{
    const struct describe_configs_response_describe_configs_result *result =
        describe(wire, type, name, NULL);
    EQ(result->error_code, error);
    EQ(result->configs_count, 0);
    test_expect(string_equal(result->error_message, string_of(text)), __FILE__, __LINE__, "%.*s",
                result->error_message.size, result->error_message.data);
}

TEST(answers, settings_are_described_with_their_sources)
{
    struct wire *wire = wire_start("message.max.bytes=500000");
    if (!wire)
        return;
    enum { TOPIC = 2, BROKER = 4, LOGGER = 8 };
    const struct describe_configs_response_describe_configs_result *result;
    result = describe(wire, TOPIC, WIRE_TOPIC, "max.message.bytes");
    EQ(result->configs_count, 1);
    if (result->configs_count == 1) {
        EQ(result->configs->config_source, 4); /* the broker's, from its command line */
        EQ(result->configs->config_type, 3);   /* INT */
        EQ(result->configs->read_only, false);
        EQ(result->configs->synonyms_count, 2);
        TRUE_(string_equal(result->configs->value, STRING("500000")));
    }
    result = describe(wire, BROKER, "1", "message.max.bytes");
    EQ(result->configs_count, 1);
    EQ(result->configs_count == 1 ? result->configs->config_source : 0, 4);
    TRUE_(describe(wire, BROKER, "1", NULL)->configs_count > 200);
    EQ(describe(wire, BROKER, "1", "nothing.of.that.name")->configs_count, 0);
    EQ(describe(wire, BROKER, "", NULL)->error_code, ERROR_NONE);
    EQ(describe(wire, LOGGER, "1", NULL)->error_code, ERROR_NONE);
    expect_complaint(wire, TOPIC, "nope", ERROR_UNKNOWN_TOPIC_OR_PARTITION, "");
    expect_complaint(wire, TOPIC, "..", ERROR_INVALID_TOPIC_EXCEPTION,
                     "Topic name is invalid: '..' is not allowed");
    expect_complaint(wire, BROKER, "2", ERROR_INVALID_REQUEST,
                     "Unexpected broker id, expected 1 or empty string, but received 2");
    expect_complaint(wire, BROKER, "one", ERROR_INVALID_REQUEST,
                     "Broker id must be an integer, but it is: one");
    expect_complaint(wire, LOGGER, "", ERROR_INVALID_REQUEST, "Broker id must not be empty");
    wire_end(wire);
}

/* -- cursors ------------------------------------------------------------------------------- */

/* "a 0 1 b 0 > b 1": what is answered, and where it goes on. */
static void describe_topics(struct wire *wire, const char *from, int32_t index, char *text,
                            size_t size)
{
    struct describe_topic_partitions_request *request =
        TAKE(wire, describe_topic_partitions_request);
    request->response_partition_limit = 3;
    if (from) {
        request->cursor = TAKE(wire, describe_topic_partitions_request_cursor);
        request->cursor->topic_name = string_of(from);
        request->cursor->partition_index = index;
    }
    const struct describe_topic_partitions_response *response =
        wire_call(wire, api_find(API_DESCRIBE_TOPIC_PARTITIONS), 0, request);
    size_t at = 0;
    text[0] = 0;
    for (int32_t i = 0; response && i < response->topics_count; i++) {
        const struct describe_topic_partitions_response_topic *topic = &response->topics[i];
        at += (size_t)snprintf(text + at, size - at, "%s%.*s", i ? " " : "", topic->name.size,
                               topic->name.data);
        for (int32_t j = 0; j < topic->partitions_count; j++)
            at +=
                (size_t)snprintf(text + at, size - at, " %d", topic->partitions[j].partition_index);
    }
    if (response && response->next_cursor)
        snprintf(text + at, size - at, " > %.*s %d", response->next_cursor->topic_name.size,
                 response->next_cursor->topic_name.data, response->next_cursor->partition_index);
}

/* Sets (or, null, takes back) min.insync.replicas of WIRE_TOPIC. */
static void alter(struct wire *wire, const char *value)
{
    struct incremental_alter_configs_request *request =
        TAKE(wire, incremental_alter_configs_request);
    request->resources = TAKE(wire, incremental_alter_configs_request_alter_configs_resource);
    request->resources->resource_type = 2;
    request->resources->resource_name = STRING(WIRE_TOPIC);
    request->resources->configs = TAKE(wire, incremental_alter_configs_request_alterable_config);
    request->resources->configs->name = STRING("min.insync.replicas");
    request->resources->configs->value = string_of(value);
    request->resources->configs->config_operation = value ? 0 : 1;
    request->resources->configs_count = 1;
    request->resources_count = 1;
    const struct incremental_alter_configs_response *response =
        wire_call(wire, api_find(API_INCREMENTAL_ALTER_CONFIGS), 1, request);
    if (TRUE_(response && response->responses_count == 1))
        EQ(response->responses->error_code, ERROR_NONE);
}

/* On partitions that are open, and after a kill and a start. */
TEST(answers, an_altered_setting_counts_at_once_and_stays)
{
    struct wire *wire = wire_start(NULL);
    if (!wire)
        return;
    EQ(produce(wire, 0, -1), ERROR_NONE);
    alter(wire, "2");
    EQ(produce(wire, 0, -1), ERROR_NOT_ENOUGH_REPLICAS);
    process_stop(&wire->broker, SIGKILL);
    if (TRUE_(process_start(&wire->broker))) {
        EQ(produce(wire, 0, -1), ERROR_NOT_ENOUGH_REPLICAS);
        const struct describe_configs_response_describe_configs_result *result =
            describe(wire, 2, WIRE_TOPIC, "min.insync.replicas");
        if (TRUE_(result->configs_count == 1)) {
            EQ(result->configs->config_source, 1); /* DYNAMIC_TOPIC_CONFIG */
            TRUE_(string_equal(result->configs->value, STRING("2")));
        }
        alter(wire, NULL);
        EQ(produce(wire, 0, -1), ERROR_NONE);
    }
    wire_end(wire);
}

TEST(answers, topics_are_described_from_a_cursor_on)
{
    struct wire *wire = wire_start(NULL);
    char text[256];
    if (!wire)
        return;
    wire_create_topic(wire, STRING("b"));
    wire_create_topic(wire, STRING("a"));
    describe_topics(wire, NULL, 0, text, sizeof text);
    EQ_TEXT(text, "a 0 1 b 0 > b 1");
    describe_topics(wire, "b", 1, text, sizeof text);
    EQ_TEXT(text, "b 1 " WIRE_TOPIC " 0 1");
    describe_topics(wire, "aa", 0, text, sizeof text); /* a topic that is gone */
    EQ_TEXT(text, "b 0 1 " WIRE_TOPIC " 0 > " WIRE_TOPIC " 1");
    describe_topics(wire, "a", 1, text, sizeof text); /* ends where a topic does */
    EQ_TEXT(text, "a 1 b 0 1 > " WIRE_TOPIC " 0");
    describe_topics(wire, "z", 0, text, sizeof text);
    EQ_TEXT(text, "");
    wire_end(wire);
}

/* -- metrics ------------------------------------------------------------------------------- */

TEST(answers, metrics_are_served_as_text)
{
    static struct wire aside; /* of which only the address is used: of the page */
    static char text[65536];
    struct wire *wire = wire_start(NULL); /* while it runs, another port is found to be free */
    bool found = wire && process_init(&aside.broker);
    wire_end(wire);
    if (!TRUE_(found))
        return;
    static char setting[64];
    snprintf(setting, sizeof setting, "metrics.listener=%s", aside.broker.address);
    wire = wire_start(setting);
    if (!wire)
        return;
    static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
    int handle = wire_dial(&aside);
    EQ(send(handle, request, sizeof request - 1, MSG_NOSIGNAL), (int)sizeof request - 1);
    size_t size = 0;
    for (ssize_t got = 1; got > 0 && size<sizeof text - 1; size += got> 0 ? (size_t)got : 0)
        got = recv(handle, text + size, sizeof text - 1 - size, 0);
    text[size] = 0;
    close(handle);
    TRUE_(strncmp(text, "HTTP/1.0 200 OK\r\n", 17) == 0);
    TRUE_(strstr(text, "\nbole_requests{api=\"CreateTopics\"} 1\n") != NULL);
    TRUE_(strstr(text, "\nbole_connections_accepted 1\n") != NULL);
    process_done(&aside.broker);
    wire_end(wire);
}
