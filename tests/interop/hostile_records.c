/* Record batches that a leader must not take, and answers as clients rely on them. A bad batch is
 * an error of its partition: the connection goes on. */
#include "interop/hostile.h"
#include "protocol/messages.h"

enum { BOMB_BYTES = 100 << 20, BOMB_GROWTH_MOST_BYTES = 80 << 20 };

static uint8_t *bytes_of(struct bytes batch)
{
    return (uint8_t *)(uintptr_t)batch.data;
}

/* The batch is refused with `error`, nothing is kept, and the connection takes a good one. */
static void expect_error(struct bytes (*make)(struct stage *stage), enum error error)
{
    struct stage stage;
    if (stage_open(&stage, NULL)) {
        int client = client_connect(&stage);
        EQ(produce(&stage, client, make(&stage), -1), error);
        EQ(log_end(&stage, client), 0);
        EQ(produce(&stage, client, batch_of(&stage, 2, 10), -1), ERROR_NONE);
        EQ(log_end(&stage, client), 2);
        client_close(client);
    }
    stage_close(&stage);
}

static struct bytes control_batch(struct stage *stage)
{
    struct bytes batch = batch_of(stage, 1, 10);
    bytes_of(batch)[BATCH_ATTRIBUTES_AT + 1] |= BATCH_CONTROL;
    batch_seal(batch);
    return batch;
}

TEST(hostile_records, control_batches_from_clients_are_refused)
{
    expect_error(control_batch, ERROR_INVALID_RECORD);
}

static struct bytes count_too_high(struct stage *stage)
{
    struct bytes batch = batch_of(stage, 3, 10);
    store_be32(bytes_of(batch) + BATCH_COUNT_AT, 4);
    store_be32(bytes_of(batch) + BATCH_LAST_OFFSET_DELTA_AT, 3);
    batch_seal(batch);
    return batch;
}

static struct bytes count_too_low(struct stage *stage)
{
    struct bytes batch = batch_of(stage, 3, 10);
    store_be32(bytes_of(batch) + BATCH_COUNT_AT, 2);
    store_be32(bytes_of(batch) + BATCH_LAST_OFFSET_DELTA_AT, 1);
    batch_seal(batch);
    return batch;
}

static struct bytes count_of_2_to_the_31(struct stage *stage)
{
    struct bytes batch = batch_of(stage, 3, 10);
    store_be32(bytes_of(batch) + BATCH_COUNT_AT, INT32_MAX);
    store_be32(bytes_of(batch) + BATCH_LAST_OFFSET_DELTA_AT, INT32_MAX - 1);
    batch_seal(batch);
    return batch;
}

TEST(hostile_records, counts_that_do_not_match_are_refused)
{
    expect_error(count_too_high, ERROR_INVALID_RECORD);
    expect_error(count_too_low, ERROR_INVALID_RECORD);
    expect_error(count_of_2_to_the_31, ERROR_INVALID_RECORD);
}

static struct bytes wrong_crc(struct stage *stage)
{
    struct bytes batch = batch_of(stage, 1, 10);
    bytes_of(batch)[batch.size - 2] ^= 1;
    return batch;
}

TEST(hostile_records, a_wrong_crc_is_refused)
{
    expect_error(wrong_crc, ERROR_CORRUPT_MESSAGE);
}

static struct bytes two_batches(struct stage *stage)
{
    struct bytes one = batch_of(stage, 1, 10);
    uint8_t *two = arena_take(&stage->arena, 2 * (size_t)one.size);
    memcpy(two, one.data, (size_t)one.size);
    memcpy(two + one.size, one.data, (size_t)one.size);
    return (struct bytes){two, 2 * one.size};
}

static struct bytes bytes_behind(struct stage *stage)
{
    struct bytes one = batch_of(stage, 1, 10);
    uint8_t *more = arena_take(&stage->arena, (size_t)one.size + 3);
    memcpy(more, one.data, (size_t)one.size);
    return (struct bytes){more, one.size + 3};
}

TEST(hostile_records, what_follows_the_batch_is_refused)
{
    expect_error(two_batches, ERROR_INVALID_RECORD);
    expect_error(bytes_behind, ERROR_INVALID_RECORD);
}

static struct bytes too_large(struct stage *stage)
{
    return batch_of(stage, 3, 400 << 10);
}

TEST(hostile_records, a_batch_above_message_max_bytes_is_refused)
{
    expect_error(too_large, ERROR_MESSAGE_TOO_LARGE);
}

static struct bytes from_the_future(struct stage *stage)
{
    struct bytes batch = batch_of(stage, 1, 10);
    store_be64(bytes_of(batch) + BATCH_BASE_TIMESTAMP_AT, UINT64_C(4000000000000));
    store_be64(bytes_of(batch) + BATCH_MAX_TIMESTAMP_AT, UINT64_C(4000000000000));
    batch_seal(batch);
    return batch;
}

TEST(hostile_records, timestamps_too_far_ahead_are_refused)
{
    expect_error(from_the_future, ERROR_INVALID_TIMESTAMP);
}

static struct bytes negative_value_size(struct stage *stage)
{
    struct bytes batch = batch_of(stage, 1, 10);
    bytes_of(batch)[BATCH_RECORDS_AT + 5] = 3; /* the value's size, zigzag: -2 */
    batch_seal(batch);
    return batch;
}

TEST(hostile_records, negative_lengths_in_a_record_are_refused)
{
    expect_error(negative_value_size, ERROR_INVALID_RECORD);
}

/* -- bombs ----------------------------------------------------------------------------------- */

static struct bytes bomb(struct stage *stage, enum codec codec)
{
    uint8_t *zeros = arena_take(&stage->arena, BOMB_BYTES);
    struct codec_output output = {.arena = &stage->arena, .limit_bytes = 2 * BOMB_BYTES};
    struct bytes header = batch_of(stage, 1, 10);
    EQ(codec_compress(codec, codec_usual_level(codec), zeros, BOMB_BYTES, &output), ERROR_NONE);
    size_t size = BATCH_RECORDS_AT + output.size;
    uint8_t *data = arena_take(&stage->arena, size);
    memcpy(data, header.data, BATCH_RECORDS_AT);
    memcpy(data + BATCH_RECORDS_AT, output.data, output.size);
    data[BATCH_ATTRIBUTES_AT + 1] = (uint8_t)codec;
    batch_seal((struct bytes){data, (int32_t)size});
    return (struct bytes){data, (int32_t)size};
}

static void expect_harmless(enum codec codec)
{
    static const char *const settings[] = {"message.max.bytes=16769024", NULL};
    struct stage stage;
    if (stage_open(&stage, settings)) {
        int client = client_connect(&stage);
        struct bytes batch = bomb(&stage, codec);
        for (int i = 0; i < 2; i++) {
            int error = produce(&stage, client, batch, -1);
            TRUE_(error == ERROR_MESSAGE_TOO_LARGE || error == ERROR_INVALID_RECORD);
        }
        int64_t grown = grown_bytes(&stage);
        test_expect(grown < BOMB_GROWTH_MOST_BYTES, __FILE__, __LINE__,
                    "%s: %lld bytes more after a bomb of %d", codec_name(codec), (long long)grown,
                    BOMB_BYTES);
        EQ(log_end(&stage, client), 0);
        client_close(client);
    }
    stage_close(&stage);
}

TEST(hostile_records, a_gzip_bomb_costs_a_bounded_amount)
{
    expect_harmless(CODEC_GZIP);
}

TEST(hostile_records, an_lz4_bomb_costs_a_bounded_amount)
{
    expect_harmless(CODEC_LZ4);
}

TEST(hostile_records, a_zstd_bomb_costs_a_bounded_amount)
{
    expect_harmless(CODEC_ZSTD);
}

TEST(hostile_records, a_snappy_bomb_costs_a_bounded_amount)
{
    expect_harmless(CODEC_SNAPPY);
}

/* -- answers --------------------------------------------------------------------------------- */

TEST(hostile_records, acks_0_gets_no_answer)
{
    struct stage stage;
    if (stage_open(&stage, NULL)) {
        int client = client_connect(&stage);
        EQ(produce(&stage, client, batch_of(&stage, 1, 10), 0), 0);
        EQ(produce(&stage, client, batch_of(&stage, 1, 10), -1), ERROR_NONE);
        EQ(log_end(&stage, client), 2);
        EQ(produce(&stage, client, wrong_crc(&stage), 0), 0);
        TRUE_(client_is_refused(client)); /* as in Kafka: there is no other way to say it */
        client_close(client);
    }
    stage_close(&stage);
}

TEST(hostile_records, answers_leave_in_the_order_of_the_requests)
{
    struct stage stage;
    if (stage_open(&stage, NULL)) {
        int client = client_connect(&stage);
        struct bytes slow = frame_of(&stage, API_FETCH, 13, fetch_of(&stage, 0, 1 << 20, 500), 0);
        int32_t first = stage.correlation_id;
        TRUE_(client_send(client, slow));
        for (int i = 0; i < 10; i++)
            TRUE_(client_send(
                client, frame_of(&stage, API_METADATA, 9, request_of(&stage, API_METADATA), 0)));
        TRUE_(neighbour_is_well(&stage)); /* KAFKA-7639: only this connection waits */
        for (int32_t i = 0; i <= 10; i++) {
            struct bytes answer = client_receive(&stage, client);
            if (!TRUE_(answer.size >= 4))
                break;
            EQ(load_be32(answer.data), (uint32_t)(first + i));
        }
        client_close(client);
    }
    stage_close(&stage);
}

/* Fetches from `offset` with limits of one byte; the first batch as it came. */
static struct bytes fetched(struct stage *stage, int client, int64_t offset)
{
    struct fetch_response *out =
        client_ask(stage, client, API_FETCH, 13, fetch_of(stage, offset, 1, 1000));
    if (!out || out->responses_count != 1 || out->responses[0].partitions_count != 1)
        return BYTES_NULL;
    return out->responses[0].partitions[0].records.whole;
}

TEST(hostile_records, the_first_batch_is_returned_whole_whatever_the_limits)
{
    struct stage stage;
    if (stage_open(&stage, NULL)) {
        int client = client_connect(&stage);
        struct bytes batch = batch_of(&stage, 10, 5000);
        EQ(produce(&stage, client, batch, -1), ERROR_NONE);
        EQ(produce(&stage, client, batch, -1), ERROR_NONE);
        EQ(fetched(&stage, client, 0).size, batch.size);
        struct bytes inside = fetched(&stage, client, 17);
        EQ(inside.size, batch.size);
        if (inside.size > 0)
            EQ(load_be64(inside.data), 10);
        client_close(client);
    }
    stage_close(&stage);
}

TEST(hostile_records, a_client_that_says_it_is_a_replica_is_refused)
{
    struct stage stage;
    if (stage_open(&stage, NULL)) { /* CVE-2018-1288 */
        int client = client_connect(&stage);
        struct fetch_request *in = fetch_of(&stage, 0, 1 << 20, 0);
        EQ(produce(&stage, client, batch_of(&stage, 1, 10), -1), ERROR_NONE);
        in->replica_id = 2;
        struct fetch_response *out = client_ask(&stage, client, API_FETCH, 13, in);
        if (TRUE_(out && out->responses_count == 1)) {
            struct fetch_response_partition_data *partition = out->responses[0].partitions;
            EQ(partition->error_code, ERROR_CLUSTER_AUTHORIZATION_FAILED);
            TRUE_(partition->records.whole.size <= 0);
        }
        client_close(client);
    }
    stage_close(&stage);
}
