#pragma once
/* Leaders for partitions that have none. Pure. */
#include "logic/image.h"
#include "logic/record_list.h"

/* A node that is there again leads the partitions without a leader in whose ISR it is, or among
 * whose eligible leader replicas (KIP-966), as a Kafka controller does for a broker that it
 * unfences; or whose only replica it has: nobody else holds what was acknowledged. Adds up to
 * `most` PartitionChangeRecords. */
void leaders_elect(const struct image *image, int32_t node_id, int32_t most,
                   struct record_list *records);
