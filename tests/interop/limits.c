/* Where something ends, as librdkafka meets it: the largest record and the next one, topics that
 * are not there, offsets that are not there. */
#include "base/memory.h"
#include "interop/kafka.h"
#include "protocol/batch.h"
#include "support/test.h"
#include <signal.h>
#include <stdio.h>

enum { DEFAULT_BYTES = 1048588, RECORDS = 10 };

struct scene {
    struct process broker;
    rd_kafka_t *producer;
};

/* What became of the record whose _private this is. */
static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    *(rd_kafka_resp_err_t *)message->_private = message->err;
}

/* Starts a broker with this setting, or none, and a producer that sends each record alone. */
static bool scene_open(struct scene *scene, const char *setting)
{
    *scene = (struct scene){0};
    bool started = process_init(&scene->broker);
    scene->broker.settings[0] = setting;
    if (!TRUE_(started && process_start(&scene->broker)))
        return false;
    rd_kafka_conf_t *settings = kafka_settings(&scene->broker);
    kafka_set(settings, "acks", "all");
    kafka_set(settings, "linger.ms", "0");
    kafka_set(settings, "batch.num.messages", "1");
    kafka_set(settings, "message.max.bytes", "10000000"); /* the broker is to judge */
    kafka_set(settings, "topic.metadata.propagation.max.ms", "0");
    rd_kafka_conf_set_dr_msg_cb(settings, on_delivery);
    scene->producer = kafka_open(RD_KAFKA_PRODUCER, settings);
    return scene->producer != NULL;
}

static void scene_close(struct scene *scene)
{
    if (scene->producer)
        rd_kafka_destroy(scene->producer);
    if (scene->broker.id)
        EQ(process_stop(&scene->broker, SIGTERM), 0);
    process_done(&scene->broker);
}

static rd_kafka_resp_err_t send_record(struct scene *scene, const char *topic, const void *value,
                                       size_t size)
{
    rd_kafka_resp_err_t result = RD_KAFKA_RESP_ERR__IN_PROGRESS;
    rd_kafka_resp_err_t error = rd_kafka_producev(
        scene->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE((void *)(uintptr_t)value, size),
        RD_KAFKA_V_OPAQUE(&result), RD_KAFKA_V_END);
    if (error)
        return error;
    if (rd_kafka_flush(scene->producer, KAFKA_LIMIT_MS)) { /* `result` must not be used later */
        rd_kafka_purge(scene->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(scene->producer, KAFKA_LIMIT_MS);
    }
    return result;
}

/* A client that reads partition 0 from `offset` on. */
struct reading {
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
};

static struct reading reading_open(struct scene *scene, const char *topic, int64_t offset,
                                   const char *reset)
{
    rd_kafka_conf_t *settings = kafka_settings(&scene->broker);
    kafka_set(settings, "enable.partition.eof", "true");
    kafka_set(settings, "check.crcs", "true");
    kafka_set(settings, "fetch.wait.max.ms", "100");
    kafka_set(settings, "message.max.bytes", "1000");
    kafka_set(settings, "fetch.max.bytes", "1000");
    kafka_set(settings, "fetch.message.max.bytes", "100"); /* of a partition */
    kafka_set(settings, "auto.offset.reset", reset);
    kafka_set(settings, "topic.metadata.propagation.max.ms", "0");
    struct reading reading = {.client = kafka_open(RD_KAFKA_CONSUMER, settings)};
    reading.topic = rd_kafka_topic_new(reading.client, topic, NULL);
    EQ(rd_kafka_consume_start(reading.topic, 0, offset), 0);
    return reading;
}

static void reading_close(struct reading *reading)
{
    rd_kafka_consume_stop(reading->topic, 0);
    rd_kafka_topic_destroy(reading->topic);
    rd_kafka_destroy(reading->client);
}

/* The next thing that the client has to say: a record, or an error. Null: nothing, for a minute. */
static rd_kafka_message_t *reading_next(struct reading *reading)
{
    return rd_kafka_consume(reading->topic, 0, KAFKA_LIMIT_MS);
}

/* The next thing is a record with this offset and value. */
static void expect_record(struct reading *reading, int64_t offset, const void *value, size_t size)
{
    rd_kafka_message_t *message = reading_next(reading);
    if (!TRUE_(message != NULL))
        return;
    test_expect(!message->err, __FILE__, __LINE__, "%s", rd_kafka_message_errstr(message));
    if (!message->err) {
        EQ(message->offset, offset);
        EQ(message->len, size);
        TRUE_(message->len == size && memcmp(message->payload, value, size) == 0);
    }
    rd_kafka_message_destroy(message);
}

/* The next thing is this error, or end. */
static void expect_error(struct reading *reading, rd_kafka_resp_err_t error)
{
    rd_kafka_message_t *message = reading_next(reading);
    if (!TRUE_(message != NULL))
        return;
    test_expect(message->err == error, __FILE__, __LINE__, "got %s, want %s",
                rd_kafka_err2name(message->err), rd_kafka_err2name(error));
    rd_kafka_message_destroy(message);
}

/* -- the largest record --------------------------------------------------------------------------
 */

/* How long the value may be in a batch of one record of at most `batch_bytes`. */
static size_t value_that_fits(int32_t batch_bytes)
{
    struct batch_builder builder;
    uint8_t header[BATCH_RECORDS_AT];
    batch_builder_init(&builder, header, sizeof header);
    for (int32_t size = batch_bytes - BATCH_RECORDS_AT;; size--) {
        struct record record = {.key = BYTES_NULL, .value = {header, size}};
        if (BATCH_RECORDS_AT + record_size(&builder, &record) == (size_t)batch_bytes)
            return (size_t)size;
    }
}

/* A batch of `most` bytes is taken and comes back, also to who asks for 100 bytes at a time
 * (KIP-74); one that is a byte longer is refused, and what follows is not held up. */
static void at_the_limit(struct scene *scene, const char *topic, int32_t most)
{
    size_t size = value_that_fits(most);
    uint8_t *value = memory_zeroed(size + 1);
    for (size_t i = 0; i <= size; i++)
        value[i] = (uint8_t)(i * 31 + i / 251);
    EQ(send_record(scene, topic, value, size), RD_KAFKA_RESP_ERR_NO_ERROR);
    EQ(send_record(scene, topic, value, size + 1), RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    EQ(send_record(scene, topic, "after", 5), RD_KAFKA_RESP_ERR_NO_ERROR);
    EQ(kafka_end(scene->producer, topic, 0), 2);
    struct reading reading = reading_open(scene, topic, 0, "error");
    expect_record(&reading, 0, value, size);
    expect_record(&reading, 1, "after", 5);
    expect_error(&reading, RD_KAFKA_RESP_ERR__PARTITION_EOF);
    reading_close(&reading);
    memory_free(value);
}

TEST(limits, a_record_at_the_limit_is_taken_and_a_byte_more_is_not)
{
    struct scene scene;
    if (scene_open(&scene, NULL)) {
        kafka_create_topic(scene.producer, "default", 1, NULL, NULL);
        kafka_create_topic(scene.producer, "less", 1, "max.message.bytes", "5000");
        kafka_create_topic(scene.producer, "more", 1, "max.message.bytes", "5000000");
        at_the_limit(&scene, "default", DEFAULT_BYTES);
        at_the_limit(&scene, "less", 5000);
        at_the_limit(&scene, "more", 5000000);
    }
    scene_close(&scene);
}

TEST(limits, the_limit_of_the_broker_is_the_default_of_topics)
{
    struct scene scene;
    if (scene_open(&scene, "message.max.bytes=3000")) {
        kafka_create_topic(scene.producer, "default", 1, NULL, NULL);
        kafka_create_topic(scene.producer, "more", 1, "max.message.bytes", "6000");
        at_the_limit(&scene, "default", 3000);
        at_the_limit(&scene, "more", 6000);
    }
    scene_close(&scene);
}

/* -- topics that are not there -------------------------------------------------------------------
 */

/* How many partitions the topic has, as `client` is told, who does not have it made; 0 if it is not
 * there. */
static int partitions_of(rd_kafka_t *client, const char *name)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    int count = -1;
    if (TRUE_(rd_kafka_metadata(client, 0, topic, &metadata, KAFKA_LIMIT_MS) == 0)) {
        bool is_there = TRUE_(metadata->topic_cnt == 1) && !metadata->topics[0].err;
        count = is_there ? metadata->topics[0].partition_cnt : 0;
        if (!is_there)
            EQ(metadata->topics[0].err, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(topic);
    return count;
}

TEST(limits, a_topic_that_is_not_there_is_made_by_a_producer)
{
    struct scene scene;
    if (scene_open(&scene, "num.partitions=3")) {
        rd_kafka_t *consumer = kafka_open(RD_KAFKA_CONSUMER, kafka_settings(&scene.broker));
        EQ(partitions_of(consumer, "new"), 0);
        EQ(partitions_of(consumer, "new"), 0); /* a consumer does not */
        EQ(send_record(&scene, "new", "first", 5), RD_KAFKA_RESP_ERR_NO_ERROR);
        EQ(partitions_of(consumer, "new"), 3);
        rd_kafka_destroy(consumer);
        struct reading reading = reading_open(&scene, "new", 0, "error");
        expect_record(&reading, 0, "first", 5);
        reading_close(&reading);
    }
    scene_close(&scene);
}

TEST(limits, a_topic_that_is_not_there_is_not_made_where_that_is_forbidden)
{
    struct scene scene;
    if (scene_open(&scene, "auto.create.topics.enable=false")) {
        rd_kafka_t *consumer = kafka_open(RD_KAFKA_CONSUMER, kafka_settings(&scene.broker));
        EQ(send_record(&scene, "new", "first", 5), RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
        EQ(partitions_of(consumer, "new"), 0);
        kafka_create_topic(scene.producer, "new", 2, NULL, NULL);
        EQ(partitions_of(scene.producer, "new"), 2);
        EQ(send_record(&scene, "new", "first", 5), RD_KAFKA_RESP_ERR_NO_ERROR);
        rd_kafka_destroy(consumer);
    }
    scene_close(&scene);
}

TEST(limits, a_partition_that_is_not_there_is_an_error)
{
    struct scene scene;
    if (scene_open(&scene, NULL)) {
        kafka_create_topic(scene.producer, "t", 1, NULL, NULL);
        EQ(kafka_end(scene.producer, "t", 0), 0);
        EQ(kafka_end(scene.producer, "t", 1), -1);
    }
    scene_close(&scene);
}

/* -- offsets that are not there ------------------------------------------------------------------
 */

static bool fill_topic(struct scene *scene)
{
    bool fine = kafka_create_topic(scene->producer, "t", 1, NULL, NULL);
    for (int i = 0; i < RECORDS && fine; i++)
        fine = TRUE_(send_record(scene, "t", "value", 5) == RD_KAFKA_RESP_ERR_NO_ERROR);
    return fine;
}

TEST(limits, an_offset_that_is_not_there_is_reset_to_the_earliest)
{
    struct scene scene;
    if (scene_open(&scene, NULL) && fill_topic(&scene)) {
        struct reading reading = reading_open(&scene, "t", 1000, "earliest");
        for (int i = 0; i < RECORDS; i++)
            expect_record(&reading, i, "value", 5);
        expect_error(&reading, RD_KAFKA_RESP_ERR__PARTITION_EOF);
        reading_close(&reading);
    }
    scene_close(&scene);
}

TEST(limits, an_offset_that_is_not_there_is_reset_to_the_latest)
{
    struct scene scene;
    if (scene_open(&scene, NULL) && fill_topic(&scene)) {
        struct reading reading = reading_open(&scene, "t", 1000, "latest");
        expect_error(&reading, RD_KAFKA_RESP_ERR__PARTITION_EOF);
        EQ(send_record(&scene, "t", "next", 4), RD_KAFKA_RESP_ERR_NO_ERROR);
        expect_record(&reading, RECORDS, "next", 4);
        reading_close(&reading);
    }
    scene_close(&scene);
}

TEST(limits, an_offset_that_is_not_there_is_an_error_without_a_reset)
{
    struct scene scene;
    if (scene_open(&scene, NULL) && fill_topic(&scene)) {
        struct reading reading = reading_open(&scene, "t", RECORDS + 1, "error");
        expect_error(&reading, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET);
        reading_close(&reading);
        reading = reading_open(&scene, "t", RECORDS, "error"); /* the end is there */
        expect_error(&reading, RD_KAFKA_RESP_ERR__PARTITION_EOF);
        EQ(send_record(&scene, "t", "next", 4), RD_KAFKA_RESP_ERR_NO_ERROR);
        expect_record(&reading, RECORDS, "next", 4);
        reading_close(&reading);
    }
    scene_close(&scene);
}
