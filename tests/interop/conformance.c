/* Each API in each advertised version, over a real socket, against a real broker: a valid request,
 * one a byte short, one a byte long, and each enum out of its range. What the broker advertises is
 * what is asked; an API without a row here is a missing cell, and fails.
 *
 *   ok   as it must be: an answer without error; a closed connection for a frame that is short or
 *        long; the error that belongs to the enum
 *   -    the version has no enum
 *   gone advertised for the sake of old clients and not served: the connection is closed */
#include "base/arena.h"
#include "interop/process.h"
#include "protocol/batch.h"
#include "protocol/frame.h"
#include "support/test.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MS = 20000, FRAME_BYTES = 1 << 20, ARENA_BYTES = 32 << 20, CORRELATION = 77 };

struct bench {
    struct process broker;
    struct arena arena; /* of one exchange */
    int serial;         /* for names */
    struct uuid topic_id;
    uint8_t frame[FRAME_BYTES];
};

#define TOPIC "conformance"

/* -- over the socket ----------------------------------------------------------------------- */

static int dial(const struct bench *bench)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)strtol(strchr(bench->broker.address, ':') + 1, NULL, 10));
    int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (handle >= 0 && connect(handle, (struct sockaddr *)&address, sizeof address) != 0) {
        close(handle);
        return -1;
    }
    return handle;
}

/* Reads `size` bytes; how many came before the end of the connection, or the limit. */
static size_t receive(int handle, uint8_t *to, size_t size)
{
    size_t have = 0;
    int64_t deadline_ms = process_now_ms() + ANSWER_MS;
    while (have < size) {
        struct pollfd wanted = {.fd = handle, .events = POLLIN};
        int64_t left_ms = deadline_ms - process_now_ms();
        if (left_ms <= 0 || poll(&wanted, 1, (int)left_ms) <= 0)
            return SIZE_MAX; /* neither an answer nor an end */
        ssize_t got = recv(handle, to + have, size - have, 0);
        if (got <= 0)
            return have;
        have += (size_t)got;
    }
    return have;
}

/* Sends `size` bytes of bench->frame, of which the first four are the length, and receives the
 * answer, without its length, into bench->frame. 0: the connection was closed without one; -1:
 * neither came. */
static int64_t exchange(struct bench *bench, int handle, size_t size)
{
    uint8_t length[4];
    store_be32(bench->frame, (uint32_t)(size - 4));
    if (send(handle, bench->frame, size, MSG_NOSIGNAL) != (ssize_t)size)
        return -1;
    size_t got = receive(handle, length, 4);
    if (got != 4)
        return got == 0 ? 0 : -1;
    size_t answer = load_be32(length);
    if (answer > FRAME_BYTES || receive(handle, bench->frame, answer) != answer)
        return -1;
    return (int64_t)answer;
}

static size_t encode(struct bench *bench, const struct api *api, int16_t version,
                     const void *request)
{
    struct writer writer;
    writer_init(&writer, bench->frame + 4, FRAME_BYTES - 8);
    enum error error =
        request_header_encode(&writer, api, version, CORRELATION, STRING("conformance"));
    if (error == ERROR_NONE)
        error = message_encode(api->request, version, &writer, request);
    test_expect(error == ERROR_NONE && writer.error == ERROR_NONE, __FILE__, __LINE__,
                "%s %d can't be encoded: %s", api->name, version, error_text(error));
    return writer.size + 4;
}

/* The answer in bench->frame, decoded to its last byte; null if it can't be. */
static void *decode(struct bench *bench, const struct api *api, int16_t version, int64_t size)
{
    struct reader reader;
    reader_init(&reader, bench->frame, (size_t)size);
    int32_t correlation = read_i32(&reader);
    if (response_header_version(api, version) > 0 && read_i8(&reader) != 0)
        return NULL; /* no tag is known in it */
    void *response = arena_take(&bench->arena, api->response->size);
    enum error error =
        message_decode_whole(api->response, version, &reader, &bench->arena, response);
    return error == ERROR_NONE && correlation == CORRELATION ? response : NULL;
}

/* One request on a connection of its own; the answer, or null. */
static void *call(struct bench *bench, const struct api *api, int16_t version, const void *request)
{
    int handle = dial(bench);
    int64_t size = exchange(bench, handle, encode(bench, api, version, request));
    close(handle);
    return size > 0 ? decode(bench, api, version, size) : NULL;
}

/* -- requests that are right --------------------------------------------------------------- */

static void *take(struct bench *bench, const struct message *message)
{
    void *value = arena_take(&bench->arena, message->size);
    message_set_defaults(message, value);
    return value;
}

#define TAKE(bench, name) ((struct name *)take((bench), &name##_message))

static struct string new_name(struct bench *bench)
{
    return arena_format(&bench->arena, "conformance-%d", bench->serial++);
}

static struct bytes one_record(struct bench *bench)
{
    struct batch_builder builder;
    struct batch_fields fields = BATCH_FIELDS_PLAIN;
    struct record record = {.timestamp = 1700000000000, .value = {(const uint8_t *)"x", 1}};
    batch_builder_init(&builder, arena_take(&bench->arena, 256), 256);
    batch_builder_add(&builder, &record);
    batch_builder_end(&builder, &fields);
    return (struct bytes){builder.data, (int32_t)builder.size_bytes};
}

static void fill_produce(struct bench *bench, int16_t version, void *to)
{
    struct produce_request *request = to;
    struct produce_request_topic_produce_data *topic =
        TAKE(bench, produce_request_topic_produce_data);
    topic->partition_data = TAKE(bench, produce_request_partition_produce_data);
    topic->partition_data_count = 1;
    topic->partition_data->records.whole = one_record(bench);
    if (version >= 13)
        topic->topic_id = bench->topic_id;
    else
        topic->name = STRING(TOPIC);
    request->acks = -1;
    request->timeout_ms = 10000;
    request->topic_data = topic;
    request->topic_data_count = 1;
}

static void fill_fetch(struct bench *bench, int16_t version, void *to)
{
    struct fetch_request *request = to;
    struct fetch_request_fetch_topic *topic = TAKE(bench, fetch_request_fetch_topic);
    topic->partitions = TAKE(bench, fetch_request_fetch_partition);
    topic->partitions_count = 1;
    topic->partitions->partition_max_bytes = 65536;
    if (version >= 13)
        topic->topic_id = bench->topic_id;
    else
        topic->topic = STRING(TOPIC);
    request->max_bytes = 65536;
    request->topics = topic;
    request->topics_count = 1;
}

static void fill_list_offsets(struct bench *bench, int16_t version, void *to)
{
    struct list_offsets_request *request = to;
    struct list_offsets_request_list_offsets_topic *topic =
        TAKE(bench, list_offsets_request_list_offsets_topic);
    topic->name = STRING(TOPIC);
    topic->partitions = TAKE(bench, list_offsets_request_list_offsets_partition);
    topic->partitions_count = 1;
    topic->partitions->timestamp = -1;
    request->replica_id = -1;
    request->topics = topic;
    request->topics_count = 1;
}

static void fill_metadata(struct bench *bench, int16_t version, void *to)
{
    struct metadata_request *request = to;
    request->topics = TAKE(bench, metadata_request_topic);
    request->topics->name = STRING(TOPIC);
    request->topics_count = 1;
}

static void fill_api_versions(struct bench *bench, int16_t version, void *to)
{
    struct api_versions_request *request = to;
    request->client_software_name = STRING("conformance");
    request->client_software_version = STRING("1.0");
}

static void fill_create_topics(struct bench *bench, int16_t version, void *to)
{
    struct create_topics_request *request = to;
    request->topics = TAKE(bench, create_topics_request_creatable_topic);
    request->topics->name = new_name(bench);
    request->topics->num_partitions = 2;
    request->topics->replication_factor = 1;
    request->topics_count = 1;
    request->timeout_ms = 10000;
}

static void create_topic(struct bench *bench, struct string name)
{
    struct create_topics_request *request = TAKE(bench, create_topics_request);
    fill_create_topics(bench, 7, request);
    request->topics->name = name;
    struct create_topics_response *response = call(bench, api_find(API_CREATE_TOPICS), 7, request);
    TRUE_(response && response->topics_count == 1 && response->topics->error_code == 0);
    if (response && string_equal(name, STRING(TOPIC)))
        bench->topic_id = response->topics->topic_id;
}

static void fill_delete_topics(struct bench *bench, int16_t version, void *to)
{
    struct delete_topics_request *request = to;
    struct string name = new_name(bench);
    create_topic(bench, name);
    request->timeout_ms = 10000;
    if (version >= 6) {
        request->topics = TAKE(bench, delete_topics_request_delete_topic_state);
        request->topics->name = name;
        request->topics_count = 1;
    } else {
        request->topic_names = arena_copy(&bench->arena, &name, sizeof name);
        request->topic_names_count = 1;
    }
}

static void fill_describe_configs(struct bench *bench, int16_t version, void *to)
{
    struct describe_configs_request *request = to;
    request->resources = TAKE(bench, describe_configs_request_describe_configs_resource);
    request->resources->resource_type = 2;
    request->resources->resource_name = STRING(TOPIC);
    request->resources->configuration_keys_count = -1;
    request->resources_count = 1;
    request->include_synonyms = true;
    request->include_documentation = version >= 3;
}

static void fill_create_partitions(struct bench *bench, int16_t version, void *to)
{
    struct create_partitions_request *request = to;
    request->topics = TAKE(bench, create_partitions_request_create_partitions_topic);
    request->topics->name = new_name(bench);
    request->topics->count = 3;
    request->topics->assignments_count = -1;
    request->topics_count = 1;
    request->timeout_ms = 10000;
    create_topic(bench, request->topics->name);
}

static void fill_describe_cluster(struct bench *bench, int16_t version, void *to)
{
    struct describe_cluster_request *request = to;
    request->include_cluster_authorized_operations = true;
    request->include_fenced_brokers = version >= 2;
}

static void fill_describe_topic_partitions(struct bench *bench, int16_t version, void *to)
{
    struct describe_topic_partitions_request *request = to;
    request->topics = TAKE(bench, describe_topic_partitions_request_topic_request);
    request->topics->name = STRING(TOPIC);
    request->topics_count = 1;
}

/* -- what an answer says ------------------------------------------------------------------- */

/* The first error of an answer; -2 if what was asked is not in it. */
enum { INCOMPLETE = -2 };

static int error_of_produce(const void *from)
{
    const struct produce_response *response = from;
    if (response->responses_count != 1 || response->responses->partition_responses_count != 1)
        return INCOMPLETE;
    return response->responses->partition_responses->error_code;
}

static int error_of_fetch(const void *from)
{
    const struct fetch_response *response = from;
    if (response->error_code)
        return response->error_code;
    if (response->responses_count != 1 || response->responses->partitions_count != 1)
        return INCOMPLETE;
    const struct fetch_response_partition_data *partition = response->responses->partitions;
    if (partition->error_code)
        return partition->error_code;
    return partition->records.whole.size > 0 ? 0 : INCOMPLETE;
}

static int error_of_list_offsets(const void *from)
{
    const struct list_offsets_response *response = from;
    if (response->topics_count != 1 || response->topics->partitions_count != 1)
        return INCOMPLETE;
    return response->topics->partitions->error_code;
}

static int error_of_metadata(const void *from)
{
    const struct metadata_response *response = from;
    if (response->topics_count != 1 || response->brokers_count != 1 || response->error_code)
        return INCOMPLETE;
    int error = response->topics->error_code;
    return error == 0 && response->topics->partitions_count != 2 ? INCOMPLETE : error;
}

static int error_of_api_versions(const void *from)
{
    const struct api_versions_response *response = from;
    int error = response->error_code;
    return error == 0 && response->api_keys_count == 0 ? INCOMPLETE : error;
}

static int error_of_create_topics(const void *from)
{
    const struct create_topics_response *response = from;
    return response->topics_count == 1 ? response->topics->error_code : INCOMPLETE;
}

static int error_of_delete_topics(const void *from)
{
    const struct delete_topics_response *response = from;
    return response->responses_count == 1 ? response->responses->error_code : INCOMPLETE;
}

static int error_of_describe_configs(const void *from)
{
    const struct describe_configs_response *response = from;
    if (response->results_count != 1)
        return INCOMPLETE;
    int error = response->results->error_code;
    return error == 0 && response->results->configs_count < 20 ? INCOMPLETE : error;
}

static int error_of_create_partitions(const void *from)
{
    const struct create_partitions_response *response = from;
    return response->results_count == 1 ? response->results->error_code : INCOMPLETE;
}

static int error_of_describe_cluster(const void *from)
{
    const struct describe_cluster_response *response = from;
    int error = response->error_code;
    return error == 0 && response->brokers_count != 1 ? INCOMPLETE : error;
}

static int error_of_describe_topic_partitions(const void *from)
{
    const struct describe_topic_partitions_response *response = from;
    return response->topics_count == 1 ? response->topics->error_code : INCOMPLETE;
}

/* -- enums out of range -------------------------------------------------------------------- */

static void spoil_acks(struct bench *bench, void *request)
{
    ((struct produce_request *)request)->acks = 2;
}

static void spoil_fetch_isolation(struct bench *bench, void *request)
{
    ((struct fetch_request *)request)->isolation_level = 2;
}

static void spoil_session_epoch(struct bench *bench, void *request)
{
    ((struct fetch_request *)request)->session_epoch = -2;
}

static void spoil_list_isolation(struct bench *bench, void *request)
{
    ((struct list_offsets_request *)request)->isolation_level = -1;
}

static void spoil_timestamp(struct bench *bench, void *request)
{
    ((struct list_offsets_request *)request)->topics->partitions->timestamp = -7;
}

static void spoil_software_name(struct bench *bench, void *request)
{
    ((struct api_versions_request *)request)->client_software_name = STRING("-");
}

static void spoil_partitions(struct bench *bench, void *request)
{
    ((struct create_topics_request *)request)->topics->num_partitions = 0;
}

static void spoil_replicas(struct bench *bench, void *request)
{
    ((struct create_topics_request *)request)->topics->replication_factor = -2;
}

static void spoil_resource_type(struct bench *bench, void *request)
{
    ((struct describe_configs_request *)request)->resources->resource_type = 7;
}

static void spoil_total(struct bench *bench, void *request)
{
    ((struct create_partitions_request *)request)->topics->count = -1;
}

static void spoil_endpoint(struct bench *bench, void *request)
{
    ((struct describe_cluster_request *)request)->endpoint_type = 3;
}

static void other_endpoint(struct bench *bench, void *request)
{
    ((struct describe_cluster_request *)request)->endpoint_type = 2;
}

static void spoil_cursor(struct bench *bench, void *request)
{
    struct describe_topic_partitions_request_cursor *cursor =
        TAKE(bench, describe_topic_partitions_request_cursor);
    cursor->topic_name = STRING(TOPIC);
    cursor->partition_index = -1;
    ((struct describe_topic_partitions_request *)request)->cursor = cursor;
}

static const struct spoiling {
    int16_t key, since, until; /* versions; none are left out but by `spoil` null */
    void (*spoil)(struct bench *bench, void *request);
    enum error want;
} spoilings[] = {
    {API_PRODUCE, 3, 13, spoil_acks, ERROR_INVALID_REQUIRED_ACKS},
    {API_FETCH, 4, 18, spoil_fetch_isolation, ERROR_INVALID_REQUEST},
    {API_FETCH, 7, 18, spoil_session_epoch, ERROR_FETCH_SESSION_ID_NOT_FOUND},
    {API_LIST_OFFSETS, 1, 11, spoil_timestamp, ERROR_UNSUPPORTED_VERSION},
    {API_LIST_OFFSETS, 2, 11, spoil_list_isolation, ERROR_INVALID_REQUEST},
    {API_METADATA, 0, 13, NULL, 0},
    {API_API_VERSIONS, 0, 2, NULL, 0},
    {API_API_VERSIONS, 3, 5, spoil_software_name, ERROR_INVALID_REQUEST},
    {API_CREATE_TOPICS, 2, 7, spoil_partitions, ERROR_INVALID_PARTITIONS},
    {API_CREATE_TOPICS, 2, 7, spoil_replicas, ERROR_INVALID_REPLICATION_FACTOR},
    {API_DELETE_TOPICS, 1, 6, NULL, 0},
    {API_DESCRIBE_CONFIGS, 1, 4, spoil_resource_type, ERROR_INVALID_REQUEST},
    {API_CREATE_PARTITIONS, 0, 3, spoil_total, ERROR_INVALID_PARTITIONS},
    {API_DESCRIBE_CLUSTER, 0, 0, NULL, 0},
    {API_DESCRIBE_CLUSTER, 1, 2, spoil_endpoint, ERROR_UNSUPPORTED_ENDPOINT_TYPE},
    {API_DESCRIBE_CLUSTER, 1, 2, other_endpoint, ERROR_MISMATCHED_ENDPOINT_TYPE},
    {API_DESCRIBE_TOPIC_PARTITIONS, 0, 0, spoil_cursor, ERROR_INVALID_REQUEST},
};

static const struct row {
    int16_t key, served_from; /* advertised from an older one on, perhaps */
    void (*fill)(struct bench *bench, int16_t version, void *request);
    int (*error_of)(const void *response);
} rows[] = {
    {API_PRODUCE, 3, fill_produce, error_of_produce},
    {API_FETCH, 4, fill_fetch, error_of_fetch},
    {API_LIST_OFFSETS, 1, fill_list_offsets, error_of_list_offsets},
    {API_METADATA, 0, fill_metadata, error_of_metadata},
    {API_API_VERSIONS, 0, fill_api_versions, error_of_api_versions},
    {API_CREATE_TOPICS, 2, fill_create_topics, error_of_create_topics},
    {API_DELETE_TOPICS, 1, fill_delete_topics, error_of_delete_topics},
    {API_DESCRIBE_CONFIGS, 1, fill_describe_configs, error_of_describe_configs},
    {API_CREATE_PARTITIONS, 0, fill_create_partitions, error_of_create_partitions},
    {API_DESCRIBE_CLUSTER, 0, fill_describe_cluster, error_of_describe_cluster},
    {API_DESCRIBE_TOPIC_PARTITIONS, 0, fill_describe_topic_partitions,
     error_of_describe_topic_partitions},
};

/* -- the matrix ---------------------------------------------------------------------------- */

static const struct row *find_row(int16_t key)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].key == key)
            return &rows[i];
    return NULL;
}

static const char *cell(bool good, const struct api *api, int16_t version, const char *what)
{
    test_expect(good, __FILE__, __LINE__, "%s version %d: %s", api->name, version, what);
    return good ? "ok" : "FAIL";
}

static void *right_request(struct bench *bench, const struct row *row, int16_t version)
{
    const struct api *api = api_find(row->key);
    arena_reset(&bench->arena, ARENA_BYTES);
    void *request = take(bench, api->request);
    row->fill(bench, version, request);
    return request;
}

static const char *try_valid(struct bench *bench, const struct row *row, int16_t version)
{
    const struct api *api = api_find(row->key);
    const void *response = call(bench, api, version, right_request(bench, row, version));
    return cell(response && row->error_of(response) == 0, api, version, "a valid request");
}

/* A frame with so many bytes more, or less, than it should have. */
static const char *try_length(struct bench *bench, const struct row *row, int16_t version, int by)
{
    const struct api *api = api_find(row->key);
    const void *request = right_request(bench, row, version);
    size_t size = encode(bench, api, version, request);
    int handle = dial(bench);
    if (by > 0)
        bench->frame[size] = 0;
    bool closed = exchange(bench, handle, size + (size_t)by) == 0;
    close(handle);
    return cell(closed, api, version, by < 0 ? "a byte short" : "a byte long");
}

static const char *try_enums(struct bench *bench, const struct row *row, int16_t version)
{
    const struct api *api = api_find(row->key);
    const char *result = "MISSING";
    for (size_t i = 0; i < sizeof spoilings / sizeof *spoilings; i++) {
        const struct spoiling *spoiling = &spoilings[i];
        if (spoiling->key != row->key || version < spoiling->since || version > spoiling->until)
            continue;
        if (!spoiling->spoil)
            return "-";
        void *request = right_request(bench, row, version);
        spoiling->spoil(bench, request);
        const void *response = call(bench, api, version, request);
        int got = response ? row->error_of(response) : INCOMPLETE;
        if (test_expect(got == (int)spoiling->want, __FILE__, __LINE__,
                        "%s version %d: an enum out of range: got %d, want %s", api->name, version,
                        got, error_name(spoiling->want)))
            result = strcmp(result, "FAIL") == 0 ? result : "ok";
        else
            result = "FAIL";
    }
    test_expect(strcmp(result, "MISSING") != 0, __FILE__, __LINE__,
                "%s version %d has no row in spoilings", api->name, version);
    return result;
}

/* A version that is advertised and not served. */
static const char *try_gone(struct bench *bench, const struct api *api, int16_t version)
{
    struct writer writer;
    writer_init(&writer, bench->frame + 4, FRAME_BYTES - 4);
    write_i16(&writer, api->key);
    write_i16(&writer, version);
    write_i32(&writer, CORRELATION);
    write_i16(&writer, -1);
    int handle = dial(bench);
    bool closed = exchange(bench, handle, writer.size + 4) == 0;
    close(handle);
    return strcmp(cell(closed, api, version, "not served"), "ok") == 0 ? "gone" : "FAIL";
}

static void try_version(struct bench *bench, const struct api *api, int16_t version)
{
    const struct row *row = find_row(api->key);
    const char *valid = "MISSING", *cut = "MISSING", *longer = "MISSING", *enums = "MISSING";
    test_expect(row != NULL, __FILE__, __LINE__, "%s has no row here", api->name);
    if (row && version < row->served_from) {
        valid = cut = longer = enums = try_gone(bench, api, version);
    } else if (row) {
        valid = try_valid(bench, row, version);
        cut = try_length(bench, row, version, -1);
        longer = try_length(bench, row, version, 1);
        enums = try_enums(bench, row, version);
    }
    printf("  %-24s %7d  %-8s %-8s %-8s %s\n", api->name, version, valid, cut, longer, enums);
}

static bool start(struct bench *bench)
{
    *bench = (struct bench){0};
    arena_init(&bench->arena, ARENA_BYTES);
    if (!process_init(&bench->broker) || !process_start(&bench->broker)) {
        TRUE_(!"the broker starts");
        return false;
    }
    create_topic(bench, STRING(TOPIC));
    return true;
}

static void end(struct bench *bench)
{
    int status = process_stop(&bench->broker, SIGTERM);
    TRUE_(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    process_done(&bench->broker);
    arena_done(&bench->arena);
    free(bench);
}

TEST(conformance, every_api_in_every_advertised_version)
{
    struct bench *bench = malloc(sizeof *bench);
    const struct api *versions_api = api_find(API_API_VERSIONS);
    struct api_versions_response_api_version keys[128];
    if (start(bench)) {
        struct api_versions_request *request = TAKE(bench, api_versions_request);
        fill_api_versions(bench, 0, request);
        struct api_versions_response *advertised = call(bench, versions_api, 0, request);
        int32_t count = advertised ? advertised->api_keys_count : 0;
        TRUE_(count > 0 && count < 128);
        if (count > 0 && count < 128)
            memcpy(keys, advertised->api_keys, (size_t)count * sizeof *keys);
        printf("  %-24s version  %-8s %-8s %-8s enums\n", "API", "valid", "short", "long");
        for (int32_t i = 0; i < count; i++)
            for (int16_t v = keys[i].min_version; v <= keys[i].max_version; v++)
                try_version(bench, api_find(keys[i].api_key), v);
        EQ(count, (int)(sizeof rows / sizeof *rows));
    }
    end(bench);
}

/* -- sessions ------------------------------------------------------------------------------ */

static struct fetch_response *fetch_on(struct bench *bench, int handle, int32_t id, int32_t epoch)
{
    const struct api *api = api_find(API_FETCH);
    arena_reset(&bench->arena, ARENA_BYTES);
    struct fetch_request *request = TAKE(bench, fetch_request);
    request->session_id = id;
    request->session_epoch = epoch;
    request->max_bytes = 65536;
    request->min_bytes = 1;
    if (epoch == 0) {
        fill_fetch(bench, 13, request);
        struct fetch_request_fetch_partition *two = arena_take(&bench->arena, 2 * sizeof *two);
        two[0] = two[1] = *request->topics->partitions;
        two[1].partition = 1;
        request->topics->partitions = two;
        request->topics->partitions_count = 2;
    }
    int64_t size = exchange(bench, handle, encode(bench, api, 13, request));
    struct fetch_response *response = size > 0 ? decode(bench, api, 13, size) : NULL;
    TRUE_(response != NULL);
    return response ? response : TAKE(bench, fetch_response);
}

TEST(conformance, a_fetch_session_tells_only_what_is_new)
{
    struct bench *bench = malloc(sizeof *bench);
    if (start(bench)) {
        int handle = dial(bench);
        struct fetch_response *response = fetch_on(bench, handle, 0, 0);
        int32_t id = response->session_id;
        TRUE_(id > 0);
        EQ(response->responses_count, 1);
        EQ(response->responses_count ? response->responses->partitions_count : 0, 2);
        response = fetch_on(bench, handle, id, 1);
        EQ(response->session_id, id);
        EQ(response->responses_count, 0); /* nothing happened */
        TRUE_(call(bench, api_find(API_PRODUCE), 13,
                   right_request(bench, find_row(API_PRODUCE), 13)) != NULL);
        response = fetch_on(bench, handle, id, 2);
        EQ(error_of_fetch(response), 0); /* one partition, with a record */
        response = fetch_on(bench, handle, id, 2);
        EQ(response->error_code, ERROR_INVALID_FETCH_SESSION_EPOCH);
        response = fetch_on(bench, handle, id, -1);
        EQ(response->error_code, 0);
        EQ(response->session_id, 0);
        response = fetch_on(bench, handle, id, 3);
        EQ(response->error_code, ERROR_FETCH_SESSION_ID_NOT_FOUND);
        close(handle);
    }
    end(bench);
}
