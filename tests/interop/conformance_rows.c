/* What conformance.c asks of each API, and how its answer is judged. */
#include "base/check.h"
#include "interop/conformance.h"

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

/* -- producers, leader epochs --------------------------------------------------------------- */

static void fill_init_producer_id(struct wire *wire, int16_t version, void *to)
{
    struct init_producer_id_request *request = to;
    request->transactional_id = STRING_NULL;
    request->transaction_timeout_ms = 1000;
}

static int error_of_init_producer_id(const void *from)
{
    const struct init_producer_id_response *response = from;
    int error = response->error_code;
    return error == 0 && response->producer_id < 0 ? INCOMPLETE : error;
}

static void fill_describe_producers(struct wire *wire, int16_t version, void *to)
{
    struct describe_producers_request *request = to;
    request->topics = TAKE(wire, describe_producers_request_topic_request);
    request->topics_count = 1;
    request->topics->name = STRING(WIRE_TOPIC);
    request->topics->partition_indexes = arena_take(&wire->arena, sizeof(int32_t));
    request->topics->partition_indexes[0] = 0;
    request->topics->partition_indexes_count = 1;
}

static int error_of_describe_producers(const void *from)
{
    const struct describe_producers_response *response = from;
    if (response->topics_count != 1 || response->topics->partitions_count != 1)
        return INCOMPLETE;
    return response->topics->partitions->error_code;
}

/* Null: all of them. */
static void fill_describe_log_dirs(struct wire *wire, int16_t version, void *to)
{
    struct describe_log_dirs_request *request = to;
    request->topics_count = -1;
}

static int error_of_describe_log_dirs(const void *from)
{
    const struct describe_log_dirs_response *response = from;
    if (response->results_count < 1 || response->results->topics_count < 1)
        return INCOMPLETE;
    return response->results->log_dir.data[0] == '/' ? response->results->error_code : INCOMPLETE;
}

static void fill_delete_records(struct wire *wire, int16_t version, void *to)
{
    struct delete_records_request *request = to;
    request->topics = TAKE(wire, delete_records_request_delete_records_topic);
    request->topics_count = 1;
    request->topics->name = STRING(WIRE_TOPIC);
    request->topics->partitions = TAKE(wire, delete_records_request_delete_records_partition);
    request->topics->partitions_count = 1;
    request->timeout_ms = 10000; /* offset 0: nothing goes */
}

static int error_of_delete_records(const void *from)
{
    const struct delete_records_response *response = from;
    if (response->topics_count != 1 || response->topics->partitions_count != 1)
        return INCOMPLETE;
    const struct delete_records_response_delete_records_partition_result *partition =
        response->topics->partitions;
    bool told =
        partition->error_code ? partition->low_watermark == -1 : partition->low_watermark >= 0;
    return told ? partition->error_code : INCOMPLETE;
}

static void spoil_deleted_offset(struct wire *wire, void *request)
{
    ((struct delete_records_request *)request)->topics->partitions->offset = INT64_MAX;
}

static void fill_offset_for_leader_epoch(struct wire *wire, int16_t version, void *to)
{
    struct offset_for_leader_epoch_request *request = to;
    request->topics = TAKE(wire, offset_for_leader_epoch_request_offset_for_leader_topic);
    request->topics_count = 1;
    request->topics->topic = STRING(WIRE_TOPIC);
    request->topics->partitions =
        TAKE(wire, offset_for_leader_epoch_request_offset_for_leader_partition);
    request->topics->partitions_count = 1;
    request->replica_id = -1;
}

static int error_of_offset_for_leader_epoch(const void *from)
{
    const struct offset_for_leader_epoch_response *response = from;
    if (response->topics_count != 1 || response->topics->partitions_count != 1)
        return INCOMPLETE;
    return response->topics->partitions->error_code;
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

const struct conformance_spoiling conformance_spoilings[] = {
    {API_PRODUCE, 3, 13, spoil_acks, ERROR_INVALID_REQUIRED_ACKS},
    {API_FETCH, 4, 18, spoil_fetch_isolation, ERROR_INVALID_REQUEST},
    {API_FETCH, 7, 18, spoil_session_epoch, ERROR_FETCH_SESSION_ID_NOT_FOUND},
    {API_LIST_OFFSETS, 1, 11, spoil_timestamp, ERROR_UNSUPPORTED_VERSION},
    {API_LIST_OFFSETS, 2, 11, spoil_list_isolation, ERROR_INVALID_REQUEST},
    {API_METADATA, 0, 13, NULL, 0},
    {API_INIT_PRODUCER_ID, 0, 6, NULL, 0},
    {API_DESCRIBE_PRODUCERS, 0, 0, NULL, 0},
    {API_DESCRIBE_LOG_DIRS, 1, 5, NULL, 0},
    {API_DELETE_RECORDS, 0, 2, spoil_deleted_offset, ERROR_OFFSET_OUT_OF_RANGE},
    {API_OFFSET_FOR_LEADER_EPOCH, 2, 4, NULL, 0},
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

const struct conformance_row conformance_rows[] = {
    {API_PRODUCE, 3, fill_produce, error_of_produce},
    {API_FETCH, 4, fill_fetch, error_of_fetch},
    {API_LIST_OFFSETS, 1, fill_list_offsets, error_of_list_offsets},
    {API_METADATA, 0, fill_metadata, error_of_metadata},
    {API_INIT_PRODUCER_ID, 0, fill_init_producer_id, error_of_init_producer_id},
    {API_DESCRIBE_PRODUCERS, 0, fill_describe_producers, error_of_describe_producers},
    {API_DESCRIBE_LOG_DIRS, 1, fill_describe_log_dirs, error_of_describe_log_dirs},
    {API_DELETE_RECORDS, 0, fill_delete_records, error_of_delete_records},
    {API_OFFSET_FOR_LEADER_EPOCH, 2, fill_offset_for_leader_epoch,
     error_of_offset_for_leader_epoch},
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

const int conformance_rows_count = ARRAY_COUNT(conformance_rows);
const int conformance_spoilings_count = ARRAY_COUNT(conformance_spoilings);
