#include "logic/alone.h"
#include <stdio.h>

static bool is_elsewhere(const struct image_topic *topic, int32_t id, int32_t node_id,
                         int32_t *ret_node)
{
    const struct image_partition *partition = image_partition(topic, id);
    int32_t count = 0;
    const int32_t *replicas =
        partition ? image_partition_list(partition, IMAGE_REPLICAS, &count) : NULL;
    for (int32_t i = 0; i < count; i++)
        if (replicas[i] != node_id) {
            *ret_node = replicas[i];
            return true;
        }
    return false;
}

bool alone_is(const struct image *image, int32_t node_id, char *why, size_t why_size)
{
    uint32_t position = 0;
    for (const struct image_topic *topic; (topic = image_next_topic(image, &position));)
        for (int32_t i = 0; i < topic->partition_capacity; i++) {
            int32_t other;
            if (!is_elsewhere(topic, i, node_id, &other))
                continue;
            snprintf(why, why_size,
                     "topic %s, partition %d has a replica on node %d, and this version keeps all "
                     "on node %d: reassign its replicas to %d, with Kafka's tool, before",
                     topic->name, i, other, node_id, node_id);
            return false;
        }
    for (int32_t i = 0; i < image->broker_count; i++)
        if (image->brokers[i].id != node_id) {
            snprintf(why, why_size,
                     "broker %d is registered in this cluster too, and this version is a cluster "
                     "of one node: unregister it, with Kafka's tool, before",
                     image->brokers[i].id);
            return false;
        }
    return true;
}
