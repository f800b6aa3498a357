/* A broker of several log directories over starts: whose they are, where partitions lie, what one
 * that breaks takes with it, and every cut of a life in two. A whole broker without network. */
#include "base/check.h"
#include "base/memory.h"
#include "cluster/log_dirs.h"
#include "cluster/machine.h"
#include "cluster/partition.h"
#include "logic/topics.h"
#include "protocol/batch.h"
#include "protocol/messages.h"
#include "sim/disk_record.h"
#include "sim/world.h"
#include "storage/log_state.h"
#include "storage/store.h"
#include "support/test.h"
#include <stdio.h>
#include <stdlib.h>

enum { CORES = 2, EVENTS_MAX = 2000000, BATCH_BYTES = 256 };

struct place {
    struct world *world;
    struct settings settings;
    struct broker broker;
    uint64_t boots;
    bool fenced;
    char why[600];
};

static void place_set(struct place *place, const char *name, const char *value)
{
    struct sentence sentence;
    check(settings_set(&place->settings, string_of(name), string_of(value), &sentence) == 0);
}

static void place_init(struct place *place, uint64_t seed, const char *directories,
                       struct disk *disk)
{
    *place = (struct place){.world = world_create(seed, NULL)};
    place->world->quiet = true;
    world_add_machine(place->world);
    settings_init(&place->settings);
    place_set(place, "log.dirs", directories);
    place->settings.journal_bytes = place->settings.journal_initial_bytes = 1 << 16;
    place->settings.drain_bytes = 512;
    if (disk)
        world_load_disk(place->world, 0, disk);
}

static void place_done(struct place *place)
{
    world_destroy(place->world);
    settings_done(&place->settings);
}

static void on_fenced(struct broker *broker, struct shard *shard)
{
    (void)shard;
    CONTAINER_OF(broker, struct place, broker)->fenced = true;
}

static bool place_boot(struct place *place)
{
    struct port *ports[CORES];
    if (!place->world->machines[0]->running)
        world_start(place->world, 0);
    for (int i = 0; i < CORES; i++)
        ports[i] = world_port(place->world, 0, i);
    place->broker = (struct broker){0};
    place->fenced = false;
    enum error error =
        broker_open(&place->broker, &place->settings, ports, CORES,
                    place->world->seed * 1000 + ++place->boots, place->why, sizeof place->why);
    for (int i = 0; i < CORES && !error; i++)
        world_add_core(place->world, 0, &place->broker.shards[i].core);
    if (error)
        world_kill(place->world, 0);
    else
        place->broker.fenced = on_fenced;
    return !error;
}

static bool have_stopped(void *argument)
{
    const struct place *place = argument;
    return place->broker.shards[0].core.stopping && place->broker.shards[1].core.stopping;
}

static void place_stop(struct place *place)
{
    broker_stop_cores(&place->broker);
    for (int i = 0; i < CORES; i++)
        world_notice(place->world, &place->broker.shards[i].core);
    TRUE_(world_run(place->world, (struct world_stop){have_stopped, place, EVENTS_MAX, 0}));
    broker_close(&place->broker);
    world_stop_machine(place->world, 0);
    test_expect(place->world->violation_count == 0, __FILE__, __LINE__, "%s",
                place->world->violation);
}

/* ---- topics -------------------------------------------------------------------------------- */

/* A topic of two partitions being made, or removed where there is one. */
struct making {
    struct flow flow;
    struct machine_request request;
    struct arena arena;
    struct place *place;
    const char *name;
    bool ended;
};

static void remove_topic(struct making *making, const struct image_topic *topic)
{
    struct remove_topic_record *record =
        record_list_add(&making->request.records, &remove_topic_record_message);
    record->topic_id = topic->id;
}

static void decide(struct machine_request *request, const struct image *image)
{
    struct making *making = CONTAINER_OF(request, struct making, request);
    const struct image_topic *there = image_topic_by_name(image, string_of(making->name));
    if (there) {
        remove_topic(making, there);
        return;
    }
    struct topics_view view = {image, &making->place->settings,
                               &making->place->broker.shards[0].random, request->arena};
    struct create_topics_request_creatable_topic topic;
    struct create_topics_request create;
    struct create_topics_response response;
    message_set_defaults(&create_topics_request_message, &create);
    message_set_defaults(&create_topics_request_creatable_topic_message, &topic);
    topic.name = string_of(making->name);
    topic.num_partitions = 2;
    topic.replication_factor = 1;
    create.topics = &topic;
    create.topics_count = 1;
    EQ(topics_handle_create(&view, &create, &request->records, &response), ERROR_NONE);
}

static enum step making_start(struct flow *flow)
{
    struct making *making = CONTAINER_OF(flow, struct making, flow);
    making->request = (struct machine_request){.handle = decide, .arena = &making->arena};
    machine_start(&making->request, &making->place->broker.shards[0], flow);
    return STEP_NEXT;
}

static enum step making_end(struct flow *flow)
{
    CONTAINER_OF(flow, struct making, flow)->ended = true;
    return STEP_NEXT;
}

static const struct flow_kind making_flow = {"make",
                                             {{"start", making_start}, {"end", making_end}}};

static bool has_ended(void *argument)
{
    return *(bool *)argument;
}

static void run_until(struct place *place, bool *ended)
{
    TRUE_(world_run(place->world, (struct world_stop){has_ended, ended, EVENTS_MAX, 0}));
}

static void turn_topic(struct place *place, const char *name)
{
    struct making making = {.place = place, .name = name};
    arena_init(&making.arena, 1 << 20);
    flow_start(&making.flow, &making_flow, &place->broker.shards[0].core);
    world_notice(place->world, &place->broker.shards[0].core);
    run_until(place, &making.ended);
    EQ(making.request.error, ERROR_NONE);
    arena_done(&making.arena);
}

static struct partition *partition_of(struct place *place, const char *name, int32_t index)
{
    const struct image_topic *topic =
        image_topic_by_name(&place->broker.shards[0].image, string_of(name));
    const struct image_partition *partition = topic ? image_partition(topic, index) : NULL;
    return partition ? partition_find(&place->broker.shards[partition->core], topic->id, index)
                     : NULL;
}

static int directory_of(struct place *place, const char *name, int32_t index)
{
    return log_dir_of(partition_of(place, name, index));
}

/* ---- records ------------------------------------------------------------------------------- */

/* Appends a batch and waits until it is committed; or only opens the partition. */
struct append {
    struct flow flow;
    struct partition *partition;
    struct waiter waiter;
    struct log_append_result result;
    struct log_size size;
    struct bytes batch; /* null: only opened */
    enum error error;
    bool ended;
};

static enum step append_open(struct flow *flow)
{
    struct append *append = CONTAINER_OF(flow, struct append, flow);
    append->error = partition_open(append->partition, &append->waiter, flow);
    if (append->error == ERROR_WOULD_WAIT)
        return STEP_AGAIN;
    return append->error || !append->batch.data ? STEP_FAIL : STEP_NEXT;
}

static enum step append_append(struct flow *flow)
{
    struct append *append = CONTAINER_OF(flow, struct append, flow);
    append->error =
        partition_append(append->partition, append->batch, &append->result, &append->waiter, flow);
    if (append->error == ERROR_WOULD_WAIT)
        return STEP_AGAIN;
    return append->error ? STEP_FAIL : STEP_NEXT;
}

static enum step append_await(struct flow *flow)
{
    struct append *append = CONTAINER_OF(flow, struct append, flow);
    append->error =
        partition_await(append->partition, append->result.end_offset, &append->waiter, flow);
    return append->error == ERROR_WOULD_WAIT ? STEP_AGAIN : STEP_NEXT;
}

static enum step append_end(struct flow *flow)
{
    CONTAINER_OF(flow, struct append, flow)->ended = true;
    return STEP_NEXT;
}

static const struct flow_kind append_flow = {"append",
                                             {{"open", append_open},
                                              {"append", append_append},
                                              {"await", append_await},
                                              {"end", append_end}}};

static struct bytes batch_of(uint8_t memory[BATCH_BYTES])
{
    struct batch_builder builder;
    batch_builder_init(&builder, memory, BATCH_BYTES);
    struct record record = {
        .timestamp = 1700000000000, .key = BYTES_NULL, .value = {(const uint8_t *)"value", 5}};
    EQ(batch_builder_add(&builder, &record), ERROR_NONE);
    struct batch_fields fields = BATCH_FIELDS_PLAIN;
    batch_builder_end(&builder, &fields);
    return (struct bytes){memory, (int32_t)builder.size_bytes};
}

static enum error run_append(struct place *place, struct append *append)
{
    struct core *core = &append->partition->shard->core;
    partition_reference(append->partition);
    flow_start(&append->flow, &append_flow, core);
    world_notice(place->world, core);
    run_until(place, &append->ended);
    partition_release(append->partition);
    return append->error;
}

/* Appends one record. */
static enum error send(struct place *place, const char *name, int32_t index)
{
    uint8_t memory[BATCH_BYTES];
    struct append append = {.partition = partition_of(place, name, index),
                            .batch = batch_of(memory)};
    return run_append(place, &append);
}

/* How many records it holds; -1 where it can't be opened. */
static int64_t count(struct place *place, const char *name, int32_t index)
{
    struct append append = {.partition = partition_of(place, name, index)};
    if (!append.partition || run_append(place, &append) != ERROR_NONE)
        return -1;
    return append.partition->replica.high_watermark;
}

/* What DescribeLogDirs says of it. */
static enum step size_measure(struct flow *flow)
{
    struct append *append = CONTAINER_OF(flow, struct append, flow);
    return log_size_step(&append->size, flow) ? STEP_NEXT : STEP_AGAIN;
}

static const struct flow_kind size_flow = {"size",
                                           {{"measure", size_measure}, {"end", append_end}}};

static int64_t size_of(struct place *place, const char *name, int32_t index)
{
    struct append append = {.partition = partition_of(place, name, index)};
    struct core *core = &append.partition->shard->core;
    log_dir_size(append.partition, &append.size);
    partition_reference(append.partition);
    flow_start(&append.flow, &size_flow, core);
    world_notice(place->world, core);
    run_until(place, &append.ended);
    partition_release(append.partition);
    return append.size.bytes;
}

/* ---- files --------------------------------------------------------------------------------- */

static struct port *place_port(struct place *place)
{
    if (!place->world->machines[0]->running)
        world_start(place->world, 0);
    return world_port(place->world, 0, 0);
}

static bool exists(struct place *place, const char *path)
{
    struct file_stat stat;
    struct op op = {.kind = OP_STAT, .path = path, .data = &stat};
    return port_call(place_port(place), &op) >= 0;
}

static void move(struct place *place, const char *from, const char *to)
{
    struct op op = {.kind = OP_RENAME, .path = from, .path_to = to};
    EQ(port_call(place_port(place), &op), 0);
}

static void make_folder(struct place *place, const char *path)
{
    struct op op = {.kind = OP_MAKE_DIRECTORY, .path = path};
    EQ(port_call(place_port(place), &op), 0);
}

static void write_file(struct place *place, const char *path, const char *text)
{
    struct port *port = place_port(place);
    struct op open = {.kind = OP_OPEN, .path = path, .flags = OPEN_WRITE | OPEN_CREATE};
    int32_t handle = (int32_t)port_call(port, &open);
    check(handle >= 0);
    struct iovec vector = {(void *)(uintptr_t)text, strlen(text)};
    struct op write = {.kind = OP_WRITE, .handle = handle, .vectors = &vector, .vector_count = 1};
    EQ(port_call(port, &write), (int64_t)strlen(text));
    struct op close = {.kind = OP_CLOSE, .handle = handle};
    EQ(port_call(port, &close), 0);
}

static void read_file(struct place *place, const char *path, char text[400])
{
    struct port *port = place_port(place);
    struct op open = {.kind = OP_OPEN, .path = path, .flags = OPEN_READ};
    int32_t handle = (int32_t)port_call(port, &open);
    check(handle >= 0);
    struct op read = {.kind = OP_READ, .handle = handle, .data = text, .size = 399};
    int64_t size = port_call(port, &read);
    check(size >= 0);
    text[size] = 0;
    struct op close = {.kind = OP_CLOSE, .handle = handle};
    EQ(port_call(port, &close), 0);
}

/* It does not start, and says `sentence`. */
static void refused(struct place *place, const char *sentence)
{
    bool up = place_boot(place);
    test_expect(!up && strstr(place->why, sentence), __FILE__, __LINE__, "up %d: %s", up,
                place->why);
    if (up)
        place_stop(place);
}

/* ---- whose they are ------------------------------------------------------------------------ */

TEST(directories, are_each_marked_as_this_brokers_own)
{
    struct place place;
    char a[400], b[400];
    place_init(&place, 1, "a,b", NULL);
    TRUE_(place_boot(&place));
    TRUE_(!exists(&place, "a/.kafka_cleanshutdown"));
    place_stop(&place);
    TRUE_(exists(&place, "a/.kafka_cleanshutdown") && exists(&place, "b/.kafka_cleanshutdown"));
    for (int core = 0; core < CORES; core++) {
        char path[32];
        snprintf(path, sizeof path, "b/journal-%d", core);
        TRUE_(exists(&place, path));
    }
    read_file(&place, "a/meta.properties", a);
    read_file(&place, "b/meta.properties", b);
    char *id = strstr(a, "directory.id="), *other = strstr(b, "directory.id=");
    TRUE_(id && other && strcmp(id, other) != 0);
    *id = *other = 0;
    EQ_TEXT(a, b); /* the same cluster and node */
    place_done(&place);
}

TEST(directories, of_others_or_named_twice_stop_the_start)
{
    struct place place;
    char text[400];
    place_init(&place, 2, "a,b", NULL);
    TRUE_(place_boot(&place));
    place_stop(&place);
    place_set(&place, "log.dirs", "a,b,./b/");
    refused(&place, "log.dirs names b twice");
    place_set(&place, "log.dirs", "b,a");
    refused(&place, "set metadata.log.dir=a");
    place_set(&place, "metadata.log.dir", "a");
    TRUE_(place_boot(&place));
    place_stop(&place);
    place_set(&place, "metadata.log.dir", "c");
    refused(&place, "c, where the metadata log is to lie, is new");
    place_set(&place, "metadata.log.dir", "a");
    place_set(&place, "log.dirs", "a,b,d");
    make_folder(&place, "d");
    read_file(&place, "b/meta.properties", text);
    write_file(&place, "d/meta.properties", text);
    refused(&place, "b and d have the same directory.id");
    write_file(&place, "d/meta.properties",
               "version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAA\nnode.id=1\n#################");
    refused(&place, "d belongs to cluster AAAAAAAAAAAAAAAAAAAAAA");
    char *node = strstr(text, "node.id=1");
    check(node);
    node[8] = '7';
    write_file(&place, "d/meta.properties", text);
    refused(&place, "d belongs to node 7, and this is node 1");
    place_done(&place);
}

TEST(directories, that_are_new_are_taken_up)
{
    struct place place;
    place_init(&place, 3, "a", NULL);
    TRUE_(place_boot(&place));
    turn_topic(&place, "t1");
    EQ(send(&place, "t1", 0), ERROR_NONE);
    place_stop(&place);
    place_set(&place, "log.dirs", "a,b");
    TRUE_(place_boot(&place));
    turn_topic(&place, "t2");
    EQ(directory_of(&place, "t1", 0), 0);
    EQ(directory_of(&place, "t2", 0), 1); /* where fewer lie */
    EQ(directory_of(&place, "t2", 1), 1);
    EQ(count(&place, "t1", 0), 1);
    place_stop(&place);
    place_done(&place);
}

/* ---- where partitions lie ------------------------------------------------------------------ */

TEST(directories, tell_how_large_a_log_is_without_opening_it)
{
    struct place place;
    uint8_t memory[BATCH_BYTES];
    int64_t size = batch_of(memory).size;
    place_init(&place, 4, "a,b", NULL);
    place.settings.log_segment_bytes = 200;
    TRUE_(place_boot(&place));
    turn_topic(&place, "t1");
    for (int i = 0; i < 7; i++)
        EQ(send(&place, "t1", 1), ERROR_NONE);
    EQ(size_of(&place, "t1", 1), 7 * size);
    EQ(size_of(&place, "t1", 0), 0);
    place_stop(&place);
    TRUE_(place_boot(&place));
    EQ(size_of(&place, "t1", 1), 7 * size);
    EQ(partition_of(&place, "t1", 1)->log->state, LOG_CLOSED);
    for (int i = 0; i < 5; i++)
        EQ(send(&place, "t1", 1), ERROR_NONE);
    world_kill(place.world, 0); /* some of it lies in the journal only, and a drain opens it */
    TRUE_(place_boot(&place));
    EQ(size_of(&place, "t1", 1), 12 * size);
    EQ(count(&place, "t1", 1), 12);
    EQ(size_of(&place, "t1", 1), 12 * size);
    place_stop(&place);
    place_done(&place);
}

TEST(directories, that_are_absent_take_only_their_own_partitions_along)
{
    struct place place;
    place_init(&place, 5, "a,b", NULL);
    TRUE_(place_boot(&place));
    turn_topic(&place, "t1");
    int there = directory_of(&place, "t1", 0) == 1 ? 0 : 1; /* the one that lies in b */
    EQ(directory_of(&place, "t1", there), 1);
    EQ(send(&place, "t1", 0), ERROR_NONE);
    EQ(send(&place, "t1", 1), ERROR_NONE);
    place_stop(&place);
    for (int i = 0; i < 2; i++) { /* it can't be read; it is not named */
        if (i == 0)
            world_break(place.world, 0, "b");
        else
            place_set(&place, "log.dirs", "a");
        TRUE_(place_boot(&place));
        EQ(count(&place, "t1", !there), 1);
        EQ(count(&place, "t1", there), -1);
        EQ(send(&place, "t1", there), ERROR_KAFKA_STORAGE_ERROR);
        EQ(send(&place, "t1", !there), ERROR_NONE);
        TRUE_(strstr(place.broker.warning, "1 partitions are offline"));
        turn_topic(&place, "t2"); /* nothing is placed there */
        EQ(directory_of(&place, "t2", 0), 0);
        EQ(directory_of(&place, "t2", 1), 0);
        turn_topic(&place, "t2");
        place_stop(&place);
        world_break(place.world, 0, NULL);
        place_set(&place, "log.dirs", "a,b");
        TRUE_(place_boot(&place));
        EQ(count(&place, "t1", there), 1);
        EQ(count(&place, "t1", !there), 2);
        place_stop(&place);
        TRUE_(place_boot(&place));
        EQ(place.broker.warning[0], 0);
        place_stop(&place);
        if (i == 0) { /* the same once more */
            TRUE_(place_boot(&place));
            turn_topic(&place, "t1");
            turn_topic(&place, "t1");
            there = directory_of(&place, "t1", 0) == 1 ? 0 : 1;
            EQ(send(&place, "t1", 0), ERROR_NONE);
            EQ(send(&place, "t1", 1), ERROR_NONE);
            place_stop(&place);
        }
    }
    place_done(&place);
}

TEST(directories, that_fail_are_fenced_alone_on_all_cores)
{
    struct place place;
    place_init(&place, 6, "a,b,c", NULL);
    TRUE_(place_boot(&place));
    turn_topic(&place, "t1");
    turn_topic(&place, "t2");
    const char *names[] = {"t1", "t1", "t2", "t2"};
    for (int i = 0; i < 4; i++)
        EQ(send(&place, names[i], i % 2), ERROR_NONE);
    int first = -1;
    for (int i = 0; i < 4; i++)
        if (directory_of(&place, names[i], i % 2) == 1)
            first = i;
    TRUE_(first >= 0);
    world_break(place.world, 0, "b");
    EQ(send(&place, names[first], first % 2), ERROR_KAFKA_STORAGE_ERROR);
    (void)world_run(place.world, (struct world_stop){.for_ns = 1000000000});
    for (int core = 0; core < CORES; core++) {
        struct store **stores = place.broker.shards[core].stores;
        TRUE_(stores[1]->fenced && !stores[0]->fenced && !stores[2]->fenced);
        EQ(image_broker(&place.broker.shards[core].image, 1)->log_dir_count, 2);
    }
    for (int i = 0; i < 4; i++) {
        bool dead = directory_of(&place, names[i], i % 2) == 1;
        EQ(send(&place, names[i], i % 2), dead ? ERROR_KAFKA_STORAGE_ERROR : ERROR_NONE);
    }
    turn_topic(&place, "t3"); /* nothing is placed there any more */
    TRUE_(directory_of(&place, "t3", 0) != 1 && directory_of(&place, "t3", 1) != 1);
    TRUE_(!place.fenced);
    place_stop(&place);
    TRUE_(exists(&place, "a/.kafka_cleanshutdown") && exists(&place, "c/.kafka_cleanshutdown"));
    world_break(place.world, 0, NULL);
    TRUE_(!exists(&place, "b/.kafka_cleanshutdown"));
    TRUE_(place_boot(&place));
    for (int i = 0; i < 4; i++) {
        bool was = directory_of(&place, names[i], i % 2) == 1;
        TRUE_(count(&place, names[i], i % 2) >= (was ? 1 : 2));
    }
    place_stop(&place);
    place_done(&place);
}

TEST(directories, end_the_broker_with_the_last_one_or_that_of_the_metadata)
{
    for (int i = 0; i < 2; i++) {
        struct place place;
        place_init(&place, 7, i == 0 ? "b" : "a,b", NULL);
        place_set(&place, "metadata.log.dir", "a");
        TRUE_(place_boot(&place));
        turn_topic(&place, "t1");
        int in = i == 0 ? 0 : directory_of(&place, "t1", 0) == 0 ? 0 : 1;
        EQ(send(&place, "t1", in), ERROR_NONE);
        world_break(place.world, 0, i == 0 ? "b" : "a");
        EQ(send(&place, "t1", in), ERROR_KAFKA_STORAGE_ERROR);
        (void)world_run(place.world, (struct world_stop){.for_ns = 1000000000});
        TRUE_(place.fenced);
        place_stop(&place);
        place_done(&place);
    }
}

TEST(directories, are_looked_through_for_what_was_moved_by_hand)
{
    struct place place;
    place_init(&place, 8, "a,b", NULL);
    TRUE_(place_boot(&place));
    turn_topic(&place, "t1");
    int in_a = directory_of(&place, "t1", 0) == 0 ? 0 : 1;
    const char *from = in_a == 0 ? "a/t1-0" : "a/t1-1", *to = in_a == 0 ? "b/t1-0" : "b/t1-1";
    EQ(send(&place, "t1", in_a), ERROR_NONE);
    place_stop(&place);
    move(&place, from, to);
    TRUE_(place_boot(&place));
    EQ(directory_of(&place, "t1", in_a), 1);
    EQ(count(&place, "t1", in_a), 1);
    EQ(image_directory_load(&place.broker.shards[1].image, place.broker.directories[1].id), 2);
    place_stop(&place);
    TRUE_(place_boot(&place)); /* it is written down */
    EQ(send(&place, "t1", in_a), ERROR_NONE);
    place_stop(&place);
    char text[400], path[64];
    snprintf(path, sizeof path, "%s/partition.metadata", to);
    read_file(&place, path, text);
    make_folder(&place, from); /* and a copy of it where it was */
    snprintf(path, sizeof path, "%s/partition.metadata", from);
    write_file(&place, path, text);
    refused(&place, "take the folder away from the one whose data is not wanted");
    place_done(&place);
}

/* The topic was deleted and made anew while the directory was away. */
TEST(directories, that_come_back_bring_no_deleted_topic_with_them)
{
    struct place place;
    place_init(&place, 9, "a,b", NULL);
    TRUE_(place_boot(&place));
    turn_topic(&place, "t1");
    int in_b = directory_of(&place, "t1", 0) == 1 ? 0 : 1;
    const char *folder = in_b == 0 ? "b/t1-0" : "b/t1-1";
    EQ(send(&place, "t1", in_b), ERROR_NONE);
    place_stop(&place);
    world_break(place.world, 0, "b");
    TRUE_(place_boot(&place));
    turn_topic(&place, "t1");
    turn_topic(&place, "t1");
    EQ(send(&place, "t1", in_b), ERROR_NONE);
    EQ(send(&place, "t1", in_b), ERROR_NONE);
    place_stop(&place);
    world_break(place.world, 0, NULL);
    TRUE_(exists(&place, folder));
    TRUE_(place_boot(&place));
    EQ(count(&place, "t1", in_b), 2);
    TRUE_(!exists(&place, folder));
    place_stop(&place);
    place_done(&place);
}

/* ---- every cut ----------------------------------------------------------------------------- */

/* A mark holds how many records of each partition of t1 and t2 are promised, 8 bits each. */
static bool is_kept(struct disk *disk, int64_t promised, uint64_t seed, char why[600])
{
    struct place place;
    bool kept = false;
    place_init(&place, seed, "a,b", disk);
    if (place_boot(&place)) {
        kept = true;
        for (int i = 0; i < 4; i++) {
            const char *name = i < 2 ? "t1" : "t2";
            int64_t wanted = promised >> 8 * i & 255, there = count(&place, name, i % 2);
            if (wanted > 0 && there < wanted) {
                kept = false;
                snprintf(why, 600, "%s-%d: %lld records, %lld promised", name, i % 2,
                         (long long)there, (long long)wanted);
            }
        }
        for (int d = 0; d < 2; d++)
            if (place.broker.directories[d].absent) {
                kept = false;
                snprintf(why, 600, "%s", place.broker.directories[d].reason);
            }
        place_stop(&place);
    } else {
        snprintf(why, 600, "%s", place.why);
    }
    place_done(&place);
    return kept;
}

static int64_t live(struct place *place)
{
    int64_t promised = 0;
    turn_topic(place, "t1");
    turn_topic(place, "t2");
    for (int round = 0; round < 12; round++) {
        for (int i = 0; i < 4; i++) {
            EQ(send(place, i < 2 ? "t1" : "t2", i % 2), ERROR_NONE);
            promised += (int64_t)1 << 8 * i;
            world_record_mark(place->world, 0, promised);
        }
        if (round == 5)
            (void)world_run(place->world, (struct world_stop){.for_ns = 30000000000});
    }
    return promised;
}

TEST(directories, keep_what_is_promised_at_every_cut)
{
    struct place place;
    int64_t images = 0;
    place_init(&place, 10, "a,b", NULL);
    world_record_start(place.world, 0);
    world_record_mark(place.world, 0, 0);
    TRUE_(place_boot(&place));
    (void)live(&place);
    place_stop(&place);
    struct disk_recording *recording = world_record_stop(place.world, 0);
    bool kept = true;
    for (uint32_t cut = 0; cut <= recording->count && kept; cut++) {
        static const int kinds[] = {CHOICE_OLD, CHOICE_NEW, CHOICE_RANDOM};
        for (int i = 0; i < 3 && kept; i++) {
            struct disk_choice choice =
                disk_choice_of((enum disk_choice_kind)kinds[i], cut * 7 + 1);
            char why[600] = "";
            kept = is_kept(disk_image_at(recording, cut, &choice),
                           max_i64(disk_mark_at(recording, cut), 0), 100 + cut, why);
            test_expect(kept, __FILE__, __LINE__, "cut %u, kind %d: %s", cut, kinds[i], why);
            images++;
        }
    }
    test_expect(images > 500, __FILE__, __LINE__, "%lld images", (long long)images);
    disk_recording_destroy(recording);
    place_done(&place);
}
