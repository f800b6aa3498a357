/* Offsets for times: librdkafka's rd_kafka_offsets_for_times against a broker whose records have
 * known timestamps, with each codec, over several segments. What must come is the first offset
 * whose record is at the time or later, or the end where none is; a scan of the timestamps sent
 * says which that is. Most ascend, some lie far back, several share one. Asked before and after a
 * kill -9, and after a stop in order, when the indexes come from their files. */
#include "interop/kafka.h"
#include "support/test.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    RECORDS = 12000,
    VALUE_BYTES = 300,
    STEP_MS = 20,
    SHARED = 3,      /* records of one timestamp */
    BACK_EVERY = 41, /* a record that lies back */
    BACK_MS = 7000,
    QUESTIONS = 150,
};
static const int64_t first_ms = 1700000000000;
static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};

static int64_t time_of(int32_t i)
{
    int64_t time_ms = first_ms + (int64_t)(i / SHARED) * STEP_MS;
    return i % BACK_EVERY == BACK_EVERY - 1 ? time_ms - BACK_MS : time_ms;
}

/* The model. */
static int64_t wanted(int64_t time_ms)
{
    for (int32_t i = 0; i < RECORDS; i++)
        if (time_of(i) >= time_ms)
            return i;
    return RD_KAFKA_OFFSET_END;
}

static void send_all(const struct process *broker, const char *codec)
{
    rd_kafka_conf_t *settings = kafka_settings(broker);
    kafka_set(settings, "compression.codec", codec);
    kafka_set(settings, "linger.ms", "5");
    kafka_set(settings, "batch.num.messages", "120");
    rd_kafka_t *producer = kafka_open(RD_KAFKA_PRODUCER, settings);
    uint8_t value[VALUE_BYTES];
    kafka_create_topic(producer, codec, 1, "segment.bytes", "1048576");
    for (int32_t i = 0; i < RECORDS; i++) {
        for (int j = 0; j < VALUE_BYTES; j++) /* does not compress to nothing */
            value[j] = (uint8_t)((uint32_t)(i * 31 + j) * 2654435761u >> 24);
        rd_kafka_resp_err_t error;
        do {
            error = rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(codec), RD_KAFKA_V_PARTITION(0),
                                      RD_KAFKA_V_VALUE(value, VALUE_BYTES),
                                      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                      RD_KAFKA_V_TIMESTAMP(time_of(i)), RD_KAFKA_V_END);
            rd_kafka_poll(producer, error ? 10 : 0);
        } while (error == RD_KAFKA_RESP_ERR__QUEUE_FULL);
        EQ(error, RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    EQ(rd_kafka_flush(producer, KAFKA_LIMIT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    EQ(kafka_end(producer, codec, 0), RECORDS);
    rd_kafka_destroy(producer);
}

/* Edges first, then anywhere. */
static int64_t question(int32_t number, unsigned *random)
{
    static const int64_t edges[] = {0,
                                    first_ms - BACK_MS - 1,
                                    first_ms - 1,
                                    first_ms,
                                    first_ms + 1,
                                    first_ms + STEP_MS,
                                    first_ms + (RECORDS - 1) / SHARED * STEP_MS,
                                    first_ms + (RECORDS - 1) / SHARED * STEP_MS + 1,
                                    INT64_MAX};
    int32_t edge_count = (int32_t)(sizeof edges / sizeof *edges);
    if (number < edge_count)
        return edges[number];
    return first_ms + (int64_t)((uint32_t)rand_r(random) % (RECORDS / SHARED * STEP_MS));
}

/* One question about all topics at once. */
static void ask(rd_kafka_t *client, int64_t time_ms)
{
    int count = (int)(sizeof codecs / sizeof *codecs);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, codecs[i], 0)->offset = time_ms;
    EQ(rd_kafka_offsets_for_times(client, list, KAFKA_LIMIT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    int64_t want = wanted(time_ms);
    for (int i = 0; i < count; i++) {
        EQ(list->elems[i].err, RD_KAFKA_RESP_ERR_NO_ERROR);
        test_expect(list->elems[i].offset == want, __FILE__, __LINE__,
                    "%s, time %lld: got %lld, want %lld", list->elems[i].topic, (long long)time_ms,
                    (long long)list->elems[i].offset, (long long)want);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static void ask_all(const struct process *broker, unsigned random)
{
    rd_kafka_t *client = kafka_open(RD_KAFKA_CONSUMER, kafka_settings(broker));
    for (int32_t i = 0; i < QUESTIONS; i++)
        ask(client, question(i, &random));
    rd_kafka_destroy(client);
}

TEST(times, find_their_offsets)
{
    struct process broker;
    if (TRUE_(process_init(&broker)) && TRUE_(process_start(&broker))) {
        for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++)
            send_all(&broker, codecs[i]);
        ask_all(&broker, 1);
        process_stop(&broker, SIGKILL);
        if (TRUE_(process_start(&broker)))
            ask_all(&broker, 2);
        EQ(process_stop(&broker, SIGTERM), 0);
        if (TRUE_(process_start(&broker))) {
            ask_all(&broker, 3);
            EQ(process_stop(&broker, SIGTERM), 0);
        }
    }
    process_done(&broker);
}
