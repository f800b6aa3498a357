/* What a compacted topic takes and refuses. */
#include "api/bench.h"
#include "base/check.h"
#include "protocol/batch.h"

static struct uuid compacted_topic(struct bench *bench, const char *policy)
{
    struct create_topics_request *in = bench_request(bench, API_CREATE_TOPICS);
    struct create_topics_request_creatable_topic_config configs[] = {
        {.name = STRING("cleanup.policy"), .value = string_of(policy)},
        {.name = STRING("min.cleanable.dirty.ratio"), .value = STRING("0.1")},
        {.name = STRING("delete.retention.ms"), .value = STRING("5000")}};
    struct create_topics_request_creatable_topic topic = {.name = STRING("t"),
                                                          .num_partitions = 1,
                                                          .replication_factor = 1,
                                                          .configs = configs,
                                                          .configs_count = 3};
    in->topics = &topic;
    in->topics_count = 1;
    int32_t handle = bench_connect(bench);
    struct create_topics_response *out = bench_ask(bench, handle, API_CREATE_TOPICS, 7, in);
    check(out && out->topics_count == 1);
    EQ(out->topics[0].error_code, ERROR_NONE);
    return out->topics[0].topic_id;
}

/* Four records, of which those whose bits are set have a null key. */
static struct bytes batch_of(struct bench *bench, unsigned null_keys, enum codec codec)
{
    struct batch_builder builder;
    batch_builder_init(&builder, arena_take(&bench->arena, 512), 512);
    for (unsigned i = 0; i < 4; i++) {
        struct record record = {.timestamp = bench->broker.shards[0].core.now.wall_ms,
                                .key = {(const uint8_t *)"key", 3},
                                .value = {(const uint8_t *)"value", 5}};
        if (null_keys >> i & 1)
            record.key = BYTES_NULL;
        check(batch_builder_add(&builder, &record) == ERROR_NONE);
    }
    batch_builder_end(&builder, &BATCH_FIELDS_PLAIN);
    struct batch batch;
    struct bytes coded;
    check(batch_view(builder.data, builder.size_bytes, &batch) == ERROR_NONE);
    check(batch_recode(&batch, codec, codec_usual_level(codec), &bench->arena, &coded) ==
          ERROR_NONE);
    return coded;
}

static const struct produce_response_partition_produce_response *
produce(struct bench *bench, int32_t handle, struct uuid topic, struct bytes batch)
{
    struct produce_request *in = bench_request(bench, API_PRODUCE);
    struct produce_request_partition_produce_data data = {.records.whole = batch};
    struct produce_request_topic_produce_data to = {
        .topic_id = topic, .partition_data = &data, .partition_data_count = 1};
    in->acks = -1;
    in->timeout_ms = 1000;
    in->topic_data = &to;
    in->topic_data_count = 1;
    struct produce_response *out = bench_ask(bench, handle, API_PRODUCE, 13, in);
    check(out && out->responses_count == 1);
    return &out->responses[0].partition_responses[0];
}

TEST(compaction, refuses_null_keys_record_by_record)
{
    struct bench *bench = bench_open();
    struct uuid topic = compacted_topic(bench, "delete,compact");
    int32_t handle = bench_connect(bench);
    for (int codec = CODEC_NONE; codec < CODECS_END; codec++) {
        const struct produce_response_partition_produce_response *out =
            produce(bench, handle, topic, batch_of(bench, 0, (enum codec)codec));
        EQ(out->error_code, ERROR_NONE);
        EQ(out->base_offset, 4 * codec);
        out = produce(bench, handle, topic, batch_of(bench, 10, (enum codec)codec));
        EQ(out->error_code, ERROR_INVALID_RECORD);
        EQ(out->base_offset, -1);
        EQ(out->record_errors_count, 2);
        EQ(out->record_errors[0].batch_index, 1);
        EQ(out->record_errors[1].batch_index, 3);
        TRUE_(string_equal(out->error_message, STRING("a compacted topic needs keys")));
    }
    bench_close(bench);
}

TEST(compaction, lets_other_topics_have_null_keys)
{
    struct bench *bench = bench_open();
    int32_t handle = bench_connect(bench);
    struct uuid plain = bench_topic(bench, "plain", 1), deleted = compacted_topic(bench, "delete");
    EQ(produce(bench, handle, plain, batch_of(bench, 10, CODEC_NONE))->error_code, ERROR_NONE);
    EQ(produce(bench, handle, deleted, batch_of(bench, 10, CODEC_LZ4))->error_code, ERROR_NONE);
    bench_close(bench);
}
