#include "api/offline_replicas.h"

bool offline_replicas_take(struct call *call, const struct image_partition *partition,
                           int32_t **ret, int32_t *ret_count)
{
    const struct image *image = &call->shard->image;
    *ret_count = image_offline_replicas(image, partition, NULL);
    if (*ret_count == 0)
        return true;
    *ret = call_take(call, (size_t)*ret_count, sizeof **ret);
    if (*ret)
        (void)image_offline_replicas(image, partition, *ret);
    return *ret;
}
