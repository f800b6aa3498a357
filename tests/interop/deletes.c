/* DeleteRecords by librdkafka: the log start moves to where it is told, the earliest offset
 * follows, a consumer whose place is gone goes on from there, and a kill -9 takes nothing of it
 * back. Several segments; places inside of batches, as Kafka has it. */
#include "interop/kafka.h"
#include "support/test.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { RECORDS = 20000, VALUE_BYTES = 300, MORE = 500 };
static const char topic_name[] = "deletes";

static void send_some(const struct process *broker, int32_t first, int32_t count)
{
    rd_kafka_conf_t *settings = kafka_settings(broker);
    kafka_set(settings, "linger.ms", "5");
    kafka_set(settings, "batch.num.messages", "100");
    rd_kafka_t *producer = kafka_open(RD_KAFKA_PRODUCER, settings);
    if (first == 0)
        kafka_create_topic(producer, topic_name, 1, "segment.bytes", "1048576");
    for (int32_t i = first; i < first + count; i++) {
        char value[VALUE_BYTES] = "";
        rd_kafka_resp_err_t error;
        snprintf(value, sizeof value, "%d", i);
        do {
            error = rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic_name),
                                      RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_VALUE(value, VALUE_BYTES),
                                      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
            rd_kafka_poll(producer, error ? 10 : 0);
        } while (error == RD_KAFKA_RESP_ERR__QUEUE_FULL);
        EQ(error, RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    EQ(rd_kafka_flush(producer, KAFKA_LIMIT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    EQ(kafka_end(producer, topic_name, 0), first + count);
    rd_kafka_destroy(producer);
}

/* Asks for it; *ret_start is the log start that came back. The partition's error. */
static rd_kafka_resp_err_t delete_below(const struct process *broker, int64_t offset,
                                        int64_t *ret_start)
{
    rd_kafka_t *client = kafka_open(RD_KAFKA_PRODUCER, kafka_settings(broker));
    rd_kafka_topic_partition_list_t *below = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(below, topic_name, 0)->offset = offset;
    rd_kafka_DeleteRecords_t *wanted = rd_kafka_DeleteRecords_new(below);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_DeleteRecords(client, &wanted, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, KAFKA_LIMIT_MS);
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;
    *ret_start = -1;
    if (event)
        error = rd_kafka_event_error(event);
    if (event && !error) {
        const rd_kafka_topic_partition_list_t *results =
            rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
        EQ(results->cnt, 1);
        error = results->elems[0].err;
        *ret_start = results->elems[0].offset;
    }
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_DeleteRecords_destroy(wanted);
    rd_kafka_topic_partition_list_destroy(below);
    rd_kafka_destroy(client);
    return error;
}

/* Consumes from `from` on, with auto.offset.reset=earliest: what comes begins at `start`, is as it
 * was sent, and has no gap up to `end`. */
static void read_on(const struct process *broker, int64_t from, int64_t start, int64_t end)
{
    rd_kafka_conf_t *settings = kafka_settings(broker);
    kafka_set(settings, "auto.offset.reset", "earliest");
    kafka_set(settings, "enable.partition.eof", "true");
    kafka_set(settings, "group.id", "none");
    kafka_set(settings, "enable.auto.commit", "false");
    kafka_set(settings, "fetch.error.backoff.ms", "10");
    kafka_set(settings, "retry.backoff.ms", "10");
    rd_kafka_t *consumer = kafka_open(RD_KAFKA_CONSUMER, settings);
    rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_partition_list_t *place = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(place, topic_name, 0)->offset = from;
    EQ(rd_kafka_assign(consumer, place), RD_KAFKA_RESP_ERR_NO_ERROR);
    int64_t next = start, deadline_ms = process_now_ms() + KAFKA_LIMIT_MS;
    bool ended = false, fine = true;
    while (!ended && fine && process_now_ms() < deadline_ms) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 1000);
        if (!message)
            continue;
        ended = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (!message->err) {
            char wanted[VALUE_BYTES] = "";
            snprintf(wanted, sizeof wanted, "%lld", (long long)next);
            fine = TRUE_(message->offset == next) && TRUE_(message->len == VALUE_BYTES) &&
                   TRUE_(memcmp(message->payload, wanted, VALUE_BYTES) == 0);
            next++;
        }
        rd_kafka_message_destroy(message);
    }
    EQ(next, end);
    rd_kafka_topic_partition_list_destroy(place);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

static void expect_start(const struct process *broker, int64_t start, int64_t end)
{
    int64_t low = -1, high = -1;
    rd_kafka_t *client = kafka_open(RD_KAFKA_PRODUCER, kafka_settings(broker));
    EQ(rd_kafka_query_watermark_offsets(client, topic_name, 0, &low, &high, KAFKA_LIMIT_MS), 0);
    EQ(low, start);
    EQ(high, end);
    rd_kafka_destroy(client);
}

static void delete_and_read(struct process *broker)
{
    static const int64_t places[] = {1, 777, 5000, 12345, RECORDS - 1};
    int64_t start;
    send_some(broker, 0, RECORDS);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        EQ(delete_below(broker, places[i], &start), RD_KAFKA_RESP_ERR_NO_ERROR);
        EQ(start, places[i]);
        expect_start(broker, places[i], RECORDS);
        read_on(broker, 0, places[i], RECORDS);
        if (i % 2 == 0)
            continue;
        process_stop(broker, SIGKILL);
        if (!TRUE_(process_start(broker)))
            return;
        expect_start(broker, places[i], RECORDS);
        read_on(broker, 0, places[i], RECORDS);
    }
    /* Back is nowhere, beyond the end is refused, and -1 is the end. */
    EQ(delete_below(broker, 100, &start), RD_KAFKA_RESP_ERR_NO_ERROR);
    EQ(start, RECORDS - 1);
    EQ(delete_below(broker, RECORDS + 1, &start), RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE);
    EQ(delete_below(broker, RD_KAFKA_OFFSET_END, &start), RD_KAFKA_RESP_ERR_NO_ERROR);
    EQ(start, RECORDS);
    expect_start(broker, RECORDS, RECORDS);
    send_some(broker, RECORDS, MORE);
    read_on(broker, 0, RECORDS, RECORDS + MORE);
    EQ(process_stop(broker, SIGTERM), 0);
    if (!TRUE_(process_start(broker)))
        return;
    expect_start(broker, RECORDS, RECORDS + MORE);
    read_on(broker, 3, RECORDS, RECORDS + MORE);
    EQ(process_stop(broker, SIGTERM), 0);
}

TEST(deletes, move_the_log_start_and_stay)
{
    struct process broker;
    if (TRUE_(process_init(&broker)) && TRUE_(process_start(&broker)))
        delete_and_read(&broker);
    process_done(&broker);
}
