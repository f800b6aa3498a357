/* DescribeTopicPartitions (KIP-966): topics in the order of their names, a limited number of
 * partitions in each answer, and a cursor to where the next one goes on. As Kafka's
 * DescribeTopicPartitionsRequestHandler and KRaftMetadataCache.describeTopicResponse.
 *
 * No topic named: all. Everything happens in one step, since it borrows from the image. */
#include "api/endpoints.h"
#include "api/offline_replicas.h"
#include "logic/topic_name.h"
#include <stdlib.h>

struct describe_topic_partitions {
    struct call call;
};
const uint16_t describe_topic_partitions_call_size = sizeof(struct describe_topic_partitions);

/* The names that are answered, sorted, without those before the cursor's. */
struct names {
    struct string *items;
    int32_t count;
};

static int compare(struct string a, struct string b)
{
    int32_t size = a.size < b.size ? a.size : b.size;
    int order = size > 0 ? memcmp(a.data, b.data, (size_t)size) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_items(const void *a, const void *b)
{
    return compare(*(const struct string *)a, *(const struct string *)b);
}

static void sort_once(struct names *names)
{
    if (names->count == 0)
        return;
    qsort(names->items, (size_t)names->count, sizeof *names->items, compare_items);
    int32_t kept = 1;
    for (int32_t i = 1; i < names->count; i++)
        if (!string_equal(names->items[i], names->items[kept - 1]))
            names->items[kept++] = names->items[i];
    names->count = kept;
}

static bool collect(struct call *call, struct names *names)
{
    const struct describe_topic_partitions_request *in = call->in;
    const struct image *image = &call->shard->image;
    bool all = in->topics_count <= 0;
    struct string from = in->cursor ? in->cursor->topic_name : STRING("");
    size_t most = (size_t)(all ? image->topic_count : in->topics_count);
    *names = (struct names){.items = call_take(call, most, sizeof(struct string))};
    if (!names->items)
        return false;
    uint32_t position = 0;
    for (size_t i = 0; i < most; i++) {
        struct string name =
            all ? image_topic_name(image_next_topic(image, &position)) : in->topics[i].name;
        if (compare(name, from) >= 0)
            names->items[names->count++] = name;
    }
    sort_once(names);
    return true;
}

/* A cursor that can't be: Kafka answers every topic that was named with INVALID_REQUEST. */
static bool is_cursor_good(const struct describe_topic_partitions_request *in,
                           const struct names *names)
{
    if (!in->cursor)
        return true;
    bool is_named = in->topics_count <= 0 ||
                    (names->count > 0 && string_equal(names->items[0], in->cursor->topic_name));
    return is_named && in->cursor->partition_index >= 0;
}

static bool refuse_all(struct call *call)
{
    const struct describe_topic_partitions_request *in = call->in;
    struct describe_topic_partitions_response *out = call->out;
    out->topics = call_take_messages(call, &describe_topic_partitions_response_topic_message,
                                     in->topics_count);
    if (!out->topics)
        return false;
    out->topics_count = in->topics_count;
    for (int32_t i = 0; i < in->topics_count; i++) {
        out->topics[i].error_code = ERROR_INVALID_REQUEST;
        out->topics[i].name = in->topics[i].name;
    }
    return true;
}

/* False: budget. */
static bool fill_partition(struct call *call, const struct image_partition *partition,
                           int32_t index, struct describe_topic_partitions_response_partition *out)
{
    out->partition_index = index;
    out->leader_id = partition->leader;
    out->leader_epoch = partition->leader_epoch;
    out->error_code = partition->leader < 0 ? ERROR_LEADER_NOT_AVAILABLE : ERROR_NONE;
    out->replica_nodes =
        (int32_t *)image_partition_list(partition, IMAGE_REPLICAS, &out->replica_nodes_count);
    out->isr_nodes = (int32_t *)image_partition_list(partition, IMAGE_ISR, &out->isr_nodes_count);
    out->eligible_leader_replicas =
        (int32_t *)image_partition_list(partition, IMAGE_ELR, &out->eligible_leader_replicas_count);
    out->last_known_elr = (int32_t *)image_partition_list(partition, IMAGE_LAST_KNOWN_ELR,
                                                          &out->last_known_elr_count);
    return offline_replicas_take(call, partition, &out->offline_replicas,
                                 &out->offline_replicas_count);
}

static bool set_cursor(struct call *call, struct string topic, int32_t index)
{
    struct describe_topic_partitions_response *out = call->out;
    out->next_cursor =
        call_take_messages(call, &describe_topic_partitions_response_cursor_message, 1);
    if (!out->next_cursor)
        return false;
    out->next_cursor->topic_name = topic;
    out->next_cursor->partition_index = index;
    return true;
}

/* The partitions of one topic from `first` on, at most *left of them, which it counts down. False:
 * budget. */
static bool fill_partitions(struct call *call, const struct image_topic *topic, int32_t first,
                            int32_t *left, struct describe_topic_partitions_response_topic *out)
{
    int32_t end = topic->partition_capacity;
    int32_t most = *left < topic->partition_count ? *left : topic->partition_count;
    out->partitions =
        call_take_messages(call, &describe_topic_partitions_response_partition_message, most);
    if (!out->partitions)
        return false;
    for (int32_t i = first; i < end; i++) {
        const struct image_partition *partition = image_partition(topic, i);
        if (!partition || partition->core < 0)
            continue;
        if (out->partitions_count == most)
            return set_cursor(call, out->name, i);
        if (!fill_partition(call, partition, i, &out->partitions[out->partitions_count++]))
            return false;
        --*left;
    }
    return true;
}

static bool fill(struct call *call, const struct names *names)
{
    const struct describe_topic_partitions_request *in = call->in;
    struct describe_topic_partitions_response *out = call->out;
    int32_t most = call->shard->broker->settings->max_request_partition_size_limit;
    int32_t left = in->response_partition_limit < most ? in->response_partition_limit : most;
    left = left < 1 ? 1 : left;
    out->topics =
        call_take_messages(call, &describe_topic_partitions_response_topic_message, names->count);
    if (!out->topics)
        return false;
    for (int32_t i = 0; i < names->count && !out->next_cursor; i++) {
        if (left == 0)
            return set_cursor(call, names->items[i], 0);
        const struct image_topic *topic = image_topic_by_name(&call->shard->image, names->items[i]);
        struct describe_topic_partitions_response_topic *to = &out->topics[out->topics_count++];
        to->name = names->items[i];
        to->is_internal = topic_name_is_internal(to->name);
        if (!topic) {
            to->error_code = topic_name_is_valid(to->name) ? ERROR_UNKNOWN_TOPIC_OR_PARTITION
                                                           : ERROR_INVALID_TOPIC_EXCEPTION;
            continue;
        }
        bool at_cursor = in->cursor && string_equal(to->name, in->cursor->topic_name);
        to->topic_id = topic->id;
        to->topic_authorized_operations = TOPIC_OPERATIONS;
        if (!fill_partitions(call, topic, at_cursor ? in->cursor->partition_index : 0, &left, to))
            return false;
    }
    return true;
}

static enum step describe_answer(struct flow *flow)
{
    struct call *call = (struct call *)flow;
    const struct describe_topic_partitions_request *in = call->in;
    struct names names;
    bool done = collect(call, &names) &&
                (is_cursor_good(in, &names) ? fill(call, &names) : refuse_all(call));
    if (done)
        call_reply(call, NULL);
    else
        call_refuse(call, "its answer is larger than request.arena.bytes");
    return STEP_NEXT;
}

const struct flow_kind describe_topic_partitions_kind = {"describe-topic-partitions",
                                                         {{"answer", describe_answer}}};
