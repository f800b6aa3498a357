#include "admin.h"
#include "base/memory.h"

/* What the broker answered about the topic: NONE, or its error, with its own words, if it has any,
 * as the reason. */
static enum error judge(struct client *client, const char *what, const char *name, int16_t code,
                        struct string text)
{
    enum error error = error_from_wire(code);
    if (!error)
        return ERROR_NONE;
    if (error == ERROR_UNKNOWN_TOPIC_OR_PARTITION)
        return client_fail(client, error,
                           "can't %s topic '%s': there is none of that name; 'bole topic list' "
                           "shows what there is",
                           what, name);
    if (text.size > 0)
        return client_fail(client, error, "can't %s topic '%s': %.*s (%s)", what, name,
                           (int)text.size, text.data, error_name(error));
    return client_fail(client, error, "can't %s topic '%s': %s", what, name, error_name(error));
}

/* An answer that does not speak of one topic, as the question did. */
static enum error miscounted(struct client *client, int32_t count)
{
    return client_fail(client, ERROR_MALFORMED, "the broker's answer names %d topics, not 1",
                       count);
}

enum error admin_create(struct client *client, const struct admin_topic *topic)
{
    struct create_topics_request_creatable_topic wanted;
    message_set_defaults(&create_topics_request_creatable_topic_message, &wanted);
    wanted.name = string_of(topic->name);
    wanted.num_partitions = topic->partitions;
    wanted.replication_factor = topic->replication;
    wanted.configs_count = topic->configs_count;
    wanted.configs = memory_zeroed((size_t)topic->configs_count * sizeof *wanted.configs);
    for (int32_t i = 0; i < topic->configs_count; i++) {
        message_set_defaults(&create_topics_request_creatable_topic_config_message,
                             &wanted.configs[i]);
        wanted.configs[i].name = topic->configs[i].name;
        wanted.configs[i].value = topic->configs[i].value;
    }
    struct create_topics_request request;
    message_set_defaults(&create_topics_request_message, &request);
    request.topics = &wanted;
    request.topics_count = 1;
    request.timeout_ms = client->settings.timeout_ms;
    const void *answer;
    enum error error = client_call(client, CLIENT_BOOTSTRAP, API_CREATE_TOPICS, &request, &answer);
    memory_free(wanted.configs);
    if (error)
        return error;
    const struct create_topics_response *response = answer;
    if (response->topics_count != 1)
        return miscounted(client, response->topics_count);
    error = judge(client, "create", topic->name, response->topics[0].error_code,
                  response->topics[0].error_message);
    if (error)
        return error;
    const struct metadata_topic *ready;
    return client_topic(client, topic->name, false, &ready);
}

enum error admin_grow(struct client *client, const char *name, int32_t partitions)
{
    struct create_partitions_request_create_partitions_topic wanted;
    message_set_defaults(&create_partitions_request_create_partitions_topic_message, &wanted);
    wanted.name = string_of(name);
    wanted.count = partitions;
    wanted.assignments_count = -1; /* placed by the broker */
    struct create_partitions_request request;
    message_set_defaults(&create_partitions_request_message, &request);
    request.topics = &wanted;
    request.topics_count = 1;
    request.timeout_ms = client->settings.timeout_ms;
    const void *answer;
    enum error error =
        client_call(client, CLIENT_BOOTSTRAP, API_CREATE_PARTITIONS, &request, &answer);
    if (error)
        return error;
    const struct create_partitions_response *response = answer;
    if (response->results_count != 1)
        return miscounted(client, response->results_count);
    error = judge(client, "alter", name, response->results[0].error_code,
                  response->results[0].error_message);
    if (error)
        return error;
    const struct metadata_topic *ready;
    return client_topic(client, name, false, &ready);
}

enum error admin_delete(struct client *client, const char *name)
{
    struct driver *driver;
    enum error error = client_driver(client, CLIENT_BOOTSTRAP, &driver);
    if (error)
        return error;
    struct delete_topics_request_delete_topic_state state;
    message_set_defaults(&delete_topics_request_delete_topic_state_message, &state);
    struct string text = state.name = string_of(name);
    struct delete_topics_request request;
    message_set_defaults(&delete_topics_request_message, &request);
    if (session_version(&driver->session, API_DELETE_TOPICS) >= 6) {
        request.topics = &state;
        request.topics_count = 1;
    } else {
        request.topic_names = &text;
        request.topic_names_count = 1;
    }
    request.timeout_ms = client->settings.timeout_ms;
    const void *answer;
    error = client_call(client, CLIENT_BOOTSTRAP, API_DELETE_TOPICS, &request, &answer);
    if (error)
        return error;
    const struct delete_topics_response *response = answer;
    if (response->responses_count != 1)
        return miscounted(client, response->responses_count);
    return judge(client, "delete", name, response->responses[0].error_code,
                 response->responses[0].error_message);
}

enum { RESOURCE_TOPIC = 2, OPERATION_SET = 0, OPERATION_DELETE = 1 };

enum error admin_set(struct client *client, const char *name, const struct admin_config *configs,
                     int32_t count)
{
    struct incremental_alter_configs_request_alter_configs_resource resource;
    message_set_defaults(&incremental_alter_configs_request_alter_configs_resource_message,
                         &resource);
    resource.resource_type = RESOURCE_TOPIC;
    resource.resource_name = string_of(name);
    resource.configs_count = count;
    resource.configs = memory_zeroed((size_t)count * sizeof *resource.configs);
    for (int32_t i = 0; i < count; i++) {
        message_set_defaults(&incremental_alter_configs_request_alterable_config_message,
                             &resource.configs[i]);
        resource.configs[i].name = configs[i].name;
        resource.configs[i].value = configs[i].value;
        resource.configs[i].config_operation =
            configs[i].value.size < 0 ? OPERATION_DELETE : OPERATION_SET;
    }
    struct incremental_alter_configs_request request;
    message_set_defaults(&incremental_alter_configs_request_message, &request);
    request.resources = &resource;
    request.resources_count = 1;
    const void *answer;
    enum error error =
        client_call(client, CLIENT_BOOTSTRAP, API_INCREMENTAL_ALTER_CONFIGS, &request, &answer);
    memory_free(resource.configs);
    if (error)
        return error;
    const struct incremental_alter_configs_response *response = answer;
    if (response->responses_count != 1)
        return miscounted(client, response->responses_count);
    return judge(client, "alter", name, response->responses[0].error_code,
                 response->responses[0].error_message);
}

enum error admin_settings(struct client *client, const char *name,
                          const struct describe_configs_response_describe_configs_result **ret)
{
    struct describe_configs_request_describe_configs_resource resource;
    message_set_defaults(&describe_configs_request_describe_configs_resource_message, &resource);
    resource.resource_type = RESOURCE_TOPIC;
    resource.resource_name = string_of(name);
    resource.configuration_keys_count = -1; /* all */
    struct describe_configs_request request;
    message_set_defaults(&describe_configs_request_message, &request);
    request.resources = &resource;
    request.resources_count = 1;
    const void *answer;
    enum error error =
        client_call(client, CLIENT_BOOTSTRAP, API_DESCRIBE_CONFIGS, &request, &answer);
    if (error)
        return error;
    const struct describe_configs_response *response = answer;
    if (response->results_count != 1)
        return miscounted(client, response->results_count);
    error = judge(client, "describe", name, response->results[0].error_code,
                  response->results[0].error_message);
    if (!error)
        *ret = &response->results[0];
    return error;
}
