#include "cluster/broker.h"
#include "base/check.h"
#include "base/memory.h"
#include "cluster/cleaned.h"
#include "cluster/directory.h"
#include "cluster/machine.h"
#include "cluster/recover.h"
#include "cluster/shard.h"
#include "cluster/snapshots.h"
#include "protocol/messages.h"
#include "storage/store.h"
#include <stdio.h>

/* ---- registration -------------------------------------------------------------------------- */

struct registration {
    struct flow flow;
    struct machine_request request;
    struct arena arena;
    struct broker *broker;
    bool ended;
};

/* A first start writes the level of metadata; every start registers this incarnation. */
static void decide_registration(struct machine_request *request, const struct image *image)
{
    struct registration *registration = CONTAINER_OF(request, struct registration, request);
    struct broker *broker = registration->broker;
    if (image_feature_level(image, STRING("metadata.version")) == 0) {
        struct feature_level_record *feature =
            record_list_add(&request->records, &feature_level_record_message);
        if (feature) {
            feature->name = STRING("metadata.version");
            feature->feature_level = METADATA_VERSION;
        }
    }
    struct register_broker_record *record =
        record_list_add(&request->records, &register_broker_record_message);
    if (!record)
        return;
    const struct image_broker *before = image_broker(image, broker->node_id);
    record->broker_id = broker->node_id;
    record->broker_epoch = before ? before->epoch + 1 : 1;
    store_be64(record->incarnation_id.bytes, broker->incarnation);
    store_be64(record->incarnation_id.bytes + 8, (uint64_t)record->broker_epoch);
    record->rack = STRING_NULL;
    record->fenced = false;
}

static enum step register_start(struct flow *flow)
{
    struct registration *registration = CONTAINER_OF(flow, struct registration, flow);
    registration->request =
        (struct machine_request){.handle = decide_registration, .arena = &registration->arena};
    machine_start(&registration->request, &registration->broker->shards[0], flow);
    return STEP_NEXT;
}

static enum step register_end(struct flow *flow)
{
    struct registration *registration = CONTAINER_OF(flow, struct registration, flow);
    registration->ended = true;
    return STEP_NEXT;
}

static const struct flow_kind register_flow = {"register",
                                               {{"start", register_start}, {"end", register_end}}};

/* Has it ended, and after a failure is nothing under way any more, so that all can be closed? */
static bool is_over(const struct registration *registration)
{
    const struct broker *broker = registration->broker;
    if (!registration->ended || !registration->request.error)
        return registration->ended;
    for (int i = 0; i < broker->core_count; i++)
        for (int d = 0; d < broker->directory_count; d++)
            if (store_is_at_work(broker->shards[i].stores[d]))
                return false;
    return true;
}

/* Turns all cores on this thread, which share one port now, until the node is registered. */
static enum error register_node(struct broker *broker, struct port *port)
{
    struct registration registration = {.broker = broker};
    arena_init(&registration.arena, 1 << 20);
    flow_start(&registration.flow, &register_flow, &broker->shards[0].core);
    while (!is_over(&registration)) {
        bool busy = false;
        for (int i = 0; i < broker->core_count; i++) {
            core_turn(&broker->shards[i].core, false);
            busy = busy || core_has_work(&broker->shards[i].core);
        }
        for (int i = 0; i < broker->core_count; i++)
            busy = busy || core_has_work(&broker->shards[i].core);
        if (!busy && !is_over(&registration))
            port->operations->wait(port, INT64_MAX);
    }
    arena_done(&registration.arena);
    return registration.request.error;
}

/* ---- open and close ------------------------------------------------------------------------ */

const char *broker_metadata_path(const struct broker *broker)
{
    return broker->directories[broker->metadata_directory].path;
}

static void name_directories(struct broker *broker, const struct settings *settings)
{
    struct string rest = settings_log_dirs(settings), first = STRING("data");
    list_next_entry(&rest, &first);
    while (first.size > 1 && first.data[first.size - 1] == '/')
        first.size--;
    broker->directory_count = 1;
    broker->directories = memory_zeroed(sizeof *broker->directories);
    struct directory *directory = &broker->directories[0];
    *directory = (struct directory){.lock_handle = -1};
    directory->path = memory_zeroed((size_t)first.size + 1);
    memcpy(directory->path, first.data, (size_t)first.size);
}

static void init_shards(struct broker *broker, uint64_t seed)
{
    struct random random;
    random_seed(&random, seed);
    broker->incarnation = random_next(&random);
    broker->shards = memory_zeroed((size_t)broker->core_count * sizeof(struct shard));
    for (int i = 0; i < broker->core_count; i++) {
        struct shard *shard = &broker->shards[i];
        shard->broker = broker;
        shard->core.id = i;
        random_seed(&shard->random, random_next(&random));
        image_init(&shard->image, broker->core_count, random_next(&random));
        map_init(&shard->partitions, random_next(&random));
    }
    machine_init(broker, random_next(&random));
}

static void free_all(struct broker *broker)
{
    snapshots_close(broker);
    machine_done(broker);
    for (int i = 0; i < broker->core_count; i++) {
        image_done(&broker->shards[i].image);
        map_done(&broker->shards[i].partitions);
    }
    memory_free(broker->shards);
    broker->shards = NULL;
    for (int d = 0; d < broker->directory_count; d++)
        memory_free(broker->directories[d].path);
    memory_free(broker->directories);
    broker->directories = NULL;
}

/* Closes what is open of the shards [0, count). */
static void close_shards(struct broker *broker, int count, struct port *port)
{
    for (int d = 0; d < broker->directory_count; d++)
        broker->directories[d].settled = true;
    for (int i = 0; i < count; i++) {
        broker->shards[i].core.port = port;
        shard_close(&broker->shards[i]);
    }
}

static void close_directories(struct broker *broker, struct port *port)
{
    for (int d = 0; d < broker->directory_count; d++)
        directory_close(&broker->directories[d], port);
}

static enum error open_directories(struct broker *broker, struct port *port, char *why,
                                   size_t why_size)
{
    enum error error = ERROR_NONE;
    for (int d = 0; d < broker->directory_count && !error; d++) {
        struct directory *directory = &broker->directories[d];
        error = directory_open(broker, directory, port, why, why_size);
        if (!error)
            error = cleaned_take(directory, port);
        if (!error)
            error = directory_unmark_clean(directory, port);
    }
    return error;
}

/* Recovery, then every shard: *ret_opened of them are open. */
static enum error open_shards(struct broker *broker, struct port *port, int *ret_opened, char *why,
                              size_t why_size)
{
    int count = broker->directory_count;
    struct recover *recovers = memory_zeroed((size_t)count * sizeof *recovers);
    struct journal_content **contents = memory_zeroed((size_t)count * sizeof *contents);
    for (int d = 0; d < count; d++)
        recovers[d].recovery.directory_handle = -1;
    enum error error = recover_all(broker, recovers, port, why, why_size);
    while (!error && *ret_opened < broker->core_count) {
        int core = (*ret_opened)++;
        for (int d = 0; d < count; d++)
            contents[d] = recover_journal(&recovers[d], core);
        error = shard_open(broker, core, port, contents, why, why_size);
    }
    for (int d = 0; d < count; d++)
        recovery_close(&recovers[d].recovery);
    memory_free(recovers);
    memory_free(contents);
    return error;
}

enum error broker_open(struct broker *broker, const struct settings *settings, struct port **ports,
                       int core_count, uint64_t seed, char *why, size_t why_size)
{
    check(core_count > 0 && core_count <= BROKER_CORES_MAX);
    *broker = (struct broker){
        .settings = settings, .core_count = core_count, .node_id = settings_node_id(settings)};
    name_directories(broker, settings);
    init_shards(broker, seed);
    int opened = 0;
    enum error error = open_directories(broker, ports[0], why, why_size);
    if (!error)
        error = open_shards(broker, ports[0], &opened, why, why_size);
    if (!error) {
        error = register_node(broker, ports[0]);
        if (error)
            snprintf(why, why_size, "the node can't be registered in %s/__cluster_metadata-0: %s",
                     broker_metadata_path(broker), error_text(error));
    }
    for (int d = 0; d < broker->directory_count; d++)
        cleaned_forget(&broker->directories[d]);
    if (error) {
        close_shards(broker, opened, ports[0]);
        close_directories(broker, ports[0]);
        free_all(broker);
        return error;
    }
    for (int i = 0; i < core_count; i++) {
        struct shard *shard = &broker->shards[i];
        shard->core.port = ports[i];
        for (int d = 0; d < broker->directory_count; d++)
            if (shard->stores[d]->resumed_bytes > 0)
                checkpoint_request(shard->stores[d], false);
    }
    snapshots_start(broker);
    return ERROR_NONE;
}

void broker_close(struct broker *broker)
{
    struct core *core = &broker->shards[0].core;
    struct port *port = core->port;
    int count = broker->directory_count;
    enum error *cleaned = memory_zeroed((size_t)count * sizeof *cleaned);
    for (int d = 0; d < count; d++)
        cleaned[d] = cleaned_write(broker, d, port);
    close_shards(broker, broker->core_count, port);
    for (int d = 0; d < count; d++) {
        const struct directory *directory = &broker->directories[d];
        if (directory->settled &&
            (cleaned[d] || directory_mark_clean(directory, port) != ERROR_NONE))
            event_write(&core->events, &core->now, EVENT_WARN, "not_marked_clean", "directory=%s",
                        directory->path);
    }
    memory_free(cleaned);
    close_directories(broker, port);
    free_all(broker);
}
