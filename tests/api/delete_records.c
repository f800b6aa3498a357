/* DeleteRecords: offsets, refusals, over all cores, answered once durable. */
#include "api/bench.h"
#include "base/check.h"

struct wanted {
    int32_t index;
    int64_t offset;
};

/* One topic, up to four partitions, in the arena. */
static struct delete_records_request *ask_for(struct bench *bench, const char *topic,
                                              const struct wanted *wanted, int count)
{
    struct delete_records_request *in = bench_request(bench, API_DELETE_RECORDS);
    in->topics = arena_take(&bench->arena, sizeof *in->topics);
    in->topics->name = string_of(topic);
    in->topics->partitions =
        arena_take(&bench->arena, (size_t)count * sizeof *in->topics->partitions);
    for (int i = 0; i < count; i++)
        in->topics->partitions[i] = (struct delete_records_request_delete_records_partition){
            .partition_index = wanted[i].index, .offset = wanted[i].offset};
    in->topics->partitions_count = count;
    in->topics_count = 1;
    in->timeout_ms = 1000;
    return in;
}

/* A topic of two partitions with four records in each, whose records may be deleted. */
static struct uuid filled_topic(struct bench *bench, const char *name)
{
    struct uuid id = bench_topic(bench, name, 2);
    for (int32_t i = 0; i < 2; i++) {
        struct partition *partition = bench_partition(bench, id, i);
        struct log_append_result result;
        struct bytes batch = bench_batch(bench, "hello", 4);
        partition->log_settings.deletes = true;
        EQ(partition_append(partition, batch, &result, NULL, NULL), ERROR_NONE);
    }
    bench_commit(bench, id, 0);
    bench_commit(bench, id, 1);
    return id;
}

TEST(delete_records, moves_the_log_start_on_every_core)
{
    struct bench *bench = bench_open();
    struct uuid id = filled_topic(bench, "t");
    int32_t handle = bench_connect(bench);
    struct wanted wanted[] = {{0, 3}, {1, -1}};
    for (int16_t version = 0; version <= 2; version++) {
        struct delete_records_response *out =
            bench_ask(bench, handle, API_DELETE_RECORDS, version, ask_for(bench, "t", wanted, 2));
        TRUE_(out && out->topics_count == 1 && out->topics[0].partitions_count == 2);
        EQ(out->topics[0].partitions[0].error_code, 0);
        EQ(out->topics[0].partitions[0].low_watermark, 3);
        EQ(out->topics[0].partitions[1].error_code, 0);
        EQ(out->topics[0].partitions[1].low_watermark, 4);
    }
    EQ(partition_log_start(bench_partition(bench, id, 0)), 3);
    wanted[0].offset = 1; /* nothing goes back */
    struct delete_records_response *out =
        bench_ask(bench, handle, API_DELETE_RECORDS, 2, ask_for(bench, "t", wanted, 1));
    EQ(out->topics[0].partitions[0].error_code, 0);
    EQ(out->topics[0].partitions[0].low_watermark, 3);
    bench_close(bench);
}

TEST(delete_records, refuses_partition_by_partition)
{
    struct bench *bench = bench_open();
    struct uuid id = filled_topic(bench, "t");
    bench_partition(bench, id, 1)->log_settings.deletes = false; /* only compacted */
    int32_t handle = bench_connect(bench);
    struct wanted wanted[] = {{0, 5}, {0, -2}, {1, 1}, {2, 0}};
    struct delete_records_response *out =
        bench_ask(bench, handle, API_DELETE_RECORDS, 2, ask_for(bench, "t", wanted, 4));
    const struct delete_records_response_delete_records_partition_result *parts =
        out->topics[0].partitions;
    static const enum error errors[] = {ERROR_OFFSET_OUT_OF_RANGE, ERROR_OFFSET_OUT_OF_RANGE,
                                        ERROR_POLICY_VIOLATION, ERROR_UNKNOWN_TOPIC_OR_PARTITION};
    for (int i = 0; i < 4; i++) {
        EQ(parts[i].error_code, errors[i]);
        EQ(parts[i].low_watermark, -1);
    }
    out = bench_ask(bench, handle, API_DELETE_RECORDS, 1, ask_for(bench, "u", wanted, 1));
    EQ(out->topics[0].partitions[0].error_code, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    out = bench_ask(bench, handle, API_DELETE_RECORDS, 1,
                    ask_for(bench, "__consumer_offsets", wanted, 1));
    EQ(out->topics[0].partitions[0].error_code, ERROR_INVALID_TOPIC_EXCEPTION);
    EQ(partition_log_start(bench_partition(bench, id, 0)), 0);
    EQ(partition_log_start(bench_partition(bench, id, 1)), 0);
    bench_close(bench);
}

TEST(delete_records, answers_when_it_is_durable_or_the_time_is_up)
{
    struct bench *bench = bench_open();
    struct uuid id = filled_topic(bench, "t");
    int32_t handle = bench_connect(bench);
    struct wanted wanted[] = {{1, 2}};
    bench->holds_commits = true;
    bench_send(bench, handle, API_DELETE_RECORDS, 2, ask_for(bench, "t", wanted, 1));
    TRUE_(!bench_answer(bench, handle, API_DELETE_RECORDS, 2));
    bench->holds_commits = false;
    waiters_wake(&bench_partition(bench, id, 1)->waiters);
    bench_settle(bench);
    struct delete_records_response *out = bench_answer(bench, handle, API_DELETE_RECORDS, 2);
    TRUE_(out != NULL);
    EQ(out->topics[0].partitions[0].low_watermark, 2);
    bench->holds_commits = true;
    bench_send(bench, handle, API_DELETE_RECORDS, 2, ask_for(bench, "t", wanted, 1));
    bench_pass_ms(bench, 1001);
    out = bench_answer(bench, handle, API_DELETE_RECORDS, 2);
    TRUE_(out != NULL);
    EQ(out->topics[0].partitions[0].error_code, ERROR_REQUEST_TIMED_OUT);
    EQ(out->topics[0].partitions[0].low_watermark, -1);
    bench_close(bench);
}

static const struct delete_records_response_delete_records_partition_result *
ask_parts(struct bench *bench, int32_t handle, const struct wanted *wanted, int count)
{
    const struct delete_records_response *out =
        bench_ask(bench, handle, API_DELETE_RECORDS, 2, ask_for(bench, "t", wanted, count));
    check(out && out->topics_count == 1);
    EQ(out->topics[0].partitions_count, count);
    return out->topics[0].partitions;
}

/* The ends of what an offset can be, and partitions that there can't be. */
TEST(delete_records, refuses_whatever_is_no_offset_and_no_partition)
{
    struct bench *bench = bench_open();
    struct uuid id = filled_topic(bench, "t");
    int32_t handle = bench_connect(bench);
    struct wanted wanted[] = {{0, INT64_MIN}, {0, -3}, {0, INT64_MAX}, {1, 5},
                              {INT32_MIN, 1}, {-1, 1}, {INT32_MAX, 1}, {2, -1}};
    const struct delete_records_response_delete_records_partition_result *parts =
        ask_parts(bench, handle, wanted, 8);
    for (int i = 0; i < 8; i++) {
        EQ(parts[i].partition_index, wanted[i].index);
        EQ(parts[i].error_code,
           i < 4 ? ERROR_OFFSET_OUT_OF_RANGE : ERROR_UNKNOWN_TOPIC_OR_PARTITION);
        EQ(parts[i].low_watermark, -1);
    }
    for (int32_t i = 0; i < 2; i++)
        EQ(partition_log_start(bench_partition(bench, id, i)), 0);
    /* what is not committed can't be deleted, and -1 means what is */
    struct log_append_result result;
    bench->holds_commits = true;
    EQ(partition_append(bench_partition(bench, id, 0), bench_batch(bench, "more", 2), &result, NULL,
                        NULL),
       ERROR_NONE);
    bench->holds_commits = false;
    parts = ask_parts(bench, handle, (struct wanted[]){{0, 5}, {0, -1}}, 2);
    EQ(parts[0].error_code, ERROR_OFFSET_OUT_OF_RANGE);
    EQ(parts[1].error_code, 0);
    EQ(parts[1].low_watermark, 4);
    bench_close(bench);
}

TEST(delete_records, of_a_partition_that_others_lead_is_refused)
{
    struct bench *bench = bench_open();
    struct uuid id = filled_topic(bench, "t");
    int32_t handle = bench_connect(bench);
    struct partition_change_record change;
    message_set_defaults(&partition_change_record_message, &change);
    change.topic_id = id;
    change.partition_id = 0;
    change.leader = 8;
    for (int i = 0; i < BENCH_CORES; i++)
        EQ(image_apply(&bench->broker.shards[i].image, partition_change_record_message.key,
                       &change),
           ERROR_NONE);
    const struct delete_records_response_delete_records_partition_result *parts =
        ask_parts(bench, handle, (struct wanted[]){{0, 1}, {1, 1}}, 2);
    EQ(parts[0].error_code, ERROR_NOT_LEADER_OR_FOLLOWER);
    EQ(parts[0].low_watermark, -1);
    EQ(parts[1].error_code, 0);
    EQ(parts[1].low_watermark, 1);
    bench_close(bench);
}

/* Each is answered, in its place; what is asked for twice goes as far as the larger offset. */
TEST(delete_records, takes_the_same_partition_many_times_over)
{
    enum { COUNT = 5000 };
    struct bench *bench = bench_open();
    struct uuid id = filled_topic(bench, "t");
    int32_t handle = bench_connect(bench);
    struct wanted *wanted = arena_take(&bench->arena, COUNT * sizeof *wanted);
    for (int i = 0; i < COUNT; i++)
        wanted[i] = (struct wanted){i % 3, i % 5};
    const struct delete_records_response_delete_records_partition_result *parts =
        ask_parts(bench, handle, wanted, COUNT);
    for (int i = 0; i < COUNT; i++) {
        bool is_there = i % 3 < 2;
        EQ(parts[i].partition_index, i % 3);
        EQ(parts[i].error_code, is_there ? 0 : ERROR_UNKNOWN_TOPIC_OR_PARTITION);
        TRUE_(is_there ? parts[i].low_watermark >= i % 5 : parts[i].low_watermark == -1);
    }
    for (int32_t i = 0; i < 2; i++)
        EQ(partition_log_start(bench_partition(bench, id, i)), 4);
    TRUE_(bench_is_open(bench, handle));
    bench_close(bench);
}

/* More than a request's memory has room for costs the connection, and nobody else. */
TEST(delete_records, of_more_than_there_is_memory_for_is_refused)
{
    enum { COUNT = 60000 };
    struct bench *bench = bench_open();
    struct uuid id = filled_topic(bench, "t");
    int32_t handle = bench_connect(bench), other = bench_connect(bench);
    struct wanted *wanted = arena_take(&bench->arena, COUNT * sizeof *wanted);
    for (int i = 0; i < COUNT; i++)
        wanted[i] = (struct wanted){i, 0};
    bench_send(bench, handle, API_DELETE_RECORDS, 2, ask_for(bench, "t", wanted, COUNT));
    TRUE_(!bench_is_open(bench, handle));
    EQ(ask_parts(bench, other, wanted, 1)[0].error_code, 0);
    EQ(partition_log_start(bench_partition(bench, id, 0)), 0);
    bench_close(bench);
}
