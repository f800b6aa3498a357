/* DeleteTopics: decided by logic/topics.h on core 0; answered once its records are in the log and
 * applied on every core. timeout_ms is not looked at: the only replica answers as soon as it can.
 */
#include "api/api.h"
#include "base/check.h"
#include "cluster/machine.h"
#include "logic/topics.h"

struct delete_topics {
    struct call call;
    struct machine_request machine;
    bool failed; /* budget */
};
const uint16_t delete_topics_call_size = sizeof(struct delete_topics);

static void decide(struct machine_request *machine, const struct image *image)
{
    struct delete_topics *removal = CONTAINER_OF(machine, struct delete_topics, machine);
    struct broker *broker = removal->call.shard->broker;
    struct topics_view view = {.image = image,
                               .settings = broker->settings,
                               .random = &broker->shards[0].random,
                               .arena = machine->arena};
    removal->failed = topics_handle_delete(&view, removal->call.in, &machine->records,
                                           removal->call.out) != ERROR_NONE;
}

static enum step delete_topics_handle(struct flow *flow)
{
    struct delete_topics *removal = (struct delete_topics *)flow;
    removal->machine.handle = decide;
    removal->machine.arena = &removal->call.request->arena;
    machine_start(&removal->machine, removal->call.shard, flow);
    request_next(removal->call.request);
    return STEP_NEXT;
}

static enum step delete_topics_answer(struct flow *flow)
{
    struct delete_topics *removal = (struct delete_topics *)flow;
    struct delete_topics_response *out = removal->call.out;
    if (removal->failed) {
        call_refuse(&removal->call, error_text(ERROR_NO_MEMORY));
        return STEP_NEXT;
    }
    enum error error = removal->machine.error;
    /* A refusal, too, may rest on what did not get into the log. */
    for (int32_t i = 0; error != ERROR_NONE && i < out->responses_count; i++) {
        out->responses[i].error_code = (int16_t)error_for_wire(error);
        out->responses[i].error_message = string_of(error_text(error));
    }
    call_reply(&removal->call, NULL);
    return STEP_NEXT;
}

const struct flow_kind delete_topics_kind = {
    "delete-topics", {{"handle", delete_topics_handle}, {"answer", delete_topics_answer}}};
