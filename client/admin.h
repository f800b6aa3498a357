#pragma once
/* Making, growing, setting and removing topics. */
#include "client.h"

struct admin_config {
    struct string name, value; /* value null: back to the broker's (admin_set only) */
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

/* Sets or takes back settings of a topic, all of them or none. */
enum error admin_set(struct client *client, const char *name, const struct admin_config *configs,
                     int32_t count);

/* Settings of a topic with their values and sources, good until the next call of this client. */
enum error admin_settings(struct client *client, const char *name,
                          const struct describe_configs_response_describe_configs_result **ret);

/* Removes a topic. */
enum error admin_delete(struct client *client, const char *name);
