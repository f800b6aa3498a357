#include "base/memory.h"
#include "support/test.h"
#include "tools/bench.h"
#include "unit/client/fake_broker.h"
#include <unistd.h>

/* Refuses for now as often as it is told, then takes everything but partition `bad`. */
struct script {
    int refuse_first, request_count;
    int32_t bad;
    enum error error;
};

static const void *answer(struct fake_broker *broker, const struct api *api, const void *message,
                          struct arena *arena)
{
    struct script *script = broker->context;
    const struct produce_request *request = message;
    const struct produce_request_topic_produce_data *data = request->topic_data;
    struct produce_response *response = arena_take(arena, sizeof *response);
    message_set_defaults(&produce_response_message, response);
    struct produce_response_topic_produce_response *topic = arena_take(arena, sizeof *topic);
    message_set_defaults(&produce_response_topic_produce_response_message, topic);
    int32_t count = data->partition_data_count;
    topic->partition_responses_count = count;
    topic->partition_responses =
        arena_take(arena, (size_t)count * sizeof *topic->partition_responses);
    int number = script->request_count++;
    for (int32_t i = 0; i < count; i++) {
        struct produce_response_partition_produce_response *partition =
            &topic->partition_responses[i];
        message_set_defaults(&produce_response_partition_produce_response_message, partition);
        partition->index = data->partition_data[i].index;
        if (number < script->refuse_first)
            partition->error_code = ERROR_NOT_LEADER_OR_FOLLOWER;
        else if (partition->index == script->bad && number > script->refuse_first)
            partition->error_code = (int16_t)script->error;
    }
    response->responses = topic;
    response->responses_count = 1;
    return response;
}

/* Runs the generator against the script; the result is the caller's to free. */
static struct bench_result *generate(struct script *script, struct schedule_plan plan)
{
    struct fake_broker broker = {.answer = answer, .context = script};
    fake_broker_start(&broker);
    struct bench_settings settings = {.kind = "produce",
                                      .request = BENCH_PRODUCE,
                                      .batch_bytes = 500,
                                      .record_bytes = 100,
                                      .connections = 3,
                                      .in_flight = 4,
                                      .acks = -1,
                                      .plan = plan};
    struct metadata_topic topic = {.name = (char *)"t", .partition_count = 4};
    struct bench_frames frames;
    bench_frames_build(&frames, &settings, &topic, 9);
    struct bench_result *result = memory_zeroed(sizeof *result);
    TRUE_(bench_generate(&settings, &broker.address, &frames, result));
    bench_frames_done(&frames);
    fake_broker_stop(&broker);
    return result;
}

TEST(bench_generator, every_request_that_is_due_is_sent_and_answered_once)
{
    struct script script = {.bad = -1};
    struct schedule_plan plan = {.rate = 1000, .warmup_ms = 20, .measure_ms = 100};
    struct bench_result *result = generate(&script, plan);
    EQ(result->latency.count, 100);
    EQ(result->unanswered, 0);
    EQ(script.request_count, 1 + 120);
    EQ(result->error_count, 0);
    memory_free(result);
}

TEST(bench_generator, waits_until_the_broker_is_ready)
{
    struct script script = {.bad = -1, .refuse_first = 2};
    struct schedule_plan plan = {.rate = 1000, .measure_ms = 50};
    struct bench_result *result = generate(&script, plan);
    EQ(script.request_count, 3 + 50);
    EQ(result->error_count, 0);
    memory_free(result);
}

TEST(bench_generator, errors_are_counted_by_code_and_not_as_throughput)
{
    struct script script = {.bad = 2, .error = ERROR_KAFKA_STORAGE_ERROR};
    struct schedule_plan plan = {.rate = 1000, .measure_ms = 50};
    struct bench_result *result = generate(&script, plan);
    EQ(result->error_count, 1);
    EQ(result->errors[0].code, ERROR_KAFKA_STORAGE_ERROR);
    TRUE_(result->errors[0].count > 0 && result->errors[0].count <= 50); /* in time */
    EQ(result->requests, 0);
    EQ(result->batches % 3, 0);
    memory_free(result);
}

TEST(bench_generator, at_full_speed_every_answer_counts_once)
{
    struct script script = {.bad = -1};
    struct schedule_plan plan = {.measure_ms = 50};
    struct bench_result *result = generate(&script, plan);
    EQ(result->latency.count, script.request_count - 1);
    EQ(result->unanswered, 0);
    TRUE_(result->requests <= result->latency.count);
    EQ(result->batches, 4 * result->requests);
    memory_free(result);
}
