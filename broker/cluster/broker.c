#include "cluster/broker.h"
#include "base/check.h"
#include "base/memory.h"
#include "cluster/catalogue.h"
#include "cluster/cleaned.h"
#include "cluster/directory.h"
#include "cluster/machine.h"
#include "cluster/metadata_load.h"
#include "cluster/partition.h"
#include "cluster/shard.h"
#include "cluster/snapshots.h"
#include "protocol/messages.h"
#include "storage/recovery.h"
#include "storage/store.h"
#include <stdio.h>

/* ---- recovery ------------------------------------------------------------------------------ */

static bool metadata_folder(void *context, struct uuid topic_id, int32_t partition, char *folder,
                            size_t size)
{
    const struct broker *broker = context;
    if (!uuid_equal(topic_id, metadata_topic_id))
        return false;
    snprintf(folder, size, "%s/__cluster_metadata-0", broker->directory);
    return true;
}

static bool topic_folder(void *context, struct uuid topic_id, int32_t partition, char *folder,
                         size_t size)
{
    const struct broker *broker = context;
    const struct image_topic *topic = image_topic_by_id(&broker->shards[0].image, topic_id);
    if (!topic || !image_partition(topic, partition))
        return false;
    snprintf(folder, size, "%s/%s-%d", broker->directory, topic->name, partition);
    return true;
}

/* For cleaning: does anything name this folder? The path is "<directory>/<topic>-<partition>". */
static bool folder_is_named(void *context, struct uuid topic_id, int32_t partition, char *folder,
                            size_t size)
{
    const struct broker *broker = context;
    const char *name = folder + strlen(broker->directory) + 1;
    struct string topic = {name, (int32_t)(strrchr(name, '-') - name)};
    if (string_equal(topic, METADATA_TOPIC))
        return true;
    const struct image_topic *found = image_topic_by_name(&broker->shards[0].image, topic);
    return found && image_partition(found, partition);
}

static int32_t core_of_log(void *context, struct uuid topic_id, int32_t partition)
{
    const struct broker *broker = context;
    if (uuid_equal(topic_id, metadata_topic_id))
        return 0;
    const struct image_topic *topic = image_topic_by_id(&broker->shards[0].image, topic_id);
    const struct image_partition *found = topic ? image_partition(topic, partition) : NULL;
    return found ? found->core : -1;
}

/* The lowest base of a segment of the metadata log that a live journal writes to. */
static int64_t first_live_segment(const struct recovery *recovery)
{
    const struct journal_content *content = recovery_journal(recovery, 0);
    int64_t first = INT64_MAX;
    for (int32_t i = 0; content && i < content->count; i++) {
        struct bytes entries = content->blocks[i].entries;
        struct journal_entry entry;
        struct reader reader;
        reader_init(&reader, entries.data, (size_t)entries.size);
        while (entry_decode(&reader, &entry))
            if (entry.kind != ENTRY_APPEND && uuid_equal(entry.topic_id, metadata_topic_id))
                first = min_i64(first, entry.segment_base);
    }
    return first;
}

/* Reads the metadata log, and prunes it. */
static enum error load_metadata(struct broker *broker, struct recovery *recovery, struct port *port,
                                char *why, size_t why_size)
{
    char folder[1100];
    struct metadata_found found;
    snprintf(folder, sizeof folder, "%s/__cluster_metadata-0", broker->directory);
    enum error error = metadata_load(broker, port, folder, &found, why, why_size);
    if (!error) {
        error = metadata_prune(broker, port, folder, &found, first_live_segment(recovery));
        if (error)
            snprintf(why, why_size, "%s can't be pruned: %s", folder, error_text(error));
    }
    if (!error)
        snapshots_open(broker, &found);
    struct metadata_read *read = &broker->metadata_read;
    *read = (struct metadata_read){.snapshot_end = found.loaded_end,
                                   .snapshot_bytes = found.snapshot_bytes,
                                   .snapshot_records = found.snapshot_records,
                                   .log_bytes = found.log_bytes,
                                   .log_records = found.log_records};
    memcpy(read->warning, found.warning, sizeof read->warning);
    metadata_found_done(&found);
    return error;
}

/* *ret_resumes: each core may go on with its journal, so recovery must stay open until it has. */
static enum error recover(struct broker *broker, struct recovery *recovery, struct port *port,
                          bool *ret_resumes, char *why, size_t why_size)
{
    enum error error = recovery_open(recovery, port, broker->directory);
    if (!error)
        error = recovery_replay(recovery, &(struct recovery_names){metadata_folder, broker});
    if (!error) {
        error = load_metadata(broker, recovery, port, why, why_size);
        if (error)
            return error;
    }
    *ret_resumes = !error && recovery_may_resume(recovery, broker->core_count, core_of_log, broker);
    if (!error && !*ret_resumes)
        error = recovery_replay(recovery, &(struct recovery_names){topic_folder, broker});
    if (!error)
        error = recovery_clean(recovery, &(struct recovery_names){folder_is_named, broker},
                               broker->core_count);
    if (error)
        snprintf(why, why_size, "%s", recovery->fault[0] ? recovery->fault : error_text(error));
    broker->replayed_bytes = recovery->replayed_bytes;
    return error;
}

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
        if (store_is_at_work(broker->shards[i].store))
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

static char *copy_directory(const struct settings *settings)
{
    struct string rest = settings_log_dirs(settings), first = STRING("data");
    list_next_entry(&rest, &first);
    while (first.size > 1 && first.data[first.size - 1] == '/')
        first.size--;
    char *directory = memory_zeroed((size_t)first.size + 1);
    memcpy(directory, first.data, (size_t)first.size);
    return directory;
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
        list_init(&shard->machine_queue);
    }
}

static void free_shards(struct broker *broker)
{
    snapshots_close(broker);
    for (int i = 0; i < broker->core_count; i++) {
        image_done(&broker->shards[i].image);
        map_done(&broker->shards[i].partitions);
    }
    memory_free(broker->shards);
    memory_free(broker->directory);
    broker->shards = NULL;
    broker->directory = NULL;
}

/* Closes what is open of the shards [0, count), the lock last, and frees everything. */
static void close_shards(struct broker *broker, int count, struct port *port)
{
    for (int i = 0; i < count; i++) {
        broker->shards[i].core.port = port;
        shard_close(&broker->shards[i]);
    }
}

static void unlock(struct broker *broker, struct port *port)
{
    if (broker->lock_handle >= 0) {
        struct op op = {.kind = OP_CLOSE, .handle = broker->lock_handle};
        (void)port_call(port, &op); /* the lock goes with the process at the latest */
    }
}

enum error broker_open(struct broker *broker, const struct settings *settings, struct port **ports,
                       int core_count, uint64_t seed, char *why, size_t why_size)
{
    check(core_count > 0 && core_count <= BROKER_CORES_MAX);
    *broker = (struct broker){.settings = settings,
                              .core_count = core_count,
                              .node_id = settings_node_id(settings),
                              .lock_handle = -1};
    broker->directory = copy_directory(settings);
    init_shards(broker, seed);
    int opened = 0;
    enum error error = directory_open(broker, ports[0], why, why_size);
    if (!error)
        error = cleaned_take(broker, ports[0]);
    if (!error)
        error = directory_unmark_clean(broker, ports[0]);
    struct recovery recovery = {.directory_handle = -1};
    bool resumes = false;
    if (!error)
        error = recover(broker, &recovery, ports[0], &resumes, why, why_size);
    while (!error && opened < core_count) {
        struct journal_content *content = resumes ? recovery_journal(&recovery, opened) : NULL;
        if (content && content->reader.fresh)
            content = NULL;
        error = shard_open(broker, opened++, ports[0], content, why, why_size);
    }
    recovery_close(&recovery);
    if (!error) {
        error = register_node(broker, ports[0]);
        if (error)
            snprintf(why, why_size, "the node can't be registered in %s/__cluster_metadata-0: %s",
                     broker->directory, error_text(error));
    }
    cleaned_forget(broker);
    if (error) {
        close_shards(broker, opened, ports[0]);
        unlock(broker, ports[0]);
        free_shards(broker);
        return error;
    }
    for (int i = 0; i < core_count; i++) {
        broker->shards[i].core.port = ports[i];
        if (broker->shards[i].store->resumed_bytes > 0)
            checkpoint_request(broker->shards[i].store, false);
    }
    snapshots_start(broker);
    return ERROR_NONE;
}

void broker_close(struct broker *broker)
{
    struct port *port = broker->shards[0].core.port;
    enum error cleaned = cleaned_write(broker, port);
    close_shards(broker, broker->core_count, port);
    bool settled = true;
    for (int i = 0; i < broker->core_count; i++)
        settled = settled && broker->shards[i].settled;
    if (settled && (cleaned || directory_mark_clean(broker, port) != ERROR_NONE))
        event_write(&broker->shards[0].core.events, &broker->shards[0].core.now, EVENT_WARN,
                    "not_marked_clean", "directory=%s", broker->directory);
    unlock(broker, port);
    free_shards(broker);
}
