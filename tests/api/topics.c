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
        .resource_type = 2, .resource_name = STRING("a"), .configs = &config, .configs_count = 1};
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

/* Sets `name` of topic "a" and says how large `batch` lies in partition 0 then. */
static int32_t stored_size(struct bench *bench, int32_t handle, struct uuid topic,
                           const char *const pairs[4], struct bytes batch)
{
    struct incremental_alter_configs_request_alterable_config configs[2] = {
        {.name = string_of(pairs[0]), .value = string_of(pairs[1])},
        {.name = string_of(pairs[2]), .value = string_of(pairs[3])}};
    struct incremental_alter_configs_request_alter_configs_resource resource = {
        .resource_type = 2, .resource_name = STRING("a"), .configs = configs, .configs_count = 2};
    struct incremental_alter_configs_request *in =
        bench_request(bench, API_INCREMENTAL_ALTER_CONFIGS);
    in->resources = &resource;
    in->resources_count = 1;
    struct incremental_alter_configs_response *altered =
        bench_ask(bench, handle, API_INCREMENTAL_ALTER_CONFIGS, 1, in);
    EQ(altered->responses[0].error_code, 0);
    struct produce_request_partition_produce_data data = {.records.whole = batch};
    struct produce_request_topic_produce_data of = {
        .topic_id = topic, .partition_data = &data, .partition_data_count = 1};
    struct produce_request *produce = bench_request(bench, API_PRODUCE);
    produce->acks = -1;
    produce->timeout_ms = 1000;
    produce->topic_data = &of;
    produce->topic_data_count = 1;
    struct produce_response *out = bench_ask(bench, handle, API_PRODUCE, 13, produce);
    EQ(out->responses[0].partition_responses[0].error_code, 0);
    const struct log *log = bench_partition(bench, topic, 0)->log;
    return log->sizes[log->count - 1];
}

/* compression.*.level is that of recompression: a higher one gives less. */
TEST(topics, batches_are_recompressed_at_the_level_that_is_set)
{
    static const char *const cases[][2][4] = {
        {{"compression.type", "gzip", "compression.gzip.level", "1"},
         {"compression.type", "gzip", "compression.gzip.level", "9"}},
        {{"compression.type", "lz4", "compression.lz4.level", "9"}, /* 9: the fast one */
         {"compression.type", "lz4", "compression.lz4.level", "17"}},
        {{"compression.type", "zstd", "compression.zstd.level", "-50"},
         {"compression.type", "zstd", "compression.zstd.level", "19"}},
    };
    struct bench *bench = bench_open();
    bench->settings.message_max_bytes = 20000;
    struct uuid topic = bench_topic(bench, "a", 1);
    int32_t handle = bench_connect(bench);
    struct random random;
    random_seed(&random, 3);
    char value[16000];
    static const char *const words[] = {"log ", "ring ", "trunk ", "leaf ", "branch ", "root "};
    size_t size = 0;
    while (size + 16 < sizeof value) {
        const char *word = words[random_below(&random, ARRAY_COUNT(words))];
        memcpy(value + size, word, strlen(word));
        size += strlen(word);
    }
    value[size] = 0;
    for (int i = 0; i < ARRAY_COUNT(cases); i++) {
        int32_t low = stored_size(bench, handle, topic, cases[i][0], bench_batch(bench, value, 1));
        int32_t high = stored_size(bench, handle, topic, cases[i][1], bench_batch(bench, value, 1));
        test_expect(high < low, __FILE__, __LINE__, "%s: %d at %s, %d at %s", cases[i][0][1], low,
                    cases[i][0][3], high, cases[i][1][3]);
    }
    bench_close(bench);
}

/* What is there besides topics and the broker: nothing, or not yet; asked for as Kafka has it. */
TEST(describe_configs, of_other_resources)
{
    static const struct {
        int8_t type;
        const char *name;
        enum error error;
    } cases[] = {
        {8, "7", ERROR_NONE},  {8, "", ERROR_INVALID_REQUEST},    {8, "8", ERROR_INVALID_REQUEST},
        {16, "s", ERROR_NONE}, {16, "", ERROR_INVALID_REQUEST},   {32, "g", ERROR_INVALID_REQUEST},
        {4, "7", ERROR_NONE},  {4, "two", ERROR_INVALID_REQUEST}, {4, "", ERROR_NONE},
    };
    struct bench *bench = bench_open();
    int32_t handle = bench_connect(bench);
    for (int i = 0; i < ARRAY_COUNT(cases); i++) {
        struct describe_configs_request *in = bench_request(bench, API_DESCRIBE_CONFIGS);
        struct describe_configs_request_describe_configs_resource resource = {
            .resource_type = cases[i].type,
            .resource_name = string_of(cases[i].name),
            .configuration_keys_count = -1};
        in->resources = &resource;
        in->resources_count = 1;
        struct describe_configs_response *out =
            bench_ask(bench, handle, API_DESCRIBE_CONFIGS, 4, in);
        EQ(out->results_count, 1);
        test_expect(out->results[0].error_code == cases[i].error, __FILE__, __LINE__,
                    "%d '%s': got %d, want %d", cases[i].type, cases[i].name,
                    out->results[0].error_code, cases[i].error);
        bool has_any = cases[i].type == 4 && cases[i].name[0] == '7';
        EQ(out->results[0].configs_count > 0, has_any);
    }
    bench_close(bench);
}
