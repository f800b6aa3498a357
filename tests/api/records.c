/* Produce, Fetch and ListOffsets, over partitions on two cores. */
#include "api/bench.h"
#include "base/check.h"

static struct produce_request *produce_of(struct bench *bench, struct uuid topic, int partitions,
                                          struct bytes batch)
{
    struct produce_request *in = bench_request(bench, API_PRODUCE);
    in->acks = -1;
    in->timeout_ms = 1000;
    in->topic_data = arena_take(&bench->arena, sizeof *in->topic_data);
    in->topic_data_count = 1;
    in->topic_data->topic_id = topic;
    in->topic_data->partition_data =
        arena_take(&bench->arena, (size_t)partitions * sizeof *in->topic_data->partition_data);
    in->topic_data->partition_data_count = partitions;
    for (int i = 0; i < partitions; i++) {
        in->topic_data->partition_data[i].index = i;
        in->topic_data->partition_data[i].records.whole = batch;
    }
    return in;
}

static const struct produce_response_partition_produce_response *
produce(struct bench *bench, int32_t handle, const struct produce_request *in)
{
    struct produce_response *out = bench_ask(bench, handle, API_PRODUCE, 13, in);
    TRUE_(out && out->responses_count == 1);
    return out ? out->responses[0].partition_responses : NULL;
}

static struct fetch_request *fetch_of(struct bench *bench, struct uuid topic, int partitions)
{
    struct fetch_request *in = bench_request(bench, API_FETCH);
    in->max_wait_ms = 500;
    in->min_bytes = 1;
    in->topics = arena_take(&bench->arena, sizeof *in->topics);
    in->topics_count = 1;
    in->topics->topic_id = topic;
    in->topics->partitions_count = partitions;
    in->topics->partitions =
        arena_take(&bench->arena, (size_t)partitions * sizeof *in->topics->partitions);
    for (int i = 0; i < partitions; i++) {
        message_set_defaults(&fetch_request_fetch_partition_message, &in->topics->partitions[i]);
        in->topics->partitions[i].partition = i;
        in->topics->partitions[i].partition_max_bytes = 1 << 20;
    }
    return in;
}

TEST(produce, goes_to_every_core_and_comes_back)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 4);
    int32_t handle = bench_connect(bench);
    struct bytes batch = bench_batch(bench, "hello", 3);
    const struct produce_response_partition_produce_response *out;
    for (int round = 0; round < 2; round++) {
        out = produce(bench, handle, produce_of(bench, topic, 4, batch));
        for (int i = 0; i < 4; i++) {
            EQ(out[i].error_code, 0);
            EQ(out[i].index, i);
            EQ(out[i].base_offset, 3 * round);
            EQ(out[i].log_start_offset, 0);
        }
    }
    struct fetch_response *fetched =
        bench_ask(bench, handle, API_FETCH, 18, fetch_of(bench, topic, 4));
    TRUE_(fetched != NULL);
    EQ(fetched->session_id, 0);
    for (int i = 0; i < 4; i++) {
        const struct fetch_response_partition_data *data = &fetched->responses[0].partitions[i];
        EQ(data->high_watermark, 6);
        EQ(data->records.whole.size, 2 * batch.size);
        /* as sent, but for offset and epoch */
        EQ_BYTES(data->records.whole.data + batch.size + 17, batch.data + 17, batch.size - 17);
        EQ(load_be64(data->records.whole.data + batch.size), 3);
    }
    EQ(bench->broker.shards[0].metrics.produce_batches, 4);
    EQ(bench->broker.shards[1].metrics.produce_batches, 4);
    bench_close(bench);
}

TEST(produce, errors_are_of_partitions)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 1);
    int32_t handle = bench_connect(bench);
    struct bytes batch = bench_batch(bench, "hello", 3);
    struct produce_request *in = produce_of(bench, topic, 2, batch);
    EQ(produce(bench, handle, in)[0].error_code, 0);
    EQ(produce(bench, handle, in)[1].error_code, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    in = produce_of(bench, (struct uuid){{1}}, 1, batch);
    EQ(produce(bench, handle, in)[0].error_code, ERROR_UNKNOWN_TOPIC_ID);
    in = produce_of(bench, topic, 1, batch);
    in->acks = 2;
    EQ(produce(bench, handle, in)[0].error_code, ERROR_INVALID_REQUIRED_ACKS);
    in = produce_of(bench, topic, 1, bench_batch(bench, "hello, all of you", 400));
    EQ(produce(bench, handle, in)[0].error_code, ERROR_MESSAGE_TOO_LARGE);
    uint8_t *bad = arena_copy(&bench->arena, batch.data, (size_t)batch.size);
    bad[batch.size - 1] ^= 1;
    in = produce_of(bench, topic, 1, (struct bytes){bad, batch.size});
    EQ(produce(bench, handle, in)[0].error_code, ERROR_CORRUPT_MESSAGE);
    in = produce_of(bench, topic, 1, (struct bytes){bad, batch.size - 1});
    EQ(produce(bench, handle, in)[0].error_code, ERROR_INVALID_RECORD);
    in = produce_of(bench, topic, 1, BYTES_NULL);
    EQ(produce(bench, handle, in)[0].error_code, ERROR_INVALID_RECORD);
    EQ(bench_partition(bench, topic, 0)->replica.appended_end, 6);
    TRUE_(bench_is_open(bench, handle));
    bench_close(bench);
}

TEST(produce, a_later_request_does_not_overtake_one_that_waits_for_room)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 2);
    int32_t handle = bench_connect(bench);
    struct bytes large = bench_batch(bench, "hello", 3), small = bench_batch(bench, "a", 1);
    bench->room_bytes = small.size;
    for (int i = 0; i < 2; i++)
        bench_send(bench, handle, API_PRODUCE, 13,
                   produce_of(bench, topic, 2, i == 0 ? large : small));
    bench_settle(bench);
    TRUE_(bench_answer(bench, handle, API_PRODUCE, 13) == NULL);
    for (int i = 0; i < 2; i++)
        EQ(bench_partition(bench, topic, i)->replica.appended_end, 0);
    bench_make_room(bench);
    for (int round = 0; round < 2; round++) {
        struct produce_response *out = bench_answer(bench, handle, API_PRODUCE, 13);
        TRUE_(out != NULL);
        for (int i = 0; out && i < 2; i++)
            EQ(out->responses[0].partition_responses[i].base_offset, round == 0 ? 0 : 3);
    }
    bench_close(bench);
}

TEST(produce, waits_for_the_high_watermark)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 2);
    int32_t handle = bench_connect(bench);
    bench->holds_commits = true;
    struct produce_request *in = produce_of(bench, topic, 2, bench_batch(bench, "x", 1));
    TRUE_(bench_ask(bench, handle, API_PRODUCE, 13, in) == NULL);
    /* the frame went back once its batches were copied */
    EQ(bench->ports[0].pool_used_count + bench->ports[1].pool_used_count, 0);
    bench_commit(bench, topic, 1);
    TRUE_(bench_answer(bench, handle, API_PRODUCE, 13) == NULL);
    bench_commit(bench, topic, 0);
    TRUE_(bench_answer(bench, handle, API_PRODUCE, 13) != NULL);
    bench_close(bench);
}

TEST(produce, times_out)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 2);
    int32_t handle = bench_connect(bench);
    bench->holds_commits = true;
    bench_send(bench, handle, API_PRODUCE, 13,
               produce_of(bench, topic, 2, bench_batch(bench, "x", 1)));
    bench_commit(bench, topic, 1);
    bench_pass_ms(bench, 999);
    TRUE_(bench_answer(bench, handle, API_PRODUCE, 13) == NULL);
    bench_pass_ms(bench, 2);
    struct produce_response *out = bench_answer(bench, handle, API_PRODUCE, 13);
    TRUE_(out != NULL);
    EQ(out->responses[0].partition_responses[0].error_code, ERROR_REQUEST_TIMED_OUT);
    EQ(out->responses[0].partition_responses[1].error_code, 0);
    bench_close(bench);
}

TEST(produce, without_acks_has_no_answer)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 1);
    int32_t handle = bench_connect(bench);
    struct produce_request *in = produce_of(bench, topic, 1, bench_batch(bench, "x", 1));
    in->acks = 0;
    bench_send(bench, handle, API_PRODUCE, 13, in);
    EQ(bench->ports[0].sockets[handle].out_size, 0);
    EQ(bench_partition(bench, topic, 0)->replica.appended_end, 1);
    in->acks = -1; /* the next answer is the next request's */
    EQ(produce(bench, handle, in)[0].base_offset, 1);
    in->acks = 0;
    in->topic_data->partition_data->index = 9;
    bench_send(bench, handle, API_PRODUCE, 13, in);
    TRUE_(!bench_is_open(bench, handle));
    bench_close(bench);
}

TEST(fetch, waits_until_something_is_committed)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 4);
    int32_t consumer = bench_connect(bench), producer = bench_connect(bench);
    struct fetch_request *in = fetch_of(bench, topic, 4);
    TRUE_(bench_ask(bench, consumer, API_FETCH, 16, in) == NULL);
    struct bytes batch = bench_batch(bench, "x", 1);
    produce(bench, producer, produce_of(bench, topic, 1, batch));
    struct fetch_response *out = bench_answer(bench, consumer, API_FETCH, 16);
    TRUE_(out != NULL);
    EQ(out->responses[0].partitions[0].records.whole.size, batch.size);
    EQ(out->responses[0].partitions[1].records.whole.size, 0);
    bench_close(bench);
}

TEST(fetch, answers_empty_at_its_deadline)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 2);
    int32_t handle = bench_connect(bench);
    bench_send(bench, handle, API_FETCH, 16, fetch_of(bench, topic, 2));
    bench_pass_ms(bench, 499);
    TRUE_(bench_answer(bench, handle, API_FETCH, 16) == NULL);
    bench_pass_ms(bench, 2);
    struct fetch_response *out = bench_answer(bench, handle, API_FETCH, 16);
    TRUE_(out && out->responses[0].partitions[1].error_code == 0);
    bench_close(bench);
}

TEST(fetch, gathers_min_bytes)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 2);
    int32_t consumer = bench_connect(bench), producer = bench_connect(bench);
    struct bytes batch = bench_batch(bench, "x", 1);
    struct fetch_request *in = fetch_of(bench, topic, 2);
    in->min_bytes = 3 * batch.size;
    TRUE_(bench_ask(bench, consumer, API_FETCH, 16, in) == NULL);
    produce(bench, producer, produce_of(bench, topic, 2, batch));
    TRUE_(bench_answer(bench, consumer, API_FETCH, 16) == NULL);
    produce(bench, producer, produce_of(bench, topic, 1, batch));
    struct fetch_response *out = bench_answer(bench, consumer, API_FETCH, 16);
    TRUE_(out != NULL);
    EQ(out->responses[0].partitions[0].records.whole.size, 2 * batch.size);
    bench_close(bench);
}

/* What is left of a file may be less than a client asks for at least: with more in the next file
 * there is nothing to wait for. */
TEST(fetch, does_not_wait_at_the_end_of_a_file)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 1);
    int32_t handle = bench_connect(bench);
    struct bytes batch = bench_batch(bench, "x", 2);
    for (int i = 0; i < 3; i++)
        produce(bench, handle, produce_of(bench, topic, 1, batch));
    bench_partition(bench, topic, 0)->log->file_ends_after = 2;
    struct fetch_request *in = fetch_of(bench, topic, 1);
    in->min_bytes = 3 * batch.size;
    struct fetch_response *out = bench_ask(bench, handle, API_FETCH, 16, in);
    if (TRUE_(out != NULL))
        EQ(out->responses[0].partitions[0].records.whole.size, 2 * batch.size);
    in->topics->partitions->fetch_offset = 4; /* here it does: this is all there is */
    TRUE_(bench_ask(bench, handle, API_FETCH, 16, in) == NULL);
    bench_close(bench);
}

TEST(fetch, gives_the_first_batch_whatever_the_limit)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 1);
    int32_t handle = bench_connect(bench);
    struct bytes batch = bench_batch(bench, "hello", 3);
    for (int i = 0; i < 3; i++)
        produce(bench, handle, produce_of(bench, topic, 1, batch));
    struct fetch_request *in = fetch_of(bench, topic, 1);
    in->max_bytes = 1;
    struct fetch_response *out = bench_ask(bench, handle, API_FETCH, 16, in);
    EQ(out->responses[0].partitions[0].records.whole.size, batch.size);
    in->max_bytes = 1 << 20;
    in->topics->partitions->partition_max_bytes = 2 * batch.size;
    in->topics->partitions->fetch_offset = 1; /* inside of the first batch */
    out = bench_ask(bench, handle, API_FETCH, 16, in);
    EQ(out->responses[0].partitions[0].records.whole.size, 2 * batch.size);
    EQ(load_be64(out->responses[0].partitions[0].records.whole.data), 0);
    bench_close(bench);
}

static int fetch_error(struct bench *bench, int32_t handle, const struct fetch_request *in)
{
    struct fetch_response *out = bench_ask(bench, handle, API_FETCH, 14, in);
    TRUE_(out != NULL);
    return out ? out->responses[0].partitions[0].error_code : -99;
}

TEST(fetch, errors_end_the_wait)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 1);
    int32_t handle = bench_connect(bench);
    struct fetch_request *in = fetch_of(bench, topic, 1);
    in->topics->partitions->fetch_offset = 1;
    EQ(fetch_error(bench, handle, in), ERROR_OFFSET_OUT_OF_RANGE);
    in->topics->partitions->fetch_offset = 0;
    in->topics->partitions->current_leader_epoch = 5;
    EQ(fetch_error(bench, handle, in), ERROR_UNKNOWN_LEADER_EPOCH);
    bench_partition(bench, topic, 0)->leader_epoch = 6;
    EQ(fetch_error(bench, handle, in), ERROR_FENCED_LEADER_EPOCH);
    in->topics->partitions->partition = 3;
    EQ(fetch_error(bench, handle, in), ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    in->topics->topic_id = (struct uuid){{9}};
    EQ(fetch_error(bench, handle, in), ERROR_UNKNOWN_TOPIC_ID);
    in->replica_id = 1; /* CVE-2018-1288 */
    EQ(fetch_error(bench, handle, in), ERROR_CLUSTER_AUTHORIZATION_FAILED);
    in->session_id = 5;
    in->session_epoch = 1;
    struct fetch_response *out = bench_ask(bench, handle, API_FETCH, 14, in);
    EQ(out->error_code, ERROR_FETCH_SESSION_ID_NOT_FOUND);
    bench_close(bench);
}

TEST(fetch, a_closed_connection_leaves_nobody_waiting)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 4);
    int32_t handle = bench_connect(bench);
    struct fetch_request *in = fetch_of(bench, topic, 4);
    bench_send(bench, handle, API_FETCH, 16, in);
    bench_send(bench, handle, API_FETCH, 16, in); /* one more, not yet its turn */
    EQ(bench_partition(bench, topic, 0)->references, 1);
    fake_end(&bench->ports[0], handle);
    bench_settle(bench);
    TRUE_(!bench_is_open(bench, handle));
    for (int i = 0; i < 4; i++) {
        EQ(bench_partition(bench, topic, i)->references, 0);
        TRUE_(list_is_empty(&bench_partition(bench, topic, i)->waiters));
    }
    bench_close(bench);
}

TEST(fetch, what_was_read_is_held_until_it_is_sent)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 2);
    int32_t handle = bench_connect(bench), slow = bench_connect(bench);
    produce(bench, handle, produce_of(bench, topic, 2, bench_batch(bench, "hello", 3)));
    bench->ports[0].sockets[slow].send_limit = 0;
    struct fetch_request *in = fetch_of(bench, topic, 2);
    for (int i = 0; i < 3; i++)
        bench_send(bench, slow, API_FETCH, 16, in);
    EQ(bench_partition(bench, topic, 0)->log->reads, 1); /* of one Fetch, not of three */
    EQ(bench_partition(bench, topic, 1)->log->reads, 1);
    bench->ports[0].sockets[slow].send_limit = 7;
    bench_settle(bench);
    EQ(bench_partition(bench, topic, 1)->log->reads, 0);
    for (int i = 0; i < 3; i++)
        TRUE_(bench_answer(bench, slow, API_FETCH, 16) != NULL);
    bench_close(bench);
}

TEST(list_offsets, knows_the_special_timestamps)
{
    static const struct {
        int64_t timestamp;
        int16_t version;
        enum error error;
        int64_t offset;
    } cases[] = {
        {-1, 1, ERROR_NONE, 3},  {-2, 1, ERROR_NONE, 0},   {-3, 6, ERROR_UNSUPPORTED_VERSION, -1},
        {-3, 7, ERROR_NONE, 0},  {-4, 8, ERROR_NONE, 0},   {-5, 8, ERROR_UNSUPPORTED_VERSION, -1},
        {-5, 9, ERROR_NONE, -1}, {-6, 11, ERROR_NONE, -1}, {-7, 11, ERROR_UNSUPPORTED_VERSION, -1},
        {5, 1, ERROR_NONE, 0},
    };
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 2);
    int32_t handle = bench_connect(bench);
    produce(bench, handle, produce_of(bench, topic, 2, bench_batch(bench, "hello", 3)));
    for (int i = 0; i < ARRAY_COUNT(cases); i++) {
        struct list_offsets_request *in = bench_request(bench, API_LIST_OFFSETS);
        struct list_offsets_request_list_offsets_partition partitions[2];
        struct list_offsets_request_list_offsets_topic asked = {
            .name = STRING("t"), .partitions = partitions, .partitions_count = 2};
        in->topics = &asked;
        in->topics_count = 1;
        for (int p = 0; p < 2; p++) {
            message_set_defaults(&list_offsets_request_list_offsets_partition_message,
                                 &partitions[p]);
            partitions[p].partition_index = p;
            partitions[p].timestamp = cases[i].timestamp;
        }
        struct list_offsets_response *out =
            bench_ask(bench, handle, API_LIST_OFFSETS, cases[i].version, in);
        for (int p = 0; p < 2; p++) {
            EQ(out->topics[0].partitions[p].error_code, cases[i].error);
            EQ(out->topics[0].partitions[p].offset, cases[i].offset);
        }
    }
    bench_close(bench);
}

/* A batch whose one record is a megabyte of zeros, as zstd has it: some hundred bytes. */
static struct bytes bomb_of(struct bench *bench)
{
    enum { PLAIN_BYTES = 1 << 20 };
    size_t capacity = PLAIN_BYTES + 200;
    struct batch_builder builder;
    batch_builder_init(&builder, arena_take(&bench->arena, capacity), capacity);
    struct record record = {.timestamp = 1700000000000,
                            .key = BYTES_NULL,
                            .value = {arena_take(&bench->arena, PLAIN_BYTES), PLAIN_BYTES}};
    EQ(batch_builder_add(&builder, &record), ERROR_NONE);
    struct batch_fields fields = BATCH_FIELDS_PLAIN;
    batch_builder_end(&builder, &fields);
    struct batch batch;
    struct bytes packed = {0};
    EQ(batch_view(builder.data, builder.size_bytes, &batch), ERROR_NONE);
    EQ(batch_recode(&batch, CODEC_ZSTD, 3, &bench->arena, &packed), ERROR_NONE);
    TRUE_(packed.size < 1000);
    return packed;
}

/* Work of the helper threads waits, or is done. */
static void hold_work(struct bench *bench, bool holds)
{
    for (int i = 0; i < BENCH_CORES; i++)
        bench->ports[i].holds_work = holds;
    bench_settle(bench);
}

static int work_count(const struct bench *bench)
{
    int count = 0;
    for (int i = 0; i < BENCH_CORES; i++)
        count += bench->ports[i].work_count;
    return count;
}

/* While it is decompressed elsewhere, others are served; the connection's own next request waits
 * its turn. */
TEST(produce, what_takes_long_holds_up_only_its_connection)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 1);
    int32_t slow = bench_connect(bench), quick = bench_connect(bench);
    struct bytes small = bench_batch(bench, "small", 1);
    hold_work(bench, true);
    bench_send(bench, slow, API_PRODUCE, 13, produce_of(bench, topic, 1, bomb_of(bench)));
    bench_send(bench, slow, API_PRODUCE, 13, produce_of(bench, topic, 1, small));
    for (int i = 0; i < 3; i++)
        EQ(produce(bench, quick, produce_of(bench, topic, 1, small))->base_offset, i);
    TRUE_(bench_answer(bench, slow, API_PRODUCE, 13) == NULL);
    EQ(work_count(bench), 0);
    hold_work(bench, false);
    EQ(work_count(bench), 1);
    for (int i = 3; i < 5; i++) {
        struct produce_response *out = bench_answer(bench, slow, API_PRODUCE, 13);
        if (!TRUE_(out != NULL))
            break;
        EQ(out->responses[0].partition_responses[0].error_code, 0);
        EQ(out->responses[0].partition_responses[0].base_offset, i);
    }
    bench_close(bench);
}

/* Whoever it is, the topic may be gone when the batch comes back, and so may the client. */
TEST(produce, what_took_long_finds_its_topic_gone)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 1), other = bench_topic(bench, "o", 1);
    int32_t slow = bench_connect(bench), lost = bench_connect(bench);
    hold_work(bench, true);
    bench_send(bench, slow, API_PRODUCE, 13, produce_of(bench, topic, 1, bomb_of(bench)));
    bench_send(bench, lost, API_PRODUCE, 13, produce_of(bench, other, 1, bomb_of(bench)));
    struct delete_topics_request *removal = bench_request(bench, API_DELETE_TOPICS);
    struct delete_topics_request_delete_topic_state state = {.topic_id = topic,
                                                             .name = STRING_NULL};
    removal->topics = &state;
    removal->topics_count = 1;
    int32_t admin = bench_connect(bench);
    struct delete_topics_response *gone = bench_ask(bench, admin, API_DELETE_TOPICS, 6, removal);
    EQ(gone->responses[0].error_code, 0);
    fake_end(&bench->ports[0], lost);
    bench_settle(bench);
    hold_work(bench, false);
    EQ(work_count(bench), 2);
    struct produce_response *out = bench_answer(bench, slow, API_PRODUCE, 13);
    if (TRUE_(out != NULL))
        EQ(out->responses[0].partition_responses[0].error_code, ERROR_UNKNOWN_TOPIC_ID);
    TRUE_(!bench_is_open(bench, lost));
    bench_close(bench);
}

/* Also where the codec changes, and for a batch that is no zstd at all. */
TEST(produce, judges_apart_as_it_does_at_once)
{
    struct bench *bench = bench_open();
    bench->settings.compression_type = COMPRESSION_GZIP;
    struct uuid topic = bench_topic(bench, "t", 1);
    int32_t handle = bench_connect(bench);
    int32_t sizes[2];
    for (int apart = 0; apart < 2; apart++) {
        bench->settings.produce_inline_bytes = apart ? 0 : 131072;
        struct bytes batch = bench_batch(bench, "a value a value a value", 20);
        EQ(produce(bench, handle, produce_of(bench, topic, 1, batch))->error_code, 0);
        const struct log *log = bench_partition(bench, topic, 0)->log;
        sizes[apart] = log->sizes[log->count - 1];
        batch = bomb_of(bench);
        uint8_t *bytes = (uint8_t *)batch.data;
        bytes[BATCH_RECORDS_AT + 20] ^= 0xff;
        batch_stamp(bytes, (size_t)batch.size, false, 1700000000001); /* a CRC that is right */
        EQ(produce(bench, handle, produce_of(bench, topic, 1, batch))->error_code,
           ERROR_INVALID_RECORD);
    }
    EQ(sizes[0], sizes[1]);
    TRUE_(work_count(bench) >= 2);
    bench_close(bench);
}
