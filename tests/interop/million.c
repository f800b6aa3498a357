/* A million records through librdkafka with each codec: eight partitions, keys, headers, nulls,
 * timestamps. The digest of each partition, in order, is the same going in and coming out; offsets
 * have no gaps; and on the wire the codec was the one that was asked for. $BOLE_RECORDS sets how
 * many (1,000,000). */
#include "interop/kafka.h"
#include "interop/stream.h"
#include "interop/wire.h"
#include "support/test.h"
#include <stdio.h>
#include <stdlib.h>

enum { PARTITIONS = 8, RECORDS = 1000000, MESSAGES_AT_ONCE = 1000 };

struct run {
    struct wire *wire;
    const char *codec; /* also the topic */
    struct stream stream;
    struct digest sent[PARTITIONS], received[PARTITIONS];
    int64_t received_count[PARTITIONS]; /* which is the next offset, too */
    int64_t refused;
};

static uint32_t records_wanted(void)
{
    const char *text = getenv("BOLE_RECORDS");
    long count = text ? strtol(text, NULL, 10) : RECORDS;
    return count >= PARTITIONS ? (uint32_t)count : RECORDS;
}

/* -- in -----------------------------------------------------------------------------------------
 */

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    struct run *run = opaque;
    if (message->err && run->refused++ == 0)
        printf("million: %s: %s\n", run->codec, rd_kafka_err2str(message->err));
}

static rd_kafka_t *open_producer(struct run *run)
{
    rd_kafka_conf_t *settings = kafka_settings(&run->wire->broker);
    kafka_set(settings, "acks", "all");
    kafka_set(settings, "compression.codec", run->codec);
    kafka_set(settings, "linger.ms", "20");
    kafka_set(settings, "message.send.max.retries", "0"); /* a retry would change the order */
    kafka_set(settings, "delivery.report.only.error", "true");
    rd_kafka_conf_set_dr_msg_cb(settings, on_delivery);
    rd_kafka_conf_set_opaque(settings, run);
    return kafka_open(RD_KAFKA_PRODUCER, settings);
}

static rd_kafka_headers_t *headers_of(const struct stream_record *record)
{
    if (record->headers_count == 0)
        return NULL;
    rd_kafka_headers_t *headers = rd_kafka_headers_new((size_t)record->headers_count);
    for (int i = 0; i < record->headers_count; i++) {
        struct bytes key = record->headers[i].key, value = record->headers[i].value;
        rd_kafka_header_add(headers, (const char *)key.data, key.size, value.data,
                            value.size < 0 ? 0 : value.size);
    }
    return headers;
}

/* One record; the client's queue being full is waited for. */
static bool send_record(rd_kafka_t *producer, rd_kafka_topic_t *topic, int32_t partition,
                        const struct stream_record *record)
{
    rd_kafka_headers_t *headers = headers_of(record);
    rd_kafka_vu_t fields[7] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = record->timestamp},
        {.vtype = RD_KAFKA_VTYPE_KEY,
         .u.mem = {(void *)(uintptr_t)record->key.data, (size_t)max_i64(record->key.size, 0)}},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {(void *)(uintptr_t)record->value.data, (size_t)max_i64(record->value.size, 0)}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    int64_t deadline_ms = process_now_ms() + KAFKA_LIMIT_MS;
    for (;;) {
        rd_kafka_error_t *error = rd_kafka_produceva(producer, fields, headers ? 7 : 6);
        if (!error)
            return true;
        bool is_full = rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL;
        bool may_wait = is_full && process_now_ms() < deadline_ms;
        test_expect(may_wait, __FILE__, __LINE__, "%s", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        if (!may_wait) {
            if (headers)
                rd_kafka_headers_destroy(headers);
            return false;
        }
        rd_kafka_poll(producer, 10);
    }
}

static void send_all(struct run *run, uint32_t count)
{
    rd_kafka_t *producer = open_producer(run);
    bool fine = producer && kafka_create_topic(producer, run->codec, PARTITIONS, NULL, NULL);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, run->codec, NULL);
    for (uint32_t number = 0; number < count && fine; number++) {
        struct stream_record record;
        stream_make(&run->stream, number, &record);
        int32_t partition = (int32_t)(number * 2654435761u >> 29);
        digest_add(&run->sent[partition], &record);
        fine = send_record(producer, topic, partition, &record);
    }
    EQ(rd_kafka_flush(producer, KAFKA_LIMIT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    EQ(run->refused, 0);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(producer);
}

/* -- out ----------------------------------------------------------------------------------------
 */

/* Null and empty are told apart by the pointer. */
static struct bytes bytes_of(const void *data, size_t size)
{
    return data ? (struct bytes){data, (int32_t)size} : BYTES_NULL;
}

static void take_headers(const rd_kafka_message_t *message, struct stream_record *record)
{
    rd_kafka_headers_t *headers;
    record->headers_count = 0;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    record->headers_count = (int)rd_kafka_header_cnt(headers);
    for (int i = 0; i < record->headers_count && i < STREAM_HEADERS_MAX; i++) {
        const char *name = "";
        const void *value = NULL;
        size_t size = 0;
        rd_kafka_header_get_all(headers, (size_t)i, &name, &value, &size);
        record->headers[i].key = bytes_of(name, strlen(name));
        record->headers[i].value = bytes_of(value, size);
    }
}

static bool take_message(struct run *run, const rd_kafka_message_t *message)
{
    struct stream_record record;
    rd_kafka_timestamp_type_t type;
    if (!test_expect(!message->err, __FILE__, __LINE__, "%s", rd_kafka_message_errstr(message)))
        return false;
    int64_t *next = &run->received_count[message->partition];
    if (!test_expect(message->offset == *next, __FILE__, __LINE__,
                     "partition %d: offset %lld, want %lld", message->partition,
                     (long long)message->offset, (long long)*next))
        return false;
    ++*next;
    record.timestamp = rd_kafka_message_timestamp(message, &type);
    record.key = bytes_of(message->key, message->key_len);
    record.value = bytes_of(message->payload, message->len);
    take_headers(message, &record);
    digest_add(&run->received[message->partition], &record);
    return TRUE_(type == RD_KAFKA_TIMESTAMP_CREATE_TIME);
}

static void receive_all(struct run *run, uint32_t count)
{
    static rd_kafka_message_t *messages[MESSAGES_AT_ONCE];
    rd_kafka_conf_t *settings = kafka_settings(&run->wire->broker);
    kafka_set(settings, "check.crcs", "true");
    kafka_set(settings, "queued.min.messages", "10000000"); /* else it pauses for a second */
    kafka_set(settings, "fetch.wait.max.ms", "10");         /* kafka_end waits behind a fetch */
    rd_kafka_t *consumer = kafka_open(RD_KAFKA_CONSUMER, settings);
    if (!consumer)
        return;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(consumer, run->codec, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer);
    for (int32_t i = 0; i < PARTITIONS; i++)
        rd_kafka_consume_start_queue(topic, i, RD_KAFKA_OFFSET_BEGINNING, queue);
    bool fine = true;
    uint32_t received = 0;
    int64_t deadline_ms = process_now_ms() + KAFKA_LIMIT_MS;
    while (received < count && fine && process_now_ms() < deadline_ms) {
        ssize_t got = rd_kafka_consume_batch_queue(queue, 100, messages, MESSAGES_AT_ONCE);
        for (ssize_t i = 0; i < got; i++) {
            fine = fine && take_message(run, messages[i]);
            rd_kafka_message_destroy(messages[i]);
            received++;
        }
    }
    EQ(received, count);
    for (int32_t i = 0; i < PARTITIONS; i++) {
        EQ(kafka_end(consumer, run->codec, i), run->received_count[i]); /* and nothing more */
        rd_kafka_consume_stop(topic, i);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(consumer);
}

/* -- between ------------------------------------------------------------------------------------
 */

/* The codec of the first batch of a partition, -1 if there is none. */
static int codec_on_the_wire(struct run *run, int32_t partition)
{
    struct wire *wire = run->wire;
    arena_reset(&wire->arena, WIRE_ARENA_BYTES);
    struct fetch_request *request = TAKE(wire, fetch_request);
    request->max_bytes = 1; /* the first batch comes whole */
    request->topics = TAKE(wire, fetch_request_fetch_topic);
    request->topics_count = 1;
    request->topics->topic = string_of(run->codec);
    request->topics->partitions = TAKE(wire, fetch_request_fetch_partition);
    request->topics->partitions_count = 1;
    request->topics->partitions->partition = partition;
    request->topics->partitions->partition_max_bytes = 1;
    const struct fetch_response *response = wire_call(wire, api_find(API_FETCH), 12, request);
    struct batch batch;
    if (!response || response->responses_count != 1)
        return -1;
    struct bytes records = response->responses->partitions->records.whole;
    if (records.size <= 0 || batch_view(records.data, (size_t)records.size, &batch) != ERROR_NONE)
        return -1;
    return batch.attributes & BATCH_CODEC_MASK;
}

static void million(enum codec codec)
{
    static struct run run;
    run = (struct run){.wire = wire_start(NULL), .codec = codec_name(codec)};
    if (!run.wire)
        return;
    uint32_t count = records_wanted();
    stream_init(&run.stream);
    for (int i = 0; i < PARTITIONS; i++) {
        digest_init(&run.sent[i]);
        digest_init(&run.received[i]);
    }
    int64_t began_ms = process_now_ms();
    send_all(&run, count);
    int64_t sent_ms = process_now_ms();
    receive_all(&run, count);
    printf("million: %u records, %s: %lld ms in, %lld ms out\n", count, run.codec,
           (long long)(sent_ms - began_ms), (long long)(process_now_ms() - sent_ms));
    for (int i = 0; i < PARTITIONS; i++) {
        char sent[65], received[65];
        digest_end(&run.sent[i], sent);
        digest_end(&run.received[i], received);
        EQ_TEXT(received, sent);
        EQ(codec_on_the_wire(&run, i), codec);
    }
    wire_end(run.wire);
}

TEST(million, comes_back_as_it_went_uncompressed)
{
    million(CODEC_NONE);
}

TEST(million, comes_back_as_it_went_with_gzip)
{
    million(CODEC_GZIP);
}

TEST(million, comes_back_as_it_went_with_snappy)
{
    million(CODEC_SNAPPY);
}

TEST(million, comes_back_as_it_went_with_lz4)
{
    million(CODEC_LZ4);
}

TEST(million, comes_back_as_it_went_with_zstd)
{
    million(CODEC_ZSTD);
}
