#include "logic/alone.h"
#include "unit/logic/cluster.h"

TEST(alone, is_a_node_with_nothing_elsewhere)
{
    struct cluster c;
    char why[400] = "";
    cluster_init(&c, 2);
    TRUE_(alone_is(&c.image, 1, why, sizeof why));
    cluster_register(&c, 1, false);
    EQ(cluster_create(&c, "here", 3), ERROR_NONE);
    TRUE_(alone_is(&c.image, 1, why, sizeof why));
    TRUE_(!alone_is(&c.image, 2, why, sizeof why));
    TRUE_(strstr(why, "topic here, partition 0 has a replica on node 1"));
    cluster_register(&c, 7, true);
    TRUE_(!alone_is(&c.image, 1, why, sizeof why));
    TRUE_(strstr(why, "broker 7 is registered"));
    int32_t replicas[] = {1, 7};
    struct partition_change_record record;
    message_set_defaults(&partition_change_record_message, &record);
    record.topic_id = image_topic_by_name(&c.image, STRING("here"))->id;
    record.partition_id = 2;
    record.replicas = replicas;
    record.replicas_count = 2;
    EQ(image_apply(&c.image, partition_change_record_message.key, &record), ERROR_NONE);
    TRUE_(!alone_is(&c.image, 1, why, sizeof why));
    TRUE_(strstr(why, "topic here, partition 2 has a replica on node 7"));
    cluster_done(&c);
}
