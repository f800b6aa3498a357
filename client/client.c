#include "client.h"
#include "base/check.h"
#include "base/memory.h"
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>

enum error client_fail(struct client *client, enum error error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(client->reason, sizeof client->reason, format, arguments);
    va_end(arguments);
    return error;
}

enum error client_open(struct client *client, struct client_settings settings)
{
    *client = (struct client){.settings = settings};
    metadata_init(&client->metadata);
    struct driver *driver;
    return client_driver(client, CLIENT_BOOTSTRAP, &driver);
}

void client_close(struct client *client)
{
    for (int32_t i = 0; i < client->link_count; i++) {
        driver_close(&client->links[i]->driver);
        memory_free(client->links[i]);
    }
    memory_free(client->links);
    metadata_done(&client->metadata);
    client->links = NULL;
    client->link_count = 0;
}

static struct client_link *link_of(struct client *client, int32_t node)
{
    for (int32_t i = 0; i < client->link_count; i++)
        if (client->links[i]->node == node)
            return client->links[i];
    return NULL;
}

enum error client_driver(struct client *client, int32_t node, struct driver **ret_driver)
{
    struct client_link *link = link_of(client, node);
    if (!link) {
        struct host_port address = client->settings.bootstrap;
        if (node != CLIENT_BOOTSTRAP) {
            const struct metadata_node *known = metadata_node_of(&client->metadata, node);
            if (!known)
                return client_fail(client, ERROR_BROKER_NOT_AVAILABLE,
                                   "broker %d leads but is not in the metadata", node);
            address = known->address;
        }
        link = memory_zeroed(sizeof *link);
        link->node = node;
        int64_t deadline_ms = driver_now_ms() + client->settings.timeout_ms;
        enum error error =
            driver_open(&link->driver, &address, client->settings.session, deadline_ms);
        if (error) {
            client_fail(client, error, "%s", link->driver.reason);
            memory_free(link);
            return error;
        }
        size_t size = (size_t)(client->link_count + 1) * sizeof(struct client_link *);
        client->links = memory_resized(client->links, size);
        client->links[client->link_count++] = link;
    }
    *ret_driver = &link->driver;
    return ERROR_NONE;
}

enum error client_drop(struct client *client, int32_t node, enum error error)
{
    struct client_link *link = link_of(client, node);
    check(link != NULL && error != ERROR_NONE);
    client_fail(client, error, "%s", link->driver.reason);
    driver_close(&link->driver);
    for (int32_t i = 0; i < client->link_count; i++)
        if (client->links[i] == link)
            client->links[i] = client->links[--client->link_count];
    memory_free(link);
    return error;
}

enum error client_call(struct client *client, int32_t node, enum api_key key, const void *message,
                       const void **ret_response)
{
    struct driver *driver;
    enum error error = client_driver(client, node, &driver);
    if (error)
        return error;
    struct session_response response;
    int64_t deadline_ms = driver_now_ms() + client->settings.timeout_ms;
    error = driver_call(driver, key, message, deadline_ms, &response);
    if (error)
        return client_drop(client, node, error);
    *ret_response = response.message;
    return ERROR_NONE;
}

bool client_may_reconnect(enum error error)
{
    switch (error) {
    case ERROR_CONNECTION_RESET:
    case ERROR_CONNECTION_REFUSED:
    case ERROR_TIMED_OUT:
    case ERROR_INPUT_OUTPUT:
    case ERROR_BROKER_NOT_AVAILABLE:
        return true;
    default:
        return false;
    }
}

void client_pause(const struct client *client)
{
    (void)poll(NULL, 0, client->settings.retry_ms); /* cut short by a signal is as good */
}

enum error client_refresh(struct client *client, const char *topic, bool may_create)
{
    struct metadata_request_topic wanted;
    message_set_defaults(&metadata_request_topic_message, &wanted);
    wanted.name = string_of(topic);
    struct metadata_request request;
    message_set_defaults(&metadata_request_message, &request);
    request.topics = topic ? &wanted : NULL;
    request.topics_count = topic ? 1 : -1;
    request.allow_auto_topic_creation = may_create;
    const void *response;
    enum error error = client_call(client, CLIENT_BOOTSTRAP, API_METADATA, &request, &response);
    if (!error)
        metadata_update(&client->metadata, response);
    return error;
}

enum error client_topic(struct client *client, const char *name, bool may_create,
                        const struct metadata_topic **ret_topic)
{
    int64_t deadline_ms = driver_now_ms() + client->settings.timeout_ms;
    int unknown = 0;
    for (;;) {
        enum error error = client_refresh(client, name, may_create);
        if (error)
            return error;
        const struct metadata_topic *topic =
            metadata_topic_named(&client->metadata, string_of(name));
        if (topic && metadata_is_ready(&client->metadata, topic)) {
            *ret_topic = topic;
            return ERROR_NONE;
        }
        error = topic && topic->error ? topic->error : ERROR_LEADER_NOT_AVAILABLE;
        /* Just after its creation a topic may be unknown to the broker that was asked. */
        unknown += error == ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        if (unknown > 5)
            return client_fail(client, error,
                               "there is no topic '%s'; 'bole topic create %s' makes it", name,
                               name);
        if (error == ERROR_INVALID_TOPIC_EXCEPTION)
            return client_fail(client, error,
                               "'%s' is no name for a topic: it has 1 to 249 of a-z A-Z 0-9 . _ -",
                               name);
        if (!error_is_retriable(error) || driver_now_ms() >= deadline_ms)
            return client_fail(client, error, "topic '%s' can't be used: %s", name,
                               error_text(error));
        client_pause(client);
    }
}
