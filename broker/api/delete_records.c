/* DeleteRecords (KIP-107): moves log starts, over all cores; each is answered once it is durable.
 * Kafka's order of refusals: internal topics, what is not here, topics that are only compacted,
 * offsets beyond the high watermark. */
#include "api/deadline.h"
#include "api/route.h"
#include "api/scatter.h"
#include "logic/topic_name.h"

struct delete_item {
    struct scatter_item base;
    struct delete_records_response_delete_records_partition_result *out;
    int64_t offset;
    bool begun;
    int64_t low_watermark;
};

struct delete_part {
    struct scatter_part base;
    struct deadline deadline;
};

struct delete_records {
    struct call call;
    struct scatter scatter;
    bool checked;
};
const uint16_t delete_records_call_size = sizeof(struct delete_records);

/* -- on the partitions' core --------------------------------------------------------------- */

static enum step part_open(struct flow *flow)
{
    struct delete_part *part = (struct delete_part *)flow;
    const struct delete_records_request *in = part->base.call->in;
    if (!part->deadline.owner)
        deadline_init(&part->deadline, &part->base.shard->api->deadlines, in->timeout_ms);
    return scatter_open(&part->base);
}

/* Has the wait for `error` to change gone on for too long? */
static enum error wait_on(struct delete_part *part, enum error error)
{
    if (error != ERROR_WOULD_WAIT)
        return error;
    if (part->deadline.passed) {
        waiter_cancel(&part->base.waiter);
        return ERROR_REQUEST_TIMED_OUT;
    }
    deadline_start(&part->deadline, &part->base.waiter);
    return ERROR_WOULD_WAIT;
}

static enum step part_begin(struct flow *flow)
{
    struct delete_part *part = (struct delete_part *)flow;
    for (struct scatter_item **at = &part->base.at; *at; *at = (*at)->next) {
        struct delete_item *item = (struct delete_item *)*at;
        if (item->base.error != ERROR_NONE)
            continue;
        enum error error =
            wait_on(part, partition_delete_records(item->base.partition, item->offset,
                                                   &part->base.waiter, flow));
        if (error == ERROR_WOULD_WAIT)
            return STEP_AGAIN;
        item->begun = error == ERROR_NONE;
        item->base.error = error;
    }
    part->base.at = part->base.first;
    return STEP_NEXT;
}

static enum step part_await(struct flow *flow)
{
    struct delete_part *part = (struct delete_part *)flow;
    for (struct scatter_item **at = &part->base.at; *at; *at = (*at)->next) {
        struct delete_item *item = (struct delete_item *)*at;
        if (!item->begun)
            continue;
        enum error error =
            wait_on(part, partition_await_start(item->base.partition, &part->base.waiter, flow));
        if (error == ERROR_WOULD_WAIT)
            return STEP_AGAIN;
        item->base.error = error;
        item->low_watermark = partition_log_start(item->base.partition);
    }
    return STEP_NEXT;
}

static enum step part_answer(struct flow *flow)
{
    struct delete_part *part = (struct delete_part *)flow;
    deadline_done(&part->deadline);
    scatter_release(&part->base);
    scatter_end(&part->base);
    return STEP_NEXT;
}

static const struct flow_kind part_kind = {"delete-records-part",
                                           {
                                               {"open", part_open},
                                               {"begin", part_begin},
                                               {"await", part_await},
                                               {"answer", part_answer},
                                           }};

/* -- on the connection's core -------------------------------------------------------------- */

static bool add_topic(struct delete_records *removal,
                      const struct delete_records_request_delete_records_topic *in,
                      struct delete_records_response_delete_records_topic_result *out)
{
    struct call *call = &removal->call;
    enum error topic_error = ERROR_NONE;
    const struct image_topic *topic =
        route_topic(call, false, (struct uuid){{0}}, in->name, &topic_error);
    if (topic_name_is_internal(in->name)) {
        topic = NULL;
        topic_error = ERROR_INVALID_TOPIC_EXCEPTION;
    }
    out->name = in->name;
    out->partitions =
        call_take_messages(call, &delete_records_response_delete_records_partition_result_message,
                           in->partitions_count);
    if (!out->partitions)
        return false;
    out->partitions_count = in->partitions_count;
    for (int32_t i = 0; i < in->partitions_count; i++) {
        enum error error = topic_error;
        int32_t index = in->partitions[i].partition_index;
        int32_t core = topic ? route_partition(call, topic, index, &error) : -1;
        out->partitions[i].partition_index = index;
        out->partitions[i].low_watermark = -1;
        if (core < 0) {
            out->partitions[i].error_code = (int16_t)error_for_wire(error);
            continue;
        }
        struct delete_item *item =
            scatter_add(&removal->scatter, core, topic->id, index, sizeof *item);
        if (!item)
            return false;
        item->out = &out->partitions[i];
        item->offset = in->partitions[i].offset;
    }
    return true;
}

static enum step delete_records_check(struct flow *flow)
{
    struct delete_records *removal = (struct delete_records *)flow;
    const struct delete_records_request *in = removal->call.in;
    struct delete_records_response *out = removal->call.out;
    if (!scatter_init(&removal->scatter, &removal->call, sizeof(struct delete_part)))
        return STEP_FAIL;
    out->topics = call_take_messages(&removal->call,
                                     &delete_records_response_delete_records_topic_result_message,
                                     in->topics_count);
    if (!out->topics)
        return STEP_FAIL;
    for (int32_t i = 0; i < in->topics_count; i++)
        if (!add_topic(removal, &in->topics[i], &out->topics[i]))
            return STEP_FAIL;
    out->topics_count = in->topics_count;
    removal->checked = true;
    struct scatter_part *part;
    for (int32_t at = 0; (part = scatter_next(&removal->scatter, &at));)
        scatter_start(part, &part_kind);
    request_next(removal->call.request);
    return STEP_NEXT;
}

static enum step delete_records_reply(struct flow *flow)
{
    struct delete_records *removal = (struct delete_records *)flow;
    if (!removal->checked) {
        call_refuse(&removal->call, error_text(ERROR_NO_MEMORY));
        return STEP_NEXT;
    }
    struct scatter_part *part;
    for (int32_t at = 0; (part = scatter_next(&removal->scatter, &at));) {
        for (struct scatter_item *base = part->first; base; base = base->next) {
            struct delete_item *item = (struct delete_item *)base;
            item->out->error_code = (int16_t)error_for_wire(base->error);
            item->out->low_watermark = base->error ? -1 : item->low_watermark;
        }
    }
    call_reply(&removal->call, NULL);
    return STEP_NEXT;
}

const struct flow_kind delete_records_kind = {
    "delete-records", {{"check", delete_records_check}, {"reply", delete_records_reply}}};
