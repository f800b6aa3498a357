#include "producer.h"
#include "support/test.h"
#include "unit/client/fake_broker.h"

/* What the fake does with each Produce, in turn; the last word holds from there on. */
enum verdict { ACCEPT, CUT, REFUSE_FOR_NOW, REFUSE };

struct log {
    enum verdict verdicts[4];
    int verdict_count, produce_count, metadata_count;
    int32_t records[4]; /* accepted, by partition */
    int64_t accepted_bytes;
};

static enum verdict next_verdict(struct log *log)
{
    int at = log->produce_count++;
    return log->verdicts[at < log->verdict_count ? at : log->verdict_count - 1];
}

static const void *answer(struct fake_broker *broker, const struct api *api, const void *message,
                          struct arena *arena)
{
    struct log *log = broker->context;
    if (api->key == API_METADATA) {
        log->metadata_count++;
        return fake_metadata(broker, arena, "t", 4);
    }
    enum verdict verdict = next_verdict(log);
    if (verdict == CUT)
        return NULL;
    const struct produce_request *request = message;
    const struct produce_request_topic_produce_data *data = request->topic_data;
    struct produce_response *response = arena_take(arena, sizeof *response);
    message_set_defaults(&produce_response_message, response);
    response->responses_count = 1;
    response->responses = arena_take(arena, sizeof *response->responses);
    message_set_defaults(&produce_response_topic_produce_response_message, response->responses);
    response->responses->topic_id = data->topic_id;
    size_t size = (size_t)data->partition_data_count;
    struct produce_response_partition_produce_response *partitions =
        arena_take(arena, size * sizeof *partitions);
    response->responses->partition_responses = partitions;
    response->responses->partition_responses_count = data->partition_data_count;
    for (int32_t i = 0; i < data->partition_data_count; i++) {
        message_set_defaults(&produce_response_partition_produce_response_message, &partitions[i]);
        partitions[i].index = data->partition_data[i].index;
        partitions[i].error_code = verdict == REFUSE_FOR_NOW ? ERROR_NOT_LEADER_OR_FOLLOWER
                                   : verdict == REFUSE       ? ERROR_MESSAGE_TOO_LARGE
                                                             : ERROR_NONE;
        struct bytes bytes = data->partition_data[i].records.whole;
        struct batch batch;
        bool is_good = !batch_view(bytes.data, (size_t)bytes.size, &batch) &&
                       !batch_check_crc(&batch) && batch.whole.size == bytes.size;
        if (verdict == ACCEPT && is_good)
            log->records[partitions[i].index] += batch.count;
    }
    return response;
}

/* Sends `count` records with keys 0, 1, ... and returns what flushing gave. */
static enum error produce(struct log *log, int count, int32_t batch_bytes, char *reason)
{
    struct fake_broker broker = {.answer = answer, .context = log};
    fake_broker_start(&broker);
    struct client client;
    struct client_settings settings = CLIENT_SETTINGS_DEFAULT;
    settings.bootstrap = broker.address;
    settings.retry_ms = 1;
    enum error error = client_open(&client, settings);
    struct producer producer = {0};
    struct producer_settings how = PRODUCER_SETTINGS_DEFAULT;
    how.batch_bytes = batch_bytes;
    how.retries = 3;
    if (!error)
        error = producer_open(&producer, &client, "t", how);
    for (int i = 0; i < count && !error; i++) {
        uint8_t key[4];
        store_be32(key, (uint32_t)i);
        struct record record = {
            .timestamp = 1, .key = {key, 4}, .value = {(const uint8_t *)"value", 5}};
        error = producer_add(&producer, &record, -1);
    }
    if (!error)
        error = producer_flush(&producer);
    memcpy(reason, client.reason, CLIENT_REASON_BYTES);
    if (!error)
        EQ(producer.records_acknowledged, count);
    producer_close(&producer);
    client_close(&client);
    fake_broker_stop(&broker);
    return error;
}

static int32_t sum(const struct log *log)
{
    return log->records[0] + log->records[1] + log->records[2] + log->records[3];
}

TEST(producer, sends_each_key_to_its_partition)
{
    struct log log = {.verdicts = {ACCEPT}, .verdict_count = 1};
    char reason[CLIENT_REASON_BYTES];
    EQ(produce(&log, 1000, 1 << 20, reason), ERROR_NONE);
    int32_t want[4] = {0};
    for (uint32_t i = 0; i < 1000; i++) {
        uint8_t key[4];
        store_be32(key, i);
        want[partition_of_key((struct bytes){key, 4}, 4)]++;
    }
    for (int i = 0; i < 4; i++)
        EQ(log.records[i], want[i]);
    EQ(log.produce_count, 1);
}

TEST(producer, full_batches_go_out_on_the_way)
{
    struct log log = {.verdicts = {ACCEPT}, .verdict_count = 1};
    char reason[CLIENT_REASON_BYTES];
    EQ(produce(&log, 1000, 500, reason), ERROR_NONE);
    EQ(sum(&log), 1000);
    TRUE_(log.produce_count > 10);
}

TEST(producer, tries_again_when_the_leader_has_moved)
{
    struct log log = {.verdicts = {REFUSE_FOR_NOW, REFUSE_FOR_NOW, ACCEPT}, .verdict_count = 3};
    char reason[CLIENT_REASON_BYTES];
    EQ(produce(&log, 100, 1 << 20, reason), ERROR_NONE);
    EQ(sum(&log), 100);
    EQ(log.produce_count, 3);
    EQ(log.metadata_count, 3);
}

TEST(producer, tries_again_over_a_new_connection)
{
    struct log log = {.verdicts = {CUT, ACCEPT}, .verdict_count = 2};
    char reason[CLIENT_REASON_BYTES];
    EQ(produce(&log, 100, 1 << 20, reason), ERROR_NONE);
    EQ(sum(&log), 100);
    EQ(log.produce_count, 2);
}

TEST(producer, gives_up_after_its_retries_and_says_why)
{
    struct log log = {.verdicts = {REFUSE_FOR_NOW}, .verdict_count = 1};
    char reason[CLIENT_REASON_BYTES];
    EQ(produce(&log, 1, 1 << 20, reason), ERROR_TIMED_OUT);
    EQ(log.produce_count, 4);
    TRUE_(strstr(reason, "refused the records: NOT_LEADER_OR_FOLLOWER") != NULL);
}

TEST(producer, does_not_repeat_what_will_never_be_taken)
{
    struct log log = {.verdicts = {REFUSE}, .verdict_count = 1};
    char reason[CLIENT_REASON_BYTES];
    EQ(produce(&log, 1, 1 << 20, reason), ERROR_MESSAGE_TOO_LARGE);
    EQ(log.produce_count, 1);
    TRUE_(strstr(reason, "refused the records: MESSAGE_TOO_LARGE") != NULL);
}
