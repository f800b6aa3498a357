/* Metadata: brokers, topics and partitions, from this core's image.
 *
 * check: which of the topics asked for are not there, and may be made?
 *   none: answer
 *   some: one machine request makes them; once every core has applied its records, answer
 *
 * All topics are meant by null from version 1 on, and in version 0 by an empty list. */
#include "api/endpoints.h"
#include "api/offline_replicas.h"
#include "api/route.h"
#include "base/check.h"
#include "cluster/machine.h"
#include "logic/topic_name.h"
#include "logic/topics.h"

struct metadata {
    struct call call;
    struct machine_request machine;
    struct string *missing;
    enum error *missing_errors;
    int32_t missing_count;
    bool failed; /* budget */
};
const uint16_t metadata_call_size = sizeof(struct metadata);

static bool wants_all(const struct call *call)
{
    const struct metadata_request *in = call->in;
    return in->topics_count < 0 || (call->version == 0 && in->topics_count == 0);
}

static void make_topics(struct machine_request *machine, const struct image *image)
{
    struct metadata *metadata = CONTAINER_OF(machine, struct metadata, machine);
    struct broker *broker = metadata->call.shard->broker;
    struct topics_view view = {.image = image,
                               .settings = broker->settings,
                               .random = &broker->shards[0].random,
                               .arena = machine->arena};
    metadata->failed =
        topics_handle_auto_create(&view, metadata->missing, metadata->missing_count,
                                  &machine->records, metadata->missing_errors) != ERROR_NONE;
}

/* Notes the names that are not there and that a client may make. False: budget. */
static bool find_missing(struct metadata *metadata)
{
    struct call *call = &metadata->call;
    const struct metadata_request *in = call->in;
    if (wants_all(call) || (call->version >= 4 && !in->allow_auto_topic_creation) ||
        !call->shard->broker->settings->auto_create_topics_enable)
        return true;
    for (int32_t i = 0; i < in->topics_count; i++) {
        struct string name = in->topics[i].name;
        if (name.size < 0 || image_topic_by_name(&call->shard->image, name))
            continue;
        if (!metadata->missing) {
            size_t most = (size_t)in->topics_count;
            metadata->missing = call_take(call, most, sizeof *metadata->missing);
            metadata->missing_errors = call_take(call, most, sizeof *metadata->missing_errors);
            if (!metadata->missing || !metadata->missing_errors)
                return false;
        }
        metadata->missing[metadata->missing_count++] = name;
    }
    return true;
}

static enum step metadata_check(struct flow *flow)
{
    struct metadata *metadata = (struct metadata *)flow;
    struct call *call = &metadata->call;
    metadata->failed = !find_missing(metadata);
    if (metadata->failed)
        return STEP_FAIL;
    if (metadata->missing_count > 0) {
        metadata->machine.handle = make_topics;
        metadata->machine.arena = &call->request->arena;
        machine_start(&metadata->machine, call->shard, flow);
    }
    request_next(call->request);
    return STEP_NEXT;
}

/* -- the answer ---------------------------------------------------------------------------- */

static void fill_address(struct call *call, const struct image_broker *broker,
                         struct metadata_response_broker *out)
{
    struct endpoint endpoint = endpoint_of(call, broker);
    out->host = endpoint.host;
    out->port = endpoint.port;
}

static bool fill_brokers(struct call *call, struct metadata_response *out)
{
    const struct image *image = &call->shard->image;
    struct broker *self = call->shard->broker;
    out->brokers =
        call_take_messages(call, &metadata_response_broker_message, image->broker_count + 1);
    if (!out->brokers)
        return false;
    if (!image_broker(image, self->node_id)) {
        struct metadata_response_broker *to = &out->brokers[out->brokers_count++];
        to->node_id = self->node_id;
        fill_address(call, NULL, to);
    }
    for (int32_t i = 0; i < image->broker_count; i++) {
        const struct image_broker *broker = &image->brokers[i];
        if (broker->is_fenced && broker->id != self->node_id)
            continue;
        struct metadata_response_broker *to = &out->brokers[out->brokers_count++];
        to->node_id = broker->id;
        to->rack = string_of(broker->rack);
        fill_address(call, broker, to);
    }
    out->cluster_id = string_of(self->cluster_id);
    out->controller_id = self->node_id;
    return true;
}

/* False: budget. */
static bool fill_partition(struct call *call, const struct image_partition *partition,
                           int32_t index, struct metadata_response_partition *out)
{
    out->partition_index = index;
    out->leader_id = partition->leader;
    out->leader_epoch = partition->leader_epoch;
    out->error_code = partition->leader < 0 ? ERROR_LEADER_NOT_AVAILABLE : ERROR_NONE;
    out->replica_nodes =
        (int32_t *)image_partition_list(partition, IMAGE_REPLICAS, &out->replica_nodes_count);
    out->isr_nodes = (int32_t *)image_partition_list(partition, IMAGE_ISR, &out->isr_nodes_count);
    return offline_replicas_take(call, partition, &out->offline_replicas,
                                 &out->offline_replicas_count);
}

static bool fill_topic(struct call *call, const struct image_topic *topic,
                       struct metadata_response_topic *out)
{
    const struct metadata_request *in = call->in;
    out->name = image_topic_name(topic);
    out->topic_id = topic->id;
    out->is_internal = topic_name_is_internal(out->name);
    if (in->include_topic_authorized_operations)
        out->topic_authorized_operations = TOPIC_OPERATIONS;
    out->partitions =
        call_take_messages(call, &metadata_response_partition_message, topic->partition_count);
    if (!out->partitions)
        return false;
    for (int32_t i = 0; i < topic->partition_capacity; i++) {
        const struct image_partition *partition = image_partition(topic, i);
        if (partition && partition->core >= 0 &&
            !fill_partition(call, partition, i, &out->partitions[out->partitions_count++]))
            return false;
    }
    return true;
}

/* Why a topic that was asked for is not there. */
static enum error missing_error(const struct metadata *metadata, struct string name)
{
    if (name.size < 0)
        return ERROR_UNKNOWN_TOPIC_ID;
    for (int32_t i = 0; i < metadata->missing_count; i++)
        if (string_equal(metadata->missing[i], name))
            return metadata->machine.error != ERROR_NONE ? metadata->machine.error
                   : metadata->missing_errors[i] != ERROR_NONE
                       ? metadata->missing_errors[i]
                       : ERROR_LEADER_NOT_AVAILABLE; /* made, and deleted again already */
    return topic_name_is_valid(name) ? ERROR_UNKNOWN_TOPIC_OR_PARTITION
                                     : ERROR_INVALID_TOPIC_EXCEPTION;
}

static bool fill_asked(struct metadata *metadata, struct metadata_response *out)
{
    struct call *call = &metadata->call;
    const struct metadata_request *in = call->in;
    const struct image *image = &call->shard->image;
    out->topics = call_take_messages(call, &metadata_response_topic_message, in->topics_count);
    if (!out->topics)
        return false;
    for (int32_t i = 0; i < in->topics_count; i++) {
        const struct metadata_request_topic *asked = &in->topics[i];
        struct metadata_response_topic *to = &out->topics[i];
        const struct image_topic *topic = asked->name.size >= 0
                                              ? image_topic_by_name(image, asked->name)
                                              : image_topic_by_id(image, asked->topic_id);
        if (topic && !fill_topic(call, topic, to))
            return false;
        if (topic)
            continue;
        to->error_code = (int16_t)error_for_wire(missing_error(metadata, asked->name));
        to->name = asked->name.size >= 0 || call->version >= 12 ? asked->name : STRING("");
        to->topic_id = asked->topic_id;
    }
    out->topics_count = in->topics_count;
    return true;
}

static bool fill_all(struct call *call, struct metadata_response *out)
{
    const struct image *image = &call->shard->image;
    out->topics = call_take_messages(call, &metadata_response_topic_message, image->topic_count);
    if (!out->topics)
        return false;
    uint32_t position = 0;
    for (const struct image_topic *topic; (topic = image_next_topic(image, &position));)
        if (!fill_topic(call, topic, &out->topics[out->topics_count++]))
            return false;
    return true;
}

static enum step metadata_answer(struct flow *flow)
{
    struct metadata *metadata = (struct metadata *)flow;
    struct call *call = &metadata->call;
    const struct metadata_request *in = call->in;
    struct metadata_response *out = call->out;
    if (metadata->failed || !fill_brokers(call, out) ||
        !(wants_all(call) ? fill_all(call, out) : fill_asked(metadata, out))) {
        call_refuse(call, "its answer is larger than request.arena.bytes");
        return STEP_NEXT;
    }
    if (in->include_cluster_authorized_operations)
        out->cluster_authorized_operations = CLUSTER_OPERATIONS;
    call_reply(call, NULL);
    return STEP_NEXT;
}

const struct flow_kind metadata_kind = {"metadata",
                                        {{"check", metadata_check}, {"answer", metadata_answer}}};
