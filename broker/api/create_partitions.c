/* CreatePartitions: decided by logic/topics.h on core 0; answered once its records are in the log
 * and applied on every core. timeout_ms is not looked at: the only replica answers as soon as it
 * can. */
#include "api/api.h"
#include "base/check.h"
#include "cluster/machine.h"
#include "logic/topics.h"

struct create_partitions {
    struct call call;
    struct machine_request machine;
    bool failed; /* budget */
};
const uint16_t create_partitions_call_size = sizeof(struct create_partitions);

static void decide(struct machine_request *machine, const struct image *image)
{
    struct create_partitions *grow = CONTAINER_OF(machine, struct create_partitions, machine);
    struct broker *broker = grow->call.shard->broker;
    struct topics_view view = {.image = image,
                               .settings = broker->settings,
                               .random = &broker->shards[0].random,
                               .arena = machine->arena};
    grow->failed = topics_handle_partitions(&view, grow->call.in, &machine->records,
                                            grow->call.out) != ERROR_NONE;
}

static enum step create_partitions_handle(struct flow *flow)
{
    struct create_partitions *grow = (struct create_partitions *)flow;
    grow->machine.handle = decide;
    grow->machine.arena = &grow->call.request->arena;
    machine_start(&grow->machine, grow->call.shard, flow);
    request_next(grow->call.request);
    return STEP_NEXT;
}

static enum step create_partitions_answer(struct flow *flow)
{
    struct create_partitions *grow = (struct create_partitions *)flow;
    struct create_partitions_response *out = grow->call.out;
    if (grow->failed) {
        call_refuse(&grow->call, error_text(ERROR_NO_MEMORY));
        return STEP_NEXT;
    }
    enum error error = grow->machine.error;
    /* A refusal, too, may rest on what did not get into the log. */
    for (int32_t i = 0; error != ERROR_NONE && i < out->results_count; i++) {
        out->results[i].error_code = (int16_t)error_for_wire(error);
        out->results[i].error_message = string_of(error_text(error));
    }
    call_reply(&grow->call, NULL);
    return STEP_NEXT;
}

const struct flow_kind create_partitions_kind = {
    "grow-partitions",
    {{"handle", create_partitions_handle}, {"answer", create_partitions_answer}}};
