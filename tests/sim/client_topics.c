/* What any simulated client may ask: for all topics, of which it tells the model, and for offsets.
 */
#include "protocol/messages.h"
#include "sim/broker_sim.h"
#include "sim/client.h"

enum { IDS_FROM = 10, NULL_TOPICS_FROM = 1, CREATION_FROM = 4 };

bool client_ask_topics(struct client *client)
{
    struct metadata_request request;
    int16_t version = session_version(&client->session, API_METADATA);
    message_set_defaults(&metadata_request_message, &request);
    request.topics = NULL;
    request.topics_count = version < NULL_TOPICS_FROM ? 0 : -1;
    request.allow_auto_topic_creation = version < CREATION_FROM; /* of no topic that is named */
    return client_ask(client, API_METADATA, &request, true);
}

void client_take_topic(struct client *client, const struct metadata_response_topic *topic,
                       int16_t version, int64_t asked_ns)
{
    if (topic->error_code == ERROR_NONE && !topic->is_internal && version >= IDS_FROM)
        model_topic_seen(&client->sim->model, topic->topic_id, topic->name, topic->partitions_count,
                         asked_ns);
}

/* An old version has no ids: only what is never deleted must be there. */
static bool is_listed(const struct metadata_response *metadata, const struct model_topic *topic,
                      int16_t version)
{
    for (int32_t i = 0; i < metadata->topics_count; i++)
        if (version < IDS_FROM ? string_equal(metadata->topics[i].name, string_of(topic->name))
                               : uuid_equal(metadata->topics[i].topic_id, topic->id))
            return true;
    return version < IDS_FROM && topic->kind == MODEL_PASSING;
}

void client_take_topics(struct client *client, const struct session_response *response,
                        int64_t asked_ns)
{
    struct model *model = &client->sim->model;
    const struct metadata_response *metadata = response->message;
    for (int32_t i = 0; i < metadata->topics_count; i++) {
        if (metadata->topics[i].error_code)
            world_violation(client->sim->world, "metadata: a topic of all with %s",
                            error_name((enum error)metadata->topics[i].error_code));
        client_take_topic(client, &metadata->topics[i], response->version, asked_ns);
    }
    for (int32_t i = 0; i < model->topic_count; i++)
        if (!is_listed(metadata, model->topics[i], response->version))
            model_topic_missing(model, model->topics[i], asked_ns);
}

bool client_ask_offsets(struct client *client, const char *topic,
                        struct list_offsets_request_list_offsets_partition *partitions,
                        int32_t count)
{
    struct list_offsets_request request;
    struct list_offsets_request_list_offsets_topic in;
    message_set_defaults(&list_offsets_request_message, &request);
    message_set_defaults(&list_offsets_request_list_offsets_topic_message, &in);
    in.name = string_of(topic);
    in.partitions = partitions;
    in.partitions_count = count;
    request.replica_id = -1;
    request.topics = &in;
    request.topics_count = 1;
    request.timeout_ms = 20000;
    return client_ask(client, API_LIST_OFFSETS, &request, true);
}
