#include "base/check.h"
#include "cluster.h"

enum { SET, REMOVE, APPEND, SUBTRACT };

/* One IncrementalAlterConfigs of one setting of one resource; the topic is "taken" with
 * index.interval.bytes 1000 and leader.replication.throttled.replicas 0:1,1:1 set. */
struct wanted {
    int8_t type;
    const char *resource;
    int8_t kind;
    const char *name, *value; /* value null: Kafka's null */
    enum error error;
    const char *message; /* "": none */
    const char *now;     /* the setting's own value then; null: none */
};

static enum error ask(struct cluster *c, const struct wanted *wanted, bool validate_only,
                      struct string *ret_message)
{
    struct incremental_alter_configs_request_alterable_config config = {
        .name = string_of(wanted->name),
        .config_operation = wanted->kind,
        .value = string_of(wanted->value)};
    struct incremental_alter_configs_request_alter_configs_resource resource = {
        .resource_type = wanted->type,
        .resource_name = string_of(wanted->resource),
        .configs = &config,
        .configs_count = 1};
    struct incremental_alter_configs_request request = {
        .resources = &resource, .resources_count = 1, .validate_only = validate_only};
    struct incremental_alter_configs_response response;
    struct topics_view view = cluster_view(c);
    EQ(topics_handle_incremental(&view, &request, &c->records, &response), ERROR_NONE);
    EQ(response.responses_count, 1);
    EQ(response.responses[0].resource_type, wanted->type);
    TRUE_(string_equal(response.responses[0].resource_name, string_of(wanted->resource)));
    *ret_message = response.responses[0].error_message;
    return (enum error)response.responses[0].error_code;
}

static void set(struct cluster *c, const char *name, const char *value)
{
    struct string message;
    struct wanted wanted = {2, "taken", SET, name, value, ERROR_NONE, "", value};
    EQ(ask(c, &wanted, false, &message), ERROR_NONE);
    cluster_apply(c);
}

static void set_up(struct cluster *c)
{
    cluster_init(c, 2);
    cluster_register(c, 1, false);
    EQ(settings_set(&c->settings, STRING("node.id"), STRING("1"), &(struct sentence){0}),
       ERROR_NONE);
    EQ(cluster_create(c, "taken", 2), ERROR_NONE);
    set(c, "index.interval.bytes", "1000");
    set(c, "leader.replication.throttled.replicas", "0:1,1:1");
}

static struct string own_value(const struct cluster *c, const char *name)
{
    const struct image_topic *topic = image_topic_by_name(&c->image, STRING("taken"));
    for (int32_t i = 0; i < topic->config_count; i++)
        if (strcmp(topic->configs[i].name, name) == 0)
            return string_of(topic->configs[i].value);
    return STRING_NULL;
}

static void try_one(const struct wanted *wanted)
{
    struct cluster c;
    struct string message;
    set_up(&c);
    enum error error = ask(&c, wanted, true, &message);
    EQ(c.records.count, 0);
    EQ(ask(&c, wanted, false, &message), error);
    test_expect(error == wanted->error, __FILE__, __LINE__, "%s %s: got %d, want %d",
                wanted->resource, wanted->name, error, wanted->error);
    struct string want = string_of(wanted->message);
    bool same = want.size == 0 ? message.size < 0
                               : message.size >= want.size &&
                                     memcmp(message.data, want.data, (size_t)want.size) == 0;
    test_expect(same, __FILE__, __LINE__, "message: got %.*s, want %s", (int)message.size,
                message.data, wanted->message);
    cluster_apply(&c);
    struct string now = own_value(&c, wanted->name);
    test_expect(wanted->now ? string_equal(now, string_of(wanted->now)) : now.size < 0, __FILE__,
                __LINE__, "%s: got %.*s, want %s", wanted->name, (int)now.size, now.data,
                wanted->now ? wanted->now : "none");
    cluster_done(&c);
}

TEST(topics_configs, are_altered_or_refused_as_by_kafka)
{
    static const char interval[] = "index.interval.bytes";
    static const char throttled[] = "leader.replication.throttled.replicas";
    static const struct wanted rows[] = {
        {2, "taken", SET, interval, "2000", 0, "", "2000"},
        {2, "taken", SET, "segment.bytes", "2000000", 0, "", "2000000"},
        {2, "taken", REMOVE, interval, NULL, 0, "", NULL},
        {2, "taken", REMOVE, "segment.bytes", NULL, 0, "", NULL},
        {2, "taken", SET, interval, "-1", ERROR_INVALID_CONFIG, "index.interval.bytes=-1", "1000"},
        {2, "taken", SET, interval, NULL, ERROR_INVALID_REQUEST,
         "Null value not supported for : index.interval.bytes", "1000"},
        {2, "taken", SET, "segment.byte", "9", ERROR_INVALID_CONFIG,
         "segment.byte: no such setting; did you mean segment.bytes?", NULL},
        {2, "taken", SET, "remote.storage.enable", "true", ERROR_INVALID_CONFIG,
         "remote.storage.enable", NULL},
        {2, "taken", 4, interval, "1", ERROR_INVALID_REQUEST, "Unknown operations type 4", "1000"},
        {2, "taken", APPEND, interval, "1", ERROR_INVALID_CONFIG,
         "Can't APPEND to key index.interval.bytes because its type is not LIST.", "1000"},
        {2, "taken", APPEND, throttled, "2:1,0:1", 0, "", "0:1,1:1,2:1"},
        {2, "taken", APPEND, "cleanup.policy", "delete", 0, "", "delete"},
        {2, "taken", SUBTRACT, throttled, "0:1,9:9", 0, "", "1:1"},
        {2, "taken", SUBTRACT, "cleanup.policy", "delete", 0, "", ""},
        {2, "taken", APPEND, "cleanup.policy", "compact", 0, "", "delete,compact"},
        {2, "taken", SET, "cleanup.policy", "shred", ERROR_INVALID_CONFIG, "cleanup.policy", NULL},
        {2, "other", SET, interval, "1", ERROR_UNKNOWN_TOPIC_OR_PARTITION,
         "The topic 'other' does not exist.", "1000"},
        {2, "", SET, interval, "1", ERROR_INVALID_REQUEST,
         "Default topic resources are not allowed.", "1000"},
        {2, "a/b", SET, interval, "1", ERROR_INVALID_TOPIC_EXCEPTION, "Topic name", "1000"},
        {4, "", SET, "message.max.bytes", "1", ERROR_INVALID_REQUEST,
         "Cannot update these configs dynamically: message.max.bytes. ", NULL},
        {4, "1", SET, "message.max.byte", "1", ERROR_INVALID_CONFIG,
         "message.max.byte: no such setting; did you mean message.max.bytes?", NULL},
        {4, "2", SET, "message.max.bytes", "1", ERROR_INVALID_REQUEST,
         "Unexpected broker id, expected 1, but received 2", NULL},
        {4, "one", SET, "message.max.bytes", "1", ERROR_INVALID_REQUEST,
         "Node id must be an integer, but it is: one", NULL},
        {8, "1", SET, "kafka", "DEBUG", ERROR_INVALID_CONFIG, "Logger kafka does not exist!", NULL},
        {16, "s", SET, "metrics", "*", ERROR_INVALID_REQUEST, "Subscriptions of client metrics",
         NULL},
        {32, "g", SET, "x", "1", ERROR_INVALID_REQUEST, "Groups are not built yet", NULL},
        {3, "x", SET, "x", "1", ERROR_INVALID_REQUEST, "Unknown resource type 3", NULL},
    };
    for (int i = 0; i < ARRAY_COUNT(rows); i++)
        try_one(&rows[i]);
}

TEST(topics_configs, that_stay_the_same_make_no_record)
{
    struct cluster c;
    struct string message;
    set_up(&c);
    struct wanted same = {2, "taken", SET, "index.interval.bytes", "1000", ERROR_NONE, "", "1000"};
    EQ(ask(&c, &same, false, &message), ERROR_NONE);
    EQ(c.records.count, 0);
    cluster_done(&c);
}

/* AlterConfigs says all that shall be set: what it does not name goes back to its default. */
TEST(topics_configs, of_the_old_request_replace_what_is_set)
{
    struct cluster c;
    set_up(&c);
    struct alter_configs_request_alterable_config config = {.name = STRING("segment.bytes"),
                                                            .value = STRING("3000000")};
    struct alter_configs_request_alter_configs_resource resource = {.resource_type = 2,
                                                                    .resource_name =
                                                                        STRING("taken"),
                                                                    .configs = &config,
                                                                    .configs_count = 1};
    struct alter_configs_request request = {.resources = &resource, .resources_count = 1};
    struct alter_configs_response response;
    struct topics_view view = cluster_view(&c);
    EQ(topics_handle_alter(&view, &request, &c.records, &response), ERROR_NONE);
    EQ(response.responses[0].error_code, 0);
    EQ(c.records.count, 3);
    cluster_apply(&c);
    EQ(own_value(&c, "index.interval.bytes").size, -1);
    EQ(own_value(&c, "leader.replication.throttled.replicas").size, -1);
    TRUE_(string_equal(own_value(&c, "segment.bytes"), STRING("3000000")));
    resource.resource_type = 8;
    EQ(topics_handle_alter(&view, &request, &c.records, &response), ERROR_NONE);
    EQ(response.responses[0].error_code, ERROR_INVALID_REQUEST);
    cluster_done(&c);
}

TEST(topics_configs, each_resource_and_each_key_comes_once)
{
    struct cluster c;
    set_up(&c);
    struct incremental_alter_configs_request_alterable_config twice[2] = {
        {.name = STRING("retention.ms"), .value = STRING("1")},
        {.name = STRING("retention.ms"), .value = STRING("2")}};
    struct incremental_alter_configs_request_alter_configs_resource resources[3] = {
        {.resource_type = 2,
         .resource_name = STRING("taken"),
         .configs = twice,
         .configs_count = 2},
        {.resource_type = 4, .resource_name = STRING(""), .configs = twice, .configs_count = 1},
        {.resource_type = 4, .resource_name = STRING(""), .configs = twice, .configs_count = 1}};
    struct incremental_alter_configs_request request = {.resources = resources,
                                                        .resources_count = 3};
    struct incremental_alter_configs_response response;
    struct topics_view view = cluster_view(&c);
    EQ(topics_handle_incremental(&view, &request, &c.records, &response), ERROR_NONE);
    EQ(c.records.count, 0);
    TRUE_(string_equal(response.responses[0].error_message,
                       STRING("Error due to duplicate config keys")));
    for (int i = 1; i < 3; i++)
        TRUE_(string_equal(response.responses[i].error_message,
                           STRING("Each resource must appear at most once.")));
    cluster_done(&c);
}
