#pragma once
/* Where a partition is, by this core's image. What it says may have changed when the mail arrives:
 * the other side looks for the partition and says NOT_LEADER_OR_FOLLOWER if it is not there. */
#include "api/api.h"
#include "logic/image.h"

/* A topic as requests name it: by id in newer versions, else by name. Null if there is none; then
 * *ret_error is UNKNOWN_TOPIC_ID or UNKNOWN_TOPIC_OR_PARTITION. Borrowed until the image changes.
 */
const struct image_topic *route_topic(struct call *call, bool by_id, struct uuid id,
                                      struct string name, enum error *ret_error);

/* The core that owns the partition, or -1 and an error: UNKNOWN_TOPIC_OR_PARTITION, or
 * NOT_LEADER_OR_FOLLOWER if another broker leads it. */
int32_t route_partition(struct call *call, const struct image_topic *topic, int32_t index,
                        enum error *ret_error);

/* INVALID_REQUEST unless it is 0 (read uncommitted) or 1 (read committed). */
enum error route_check_isolation(int8_t level);

/* NONE, FENCED_LEADER_EPOCH or UNKNOWN_LEADER_EPOCH (KIP-320); -1: the client does not say. */
enum error route_check_epoch(int32_t client_epoch, int32_t leader_epoch);
