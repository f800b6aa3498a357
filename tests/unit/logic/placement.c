/* Log directories of new partitions. */
#include "logic/placement.h"
#include "unit/logic/cluster.h"

static const struct uuid first = {{1}}, second = {{2}}, third = {{3}};

static void register_directories(struct cluster *c, int32_t id, const struct uuid *directories,
                                 int32_t count)
{
    struct register_broker_record record;
    message_set_defaults(&register_broker_record_message, &record);
    record.broker_id = id;
    record.fenced = false;
    record.log_dirs = (struct uuid *)(uintptr_t)directories;
    record.log_dirs_count = count;
    EQ(image_apply(&c->image, register_broker_record_message.key, &record), ERROR_NONE);
}

static struct uuid directory_of(const struct cluster *c, const char *topic, int32_t index)
{
    const struct image_topic *found = image_topic_by_name(&c->image, string_of(topic));
    return image_partition_directory(image_partition(found, index), c->settings.node_id);
}

TEST(placement, fills_the_directory_with_the_fewest_partitions)
{
    struct cluster c;
    cluster_init(&c, 2);
    const struct uuid both[] = {second, first};
    register_directories(&c, c.settings.node_id, both, 2);
    EQ(cluster_create(&c, "one", 3), ERROR_NONE);
    TRUE_(uuid_equal(directory_of(&c, "one", 0), second)); /* of several with as few, the first */
    TRUE_(uuid_equal(directory_of(&c, "one", 1), first));
    TRUE_(uuid_equal(directory_of(&c, "one", 2), second));
    EQ(image_directory_load(&c.image, first), 1);
    EQ(image_directory_load(&c.image, second), 2);
    EQ(cluster_create(&c, "two", 1), ERROR_NONE);
    TRUE_(uuid_equal(directory_of(&c, "two", 0), first));
    const struct uuid all[] = {second, first, third}; /* one more: it is filled up first */
    register_directories(&c, c.settings.node_id, all, 3);
    EQ(cluster_create(&c, "three", 3), ERROR_NONE);
    EQ(image_directory_load(&c.image, first), 2);
    EQ(image_directory_load(&c.image, second), 3);
    EQ(image_directory_load(&c.image, third), 2);
    cluster_done(&c);
}

TEST(placement, leaves_out_a_directory_that_has_failed)
{
    struct cluster c;
    cluster_init(&c, 1);
    const struct uuid both[] = {first, second};
    register_directories(&c, c.settings.node_id, both, 2);
    struct broker_registration_change_record change;
    message_set_defaults(&broker_registration_change_record_message, &change);
    change.broker_id = c.settings.node_id;
    change.log_dirs = (struct uuid *)(uintptr_t)&both[1];
    change.log_dirs_count = 1;
    EQ(image_apply(&c.image, broker_registration_change_record_message.key, &change), ERROR_NONE);
    EQ(cluster_create(&c, "t", 4), ERROR_NONE);
    EQ(image_directory_load(&c.image, first), 0);
    EQ(image_directory_load(&c.image, second), 4);
    cluster_done(&c);
}

TEST(placement, counts_what_is_moved_and_what_is_gone)
{
    struct cluster c;
    cluster_init(&c, 1);
    const struct uuid both[] = {first, second};
    register_directories(&c, c.settings.node_id, both, 2);
    EQ(cluster_create(&c, "t", 2), ERROR_NONE);
    const struct image_topic *topic = image_topic_by_name(&c.image, STRING("t"));
    struct partition_change_record change;
    message_set_defaults(&partition_change_record_message, &change);
    change.topic_id = topic->id;
    change.partition_id = 0;
    change.directories = (struct uuid *)(uintptr_t)&both[1];
    change.directories_count = 1;
    EQ(image_apply(&c.image, partition_change_record_message.key, &change), ERROR_NONE);
    TRUE_(uuid_equal(directory_of(&c, "t", 0), second));
    EQ(image_directory_load(&c.image, first), 0);
    EQ(image_directory_load(&c.image, second), 2);
    struct remove_topic_record gone = {.topic_id = topic->id};
    EQ(image_apply(&c.image, remove_topic_record_message.key, &gone), ERROR_NONE);
    EQ(image_directory_load(&c.image, second), 0);
    cluster_done(&c);
}

TEST(placement, tells_replicas_in_a_directory_that_is_gone)
{
    struct cluster c;
    int32_t ids[3];
    cluster_init(&c, 1);
    const struct uuid both[] = {first, second};
    register_directories(&c, c.settings.node_id, both, 2);
    EQ(cluster_create(&c, "t", 2), ERROR_NONE);
    const struct image_topic *topic = image_topic_by_name(&c.image, STRING("t"));
    EQ(image_offline_replicas(&c.image, image_partition(topic, 1), NULL), 0);
    register_directories(&c, c.settings.node_id, both, 1);
    EQ(image_offline_replicas(&c.image, image_partition(topic, 0), NULL), 0);
    EQ(image_offline_replicas(&c.image, image_partition(topic, 1), ids), 1);
    EQ(ids[0], c.settings.node_id);
    cluster_done(&c);
}
