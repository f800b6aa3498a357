#pragma once
/* What a client knows of the cluster: brokers, topics, partitions and who leads them. Pure: made of
 * Metadata answers, copied, so it outlives them. */
#include "host_port.h"
#include "protocol/messages.h"

struct metadata_node {
    int32_t id;
    struct host_port address;
};

struct metadata_partition {
    int32_t leader; /* node, or -1: none now */
    int32_t leader_epoch;
    enum error error;
};

struct metadata_topic {
    char *name;     /* terminated */
    struct uuid id; /* zero if the broker is too old to tell */
    enum error error;
    bool is_internal;
    struct metadata_partition *partitions; /* by index */
    int32_t partition_count;
};

struct metadata {
    struct metadata_node *nodes;
    int32_t node_count;
    struct metadata_topic *topics;
    int32_t topic_count;
};

void metadata_init(struct metadata *metadata);
void metadata_done(struct metadata *metadata);

/* Replaces everything by what `response` says. Brokers whose address can't be one are left out, and
 * so are partitions whose index is not below their number. */
void metadata_update(struct metadata *metadata, const struct metadata_response *response);

/* By name or id; null if it is not known. Good until the next update. */
const struct metadata_topic *metadata_topic_named(const struct metadata *metadata,
                                                  struct string name);
const struct metadata_node *metadata_node_of(const struct metadata *metadata, int32_t id);

/* True if every partition of the topic has a leader that is known. */
bool metadata_is_ready(const struct metadata *metadata, const struct metadata_topic *topic);
