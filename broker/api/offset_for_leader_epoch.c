/* OffsetForLeaderEpoch (KIP-101, KIP-279, KIP-320): where a leader epoch ends in this log, by which
 * followers and consumers find where their history leaves ours. */
#include "api/route.h"
#include "api/scatter.h"
#include "base/check.h"

struct epoch_item {
    struct scatter_item base;
    const struct offset_for_leader_epoch_request_offset_for_leader_partition *in;
    struct offset_for_leader_epoch_response_epoch_end_offset *out;
};

struct offset_for_leader_epoch {
    struct call call;
    struct scatter scatter;
    bool checked;
};
const uint16_t offset_for_leader_epoch_call_size = sizeof(struct offset_for_leader_epoch);

static enum step part_open(struct flow *flow)
{
    return scatter_open(part_of(flow));
}

static enum step part_answer(struct flow *flow)
{
    for (struct scatter_item *base = part_of(flow)->first; base; base = base->next) {
        struct epoch_item *item = (struct epoch_item *)base;
        if (base->error == ERROR_NONE)
            base->error =
                route_check_epoch(item->in->current_leader_epoch, base->partition->leader_epoch);
        if (base->error != ERROR_NONE)
            continue;
        struct epoch_entry end = partition_end_of_epoch(base->partition, item->in->leader_epoch);
        item->out->leader_epoch = end.epoch;
        item->out->end_offset = end.start_offset;
    }
    scatter_release(part_of(flow));
    scatter_end(part_of(flow));
    return STEP_NEXT;
}

static const struct flow_kind part_kind = {"offset-for-leader-epoch-part",
                                           {
                                               {"open", part_open},
                                               {"answer", part_answer},
                                           }};

static bool
add_partition(struct offset_for_leader_epoch *this, const struct image_topic *topic,
              const struct offset_for_leader_epoch_request_offset_for_leader_partition *in,
              struct offset_for_leader_epoch_response_epoch_end_offset *out)
{
    struct call *call = &this->call;
    enum error error = (enum error)out->error_code;
    out->partition = in->partition;
    int32_t core = error == ERROR_NONE ? route_partition(call, topic, in->partition, &error) : -1;
    if (core < 0) {
        out->error_code = (int16_t)error;
        return true;
    }
    struct epoch_item *item =
        scatter_add(&this->scatter, core, topic->id, in->partition, sizeof *item);
    if (!item)
        return false;
    item->in = in;
    item->out = out;
    return true;
}

static bool add_topic(struct offset_for_leader_epoch *this,
                      const struct offset_for_leader_epoch_request_offset_for_leader_topic *in,
                      struct offset_for_leader_epoch_response_offset_for_leader_topic_result *out)
{
    struct call *call = &this->call;
    enum error error = ERROR_NONE;
    const struct image_topic *topic =
        route_topic(call, false, (struct uuid){{0}}, in->topic, &error);
    out->topic = in->topic;
    out->partitions = call_take_messages(
        call, &offset_for_leader_epoch_response_epoch_end_offset_message, in->partitions_count);
    if (!out->partitions)
        return false;
    out->partitions_count = in->partitions_count;
    for (int32_t i = 0; i < in->partitions_count; i++) {
        out->partitions[i].error_code = (int16_t)error;
        if (!add_partition(this, topic, &in->partitions[i], &out->partitions[i]))
            return false;
    }
    return true;
}

static enum step epoch_check(struct flow *flow)
{
    struct offset_for_leader_epoch *this = (struct offset_for_leader_epoch *)flow;
    const struct offset_for_leader_epoch_request *in = this->call.in;
    struct offset_for_leader_epoch_response *out = this->call.out;
    if (!scatter_init(&this->scatter, &this->call, sizeof(struct scatter_part)))
        return STEP_FAIL;
    out->topics = call_take_messages(
        &this->call, &offset_for_leader_epoch_response_offset_for_leader_topic_result_message,
        in->topics_count);
    if (!out->topics)
        return STEP_FAIL;
    for (int32_t i = 0; i < in->topics_count; i++)
        if (!add_topic(this, &in->topics[i], &out->topics[i]))
            return STEP_FAIL;
    out->topics_count = in->topics_count;
    this->checked = true;
    return STEP_NEXT;
}

static enum step epoch_scatter(struct flow *flow)
{
    struct offset_for_leader_epoch *this = (struct offset_for_leader_epoch *)flow;
    struct scatter_part *part;
    for (int32_t at = 0; (part = scatter_next(&this->scatter, &at));)
        scatter_start(part, &part_kind);
    request_next(this->call.request);
    return STEP_NEXT;
}

static enum step epoch_reply(struct flow *flow)
{
    struct offset_for_leader_epoch *this = (struct offset_for_leader_epoch *)flow;
    if (!this->checked) {
        call_refuse(&this->call, error_text(ERROR_NO_MEMORY));
        return STEP_NEXT;
    }
    struct scatter_part *part;
    for (int32_t at = 0; (part = scatter_next(&this->scatter, &at));)
        for (struct scatter_item *base = part->first; base; base = base->next)
            ((struct epoch_item *)base)->out->error_code = (int16_t)error_for_wire(base->error);
    call_reply(&this->call, NULL);
    return STEP_NEXT;
}

const struct flow_kind offset_for_leader_epoch_kind = {"offset-for-leader-epoch",
                                                       {
                                                           {"check", epoch_check},
                                                           {"scatter", epoch_scatter},
                                                           {"reply", epoch_reply},
                                                       }};
