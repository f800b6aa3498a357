/* A broker of two log directories with librdkafka: one of them away for a start, and one whose file
 * system ends while the broker runs. */
#include "interop/kafka.h"
#include "support/test.h"
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { PARTITIONS = 4, RECORDS = 50, SHORT_LIMIT_MS = 1500 };

struct two {
    struct process broker;
    char directories[200], second[80], away[80];
};

static bool shell(const struct two *two, const char *format)
{
    char line[400];
    snprintf(line, sizeof line, format, two->broker.folder, two->broker.folder, two->broker.folder);
    return system(line) == 0;
}

/* Mounts a small file system at the folder's "b". False where that is not allowed here. */
static bool mount_second(const struct two *two)
{
    return shell(two, "{ test -f %s/disk || { truncate -s 48M %s/disk && mkfs.ext4 -q -F %s/disk;"
                      " }; } 2>/dev/null") &&
           shell(two, "{ mkdir -p %s/b && mount -o loop %s/disk %s/b; } 2>/dev/null");
}

/* Ends the file system: whatever is asked of it from now on is an input/output error. */
static bool break_second(const struct two *two)
{
    const uint32_t without_log = 2; /* as fs/ext4/ext4.h: EXT4_GOING_FLAGS_NOLOGFLUSH */
    int folder = open(two->second, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = ioctl(folder, _IOR('X', 125, uint32_t), &without_log); /* FS_IOC_SHUTDOWN */
    close(folder);
    return result == 0;
}

static bool two_init(struct two *two, bool mounted)
{
    memset(two, 0, sizeof *two);
    if (!process_init(&two->broker))
        return false;
    const char *folder = two->broker.folder;
    snprintf(two->directories, sizeof two->directories, "log.dirs=%s/a,%s/b", folder, folder);
    snprintf(two->second, sizeof two->second, "%s/b", folder);
    snprintf(two->away, sizeof two->away, "%s/away", folder);
    two->broker.settings[0] = two->directories;
    return (!mounted || mount_second(two)) && process_start(&two->broker);
}

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *acknowledged)
{
    (void)producer;
    ((int *)acknowledged)[message->partition] += message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* RECORDS to every partition that `to` has; how many of each were acknowledged. */
static void produce(struct two *two, const bool to[PARTITIONS], const char *timeout_ms,
                    int acknowledged[PARTITIONS])
{
    rd_kafka_conf_t *settings = kafka_settings(&two->broker);
    memset(acknowledged, 0, PARTITIONS * sizeof *acknowledged);
    kafka_set(settings, "acks", "all");
    kafka_set(settings, "message.timeout.ms", timeout_ms);
    rd_kafka_conf_set_dr_msg_cb(settings, on_delivery);
    rd_kafka_conf_set_opaque(settings, acknowledged);
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

static void all_acknowledged(struct two *two, const bool to[PARTITIONS])
{
    int acknowledged[PARTITIONS];
    produce(two, to, "60000", acknowledged);
    for (int i = 0; i < PARTITIONS; i++)
        EQ(acknowledged[i], to[i] ? RECORDS : 0);
}

TEST(directories, one_that_is_away_takes_its_own_partitions_along_and_brings_them_back)
{
    struct two two;
    bool all[PARTITIONS] = {true, true, true, true}, left[PARTITIONS];
    int64_t end[PARTITIONS];
    if (!TRUE_(two_init(&two, false)))
        return;
    make_topic(&two);
    all_acknowledged(&two, all);
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
    all_acknowledged(&two, left);
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

/* Needs to mount: where that is not allowed it says so, and that is all. */
TEST(directories, one_that_breaks_while_the_broker_runs_takes_no_other_with_it)
{
    struct two two;
    bool all[PARTITIONS] = {true, true, true, true}, left[PARTITIONS];
    int64_t end[PARTITIONS];
    int acknowledged[PARTITIONS], count = 0;
    if (!two_init(&two, true)) {
        printf("no file system can be mounted here: not tested\n");
        process_done(&two.broker);
        return;
    }
    make_topic(&two);
    all_acknowledged(&two, all);
    TRUE_(break_second(&two));
    produce(&two, all, "2000", acknowledged);
    for (int i = 0; i < PARTITIONS; i++) {
        left[i] = acknowledged[i] == RECORDS;
        count += left[i];
        TRUE_(left[i] || acknowledged[i] == 0);
    }
    EQ(count, PARTITIONS / 2);
    ends(&two, end);
    for (int i = 0; i < PARTITIONS; i++)
        EQ(end[i], left[i] ? 2 * RECORDS : -1);
    EQ(process_stop(&two.broker, SIGTERM), 0);
    TRUE_(shell(&two, "umount %s/b") && mount_second(&two));
    TRUE_(process_start(&two.broker));
    ends(&two, end);
    for (int i = 0; i < PARTITIONS; i++)
        EQ(end[i], left[i] ? 2 * RECORDS : RECORDS);
    EQ(process_stop(&two.broker, SIGTERM), 0);
    TRUE_(shell(&two, "umount %s/b"));
    process_done(&two.broker);
}
