/* Comparing two images: what tests and the simulator ask of cores that applied the same records. */
#include "logic/image.h"

static bool text_equal(const char *a, const char *b)
{
    return string_equal(string_of(a), string_of(b));
}

static bool brokers_equal(const struct image_broker *a, const struct image_broker *b)
{
    if (a->id != b->id || a->epoch != b->epoch || a->is_fenced != b->is_fenced ||
        a->in_controlled_shutdown != b->in_controlled_shutdown || !text_equal(a->rack, b->rack) ||
        !uuid_equal(a->incarnation_id, b->incarnation_id) ||
        a->endpoint_count != b->endpoint_count || a->log_dir_count != b->log_dir_count)
        return false;
    for (int32_t i = 0; i < a->endpoint_count; i++) {
        const struct image_endpoint *x = &a->endpoints[i], *y = &b->endpoints[i];
        if (!text_equal(x->name, y->name) || !text_equal(x->host, y->host) || x->port != y->port ||
            x->security_protocol != y->security_protocol)
            return false;
    }
    for (int32_t i = 0; i < a->log_dir_count; i++) {
        if (!uuid_equal(a->log_dirs[i], b->log_dirs[i]))
            return false;
    }
    return true;
}

static bool partitions_equal(const struct image_partition *a, const struct image_partition *b)
{
    if (!a || !b)
        return a == b;
    if (a->core != b->core || a->leader != b->leader || a->leader_epoch != b->leader_epoch ||
        a->partition_epoch != b->partition_epoch ||
        a->leader_recovery_state != b->leader_recovery_state)
        return false;
    for (int list = 0; list < IMAGE_LIST_COUNT; list++) {
        int32_t a_count, b_count;
        const int32_t *x = image_partition_list(a, (enum image_list)list, &a_count);
        const int32_t *y = image_partition_list(b, (enum image_list)list, &b_count);
        if (a_count != b_count || memcmp(x, y, (size_t)a_count * sizeof *x) != 0)
            return false;
    }
    return memcmp(a->directories, b->directories,
                  a->counts[IMAGE_REPLICAS] * sizeof *a->directories) == 0;
}

static bool topics_equal(const struct image_topic *a, const struct image_topic *b)
{
    if (!b || !string_equal(image_topic_name(a), image_topic_name(b)) ||
        a->partition_count != b->partition_count || a->config_count != b->config_count)
        return false;
    int32_t most = a->partition_capacity > b->partition_capacity ? a->partition_capacity
                                                                 : b->partition_capacity;
    for (int32_t i = 0; i < most; i++) {
        if (!partitions_equal(image_partition(a, i), image_partition(b, i)))
            return false;
    }
    for (int32_t i = 0; i < a->config_count; i++) {
        if (!text_equal(a->configs[i].name, b->configs[i].name) ||
            !text_equal(a->configs[i].value, b->configs[i].value))
            return false;
    }
    return true;
}

static bool epochs_equal(const struct image *a, const struct image *b)
{
    if (a->epoch != b->epoch || a->ignored_records != b->ignored_records)
        return false;
    uint32_t position = 0;
    const struct image_topic *topic;
    while ((topic = image_next_topic(a, &position))) {
        if (image_topic_by_id(b, topic->id)->changed_epoch != topic->changed_epoch)
            return false;
    }
    return true;
}

bool image_equal(const struct image *a, const struct image *b)
{
    return image_same(a, b) && epochs_equal(a, b);
}

bool image_same(const struct image *a, const struct image *b)
{
    if (a->next_producer_id != b->next_producer_id || a->topic_count != b->topic_count ||
        a->partition_count != b->partition_count || a->broker_count != b->broker_count ||
        a->feature_count != b->feature_count || a->core_count != b->core_count)
        return false;
    for (int32_t i = 0; i < a->core_count; i++) {
        if (a->core_load[i] != b->core_load[i])
            return false;
    }
    for (int32_t i = 0; i < a->broker_count; i++) {
        if (!brokers_equal(&a->brokers[i], &b->brokers[i]))
            return false;
    }
    for (int32_t i = 0; i < a->feature_count; i++) {
        if (a->features[i].level != image_feature_level(b, string_of(a->features[i].name)))
            return false;
    }
    uint32_t position = 0;
    const struct image_topic *topic;
    while ((topic = image_next_topic(a, &position))) {
        if (!topics_equal(topic, image_topic_by_id(b, topic->id)))
            return false;
    }
    return image_kept_same(&a->kept, &b->kept);
}
