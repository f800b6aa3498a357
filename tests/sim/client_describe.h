#pragma once
/* The part of a simulated admin that only looks: DescribeConfigs, DescribeCluster,
 * DescribeTopicPartitions, each checked against what the model knows. */
#include "sim/client.h"

struct client_describe {
    const struct model_topic *topic;
    int32_t limit;
};

/* Asks one of them; false: nothing was asked. */
bool client_describe(struct client *client, struct client_describe *describe);

/* Takes the answer to what was asked last. */
void client_take_description(struct client *client, struct client_describe *describe,
                             const struct session_response *response, int64_t asked_ns);
