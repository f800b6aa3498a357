/* DescribeCluster (KIP-700, KIP-919, KIP-1073): the brokers of the image. Errors as Kafka's
 * AuthHelper.computeDescribeClusterResponse. */
#include "api/endpoints.h"

enum endpoint_type { ENDPOINT_BROKER = 1, ENDPOINT_CONTROLLER = 2 };

struct describe_cluster {
    struct call call;
};
const uint16_t describe_cluster_call_size = sizeof(struct describe_cluster);

/* Is this the kind of endpoint that was meant? Else fills in the error. */
static bool check_endpoint(struct call *call)
{
    const struct describe_cluster_request *in = call->in;
    struct describe_cluster_response *out = call->out;
    if (in->endpoint_type == ENDPOINT_BROKER)
        return true;
    bool is_known = in->endpoint_type == ENDPOINT_CONTROLLER;
    out->error_code = is_known ? ERROR_MISMATCHED_ENDPOINT_TYPE : ERROR_UNSUPPORTED_ENDPOINT_TYPE;
    out->error_message =
        is_known ? STRING("The request was sent to an endpoint of type BROKER, but we wanted an "
                          "endpoint of type CONTROLLER")
                 : arena_format(&call->request->arena, "Unsupported endpoint type %d",
                                in->endpoint_type);
    out->cluster_id = STRING("");
    return false;
}

static void add_broker(struct call *call, const struct image_broker *broker)
{
    struct describe_cluster_response *out = call->out;
    struct describe_cluster_response_describe_cluster_broker *to =
        &out->brokers[out->brokers_count++];
    struct endpoint endpoint = endpoint_of(call, broker);
    to->broker_id = broker ? broker->id : call->shard->broker->node_id;
    to->host = endpoint.host;
    to->port = endpoint.port;
    to->rack = broker ? string_of(broker->rack) : STRING_NULL;
    to->is_fenced = broker && broker->is_fenced && broker->id != call->shard->broker->node_id;
}

static bool fill(struct call *call)
{
    const struct describe_cluster_request *in = call->in;
    struct describe_cluster_response *out = call->out;
    const struct image *image = &call->shard->image;
    const struct broker *self = call->shard->broker;
    out->cluster_id = string_of(self->cluster_id);
    out->controller_id = self->node_id;
    if (in->include_cluster_authorized_operations)
        out->cluster_authorized_operations = CLUSTER_OPERATIONS;
    out->brokers = call_take_messages(
        call, &describe_cluster_response_describe_cluster_broker_message, image->broker_count + 1);
    if (!out->brokers)
        return false;
    if (!image_broker(image, self->node_id))
        add_broker(call, NULL);
    for (int32_t i = 0; i < image->broker_count; i++) {
        const struct image_broker *broker = &image->brokers[i];
        if (!broker->is_fenced || broker->id == self->node_id || in->include_fenced_brokers)
            add_broker(call, broker);
    }
    return true;
}

static enum step describe_cluster_answer(struct flow *flow)
{
    struct call *call = (struct call *)flow;
    if (check_endpoint(call) && !fill(call))
        call_refuse(call, error_text(ERROR_NO_MEMORY));
    else
        call_reply(call, NULL);
    return STEP_NEXT;
}

const struct flow_kind describe_cluster_kind = {"describe-cluster",
                                                {{"answer", describe_cluster_answer}}};
