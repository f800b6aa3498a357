/* Producers with ids: InitProducerId, Produce, DescribeProducers, and readers of committed data. */
#include "api/bench.h"
#include "base/check.h"
#include "codec/crc32c.h"
#include "logic/producer_ids.h"

struct stamp {
    uint16_t attributes;
    int64_t id;
    int16_t epoch;
    int32_t sequence;
};

/* A copy of the batch, of that producer. */
static struct bytes stamped(struct bench *bench, struct bytes batch, struct stamp stamp)
{
    uint8_t *copy = arena_copy(&bench->arena, batch.data, (size_t)batch.size);
    store_be16(copy + BATCH_ATTRIBUTES_AT, stamp.attributes);
    store_be64(copy + BATCH_PRODUCER_ID_AT, (uint64_t)stamp.id);
    store_be16(copy + BATCH_PRODUCER_EPOCH_AT, (uint16_t)stamp.epoch);
    store_be32(copy + BATCH_BASE_SEQUENCE_AT, (uint32_t)stamp.sequence);
    store_be32(copy + BATCH_CRC_AT,
               crc32c(0, copy + BATCH_ATTRIBUTES_AT, (size_t)batch.size - BATCH_ATTRIBUTES_AT));
    return (struct bytes){copy, batch.size};
}

static struct produce_request *produce_of(struct bench *bench, struct uuid topic,
                                          struct bytes batch)
{
    struct produce_request *in = bench_request(bench, API_PRODUCE);
    in->acks = -1;
    in->timeout_ms = 1000;
    in->topic_data = arena_take(&bench->arena, sizeof *in->topic_data);
    in->topic_data_count = 1;
    in->topic_data->topic_id = topic;
    in->topic_data->partition_data =
        arena_take(&bench->arena, sizeof *in->topic_data->partition_data);
    in->topic_data->partition_data_count = 1;
    in->topic_data->partition_data->records.whole = batch;
    return in;
}

static const struct produce_response_partition_produce_response *answer_of(struct bench *bench,
                                                                           int32_t handle)
{
    struct produce_response *out = bench_answer(bench, handle, API_PRODUCE, 13);
    return out ? out->responses[0].partition_responses : NULL;
}

static int16_t produce_error(struct bench *bench, int32_t handle, struct uuid topic,
                             struct bytes batch)
{
    bench_send(bench, handle, API_PRODUCE, 13, produce_of(bench, topic, batch));
    const struct produce_response_partition_produce_response *out = answer_of(bench, handle);
    return out ? out->error_code : -2;
}

static struct init_producer_id_response *init(struct bench *bench, int32_t handle, int16_t version,
                                              struct string transactional_id)
{
    struct init_producer_id_request *in = bench_request(bench, API_INIT_PRODUCER_ID);
    in->transactional_id = transactional_id;
    in->transaction_timeout_ms = INT32_MAX;
    return bench_ask(bench, handle, API_INIT_PRODUCER_ID, version, in);
}

TEST(init_producer_id, gives_every_id_once)
{
    struct bench *bench = bench_open();
    uint8_t seen[4 * PRODUCER_IDS_BLOCK] = {0};
    int32_t handles[3];
    for (int i = 0; i < 3; i++)
        handles[i] = bench_connect(bench);
    int64_t twice = 0, records = 0;
    for (int i = 0; i < PRODUCER_IDS_BLOCK + 500; i++) {
        struct init_producer_id_response *out =
            init(bench, handles[i % 3], (int16_t)(i % 6), STRING_NULL);
        if (!TRUE_(out && out->error_code == 0 && out->producer_id >= 0 &&
                   out->producer_id < (int64_t)sizeof seen && out->producer_epoch == 0))
            break;
        twice += seen[out->producer_id]++;
        records = bench->broker.shards[0].image.next_producer_id;
        arena_reset(&bench->arena, 1 << 20);
    }
    EQ(twice, 0);
    EQ(records % PRODUCER_IDS_BLOCK, 0);
    TRUE_(records >= 2 * PRODUCER_IDS_BLOCK && records <= 3 * PRODUCER_IDS_BLOCK);
    bench_close(bench);
}

TEST(init_producer_id, refuses_what_it_is_not_for)
{
    struct bench *bench = bench_open();
    int32_t handle = bench_connect(bench);
    struct init_producer_id_response *out = init(bench, handle, 5, STRING("transfers"));
    EQ(out->error_code, ERROR_NOT_COORDINATOR);
    EQ(out->producer_id, -1);
    EQ(out->producer_epoch, -1);
    EQ(init(bench, handle, 5, STRING(""))->error_code, ERROR_INVALID_REQUEST);
    struct init_producer_id_request *in = bench_request(bench, API_INIT_PRODUCER_ID);
    in->transactional_id = STRING_NULL;
    in->producer_id = 5;
    out = bench_ask(bench, handle, API_INIT_PRODUCER_ID, 4, in);
    EQ(out->error_code, ERROR_INVALID_REQUEST);
    in->producer_epoch = 3; /* a client whose epoch ran out: a new id, whatever it had */
    out = bench_ask(bench, handle, API_INIT_PRODUCER_ID, 4, in);
    EQ(out->error_code, 0);
    EQ(out->producer_id, 0);
    EQ(bench->broker.shards[0].image.next_producer_id, PRODUCER_IDS_BLOCK);
    bench_close(bench);
}

TEST(idempotence, a_batch_sent_again_gets_the_first_offset)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 1);
    int32_t handle = bench_connect(bench);
    struct bytes batch = bench_batch(bench, "hello", 3);
    struct partition *partition = bench_partition(bench, topic, 0);
    struct batch view;
    EQ(batch_view(batch.data, (size_t)batch.size, &view), ERROR_NONE);
    EQ(produce_error(bench, handle, topic, batch), 0);
    EQ(produce_error(bench, handle, topic, stamped(bench, batch, (struct stamp){0, 7, 0, 0})), 0);
    EQ(produce_error(bench, handle, topic, stamped(bench, batch, (struct stamp){0, 7, 0, 3})), 0);
    EQ(partition->replica.appended_end, 9);
    bench_send(bench, handle, API_PRODUCE, 13,
               produce_of(bench, topic, stamped(bench, batch, (struct stamp){0, 7, 0, 0})));
    const struct produce_response_partition_produce_response *out = answer_of(bench, handle);
    TRUE_(out != NULL);
    EQ(out->error_code, 0);
    EQ(out->base_offset, 3);
    EQ(out->log_append_time_ms, view.max_timestamp);
    EQ(partition->replica.appended_end, 9);
    EQ(partition->shard->metrics.produce_batches, 3);
    EQ(partition->shard->metrics.produce_duplicates, 1);
    bench_close(bench);
}

TEST(idempotence, a_duplicate_waits_until_its_original_is_committed)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 1);
    int32_t handle = bench_connect(bench), again = bench_connect(bench);
    struct bytes batch = stamped(bench, bench_batch(bench, "hello", 2), (struct stamp){0, 7, 0, 0});
    bench->holds_commits = true;
    bench_send(bench, handle, API_PRODUCE, 13, produce_of(bench, topic, batch));
    bench_send(bench, again, API_PRODUCE, 13, produce_of(bench, topic, batch));
    TRUE_(answer_of(bench, handle) == NULL);
    TRUE_(answer_of(bench, again) == NULL);
    bench_commit(bench, topic, 0);
    for (int i = 0; i < 2; i++) {
        const struct produce_response_partition_produce_response *out =
            answer_of(bench, i ? again : handle);
        TRUE_(out && out->error_code == 0 && out->base_offset == 0);
    }
    EQ(bench_partition(bench, topic, 0)->replica.appended_end, 2);
    bench_close(bench);
}

TEST(idempotence, gaps_and_old_epochs_are_refused)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 1);
    int32_t handle = bench_connect(bench);
    struct bytes batch = bench_batch(bench, "hello", 2);
    static const struct {
        struct stamp stamp;
        int16_t error;
    } rows[] = {
        {{0, 7, 1, 40}, 0}, /* not known: any sequence (KIP-360) */
        {{0, 7, 1, 44}, ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER},
        {{0, 7, 0, 42}, ERROR_INVALID_PRODUCER_EPOCH},
        {{0, 7, 2, 42}, ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER},
        {{0, 7, 2, 0}, 0},
        {{0, 8, 0, -1}, ERROR_INVALID_RECORD},
        {{BATCH_TRANSACTIONAL, 9, 0, 0}, ERROR_INVALID_TXN_STATE},
        {{BATCH_CONTROL, 9, 0, 0}, ERROR_INVALID_RECORD},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        EQ(produce_error(bench, handle, topic, stamped(bench, batch, rows[i].stamp)),
           rows[i].error);
    EQ(bench_partition(bench, topic, 0)->replica.appended_end, 4);
    bench_close(bench);
}

/* The marker that ends a transaction, as a coordinator will write it. */
static struct bytes marker(struct bench *bench, int64_t id, bool commits)
{
    uint8_t *bytes = arena_take(&bench->arena, 256), key[4] = {0, 0, 0, commits}, value[6] = {0};
    struct batch_builder builder;
    batch_builder_init(&builder, bytes, 256);
    struct record record = {.key = {key, sizeof key}, .value = {value, sizeof value}};
    EQ(batch_builder_add(&builder, &record), ERROR_NONE);
    batch_builder_end(&builder, &BATCH_FIELDS_PLAIN);
    return stamped(bench, (struct bytes){bytes, (int32_t)builder.size_bytes},
                   (struct stamp){BATCH_TRANSACTIONAL | BATCH_CONTROL, id, 0, -1});
}

static void append(struct bench *bench, struct partition *partition, struct bytes batch)
{
    struct log_append_result result;
    EQ(partition_append(partition, batch, &result, NULL, NULL), ERROR_NONE);
}

static const struct fetch_response_partition_data *fetch(struct bench *bench, int32_t handle,
                                                         struct uuid topic, int8_t isolation_level)
{
    struct fetch_request *in = bench_request(bench, API_FETCH);
    in->isolation_level = isolation_level;
    in->topics = arena_take(&bench->arena, sizeof *in->topics);
    in->topics_count = 1;
    in->topics->topic_id = topic;
    in->topics->partitions_count = 1;
    in->topics->partitions = arena_take(&bench->arena, sizeof *in->topics->partitions);
    message_set_defaults(&fetch_request_fetch_partition_message, in->topics->partitions);
    in->topics->partitions->partition_max_bytes = 1 << 20;
    struct fetch_response *out = bench_ask(bench, handle, API_FETCH, 13, in);
    return out ? &out->responses[0].partitions[0] : NULL;
}

static int64_t latest(struct bench *bench, int32_t handle, int8_t isolation_level)
{
    struct list_offsets_request *in = bench_request(bench, API_LIST_OFFSETS);
    in->isolation_level = isolation_level;
    in->topics = arena_take(&bench->arena, sizeof *in->topics);
    in->topics_count = 1;
    in->topics->name = STRING("t");
    in->topics->partitions_count = 1;
    in->topics->partitions = arena_take(&bench->arena, sizeof *in->topics->partitions);
    message_set_defaults(&list_offsets_request_list_offsets_partition_message,
                         in->topics->partitions);
    in->topics->partitions->timestamp = -1;
    struct list_offsets_response *out = bench_ask(bench, handle, API_LIST_OFFSETS, 8, in);
    return out ? out->topics[0].partitions[0].offset : -2;
}

TEST(read_committed, stops_at_what_is_undecided_and_names_what_was_aborted)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 1);
    int32_t handle = bench_connect(bench);
    struct partition *partition = bench_partition(bench, topic, 0);
    struct bytes batch = bench_batch(bench, "hello", 2);
    append(bench, partition, batch);
    append(bench, partition, stamped(bench, batch, (struct stamp){BATCH_TRANSACTIONAL, 7, 0, 0}));
    append(bench, partition, batch);
    const struct fetch_response_partition_data *data = fetch(bench, handle, topic, 1);
    EQ(data->high_watermark, 6);
    EQ(data->last_stable_offset, 2);
    EQ(data->records.whole.size, batch.size);
    EQ(data->aborted_transactions_count, 0);
    data = fetch(bench, handle, topic, 0);
    EQ(data->records.whole.size, 3 * batch.size);
    EQ(data->aborted_transactions_count, -1);
    EQ(latest(bench, handle, 0), 6);
    EQ(latest(bench, handle, 1), 2);
    struct bytes abort = marker(bench, 7, false);
    append(bench, partition, abort);
    data = fetch(bench, handle, topic, 1);
    EQ(data->last_stable_offset, 7);
    EQ(data->records.whole.size, 3 * batch.size + abort.size);
    EQ(data->aborted_transactions_count, 1);
    EQ(data->aborted_transactions[0].producer_id, 7);
    EQ(data->aborted_transactions[0].first_offset, 2);
    EQ(latest(bench, handle, 1), 7);
    bench_close(bench);
}

TEST(describe_producers, tells_what_the_partition_knows)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 2);
    int32_t handle = bench_connect(bench), indexes[] = {0, 1, 2};
    struct bytes batch = bench_batch(bench, "hello", 2);
    struct partition *partition = bench_partition(bench, topic, 1);
    append(bench, partition, stamped(bench, batch, (struct stamp){0, 8, 3, 10}));
    append(bench, partition, stamped(bench, batch, (struct stamp){BATCH_TRANSACTIONAL, 7, 0, 0}));
    struct describe_producers_request *in = bench_request(bench, API_DESCRIBE_PRODUCERS);
    struct describe_producers_request_topic_request topics[] = {
        {.name = STRING("t"), .partition_indexes = indexes, .partition_indexes_count = 3},
        {.name = STRING("u"), .partition_indexes = indexes, .partition_indexes_count = 1}};
    in->topics = topics;
    in->topics_count = 2;
    struct describe_producers_response *out =
        bench_ask(bench, handle, API_DESCRIBE_PRODUCERS, 0, in);
    TRUE_(out && out->topics_count == 2 && out->topics[0].partitions_count == 3);
    EQ(out->topics[1].partitions[0].error_code, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    const struct describe_producers_response_partition_response *parts = out->topics[0].partitions;
    EQ(parts[2].error_code, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    EQ(parts[0].error_code, 0);
    EQ(parts[0].active_producers_count, 0);
    EQ(parts[1].active_producers_count, 2);
    const struct describe_producers_response_producer_state *states = parts[1].active_producers;
    EQ(states[0].producer_id, 8);
    EQ(states[0].producer_epoch, 3);
    EQ(states[0].last_sequence, 11);
    EQ(states[0].coordinator_epoch, -1);
    EQ(states[0].current_txn_start_offset, -1);
    EQ(states[1].producer_id, 7);
    EQ(states[1].current_txn_start_offset, 2);
    bench_close(bench);
}
