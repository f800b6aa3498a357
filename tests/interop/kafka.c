#include "interop/kafka.h"
#include "support/test.h"

void kafka_set(rd_kafka_conf_t *settings, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(settings, name, value, text, sizeof text) != RD_KAFKA_CONF_OK)
        test_expect(false, __FILE__, __LINE__, "%s", text);
}

rd_kafka_conf_t *kafka_settings(const struct process *broker)
{
    rd_kafka_conf_t *settings = rd_kafka_conf_new();
    kafka_set(settings, "bootstrap.servers", broker->address);
    kafka_set(settings, "reconnect.backoff.ms", "10");
    kafka_set(settings, "reconnect.backoff.max.ms", "100");
    kafka_set(settings, "log_level", "2");
    return settings;
}

rd_kafka_t *kafka_open(rd_kafka_type_t type, rd_kafka_conf_t *settings)
{
    char text[256];
    rd_kafka_t *client = rd_kafka_new(type, settings, text, sizeof text);
    if (!client)
        rd_kafka_conf_destroy(settings);
    test_expect(client != NULL, __FILE__, __LINE__, "%s", text);
    return client;
}

static bool is_created(rd_kafka_event_t *event)
{
    size_t count;
    if (!event || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    return count == 1 && !rd_kafka_topic_result_error(results[0]);
}

/* Else the client learns of it when it looks for news, once a second. */
static void make_known(rd_kafka_t *client, const char *name)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    if (TRUE_(rd_kafka_metadata(client, 0, topic, &metadata, KAFKA_LIMIT_MS) == 0))
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
}

bool kafka_create_topic(rd_kafka_t *client, const char *name, int partitions, const char *setting,
                        const char *value)
{
    char text[256];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, 1, text, sizeof text);
    if (setting)
        rd_kafka_NewTopic_set_config(topic, setting, value);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_CreateTopics(client, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, KAFKA_LIMIT_MS);
    bool created = is_created(event);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
    if (created)
        make_known(client, name);
    return test_expect(created, __FILE__, __LINE__, "the topic %s can't be made", name);
}

int64_t kafka_end(rd_kafka_t *client, const char *topic, int32_t partition)
{
    int64_t low = -1, high = -1;
    if (rd_kafka_query_watermark_offsets(client, topic, partition, &low, &high, KAFKA_LIMIT_MS))
        return -1;
    return high;
}
