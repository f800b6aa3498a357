/* CreateTopics: decided by logic/topics.h on core 0; answered once its records are in the log and
 * applied on every core. timeout_ms is not looked at: the only replica answers as soon as it can.
 */
#include "api/api.h"
#include "base/check.h"
#include "cluster/machine.h"
#include "logic/topics.h"

struct create_topics {
    struct call call;
    struct machine_request machine;
    bool failed; /* budget */
};
const uint16_t create_topics_call_size = sizeof(struct create_topics);

static void decide(struct machine_request *machine, const struct image *image)
{
    struct create_topics *create = CONTAINER_OF(machine, struct create_topics, machine);
    struct broker *broker = create->call.shard->broker;
    struct topics_view view = {.image = image,
                               .settings = broker->settings,
                               .random = &broker->shards[0].random,
                               .arena = machine->arena};
    create->failed = topics_handle_create(&view, create->call.in, &machine->records,
                                          create->call.out) != ERROR_NONE;
}

static enum step create_topics_handle(struct flow *flow)
{
    struct create_topics *create = (struct create_topics *)flow;
    create->machine.handle = decide;
    create->machine.arena = &create->call.request->arena;
    machine_start(&create->machine, create->call.shard, flow);
    request_next(create->call.request);
    return STEP_NEXT;
}

static enum step create_topics_answer(struct flow *flow)
{
    struct create_topics *create = (struct create_topics *)flow;
    struct create_topics_response *out = create->call.out;
    if (create->failed) {
        call_refuse(&create->call, error_text(ERROR_NO_MEMORY));
        return STEP_NEXT;
    }
    enum error error = create->machine.error;
    /* A refusal, too, may rest on what did not get into the log. */
    for (int32_t i = 0; error != ERROR_NONE && i < out->topics_count; i++) {
        out->topics[i].error_code = (int16_t)error_for_wire(error);
        out->topics[i].error_message = string_of(error_text(error));
    }
    call_reply(&create->call, NULL);
    return STEP_NEXT;
}

const struct flow_kind create_topics_kind = {
    "create-topics", {{"handle", create_topics_handle}, {"answer", create_topics_answer}}};
