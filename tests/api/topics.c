/* Metadata, CreateTopics and DeleteTopics. */
#include "api/bench.h"
#include "base/check.h"

static struct metadata_response *ask(struct bench *bench, int32_t handle, int16_t version,
                                     const char *name, bool makes)
{
    struct metadata_request *in = bench_request(bench, API_METADATA);
    in->topics = arena_take(&bench->arena, sizeof *in->topics);
    in->topics->name = string_of(name);
    in->topics_count = 1;
    in->allow_auto_topic_creation = makes;
    return bench_ask(bench, handle, API_METADATA, version, in);
}

TEST(metadata, tells_where_the_client_came_in)
{
    struct bench *bench = bench_open();
    int32_t handle = bench_connect(bench);
    struct metadata_response *out =
        bench_ask(bench, handle, API_METADATA, 12, bench_request(bench, API_METADATA));
    EQ(out->brokers_count, 1);
    EQ(out->brokers[0].node_id, 7);
    EQ(out->brokers[0].port, 9092);
    TRUE_(string_equal(out->brokers[0].host, STRING("127.0.0.1")));
    EQ(out->controller_id, 7);
    EQ(out->topics_count, 0);
    bench_close(bench);
}

TEST(metadata, all_topics_are_null_or_in_version_0_empty)
{
    struct bench *bench = bench_open();
    bench_topic(bench, "a", 3);
    int32_t handle = bench_connect(bench);
    struct metadata_request *in = bench_request(bench, API_METADATA);
    in->topics_count = 0;
    EQ(((struct metadata_response *)bench_ask(bench, handle, API_METADATA, 0, in))->topics_count,
       1);
    EQ(((struct metadata_response *)bench_ask(bench, handle, API_METADATA, 1, in))->topics_count,
       0);
    in->topics_count = -1;
    struct metadata_response *out = bench_ask(bench, handle, API_METADATA, 1, in);
    EQ(out->topics_count, 1);
    EQ(out->topics[0].partitions_count, 3);
    EQ(out->topics[0].partitions[2].leader_id, 7);
    EQ(out->topics[0].partitions[2].isr_nodes_count, 1);
    bench_close(bench);
}

TEST(metadata, makes_topics_that_are_asked_for)
{
    struct bench *bench = bench_open();
    int32_t handle = bench_connect(bench);
    EQ(ask(bench, handle, 9, "new", false)->topics[0].error_code, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    struct metadata_response *out = ask(bench, handle, 9, "new", true);
    EQ(out->topics[0].error_code, 0);
    EQ(out->topics[0].partitions_count, 1);
    TRUE_(bench_partition(bench, ask(bench, handle, 12, "new", false)->topics[0].topic_id, 0) !=
          NULL);
    EQ(ask(bench, handle, 9, "not/good", true)->topics[0].error_code,
       ERROR_INVALID_TOPIC_EXCEPTION);
    EQ(ask(bench, handle, 9, "", false)->topics[0].error_code, ERROR_INVALID_TOPIC_EXCEPTION);
    bench->settings.auto_create_topics_enable = false;
    EQ(ask(bench, handle, 9, "other", true)->topics[0].error_code,
       ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    bench_close(bench);
}

TEST(metadata, finds_by_id_and_tells_operations_when_asked)
{
    struct bench *bench = bench_open();
    struct uuid id = bench_topic(bench, "a", 1);
    int32_t handle = bench_connect(bench);
    struct metadata_request *in = bench_request(bench, API_METADATA);
    struct metadata_request_topic topics[2] = {{.topic_id = id, .name = STRING_NULL},
                                               {.topic_id = {{3}}, .name = STRING_NULL}};
    in->topics = topics;
    in->topics_count = 2;
    in->include_topic_authorized_operations = true;
    struct metadata_response *out = bench_ask(bench, handle, API_METADATA, 13, in);
    TRUE_(string_equal(out->topics[0].name, STRING("a")));
    EQ(out->topics[0].topic_authorized_operations, 3576);
    EQ(out->topics[1].error_code, ERROR_UNKNOWN_TOPIC_ID);
    bench_close(bench);
}

TEST(topics, are_made_once_and_removed)
{
    struct bench *bench = bench_open();
    struct uuid id = bench_topic(bench, "a", 2);
    int32_t handle = bench_connect(bench);
    struct create_topics_request *create = bench_request(bench, API_CREATE_TOPICS);
    struct create_topics_request_creatable_topic topic = {
        .name = STRING("a"), .num_partitions = 1, .replication_factor = 1};
    create->topics = &topic;
    create->topics_count = 1;
    struct create_topics_response *made = bench_ask(bench, handle, API_CREATE_TOPICS, 5, create);
    EQ(made->topics[0].error_code, ERROR_TOPIC_ALREADY_EXISTS);
    struct delete_topics_request *removal = bench_request(bench, API_DELETE_TOPICS);
    struct delete_topics_request_delete_topic_state state = {.topic_id = id, .name = STRING_NULL};
    removal->topics = &state;
    removal->topics_count = 1;
    struct delete_topics_response *gone = bench_ask(bench, handle, API_DELETE_TOPICS, 6, removal);
    EQ(gone->responses[0].error_code, 0);
    EQ(ask(bench, handle, 9, "a", false)->topics[0].error_code, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    bench_close(bench);
}

/* What a topic's setting is, as DescribeConfigs has it. */
static struct describe_configs_response_describe_configs_resource_result *
described(struct bench *bench, int32_t handle, const char *topic, struct string *name)
{
    struct describe_configs_request *in = bench_request(bench, API_DESCRIBE_CONFIGS);
    struct describe_configs_request_describe_configs_resource resource = {
        .resource_type = 2,
        .resource_name = string_of(topic),
        .configuration_keys = name,
        .configuration_keys_count = 1};
    in->resources = &resource;
    in->resources_count = 1;
    struct describe_configs_response *out = bench_ask(bench, handle, API_DESCRIBE_CONFIGS, 4, in);
    check(out && out->results_count == 1 && out->results[0].configs_count == 1);
    return &out->results[0].configs[0];
}

TEST(topics, settings_are_altered_and_described)
{
    struct bench *bench = bench_open();
    bench_topic(bench, "a", 2);
    int32_t handle = bench_connect(bench);
    struct string name = STRING("max.message.bytes");
    EQ(described(bench, handle, "a", &name)->config_source, 5);
    struct incremental_alter_configs_request *in =
        bench_request(bench, API_INCREMENTAL_ALTER_CONFIGS);
    struct incremental_alter_configs_request_alterable_config config = {.name = name,
                                                                        .value = STRING("2000")};
    struct incremental_alter_configs_request_alter_configs_resource resource = {
        .resource_type = 2,
        .resource_name = STRING("a"),
        .configs = &config,
        .configs_count = 1};
    in->resources = &resource;
    in->resources_count = 1;
    struct incremental_alter_configs_response *out =
        bench_ask(bench, handle, API_INCREMENTAL_ALTER_CONFIGS, 1, in);
    EQ(out->responses[0].error_code, 0);
    EQ(described(bench, handle, "a", &name)->config_source, 1);
    TRUE_(string_equal(described(bench, handle, "a", &name)->value, STRING("2000")));
    struct alter_configs_request *whole = bench_request(bench, API_ALTER_CONFIGS);
    struct alter_configs_request_alter_configs_resource nothing = {.resource_type = 2,
                                                                   .resource_name = STRING("a")};
    whole->resources = &nothing;
    whole->resources_count = 1;
    struct alter_configs_response *reset = bench_ask(bench, handle, API_ALTER_CONFIGS, 2, whole);
    EQ(reset->responses[0].error_code, 0);
    EQ(described(bench, handle, "a", &name)->config_source, 5);
    bench_close(bench);
}
