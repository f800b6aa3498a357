/* A client that deletes records (DeleteRecords, KIP-107): of one to four partitions of a topic, to
 * an offset, to one that does not exist yet, or all there are; and asks where logs begin. One
 * request at a time. */
#include "base/check.h"
#include "base/memory.h"
#include "base/reached.h"
#include "protocol/messages.h"
#include "sim/broker_sim.h"
#include "sim/client_start.h"

enum { PARTS_MAX = 4, CALM_ASKS = 8, FAR_BEYOND = 1000000 };

struct purger {
    bool asked;
    struct model_topic *topic;
    uint64_t boots; /* of the broker, when it was asked */
    int part_count;
    struct purge {
        struct model_partition *partition;
        int64_t offset;
        int64_t promised_start, promised_end; /* when it was asked */
    } parts[PARTS_MAX];
    int64_t pause_ns;
    int calm_asks;
};

static void init(struct client *client)
{
    struct purger *purger = client->state;
    if (!purger) {
        purger = client->state = memory_zeroed(sizeof *purger);
        purger->pause_ns = random_between(&client->random, 1, 1000) * 1000000;
    }
}

/* ---- asking ---- */

/* Some neighbours of a topic whose name always means the same one. */
static bool pick(struct client *client)
{
    struct purger *purger = client->state;
    const struct model *model = &client->sim->model;
    if (model->topic_count == 0)
        return false;
    purger->topic = model->topics[random_below(&client->random, (uint64_t)model->topic_count)];
    if (purger->topic->kind == MODEL_PASSING)
        return false;
    int32_t count = purger->topic->partition_count;
    purger->part_count =
        (int)random_between(&client->random, 1, count < PARTS_MAX ? count : PARTS_MAX);
    int32_t first =
        (int32_t)random_below(&client->random, (uint64_t)(count - purger->part_count + 1));
    for (int i = 0; i < purger->part_count; i++) {
        struct model_partition *partition = &purger->topic->partitions[first + i];
        purger->parts[i] = (struct purge){.partition = partition,
                                          .promised_start = partition->start_promised,
                                          .promised_end = partition->promised_end};
    }
    return true;
}

/* Mostly a little more than what is gone; now and then all, or what is not there. */
static int64_t draw_offset(struct client *client, const struct model_partition *partition)
{
    int64_t begin = partition->start_seen, end = partition->promised_end;
    switch (random_below(&client->random, 12)) {
    case 0:
        return -1;
    case 1:
        return end + FAR_BEYOND;
    case 2:
        return random_between(&client->random, 0, end + 3);
    default:
        return begin >= end ? end : begin + random_between(&client->random, 0, (end - begin) / 4);
    }
}

static bool delete_records(struct client *client)
{
    struct purger *purger = client->state;
    struct delete_records_request request;
    struct delete_records_request_delete_records_topic topic;
    struct delete_records_request_delete_records_partition parts[PARTS_MAX];
    message_set_defaults(&delete_records_request_message, &request);
    message_set_defaults(&delete_records_request_delete_records_topic_message, &topic);
    for (int i = 0; i < purger->part_count; i++) {
        struct purge *purge = &purger->parts[i];
        message_set_defaults(&delete_records_request_delete_records_partition_message, &parts[i]);
        purge->offset = draw_offset(client, purge->partition);
        parts[i].partition_index = purge->partition->index;
        parts[i].offset = purge->offset;
    }
    topic.name = string_of(purger->topic->name);
    topic.partitions = parts;
    topic.partitions_count = purger->part_count;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 20000;
    if (!client_ask(client, API_DELETE_RECORDS, &request, true))
        return false;
    for (int i = 0; i < purger->part_count; i++)
        if (purger->parts[i].offset < purger->parts[i].promised_end + FAR_BEYOND)
            model_start_asked(purger->parts[i].partition, purger->parts[i].offset);
    purger->boots = client->sim->broker.boots;
    return true;
}

static bool list_starts(struct client *client)
{
    struct purger *purger = client->state;
    struct list_offsets_request_list_offsets_partition parts[PARTS_MAX];
    for (int i = 0; i < purger->part_count; i++) {
        message_set_defaults(&list_offsets_request_list_offsets_partition_message, &parts[i]);
        parts[i].partition_index = purger->parts[i].partition->index;
        parts[i].timestamp = -2;
    }
    return client_ask_offsets(client, purger->topic->name, parts, purger->part_count);
}

static void work(struct client *client)
{
    struct purger *purger = client->state;
    int64_t now_ns = client->core.now.monotonic_ns;
    bool calm = client->sim->calm;
    if (purger->asked || now_ns < client->next_ns || (calm && purger->calm_asks == CALM_ASKS))
        return;
    client->next_ns = now_ns + random_between(&client->random, 0, purger->pause_ns);
    purger->calm_asks += calm;
    if (!pick(client))
        return;
    bool lists = calm || random_once_in(&client->random, 2);
    purger->asked = lists ? list_starts(client) : delete_records(client);
}

/* ---- answers ---- */

/* Errors that have nothing to do with the offset. */
static bool is_excused(struct client *client, const struct purge *purge, enum error error,
                       int64_t asked_ns)
{
    const struct simulation *sim = client->sim;
    switch (error) {
    case ERROR_KAFKA_STORAGE_ERROR:
        return !sim->calm || asked_ns <= sim->calm_ns || purge->partition->rotten;
    case ERROR_REQUEST_TIMED_OUT:
        return true;
    case ERROR_POLICY_VIOLATION:
        return purge->partition->topic->rules->keeps;
    case ERROR_UNKNOWN_TOPIC_OR_PARTITION:
    case ERROR_NOT_LEADER_OR_FOLLOWER:
        return asked_ns <= purge->partition->seen_ns + MODEL_SPREAD_NS;
    default:
        return false;
    }
}

static void
take_deleted(struct client *client, const struct purge *purge,
             const struct delete_records_response_delete_records_partition_result *answer,
             int64_t asked_ns)
{
    struct purger *purger = client->state;
    struct model_partition *partition = purge->partition;
    struct world *world = client->sim->world;
    enum error error = (enum error)answer->error_code;
    if (answer->partition_index != partition->index) {
        world_violation(world, "delete records: partition %d answered, %d was asked",
                        answer->partition_index, partition->index);
        return;
    }
    if (purge->offset < 0 && purger->boots == client->sim->broker.boots &&
        error != ERROR_REQUEST_TIMED_OUT)
        partition->purges_to_end--;
    if (error == ERROR_NONE && purge->offset < purge->promised_end + FAR_BEYOND &&
        !partition->topic->rules->keeps) {
        REACHED("records deleted by a client");
        model_start_told(&client->sim->model, partition, purge->promised_start,
                         answer->low_watermark, "delete records");
        model_start_promised(&client->sim->model, partition,
                             max_i64(answer->low_watermark, purge->offset));
        return;
    }
    if (error == ERROR_OFFSET_OUT_OF_RANGE && purge->offset > purge->promised_end)
        return;
    if (error == ERROR_NONE || !is_excused(client, purge, error, asked_ns))
        world_violation(world, "delete records: %s-%d to %lld of %lld promised: %s",
                        partition->topic->name, partition->index, (long long)purge->offset,
                        (long long)purge->promised_end, error_name(error));
}

static void take_listed(struct client *client, const struct purge *purge,
                        const struct list_offsets_response_list_offsets_partition_response *answer,
                        int64_t asked_ns)
{
    struct world *world = client->sim->world;
    enum error error = (enum error)answer->error_code;
    if (answer->partition_index != purge->partition->index)
        world_violation(world, "list starts: partition %d answered, %d was asked",
                        answer->partition_index, purge->partition->index);
    else if (error == ERROR_NONE)
        model_start_told(&client->sim->model, purge->partition, purge->promised_start,
                         answer->offset, "list starts");
    else if (!is_excused(client, purge, error, asked_ns))
        world_violation(world, "list starts: %s-%d: %s", purge->partition->topic->name,
                        purge->partition->index, error_name(error));
}

static void answer(struct client *client, const struct session_response *response, int64_t asked_ns)
{
    struct purger *purger = client->state;
    purger->asked = false;
    if (response->api->key == API_DELETE_RECORDS) {
        const struct delete_records_response *deleted = response->message;
        if (deleted->topics_count != 1 ||
            deleted->topics[0].partitions_count != purger->part_count) {
            world_violation(client->sim->world, "delete records: not what was asked is answered");
            return;
        }
        for (int i = 0; i < purger->part_count; i++)
            take_deleted(client, &purger->parts[i], &deleted->topics[0].partitions[i], asked_ns);
        return;
    }
    const struct list_offsets_response *listed = response->message;
    check(response->api->key == API_LIST_OFFSETS);
    if (listed->topics_count != 1 || listed->topics[0].partitions_count != purger->part_count) {
        world_violation(client->sim->world, "list starts: not what was asked is answered");
        return;
    }
    for (int i = 0; i < purger->part_count; i++)
        take_listed(client, &purger->parts[i], &listed->topics[0].partitions[i], asked_ns);
}

static void lost(struct client *client)
{
    ((struct purger *)client->state)->asked = false;
}

static bool is_over(struct client *client)
{
    const struct purger *purger = client->state;
    return purger && purger->calm_asks == CALM_ASKS && !purger->asked;
}

const struct client_kind purger_kind = {"purger", init, work, answer, lost, is_over};
