/* An admin: creates, grows, deletes and re-creates topics, asks for topics, some of which that
 * creates, for offsets, and for descriptions. One request at a time. */
#include "base/check.h"
#include "base/memory.h"
#include "base/reached.h"
#include "protocol/messages.h"
#include "sim/broker_sim.h"
#include "sim/client_describe.h"
#include "sim/client_start.h"
#include <stdio.h>

struct admin {
    bool asked;
    enum api_key key;
    char name[MODEL_NAME_SIZE]; /* of what was asked for */
    struct model_topic *topic;
    int64_t timestamp, promised_start, promised_end;
    const struct model_partition *partition;
    bool all_topics;
    int32_t grown;
    struct client_describe describe;
};

static void init(struct client *client)
{
    if (!client->state)
        client->state = memory_zeroed(sizeof(struct admin));
}

static const struct model_rules *draw_name(struct client *client, char *name, enum model_kind kind)
{
    static const char *const prefixes[MODEL_KINDS] = {"fixed", "passing", "auto"};
    struct simulation *sim = client->sim;
    int index = (int)random_below(&client->random, (uint64_t)sim->topics[kind]);
    snprintf(name, MODEL_NAME_SIZE, "%s-%d", prefixes[kind], index);
    return &sim->model.rules[kind][index];
}

enum { CONFIGS = 10 };

/* What makes a topic one of these rules. */
static void write_configs(const struct model_rules *rules, char text[CONFIGS][24],
                          struct create_topics_request_creatable_topic_config *configs)
{
    static const char *const names[CONFIGS] = {
        "compression.type",   "message.timestamp.type", "message.timestamp.before.max.ms",
        "max.message.bytes",  "min.insync.replicas",    "retention.ms",
        "retention.bytes",    "file.delete.delay.ms",   "cleanup.policy",
        "delete.retention.ms"};
    snprintf(text[0], sizeof text[0], "%s", model_compression(rules));
    snprintf(text[1], sizeof text[1], "%s", rules->append_time ? "LogAppendTime" : "CreateTime");
    snprintf(text[2], sizeof text[2], "%lld",
             rules->old_is_refused ? 3600000ll : (long long)INT64_MAX);
    snprintf(text[3], sizeof text[3], "%d", rules->size_max_bytes);
    snprintf(text[4], sizeof text[4], "%d", rules->min_insync);
    snprintf(text[5], sizeof text[5], "%lld", (long long)rules->retention_ms);
    snprintf(text[6], sizeof text[6], "%lld", (long long)rules->retention_bytes);
    snprintf(text[7], sizeof text[7], "%lld", (long long)rules->delete_delay_ms);
    snprintf(text[8], sizeof text[8], "%s", model_cleanup(rules));
    snprintf(text[9], sizeof text[9], "%lld", (long long)rules->tombstone_ms);
    for (int i = 0; i < CONFIGS; i++) {
        message_set_defaults(&create_topics_request_creatable_topic_config_message, &configs[i]);
        configs[i].name = string_of(names[i]);
        configs[i].value = string_of(text[i]);
    }
}

static bool create(struct client *client)
{
    struct admin *admin = client->state;
    struct create_topics_request request;
    struct create_topics_request_creatable_topic topic;
    message_set_defaults(&create_topics_request_message, &request);
    message_set_defaults(&create_topics_request_creatable_topic_message, &topic);
    struct create_topics_request_creatable_topic_config configs[CONFIGS];
    char text[CONFIGS][24];
    write_configs(draw_name(client, admin->name,
                            random_once_in(&client->random, 2) ? MODEL_FIXED : MODEL_PASSING),
                  text, configs);
    topic.name = string_of(admin->name);
    topic.configs = configs;
    topic.configs_count = CONFIGS;
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
        if (model->topics[i]->deleted_ns == INT64_MAX && model->topics[i]->kind == MODEL_PASSING &&
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

/* Any topic that is known may grow while it is written to. */
static bool grow(struct client *client)
{
    struct admin *admin = client->state;
    const struct model *model = &client->sim->model;
    struct create_partitions_request request;
    struct create_partitions_request_create_partitions_topic topic;
    message_set_defaults(&create_partitions_request_message, &request);
    message_set_defaults(&create_partitions_request_create_partitions_topic_message, &topic);
    if (model->topic_count == 0)
        return false;
    admin->topic = model->topics[random_below(&client->random, (uint64_t)model->topic_count)];
    if (admin->topic->kind == MODEL_PASSING)
        return false; /* by name: which of them would be meant? */
    admin->grown = (int32_t)random_between(&client->random, 1, MODEL_PARTITIONS_MAX);
    topic.name = string_of(admin->topic->name);
    topic.count = admin->grown;
    topic.assignments_count = -1;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 20000;
    request.validate_only = random_once_in(&client->random, 8);
    if (!client_ask(client, API_CREATE_PARTITIONS, &request, true))
        return false;
    if (!request.validate_only)
        model_grow_asked(admin->topic, admin->grown);
    else
        admin->grown = 0;
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
    draw_name(client, admin->name, MODEL_AUTOMATIC);
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
    struct list_offsets_request_list_offsets_partition partition;
    message_set_defaults(&list_offsets_request_list_offsets_partition_message, &partition);
    if (model->topic_count == 0)
        return false;
    admin->topic = model->topics[random_below(&client->random, (uint64_t)model->topic_count)];
    if (admin->topic->kind == MODEL_PASSING)
        return false; /* by name: which of them would be meant? */
    partition.partition_index =
        (int32_t)random_below(&client->random, (uint64_t)admin->topic->partition_count);
    int kind = (int)random_below(&client->random, 4);
    bool knows_max = session_version(&client->session, API_LIST_OFFSETS) >= 7;
    partition.timestamp = kind == 0                ? -1
                          : kind == 1              ? -2
                          : kind == 2 && knows_max ? -3
                                                   : client->core.now.wall_ms -
                                                         random_between(&client->random, 0, 20000);
    admin->timestamp = partition.timestamp;
    admin->partition = &admin->topic->partitions[partition.partition_index];
    admin->promised_start = admin->partition->start_promised;
    admin->promised_end = admin->partition->promised_end;
    return client_ask_offsets(client, admin->topic->name, &partition, 1);
}

static void work(struct client *client)
{
    struct admin *admin = client->state;
    int64_t now_ns = client->core.now.monotonic_ns;
    if (admin->asked || client->sim->calm || now_ns < client->next_ns)
        return;
    client->next_ns = now_ns + random_between(&client->random, 0, 300000000);
    switch (random_below(&client->random, 14)) {
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
    case 6:
    case 7:
    case 8:
    case 9:
        admin->asked = client_describe(client, &admin->describe);
        break;
    case 10:
        admin->asked = grow(client);
        break;
    default:
        admin->asked = list_offsets(client);
    }
}

static void take_created(struct client *client, const struct session_response *response,
                         int64_t asked_ns)
{
    const struct create_topics_response *created = response->message;
    const struct create_topics_response_creatable_topic_result *topic = created->topics;
    if (created->topics_count != 1) {
        world_violation(client->sim->world, "create: %d topics answered", created->topics_count);
        return;
    }
    switch ((enum error)topic->error_code) {
    case ERROR_NONE:
        if (response->version < 7)
            break; /* without its id */
        model_topic_seen(&client->sim->model, topic->topic_id, topic->name, topic->num_partitions,
                         asked_ns);
        break;
    case ERROR_TOPIC_ALREADY_EXISTS:
    case ERROR_KAFKA_STORAGE_ERROR:
    case ERROR_REQUEST_TIMED_OUT:
        break;
    default:
        world_violation(client->sim->world, "create: %s: %.*s",
                        error_name((enum error)topic->error_code), topic->error_message.size,
                        topic->error_message.data);
    }
}

static void take_grown(struct client *client, const struct create_partitions_response *grown)
{
    struct admin *admin = client->state;
    struct simulation *sim = client->sim;
    int16_t error = grown->results_count == 1 ? grown->results[0].error_code : -1;
    switch ((enum error)error) {
    case ERROR_NONE:
        if (admin->grown > 0)
            model_count_seen(&sim->model, admin->topic, admin->grown, INT64_MIN);
        if (admin->topic->in_flight > 0)
            REACHED("partitions created under produce");
        break;
    case ERROR_INVALID_PARTITIONS: /* no more than there are */
    case ERROR_KAFKA_STORAGE_ERROR:
    case ERROR_REQUEST_TIMED_OUT:
        break;
    default:
        world_violation(sim->world, "create partitions: %s of %s: %.*s (%d results)",
                        error_name((enum error)error), admin->topic->name,
                        grown->results_count > 0 ? grown->results[0].error_message.size : 0,
                        grown->results_count > 0 ? grown->results[0].error_message.data : "",
                        grown->results_count);
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
    bool faults = !client->sim->calm || client->sim->world->now_ns <= client->sim->calm_ns;
    if (error == ERROR_KAFKA_STORAGE_ERROR && faults)
        return;
    if (!error && (admin->timestamp == -2 || (admin->timestamp >= 0 && got->offset >= 0))) {
        int64_t start = admin->timestamp == -2 ? got->offset : admin->promised_start;
        model_start_told(&client->sim->model, admin->partition, admin->promised_start, start,
                         "list offsets");
    }
    if (error || (admin->timestamp == -1 && got->offset < admin->promised_end) ||
        (admin->timestamp >= 0 && got->offset >= 0 && got->offset < admin->promised_start))
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
        take_created(client, response, asked_ns);
        break;
    case API_DELETE_TOPICS:
        take_deleted(client, response->message);
        break;
    case API_METADATA:
        if (admin->all_topics)
            client_take_topics(client, response, asked_ns);
        else if (metadata->topics_count == 1)
            client_take_topic(client, &metadata->topics[0], response->version, asked_ns);
        else
            world_violation(client->sim->world, "metadata: %d topics for one",
                            metadata->topics_count);
        break;
    case API_LIST_OFFSETS:
        take_offsets(client, response->message);
        break;
    case API_CREATE_PARTITIONS:
        take_grown(client, response->message);
        break;
    default:
        client_take_description(client, &admin->describe, response, asked_ns);
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
