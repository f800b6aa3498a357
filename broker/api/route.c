#include "api/route.h"

const struct image_topic *route_topic(struct call *call, bool by_id, struct uuid id,
                                      struct string name, enum error *ret_error)
{
    const struct image *image = &call->shard->image;
    const struct image_topic *topic =
        by_id ? image_topic_by_id(image, id) : image_topic_by_name(image, name);
    if (!topic)
        *ret_error = by_id ? ERROR_UNKNOWN_TOPIC_ID : ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    return topic;
}

int32_t route_partition(struct call *call, const struct image_topic *topic, int32_t index,
                        enum error *ret_error)
{
    const struct image_partition *partition = image_partition(topic, index);
    if (!partition || partition->core < 0) {
        *ret_error = ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        return -1;
    }
    if (partition->leader != call->shard->broker->node_id) {
        *ret_error = ERROR_NOT_LEADER_OR_FOLLOWER;
        return -1;
    }
    return partition->core;
}

enum error route_check_isolation(int8_t level)
{
    return level == 0 || level == 1 ? ERROR_NONE : ERROR_INVALID_REQUEST;
}

enum error route_check_epoch(int32_t client_epoch, int32_t leader_epoch)
{
    if (client_epoch < 0 || client_epoch == leader_epoch)
        return ERROR_NONE;
    return client_epoch < leader_epoch ? ERROR_FENCED_LEADER_EPOCH : ERROR_UNKNOWN_LEADER_EPOCH;
}
