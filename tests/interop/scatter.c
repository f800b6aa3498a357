/* Many connections at once, each of whose requests concern partitions of both cores, over a broker
 * in which one request only may be under way from one core to the other (mail.in.flight=1):
 * produce, fetch, look offsets up, make and delete topics, and go away in the middle of it. Every
 * answer comes, in order; of each partition nothing acknowledged is missing and nothing is there
 * that was not sent. What it is for is the build with the thread sanitizer, under which the broker
 * ends with an error if it saw a race. */
#include "base/random.h"
#include "interop/hostile.h"
#include "protocol/messages.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CLIENTS = 32,
    PARTITIONS = 16,
    ROUNDS = 40,
    PIPELINED_MOST = 4,
    PARTS_MOST = 6,       /* partitions of one Produce */
    LEAVE_ONCE_IN = 20,   /* a client goes away before it is answered */
    CATALOGUE_EVERY = 10, /* rounds: a topic is made, and the one before it deleted */
    FETCH_WAIT_MS = 5,
};

/* One request that waits for its answer. */
struct asked {
    int16_t key;
    int32_t correlation_id;
    int parts[PARTS_MOST], parts_count; /* of a Produce: partitions, each with one record */
};

struct client {
    int socket;
    struct asked asked[PIPELINED_MOST];
    int asked_count;
};

struct scatter {
    struct stage stage;
    struct random random;
    struct uuid topic_id;
    struct client clients[CLIENTS];
    int64_t sent[PARTITIONS], acknowledged[PARTITIONS];
    int topics_made;
};

static const struct create_topics_response *create(struct scatter *scatter, struct string name)
{
    struct stage *stage = &scatter->stage;
    struct create_topics_request *in = request_of(stage, API_CREATE_TOPICS);
    struct create_topics_request_creatable_topic topic = {
        .name = name, .num_partitions = PARTITIONS, .replication_factor = 1};
    in->topics = &topic;
    in->topics_count = 1;
    in->timeout_ms = 10000;
    const struct create_topics_response *out =
        client_ask(stage, stage->neighbour, API_CREATE_TOPICS, 7, in);
    bool made = out && out->topics_count == 1 && out->topics[0].error_code == ERROR_NONE;
    return TRUE_(made) ? out : NULL;
}

static void delete (struct scatter *scatter, struct string name)
{
    struct stage *stage = &scatter->stage;
    struct delete_topics_request *in = request_of(stage, API_DELETE_TOPICS);
    struct delete_topics_request_delete_topic_state topic = {.name = name};
    in->topics = &topic;
    in->topics_count = 1;
    in->timeout_ms = 10000;
    const struct delete_topics_response *out =
        client_ask(stage, stage->neighbour, API_DELETE_TOPICS, 6, in);
    TRUE_(out && out->responses_count == 1 && out->responses[0].error_code == ERROR_NONE);
}

/* -- requests ---------------------------------------------------------------------------------- */

static void *produce_many(struct scatter *scatter, struct asked *asked)
{
    struct stage *stage = &scatter->stage;
    struct produce_request *in = request_of(stage, API_PRODUCE);
    struct produce_request_topic_produce_data *topic = arena_take(&stage->arena, sizeof *topic);
    asked->parts_count = (int)random_between(&scatter->random, 1, PARTS_MOST);
    int first = (int)random_below(&scatter->random, PARTITIONS);
    *topic = (struct produce_request_topic_produce_data){
        .topic_id = scatter->topic_id,
        .partition_data = arena_take(&stage->arena, PARTS_MOST * sizeof(*topic->partition_data)),
        .partition_data_count = asked->parts_count};
    for (int i = 0; i < asked->parts_count; i++) {
        asked->parts[i] = (first + i) % PARTITIONS;
        scatter->sent[asked->parts[i]]++;
        topic->partition_data[i] = (struct produce_request_partition_produce_data){
            .index = asked->parts[i],
            .records.whole =
                batch_of(stage, 1, (int32_t)random_between(&scatter->random, 1, 2000))};
    }
    in->acks = -1;
    in->timeout_ms = 10000;
    in->topic_data = topic;
    in->topic_data_count = 1;
    return in;
}

static void *fetch_many(struct scatter *scatter)
{
    struct stage *stage = &scatter->stage;
    struct fetch_request *in = request_of(stage, API_FETCH);
    struct fetch_request_fetch_topic *topic = arena_take(&stage->arena, sizeof *topic);
    *topic = (struct fetch_request_fetch_topic){
        .topic_id = scatter->topic_id,
        .partitions = arena_take(&stage->arena, PARTITIONS * sizeof(*topic->partitions)),
        .partitions_count = PARTITIONS};
    for (int i = 0; i < PARTITIONS; i++) {
        struct fetch_request_fetch_partition *partition = &topic->partitions[i];
        message_set_defaults(&fetch_request_fetch_partition_message, partition);
        partition->partition = i;
        partition->fetch_offset = /* often the end, so that it waits */
            max_i64(0, scatter->acknowledged[i] - (int64_t)random_below(&scatter->random, 3));
        partition->partition_max_bytes = 4096;
    }
    in->max_wait_ms = FETCH_WAIT_MS;
    in->min_bytes = (int32_t)random_between(&scatter->random, 1, 8192);
    in->max_bytes = 65536;
    in->topics = topic;
    in->topics_count = 1;
    return in;
}

static void *list_many(struct scatter *scatter)
{
    struct stage *stage = &scatter->stage;
    struct list_offsets_request *in = request_of(stage, API_LIST_OFFSETS);
    struct list_offsets_request_list_offsets_topic *topic =
        arena_take(&stage->arena, sizeof *topic);
    *topic = (struct list_offsets_request_list_offsets_topic){
        .name = STRING("scattered"),
        .partitions = arena_take(&stage->arena, PARTITIONS * sizeof(*topic->partitions)),
        .partitions_count = PARTITIONS};
    for (int i = 0; i < PARTITIONS; i++)
        topic->partitions[i] = (struct list_offsets_request_list_offsets_partition){
            .partition_index = i, .current_leader_epoch = -1, .timestamp = -1};
    in->replica_id = -1;
    in->topics = topic;
    in->topics_count = 1;
    return in;
}

static void ask(struct scatter *scatter, struct client *client)
{
    struct asked *asked = &client->asked[client->asked_count++];
    struct stage *stage = &scatter->stage;
    int16_t version = 13;
    void *request;
    switch (random_below(&scatter->random, 6)) {
    case 0:
        asked->key = API_FETCH;
        request = fetch_many(scatter);
        break;
    case 1:
        asked->key = API_LIST_OFFSETS;
        version = 6;
        request = list_many(scatter);
        break;
    default:
        asked->key = API_PRODUCE;
        request = produce_many(scatter, asked);
        break;
    }
    TRUE_(client_send(client->socket, frame_of(stage, asked->key, version, request, 0)));
    asked->correlation_id = stage->correlation_id;
}

/* -- answers ----------------------------------------------------------------------------------- */

static void take_produce(struct scatter *scatter, const struct asked *asked,
                         const struct produce_response *out)
{
    if (!TRUE_(out->responses_count == 1) ||
        !TRUE_(out->responses[0].partition_responses_count == asked->parts_count))
        return;
    for (int i = 0; i < asked->parts_count; i++) {
        EQ(out->responses[0].partition_responses[i].error_code, ERROR_NONE);
        EQ(out->responses[0].partition_responses[i].index, asked->parts[i]);
        scatter->acknowledged[asked->parts[i]]++;
    }
}

static void take_fetch(const struct fetch_response *out)
{
    EQ(out->error_code, ERROR_NONE);
    for (int32_t t = 0; t < out->responses_count; t++)
        for (int32_t i = 0; i < out->responses[t].partitions_count; i++) {
            const struct fetch_response_partition_data *part = &out->responses[t].partitions[i];
            struct batch batch;
            EQ(part->error_code, ERROR_NONE);
            if (part->records.whole.size <= 0)
                continue;
            EQ(batch_view(part->records.whole.data, (size_t)part->records.whole.size, &batch),
               ERROR_NONE);
            EQ(batch_check_crc(&batch), ERROR_NONE);
        }
}

/* Every partition ends between what was acknowledged and what was sent. */
static void take_list(struct scatter *scatter, const struct list_offsets_response *out)
{
    if (!TRUE_(out->topics_count == 1 && out->topics[0].partitions_count == PARTITIONS))
        return;
    for (int i = 0; i < PARTITIONS; i++) {
        const struct list_offsets_response_list_offsets_partition_response *part =
            &out->topics[0].partitions[i];
        EQ(part->error_code, ERROR_NONE);
        TRUE_(part->offset <= scatter->sent[part->partition_index]);
    }
}

static bool take_answer(struct scatter *scatter, struct client *client, const struct asked *asked)
{
    struct bytes frame = client_receive(&scatter->stage, client->socket);
    void *out = answer_of(&scatter->stage, frame, asked->key,
                          asked->key == API_LIST_OFFSETS ? 6 : 13, asked->correlation_id);
    if (!TRUE_(out != NULL))
        return false;
    if (asked->key == API_PRODUCE)
        take_produce(scatter, asked, out);
    else if (asked->key == API_FETCH)
        take_fetch(out);
    else
        take_list(scatter, out);
    return true;
}

/* -- rounds ------------------------------------------------------------------------------------ */

static bool play_round(struct scatter *scatter, int round)
{
    struct stage *stage = &scatter->stage;
    bool fine = true;
    for (int i = 0; i < CLIENTS; i++) {
        struct client *client = &scatter->clients[i];
        client->asked_count = 0;
        for (int more = (int)random_between(&scatter->random, 1, PIPELINED_MOST); more; more--)
            ask(scatter, client);
        if (random_once_in(&scatter->random, LEAVE_ONCE_IN)) {
            client_close(client->socket);
            client->socket = client_connect(stage);
            client->asked_count = 0;
        }
    }
    if (round % CATALOGUE_EVERY == 0) {
        fine = create(scatter, arena_format(&stage->arena, "made-%d", scatter->topics_made));
        if (scatter->topics_made++ > 0)
            delete (scatter, arena_format(&stage->arena, "made-%d", scatter->topics_made - 2));
    }
    for (int i = 0; i < CLIENTS && fine; i++)
        for (int at = 0; at < scatter->clients[i].asked_count && fine; at++)
            fine = take_answer(scatter, &scatter->clients[i], &scatter->clients[i].asked[at]);
    arena_reset(&stage->arena, 1 << 20);
    return fine;
}

static void check_ends(struct scatter *scatter)
{
    struct stage *stage = &scatter->stage;
    const struct list_offsets_response *out =
        client_ask(stage, stage->neighbour, API_LIST_OFFSETS, 6, list_many(scatter));
    int64_t sent = 0, acknowledged = 0;
    if (!TRUE_(out && out->topics_count == 1 && out->topics[0].partitions_count == PARTITIONS))
        return;
    for (int i = 0; i < PARTITIONS; i++) {
        int64_t end = out->topics[0].partitions[i].offset;
        int index = out->topics[0].partitions[i].partition_index;
        sent += scatter->sent[index];
        acknowledged += scatter->acknowledged[index];
        test_expect(scatter->acknowledged[index] <= end && end <= scatter->sent[index], __FILE__,
                    __LINE__, "partition %d ends at %lld; %lld were acknowledged, %lld sent", index,
                    (long long)end, (long long)scatter->acknowledged[index],
                    (long long)scatter->sent[index]);
    }
    printf("scatter: %lld sent, %lld acknowledged\n", (long long)sent, (long long)acknowledged);
}

static uint64_t seed(void)
{
    const char *text = getenv("BOLE_SEED");
    return text ? strtoull(text, NULL, 10) : 1;
}

static bool open_scatter(struct scatter *scatter, const char *const *settings)
{
    const struct create_topics_response *made = NULL;
    if (stage_open(&scatter->stage, settings))
        made = create(scatter, STRING("scattered"));
    if (!made)
        return false;
    scatter->topic_id = made->topics[0].topic_id;
    random_seed(&scatter->random, seed());
    for (int i = 0; i < CLIENTS; i++)
        scatter->clients[i].socket = client_connect(&scatter->stage);
    return true;
}

static void play(struct scatter *scatter, int rounds)
{
    bool fine = true;
    for (int round = 0; round < rounds && fine; round++)
        fine = play_round(scatter, round);
}

static void leave(struct scatter *scatter)
{
    for (int i = 0; i < CLIENTS; i++)
        client_close(scatter->clients[i].socket);
}

TEST(scatter, many_clients_over_two_cores_with_one_letter_at_a_time)
{
    static const char *const settings[] = {"cores=2", "mail.in.flight=1", NULL};
    static struct scatter scatter;
    if (open_scatter(&scatter, settings)) {
        play(&scatter, ROUNDS);
        leave(&scatter);
        check_ends(&scatter);
    }
    stage_close(&scatter.stage);
}

/* -- starts ------------------------------------------------------------------------------------ */

/* Ends the broker and starts it again, with all clients. */
static bool start_again(struct scatter *scatter, int signal, const char *cores)
{
    struct stage *stage = &scatter->stage;
    leave(scatter);
    client_close(stage->neighbour);
    int status = process_stop(&stage->broker, signal);
    TRUE_(signal == SIGKILL || status == 0); /* a race that was seen is an error */
    stage->broker.settings[0] = cores;
    bool up = TRUE_(process_start(&stage->broker));
    stage->neighbour = up ? client_connect(stage) : -1;
    for (int i = 0; i < CLIENTS && up; i++)
        scatter->clients[i].socket = client_connect(stage);
    return up;
}

/* The journals of two cores are gone on with by both, and replayed by three. */
TEST(scatter, cores_that_recover_side_by_side_lose_nothing)
{
    static const char *const settings[] = {"cores=2", NULL};
    static struct scatter scatter;
    bool up = open_scatter(&scatter, settings);
    if (up) {
        play(&scatter, CATALOGUE_EVERY);
        up = start_again(&scatter, SIGKILL, "cores=2");
    }
    if (up) {
        check_ends(&scatter);
        up = start_again(&scatter, SIGTERM, "cores=2");
    }
    if (up) {
        play(&scatter, CATALOGUE_EVERY);
        up = start_again(&scatter, SIGKILL, "cores=3");
    }
    if (up) {
        check_ends(&scatter);
        leave(&scatter);
    }
    stage_close(&scatter.stage);
}
