#pragma once
/* Making, growing and removing topics. */
#include "client.h"

struct admin_config {
    struct string name, value;
};

struct admin_topic {
    const char *name;
    int32_t partitions;  /* -1: as the broker is set */
    int16_t replication; /* -1: as the broker is set */
    const struct admin_config *configs;
    int32_t configs_count;
};

/* Creates the topic and waits until every partition has a leader. TOPIC_ALREADY_EXISTS, or what the
 * broker answers; the reason has the broker's own words. */
enum error admin_create(struct client *client, const struct admin_topic *topic);

/* Grows a topic to `partitions` in all, and waits until every one has a leader. */
enum error admin_grow(struct client *client, const char *name, int32_t partitions);

/* Removes a topic. */
enum error admin_delete(struct client *client, const char *name);
