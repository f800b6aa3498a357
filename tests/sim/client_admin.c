/* An admin: creates, deletes and re-creates topics, asks for topics, some of which that creates,
 * and for offsets. One request at a time. */
#include "base/check.h"
#include "base/memory.h"
#include "protocol/messages.h"
#include "sim/broker_sim.h"
#include <stdio.h>

struct admin {
    bool asked;
    enum api_key key;
    char name[MODEL_NAME_SIZE]; /* of what was asked for */
    struct model_topic *topic;
    int64_t timestamp, promised_end;
    bool all_topics;
};

static void init(struct client *client)
{
    if (!client->state)
        client->state = memory_zeroed(sizeof(struct admin));
}

bool client_ask_topics(struct client *client)
{
    struct metadata_request request;
    message_set_defaults(&metadata_request_message, &request);
    request.topics = NULL;
    request.topics_count = -1;
    request.allow_auto_topic_creation = false;
    return client_ask(client, API_METADATA, &request, true);
}

static void take_topic(struct client *client, const struct metadata_response_topic *topic,
                       int64_t asked_ns)
{
    if (topic->error_code == ERROR_NONE && !topic->is_internal)
        model_topic_seen(&client->sim->model, topic->topic_id, topic->name, topic->partitions_count,
                         asked_ns);
}

void client_take_topics(struct client *client, const void *message, int64_t asked_ns)
{
    struct model *model = &client->sim->model;
    const struct metadata_response *metadata = message;
    for (int32_t i = 0; i < metadata->topics_count; i++) {
        if (metadata->topics[i].error_code)
            world_violation(client->sim->world, "metadata: a topic of all with %s",
                            error_name((enum error)metadata->topics[i].error_code));
        take_topic(client, &metadata->topics[i], asked_ns);
    }
    for (int32_t i = 0; i < model->topic_count; i++) {
        bool there = false;
        for (int32_t j = 0; j < metadata->topics_count && !there; j++)
            there = uuid_equal(metadata->topics[j].topic_id, model->topics[i]->id);
        if (!there)
            model_topic_missing(model, model->topics[i], asked_ns);
    }
}

static void draw_name(struct client *client, char *name, bool fixed)
{
    struct simulation *sim = client->sim;
    int32_t count = fixed ? sim->fixed_topics : sim->passing_topics;
    snprintf(name, MODEL_NAME_SIZE, "%s-%d", fixed ? "fixed" : "passing",
             (int)random_below(&client->random, (uint64_t)count));
}

static bool create(struct client *client)
{
    struct admin *admin = client->state;
    struct create_topics_request request;
    struct create_topics_request_creatable_topic topic;
    message_set_defaults(&create_topics_request_message, &request);
    message_set_defaults(&create_topics_request_creatable_topic_message, &topic);
    draw_name(client, admin->name, random_once_in(&client->random, 2));
    topic.name = string_of(admin->name);
    topic.num_partitions = (int32_t)random_between(&client->random, 1, MODEL_PARTITIONS_MAX);
    topic.replication_factor = 1;
    request.topics = &topic;
    request.topics_count = 1;
    return client_ask(client, API_CREATE_TOPICS, &request, true);
}

static bool delete (struct client *client)
{
    struct admin *admin = client->state;
    const struct model *model = &client->sim->model;
    struct delete_topics_request request;
    struct delete_topics_request_delete_topic_state topic;
    message_set_defaults(&delete_topics_request_message, &request);
    message_set_defaults(&delete_topics_request_delete_topic_state_message, &topic);
    admin->topic = NULL;
    for (int32_t i = 0; i < model->topic_count; i++)
        if (model->topics[i]->deleted_ns == INT64_MAX &&
            strncmp(model->topics[i]->name, "passing", 7) == 0 &&
            (!admin->topic || random_once_in(&client->random, 2)))
            admin->topic = model->topics[i];
    if (!admin->topic || session_version(&client->session, API_DELETE_TOPICS) < 6)
        return false;
    topic.topic_id = admin->topic->id;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 20000;
    if (!client_ask(client, API_DELETE_TOPICS, &request, true))
        return false;
    admin->topic->delete_asked = true;
    return true;
}

/* One topic by name, which makes it if it is not there. */
static bool ask_topic(struct client *client)
{
    struct admin *admin = client->state;
    struct metadata_request request;
    struct metadata_request_topic topic;
    message_set_defaults(&metadata_request_message, &request);
    message_set_defaults(&metadata_request_topic_message, &topic);
    draw_name(client, admin->name, random_once_in(&client->random, 2));
    topic.name = string_of(admin->name);
    request.topics = &topic;
    request.topics_count = 1;
    request.allow_auto_topic_creation = true;
    admin->all_topics = false;
    return client_ask(client, API_METADATA, &request, true);
}

static bool list_offsets(struct client *client)
{
    struct admin *admin = client->state;
    const struct model *model = &client->sim->model;
    struct list_offsets_request request;
    struct list_offsets_request_list_offsets_topic topic;
    struct list_offsets_request_list_offsets_partition partition;
    message_set_defaults(&list_offsets_request_message, &request);
    message_set_defaults(&list_offsets_request_list_offsets_topic_message, &topic);
    message_set_defaults(&list_offsets_request_list_offsets_partition_message, &partition);
    if (model->topic_count == 0)
        return false;
    admin->topic = model->topics[random_below(&client->random, (uint64_t)model->topic_count)];
    if (strncmp(admin->topic->name, "passing", 7) == 0)
        return false; /* by name: which of them would be meant? */
    partition.partition_index =
        (int32_t)random_below(&client->random, (uint64_t)admin->topic->partition_count);
    int kind = (int)random_below(&client->random, 4);
    partition.timestamp =
        kind == 0   ? -1
        : kind == 1 ? -2
        : kind == 2 ? -3
                    : client->core.now.wall_ms - random_between(&client->random, 0, 20000);
    admin->timestamp = partition.timestamp;
    admin->promised_end = admin->topic->partitions[partition.partition_index].promised_end;
    topic.name = string_of(admin->topic->name);
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.replica_id = -1;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 20000;
    return client_ask(client, API_LIST_OFFSETS, &request, true);
}

static void work(struct client *client)
{
    struct admin *admin = client->state;
    int64_t now_ns = client->core.now.monotonic_ns;
    if (admin->asked || client->sim->calm || now_ns < client->next_ns)
        return;
    client->next_ns = now_ns + random_between(&client->random, 0, 300000000);
    switch (random_below(&client->random, 8)) {
    case 0:
    case 1:
        admin->asked = create(client);
        break;
    case 2:
        admin->asked = delete (client);
        break;
    case 3:
    case 4:
        admin->asked = ask_topic(client);
        break;
    case 5:
        admin->all_topics = true;
        admin->asked = client_ask_topics(client);
        break;
    default:
        admin->asked = list_offsets(client);
    }
}

static void take_created(struct client *client, const struct create_topics_response *created,
                         int64_t asked_ns)
{
    const struct create_topics_response_creatable_topic_result *topic = created->topics;
    if (created->topics_count != 1) {
        world_violation(client->sim->world, "create: %d topics answered", created->topics_count);
        return;
    }
    switch ((enum error)topic->error_code) {
    case ERROR_NONE:
        model_topic_seen(&client->sim->model, topic->topic_id, topic->name, topic->num_partitions,
                         asked_ns);
        break;
    case ERROR_TOPIC_ALREADY_EXISTS:
    case ERROR_KAFKA_STORAGE_ERROR:
    case ERROR_REQUEST_TIMED_OUT:
        break;
    default:
        world_violation(client->sim->world, "create: %s",
                        error_name((enum error)topic->error_code));
    }
}

static void take_deleted(struct client *client, const struct delete_topics_response *deleted)
{
    struct admin *admin = client->state;
    enum error error = deleted->responses_count == 1 ? (enum error)deleted->responses[0].error_code
                                                     : ERROR_UNKNOWN_SERVER_ERROR;
    if (error == ERROR_NONE || error == ERROR_UNKNOWN_TOPIC_ID)
        model_topic_deleted(&client->sim->model, admin->topic);
    else if (error != ERROR_KAFKA_STORAGE_ERROR && error != ERROR_REQUEST_TIMED_OUT)
        world_violation(client->sim->world, "delete: %s", error_name(error));
}

static void take_offsets(struct client *client, const struct list_offsets_response *listed)
{
    struct admin *admin = client->state;
    if (listed->topics_count != 1 || listed->topics[0].partitions_count != 1) {
        world_violation(client->sim->world, "list offsets: not what was asked");
        return;
    }
    const struct list_offsets_response_list_offsets_partition_response *got =
        &listed->topics[0].partitions[0];
    enum error error = (enum error)got->error_code;
    if (error == ERROR_KAFKA_STORAGE_ERROR && !client->sim->calm)
        return;
    if (error || (admin->timestamp == -1 && got->offset < admin->promised_end) ||
        (admin->timestamp == -2 && got->offset != 0))
        world_violation(client->sim->world,
                        "list offsets: %s, time %lld: %s, offset %lld, promised %lld",
                        admin->topic->name, (long long)admin->timestamp, error_name(error),
                        (long long)got->offset, (long long)admin->promised_end);
}

static void answer(struct client *client, const struct session_response *response, int64_t asked_ns)
{
    struct admin *admin = client->state;
    admin->asked = false;
    const struct metadata_response *metadata = response->message;
    switch (response->api->key) {
    case API_CREATE_TOPICS:
        take_created(client, response->message, asked_ns);
        break;
    case API_DELETE_TOPICS:
        take_deleted(client, response->message);
        break;
    case API_METADATA:
        if (admin->all_topics)
            client_take_topics(client, response->message, asked_ns);
        else if (metadata->topics_count == 1)
            take_topic(client, &metadata->topics[0], asked_ns);
        else
            world_violation(client->sim->world, "metadata: %d topics for one",
                            metadata->topics_count);
        break;
    case API_LIST_OFFSETS:
        take_offsets(client, response->message);
        break;
    default:
        check(!"never asked");
    }
}

static void lost(struct client *client)
{
    ((struct admin *)client->state)->asked = false;
}

static bool is_over(struct client *client)
{
    struct admin *admin = client->state;
    return !admin || !admin->asked;
}

const struct client_kind admin_kind = {"admin", init, work, answer, lost, is_over};
