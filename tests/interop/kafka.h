#pragma once
/* librdkafka against a broker of one's own: settings, topics and ends, as the tests need them. What
 * can't be is a failed expectation. */
#include "interop/process.h"
#include <librdkafka/rdkafka.h>

enum { KAFKA_LIMIT_MS = 60000 }; /* of every wait */

/* Sets one of the client's settings. */
void kafka_set(rd_kafka_conf_t *settings, const char *name, const char *value);

/* Settings of a client of this broker: it connects again at once, and is quiet. */
rd_kafka_conf_t *kafka_settings(const struct process *broker);

/* A client with these settings, which it takes; null if there can be none. */
rd_kafka_t *kafka_open(rd_kafka_type_t type, rd_kafka_conf_t *settings);

/* Makes a topic of one replica; `setting` is null, or the name of a setting of the topic, whose
 * value follows. */
bool kafka_create_topic(rd_kafka_t *client, const char *name, int partitions, const char *setting,
                        const char *value);

/* Where a partition ends, as the broker says; -1 if it doesn't. */
int64_t kafka_end(rd_kafka_t *client, const char *topic, int32_t partition);
