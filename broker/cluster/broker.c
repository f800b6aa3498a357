#include "cluster/broker.h"
#include "base/check.h"
#include "base/memory.h"
#include "cluster/cleaned.h"
#include "cluster/directories.h"
#include "cluster/directory.h"
#include "cluster/kafka_starts.h"
#include "cluster/machine.h"
#include "cluster/offline.h"
#include "cluster/offset_files.h"
#include "cluster/recover.h"
#include "cluster/registration.h"
#include "cluster/shard.h"
#include "cluster/snapshots.h"
#include "cluster/start_progress.h"
#include "cluster/whereabouts.h"
#include "storage/store.h"
#include <stdio.h>

/* ---- open and close ------------------------------------------------------------------------ */

const char *broker_metadata_path(const struct broker *broker)
{
    return broker->directories[broker->metadata_directory].path;
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
    offset_files_close(broker);
    machine_done(broker);
    offline_close(broker);
    registration_close(broker);
    quorum_done(&broker->quorum);
    for (int i = 0; i < broker->core_count; i++) {
        image_done(&broker->shards[i].image);
        map_done(&broker->shards[i].partitions);
    }
    memory_free(broker->shards);
    broker->shards = NULL;
    whereabouts_forget(broker);
    directories_free(broker);
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

static enum error open_directories(struct broker *broker, struct port *port, char *why,
                                   size_t why_size)
{
    enum error error = directories_open(broker, port, why, why_size);
    for (int d = 0; d < broker->directory_count && !error; d++) {
        struct directory *directory = &broker->directories[d];
        if (directory->absent)
            continue;
        error = cleaned_take(directory, port);
        if (!error)
            error = kafka_starts_keep_clean(directory, port);
        if (!error)
            error = directory_unmark_clean(directory, port, &directory->unmarked);
        if (error)
            error = directories_give_up(broker, d, error, "its marks can't be taken away", why,
                                        why_size);
    }
    return error;
}

/* Recovery, then every shard; *ret_opened of them are open, also after an error. */
static enum error open_shards(struct broker *broker, const struct broker_start *start,
                              int *ret_opened, char *why, size_t why_size)
{
    int count = broker->directory_count;
    struct recover *recovers = memory_zeroed((size_t)count * sizeof *recovers);
    for (int d = 0; d < count; d++)
        recovers[d].recovery.directory_handle = -1;
    enum error error = recover_all(broker, recovers, start, why, why_size);
    if (!error) {
        error = shards_open(broker, recovers, start, why, why_size);
        *ret_opened = broker->core_count;
    }
    for (int d = 0; d < count; d++)
        recovery_close(&recovers[d].recovery);
    memory_free(recovers);
    broker->recovery_ms = start_progress_ms(broker, start->ports[0]);
    return error;
}

/* All that comes before the cores have their own ports. */
static enum error open_all(struct broker *broker, const struct broker_start *start, int *ret_opened,
                           char *why, size_t why_size)
{
    struct port *port = start->ports[0];
    enum error error = directories_name(broker, why, why_size);
    if (error)
        return error;
    start_progress_open(broker, start);
    error = open_directories(broker, port, why, why_size);
    if (error)
        return error;
    offset_files_open(broker, port);
    error = open_shards(broker, start, ret_opened, why, why_size);
    if (error)
        return error;
    error = registration_run(broker, port);
    if (error)
        snprintf(why, why_size, "the node can't be registered in %s/__cluster_metadata-0: %s",
                 broker_metadata_path(broker), error_text(error));
    whereabouts_forget(broker);
    return error;
}

enum error broker_open(struct broker *broker, const struct broker_start *start, char *why,
                       size_t why_size)
{
    check(start->core_count > 0 && start->core_count <= BROKER_CORES_MAX && start->crew);
    *broker = (struct broker){.settings = start->settings,
                              .core_count = start->core_count,
                              .node_id = settings_node_id(start->settings)};
    quorum_init(&broker->quorum);
    init_shards(broker, start->seed);
    int opened = 0;
    why[0] = 0;
    enum error error = open_all(broker, start, &opened, why, why_size);
    start_progress_close(broker);
    for (int d = 0; d < broker->directory_count; d++)
        cleaned_forget(&broker->directories[d]);
    if (error) {
        close_shards(broker, opened, start->ports[0]);
        directories_close(broker, start->ports[0]);
        free_all(broker);
        return error;
    }
    for (int i = 0; i < broker->core_count; i++) {
        struct shard *shard = &broker->shards[i];
        shard->core.port = start->ports[i];
        for (int d = 0; d < broker->directory_count; d++)
            if (shard->stores[d]->resumed_bytes > 0)
                checkpoint_request(shard->stores[d], false);
    }
    offline_open(broker);
    snapshots_start(broker);
    offset_files_start(broker);
    return ERROR_NONE;
}

/* For a Kafka node that goes on here; the log says the epoch too, so nothing rests on this file. */
static void write_quorum_state(struct broker *broker, struct port *port)
{
    char text[QUORUM_STATE_BYTES];
    quorum_state_encode(&broker->quorum, broker->node_id, text);
    (void)directory_write_file(&broker->directories[broker->metadata_directory], port,
                               "__cluster_metadata-0/" QUORUM_STATE_FILE, text);
}

void broker_close(struct broker *broker)
{
    struct core *core = &broker->shards[0].core;
    struct port *port = core->port;
    int count = broker->directory_count;
    enum error *cleaned = memory_zeroed((size_t)count * sizeof *cleaned);
    for (int d = 0; d < count; d++)
        cleaned[d] = cleaned_write(broker, d, port);
    for (int d = 0; d < count; d++)
        if (!cleaned[d])
            cleaned[d] = offset_files_write(broker, d, port);
    close_shards(broker, broker->core_count, port);
    if (broker->directories[broker->metadata_directory].settled)
        write_quorum_state(broker, port);
    for (int d = 0; d < count; d++) {
        const struct directory *directory = &broker->directories[d];
        if (directory->settled &&
            (cleaned[d] || directory_mark_clean(directory, port) != ERROR_NONE))
            event_write(&core->events, &core->now, EVENT_WARN, "not_marked_clean", "directory=%s",
                        directory->path);
    }
    memory_free(cleaned);
    directories_close(broker, port);
    free_all(broker);
    memory_free(broker->sentences);
    broker->sentences = NULL;
}
