/* Leader epochs on the wire: OffsetForLeaderEpoch, Fetch with the last epoch that was fetched, and
 * the epoch by which a client knows the leader. */
#include "api/bench.h"
#include "base/check.h"

/* Topic "t" with one partition: epoch 2 from offset 0, 5 from 3, 6 from 6 on; it ends at 9. */
static struct uuid with_epochs(struct bench *bench)
{
    static const int32_t epochs[] = {2, 5, 6};
    struct uuid topic = bench_topic(bench, "t", 1);
    struct partition *partition = bench_partition(bench, topic, 0);
    for (int i = 0; i < 3; i++) {
        struct log_append_result result;
        struct waiter waiter = {0};
        partition->leader_epoch = epochs[i];
        epochs_assign(&partition->log->epochs, epochs[i], 3 * i);
        EQ(partition_append(partition, bench_batch(bench, "hello", 3), &result, &waiter, NULL),
           ERROR_NONE);
    }
    bench_settle(bench);
    return topic;
}

TEST(offset_for_leader_epoch, tells_where_an_epoch_ends)
{
    static const struct {
        int32_t current, epoch;
        enum error error;
        int32_t found;
        int64_t end;
    } cases[] = {
        {-1, 2, ERROR_NONE, 2, 3},
        {-1, 3, ERROR_NONE, 2, 3},
        {6, 5, ERROR_NONE, 5, 6},
        {6, 6, ERROR_NONE, 6, 9},
        {-1, 1, ERROR_NONE, 1, 0},
        {-1, 7, ERROR_NONE, -1, -1},
        {-1, -1, ERROR_NONE, -1, -1},
        {5, 5, ERROR_FENCED_LEADER_EPOCH, -1, -1},
        {7, 5, ERROR_UNKNOWN_LEADER_EPOCH, -1, -1},
    };
    struct bench *bench = bench_open();
    with_epochs(bench);
    int32_t handle = bench_connect(bench);
    for (int i = 0; i < 3 * ARRAY_COUNT(cases); i++) {
        int at = i / 3;
        struct offset_for_leader_epoch_request_offset_for_leader_partition partitions[2] = {
            {.current_leader_epoch = cases[at].current, .leader_epoch = cases[at].epoch},
            {.partition = 9, .current_leader_epoch = -1, .leader_epoch = 2}};
        struct offset_for_leader_epoch_request_offset_for_leader_topic topics[2] = {
            {.topic = STRING("t"), .partitions = partitions, .partitions_count = 2},
            {.topic = STRING("nowhere"), .partitions = partitions, .partitions_count = 1}};
        struct offset_for_leader_epoch_request *in =
            bench_request(bench, API_OFFSET_FOR_LEADER_EPOCH);
        in->topics = topics;
        in->topics_count = 2;
        struct offset_for_leader_epoch_response *out =
            bench_ask(bench, handle, API_OFFSET_FOR_LEADER_EPOCH, (int16_t)(2 + i % 3), in);
        EQ(out->topics_count, 2);
        const struct offset_for_leader_epoch_response_epoch_end_offset *end =
            out->topics[0].partitions;
        EQ(end[0].error_code, cases[at].error);
        EQ(end[0].leader_epoch, cases[at].found);
        EQ(end[0].end_offset, cases[at].end);
        EQ(end[1].partition, 9);
        EQ(end[1].error_code, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
        EQ(out->topics[1].partitions[0].error_code, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
        EQ(out->topics[1].partitions[0].end_offset, -1);
    }
    EQ(bench_partition(bench, bench_topic(bench, "u", 1), 0)->references, 0);
    bench_close(bench);
}

TEST(fetch, tells_where_histories_part)
{
    static const struct {
        int64_t offset;
        int32_t last_epoch;
        enum error error;
        int32_t diverging;
        int64_t end;
        bool records;
    } cases[] = {
        {3, 2, ERROR_NONE, -1, -1, true},
        {4, 2, ERROR_NONE, 2, 3, false}, /* 2 ended at 3 here */
        {3, 4, ERROR_NONE, 2, 3, false}, /* there was no 4 here */
        {6, 5, ERROR_NONE, -1, -1, true},
        {8, 5, ERROR_NONE, 5, 6, false},
        {8, 6, ERROR_NONE, -1, -1, true},
        {12, 6, ERROR_NONE, 6, 9, false}, /* beyond the end */
        {3, 7, ERROR_OFFSET_OUT_OF_RANGE, -1, -1, false},
        {3, -1, ERROR_NONE, -1, -1, true},
    };
    struct bench *bench = bench_open();
    struct uuid topic = with_epochs(bench);
    int32_t handle = bench_connect(bench);
    for (int i = 0; i < ARRAY_COUNT(cases); i++) {
        struct fetch_request_fetch_partition partition;
        message_set_defaults(&fetch_request_fetch_partition_message, &partition);
        partition.fetch_offset = cases[i].offset;
        partition.last_fetched_epoch = cases[i].last_epoch;
        partition.partition_max_bytes = 1 << 20;
        struct fetch_request_fetch_topic asked = {
            .topic_id = topic, .partitions = &partition, .partitions_count = 1};
        struct fetch_request *in = bench_request(bench, API_FETCH);
        in->topics = &asked;
        in->topics_count = 1;
        in->max_wait_ms = 500;
        in->min_bytes = 1;
        struct fetch_response *out = bench_ask(bench, handle, API_FETCH, 16, in); /* at once */
        TRUE_(out != NULL);
        if (!out)
            break;
        const struct fetch_response_partition_data *data = out->responses[0].partitions;
        EQ(data->error_code, cases[i].error);
        EQ(data->diverging_epoch.epoch, cases[i].diverging);
        EQ(data->diverging_epoch.end_offset, cases[i].end);
        EQ(data->records.whole.size > 0, cases[i].records);
    }
    bench_close(bench);
}
