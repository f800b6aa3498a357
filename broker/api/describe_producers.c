/* DescribeProducers (KIP-664): what partitions know of their producers. Each partition's core
 * copies it; the answer is put together on the connection's core. */
#include "api/route.h"
#include "api/scatter.h"
#include "base/memory.h"

struct describe_item {
    struct scatter_item base;
    struct describe_producers_response_partition_response *out;
    struct describe_producers_response_producer_state *states; /* until the answer */
    int32_t count;
};

struct describe_producers {
    struct call call;
    struct scatter scatter;
    bool checked;
};
const uint16_t describe_producers_call_size = sizeof(struct describe_producers);

static enum step part_open(struct flow *flow)
{
    return scatter_open(part_of(flow));
}

static void copy_states(struct describe_item *item)
{
    const struct producers *producers = partition_producers(item->base.partition);
    item->states = memory_zeroed((size_t)producers->by_id.count * sizeof *item->states + 1);
    for (const struct producer *producer = NULL;
         (producer = producers_next(producers, producer));) {
        struct describe_producers_response_producer_state *state = &item->states[item->count++];
        state->producer_id = producer->id;
        state->producer_epoch = producer->epoch;
        state->last_sequence = producer_last_sequence(producer);
        state->last_timestamp = producer->last_timestamp_ms;
        state->coordinator_epoch = producer->coordinator_epoch;
        state->current_txn_start_offset = producer_txn_first_offset(producer);
    }
}

static enum step part_copy(struct flow *flow)
{
    for (struct scatter_item *item = part_of(flow)->first; item; item = item->next)
        if (item->error == ERROR_NONE)
            copy_states((struct describe_item *)item);
    return STEP_NEXT;
}

static enum step part_answer(struct flow *flow)
{
    scatter_release(part_of(flow));
    scatter_end(part_of(flow));
    return STEP_NEXT;
}

static const struct flow_kind part_kind = {
    "describe-producers-part", {{"open", part_open}, {"copy", part_copy}, {"answer", part_answer}}};

static bool add_topic(struct describe_producers *describe,
                      const struct describe_producers_request_topic_request *in,
                      struct describe_producers_response_topic_response *out)
{
    struct call *call = &describe->call;
    enum error none = ERROR_NONE;
    const struct image_topic *topic = route_topic(call, false, (struct uuid){{0}}, in->name, &none);
    out->name = in->name;
    out->partitions = call_take_messages(
        call, &describe_producers_response_partition_response_message, in->partition_indexes_count);
    if (!out->partitions)
        return false;
    out->partitions_count = in->partition_indexes_count;
    for (int32_t i = 0; i < in->partition_indexes_count; i++) {
        enum error error = ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        int32_t index = in->partition_indexes[i];
        int32_t core = topic ? route_partition(call, topic, index, &error) : -1;
        out->partitions[i].partition_index = index;
        if (core < 0) {
            out->partitions[i].error_code = (int16_t)error;
            continue;
        }
        struct describe_item *item =
            scatter_add(&describe->scatter, core, topic->id, index, sizeof *item);
        if (!item)
            return false;
        item->out = &out->partitions[i];
    }
    return true;
}

static enum step describe_producers_check(struct flow *flow)
{
    struct describe_producers *describe = (struct describe_producers *)flow;
    const struct describe_producers_request *in = describe->call.in;
    struct describe_producers_response *out = describe->call.out;
    if (!scatter_init(&describe->scatter, &describe->call, sizeof(struct scatter_part)))
        return STEP_FAIL;
    out->topics = call_take_messages(
        &describe->call, &describe_producers_response_topic_response_message, in->topics_count);
    if (!out->topics)
        return STEP_FAIL;
    for (int32_t i = 0; i < in->topics_count; i++)
        if (!add_topic(describe, &in->topics[i], &out->topics[i]))
            return STEP_FAIL;
    out->topics_count = in->topics_count;
    describe->checked = true;
    struct scatter_part *part;
    for (int32_t at = 0; (part = scatter_next(&describe->scatter, &at));)
        scatter_start(part, &part_kind);
    request_next(describe->call.request);
    return STEP_NEXT;
}

/* Into the answer's memory. False: budget. */
static bool take_states(struct call *call, struct describe_item *item)
{
    item->out->error_code = (int16_t)error_for_wire(item->base.error);
    if (item->base.error != ERROR_NONE || item->count == 0)
        return true;
    item->out->active_producers =
        call_take_messages(call, &describe_producers_response_producer_state_message, item->count);
    if (!item->out->active_producers)
        return false;
    memcpy(item->out->active_producers, item->states, (size_t)item->count * sizeof *item->states);
    item->out->active_producers_count = item->count;
    return true;
}

static enum step describe_producers_reply(struct flow *flow)
{
    struct describe_producers *describe = (struct describe_producers *)flow;
    struct scatter_part *part;
    for (int32_t at = 0; (part = scatter_next(&describe->scatter, &at));) {
        for (struct scatter_item *base = part->first; base; base = base->next) {
            struct describe_item *item = (struct describe_item *)base;
            describe->checked = describe->checked && take_states(&describe->call, item);
            memory_free(item->states);
        }
    }
    if (describe->checked)
        call_reply(&describe->call, NULL);
    else
        call_refuse(&describe->call, error_text(ERROR_NO_MEMORY));
    return STEP_NEXT;
}

const struct flow_kind describe_producers_kind = {
    "describe-producers",
    {{"check", describe_producers_check}, {"reply", describe_producers_reply}}};
