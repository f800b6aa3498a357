#include "sim/client_describe.h"
#include "base/check.h"
#include "protocol/messages.h"
#include "sim/broker_sim.h"
#include <stdio.h>

enum { RESOURCE_TOPIC = 2 };

/* A topic whose name always means the same one; or null. */
static const struct model_topic *pick(struct client *client)
{
    const struct model *model = &client->sim->model;
    if (model->topic_count == 0)
        return NULL;
    const struct model_topic *topic =
        model->topics[random_below(&client->random, (uint64_t)model->topic_count)];
    return topic->kind == MODEL_PASSING ? NULL : topic;
}

static bool ask_configs(struct client *client, struct client_describe *describe)
{
    struct describe_configs_request request;
    struct describe_configs_request_describe_configs_resource resource;
    message_set_defaults(&describe_configs_request_message, &request);
    message_set_defaults(&describe_configs_request_describe_configs_resource_message, &resource);
    describe->topic = pick(client);
    if (!describe->topic)
        return false;
    resource.resource_type = RESOURCE_TOPIC;
    resource.resource_name = string_of(describe->topic->name);
    resource.configuration_keys_count = -1;
    request.resources = &resource;
    request.resources_count = 1;
    return client_ask(client, API_DESCRIBE_CONFIGS, &request, true);
}

static bool ask_cluster(struct client *client)
{
    struct describe_cluster_request request;
    message_set_defaults(&describe_cluster_request_message, &request);
    return client_ask(client, API_DESCRIBE_CLUSTER, &request, true);
}

/* All topics, with a limit; or from a topic on. */
static bool ask_partitions(struct client *client, struct client_describe *describe)
{
    struct describe_topic_partitions_request request;
    struct describe_topic_partitions_request_cursor cursor;
    message_set_defaults(&describe_topic_partitions_request_message, &request);
    message_set_defaults(&describe_topic_partitions_request_cursor_message, &cursor);
    describe->topic = random_once_in(&client->random, 2) ? pick(client) : NULL;
    describe->limit = (int32_t)random_between(&client->random, 1, 40);
    request.response_partition_limit = describe->limit;
    if (describe->topic) {
        cursor.topic_name = string_of(describe->topic->name);
        cursor.partition_index =
            (int32_t)random_below(&client->random, (uint64_t)describe->topic->partition_count);
        request.cursor = &cursor;
    }
    return client_ask(client, API_DESCRIBE_TOPIC_PARTITIONS, &request, true);
}

bool client_describe(struct client *client, struct client_describe *describe)
{
    switch (random_below(&client->random, 3)) {
    case 0:
        return ask_configs(client, describe);
    case 1:
        return ask_cluster(client);
    default:
        return ask_partitions(client, describe);
    }
}

/* ---- answers ---- */

static void check_config(struct client *client, const struct model_topic *topic, const char *name,
                         const char *value,
                         const struct describe_configs_response_describe_configs_result *result)
{
    for (int32_t i = 0; i < result->configs_count; i++) {
        if (!string_equal(result->configs[i].name, string_of(name)))
            continue;
        if (!string_equal(result->configs[i].value, string_of(value)))
            world_violation(client->sim->world, "describe: %s of %s is %.*s, not %s", name,
                            topic->name, result->configs[i].value.size,
                            result->configs[i].value.data, value);
        return;
    }
    world_violation(client->sim->world, "describe: %s has no %s", topic->name, name);
}

static void take_configs(struct client *client, const struct model_topic *topic,
                         const struct describe_configs_response *response, int64_t asked_ns)
{
    const struct describe_configs_response_describe_configs_result *result = response->results;
    const struct model_rules *rules = topic->rules;
    if (response->results_count != 1 ||
        (result->error_code && asked_ns > topic->seen_ns + MODEL_SPREAD_NS)) {
        world_violation(client->sim->world, "describe: %d answers for %s, error %d",
                        response->results_count, topic->name, result ? result->error_code : 0);
        return;
    }
    if (result->error_code)
        return;
    char number[24];
    check_config(client, topic, "compression.type", model_compression(rules), result);
    check_config(client, topic, "message.timestamp.type",
                 rules->append_time ? "LogAppendTime" : "CreateTime", result);
    check_config(client, topic, "cleanup.policy", model_cleanup(rules), result);
    snprintf(number, sizeof number, "%d", rules->size_max_bytes);
    check_config(client, topic, "max.message.bytes", number, result);
    snprintf(number, sizeof number, "%d", rules->min_insync);
    check_config(client, topic, "min.insync.replicas", number, result);
}

static void take_cluster(struct client *client, const struct describe_cluster_response *response)
{
    if (response->error_code || response->brokers_count != 1 ||
        response->brokers[0].broker_id != response->controller_id ||
        response->brokers[0].port != BROKER_PORT || response->cluster_id.size <= 0)
        world_violation(client->sim->world, "describe cluster: error %d, %d brokers",
                        response->error_code, response->brokers_count);
}

/* In the order of names, dense, no more than asked for, and the cursor only if something is left.
 */
static void take_partitions(struct client *client, const struct client_describe *describe,
                            const struct describe_topic_partitions_response *response,
                            int64_t asked_ns)
{
    struct simulation *sim = client->sim;
    int32_t count = 0;
    for (int32_t i = 0; i < response->topics_count; i++) {
        const struct describe_topic_partitions_response_topic *topic = &response->topics[i];
        bool is_first = i == 0 && describe->topic;
        int32_t base = topic->partitions_count > 0 ? topic->partitions[0].partition_index : 0;
        if (is_first && topic->error_code == ERROR_UNKNOWN_TOPIC_OR_PARTITION)
            continue;
        if (topic->error_code || (base != 0 && !is_first))
            world_violation(sim->world, "describe partitions: %.*s begins at %d with error %d",
                            topic->name.size, topic->name.data, base, topic->error_code);
        for (int32_t j = 0; j < topic->partitions_count; j++)
            if (topic->partitions[j].partition_index != base + j ||
                topic->partitions[j].isr_nodes_count != 1)
                world_violation(sim->world, "describe partitions: %.*s has not its partition %d",
                                topic->name.size, topic->name.data, base + j);
        count += topic->partitions_count;
        bool is_cut = response->next_cursor && i == response->topics_count - 1;
        struct model_topic *known = model_find(&sim->model, topic->topic_id);
        if (known && !topic->is_internal && !is_cut && topic->partitions_count > 0)
            model_count_seen(&sim->model, known, base + topic->partitions_count, asked_ns);
    }
    if (count > describe->limit || (response->next_cursor && count < describe->limit))
        world_violation(sim->world, "describe partitions: %d partitions, the limit is %d", count,
                        describe->limit);
}

void client_take_description(struct client *client, struct client_describe *describe,
                             const struct session_response *response, int64_t asked_ns)
{
    if (response->api->key == API_DESCRIBE_CONFIGS)
        take_configs(client, describe->topic, response->message, asked_ns);
    else if (response->api->key == API_DESCRIBE_CLUSTER)
        take_cluster(client, response->message);
    else if (response->api->key == API_DESCRIBE_TOPIC_PARTITIONS)
        take_partitions(client, describe, response->message, asked_ns);
    else
        check(!"never asked");
}
