#pragma once
/* The catalogue: each core's image, and the partitions it owns by it. All cores apply the same
 * committed records in the same order. */
#include "cluster/broker.h"
#include "protocol/message.h"

/* Applies one committed record to this core's image and does what follows for the partitions it
 * owns: makes, changes or deletes them. An error means that the metadata log is broken. */
enum error catalogue_apply(struct shard *shard, const struct message *message, const void *record);

/* Makes the partitions that the image gives to this core; once, when the shard is opened. */
void catalogue_open(struct shard *shard);

/* Closes and frees them all; nothing may be at work on them. With `blocking` their files are closed
 * (port_call); else only memory is freed. */
void catalogue_close(struct shard *shard, bool blocking);

/* The id of __cluster_metadata, fixed by KRaft, and its only partition. */
extern const struct uuid metadata_topic_id;
#define METADATA_TOPIC STRING("__cluster_metadata")
