/* DescribeLogDirs. */
#include "api/bench.h"
#include "base/check.h"
#include "protocol/messages.h"

static void append(struct bench *bench, struct uuid topic, int32_t index, int times)
{
    struct bytes batch = bench_batch(bench, "hello", 2);
    struct partition *partition = bench_partition(bench, topic, index);
    struct waiter waiter = {0};
    struct log_append_result result;
    for (int i = 0; i < times; i++)
        EQ(partition_append(partition, batch, &result, &waiter, NULL), ERROR_NONE);
}

static struct describe_log_dirs_request *all(struct bench *bench)
{
    struct describe_log_dirs_request *in = bench_request(bench, API_DESCRIBE_LOG_DIRS);
    in->topics_count = -1;
    return in;
}

TEST(describe_log_dirs, tells_each_partition_with_its_size_in_its_directory)
{
    struct bench *bench = bench_open();
    struct uuid topic = bench_topic(bench, "t", 3);
    int32_t handle = bench_connect(bench);
    append(bench, topic, 0, 1);
    append(bench, topic, 1, 3);
    int32_t size = bench_batch(bench, "hello", 2).size;
    for (int16_t version = 1; version <= 5; version++) {
        struct describe_log_dirs_response *out =
            bench_ask(bench, handle, API_DESCRIBE_LOG_DIRS, version, all(bench));
        TRUE_(out && out->results_count == BENCH_DIRECTORIES);
        EQ(out->error_code, 0);
        const struct describe_log_dirs_response_describe_log_dirs_result *a = &out->results[0],
                                                                         *b = &out->results[1];
        TRUE_(string_equal(a->log_dir, STRING("/bench/a")));
        TRUE_(string_equal(b->log_dir, STRING("/bench/b")));
        EQ(a->error_code, 0);
        EQ(a->topics_count, 1);
        TRUE_(string_equal(a->topics[0].name, STRING("t")));
        EQ(a->topics[0].partitions_count, 2);
        EQ(a->topics[0].partitions[0].partition_index, 0);
        EQ(a->topics[0].partitions[0].partition_size, size);
        EQ(a->topics[0].partitions[1].partition_index, 2);
        EQ(a->topics[0].partitions[1].partition_size, 0);
        EQ(b->topics[0].partitions_count, 1);
        EQ(b->topics[0].partitions[0].partition_index, 1);
        EQ(b->topics[0].partitions[0].partition_size, 3 * size);
        EQ(b->topics[0].partitions[0].offset_lag, 0);
        TRUE_(!b->topics[0].partitions[0].is_future_key);
        EQ(b->total_bytes, -1);
        EQ(b->usable_bytes, -1);
    }
    bench_close(bench);
}

TEST(describe_log_dirs, tells_only_what_was_asked_for_and_each_once)
{
    struct bench *bench = bench_open();
    bench_topic(bench, "t", 3);
    bench_topic(bench, "u", 1);
    int32_t handle = bench_connect(bench), indexes[] = {2, 1, 2, 7, -1};
    struct describe_log_dirs_request *in = bench_request(bench, API_DESCRIBE_LOG_DIRS);
    struct describe_log_dirs_request_describable_log_dir_topic topics[] = {
        {.topic = STRING("t"), .partitions = indexes, .partitions_count = 5},
        {.topic = STRING("gone"), .partitions = indexes, .partitions_count = 1},
        {.topic = STRING("t"), .partitions = indexes, .partitions_count = 1}};
    in->topics = topics;
    in->topics_count = 3;
    struct describe_log_dirs_response *out = bench_ask(bench, handle, API_DESCRIBE_LOG_DIRS, 4, in);
    TRUE_(out && out->results_count == BENCH_DIRECTORIES);
    EQ(out->results[0].topics_count, 1);
    EQ(out->results[0].topics[0].partitions_count, 1);
    EQ(out->results[0].topics[0].partitions[0].partition_index, 2);
    EQ(out->results[1].topics_count, 1);
    EQ(out->results[1].topics[0].partitions_count, 1);
    EQ(out->results[1].topics[0].partitions[0].partition_index, 1);
    bench_close(bench);
}

TEST(describe_log_dirs, names_a_directory_that_has_failed_with_its_error)
{
    struct bench *bench = bench_open();
    bench_topic(bench, "t", 2);
    int32_t handle = bench_connect(bench);
    bench->failed[1] = ERROR_KAFKA_STORAGE_ERROR;
    struct describe_log_dirs_response *out =
        bench_ask(bench, handle, API_DESCRIBE_LOG_DIRS, 4, all(bench));
    TRUE_(out && out->results_count == BENCH_DIRECTORIES);
    EQ(out->results[0].error_code, 0);
    EQ(out->results[0].topics_count, 1);
    EQ(out->results[1].error_code, ERROR_KAFKA_STORAGE_ERROR);
    TRUE_(string_equal(out->results[1].log_dir, STRING("/bench/b")));
    EQ(out->results[1].topics_count, 0);
    bench_close(bench);
}

TEST(describe_log_dirs, of_no_topics_names_the_directories)
{
    struct bench *bench = bench_open();
    bench_topic(bench, "t", 2);
    int32_t handle = bench_connect(bench);
    struct describe_log_dirs_response *out = bench_ask(bench, handle, API_DESCRIBE_LOG_DIRS, 2,
                                                       bench_request(bench, API_DESCRIBE_LOG_DIRS));
    TRUE_(out && out->results_count == BENCH_DIRECTORIES);
    EQ(out->results[0].topics_count, 0);
    bench_close(bench);
}
