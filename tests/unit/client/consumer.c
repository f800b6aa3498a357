#include "consumer.h"
#include "base/memory.h"
#include "support/test.h"
#include "unit/client/fake_broker.h"
#include <stdio.h>

enum { BATCHES = 5, RECORDS = 10, LOG_BYTES = 4096 };

/* One partition, records 0 to 49 in batches of ten. A fetch gets the batches from the one that
 * holds its offset on, the last of them cut. */
struct log {
    uint8_t bytes[LOG_BYTES];
    size_t begins[BATCHES + 1];
    int fetch_count, cut_first; /* connections cut at so many first fetches */
};

static void build(struct log *log)
{
    size_t at = 0;
    for (int b = 0; b < BATCHES; b++) {
        struct batch_builder builder;
        batch_builder_init(&builder, log->bytes + at, LOG_BYTES - at);
        for (int i = 0; i < RECORDS; i++) {
            uint8_t value[4];
            store_be32(value, (uint32_t)(b * RECORDS + i));
            struct record record = {.timestamp = 1000 + b, .key = BYTES_NULL, .value = {value, 4}};
            EQ(batch_builder_add(&builder, &record), ERROR_NONE);
        }
        batch_builder_end(&builder, &BATCH_FIELDS_PLAIN);
        batch_assign(log->bytes + at, b * RECORDS, 3);
        log->begins[b] = at;
        at += builder.size_bytes;
    }
    log->begins[BATCHES] = at;
}

static const void *fetch(struct log *log, const struct fetch_request *request, struct arena *arena)
{
    if (log->fetch_count++ < log->cut_first)
        return NULL;
    struct fetch_response *response = arena_take(arena, sizeof *response);
    message_set_defaults(&fetch_response_message, response);
    struct fetch_response_fetchable_topic_response *topic = arena_take(arena, sizeof *topic);
    message_set_defaults(&fetch_response_fetchable_topic_response_message, topic);
    struct fetch_response_partition_data *data = arena_take(arena, sizeof *data);
    message_set_defaults(&fetch_response_partition_data_message, data);
    response->responses = topic;
    topic->topic_id = request->topics[0].topic_id;
    topic->partitions = data;
    response->responses_count = topic->partitions_count = 1;
    int64_t offset = request->topics[0].partitions[0].fetch_offset, end = BATCHES * RECORDS;
    data->high_watermark = end;
    data->log_start_offset = 0;
    data->records.whole = (struct bytes){log->bytes, 0};
    if (offset < 0 || offset > end)
        data->error_code = ERROR_OFFSET_OUT_OF_RANGE;
    else if (offset < end) {
        int64_t first = offset / RECORDS, last = first + 2 < BATCHES ? first + 2 : BATCHES;
        size_t size = log->begins[last] - log->begins[first];
        size -= last < BATCHES || first + 2 == BATCHES ? 7 : 0; /* cut within the last */
        if (last == first + 1)
            size = log->begins[last] - log->begins[first];
        data->records.whole = (struct bytes){log->bytes + log->begins[first], (int32_t)size};
    }
    return response;
}

static const void *answer(struct fake_broker *broker, const struct api *api, const void *message,
                          struct arena *arena)
{
    if (api->key == API_METADATA)
        return fake_metadata(broker, arena, "t", 1);
    if (api->key == API_FETCH)
        return fetch(broker->context, message, arena);
    const struct list_offsets_request *request = message;
    struct list_offsets_response *response = arena_take(arena, sizeof *response);
    struct list_offsets_response_list_offsets_topic_response *topic =
        arena_take(arena, sizeof *topic);
    struct list_offsets_response_list_offsets_partition_response *found =
        arena_take(arena, sizeof *found);
    message_set_defaults(&list_offsets_response_message, response);
    message_set_defaults(&list_offsets_response_list_offsets_topic_response_message, topic);
    message_set_defaults(&list_offsets_response_list_offsets_partition_response_message, found);
    int64_t timestamp = request->topics[0].partitions[0].timestamp;
    if (timestamp == -1)
        found->offset = BATCHES * RECORDS;
    else if (timestamp == -2)
        found->offset = 0;
    else
        found->offset = timestamp <= 1004 ? 10 * (timestamp - 1000) : -1;
    topic->name = STRING("t");
    topic->partitions = found;
    response->topics = topic;
    response->topics_count = topic->partitions_count = 1;
    return response;
}

/* Reads from `start` to the end; writes "first..last" or what went wrong. Every record must follow
 * the one before it. */
static void consume(struct log *log, struct consumer_start start, char *to, size_t capacity)
{
    struct fake_broker broker = {.answer = answer, .context = log};
    fake_broker_start(&broker);
    struct client client;
    struct client_settings settings = CLIENT_SETTINGS_DEFAULT;
    settings.bootstrap = broker.address;
    settings.retry_ms = 1;
    EQ(client_open(&client, settings), ERROR_NONE);
    struct consumer consumer;
    EQ(consumer_open(&consumer, &client, "t", -1, CONSUMER_SETTINGS_DEFAULT), ERROR_NONE);
    EQ(consumer_start(&consumer, start), ERROR_NONE);
    struct record record;
    int32_t partition;
    int64_t first = -1, next = -1;
    enum consumer_event event;
    while ((event = consumer_next(&consumer, &record, &partition)) == CONSUMER_RECORD) {
        TRUE_(next < 0 || record.offset == next);
        EQ(load_be32(record.value.data), record.offset);
        first = first < 0 ? record.offset : first;
        next = record.offset + 1;
    }
    if (event == CONSUMER_FAILED)
        snprintf(to, capacity, "%s", client.reason);
    else if (first < 0)
        snprintf(to, capacity, "nothing");
    else
        snprintf(to, capacity, "%lld..%lld", (long long)first, (long long)next - 1);
    EQ(consumer_is_at_end(&consumer), event == CONSUMER_IDLE);
    consumer_close(&consumer);
    client_close(&client);
    fake_broker_stop(&broker);
}

TEST(consumer, begins_where_it_is_told_and_reads_to_the_end)
{
    static const struct {
        struct consumer_start start;
        const char *want;
    } cases[] = {
        {{CONSUMER_BEGINNING, 0}, "0..49"},
        {{CONSUMER_END, 0}, "nothing"},
        {{CONSUMER_OFFSET, 0}, "0..49"},
        {{CONSUMER_OFFSET, 17}, "17..49"},
        {{CONSUMER_OFFSET, 49}, "49..49"},
        {{CONSUMER_OFFSET, 50}, "nothing"},
        {{CONSUMER_BACK, 3}, "47..49"},
        {{CONSUMER_BACK, 1000}, "0..49"},
        {{CONSUMER_TIME, 1002}, "20..49"},
        {{CONSUMER_TIME, 5000}, "nothing"},
        {{CONSUMER_OFFSET, 51}, "t-0 has no offset 51; it begins at 0 and ends before 50"},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        struct log *log = memory_zeroed(sizeof *log);
        build(log);
        char got[CLIENT_REASON_BYTES];
        consume(log, cases[i].start, got, sizeof got);
        EQ_TEXT(got, cases[i].want);
        memory_free(log);
    }
}

TEST(consumer, goes_on_after_the_connection_was_cut)
{
    struct log *log = memory_zeroed(sizeof *log);
    build(log);
    log->cut_first = 2;
    char got[CLIENT_REASON_BYTES];
    consume(log, (struct consumer_start){CONSUMER_OFFSET, 5}, got, sizeof got);
    EQ_TEXT(got, "5..49");
    memory_free(log);
}

TEST(consumer, gives_up_when_every_round_fails)
{
    struct log *log = memory_zeroed(sizeof *log);
    build(log);
    log->cut_first = INT32_MAX;
    char got[CLIENT_REASON_BYTES];
    consume(log, (struct consumer_start){CONSUMER_OFFSET, 5}, got, sizeof got);
    TRUE_(strstr(got, "the broker closed the connection") != NULL);
    EQ(log->fetch_count, CONSUMER_SETTINGS_DEFAULT.retries + 1);
    memory_free(log);
}

TEST(consumer, a_flipped_bit_is_an_error_not_a_record)
{
    struct log *log = memory_zeroed(sizeof *log);
    build(log);
    log->bytes[log->begins[2] + BATCH_RECORDS_AT + 8] ^= 1;
    char got[CLIENT_REASON_BYTES];
    consume(log, (struct consumer_start){CONSUMER_BEGINNING, 0}, got, sizeof got);
    EQ_TEXT(got, "t-0: the batch at offset 20 is bad: CORRUPT_MESSAGE");
    memory_free(log);
}

TEST(consumer, brings_nothing_of_a_partition_that_is_stopped)
{
    struct log *log = memory_zeroed(sizeof *log);
    build(log);
    struct fake_broker broker = {.answer = answer, .context = log};
    fake_broker_start(&broker);
    struct client client;
    struct client_settings settings = CLIENT_SETTINGS_DEFAULT;
    settings.bootstrap = broker.address;
    EQ(client_open(&client, settings), ERROR_NONE);
    struct consumer consumer;
    EQ(consumer_open(&consumer, &client, "t", -1, CONSUMER_SETTINGS_DEFAULT), ERROR_NONE);
    EQ(consumer_start(&consumer, (struct consumer_start){.from = CONSUMER_BEGINNING}), ERROR_NONE);
    struct record record;
    int32_t partition;
    EQ(consumer_next(&consumer, &record, &partition), CONSUMER_RECORD);
    TRUE_(!consumer_is_stopped(&consumer) && !consumer_is_at_end(&consumer));
    consumer_stop(&consumer, partition);
    TRUE_(consumer_is_stopped(&consumer) && consumer_is_at_end(&consumer));
    consumer_close(&consumer);
    client_close(&client);
    fake_broker_stop(&broker);
    memory_free(log);
}
