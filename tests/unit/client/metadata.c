#include "metadata.h"
#include "support/test.h"

static void fill(struct metadata_response *response, struct metadata_response_broker *brokers,
                 struct metadata_response_topic *topic,
                 struct metadata_response_partition *partitions)
{
    message_set_defaults(&metadata_response_message, response);
    for (int i = 0; i < 2; i++) {
        message_set_defaults(&metadata_response_broker_message, &brokers[i]);
        brokers[i].node_id = i + 1;
        brokers[i].host = STRING("h");
        brokers[i].port = 9092 + i;
    }
    message_set_defaults(&metadata_response_topic_message, topic);
    topic->name = STRING("orders");
    topic->partitions = partitions;
    topic->partitions_count = 3;
    for (int i = 0; i < 3; i++) { /* in falling order */
        message_set_defaults(&metadata_response_partition_message, &partitions[i]);
        partitions[i].partition_index = 2 - i;
        partitions[i].leader_id = 1 + i % 2;
    }
    response->brokers = brokers;
    response->brokers_count = 2;
    response->topics = topic;
    response->topics_count = 1;
}

TEST(metadata, keeps_a_copy_by_partition_index)
{
    struct metadata_response response;
    struct metadata_response_broker brokers[2];
    struct metadata_response_topic topic;
    struct metadata_response_partition partitions[3];
    fill(&response, brokers, &topic, partitions);
    struct metadata metadata;
    metadata_init(&metadata);
    metadata_update(&metadata, &response);
    metadata_update(&metadata, &response);
    memset(partitions, 0xff, sizeof partitions);
    const struct metadata_topic *found = metadata_topic_named(&metadata, STRING("orders"));
    TRUE_(found != NULL);
    EQ(found->partition_count, 3);
    EQ(found->partitions[0].leader, 1);
    EQ(found->partitions[1].leader, 2);
    EQ(found->partitions[2].leader, 1);
    TRUE_(metadata_is_ready(&metadata, found));
    EQ(metadata_node_of(&metadata, 2)->address.port, 9093);
    TRUE_(metadata_node_of(&metadata, 3) == NULL);
    TRUE_(metadata_topic_named(&metadata, STRING("order")) == NULL);
    metadata_done(&metadata);
}

TEST(metadata, what_can_not_be_is_left_out_and_not_ready)
{
    struct metadata_response response;
    struct metadata_response_broker brokers[2];
    struct metadata_response_topic topic;
    struct metadata_response_partition partitions[3];
    struct metadata metadata;
    metadata_init(&metadata);
    for (int wrong = 0; wrong < 6; wrong++) {
        fill(&response, brokers, &topic, partitions);
        if (wrong == 0)
            partitions[0].partition_index = 3;
        else if (wrong == 1)
            partitions[0].partition_index = -1;
        else if (wrong == 2)
            brokers[0].port = 70000;
        else if (wrong == 3)
            partitions[1].leader_id = -1;
        else if (wrong == 4)
            topic.error_code = ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        else
            topic.partitions_count = -1;
        metadata_update(&metadata, &response);
        const struct metadata_topic *found = metadata_topic_named(&metadata, STRING("orders"));
        TRUE_(found != NULL && !metadata_is_ready(&metadata, found));
    }
    metadata_done(&metadata);
}
