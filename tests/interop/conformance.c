/* Each API in each advertised version, over a real socket, against a real broker: a valid request,
 * one a byte short, one a byte long, and each enum out of its range. What the broker advertises is
 * what is asked; an API without a row here is a missing cell, and fails.
 *
 *   ok   as it must be: an answer without error; a closed connection for a frame that is short or
 *        long; the error that belongs to the enum
 *   -    the version has no enum
 *   gone advertised for the sake of old clients and not served: the connection is closed */
#include "interop/wire.h"
#include "support/test.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* -- requests that are right --------------------------------------------------------------- */

static void fill_produce(struct wire *wire, int16_t version, void *to)
{
    struct produce_request *request = to;
    struct produce_request_topic_produce_data *topic =
        TAKE(wire, produce_request_topic_produce_data);
    topic->partition_data = TAKE(wire, produce_request_partition_produce_data);
    topic->partition_data_count = 1;
    topic->partition_data->records.whole = wire_record(wire);
    if (version >= 13)
        topic->topic_id = wire->topic_id;
    else
        topic->name = STRING(WIRE_TOPIC);
    request->acks = -1;
    request->timeout_ms = 10000;
    request->topic_data = topic;
    request->topic_data_count = 1;
}

static void fill_fetch(struct wire *wire, int16_t version, void *to)
{
    struct fetch_request *request = to;
    struct fetch_request_fetch_topic *topic = TAKE(wire, fetch_request_fetch_topic);
    topic->partitions = TAKE(wire, fetch_request_fetch_partition);
    topic->partitions_count = 1;
    topic->partitions->partition_max_bytes = 65536;
    if (version >= 13)
        topic->topic_id = wire->topic_id;
    else
        topic->topic = STRING(WIRE_TOPIC);
    request->max_bytes = 65536;
    request->topics = topic;
    request->topics_count = 1;
}

static void fill_list_offsets(struct wire *wire, int16_t version, void *to)
{
    struct list_offsets_request *request = to;
    struct list_offsets_request_list_offsets_topic *topic =
        TAKE(wire, list_offsets_request_list_offsets_topic);
    topic->name = STRING(WIRE_TOPIC);
    topic->partitions = TAKE(wire, list_offsets_request_list_offsets_partition);
    topic->partitions_count = 1;
    topic->partitions->timestamp = -1;
    request->replica_id = -1;
    request->topics = topic;
    request->topics_count = 1;
}

static void fill_metadata(struct wire *wire, int16_t version, void *to)
{
    struct metadata_request *request = to;
    request->topics = TAKE(wire, metadata_request_topic);
    request->topics->name = STRING(WIRE_TOPIC);
    request->topics_count = 1;
}

static void fill_find_coordinator(struct wire *wire, int16_t version, void *to)
{
    struct find_coordinator_request *request = to;
    static struct string group = STRING("group");
    if (version < 4) {
        request->key = group;
    } else {
        request->coordinator_keys = &group;
        request->coordinator_keys_count = 1;
    }
}

static void fill_api_versions(struct wire *wire, int16_t version, void *to)
{
    struct api_versions_request *request = to;
    request->client_software_name = STRING("conformance");
    request->client_software_version = STRING("1.0");
}

static void fill_create_topics(struct wire *wire, int16_t version, void *to)
{
    struct create_topics_request *request = to;
    request->topics = TAKE(wire, create_topics_request_creatable_topic);
    request->topics->name = wire_new_name(wire);
    request->topics->num_partitions = 2;
    request->topics->replication_factor = 1;
    request->topics_count = 1;
    request->timeout_ms = 10000;
}

static void fill_delete_topics(struct wire *wire, int16_t version, void *to)
{
    struct delete_topics_request *request = to;
    struct string name = wire_new_name(wire);
    wire_create_topic(wire, name);
    request->timeout_ms = 10000;
    if (version >= 6) {
        request->topics = TAKE(wire, delete_topics_request_delete_topic_state);
        request->topics->name = name;
        request->topics_count = 1;
    } else {
        request->topic_names = arena_copy(&wire->arena, &name, sizeof name);
        request->topic_names_count = 1;
    }
}

static void fill_describe_configs(struct wire *wire, int16_t version, void *to)
{
    struct describe_configs_request *request = to;
    request->resources = TAKE(wire, describe_configs_request_describe_configs_resource);
    request->resources->resource_type = 2;
    request->resources->resource_name = STRING(WIRE_TOPIC);
    request->resources->configuration_keys_count = -1;
    request->resources_count = 1;
    request->include_synonyms = true;
    request->include_documentation = version >= 3;
}

static void fill_alter_configs(struct wire *wire, int16_t version, void *to)
{
    struct alter_configs_request *request = to;
    request->resources = TAKE(wire, alter_configs_request_alter_configs_resource);
    request->resources->resource_type = 2;
    request->resources->resource_name = STRING(WIRE_TOPIC);
    request->resources->configs = TAKE(wire, alter_configs_request_alterable_config);
    request->resources->configs->name = STRING("retention.ms");
    request->resources->configs->value = STRING("100000");
    request->resources->configs_count = 1;
    request->resources_count = 1;
}

static void fill_incremental_alter_configs(struct wire *wire, int16_t version, void *to)
{
    struct incremental_alter_configs_request *request = to;
    request->resources = TAKE(wire, incremental_alter_configs_request_alter_configs_resource);
    request->resources->resource_type = 2;
    request->resources->resource_name = STRING(WIRE_TOPIC);
    request->resources->configs = TAKE(wire, incremental_alter_configs_request_alterable_config);
    request->resources->configs->name = STRING("index.interval.bytes");
    request->resources->configs->value = STRING("8192");
    request->resources->configs_count = 1;
    request->resources_count = 1;
}

static void fill_create_partitions(struct wire *wire, int16_t version, void *to)
{
    struct create_partitions_request *request = to;
    request->topics = TAKE(wire, create_partitions_request_create_partitions_topic);
    request->topics->name = wire_new_name(wire);
    request->topics->count = 3;
    request->topics->assignments_count = -1;
    request->topics_count = 1;
    request->timeout_ms = 10000;
    wire_create_topic(wire, request->topics->name);
}

static void fill_describe_cluster(struct wire *wire, int16_t version, void *to)
{
    struct describe_cluster_request *request = to;
    request->include_cluster_authorized_operations = true;
    request->include_fenced_brokers = version >= 2;
}

static void fill_describe_topic_partitions(struct wire *wire, int16_t version, void *to)
{
    struct describe_topic_partitions_request *request = to;
    request->topics = TAKE(wire, describe_topic_partitions_request_topic_request);
    request->topics->name = STRING(WIRE_TOPIC);
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

/* It is answered, and says that nobody coordinates. */
static int error_of_find_coordinator(const void *from)
{
    const struct find_coordinator_response *response = from;
    int error = response->coordinators_count == 1 ? response->coordinators->error_code
                                                  : response->error_code;
    return error == ERROR_NONE ? INCOMPLETE : error == ERROR_UNSUPPORTED_VERSION ? 0 : error;
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

static int error_of_alter_configs(const void *from)
{
    const struct alter_configs_response *response = from;
    return response->responses_count == 1 ? response->responses->error_code : INCOMPLETE;
}

static int error_of_incremental_alter_configs(const void *from)
{
    const struct incremental_alter_configs_response *response = from;
    return response->responses_count == 1 ? response->responses->error_code : INCOMPLETE;
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

static void spoil_acks(struct wire *wire, void *request)
{
    ((struct produce_request *)request)->acks = 2;
}

static void spoil_fetch_isolation(struct wire *wire, void *request)
{
    ((struct fetch_request *)request)->isolation_level = 2;
}

static void spoil_session_epoch(struct wire *wire, void *request)
{
    ((struct fetch_request *)request)->session_epoch = -2;
}

static void spoil_list_isolation(struct wire *wire, void *request)
{
    ((struct list_offsets_request *)request)->isolation_level = -1;
}

static void spoil_timestamp(struct wire *wire, void *request)
{
    ((struct list_offsets_request *)request)->topics->partitions->timestamp = -7;
}

static void spoil_key_type(struct wire *wire, void *request)
{
    ((struct find_coordinator_request *)request)->key_type = 3;
}

static void spoil_software_name(struct wire *wire, void *request)
{
    ((struct api_versions_request *)request)->client_software_name = STRING("-");
}

static void spoil_partitions(struct wire *wire, void *request)
{
    ((struct create_topics_request *)request)->topics->num_partitions = 0;
}

static void spoil_replicas(struct wire *wire, void *request)
{
    ((struct create_topics_request *)request)->topics->replication_factor = -2;
}

static void spoil_resource_type(struct wire *wire, void *request)
{
    ((struct describe_configs_request *)request)->resources->resource_type = 7;
}

static void spoil_altered_type(struct wire *wire, void *request)
{
    ((struct alter_configs_request *)request)->resources->resource_type = 8;
}

static void spoil_increment_type(struct wire *wire, void *request)
{
    ((struct incremental_alter_configs_request *)request)->resources->resource_type = 3;
}

static void spoil_operation(struct wire *wire, void *request)
{
    ((struct incremental_alter_configs_request *)request)->resources->configs->config_operation = 4;
}

static void spoil_total(struct wire *wire, void *request)
{
    ((struct create_partitions_request *)request)->topics->count = -1;
}

static void spoil_endpoint(struct wire *wire, void *request)
{
    ((struct describe_cluster_request *)request)->endpoint_type = 3;
}

static void other_endpoint(struct wire *wire, void *request)
{
    ((struct describe_cluster_request *)request)->endpoint_type = 2;
}

static void spoil_cursor(struct wire *wire, void *request)
{
    struct describe_topic_partitions_request_cursor *cursor =
        TAKE(wire, describe_topic_partitions_request_cursor);
    cursor->topic_name = STRING(WIRE_TOPIC);
    cursor->partition_index = -1;
    ((struct describe_topic_partitions_request *)request)->cursor = cursor;
}

static const struct spoiling {
    int16_t key, since, until; /* versions; none are left out but by `spoil` null */
    void (*spoil)(struct wire *wire, void *request);
    enum error want;
} spoilings[] = {
    {API_PRODUCE, 3, 13, spoil_acks, ERROR_INVALID_REQUIRED_ACKS},
    {API_FETCH, 4, 18, spoil_fetch_isolation, ERROR_INVALID_REQUEST},
    {API_FETCH, 7, 18, spoil_session_epoch, ERROR_FETCH_SESSION_ID_NOT_FOUND},
    {API_LIST_OFFSETS, 1, 11, spoil_timestamp, ERROR_UNSUPPORTED_VERSION},
    {API_LIST_OFFSETS, 2, 11, spoil_list_isolation, ERROR_INVALID_REQUEST},
    {API_METADATA, 0, 13, NULL, 0},
    {API_FIND_COORDINATOR, 0, 0, NULL, 0},
    {API_FIND_COORDINATOR, 1, 6, spoil_key_type, ERROR_INVALID_REQUEST},
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
    {API_ALTER_CONFIGS, 0, 2, spoil_altered_type, ERROR_INVALID_REQUEST},
    {API_INCREMENTAL_ALTER_CONFIGS, 0, 1, spoil_increment_type, ERROR_INVALID_REQUEST},
    {API_INCREMENTAL_ALTER_CONFIGS, 0, 1, spoil_operation, ERROR_INVALID_REQUEST},
};

static const struct row {
    int16_t key, served_from; /* advertised from an older one on, perhaps */
    void (*fill)(struct wire *wire, int16_t version, void *request);
    int (*error_of)(const void *response);
} rows[] = {
    {API_PRODUCE, 3, fill_produce, error_of_produce},
    {API_FETCH, 4, fill_fetch, error_of_fetch},
    {API_LIST_OFFSETS, 1, fill_list_offsets, error_of_list_offsets},
    {API_METADATA, 0, fill_metadata, error_of_metadata},
    {API_FIND_COORDINATOR, 0, fill_find_coordinator, error_of_find_coordinator},
    {API_API_VERSIONS, 0, fill_api_versions, error_of_api_versions},
    {API_CREATE_TOPICS, 2, fill_create_topics, error_of_create_topics},
    {API_DELETE_TOPICS, 1, fill_delete_topics, error_of_delete_topics},
    {API_DESCRIBE_CONFIGS, 1, fill_describe_configs, error_of_describe_configs},
    {API_CREATE_PARTITIONS, 0, fill_create_partitions, error_of_create_partitions},
    {API_DESCRIBE_CLUSTER, 0, fill_describe_cluster, error_of_describe_cluster},
    {API_DESCRIBE_TOPIC_PARTITIONS, 0, fill_describe_topic_partitions,
     error_of_describe_topic_partitions},
    {API_ALTER_CONFIGS, 0, fill_alter_configs, error_of_alter_configs},
    {API_INCREMENTAL_ALTER_CONFIGS, 0, fill_incremental_alter_configs,
     error_of_incremental_alter_configs},
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

static void *right_request(struct wire *wire, const struct row *row, int16_t version)
{
    const struct api *api = api_find(row->key);
    arena_reset(&wire->arena, WIRE_ARENA_BYTES);
    void *request = wire_take(wire, api->request);
    row->fill(wire, version, request);
    return request;
}

static const char *try_valid(struct wire *wire, const struct row *row, int16_t version)
{
    const struct api *api = api_find(row->key);
    const void *response = wire_call(wire, api, version, right_request(wire, row, version));
    return cell(response && row->error_of(response) == 0, api, version, "a valid request");
}

/* A frame with so many bytes more, or less, than it should have. */
static const char *try_length(struct wire *wire, const struct row *row, int16_t version, int by)
{
    const struct api *api = api_find(row->key);
    const void *request = right_request(wire, row, version);
    size_t size = wire_encode(wire, api, version, request);
    int handle = wire_dial(wire);
    if (by > 0)
        wire->frame[size] = 0;
    bool closed = wire_exchange(wire, handle, size + (size_t)by) == 0;
    close(handle);
    return cell(closed, api, version, by < 0 ? "a byte short" : "a byte long");
}

static const char *try_enums(struct wire *wire, const struct row *row, int16_t version)
{
    const struct api *api = api_find(row->key);
    const char *result = "MISSING";
    for (size_t i = 0; i < sizeof spoilings / sizeof *spoilings; i++) {
        const struct spoiling *spoiling = &spoilings[i];
        if (spoiling->key != row->key || version < spoiling->since || version > spoiling->until)
            continue;
        if (!spoiling->spoil)
            return "-";
        void *request = right_request(wire, row, version);
        spoiling->spoil(wire, request);
        const void *response = wire_call(wire, api, version, request);
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
static const char *try_gone(struct wire *wire, const struct api *api, int16_t version)
{
    struct writer writer;
    writer_init(&writer, wire->frame + 4, WIRE_FRAME_BYTES - 4);
    write_i16(&writer, api->key);
    write_i16(&writer, version);
    write_i32(&writer, WIRE_CORRELATION);
    write_i16(&writer, -1);
    int handle = wire_dial(wire);
    bool closed = wire_exchange(wire, handle, writer.size + 4) == 0;
    close(handle);
    return strcmp(cell(closed, api, version, "not served"), "ok") == 0 ? "gone" : "FAIL";
}

static void try_version(struct wire *wire, const struct api *api, int16_t version)
{
    const struct row *row = find_row(api->key);
    const char *valid = "MISSING", *cut = "MISSING", *longer = "MISSING", *enums = "MISSING";
    test_expect(row != NULL, __FILE__, __LINE__, "%s has no row here", api->name);
    if (row && version < row->served_from) {
        valid = cut = longer = enums = try_gone(wire, api, version);
    } else if (row) {
        valid = try_valid(wire, row, version);
        cut = try_length(wire, row, version, -1);
        longer = try_length(wire, row, version, 1);
        enums = try_enums(wire, row, version);
    }
    printf("  %-24s %7d  %-8s %-8s %-8s %s\n", api->name, version, valid, cut, longer, enums);
}

TEST(conformance, every_api_in_every_advertised_version)
{
    struct wire *wire = wire_start(NULL);
    struct api_versions_response_api_version keys[128];
    if (!wire)
        return;
    struct api_versions_request *request = TAKE(wire, api_versions_request);
    const struct api_versions_response *advertised =
        wire_call(wire, api_find(API_API_VERSIONS), 0, request);
    int32_t count = advertised ? advertised->api_keys_count : 0;
    if (TRUE_(count > 0 && count < 128))
        memcpy(keys, advertised->api_keys, (size_t)count * sizeof *keys);
    printf("  %-24s version  %-8s %-8s %-8s enums\n", "API", "valid", "short", "long");
    for (int32_t i = 0; i < count && i < 128; i++)
        for (int16_t v = keys[i].min_version; v <= keys[i].max_version; v++)
            try_version(wire, api_find(keys[i].api_key), v);
    EQ(count, (int)(sizeof rows / sizeof *rows));
    wire_end(wire);
}
