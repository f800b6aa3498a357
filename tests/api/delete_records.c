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
