#include "cluster.h"
#include <stdio.h>

TEST(image, finds_topics_by_name_and_id)
{
    struct cluster c;
    cluster_init(&c, 1);
    cluster_register(&c, 1, false);
    EQ(cluster_create(&c, "orders", 3), ERROR_NONE);
    const struct image_topic *topic = image_topic_by_name(&c.image, STRING("orders"));
    TRUE_(topic != NULL);
    TRUE_(image_topic_by_id(&c.image, topic->id) == topic);
    EQ(topic->partition_count, 3);
    EQ(c.image.partition_count, 3);
    TRUE_(image_topic_by_name(&c.image, STRING("order")) == NULL);
    TRUE_(image_topic_by_name(&c.image, STRING_NULL) == NULL);
    const struct image_partition *partition = image_partition(topic, 2);
    EQ(partition->leader, 1);
    EQ(partition->leader_epoch, 0);
    EQ(partition->partition_epoch, 0);
    EQ(partition->directories[0].bytes[15], 1);
    int32_t count;
    EQ(image_partition_list(partition, IMAGE_REPLICAS, &count)[0], 1);
    EQ(count, 1);
    EQ(image_partition_list(partition, IMAGE_ISR, &count)[0], 1);
    EQ(count, 1);
    (void)image_partition_list(partition, IMAGE_ELR, &count); /* only how many */
    EQ(count, 0);
    TRUE_(image_partition(topic, 3) == NULL);
    TRUE_(image_partition(topic, -1) == NULL);
    cluster_done(&c);
}

TEST(image, gives_a_recreated_topic_a_new_id_and_its_cores_back)
{
    struct cluster c;
    cluster_init(&c, 4);
    cluster_register(&c, 1, false);
    EQ(cluster_create(&c, "other", 2), ERROR_NONE);
    EQ(cluster_create(&c, "orders", 6), ERROR_NONE);
    struct uuid first = image_topic_by_name(&c.image, STRING("orders"))->id;
    struct remove_topic_record remove = {.topic_id = first};
    EQ(image_apply(&c.image, remove_topic_record_message.key, &remove), ERROR_NONE);
    EQ(c.image.partition_count, 2);
    EQ(c.image.core_load[0], 1);
    EQ(c.image.core_load[1], 1);
    EQ(c.image.core_load[2], 0);
    EQ(c.image.core_load[3], 0);
    TRUE_(image_topic_by_id(&c.image, first) == NULL);
    EQ(image_partition_core(&c.image, first, 0), -1);
    EQ(image_apply(&c.image, remove_topic_record_message.key, &remove), ERROR_UNKNOWN_TOPIC_ID);
    EQ(cluster_create(&c, "orders", 1), ERROR_NONE);
    const struct image_topic *again = image_topic_by_name(&c.image, STRING("orders"));
    TRUE_(!uuid_equal(first, again->id));
    EQ(again->id.bytes[6] >> 4, 4);
    EQ(again->id.bytes[8] >> 6, 2);
    EQ(image_partition_core(&c.image, again->id, 0), 2);
    cluster_done(&c);
}

TEST(image, keeps_the_cores_balanced)
{
    struct cluster c;
    cluster_init(&c, 7);
    cluster_register(&c, 1, false);
    char name[32];
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "t%d", i);
        EQ(cluster_create(&c, name, 1 + i % 9), ERROR_NONE);
    }
    int32_t least = INT32_MAX, most = 0, sum = 0;
    for (int i = 0; i < 7; i++) {
        least = c.image.core_load[i] < least ? c.image.core_load[i] : least;
        most = c.image.core_load[i] > most ? c.image.core_load[i] : most;
        sum += c.image.core_load[i];
    }
    TRUE_(most - least <= 1);
    EQ(sum, c.image.partition_count);
    cluster_done(&c);
}

TEST(image, merges_changes_of_partitions)
{
    struct cluster c;
    cluster_init(&c, 2);
    for (int32_t id = 1; id <= 3; id++)
        cluster_register(&c, id, false);
    struct uuid id = {{9}};
    struct topic_record topic = {.name = STRING("t"), .topic_id = id};
    EQ(image_apply(&c.image, 2, &topic), ERROR_NONE);
    int32_t replicas[] = {1, 2, 3}, shrunk[] = {1, 3};
    struct uuid directories[] = {{{1}}, {{2}}, {{3}}};
    struct partition_record partition;
    message_set_defaults(&partition_record_message, &partition);
    partition.partition_id = 0;
    partition.topic_id = id;
    partition.replicas = partition.isr = replicas;
    partition.replicas_count = partition.isr_count = partition.directories_count = 3;
    partition.directories = directories;
    partition.leader = 2;
    partition.leader_epoch = 7;
    partition.partition_epoch = 11;
    EQ(image_apply(&c.image, 3, &partition), ERROR_NONE);

    struct partition_change_record change;
    message_set_defaults(&partition_change_record_message, &change);
    change.partition_id = 0;
    change.topic_id = id;
    change.isr = shrunk;
    change.isr_count = 2;
    EQ(image_apply(&c.image, 5, &change), ERROR_NONE);
    const struct image_partition *p = image_partition(image_topic_by_id(&c.image, id), 0);
    EQ(p->leader, 2);
    EQ(p->leader_epoch, 7);
    EQ(p->partition_epoch, 12);
    int32_t count;
    EQ(image_partition_list(p, IMAGE_ISR, &count)[1], 3);
    EQ(count, 2);
    EQ(image_partition_list(p, IMAGE_REPLICAS, &count)[2], 3);
    EQ(count, 3);
    EQ(p->directories[2].bytes[0], 3);

    message_set_defaults(&partition_change_record_message, &change);
    change.partition_id = 0;
    change.topic_id = id;
    change.leader = 3;
    change.eligible_leader_replicas = replicas + 1;
    change.eligible_leader_replicas_count = 1;
    EQ(image_apply(&c.image, 5, &change), ERROR_NONE);
    EQ(p->leader, 3);
    EQ(p->leader_epoch, 8);
    EQ(p->partition_epoch, 13);
    EQ(image_partition_list(p, IMAGE_ELR, &count)[0], 2);
    EQ(count, 1);
    (void)image_partition_list(p, IMAGE_ISR, &count); /* only how many */
    EQ(count, 2);

    change.partition_id = 1;
    EQ(image_apply(&c.image, 5, &change), ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    cluster_done(&c);
}

TEST(image, keeps_settings_of_topics)
{
    struct cluster c;
    cluster_init(&c, 1);
    cluster_register(&c, 1, false);
    EQ(cluster_create(&c, "t", 1), ERROR_NONE);
    const struct image_topic *topic = image_topic_by_name(&c.image, STRING("t"));
    struct config_record config = {.resource_type = IMAGE_RESOURCE_TOPIC,
                                   .resource_name = STRING("t"),
                                   .name = STRING("segment.bytes"),
                                   .value = STRING("2000000")};
    struct topic_settings settings;
    uint64_t before = topic->changed_epoch;
    EQ(image_apply(&c.image, config_record_message.key, &config), ERROR_NONE);
    TRUE_(topic->changed_epoch > before);
    image_topic_settings(topic, &c.settings, &settings);
    EQ(settings.segment_bytes, 2000000);
    config.value = STRING("3000000");
    EQ(image_apply(&c.image, config_record_message.key, &config), ERROR_NONE);
    EQ(topic->config_count, 1);
    image_topic_settings(topic, &c.settings, &settings);
    EQ(settings.segment_bytes, 3000000);
    config.value = STRING_NULL;
    EQ(image_apply(&c.image, config_record_message.key, &config), ERROR_NONE);
    EQ(topic->config_count, 0);
    image_topic_settings(topic, &c.settings, &settings);
    EQ(settings.segment_bytes, 1 << 30);
    config.resource_name = STRING("nobody");
    EQ(image_apply(&c.image, config_record_message.key, &config), ERROR_NONE);
    EQ(c.image.ignored_records, 1);
    cluster_done(&c);
}

TEST(image, follows_brokers_and_features)
{
    struct cluster c;
    cluster_init(&c, 1);
    cluster_register(&c, 5, true);
    cluster_register(&c, 2, false);
    cluster_register(&c, 9, false);
    EQ(c.image.broker_count, 3);
    EQ(c.image.brokers[0].id, 2);
    EQ(c.image.brokers[2].id, 9);
    TRUE_(image_broker(&c.image, 5)->is_fenced);
    struct broker_registration_change_record change;
    message_set_defaults(&broker_registration_change_record_message, &change);
    change.broker_id = 5;
    change.fenced = -1;
    EQ(image_apply(&c.image, 17, &change), ERROR_NONE);
    TRUE_(!image_broker(&c.image, 5)->is_fenced);
    struct fence_broker_record fence = {.id = 2};
    EQ(image_apply(&c.image, 7, &fence), ERROR_NONE);
    TRUE_(image_broker(&c.image, 2)->is_fenced);
    cluster_register(&c, 2, false); /* again: replaces */
    EQ(c.image.broker_count, 3);
    TRUE_(!image_broker(&c.image, 2)->is_fenced);
    struct unregister_broker_record gone = {.broker_id = 5};
    EQ(image_apply(&c.image, 1, &gone), ERROR_NONE);
    EQ(image_apply(&c.image, 1, &gone), ERROR_BROKER_ID_NOT_REGISTERED);
    TRUE_(image_broker(&c.image, 5) == NULL);
    struct feature_level_record feature = {.name = STRING("metadata.version"), .feature_level = 27};
    EQ(image_feature_level(&c.image, STRING("metadata.version")), 0);
    EQ(image_apply(&c.image, 12, &feature), ERROR_NONE);
    EQ(image_feature_level(&c.image, STRING("metadata.version")), 27);
    uint64_t epoch = c.image.epoch;
    EQ(image_apply(&c.image, no_op_record_message.key, NULL), ERROR_NONE);
    EQ(c.image.ignored_records, 0);
    EQ(image_apply(&c.image, 23, NULL), ERROR_NONE); /* the beginning of a transaction */
    EQ(c.image.ignored_records, 1);
    EQ(c.image.epoch, epoch + 2);
    cluster_done(&c);
}

TEST(image, refuses_records_that_cannot_be_true)
{
    struct cluster c;
    cluster_init(&c, 1);
    cluster_register(&c, 1, false);
    EQ(cluster_create(&c, "t", 1), ERROR_NONE);
    struct topic_record twin = {.name = STRING("t"), .topic_id = {{7}}};
    EQ(image_apply(&c.image, 2, &twin), ERROR_TOPIC_ALREADY_EXISTS);
    twin.name = STRING_NULL;
    EQ(image_apply(&c.image, 2, &twin), ERROR_MALFORMED);
    struct partition_record partition;
    int32_t one = 1;
    message_set_defaults(&partition_record_message, &partition);
    partition.replicas = &one;
    partition.replicas_count = 1;
    partition.partition_id = 1;
    EQ(image_apply(&c.image, 3, &partition), ERROR_UNKNOWN_TOPIC_ID);
    partition.topic_id = image_topic_by_name(&c.image, STRING("t"))->id;
    partition.partition_id = -1;
    EQ(image_apply(&c.image, 3, &partition), ERROR_MALFORMED);
    partition.partition_id = INT32_MAX;
    EQ(image_apply(&c.image, 3, &partition), ERROR_MALFORMED);
    partition.partition_id = 1;
    partition.replicas_count = 0;
    EQ(image_apply(&c.image, 3, &partition), ERROR_MALFORMED);
    partition.replicas_count = IMAGE_REPLICAS_MAX + 1;
    EQ(image_apply(&c.image, 3, &partition), ERROR_MALFORMED);
    EQ(c.image.partition_count, 1);
    EQ(c.image.core_load[0], 1);
    cluster_done(&c);
}

/* One random record, from few enough names, ids and brokers that most of them meet. */
static void apply_random(struct random *random, struct image *one, struct image *two)
{
    char name[16];
    snprintf(name, sizeof name, "t%c%d", random_once_in(random, 2) ? '.' : '_',
             (int)random_below(random, 6));
    struct uuid id = {{(uint8_t)(1 + random_below(random, 12))}};
    int32_t ids[4];
    for (int i = 0; i < 4; i++)
        ids[i] = (int32_t)random_below(random, 4);
    int32_t count = 1 + (int32_t)random_below(random, 4), partition_id;
    partition_id = (int32_t)random_below(random, 20);
    struct uuid directories[4] = {{{1}}, {{2}}, {{3}}, {{4}}};
    union {
        struct topic_record topic;
        struct partition_record partition;
        struct partition_change_record change;
        struct remove_topic_record remove;
        struct config_record config;
        struct register_broker_record broker;
        struct unregister_broker_record unregister;
    } r;
    static const int16_t types[] = {2, 2, 3, 3, 3, 3, 5, 5, 9, 4, 4, 0, 1, 20, 18};
    int16_t type = types[random_below(random, sizeof types / sizeof types[0])];
    const struct message *message = message_find(MESSAGE_METADATA_RECORD, type);
    if (message->size <= sizeof r)
        message_set_defaults(message, &r);
    if (type == 2) {
        r.topic = (struct topic_record){.name = string_of(name), .topic_id = id};
    } else if (type == 3) {
        r.partition.topic_id = id;
        r.partition.partition_id = partition_id;
        r.partition.replicas = r.partition.isr = ids;
        r.partition.replicas_count = r.partition.isr_count = count;
        r.partition.directories = directories;
        r.partition.directories_count = count;
        r.partition.leader = ids[0];
    } else if (type == 5) {
        r.change.topic_id = id;
        r.change.partition_id = partition_id;
        r.change.isr = ids;
        r.change.isr_count = random_once_in(random, 2) ? count : -1;
        r.change.leader = random_once_in(random, 2) ? ids[0] : -2;
    } else if (type == 9) {
        r.remove.topic_id = id;
    } else if (type == 4) {
        r.config = (struct config_record){
            .resource_type = 2,
            .resource_name = string_of(name),
            .name = random_once_in(random, 2) ? STRING("a") : STRING("b"),
            .value = random_once_in(random, 4) ? STRING_NULL : string_of(name)};
    } else if (type <= 1) {
        r.broker.broker_id = ids[0]; /* the first field of both */
        r.unregister.broker_id = ids[0];
    }
    EQ(image_apply(one, type, &r), image_apply(two, type, &r));
}

/* Invariants 2 and 3 of image.h, counted anew. */
static void count_anew(const struct image *image)
{
    int32_t load[16] = {0}, total = 0;
    uint32_t position = 0;
    const struct image_topic *topic;
    while ((topic = image_next_topic(image, &position))) {
        int32_t here = 0;
        for (int32_t i = 0; i < topic->partition_capacity; i++) {
            const struct image_partition *partition = image_partition(topic, i);
            if (partition) {
                here++;
                load[partition->core]++;
            }
        }
        EQ(here, topic->partition_count);
        TRUE_(image_topic_by_name(image, image_topic_name(topic)) == topic);
        total += here;
    }
    EQ(total, image->partition_count);
    for (int i = 0; i < image->core_count; i++)
        EQ(load[i], image->core_load[i]);
}

TEST(image, is_the_same_after_the_same_records)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct random random;
        struct image one, two;
        random_seed(&random, seed);
        int cores = 1 + (int)random_below(&random, 8);
        image_init(&one, cores, seed);
        image_init(&two, cores, seed * 1000 + 77); /* the maps' seeds must not matter */
        for (int i = 0; i < 500; i++) {
            apply_random(&random, &one, &two);
            if (i % 50 == 49) {
                TRUE_(image_equal(&one, &two));
                count_anew(&one);
            }
        }
        TRUE_(image_equal(&one, &two));
        struct feature_level_record feature = {.name = STRING("f"), .feature_level = 1};
        image_apply(&one, 12, &feature);
        TRUE_(!image_equal(&one, &two));
        image_done(&one);
        image_done(&two);
    }
}

static void set_elr(struct cluster *c, int32_t partition, int32_t *ids, int32_t elr, int32_t last)
{
    struct partition_change_record change;
    message_set_defaults(&partition_change_record_message, &change);
    change.partition_id = partition;
    change.topic_id = image_topic_by_name(&c->image, STRING("t"))->id;
    change.eligible_leader_replicas = change.last_known_elr = ids;
    change.eligible_leader_replicas_count = elr;
    change.last_known_elr_count = last;
    EQ(image_apply(&c->image, 5, &change), ERROR_NONE);
}

TEST(image, forgets_eligible_leaders_where_a_record_says_so)
{
    struct cluster c;
    cluster_init(&c, 1);
    cluster_register(&c, 1, false);
    EQ(cluster_create(&c, "t", 3), ERROR_NONE);
    const struct image_topic *topic = image_topic_by_name(&c.image, STRING("t"));
    int32_t ids[2] = {4, 5}, epochs[3];
    set_elr(&c, 0, ids, 2, 1);
    set_elr(&c, 1, ids, 0, 1);
    for (int i = 0; i < 3; i++)
        epochs[i] = image_partition(topic, i)->partition_epoch;
    struct clear_elr_record other = {.topic_name = STRING("nobody")};
    EQ(image_apply(&c.image, 28, &other), ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    for (int all = 0; all < 2; all++) {
        struct clear_elr_record clear = {.topic_name = all ? STRING("") : STRING("t")};
        EQ(image_apply(&c.image, 28, &clear), ERROR_NONE);
        for (int i = 0; i < 3; i++) {
            const struct image_partition *partition = image_partition(topic, i);
            EQ(partition->counts[IMAGE_ELR] + partition->counts[IMAGE_LAST_KNOWN_ELR], 0);
            EQ(partition->partition_epoch, epochs[i] + (i < 2));
        }
    }
    EQ(c.image.ignored_records, 0);
    cluster_done(&c);
}
