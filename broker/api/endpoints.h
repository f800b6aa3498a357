#pragma once
/* What several APIs tell about brokers and topics in the same way. */
#include "api/api.h"

/* Bits by Kafka's AclOperation: read, write, create, delete, alter, describe, describe configs and
 * alter configs of a topic; of the cluster those that exist for it. Without an authorizer all. */
enum { TOPIC_OPERATIONS = 3576, CLUSTER_OPERATIONS = 8096 };

/* Where clients reach a broker. `broker` null: this one. Where it is not told otherwise, the
 * address by which the client came. The host lives as long as the call. */
struct endpoint {
    struct string host;
    uint16_t port;
};
struct endpoint endpoint_of(struct call *call, const struct image_broker *broker);
