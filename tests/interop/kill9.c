/* kill -9 under a producer: librdkafka (acks=all, one request in flight) writes to several
 * partitions, the broker is killed again and again with requests in flight and started on the same
 * folder and port; at the end everything is read back, without groups. Of every partition
 *  1. each acknowledged record is there, at the offset of its acknowledgement, as it was sent;
 *  2. first occurrences are in the order of sending; a retry may repeat records, never reorder
 * them;
 *  3. nothing is there that was not sent, and offsets have no gaps.
 * The same again with an idempotent producer, several requests in flight; in every other round the
 * broker is not killed but stopped for longer than the client waits, so that connections are cut
 * with answers still to come, and the broker meets the same batches twice. There
 *  4. every record lies exactly once, in the order of sending.
 * And a third time over a wire (proxy.h) that holds back the answers of requests and is then cut,
 * so that the broker has what the client must send again: the same holds. $BOLE_KILLS sets how
 * often (10). kill -9 keeps the page cache: a missing flush shows in the crash tests, not here. */
#include "interop/kafka.h"
#include "interop/proxy.h"
#include "support/test.h"
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

enum {
    PARTITIONS = 4,
    ACKNOWLEDGED_A_ROUND = 2000, /* before the kill */
    OUTSTANDING_MOST = 1000,
    OUTSTANDING_AT_KILL = 500,
    LIMIT_MS = 60000, /* of every wait */
    FILLER_MOST = 300,
    SOCKET_TIMEOUT_MS = 1000, /* of the idempotent producer */
    STOPPED_MS = 1400,
    CUTS_A_KILL = 2, /* a cut costs less than a kill */
    HELD_MS = 60,
};

enum fault { FAULT_KILL, FAULT_STOP, FAULT_CUT };
static const char topic_name[] = "kill9";

/* What is sent: the record's place in its partition's order, and bytes that follow from it. */
struct payload {
    uint32_t partition, id;
    uint8_t filler[FILLER_MOST];
};

struct partition {
    uint32_t sent;            /* ids 0 .. sent - 1 */
    int64_t *acknowledged_at; /* by id: offset + 1; 0: not acknowledged */
};

struct run {
    struct process broker;
    rd_kafka_t *producer;
    rd_kafka_topic_t *topic;
    struct partition partitions[PARTITIONS];
    uint32_t capacity; /* ids of each partition */
    int64_t sent, acknowledged, refused;
    bool idempotent;
    struct proxy *proxy; /* null: the clients connect to the broker itself */
    int64_t lost_bytes;  /* of answers, at cuts */
};

static size_t fill(struct payload *payload, uint32_t partition, uint32_t id)
{
    size_t filler_size = (id * 37 + partition) % FILLER_MOST;
    *payload = (struct payload){.partition = partition, .id = id};
    for (size_t i = 0; i < filler_size; i++)
        payload->filler[i] = (uint8_t)(id + i * 7);
    return offsetof(struct payload, filler) + filler_size;
}

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    struct run *run = opaque;
    uint32_t id = (uint32_t)(uintptr_t)message->_private;
    if (message->err) {
        run->refused++;
        printf("record %u of partition %d: %s\n", id, message->partition,
               rd_kafka_err2str(message->err));
        return;
    }
    run->partitions[message->partition].acknowledged_at[id] = message->offset + 1;
    run->acknowledged++;
}

static rd_kafka_t *client(struct run *run, rd_kafka_type_t type)
{
    rd_kafka_conf_t *settings = kafka_settings(&run->broker);
    if (run->proxy)
        kafka_set(settings, "bootstrap.servers", proxy_address(run->proxy));
    if (type == RD_KAFKA_PRODUCER) {
        kafka_set(settings, "acks", "all");
        kafka_set(settings, "enable.idempotence", run->idempotent ? "true" : "false");
        kafka_set(settings, "max.in.flight", run->idempotent ? "5" : "1");
        if (run->idempotent) {
            char timeout_ms[16];
            snprintf(timeout_ms, sizeof timeout_ms, "%d", SOCKET_TIMEOUT_MS);
            kafka_set(settings, "socket.timeout.ms", timeout_ms);
            kafka_set(settings, "request.timeout.ms", timeout_ms);
        }
        kafka_set(settings, "message.send.max.retries", "1000000");
        kafka_set(settings, "retry.backoff.ms", "10");
        kafka_set(settings, "message.timeout.ms", "120000");
        kafka_set(settings, "linger.ms", "1");
        kafka_set(settings, "batch.num.messages", "100");
        rd_kafka_conf_set_dr_msg_cb(settings, on_delivery);
        rd_kafka_conf_set_opaque(settings, run);
    } else {
        kafka_set(settings, "enable.partition.eof", "true");
        kafka_set(settings, "check.crcs", "true");
    }
    return kafka_open(type, settings);
}

/* Sends the next record of the partition whose turn it is; false when the client's queue is full.
 */
static bool send_one(struct run *run)
{
    uint32_t number = (uint32_t)(run->sent % PARTITIONS);
    struct partition *partition = &run->partitions[number];
    struct payload payload;
    size_t size = fill(&payload, number, partition->sent);
    if (partition->sent == run->capacity ||
        rd_kafka_produce(run->topic, (int32_t)number, RD_KAFKA_MSG_F_COPY, &payload, size, NULL, 0,
                         (void *)(uintptr_t)partition->sent) != 0)
        return false;
    partition->sent++;
    run->sent++;
    return true;
}

static int64_t outstanding(const struct run *run)
{
    return run->sent - run->acknowledged - run->refused;
}

/* Lets no answer come until the client has given up its connection, then all of them at once. */
static bool stop_for_a_while(struct run *run)
{
    int64_t until_ms = process_now_ms() + STOPPED_MS;
    bool stopped = TRUE_(kill(run->broker.id, SIGSTOP) == 0);
    while (process_now_ms() < until_ms)
        rd_kafka_poll(run->producer, 10);
    return stopped && TRUE_(kill(run->broker.id, SIGCONT) == 0);
}

/* Takes the answers away from requests that the broker has done. */
static bool cut_connections(struct run *run)
{
    int64_t until_ms = process_now_ms() + HELD_MS;
    proxy_hold_answers(run->proxy);
    while (process_now_ms() < until_ms) {
        send_one(run);
        rd_kafka_poll(run->producer, 1);
    }
    run->lost_bytes += proxy_cut(run->proxy);
    return true;
}

/* Sends until a round's worth is acknowledged, then stops the broker, or kills it and starts it
 * again, with requests in flight. */
static bool round_and_fault(struct run *run, enum fault fault)
{
    int64_t until = run->acknowledged + ACKNOWLEDGED_A_ROUND;
    int64_t deadline_ms = process_now_ms() + LIMIT_MS;
    while (run->acknowledged < until) {
        if (process_now_ms() > deadline_ms)
            return TRUE_(!"a round's records were acknowledged in time");
        while (outstanding(run) < OUTSTANDING_MOST && send_one(run))
            ;
        rd_kafka_poll(run->producer, 10);
    }
    while (outstanding(run) < OUTSTANDING_AT_KILL && send_one(run))
        ;
    TRUE_(outstanding(run) >= OUTSTANDING_AT_KILL);
    if (fault == FAULT_CUT)
        return cut_connections(run);
    if (fault == FAULT_STOP)
        return stop_for_a_while(run);
    int status = process_stop(&run->broker, SIGKILL);
    return TRUE_(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) &&
           TRUE_(process_start(&run->broker));
}

/* One record read back. `next` is the partition's first id not seen yet. Returns the record's id,
 * -1 if it is wrong. */
static int64_t check_record(const struct run *run, const rd_kafka_message_t *message,
                            uint32_t *next)
{
    struct payload sent, got = {0};
    bool fine =
        TRUE_(message->len >= offsetof(struct payload, filler) && message->len <= sizeof got);
    if (!fine)
        return -1;
    memcpy(&got, message->payload, message->len);
    if (!TRUE_(got.id < run->partitions[message->partition].sent))
        return -1;
    size_t size = fill(&sent, (uint32_t)message->partition, got.id);
    if (!TRUE_(size == message->len && memcmp(&sent, &got, size) == 0))
        return -1;
    if (!test_expect(got.id <= *next, __FILE__, __LINE__, "partition %d: %u follows %u",
                     message->partition, got.id, *next))
        return -1;
    if (run->idempotent)
        test_expect(got.id == *next, __FILE__, __LINE__, "partition %d: %u is there twice",
                    message->partition, got.id);
    *next += got.id == *next;
    return got.id;
}

/* Reads a partition from its beginning to its end. Marks (sets to 0) what is found where it was
 * acknowledged; returns how many records there are. */
static int64_t read_partition(struct run *run, rd_kafka_topic_t *topic, int32_t number)
{
    struct partition *partition = &run->partitions[number];
    int64_t offset = 0, deadline_ms = process_now_ms() + LIMIT_MS;
    uint32_t next = 0;
    bool at_end = false, fine = true;
    rd_kafka_consume_start(topic, number, RD_KAFKA_OFFSET_BEGINNING);
    while (!at_end && fine && process_now_ms() < deadline_ms) {
        rd_kafka_message_t *message = rd_kafka_consume(topic, number, 1000);
        if (!message)
            continue;
        at_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (!message->err) {
            int64_t id = check_record(run, message, &next);
            fine = TRUE_(message->offset == offset) && id >= 0;
            if (fine && partition->acknowledged_at[id] == message->offset + 1)
                partition->acknowledged_at[id] = 0;
            offset++;
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consume_stop(topic, number);
    TRUE_(at_end);
    return offset;
}

static void read_all_back(struct run *run)
{
    rd_kafka_t *consumer = client(run, RD_KAFKA_CONSUMER);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(consumer, topic_name, NULL);
    int64_t found = 0;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        found += read_partition(run, topic, i);
        int64_t lost = 0;
        for (uint32_t id = 0; id < run->partitions[i].sent; id++)
            lost += run->partitions[i].acknowledged_at[id] != 0;
        test_expect(lost == 0, __FILE__, __LINE__,
                    "partition %d: %lld acknowledged records are not where they were put", i,
                    (long long)lost);
    }
    printf("kill9%s: %lld sent, %lld acknowledged, %lld read\n",
           run->proxy        ? ", cut"
           : run->idempotent ? ", idempotent"
                             : "",
           (long long)run->sent, (long long)run->acknowledged, (long long)found);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(consumer);
}

static int kills_wanted(void)
{
    const char *text = getenv("BOLE_KILLS");
    long kills = text ? strtol(text, NULL, 10) : 10;
    return kills > 0 ? (int)kills : 10;
}

static void produce_and_kill(struct run *run, int kills)
{
    run->producer = client(run, RD_KAFKA_PRODUCER);
    bool fine = kafka_create_topic(run->producer, topic_name, PARTITIONS, NULL, NULL);
    run->topic = rd_kafka_topic_new(run->producer, topic_name, NULL);
    for (int i = 0; fine && i < kills; i++)
        fine = round_and_fault(run, run->proxy                      ? FAULT_CUT
                                    : run->idempotent && i % 2 != 0 ? FAULT_STOP
                                                                    : FAULT_KILL);
    if (fine) {
        EQ(rd_kafka_flush(run->producer, LIMIT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
        EQ(run->refused, 0);
        EQ(run->acknowledged, run->sent);
    } else {
        rd_kafka_purge(run->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    }
    rd_kafka_topic_destroy(run->topic);
    rd_kafka_destroy(run->producer);
}

/* With a proxy the broker is not killed, but the wire cut. */
static void run_test(bool idempotent, bool cuts, int kills)
{
    struct run run = {.idempotent = idempotent};
    char advertised[64];
    run.capacity = (uint32_t)(kills + 1) * (ACKNOWLEDGED_A_ROUND + OUTSTANDING_MOST);
    for (int i = 0; i < PARTITIONS; i++)
        run.partitions[i].acknowledged_at = calloc(run.capacity, sizeof(int64_t));
    bool fine = TRUE_(process_init(&run.broker));
    if (fine && cuts) {
        run.proxy = proxy_start(&run.broker);
        fine = TRUE_(run.proxy != NULL);
    }
    if (fine && cuts) {
        snprintf(advertised, sizeof advertised, "advertised.listeners=PLAINTEXT://%s",
                 proxy_address(run.proxy));
        run.broker.settings[0] = advertised;
    }
    if (fine && TRUE_(process_start(&run.broker))) {
        produce_and_kill(&run, kills);
        if (run.broker.id) {
            read_all_back(&run);
            EQ(process_stop(&run.broker, SIGTERM), 0);
        }
    }
    if (cuts)
        TRUE_(run.lost_bytes > 0); /* else nothing was sent twice */
    proxy_end(run.proxy);
    process_done(&run.broker);
    for (int i = 0; i < PARTITIONS; i++)
        free(run.partitions[i].acknowledged_at);
}

TEST(kill9, keeps_every_acknowledged_record_in_order)
{
    run_test(false, false, kills_wanted());
}

TEST(kill9, an_idempotent_producer_writes_every_record_once)
{
    int kills = kills_wanted() / 2;
    run_test(true, false, kills > 4 ? kills : 4);
}

TEST(kill9, an_idempotent_producer_whose_wire_is_cut_writes_every_record_once)
{
    run_test(true, true, CUTS_A_KILL * kills_wanted());
}
