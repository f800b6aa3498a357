#include "logic/fetch_session.h"
#include "support/test.h"
#include <stdio.h>

/* A request built by hand, the session it talks to, and what came of it. */
struct bench {
    struct fetch_sessions sessions;
    struct random random;
    struct arena arena;
    int64_t now_ms;
    int16_t version;
    struct fetch_request request;
    struct fetch_request_fetch_topic topics[4];
    struct fetch_request_fetch_partition partitions[4][16];
    struct fetch_request_forgotten_topic forgotten;
    int32_t forgotten_index;
    struct fetch_context context;
    struct fetch_response response;
    struct fetch_response_fetchable_topic_response told_topics[16];
    struct fetch_response_partition_data told[16][16];
    char text[512];
};

static void start(struct bench *bench, int32_t slots)
{
    *bench = (struct bench){.now_ms = 1000, .version = 12};
    random_seed(&bench->random, 7);
    arena_init(&bench->arena, 1 << 20);
    fetch_sessions_init(&bench->sessions, slots, 5);
}

static void end(struct bench *bench)
{
    fetch_sessions_done(&bench->sessions);
    arena_done(&bench->arena);
}

/* A new request with the given session; partitions are added by want(). */
static void request(struct bench *bench, int32_t id, int32_t epoch)
{
    message_set_defaults(&fetch_request_message, &bench->request);
    bench->request.session_id = id;
    bench->request.session_epoch = epoch;
    bench->request.topics = bench->topics;
}

static void want(struct bench *bench, const char *name, int32_t index, int64_t offset)
{
    struct fetch_request *request = &bench->request;
    int32_t at = 0;
    while (at < request->topics_count && !string_equal(bench->topics[at].topic, string_of(name)))
        at++;
    struct fetch_request_fetch_topic *topic = &bench->topics[at];
    if (at == request->topics_count) {
        request->topics_count++;
        message_set_defaults(&fetch_request_fetch_topic_message, topic);
        topic->topic = string_of(name);
        memcpy(topic->topic_id.bytes, name, strlen(name));
        topic->partitions = bench->partitions[at];
    }
    struct fetch_request_fetch_partition *partition = &topic->partitions[topic->partitions_count++];
    message_set_defaults(&fetch_request_fetch_partition_message, partition);
    partition->partition = index;
    partition->fetch_offset = offset;
}

static void forget(struct bench *bench, const char *name, int32_t index)
{
    message_set_defaults(&fetch_request_forgotten_topic_message, &bench->forgotten);
    bench->forgotten.topic = string_of(name);
    bench->forgotten_index = index;
    bench->forgotten.partitions = &bench->forgotten_index;
    bench->forgotten.partitions_count = 1;
    bench->request.forgotten_topics_data = &bench->forgotten;
    bench->request.forgotten_topics_data_count = 1;
}

static void begin(struct bench *bench)
{
    arena_reset(&bench->arena, 65536);
    fetch_session_begin(&bench->sessions, &bench->request, bench->version, bench->now_ms,
                        &bench->arena, &bench->context);
    message_set_defaults(&fetch_response_message, &bench->response);
    bench->response.responses = bench->told_topics;
    bench->response.responses_count = bench->context.topics_count;
    for (int32_t i = 0; i < bench->context.topics_count; i++) {
        const struct fetch_request_fetch_topic *topic = &bench->context.topics[i];
        struct fetch_response_fetchable_topic_response *told = &bench->told_topics[i];
        message_set_defaults(&fetch_response_fetchable_topic_response_message, told);
        told->topic = topic->topic;
        told->topic_id = topic->topic_id;
        told->partitions = bench->told[i];
        told->partitions_count = topic->partitions_count;
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            message_set_defaults(&fetch_response_partition_data_message, &bench->told[i][j]);
            bench->told[i][j].partition_index = topic->partitions[j].partition;
            bench->told[i][j].high_watermark = 10;
            bench->told[i][j].log_start_offset = 0;
        }
    }
}

/* Ends it; the session's id. */
static int32_t finish(struct bench *bench)
{
    fetch_session_end(&bench->sessions, &bench->context, bench->now_ms, &bench->random,
                      &bench->response);
    return bench->response.session_id;
}

/* "a 0@5 1@0 b 3@7": what is to be read. */
static const char *to_read(struct bench *bench)
{
    size_t size = 0;
    bench->text[0] = 0;
    for (int32_t i = 0; i < bench->context.topics_count; i++) {
        const struct fetch_request_fetch_topic *topic = &bench->context.topics[i];
        size += (size_t)snprintf(bench->text + size, sizeof bench->text - size, "%s%.*s",
                                 i ? " " : "", (int)topic->topic.size, topic->topic.data);
        for (int32_t j = 0; j < topic->partitions_count; j++)
            size += (size_t)snprintf(bench->text + size, sizeof bench->text - size, " %d@%lld",
                                     topic->partitions[j].partition,
                                     (long long)topic->partitions[j].fetch_offset);
    }
    return bench->text;
}

/* "a 0 1 b 3": what is answered. */
static const char *told(struct bench *bench)
{
    size_t size = 0;
    bench->text[0] = 0;
    for (int32_t i = 0; i < bench->response.responses_count; i++) {
        const struct fetch_response_fetchable_topic_response *topic = &bench->told_topics[i];
        size += (size_t)snprintf(bench->text + size, sizeof bench->text - size, "%s%.*s",
                                 i ? " " : "", (int)topic->topic.size, topic->topic.data);
        for (int32_t j = 0; j < topic->partitions_count; j++)
            size += (size_t)snprintf(bench->text + size, sizeof bench->text - size, " %d",
                                     topic->partitions[j].partition_index);
    }
    return bench->text;
}

/* A session of `count` partitions of one topic; its id. */
static int32_t make(struct bench *bench, int32_t count)
{
    request(bench, 0, 0);
    for (int32_t i = 0; i < count; i++)
        want(bench, "a", i, 0);
    begin(bench);
    return finish(bench);
}

TEST(fetch_session, is_full_first_and_then_tells_only_what_changed)
{
    struct bench b;
    start(&b, 10);
    request(&b, 0, 0);
    want(&b, "a", 0, 5);
    want(&b, "a", 1, 0);
    want(&b, "b", 3, 7);
    begin(&b);
    EQ(b.context.kind, FETCH_FULL);
    EQ_TEXT(to_read(&b), "a 0@5 1@0 b 3@7");
    int32_t id = finish(&b);
    TRUE_(id > 0);
    EQ_TEXT(told(&b), "a 0 1 b 3"); /* the first answer has everything */

    request(&b, id, 1); /* nothing changed on either side */
    begin(&b);
    EQ(b.context.kind, FETCH_INCREMENTAL);
    EQ_TEXT(to_read(&b), "a 0@5 1@0 b 3@7");
    EQ(finish(&b), id);
    EQ_TEXT(told(&b), "");

    request(&b, id, 2); /* the client moves one; one high watermark and one log start move */
    want(&b, "a", 0, 6);
    begin(&b);
    EQ_TEXT(to_read(&b), "a 0@6 1@0 b 3@7");
    b.told[0][1].high_watermark = 11;
    b.told[1][0].log_start_offset = 2;
    finish(&b);
    EQ_TEXT(told(&b), "a 1 b 3");

    request(&b, id, 3); /* told once */
    begin(&b);
    b.told[0][1].high_watermark = 11;
    b.told[1][0].log_start_offset = 2;
    finish(&b);
    EQ_TEXT(told(&b), "");
    end(&b);
}

TEST(fetch_session, puts_what_gave_records_at_its_end)
{
    struct bench b;
    start(&b, 10);
    int32_t id = make(&b, 3);
    request(&b, id, 1);
    begin(&b);
    b.told[0][0].records.whole.size = 100;
    finish(&b);
    EQ_TEXT(told(&b), "a 0");
    request(&b, id, 2);
    want(&b, "b", 0, 0);
    begin(&b);
    EQ_TEXT(to_read(&b), "a 1@0 2@0 0@0 b 0@0");
    b.told[0][1].records.whole.size = 100;
    finish(&b);
    EQ_TEXT(told(&b), "a 2 b 0"); /* b is new */
    request(&b, id, 3);
    begin(&b);
    EQ_TEXT(to_read(&b), "a 1@0 0@0 b 0@0 a 2@0");
    finish(&b);
    EQ_TEXT(told(&b), "");
    end(&b);
}

TEST(fetch_session, tells_errors_each_time_and_the_partition_once_they_end)
{
    struct bench b;
    start(&b, 10);
    int32_t id = make(&b, 2);
    for (int32_t epoch = 1; epoch <= 2; epoch++) {
        request(&b, id, epoch);
        begin(&b);
        b.told[0][1].error_code = ERROR_NOT_LEADER_OR_FOLLOWER;
        b.told[0][1].high_watermark = 10;
        finish(&b);
        EQ_TEXT(told(&b), "a 1");
    }
    request(&b, id, 3);
    begin(&b);
    finish(&b);
    EQ_TEXT(told(&b), "a 1");
    request(&b, id, 4);
    begin(&b);
    finish(&b);
    EQ_TEXT(told(&b), "");
    end(&b);
}

TEST(fetch_session, forgets_and_closes_when_nothing_is_left)
{
    struct bench b;
    start(&b, 10);
    int32_t id = make(&b, 2);
    request(&b, id, 1);
    forget(&b, "a", 0);
    begin(&b);
    EQ_TEXT(to_read(&b), "a 1@0");
    finish(&b);
    request(&b, id, 2);
    forget(&b, "b", 1); /* never there */
    begin(&b);
    EQ_TEXT(to_read(&b), "a 1@0");
    finish(&b);
    request(&b, id, 3);
    forget(&b, "a", 1);
    begin(&b);
    EQ(b.context.kind, FETCH_NONE);
    EQ_TEXT(to_read(&b), "");
    EQ(finish(&b), 0);
    EQ(b.sessions.count, 0);
    EQ(b.sessions.partition_count, 0);
    end(&b);
}

TEST(fetch_session, refuses_what_it_does_not_know)
{
    struct bench b;
    start(&b, 10);
    int32_t id = make(&b, 1);
    request(&b, id + 1, 1);
    begin(&b);
    EQ(b.context.error, ERROR_FETCH_SESSION_ID_NOT_FOUND);
    EQ(finish(&b), 0);
    EQ(b.response.error_code, ERROR_FETCH_SESSION_ID_NOT_FOUND);
    for (int32_t epoch = 2; epoch > -3; epoch -= 4) { /* 2 and -2 */
        request(&b, id, epoch);
        begin(&b);
        EQ(b.context.error, ERROR_INVALID_FETCH_SESSION_EPOCH);
        EQ(finish(&b), 0);
    }
    b.version = 13; /* topics by id in a session by name */
    request(&b, id, 1);
    begin(&b);
    EQ(b.context.error, ERROR_FETCH_SESSION_TOPIC_ID_ERROR);
    finish(&b);
    b.version = 12; /* none of that has harmed the session */
    request(&b, id, 1);
    begin(&b);
    EQ(b.context.kind, FETCH_INCREMENTAL);
    EQ(finish(&b), id);
    end(&b);
}

TEST(fetch_session, is_closed_by_a_full_request_that_names_it)
{
    struct bench b;
    start(&b, 10);
    int32_t id = make(&b, 1);
    request(&b, id, FETCH_EPOCH_NONE);
    want(&b, "a", 0, 0);
    begin(&b);
    EQ(b.context.kind, FETCH_NONE);
    EQ(finish(&b), 0);
    EQ_TEXT(told(&b), "a 0");
    EQ(b.sessions.count, 0);
    id = make(&b, 1);
    request(&b, id, 0);
    want(&b, "a", 0, 0);
    begin(&b);
    int32_t next = finish(&b);
    TRUE_(next != id && next > 0);
    EQ(b.sessions.count, 1);
    end(&b);
}

TEST(fetch_session, keeps_topics_apart_by_id)
{
    struct bench b;
    start(&b, 10);
    b.version = 13;
    request(&b, 0, 0);
    want(&b, "a", 0, 1);
    want(&b, "b", 0, 2);
    begin(&b);
    int32_t id = finish(&b);
    request(&b, id, 1);
    want(&b, "b", 0, 3);
    begin(&b);
    EQ(b.context.topics_count, 2);
    EQ(b.context.topics[0].topic_id.bytes[0], 'a');
    EQ(b.context.topics[1].topic_id.bytes[0], 'b');
    EQ(b.context.topics[1].partitions[0].fetch_offset, 3);
    EQ(finish(&b), id);
    end(&b);
}

TEST(fetch_session, answers_an_overtaken_request_with_an_error)
{
    struct bench b;
    start(&b, 10);
    int32_t id = make(&b, 1);
    request(&b, id, 1);
    begin(&b);
    struct fetch_context slow = b.context;
    request(&b, id, 2);
    begin(&b);
    EQ(finish(&b), id);
    b.context = slow;
    b.response.responses_count = slow.topics_count;
    EQ(finish(&b), id);
    EQ(b.response.error_code, ERROR_INVALID_FETCH_SESSION_EPOCH);
    EQ_TEXT(told(&b), "");
    request(&b, id, FETCH_EPOCH_NONE); /* and one whose session was closed */
    begin(&b);
    b.context = slow;
    b.response.error_code = 0;
    b.response.responses_count = slow.topics_count;
    EQ(finish(&b), 0);
    EQ(b.response.error_code, ERROR_FETCH_SESSION_ID_NOT_FOUND);
    end(&b);
}

TEST(fetch_session, epochs_wrap_to_one)
{
    EQ(fetch_epoch_after(0), 1);
    EQ(fetch_epoch_after(INT32_MAX - 1), INT32_MAX);
    EQ(fetch_epoch_after(INT32_MAX), 1);
    EQ(fetch_epoch_after(-1), -1);
}

TEST(fetch_sessions, evict_the_stale_and_the_small_only)
{
    struct bench b;
    start(&b, 2);
    int32_t small = make(&b, 1), large = make(&b, 3);
    EQ(make(&b, 2), 0); /* full, and both are young */
    b.now_ms += FETCH_SESSION_EVICTION_MS + 1;
    request(&b, small, 1);
    begin(&b);
    finish(&b);
    request(&b, large, 1);
    begin(&b);
    finish(&b);         /* both old now, both just used */
    EQ(make(&b, 1), 0); /* worth no more than the smaller one */
    int32_t middle = make(&b, 2);
    TRUE_(middle > 0);
    EQ(b.sessions.evicted, 1);
    request(&b, small, 2);
    begin(&b);
    EQ(b.context.error, ERROR_FETCH_SESSION_ID_NOT_FOUND);
    b.now_ms += FETCH_SESSION_EVICTION_MS; /* not stale yet */
    EQ(make(&b, 1), 0);
    request(&b, middle, 1);
    begin(&b);
    finish(&b);
    b.now_ms++;
    TRUE_(make(&b, 1) > 0); /* the large one was not used for long enough */
    request(&b, large, 2);
    begin(&b);
    EQ(b.context.error, ERROR_FETCH_SESSION_ID_NOT_FOUND);
    EQ(b.sessions.count, 2);
    end(&b);
}

TEST(fetch_sessions, prefer_followers)
{
    struct bench b;
    start(&b, 1);
    TRUE_(make(&b, 5) > 0);
    request(&b, 0, 0);
    b.request.replica_id = 2;
    want(&b, "a", 0, 0);
    begin(&b);
    TRUE_(finish(&b) > 0); /* however young and large the consumer's is */
    EQ(b.sessions.evicted, 1);
    EQ(make(&b, 9), 0);
    b.now_ms += FETCH_SESSION_EVICTION_MS;
    EQ(make(&b, 9), 0);
    b.now_ms++;
    TRUE_(make(&b, 1) > 0); /* it is stale */
    end(&b);
}

TEST(fetch_sessions, remember_a_bounded_number_of_partitions)
{
    struct bench b;
    start(&b, 1);
    b.sessions.partitions_max = 3;
    EQ(make(&b, 4), 0);
    int32_t id = make(&b, 3);
    TRUE_(id > 0);
    request(&b, id, 1);
    want(&b, "b", 0, 0);
    begin(&b);
    EQ(b.context.error, ERROR_FETCH_SESSION_ID_NOT_FOUND);
    EQ(b.sessions.count, 0);
    end(&b);
    start(&b, 0);
    EQ(make(&b, 1), 0);
    end(&b);
}
