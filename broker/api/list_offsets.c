/* ListOffsets: -1 the high watermark, to a reader of committed data the last stable offset, -2 the
 * log start, -3 the largest timestamp (KIP-734), -4 the start of what is local (KIP-405: as -2, all
 * is local), -5 and -6 the ends of what was moved to remote storage (nothing was: offset -1), else
 * the first record at or after a timestamp. */
#include "api/route.h"
#include "api/scatter.h"
#include "base/check.h"

enum {
    LATEST_TIMESTAMP = -1,
    EARLIEST = -2,
    MAX_TIMESTAMP = -3,
    EARLIEST_LOCAL = -4,
    LATEST_TIERED = -5,
    EARLIEST_PENDING_UPLOAD = -6
};

struct list_offsets_item {
    struct scatter_item base;
    const struct list_offsets_request_list_offsets_partition *in;
    struct list_offsets_response_list_offsets_partition_response *out;
    struct offset_lookup lookup;
    bool looking;
};

struct list_offsets {
    struct call call;
    struct scatter scatter;
    bool checked;
};
const uint16_t list_offsets_call_size = sizeof(struct list_offsets);

static enum step part_open(struct flow *flow)
{
    return scatter_open(part_of(flow));
}

static enum step part_look_up(struct flow *flow)
{
    struct scatter_part *part = part_of(flow);
    for (; part->at; part->at = part->at->next) {
        struct list_offsets_item *item = (struct list_offsets_item *)part->at;
        if (item->base.error != ERROR_NONE)
            continue;
        if (!item->looking)
            item->base.error = route_check_epoch(item->in->current_leader_epoch,
                                                 item->base.partition->leader_epoch);
        if (item->base.error != ERROR_NONE)
            continue;
        item->looking = true;
        item->base.error = partition_lookup(item->base.partition, &item->lookup, flow);
        if (item->base.error == ERROR_WOULD_WAIT) {
            item->base.error = ERROR_NONE;
            return STEP_AGAIN;
        }
    }
    return STEP_NEXT;
}

static enum step part_answer(struct flow *flow)
{
    scatter_release(part_of(flow));
    scatter_end(part_of(flow));
    return STEP_NEXT;
}

static const struct flow_kind part_kind = {"list-offsets-part",
                                           {
                                               {"open", part_open},
                                               {"look-up", part_look_up},
                                               {"answer", part_answer},
                                           }};

/* Which special timestamps a version knows; UNSUPPORTED_VERSION as in Kafka for others. */
static enum error check_timestamp(int64_t timestamp, int16_t version)
{
    static const int16_t since[] = {0, 0, 7, 8, 9, 11}; /* of -1, -2, ... */
    if (timestamp >= 0)
        return ERROR_NONE;
    if (timestamp < EARLIEST_PENDING_UPLOAD || version < since[-timestamp - 1])
        return ERROR_UNSUPPORTED_VERSION;
    return ERROR_NONE;
}

static bool add_partition(struct list_offsets *list, const struct image_topic *topic,
                          const struct list_offsets_request_list_offsets_partition *in,
                          struct list_offsets_response_list_offsets_partition_response *out)
{
    struct call *call = &list->call;
    enum error error = (enum error)out->error_code;
    out->partition_index = in->partition_index;
    if (error == ERROR_NONE)
        error = check_timestamp(in->timestamp, call->version);
    int32_t core =
        error == ERROR_NONE ? route_partition(call, topic, in->partition_index, &error) : -1;
    if (core < 0) {
        out->error_code = (int16_t)error;
        return true;
    }
    if (in->timestamp == LATEST_TIERED || in->timestamp == EARLIEST_PENDING_UPLOAD)
        return true; /* -1, -1 */
    struct list_offsets_item *item =
        scatter_add(&list->scatter, core, topic->id, in->partition_index, sizeof *item);
    if (!item)
        return false;
    item->in = in;
    item->out = out;
    item->lookup.committed_only = ((const struct list_offsets_request *)call->in)->isolation_level;
    item->lookup.timestamp_ms = in->timestamp == EARLIEST_LOCAL ? EARLIEST : in->timestamp;
    return true;
}

static bool add_topic(struct list_offsets *list,
                      const struct list_offsets_request_list_offsets_topic *in,
                      struct list_offsets_response_list_offsets_topic_response *out)
{
    struct call *call = &list->call;
    enum error error = ERROR_NONE;
    const struct image_topic *topic =
        route_topic(call, false, (struct uuid){{0}}, in->name, &error);
    const struct list_offsets_request *request = call->in;
    if (route_check_isolation(request->isolation_level) != ERROR_NONE)
        error = ERROR_INVALID_REQUEST;
    out->name = in->name;
    out->partitions = call_take_messages(
        call, &list_offsets_response_list_offsets_partition_response_message, in->partitions_count);
    if (!out->partitions)
        return false;
    out->partitions_count = in->partitions_count;
    for (int32_t i = 0; i < in->partitions_count; i++) {
        out->partitions[i].error_code = (int16_t)error;
        if (!add_partition(list, topic, &in->partitions[i], &out->partitions[i]))
            return false;
    }
    return true;
}

static enum step list_offsets_check(struct flow *flow)
{
    struct list_offsets *list = (struct list_offsets *)flow;
    const struct list_offsets_request *in = list->call.in;
    struct list_offsets_response *out = list->call.out;
    if (!scatter_init(&list->scatter, &list->call, sizeof(struct scatter_part)))
        return STEP_FAIL;
    out->topics = call_take_messages(
        &list->call, &list_offsets_response_list_offsets_topic_response_message, in->topics_count);
    if (!out->topics)
        return STEP_FAIL;
    for (int32_t i = 0; i < in->topics_count; i++)
        if (!add_topic(list, &in->topics[i], &out->topics[i]))
            return STEP_FAIL;
    out->topics_count = in->topics_count;
    list->checked = true;
    return STEP_NEXT;
}

static enum step list_offsets_scatter(struct flow *flow)
{
    struct list_offsets *list = (struct list_offsets *)flow;
    struct scatter_part *part;
    for (int32_t at = 0; (part = scatter_next(&list->scatter, &at));)
        scatter_start(part, &part_kind);
    request_next(list->call.request);
    return STEP_NEXT;
}

static enum step list_offsets_reply(struct flow *flow)
{
    struct list_offsets *list = (struct list_offsets *)flow;
    if (!list->checked) {
        call_refuse(&list->call, error_text(ERROR_NO_MEMORY));
        return STEP_NEXT;
    }
    struct scatter_part *part;
    for (int32_t at = 0; (part = scatter_next(&list->scatter, &at));) {
        for (struct scatter_item *base = part->first; base; base = base->next) {
            struct list_offsets_item *item = (struct list_offsets_item *)base;
            item->out->error_code = (int16_t)error_for_wire(base->error);
            if (base->error != ERROR_NONE)
                continue;
            item->out->offset = item->lookup.ret_offset;
            item->out->timestamp = item->lookup.ret_timestamp_ms;
            if (list->call.version >= 4)
                item->out->leader_epoch = item->lookup.ret_leader_epoch;
        }
    }
    call_reply(&list->call, NULL);
    return STEP_NEXT;
}

const struct flow_kind list_offsets_kind = {"list-offsets",
                                            {
                                                {"check", list_offsets_check},
                                                {"scatter", list_offsets_scatter},
                                                {"reply", list_offsets_reply},
                                            }};
