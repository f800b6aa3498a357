#include "logic/leaders.h"
#include "unit/logic/cluster.h"

/* Of topic `name`, partition 0: no leader; ISR and ELR as given (count 0: empty). */
static void unlead(struct cluster *c, const char *name, int32_t isr, int32_t elr)
{
    const struct image_topic *topic = image_topic_by_name(&c->image, string_of(name));
    struct partition_change_record record;
    message_set_defaults(&partition_change_record_message, &record);
    record.topic_id = topic->id;
    record.partition_id = 0;
    record.leader = -1;
    record.isr = &isr;
    record.isr_count = isr > 0;
    record.eligible_leader_replicas = &elr;
    record.eligible_leader_replicas_count = elr > 0;
    EQ(image_apply(&c->image, partition_change_record_message.key, &record), ERROR_NONE);
}

static const struct image_partition *partition_of(struct cluster *c, const char *name)
{
    return image_partition(image_topic_by_name(&c->image, string_of(name)), 0);
}

TEST(leaders, are_the_node_that_is_there_again)
{
    struct cluster c;
    cluster_init(&c, 2);
    cluster_register(&c, 1, false);
    EQ(cluster_create(&c, "led", 3), ERROR_NONE);
    EQ(cluster_create(&c, "in-isr", 1), ERROR_NONE);
    EQ(cluster_create(&c, "in-elr", 1), ERROR_NONE);
    EQ(cluster_create(&c, "alone", 1), ERROR_NONE);
    leaders_elect(&c.image, 1, 100, &c.records);
    EQ(c.records.count, 0);
    unlead(&c, "in-isr", 1, 0);
    unlead(&c, "in-elr", 0, 1);
    unlead(&c, "alone", 0, 0);
    int32_t epoch = partition_of(&c, "in-isr")->leader_epoch, count;
    leaders_elect(&c.image, 2, 100, &c.records);
    EQ(c.records.count, 0); /* it has none of them */
    leaders_elect(&c.image, 1, 2, &c.records);
    EQ(c.records.count, 2);
    cluster_apply(&c);
    leaders_elect(&c.image, 1, 100, &c.records);
    EQ(c.records.count, 1);
    cluster_apply(&c);
    static const char *const names[] = {"in-isr", "in-elr", "alone"};
    for (int i = 0; i < 3; i++) {
        EQ(partition_of(&c, names[i])->leader, 1);
        EQ(image_partition_list(partition_of(&c, names[i]), IMAGE_ISR, &count)[0], 1);
        EQ(count, 1);
        (void)image_partition_list(partition_of(&c, names[i]), IMAGE_ELR, &count);
        EQ(count, 0);
        EQ(partition_of(&c, names[i])->leader_epoch, epoch + 1);
    }
    leaders_elect(&c.image, 1, 100, &c.records);
    EQ(c.records.count, 0);
    cluster_done(&c);
}
