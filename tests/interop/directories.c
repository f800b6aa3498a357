/* A broker of two log directories with librdkafka, and one of them away for a start. */
#include "interop/kafka.h"
#include "support/test.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PARTITIONS = 4, RECORDS = 50, SHORT_LIMIT_MS = 1500 };

struct two {
    struct process broker;
    char directories[200], second[80], away[80];
};

static bool two_init(struct two *two)
{
    memset(two, 0, sizeof *two);
    if (!process_init(&two->broker))
        return false;
    const char *folder = two->broker.folder;
    snprintf(two->directories, sizeof two->directories, "log.dirs=%s/a,%s/b", folder, folder);
    snprintf(two->second, sizeof two->second, "%s/b", folder);
    snprintf(two->away, sizeof two->away, "%s/away", folder);
    two->broker.settings[0] = two->directories;
    return process_start(&two->broker);
}

/* To every partition that `to` has. */
static void produce(struct two *two, const bool to[PARTITIONS])
{
    rd_kafka_conf_t *settings = kafka_settings(&two->broker);
    kafka_set(settings, "enable.idempotence", "true");
    rd_kafka_t *producer = kafka_open(RD_KAFKA_PRODUCER, settings);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, "t", NULL);
    char value[] = "value";
    for (int i = 0; i < PARTITIONS * RECORDS; i++)
        if (to[i % PARTITIONS])
            EQ(rd_kafka_produce(topic, i % PARTITIONS, RD_KAFKA_MSG_F_COPY, value, 5, NULL, 0,
                                NULL),
               0);
    EQ(rd_kafka_flush(producer, KAFKA_LIMIT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(producer);
}

/* Where each ends; -1: it does not answer. */
static void ends(struct two *two, int64_t ret[PARTITIONS])
{
    rd_kafka_t *client = kafka_open(RD_KAFKA_CONSUMER, kafka_settings(&two->broker));
    for (int i = 0; i < PARTITIONS; i++) {
        int64_t low = -1;
        ret[i] = -1;
        (void)rd_kafka_query_watermark_offsets(client, "t", i, &low, &ret[i], SHORT_LIMIT_MS);
    }
    rd_kafka_destroy(client);
}

static void make_topic(struct two *two)
{
    rd_kafka_t *client = kafka_open(RD_KAFKA_PRODUCER, kafka_settings(&two->broker));
    TRUE_(kafka_create_topic(client, "t", PARTITIONS, NULL, NULL));
    rd_kafka_destroy(client);
}

TEST(directories, one_that_is_away_takes_its_own_partitions_along_and_brings_them_back)
{
    struct two two;
    bool all[PARTITIONS] = {true, true, true, true}, left[PARTITIONS];
    int64_t end[PARTITIONS];
    if (!TRUE_(two_init(&two)))
        return;
    make_topic(&two);
    produce(&two, all);
    process_stop(&two.broker, SIGKILL);
    EQ(rename(two.second, two.away), 0);
    int file = open(two.second, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); /* no folder can be here */
    TRUE_(file >= 0);
    close(file);
    TRUE_(process_start(&two.broker));
    ends(&two, end);
    int count = 0;
    for (int i = 0; i < PARTITIONS; i++) {
        left[i] = end[i] == RECORDS;
        count += left[i];
        TRUE_(left[i] || end[i] == -1);
    }
    EQ(count, PARTITIONS / 2);
    produce(&two, left);
    process_stop(&two.broker, SIGKILL);
    EQ(unlink(two.second), 0);
    EQ(rename(two.away, two.second), 0);
    TRUE_(process_start(&two.broker));
    ends(&two, end);
    for (int i = 0; i < PARTITIONS; i++)
        EQ(end[i], left[i] ? 2 * RECORDS : RECORDS);
    EQ(process_stop(&two.broker, SIGTERM), 0);
    process_done(&two.broker);
}
