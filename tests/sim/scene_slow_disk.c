/* A disk that answers, but after hundreds of milliseconds: a whole broker, producers that send as
 * fast as they are let, and one who asks for what needs no disk.
 *
 *   quick disk -> slow disk, half a minute -> quick again -> calm -> stop -> the disk is read
 *
 * What must hold
 *  1. What the broker keeps is bounded, however much is sent: buffers, blocks of the journal, and
 *     its whole memory. Beyond that sockets are not read, and the producers feel it.
 *  2. Nobody is told anything but that his time is up, and no connection is closed.
 *  3. What needs no disk is answered as before.
 *  4. Once the disk is quick again as much goes through as before, and what was acknowledged is
 *     there (oracle_disk). */
#include "api/api.h"
#include "base/check.h"
#include "base/memory.h"
#include "net/connection.h"
#include "net/net.h"
#include "protocol/messages.h"
#include "sim/broker_sim.h"
#include "sim/client_batch.h"
#include "sim/machine_memory.h"
#include "storage/drain.h"
#include "storage/log_state.h"
#include "storage/store.h"
#include "support/test.h"
#include <stdio.h>

enum {
    CORES = 2,
    PRODUCERS = 12,
    PIPELINE = 20, /* requests that a producer has under way, if the broker reads them */
    FLIGHTS = 64,
    BUSY_PARTITIONS = 6,
    BUFFERS_BYTES = 1 << 19,
    JOURNAL_BYTES = 1 << 20,
    IN_FLIGHT = 8,
    SHORT_TIMEOUT_MS = 1500,
    KINDS = 5,        /* of questions that need no disk */
    PATIENCE_S = 200, /* of clients: longer than the disk is slow */
};

static const int64_t second_ns = 1000000000;
static const int64_t prompt_ns = 100000000; /* what needs no disk is answered within */

struct scene {
    struct simulation sim;
    uint32_t value_bytes;        /* of a record, at most */
    uint32_t pool_buffers;       /* receive buffers of a core */
    size_t at_rest;              /* memory of the broker, before anything is sent */
    int held;                    /* producers that could not send on, at the end of the slow time */
    uint64_t quick, slow, again; /* batches acknowledged in ten seconds */
    struct model_topic *busy, *quiet;
    uint64_t acknowledged, timed_out;             /* batches */
    int64_t slowest_ns, asked, stored;            /* by the one who asks for little */
    size_t memory_most, buffers_most, tails_most; /* of the broker; of a core */
    int64_t journal_most;                         /* of a journal, bytes */
    int32_t in_flight_most;                       /* requests on a connection */
    bool watches;
};

static struct scene *scene_of(struct client *client)
{
    return CONTAINER_OF(client->sim, struct scene, sim);
}

/* ---- producers ------------------------------------------------------------------------------ */

struct sender {
    struct client_batch flights[FLIGHTS]; /* a ring, oldest first */
    int first, count;
    int32_t timeout_ms;
    uint8_t *bytes;
};

static void producer_init(struct client *client)
{
    struct sender *sender = client->state;
    if (!sender) {
        sender = client->state = memory_zeroed(sizeof *sender);
        sender->bytes = memory_aligned(16, CLIENT_BATCH_SPACE);
        sender->timeout_ms = client->machine % 2 ? SHORT_TIMEOUT_MS : 600000;
    }
    sender->count = 0;
}

static bool produce_to(struct client *client, struct model_partition *partition, int records)
{
    struct sender *sender = client->state;
    struct client_batch_habits habits = {.value_max = scene_of(client)->value_bytes,
                                         .records_max = records,
                                         .codec = CODEC_NONE,
                                         .version = session_version(&client->session, API_PRODUCE)};
    struct produce_request request;
    struct produce_request_topic_produce_data data;
    struct produce_request_partition_produce_data part;
    struct client_batch batch;
    message_set_defaults(&produce_request_message, &request);
    message_set_defaults(&produce_request_topic_produce_data_message, &data);
    message_set_defaults(&produce_request_partition_produce_data_message, &part);
    part.index = partition->index;
    part.records.whole = client_batch_make(client, partition, &habits, sender->bytes, &batch);
    data.name = string_of(partition->topic->name);
    data.topic_id = partition->topic->id;
    data.partition_data = &part;
    data.partition_data_count = 1;
    request.acks = -1;
    request.timeout_ms = sender->timeout_ms;
    request.topic_data = &data;
    request.topic_data_count = 1;
    if (!client_ask(client, API_PRODUCE, &request, true))
        return false;
    sender->flights[(sender->first + sender->count++) % FLIGHTS] = batch;
    return true;
}

static void producer_work(struct client *client)
{
    struct sender *sender = client->state;
    struct scene *scene = scene_of(client);
    while (scene->busy && !client->sim->calm && sender->count < PIPELINE) {
        uint64_t index = random_below(&client->random, BUSY_PARTITIONS);
        if (!produce_to(client, &scene->busy->partitions[index], 8))
            return;
    }
}

/* The error code of the answer to the oldest batch under way, with what was acknowledged noted. */
static enum error take_produced(struct client *client, const struct session_response *response)
{
    struct sender *sender = client->state;
    const struct produce_response *produced = response->message;
    const struct produce_response_partition_produce_response *answer =
        &produced->responses[0].partition_responses[0];
    struct client_batch *batch = &sender->flights[sender->first];
    sender->first = (sender->first + 1) % FLIGHTS;
    sender->count--;
    for (int32_t i = 0; answer->error_code == ERROR_NONE && i < batch->count; i++)
        model_acknowledge(&client->sim->model, batch->first_uid + (uint64_t)i,
                          answer->base_offset + i, answer->log_append_time_ms);
    return (enum error)answer->error_code;
}

static void producer_answer(struct client *client, const struct session_response *response,
                            int64_t asked_ns)
{
    struct scene *scene = scene_of(client);
    const struct sender *sender = client->state;
    enum error error = take_produced(client, response);
    scene->acknowledged += error == ERROR_NONE;
    scene->timed_out += error == ERROR_REQUEST_TIMED_OUT;
    int64_t waited_ms = (client->core.now.monotonic_ns - asked_ns) / 1000000;
    if (error && (error != ERROR_REQUEST_TIMED_OUT || waited_ms < sender->timeout_ms))
        world_violation(client->sim->world, "a producer was told %s after %lld ms",
                        error_name(error), (long long)waited_ms);
}

static void client_lost(struct client *client)
{
    if (client->answers > 0 && !client->sim->calm)
        world_violation(client->sim->world, "a connection was lost");
}

static bool producer_is_over(struct client *client)
{
    return ((struct sender *)client->state)->count == 0;
}

static const struct client_kind busy_kind = {"busy",          producer_init, producer_work,
                                             producer_answer, client_lost,   producer_is_over};

/* ---- who asks for what needs no disk --------------------------------------------------------- */

/* Its own records, which need one, are one in many, and are read while they are in memory. */
struct asker {
    struct sender sender;     /* of one batch at a time; first */
    bool waits;               /* for an answer */
    bool stores;              /* records, over the connection */
    int64_t turn, stored_end; /* of what it stored: to be read now; or -1 */
};

static void asker_init(struct client *client)
{
    if (!client->state) {
        struct asker *asker = client->state = memory_zeroed(sizeof *asker);
        asker->sender.bytes = memory_aligned(16, CLIENT_BATCH_SPACE);
        asker->sender.timeout_ms = 600000;
        asker->stores = client->machine % 2;
    }
    struct asker *asker = client->state;
    asker->sender.count = 0;
    asker->waits = false;
    asker->stored_end = -1;
}

static bool ask_fetch(struct client *client, int64_t offset)
{
    const struct model_topic *quiet = scene_of(client)->quiet;
    struct fetch_request request;
    struct fetch_request_fetch_topic topic;
    struct fetch_request_fetch_partition partition;
    message_set_defaults(&fetch_request_message, &request);
    message_set_defaults(&fetch_request_fetch_topic_message, &topic);
    message_set_defaults(&fetch_request_fetch_partition_message, &partition);
    partition.fetch_offset = offset;
    partition.partition_max_bytes = request.max_bytes = 1 << 16;
    topic.topic = string_of(quiet->name);
    topic.topic_id = quiet->id;
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    return client_ask(client, API_FETCH, &request, true);
}

static bool ask_end(struct client *client)
{
    struct list_offsets_request_list_offsets_partition partition;
    message_set_defaults(&list_offsets_request_list_offsets_partition_message, &partition);
    partition.timestamp = -1;
    return client_ask_offsets(client, scene_of(client)->quiet->name, &partition, 1);
}

static bool ask_cluster(struct client *client)
{
    struct describe_cluster_request request;
    message_set_defaults(&describe_cluster_request_message, &request);
    return client_ask(client, API_DESCRIBE_CLUSTER, &request, true);
}

static bool ask_versions(struct client *client)
{
    struct api_versions_request request;
    message_set_defaults(&api_versions_request_message, &request);
    request.client_software_name = request.client_software_version = STRING("scene");
    return client_ask(client, API_API_VERSIONS, &request, true);
}

static void asker_work(struct client *client)
{
    struct asker *asker = client->state;
    struct model_topic *quiet = scene_of(client)->quiet;
    if (!quiet || client->sim->calm || asker->waits)
        return;
    if (asker->stores) {
        asker->waits = asker->stored_end >= 0 ? ask_fetch(client, asker->stored_end)
                                              : produce_to(client, &quiet->partitions[0], 1);
        asker->stored_end = -1;
        return;
    }
    switch (asker->turn++ % (KINDS - 1)) {
    case 0:
        asker->waits = client_ask_topics(client);
        break;
    case 1:
        asker->waits = ask_versions(client);
        break;
    case 2:
        asker->waits = ask_cluster(client);
        break;
    default:
        asker->waits = ask_end(client);
    }
}

static void take_fetched(struct client *client, const struct session_response *response)
{
    const struct fetch_response *fetched = response->message;
    int64_t next = -1;
    if (fetched->responses_count == 1 && fetched->responses[0].partitions_count == 1 &&
        fetched->responses[0].partitions[0].records.whole.size > 0)
        model_read_batches(&client->sim->model, &scene_of(client)->quiet->partitions[0],
                           fetched->responses[0].partitions[0].records.whole, &next, true);
    else
        world_violation(client->sim->world, "a fetch of what was just stored gives nothing");
}

static void asker_answer(struct client *client, const struct session_response *response,
                         int64_t asked_ns)
{
    struct asker *asker = client->state;
    struct scene *scene = scene_of(client);
    asker->waits = false;
    if (response->api->key == API_PRODUCE) {
        const struct produce_response *produced = response->message;
        asker->stored_end = produced->responses[0].partition_responses[0].base_offset;
        if (take_produced(client, response) != ERROR_NONE)
            world_violation(client->sim->world, "who stores little is refused");
        scene->stored++;
        return;
    }
    if (response->api->key == API_FETCH)
        take_fetched(client, response);
    int64_t waited_ns = client->core.now.monotonic_ns - asked_ns;
    scene->asked++;
    scene->slowest_ns = max_i64(scene->slowest_ns, waited_ns);
    if (waited_ns > prompt_ns)
        world_violation(client->sim->world, "what needs no disk (%d) is answered after %lld ms",
                        response->api->key, (long long)(waited_ns / 1000000));
}

static bool asker_is_over(struct client *client)
{
    return !((struct asker *)client->state)->waits;
}

static const struct client_kind asker_kind = {"asker",      asker_init,  asker_work,
                                              asker_answer, client_lost, asker_is_over};

/* ---- the broker ------------------------------------------------------------------------------ */

static void look_at_core(struct scene *scene, const struct shard *shard)
{
    const struct store *store = shard->stores[0];
    scene->buffers_most = shard->core.buffers.used_bytes > scene->buffers_most
                              ? shard->core.buffers.used_bytes
                              : scene->buffers_most;
    scene->tails_most =
        store->tails.used_bytes > scene->tails_most ? store->tails.used_bytes : scene->tails_most;
    scene->journal_most =
        max_i64(scene->journal_most, store->journal.live_bytes + store->journal.pending_bytes);
    const struct list *all = &shard->net->connections;
    for (const struct list *node = all->next; node != all; node = node->next) {
        const struct connection *connection = CONTAINER_OF(node, struct connection, link);
        if (connection->in_flight > scene->in_flight_most)
            scene->in_flight_most = connection->in_flight;
    }
}

static void watch(struct world *world, void *argument)
{
    struct scene *scene = argument;
    oracle_event(world, &scene->sim);
    if (!scene->watches || scene->sim.broker.state != BROKER_UP)
        return;
    for (int i = 0; i < CORES; i++)
        look_at_core(scene, &scene->sim.broker.broker.shards[i]);
    size_t memory = machine_memory_bytes(scene->sim.broker.machine);
    scene->memory_most = memory > scene->memory_most ? memory : scene->memory_most;
}

/* Bytes that the broker has taken from its sockets. */
static uint64_t received(const struct scene *scene)
{
    uint64_t bytes = 0;
    for (int i = 0; i < CORES; i++)
        bytes += scene->sim.broker.broker.shards[i].net->received_bytes;
    return bytes;
}

/* Producers who have something to send and can't. */
static int held_up(const struct scene *scene)
{
    int count = 0;
    for (int i = 0; i < PRODUCERS; i++)
        count += scene->sim.clients[i].sending;
    return count;
}

static void set_disk(struct scene *scene, bool slow)
{
    static const uint8_t kinds[] = {OP_WRITE,    OP_FLUSH,         OP_FLUSH_ALL, OP_ALLOCATE,
                                    OP_TRUNCATE, OP_OPEN,          OP_RENAME,    OP_REMOVE,
                                    OP_READ,     OP_MAKE_DIRECTORY};
    for (size_t i = 0; i < sizeof kinds; i++)
        scene->sim.world->settings.latency[kinds[i]] =
            slow ? (struct world_range){100000000, 700000000}
                 : (struct world_range){200000, 2000000};
}

static void pass(struct scene *scene, int64_t seconds)
{
    world_run(scene->sim.world, (struct world_stop){.for_ns = seconds * second_ns});
}

static struct model_topic *topic_of(struct scene *scene, const char *name)
{
    const struct image_topic *topic =
        image_topic_by_name(&scene->sim.broker.broker.shards[0].image, string_of(name));
    check(topic);
    return model_topic_seen(&scene->sim.model, topic->id, string_of(name), topic->partition_count,
                            scene->sim.world->now_ns);
}

/* ---- who makes the topics: both are asked for by their names --------------------------------- */

static void maker_init(struct client *client)
{
}

static void maker_work(struct client *client)
{
    struct metadata_request request;
    struct metadata_request_topic topics[2];
    if (client->answers > 0 || client->asked_count > 1)
        return;
    message_set_defaults(&metadata_request_message, &request);
    for (int i = 0; i < 2; i++) {
        message_set_defaults(&metadata_request_topic_message, &topics[i]);
        topics[i].name = i ? STRING("auto-1") : STRING("auto-0");
    }
    request.topics = topics;
    request.topics_count = 2;
    request.allow_auto_topic_creation = true;
    (void)client_ask(client, API_METADATA, &request, true);
}

static void maker_answer(struct client *client, const struct session_response *response,
                         int64_t asked_ns)
{
}

static void maker_lost(struct client *client)
{
}

static bool maker_is_over(struct client *client)
{
    return true;
}

static const struct client_kind maker_kind = {"maker",      maker_init, maker_work,
                                              maker_answer, maker_lost, maker_is_over};

/* ---- the scene ------------------------------------------------------------------------------- */

static void begin(struct scene *scene, uint64_t seed)
{
    struct simulation *sim = &scene->sim;
    struct world_settings settings = world_settings_default();
    settings.pool_buffer_count = scene->pool_buffers;
    settings.socket_buffer_bytes = 16 * scene->value_bytes;
    sim->seed = seed;
    sim->directories = 1;
    sim->broken = -1;
    random_seed(&sim->random, seed);
    sim->world = world_create(seed, &settings);
    sim->world->quiet = true;
    model_init(&sim->model, sim->world);
    broker_machine_init(&sim->broker, sim->world);
    struct settings *own = &sim->broker.settings;
    struct sentence sentence;
    check(settings_set(own, STRING("log.dirs"), STRING("data"), &sentence) == ERROR_NONE);
    own->journal_bytes = JOURNAL_BYTES;
    own->journal_initial_bytes = JOURNAL_BYTES / 4;
    own->log_segment_bytes = 1 << 20;
    own->drain_bytes = 1 << 15;
    own->max_requests_in_flight = IN_FLIGHT;
    own->num_partitions = BUSY_PARTITIONS;
    sim->broker.cores = CORES;
    sim->broker.buffers_bytes = BUFFERS_BYTES;
    sim->broker.session_eviction_ms = 1000;
    for (int i = 0; i < MODEL_NAMES_MAX; i++)
        sim->model.rules[MODEL_AUTOMATIC][i] = (struct model_rules){
            .codec = MODEL_CODEC_SENT, .size_max_bytes = 1048588, .min_insync = 1};
    world_on_event(sim->world, watch, scene);
    check(broker_machine_boot(&sim->broker));
    set_disk(scene, false);
    struct client *maker = &sim->clients[SIM_CLIENTS_MAX - 1];
    client_start(maker, &maker_kind, sim);
    pass(scene, 2);
    scene->busy = topic_of(scene, "auto-0");
    scene->quiet = topic_of(scene, "auto-1");
    for (sim->client_count = 0; sim->client_count < PRODUCERS + 2; sim->client_count++) {
        struct client *client = &sim->clients[sim->client_count];
        client_start(client, sim->client_count < PRODUCERS ? &busy_kind : &asker_kind, sim);
        client->patience_ns = PATIENCE_S * second_ns;
    }
}

static bool all_over(void *argument)
{
    const struct scene *scene = argument;
    for (int i = 0; i < PRODUCERS + 2; i++)
        if (!scene->sim.clients[i].kind->is_over((struct client *)&scene->sim.clients[i]))
            return false;
    return true;
}

static void end(struct scene *scene)
{
    struct simulation *sim = &scene->sim;
    sim->calm = true;
    sim->calm_ns = INT64_MAX;
    TRUE_(world_run(sim->world, (struct world_stop){all_over, scene, 0, 100 * second_ns}));
    TRUE_(broker_machine_stop(&sim->broker));
    if (sim->world->violation_count == 0)
        oracle_disk(sim);
    test_expect(sim->world->violation_count == 0, __FILE__, __LINE__, "%s", sim->world->violation);
    broker_machine_done(&sim->broker);
    for (int i = 0; i < sim->world->machine_count; i++)
        if (sim->world->machines[i]->running)
            world_kill(sim->world, i);
    for (int i = 0; i < sim->world->machine_count; i++)
        machine_memory_drop(i);
    world_destroy(sim->world);
    model_done(&sim->model);
}

/* Each core's buffers, journal and drains; of each request that waits its arena; and what the
 * broker is by itself. */
static size_t memory_bound(const struct scene *scene)
{
    const struct store *store = scene->sim.broker.broker.shards[0].stores[0];
    return scene->at_rest +
           CORES *
               (size_t)(BUFFERS_BYTES + JOURNAL_BYTES + store->options.drains * DRAIN_CHUNK_BYTES) +
           (size_t)(PRODUCERS + 3) * IN_FLIGHT * (16 << 10);
}

static uint64_t throughput(struct scene *scene, int64_t seconds)
{
    uint64_t before = scene->acknowledged;
    pass(scene, seconds);
    return (scene->acknowledged - before) * 10 / (uint64_t)seconds;
}

static void run(struct scene *scene)
{
    scene->at_rest = machine_memory_bytes(scene->sim.broker.machine);
    scene->watches = true;
    pass(scene, 1);
    scene->quick = throughput(scene, 3);
    set_disk(scene, true);
    pass(scene, 5);
    uint64_t taken = received(scene);
    scene->slow = throughput(scene, 25);
    taken = received(scene) - taken;
    scene->held = held_up(scene);
    set_disk(scene, false);
    pass(scene, 5);
    scene->again = throughput(scene, 3);
    printf("batches in 10 s: %llu, slow %llu (%llu bytes taken), again %llu; %llu timed out\n"
           "memory %zu of %zu (%zu at rest), buffers %zu, tails %zu, journal %lld, %d in flight, "
           "%d of %d held up\n"
           "%lld answers without a disk, the slowest after %.1f ms; %lld records stored beside\n",
           (unsigned long long)scene->quick, (unsigned long long)scene->slow,
           (unsigned long long)taken, (unsigned long long)scene->again,
           (unsigned long long)scene->timed_out, scene->memory_most, memory_bound(scene),
           scene->at_rest, scene->buffers_most, scene->tails_most, (long long)scene->journal_most,
           scene->in_flight_most, scene->held, PRODUCERS, (long long)scene->asked,
           (double)scene->slowest_ns / 1e6, (long long)scene->stored);
}

static void judge(struct scene *scene)
{
    TRUE_(scene->memory_most <= memory_bound(scene));
    TRUE_(scene->in_flight_most <= IN_FLIGHT);
    TRUE_(scene->journal_most <= JOURNAL_BYTES);
    TRUE_(scene->held >= PRODUCERS / 2);
    TRUE_(scene->slow > 0 && scene->slow < scene->quick / 4);
    TRUE_(scene->timed_out > 0 || scene->value_bytes < 1000); /* of small ones all may be in time */
    TRUE_(scene->again >= scene->quick * 8 / 10);
}

static void run_scene(uint64_t seed, uint32_t value_bytes, uint32_t pool_buffers)
{
    struct scene *scene = memory_zeroed(sizeof *scene);
    scene->value_bytes = value_bytes;
    scene->pool_buffers = pool_buffers;
    begin(scene, seed);
    run(scene);
    judge(scene);
    end(scene);
    memory_free(scene);
}

TEST(slow_disk, holds_producers_up_and_nobody_else)
{
    run_scene(1, 3000, 64);
}

/* As hundreds of connections would: those that wait for the disk have every receive buffer. */
TEST(slow_disk, holds_nobody_else_up_without_receive_buffers)
{
    run_scene(2, 100, 4);
}
