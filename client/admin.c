#include "admin.h"
#include "base/memory.h"

/* What the broker said of a topic, its own words if it has any. */
static enum error refused(struct client *client, const char *what, const char *name, int16_t code,
                          struct string text)
{
    enum error error = error_from_wire(code);
    if (text.size > 0)
        return client_fail(client, error, "can't %s topic '%s': %s (%.*s)", what, name,
                           error_name(error), (int)text.size, text.data);
    return client_fail(client, error, "can't %s topic '%s': %s", what, name, error_name(error));
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
        return client_fail(client, ERROR_MALFORMED, "the broker's answer names %d topics, not 1",
                           response->topics_count);
    if (response->topics[0].error_code)
        return refused(client, "create", topic->name, response->topics[0].error_code,
                       response->topics[0].error_message);
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
        return client_fail(client, ERROR_MALFORMED, "the broker's answer names %d topics, not 1",
                           response->results_count);
    if (response->results[0].error_code)
        return refused(client, "alter", name, response->results[0].error_code,
                       response->results[0].error_message);
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
        return client_fail(client, ERROR_MALFORMED, "the broker's answer names %d topics, not 1",
                           response->responses_count);
    if (response->responses[0].error_code)
        return refused(client, "delete", name, response->responses[0].error_code,
                       response->responses[0].error_message);
    return ERROR_NONE;
}
