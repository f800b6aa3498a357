#include "metadata.h"
#include "base/memory.h"

void metadata_init(struct metadata *metadata)
{
    *metadata = (struct metadata){0};
}

void metadata_done(struct metadata *metadata)
{
    for (int32_t i = 0; i < metadata->topic_count; i++) {
        memory_free(metadata->topics[i].name);
        memory_free(metadata->topics[i].partitions);
    }
    memory_free(metadata->topics);
    memory_free(metadata->nodes);
    metadata_init(metadata);
}

static void copy_topic(struct metadata_topic *topic, const struct metadata_response_topic *from)
{
    int32_t name_size = from->name.size > 0 ? from->name.size : 0;
    topic->name = memory_zeroed((size_t)name_size + 1);
    if (name_size)
        memcpy(topic->name, from->name.data, (size_t)name_size);
    topic->id = from->topic_id;
    topic->error = error_from_wire(from->error_code);
    topic->is_internal = from->is_internal;
    int32_t count = from->partitions_count > 0 ? from->partitions_count : 0;
    topic->partition_count = count;
    topic->partitions = memory_zeroed((size_t)count * sizeof *topic->partitions);
    for (int32_t i = 0; i < count; i++)
        topic->partitions[i] = (struct metadata_partition){
            .leader = -1, .leader_epoch = -1, .error = ERROR_LEADER_NOT_AVAILABLE};
    for (int32_t i = 0; i < count; i++) {
        const struct metadata_response_partition *partition = &from->partitions[i];
        if (partition->partition_index < 0 || partition->partition_index >= count)
            continue;
        topic->partitions[partition->partition_index] =
            (struct metadata_partition){.leader = partition->leader_id,
                                        .leader_epoch = partition->leader_epoch,
                                        .error = error_from_wire(partition->error_code)};
    }
}

void metadata_update(struct metadata *metadata, const struct metadata_response *response)
{
    metadata_done(metadata);
    int32_t nodes = response->brokers_count > 0 ? response->brokers_count : 0;
    int32_t topics = response->topics_count > 0 ? response->topics_count : 0;
    metadata->nodes = memory_zeroed((size_t)nodes * sizeof *metadata->nodes);
    metadata->topics = memory_zeroed((size_t)topics * sizeof *metadata->topics);
    for (int32_t i = 0; i < nodes; i++) {
        const struct metadata_response_broker *broker = &response->brokers[i];
        struct metadata_node *node = &metadata->nodes[metadata->node_count];
        node->id = broker->node_id;
        if (host_port_set(&node->address, broker->host, broker->port))
            metadata->node_count++;
    }
    for (int32_t i = 0; i < topics; i++)
        copy_topic(&metadata->topics[metadata->topic_count++], &response->topics[i]);
}

const struct metadata_topic *metadata_topic_named(const struct metadata *metadata,
                                                  struct string name)
{
    for (int32_t i = 0; i < metadata->topic_count; i++)
        if (string_equal(string_of(metadata->topics[i].name), name))
            return &metadata->topics[i];
    return NULL;
}

const struct metadata_node *metadata_node_of(const struct metadata *metadata, int32_t id)
{
    for (int32_t i = 0; i < metadata->node_count; i++)
        if (metadata->nodes[i].id == id)
            return &metadata->nodes[i];
    return NULL;
}

bool metadata_is_ready(const struct metadata *metadata, const struct metadata_topic *topic)
{
    if (topic->error || topic->partition_count == 0)
        return false;
    for (int32_t i = 0; i < topic->partition_count; i++)
        if (!metadata_node_of(metadata, topic->partitions[i].leader))
            return false;
    return true;
}
