#pragma once
/* What Metadata and DescribeTopicPartitions say of replicas that are not to be had. */
#include "api/api.h"
#include "logic/image.h"

/* The nodes whose replica of the partition is offline (image_offline_replicas), in memory of the
 * call; *ret is left as it is where there are none. False: the call's budget is used up. */
bool offline_replicas_take(struct call *call, const struct image_partition *partition,
                           int32_t **ret, int32_t *ret_count);
