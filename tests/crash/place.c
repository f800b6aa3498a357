#include "crash/place.h"
#include "base/check.h"
#include "base/memory.h"
#include "cluster/log_dirs.h"
#include "cluster/machine.h"
#include "cluster/partition.h"
#include "crash/unflushed.h"
#include "logic/topics.h"
#include "protocol/batch.h"
#include "protocol/messages.h"
#include "sim/world_crew.h"
#include "storage/log_state.h"
#include "support/test.h"
#include <stdio.h>

enum { BATCH_BYTES = 256 };

void place_set(struct place *place, const char *name, const char *value)
{
    struct sentence sentence;
    check(settings_set(&place->settings, string_of(name), string_of(value), &sentence) == 0);
}

void place_init(struct place *place, uint64_t seed, const char *directories, struct disk *disk)
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

void place_init_metadata(struct place *place, uint64_t seed, struct disk *disk)
{
    place_init(place, seed, "data", disk);
    place->settings.metadata_log_max_record_bytes_between_snapshots = 400;
    place->settings.metadata_log_segment_bytes = 600;
    place->settings.metadata_max_retention_bytes = 3000;
}

void place_done(struct place *place)
{
    world_destroy(place->world);
    settings_done(&place->settings);
}

static void on_fenced(struct broker *broker, struct shard *shard)
{
    (void)shard;
    CONTAINER_OF(broker, struct place, broker)->fenced = true;
}

bool place_boot(struct place *place)
{
    struct port *ports[PLACE_CORES];
    if (!place->world->machines[0]->running)
        world_start(place->world, 0);
    for (int i = 0; i < PLACE_CORES; i++)
        ports[i] = world_port(place->world, 0, i);
    place->broker = (struct broker){0};
    place->fenced = false;
    struct world_crew crew;
    world_crew_init(&crew, place->world, 0, PLACE_CORES);
    struct broker_start start = {.settings = &place->settings,
                                 .ports = ports,
                                 .core_count = PLACE_CORES,
                                 .seed = place->world->seed * 1000 + ++place->boots,
                                 .crew = place->crew ? place->crew : &crew.crew,
                                 .write = place->write,
                                 .write_owner = place->write_owner};
    enum error error = broker_open(&place->broker, &start, place->why, sizeof place->why);
    for (int i = 0; i < PLACE_CORES && !error; i++)
        world_add_core(place->world, 0, &place->broker.shards[i].core);
    if (!error)
        place->broker.fenced = on_fenced;
    else if (place->world->machines[0]->running)
        world_stop_machine(place->world, 0);
    return !error;
}

static bool have_stopped(void *argument)
{
    const struct place *place = argument;
    return place->broker.shards[0].core.stopping && place->broker.shards[1].core.stopping;
}

void place_stop(struct place *place)
{
    broker_stop_cores(&place->broker);
    for (int i = 0; i < PLACE_CORES; i++)
        world_notice(place->world, &place->broker.shards[i].core);
    TRUE_(world_run(place->world, (struct world_stop){have_stopped, place, PLACE_EVENTS_MAX, 0}));
    broker_close(&place->broker);
    world_stop_machine(place->world, 0);
    test_expect(place->world->violation_count == 0, __FILE__, __LINE__, "%s",
                place->world->violation);
    const struct machine *machine = place->world->machines[0];
    const char *unflushed = unflushed_name_where_clean(machine->disk);
    test_expect(!unflushed || machine->fault_met > 0, __FILE__, __LINE__, "%s",
                unflushed ? unflushed : "");
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
    TRUE_(world_run(place->world, (struct world_stop){has_ended, ended, PLACE_EVENTS_MAX, 0}));
}

enum error place_try_topic(struct place *place, const char *name)
{
    struct making making = {.place = place, .name = name};
    arena_init(&making.arena, 1 << 20);
    flow_start(&making.flow, &making_flow, &place->broker.shards[0].core);
    world_notice(place->world, &place->broker.shards[0].core);
    run_until(place, &making.ended);
    arena_done(&making.arena);
    return making.request.error;
}

bool place_keeps_metadata(struct disk *disk, uint64_t seed,
                          bool (*holds)(struct place *place, int64_t promised), int64_t promised,
                          char why[600])
{
    struct place place;
    place_init_metadata(&place, seed, disk);
    bool right = true;
    for (int i = 0; i < 2 && right; i++) {
        right = place_boot(&place) && holds(&place, promised);
        snprintf(why, sizeof place.why, "%s", place.why);
        if (right)
            place_stop(&place);
    }
    if (right)
        place_done(&place); /* what a failed one holds is left */
    return right;
}

void place_turn_topic(struct place *place, const char *name)
{
    EQ(place_try_topic(place, name), ERROR_NONE);
}

struct partition *place_partition(struct place *place, const char *name, int32_t index)
{
    const struct image_topic *topic =
        image_topic_by_name(&place->broker.shards[0].image, string_of(name));
    const struct image_partition *partition = topic ? image_partition(topic, index) : NULL;
    return partition ? partition_find(&place->broker.shards[partition->core], topic->id, index)
                     : NULL;
}

int place_directory(struct place *place, const char *name, int32_t index)
{
    return log_dir_of(place_partition(place, name, index));
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

/* Waits for no write. */
static const struct flow_kind append_only_flow = {
    "append", {{"open", append_open}, {"append", append_append}, {"end", append_end}}};

static struct bytes batch_of(uint8_t memory[BATCH_BYTES], int records)
{
    struct batch_builder builder;
    batch_builder_init(&builder, memory, BATCH_BYTES);
    struct record record = {
        .timestamp = 1700000000000, .key = BYTES_NULL, .value = {(const uint8_t *)"value", 5}};
    for (int i = 0; i < records; i++)
        EQ(batch_builder_add(&builder, &record), ERROR_NONE);
    struct batch_fields fields = BATCH_FIELDS_PLAIN;
    batch_builder_end(&builder, &fields);
    return (struct bytes){memory, (int32_t)builder.size_bytes};
}

static enum error run_append(struct place *place, struct append *append,
                             const struct flow_kind *kind)
{
    struct core *core = &append->partition->shard->core;
    partition_reference(append->partition);
    flow_start(&append->flow, kind, core);
    world_notice(place->world, core);
    run_until(place, &append->ended);
    partition_release(append->partition);
    return append->error;
}

/* Appends one record. */
enum error place_send(struct place *place, const char *name, int32_t index)
{
    uint8_t memory[BATCH_BYTES];
    struct append append = {.partition = place_partition(place, name, index),
                            .batch = batch_of(memory, 1)};
    return run_append(place, &append, &append_flow);
}

enum error place_append(struct place *place, const char *name, int32_t index, int records)
{
    uint8_t memory[BATCH_BYTES];
    struct append append = {.partition = place_partition(place, name, index),
                            .batch = batch_of(memory, records)};
    return run_append(place, &append, &append_only_flow);
}

/* How many records it holds; -1 where it can't be opened. */
int64_t place_count(struct place *place, const char *name, int32_t index)
{
    struct append append = {.partition = place_partition(place, name, index)};
    if (!append.partition || run_append(place, &append, &append_flow) != ERROR_NONE)
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

int64_t place_size(struct place *place, const char *name, int32_t index)
{
    struct append append = {.partition = place_partition(place, name, index)};
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

bool place_exists(struct place *place, const char *path)
{
    struct file_stat stat;
    struct op op = {.kind = OP_STAT, .path = path, .data = &stat};
    return port_call(place_port(place), &op) >= 0;
}

void place_move(struct place *place, const char *from, const char *to)
{
    struct op op = {.kind = OP_RENAME, .path = from, .path_to = to};
    EQ(port_call(place_port(place), &op), 0);
}

void place_make_folder(struct place *place, const char *path)
{
    struct op op = {.kind = OP_MAKE_DIRECTORY, .path = path};
    EQ(port_call(place_port(place), &op), 0);
}

void place_write_bytes(struct place *place, const char *path, struct bytes bytes)
{
    struct port *port = place_port(place);
    struct op open = {.kind = OP_OPEN, .path = path, .flags = OPEN_WRITE | OPEN_CREATE};
    int32_t handle = (int32_t)port_call(port, &open);
    check(handle >= 0);
    struct iovec vector = {(void *)(uintptr_t)bytes.data, (size_t)bytes.size};
    struct op write = {.kind = OP_WRITE, .handle = handle, .vectors = &vector, .vector_count = 1};
    EQ(port_call(port, &write), bytes.size);
    struct op close = {.kind = OP_CLOSE, .handle = handle};
    EQ(port_call(port, &close), 0);
}

void place_write(struct place *place, const char *path, const char *text)
{
    place_write_bytes(place, path, (struct bytes){(const uint8_t *)text, (int32_t)strlen(text)});
}

void place_read(struct place *place, const char *path, char text[400])
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

int64_t place_batch_bytes(void)
{
    uint8_t memory[BATCH_BYTES];
    return batch_of(memory, 1).size;
}
