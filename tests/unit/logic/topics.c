#include "cluster.h"
#include <stdio.h>

/* One CreateTopics of one topic on brokers 1 and 2 (3 is fenced) beside the topics old.one and
 * taken. */
struct wanted {
    const char *name;
    int32_t partitions;
    int16_t replication_factor;
    const char *config, *value; /* config null: none; value null: Kafka's null */
    enum error error;
    const char *message; /* "": none */
};

static void set_up(struct cluster *c)
{
    cluster_init(c, 2);
    cluster_register(c, 1, false);
    cluster_register(c, 2, false);
    cluster_register(c, 3, true);
    EQ(cluster_create(c, "old.one", 1), ERROR_NONE);
    EQ(cluster_create(c, "taken", 3), ERROR_NONE);
}

static void expect_text(int line, struct string got, const char *want)
{
    bool same = want[0] ? string_equal(got, string_of(want)) : got.size <= 0;
    test_expect(same, __FILE__, line, "message: got %.*s, want %s", (int)got.size, got.data, want);
}

static void try_create(const struct wanted *wanted)
{
    struct cluster c;
    set_up(&c);
    struct create_topics_request_creatable_topic topic;
    struct create_topics_request_creatable_topic_config config = {
        string_of(wanted->config), string_of(wanted->value), {0}};
    struct create_topics_request request;
    struct create_topics_response response;
    message_set_defaults(&create_topics_request_message, &request);
    message_set_defaults(&create_topics_request_creatable_topic_message, &topic);
    topic.name = string_of(wanted->name);
    topic.num_partitions = wanted->partitions;
    topic.replication_factor = wanted->replication_factor;
    topic.configs = &config;
    topic.configs_count = wanted->config != NULL;
    request.topics = &topic;
    request.topics_count = 1;
    struct topics_view view = cluster_view(&c);
    EQ(topics_handle_create(&view, &request, &c.records, &response), ERROR_NONE);
    EQ(response.topics_count, 1);
    test_expect(response.topics[0].error_code == wanted->error, __FILE__, __LINE__,
                "%s: got %d, want %d", wanted->name, response.topics[0].error_code, wanted->error);
    expect_text(__LINE__, response.topics[0].error_message, wanted->message);
    if (wanted->error) {
        EQ(c.records.count, 0);
    } else {
        EQ(c.records.count, 1 + topic.configs_count + response.topics[0].num_partitions);
        cluster_apply(&c);
        const struct image_topic *made = image_topic_by_name(&c.image, topic.name);
        TRUE_(made && uuid_equal(made->id, response.topics[0].topic_id));
        EQ(made->partition_count, response.topics[0].num_partitions);
        EQ(image_partition(made, 0)->counts[IMAGE_REPLICAS], response.topics[0].replication_factor);
        EQ(made->config_count, topic.configs_count);
    }
    cluster_done(&c);
}

TEST(topics, are_created_or_refused_as_by_kafka)
{
    static char long_name[251], long_message[400];
    memset(long_name, 'x', 250);
    snprintf(long_message, sizeof long_message,
             "Topic name is invalid: the length of '%s' is longer than the max allowed length 249",
             long_name);
    const struct wanted cases[] = {
        {"new", 1, 1, NULL, NULL, ERROR_NONE, ""},
        {"new", -1, -1, NULL, NULL, ERROR_NONE, ""},
        {"new", 40, 2, NULL, NULL, ERROR_NONE, ""},
        {"new", 2, 3, NULL, NULL, ERROR_NONE, ""}, /* the fenced one too, outside the ISR */
        {"A-z_09.", 1, 1, NULL, NULL, ERROR_NONE, ""},
        {"...", 1, 1, NULL, NULL, ERROR_NONE, ""},
        {long_name + 1, 1, 1, NULL, NULL, ERROR_NONE, ""},
        {long_name, 1, 1, NULL, NULL, ERROR_INVALID_TOPIC_EXCEPTION, long_message},
        {"", 1, 1, NULL, NULL, ERROR_INVALID_TOPIC_EXCEPTION,
         "Topic name is invalid: the empty string is not allowed"},
        {".", 1, 1, NULL, NULL, ERROR_INVALID_TOPIC_EXCEPTION,
         "Topic name is invalid: '.' is not allowed"},
        {"..", 1, 1, NULL, NULL, ERROR_INVALID_TOPIC_EXCEPTION,
         "Topic name is invalid: '..' is not allowed"},
        {"a/b", 1, 1, NULL, NULL, ERROR_INVALID_TOPIC_EXCEPTION,
         "Topic name is invalid: 'a/b' contains one or more characters other than ASCII "
         "alphanumerics, '.', '_' and '-'"},
        {"old_one", 1, 1, NULL, NULL, ERROR_INVALID_TOPIC_EXCEPTION,
         "Topic 'old_one' collides with existing topic: old.one"},
        {"taken", 1, 1, NULL, NULL, ERROR_TOPIC_ALREADY_EXISTS, "Topic 'taken' already exists."},
        {"__cluster_metadata", 1, 1, NULL, NULL, ERROR_INVALID_REQUEST,
         "Creation of internal topic __cluster_metadata is prohibited."},
        {"new", 0, 1, NULL, NULL, ERROR_INVALID_PARTITIONS,
         "Number of partitions was set to an invalid non-positive value."},
        {"new", -2, 1, NULL, NULL, ERROR_INVALID_PARTITIONS,
         "Number of partitions was set to an invalid non-positive value."},
        {"new", INT32_MAX, 1, NULL, NULL, ERROR_POLICY_VIOLATION,
         "Unable to perform excessively large batch operation."},
        {"new", 1, 0, NULL, NULL, ERROR_INVALID_REPLICATION_FACTOR,
         "Replication factor must be larger than 0, or -1 to use the default value."},
        {"new", 1, 4, NULL, NULL, ERROR_INVALID_REPLICATION_FACTOR,
         "Unable to replicate the partition 4 time(s): The target replication factor of 4 cannot "
         "be reached because only 3 broker(s) are registered."},
        {"new", 1, 1, "segment.bytes", "2000000", ERROR_NONE, ""},
        {"new", 1, 1, "segment.bytes", "none", ERROR_INVALID_CONFIG,
         "segment.bytes=none: must be a whole number of 32 bits of [1048576,...]"},
        {"new", 1, 1, "segments.bytes", "1", ERROR_INVALID_CONFIG,
         "segments.bytes: no such setting; did you mean segment.bytes?"},
        {"new", 1, 1, "segment.bytes", NULL, ERROR_INVALID_CONFIG,
         "Null value not supported for topic configs: segment.bytes"},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++)
        try_create(&cases[i]);
}

/* By hand: "1,2;2,1" is partition 0 on 1 and 2, partition 1 on 2 and 1. "1:..." names the index. */
struct by_hand {
    int32_t indexes[3], replicas[3][3], counts[3], partitions;
    int32_t num_partitions;
    enum error error;
    const char *message;
};

TEST(topics, are_placed_by_hand)
{
    static const struct by_hand cases[] = {
        {{0, 1}, {{1, 2}, {2, 1}}, {2, 2}, 2, -1, ERROR_NONE, ""},
        {{1, 0}, {{1}, {2}}, {1, 1}, 2, -1, ERROR_NONE, ""},
        {{0}, {{2, 3}}, {2}, 1, -1, ERROR_NONE, ""},
        {{0},
         {{1}},
         {1},
         1,
         1,
         ERROR_INVALID_REQUEST,
         "A manual partition assignment was specified, but numPartitions was not set to -1."},
        {{0, 0},
         {{1}, {2}},
         {1, 1},
         2,
         -1,
         ERROR_INVALID_REPLICA_ASSIGNMENT,
         "Found multiple manual partition assignments for partition 0"},
        {{0, 2},
         {{1}, {2}},
         {1, 1},
         2,
         -1,
         ERROR_INVALID_REPLICA_ASSIGNMENT,
         "partitions should be a consecutive 0-based integer sequence"},
        {{0, 1},
         {{1, 2}, {2}},
         {2, 1},
         2,
         -1,
         ERROR_INVALID_REPLICA_ASSIGNMENT,
         "The manual partition assignment includes a partition with 1 replica(s), but this is not "
         "consistent with previous partitions, which have 2 replica(s)."},
        {{0},
         {{1, 1}},
         {2},
         1,
         -1,
         ERROR_INVALID_REPLICA_ASSIGNMENT,
         "The manual partition assignment includes the broker 1 more than once."},
        {{0},
         {{7}},
         {1},
         1,
         -1,
         ERROR_INVALID_REPLICA_ASSIGNMENT,
         "The manual partition assignment includes broker 7, but no such broker is registered."},
        {{0},
         {{0}},
         {0},
         1,
         -1,
         ERROR_INVALID_REPLICA_ASSIGNMENT,
         "The manual partition assignment includes an empty replica list."},
        {{0},
         {{3}},
         {1},
         1,
         -1,
         ERROR_INVALID_REPLICA_ASSIGNMENT,
         "All brokers specified in the manual partition assignment for partition 0 are fenced or "
         "in controlled shutdown."},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++) {
        const struct by_hand *wanted = &cases[i];
        struct cluster c;
        set_up(&c);
        struct create_topics_request_creatable_replica_assignment assignments[3];
        for (int p = 0; p < wanted->partitions; p++)
            assignments[p] = (struct create_topics_request_creatable_replica_assignment){
                .partition_index = wanted->indexes[p],
                .broker_ids = (int32_t *)(uintptr_t)wanted->replicas[p],
                .broker_ids_count = wanted->counts[p]};
        struct create_topics_request_creatable_topic topic;
        struct create_topics_request request;
        struct create_topics_response response;
        message_set_defaults(&create_topics_request_message, &request);
        message_set_defaults(&create_topics_request_creatable_topic_message, &topic);
        topic.name = STRING("hand");
        topic.num_partitions = wanted->num_partitions;
        topic.replication_factor = -1;
        topic.assignments = assignments;
        topic.assignments_count = wanted->partitions;
        request.topics = &topic;
        request.topics_count = 1;
        struct topics_view view = cluster_view(&c);
        EQ(topics_handle_create(&view, &request, &c.records, &response), ERROR_NONE);
        EQ(response.topics[0].error_code, wanted->error);
        expect_text(__LINE__, response.topics[0].error_message, wanted->message);
        cluster_apply(&c);
        const struct image_topic *made = image_topic_by_name(&c.image, topic.name);
        EQ(made != NULL, wanted->error == ERROR_NONE);
        for (int p = 0; made && p < wanted->partitions; p++) {
            int32_t count;
            const struct image_partition *partition = image_partition(made, wanted->indexes[p]);
            const int32_t *got = image_partition_list(partition, IMAGE_REPLICAS, &count);
            EQ(count, wanted->counts[p]);
            EQ(got[0], wanted->replicas[p][0]);
            EQ(partition->leader, got[0]);
        }
        cluster_done(&c);
    }
}

TEST(topics, of_one_request_are_decided_apart)
{
    struct cluster c;
    set_up(&c);
    struct create_topics_request_creatable_topic topics[4];
    static const char *const names[] = {"a", "b", "a", "taken"};
    struct create_topics_request request;
    struct create_topics_response response;
    message_set_defaults(&create_topics_request_message, &request);
    for (int i = 0; i < 4; i++) {
        message_set_defaults(&create_topics_request_creatable_topic_message, &topics[i]);
        topics[i].name = string_of(names[i]);
        topics[i].num_partitions = 2;
        topics[i].replication_factor = 1;
    }
    request.topics = topics;
    request.topics_count = 4;
    request.validate_only = true;
    struct topics_view view = cluster_view(&c);
    for (int round = 0; round < 2; round++) {
        EQ(topics_handle_create(&view, &request, &c.records, &response), ERROR_NONE);
        EQ(response.topics_count, 3);
        EQ(response.topics[0].error_code, ERROR_INVALID_REQUEST);
        expect_text(__LINE__, response.topics[0].error_message, "Duplicate topic name.");
        EQ(response.topics[1].error_code, ERROR_NONE);
        EQ(response.topics[2].error_code, ERROR_TOPIC_ALREADY_EXISTS);
        EQ(c.records.count, request.validate_only ? 0 : 3);
        request.validate_only = false;
    }
    TRUE_(response.topics[1].configs_count > 30);
    cluster_done(&c);
}

/* The two without settings of their own may share a list; the one between them must not. */
TEST(topics, of_one_request_are_described_each_by_its_own_settings)
{
    struct cluster c;
    set_up(&c);
    struct create_topics_request_creatable_topic topics[3];
    struct create_topics_request_creatable_topic_config config = {
        STRING("retention.ms"), STRING("77"), {0}};
    static const char *const names[] = {"a", "b", "c"};
    struct create_topics_request request;
    struct create_topics_response response;
    message_set_defaults(&create_topics_request_message, &request);
    for (int i = 0; i < 3; i++) {
        message_set_defaults(&create_topics_request_creatable_topic_message, &topics[i]);
        topics[i].name = string_of(names[i]);
        topics[i].num_partitions = topics[i].replication_factor = 1;
    }
    topics[1].configs = &config;
    topics[1].configs_count = 1;
    request.topics = topics;
    request.topics_count = 3;
    struct topics_view view = cluster_view(&c);
    EQ(topics_handle_create(&view, &request, &c.records, &response), ERROR_NONE);
    for (int i = 0; i < 3; i++) {
        EQ(response.topics[i].configs_count, response.topics[0].configs_count);
        int own = 0;
        for (int j = 0; j < response.topics[i].configs_count; j++)
            own += string_equal(response.topics[i].configs[j].name, STRING("retention.ms")) &&
                   string_equal(response.topics[i].configs[j].value, STRING("77"));
        EQ(own, i == 1);
    }
    cluster_done(&c);
}

TEST(topics, say_when_the_arena_is_too_small)
{
    struct cluster c;
    set_up(&c);
    struct create_topics_request_creatable_topic topic;
    struct create_topics_request request;
    struct create_topics_response response;
    message_set_defaults(&create_topics_request_message, &request);
    message_set_defaults(&create_topics_request_creatable_topic_message, &topic);
    topic.name = STRING("new");
    topic.num_partitions = 10;
    topic.replication_factor = 2;
    request.topics = &topic;
    request.topics_count = 1;
    int refused = 0;
    for (size_t budget = 0;; budget += 64) {
        struct arena arena;
        arena_init(&arena, budget);
        record_list_init(&c.records, &arena);
        struct topics_view view = {&c.image, &c.settings, &c.random, &arena};
        enum error error = topics_handle_create(&view, &request, &c.records, &response);
        bool fine = error == ERROR_NONE;
        EQ(error, fine ? ERROR_NONE : ERROR_NO_MEMORY);
        if (fine)
            EQ(c.records.count, 11);
        refused += !fine;
        arena_done(&arena);
        if (fine)
            break;
    }
    TRUE_(refused > 20);
    cluster_done(&c);
}

TEST(topics, are_made_when_metadata_asks)
{
    struct cluster c;
    set_up(&c);
    struct string names[] = {STRING("new"),
                             STRING("taken"),
                             STRING("a b"),
                             STRING("new"),
                             STRING("__consumer_offsets"),
                             STRING("old_one")};
    enum error want[] = {
        ERROR_NONE, ERROR_TOPIC_ALREADY_EXISTS,       ERROR_INVALID_TOPIC_EXCEPTION,
        ERROR_NONE, ERROR_UNKNOWN_TOPIC_OR_PARTITION, ERROR_INVALID_TOPIC_EXCEPTION};
    enum error got[6];
    c.settings.num_partitions = 5;
    struct topics_view view = cluster_view(&c);
    EQ(topics_handle_auto_create(&view, names, 6, &c.records, got), ERROR_NONE);
    for (int i = 0; i < 6; i++)
        EQ(got[i], want[i]);
    EQ(c.records.count, 6);
    cluster_apply(&c);
    EQ(image_topic_by_name(&c.image, STRING("new"))->partition_count, 5);
    struct string other = STRING("other");
    c.settings.auto_create_topics_enable = false;
    EQ(topics_handle_auto_create(&view, &other, 1, &c.records, got), ERROR_NONE);
    EQ(got[0], ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    c.settings.auto_create_topics_enable = true;
    c.settings.default_replication_factor = 9;
    EQ(topics_handle_auto_create(&view, &other, 1, &c.records, got), ERROR_NONE);
    EQ(got[0], ERROR_INVALID_REPLICATION_FACTOR);
    EQ(c.records.count, 0);
    cluster_done(&c);
}

TEST(topics, are_deleted_by_name_and_by_id)
{
    struct cluster c;
    set_up(&c);
    EQ(cluster_create(&c, "third", 1), ERROR_NONE);
    EQ(cluster_create(&c, "fourth", 1), ERROR_NONE);
    struct uuid taken = image_topic_by_name(&c.image, STRING("taken"))->id;
    struct uuid third = image_topic_by_name(&c.image, STRING("third"))->id;
    const struct {
        struct string name;
        struct uuid id;
        enum error error;
    } cases[] = {
        {STRING("old.one"), {{0}}, ERROR_NONE},
        {STRING_NULL, taken, ERROR_NONE},
        {STRING("nobody"), {{0}}, ERROR_UNKNOWN_TOPIC_OR_PARTITION},
        {STRING_NULL, {{77}}, ERROR_UNKNOWN_TOPIC_ID},
        {STRING_NULL, {{0}}, ERROR_INVALID_REQUEST},
        {STRING("fourth"), taken, ERROR_INVALID_REQUEST},
        {STRING("third"), {{0}}, ERROR_INVALID_REQUEST}, /* the same topic as the next */
        {STRING_NULL, third, ERROR_INVALID_REQUEST},
    };
    enum { COUNT = sizeof cases / sizeof cases[0] };
    struct delete_topics_request_delete_topic_state states[COUNT];
    for (int i = 0; i < COUNT; i++)
        states[i] = (struct delete_topics_request_delete_topic_state){.name = cases[i].name,
                                                                      .topic_id = cases[i].id};
    struct delete_topics_request request;
    struct delete_topics_response response;
    message_set_defaults(&delete_topics_request_message, &request);
    request.topics = states;
    request.topics_count = COUNT;
    struct topics_view view = cluster_view(&c);
    EQ(topics_handle_delete(&view, &request, &c.records, &response), ERROR_NONE);
    EQ(response.responses_count, COUNT);
    for (int i = 0; i < COUNT; i++)
        EQ(response.responses[i].error_code, cases[i].error);
    EQ(c.records.count, 2);
    cluster_apply(&c);
    TRUE_(string_equal(response.responses[1].name, STRING("taken")));
    TRUE_(image_topic_by_name(&c.image, STRING("taken")) == NULL);
    TRUE_(image_topic_by_name(&c.image, STRING("third")) != NULL);

    struct string old_style = STRING("third"); /* as versions up to 5 name it */
    message_set_defaults(&delete_topics_request_message, &request);
    request.topic_names = &old_style;
    request.topic_names_count = 1;
    c.settings.delete_topic_enable = false;
    EQ(topics_handle_delete(&view, &request, &c.records, &response), ERROR_NONE);
    EQ(response.responses[0].error_code, ERROR_TOPIC_DELETION_DISABLED);
    EQ(c.records.count, 0);
    c.settings.delete_topic_enable = true;
    EQ(topics_handle_delete(&view, &request, &c.records, &response), ERROR_NONE);
    EQ(response.responses[0].error_code, ERROR_NONE);
    EQ(c.records.count, 1);
    cluster_done(&c);
}

TEST(topics, grow)
{
    int32_t on_two[] = {2}, on_both[] = {1, 2};
    struct create_partitions_request_create_partitions_assignment one[] = {
        {.broker_ids = on_two, .broker_ids_count = 1}};
    struct create_partitions_request_create_partitions_assignment both[] = {
        {.broker_ids = on_both, .broker_ids_count = 2}};
    const struct {
        const char *name;
        int32_t count;
        struct create_partitions_request_create_partitions_assignment *assignments;
        int32_t assignments_count;
        enum error error;
        const char *message;
    } cases[] = {
        {"taken", 5, NULL, -1, ERROR_NONE, ""},
        {"taken", 4, one, 1, ERROR_NONE, ""},
        {"taken", 3, NULL, -1, ERROR_INVALID_PARTITIONS, "Topic already has 3 partition(s)."},
        {"taken", 2, NULL, -1, ERROR_INVALID_PARTITIONS,
         "The topic taken currently has 3 partition(s); 2 would not be an increase."},
        {"taken", INT32_MAX, NULL, -1, ERROR_INVALID_PARTITIONS,
         "Unable to perform excessively large batch operation."},
        {"taken", 5, one, 1, ERROR_INVALID_REPLICA_ASSIGNMENT,
         "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified."},
        {"taken", 4, both, 1, ERROR_INVALID_REPLICA_ASSIGNMENT,
         "The manual partition assignment includes a partition with 2 replica(s), but this is not "
         "consistent with previous partitions, which have 1 replica(s)."},
        {"nobody", 4, NULL, -1, ERROR_UNKNOWN_TOPIC_OR_PARTITION,
         "This server does not host this topic-partition."},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++) {
        struct cluster c;
        set_up(&c);
        struct create_partitions_request_create_partitions_topic topic = {
            .name = string_of(cases[i].name),
            .count = cases[i].count,
            .assignments = cases[i].assignments,
            .assignments_count = cases[i].assignments_count};
        struct create_partitions_request request;
        struct create_partitions_response response;
        message_set_defaults(&create_partitions_request_message, &request);
        request.topics = &topic;
        request.topics_count = 1;
        struct topics_view view = cluster_view(&c);
        request.validate_only = true;
        EQ(topics_handle_partitions(&view, &request, &c.records, &response), ERROR_NONE);
        EQ(response.results[0].error_code, cases[i].error);
        EQ(c.records.count, 0);
        request.validate_only = false;
        EQ(topics_handle_partitions(&view, &request, &c.records, &response), ERROR_NONE);
        EQ(response.results[0].error_code, cases[i].error);
        expect_text(__LINE__, response.results[0].error_message, cases[i].message);
        cluster_apply(&c);
        const struct image_topic *taken = image_topic_by_name(&c.image, STRING("taken"));
        EQ(taken->partition_count, cases[i].error ? 3 : cases[i].count);
        if (cases[i].assignments && !cases[i].error)
            EQ(image_partition(taken, 3)->leader, 2);
        cluster_done(&c);
    }
}

TEST(placement, gives_each_broker_as_many_leaders)
{
    struct cluster c;
    cluster_init(&c, 1);
    for (int32_t id = 10; id < 15; id++)
        cluster_register(&c, id, false);
    struct placement placement;
    EQ(placement_init(&placement, &c.image, 3, &c.random, &c.arena).error, ERROR_NONE);
    int leaders[5] = {0}, followers[5] = {0};
    for (int32_t id = 0; id < 100; id++) {
        int32_t replicas[3];
        placement_replicas(&placement, id, 3, replicas);
        TRUE_(replicas[0] != replicas[1] && replicas[0] != replicas[2] &&
              replicas[1] != replicas[2]);
        leaders[replicas[0] - 10]++;
        followers[replicas[1] - 10]++;
        followers[replicas[2] - 10]++;
    }
    for (int i = 0; i < 5; i++) {
        EQ(leaders[i], 20);
        EQ(followers[i], 40);
    }
    cluster_done(&c);
}
