#include "cluster/catalogue.h"
#include "base/check.h"
#include "base/memory.h"
#include "cluster/partition.h"
#include "cluster/whereabouts.h"
#include "protocol/messages.h"
#include "storage/cleaner.h"
#include "storage/handles.h"
#include "storage/log_state.h"
#include "storage/retention.h"
#include "storage/store.h"

const struct uuid metadata_topic_id = {{[15] = 1}};

static void set_settings(struct partition *partition, const struct topic_settings *settings)
{
    partition->log_settings = (struct log_settings){
        .segment_bytes = settings->segment_bytes,
        .index_interval_bytes = settings->index_interval_bytes,
        .index_bytes = settings->segment_index_bytes,
        .segment_ms = settings->segment_ms,
        .segment_jitter_ms = settings->segment_jitter_ms,
        .retention_ms = settings->retention_ms,
        .retention_bytes = settings->retention_bytes,
        .file_delete_delay_ms = settings->file_delete_delay_ms,
        .deletes = settings->cleanup_policy & CLEANUP_DELETE,
        .compact = settings->cleanup_policy & CLEANUP_COMPACT,
        .min_dirty_ratio = settings->min_cleanable_dirty_ratio,
        .min_compaction_lag_ms = settings->min_compaction_lag_ms,
        .max_compaction_lag_ms = settings->max_compaction_lag_ms,
        .delete_retention_ms = settings->delete_retention_ms,
    };
    cleaner_consider(partition->log);
    retention_consider(partition->log);
    partition->max_message_bytes = settings->max_message_bytes;
    partition->min_insync_replicas = settings->min_insync_replicas;
    if (partition->opened)
        partition->replica.min_insync_replicas = settings->min_insync_replicas;
}

static void make_partition(struct shard *shard, const struct image_topic *topic, int32_t index,
                           const struct topic_settings *settings)
{
    const struct image_partition *described = image_partition(topic, index);
    if (!described || described->core != shard->core.id)
        return;
    struct partition *partition = partition_find(shard, topic->id, index);
    if (!partition) {
        struct store *store = shard->stores[whereabouts_of(shard->broker, topic, index)];
        partition = partition_create(shard, store, topic->id, image_topic_name(topic), index);
    }
    partition_lead(partition, described->leader_epoch);
    set_settings(partition, settings);
}

/* Every partition of the topic that is ours: made, or its settings brought up to date. */
static void make_partitions(struct shard *shard, const struct image_topic *topic)
{
    struct topic_settings settings;
    image_topic_settings(topic, shard->broker->settings, &settings);
    for (int32_t i = 0; i < topic->partition_capacity; i++)
        make_partition(shard, topic, i, &settings);
}

void catalogue_open(struct shard *shard)
{
    uint32_t position = 0;
    for (const struct image_topic *topic; (topic = image_next_topic(&shard->image, &position));)
        make_partitions(shard, topic);
}

static void delete_partitions(struct shard *shard, struct uuid topic_id)
{
    const struct image_topic *topic = image_topic_by_id(&shard->image, topic_id);
    for (int32_t i = 0; topic && i < topic->partition_capacity; i++) {
        struct partition *partition = partition_find(shard, topic_id, i);
        if (partition)
            partition_delete(partition);
    }
}

enum error catalogue_apply(struct shard *shard, const struct message *message, const void *record)
{
    if (message == &remove_topic_record_message)
        delete_partitions(shard, ((const struct remove_topic_record *)record)->topic_id);
    enum error error = image_apply(&shard->image, message->key, record);
    if (error)
        return error;
    const struct image_topic *topic = NULL;
    int32_t index = -1;
    if (message == &partition_record_message) {
        const struct partition_record *partition = record;
        topic = image_topic_by_id(&shard->image, partition->topic_id);
        index = partition->partition_id;
    } else if (message == &partition_change_record_message) {
        const struct partition_change_record *partition = record;
        topic = image_topic_by_id(&shard->image, partition->topic_id);
        index = partition->partition_id;
    } else if (message == &config_record_message) {
        const struct config_record *config = record;
        if (config->resource_type == IMAGE_RESOURCE_TOPIC)
            topic = image_topic_by_name(&shard->image, config->resource_name);
    }
    if (!topic || !shard->stores)
        return ERROR_NONE;
    struct topic_settings settings;
    image_topic_settings(topic, shard->broker->settings, &settings);
    if (index >= 0)
        make_partition(shard, topic, index, &settings);
    else
        make_partitions(shard, topic);
    return ERROR_NONE;
}

static void close_handle(struct shard *shard, int32_t handle, bool blocking)
{
    struct op op = {.kind = OP_CLOSE, .handle = handle};
    if (handle >= 0 && blocking)
        (void)port_call(shard->core.port, &op); /* what mattered was flushed before */
}

static void close_partition(struct shard *shard, struct partition *partition, bool blocking)
{
    struct log *log = partition->log;
    for (int i = 0; i < log->segment_count; i++) {
        struct segment *segment = log->segments[i];
        segment->users = 0;
        close_handle(shard, handle_take(segment, &segment->handle), blocking);
        close_handle(shard, handle_take(segment, &segment->read_handle), blocking);
    }
    log_free(log);
    memory_free(partition);
}

void catalogue_close(struct shard *shard, bool blocking)
{
    uint32_t position = 0;
    for (struct partition *partition; (partition = map_next(&shard->partitions, &position));)
        close_partition(shard, partition, blocking);
    map_done(&shard->partitions);
    map_init(&shard->partitions, 0);
}
