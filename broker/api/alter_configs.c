/* IncrementalAlterConfigs and AlterConfigs: decided by logic/topics.h on core 0; answered once the
 * records are in the log and applied on every core, so what is asked or appended next goes by the
 * new settings. */
#include "api/api.h"
#include "base/check.h"
#include "cluster/machine.h"
#include "logic/topics.h"

struct alter_configs {
    struct call call;
    struct machine_request machine;
    bool failed; /* budget */
};
const uint16_t alter_configs_call_size = sizeof(struct alter_configs);
const uint16_t incremental_alter_configs_call_size = sizeof(struct alter_configs);

static struct topics_view view_of(const struct alter_configs *alter, const struct image *image)
{
    struct broker *broker = alter->call.shard->broker;
    return (struct topics_view){.image = image,
                                .settings = broker->settings,
                                .random = &broker->shards[0].random,
                                .arena = alter->machine.arena};
}

static void decide_whole(struct machine_request *machine, const struct image *image)
{
    struct alter_configs *alter = CONTAINER_OF(machine, struct alter_configs, machine);
    struct topics_view view = view_of(alter, image);
    alter->failed = topics_handle_alter(&view, alter->call.in, &machine->records,
                                        alter->call.out) != ERROR_NONE;
}

static void decide_incremental(struct machine_request *machine, const struct image *image)
{
    struct alter_configs *alter = CONTAINER_OF(machine, struct alter_configs, machine);
    struct topics_view view = view_of(alter, image);
    alter->failed = topics_handle_incremental(&view, alter->call.in, &machine->records,
                                              alter->call.out) != ERROR_NONE;
}

static enum step alter_configs_handle(struct flow *flow)
{
    struct alter_configs *alter = (struct alter_configs *)flow;
    alter->machine.handle =
        alter->call.api->key == API_ALTER_CONFIGS ? decide_whole : decide_incremental;
    alter->machine.arena = &alter->call.request->arena;
    machine_start(&alter->machine, alter->call.shard, flow);
    request_next(alter->call.request);
    return STEP_NEXT;
}

/* Records did not get into the log, of this request or of what it rests on: each resource says so,
 * the refused ones too. */
static void fail_whole(struct alter_configs_response *out, enum error error)
{
    for (int32_t i = 0; i < out->responses_count; i++) {
        out->responses[i].error_code = (int16_t)error_for_wire(error);
        out->responses[i].error_message = string_of(error_text(error));
    }
}

static void fail_incremental(struct incremental_alter_configs_response *out, enum error error)
{
    for (int32_t i = 0; i < out->responses_count; i++) {
        out->responses[i].error_code = (int16_t)error_for_wire(error);
        out->responses[i].error_message = string_of(error_text(error));
    }
}

static enum step alter_configs_answer(struct flow *flow)
{
    struct alter_configs *alter = (struct alter_configs *)flow;
    if (alter->failed) {
        call_refuse(&alter->call, error_text(ERROR_NO_MEMORY));
        return STEP_NEXT;
    }
    enum error error = alter->machine.error;
    if (error && alter->call.api->key == API_ALTER_CONFIGS)
        fail_whole(alter->call.out, error);
    else if (error)
        fail_incremental(alter->call.out, error);
    call_reply(&alter->call, NULL);
    return STEP_NEXT;
}

const struct flow_kind alter_configs_kind = {
    "alter-configs", {{"handle", alter_configs_handle}, {"answer", alter_configs_answer}}};

const struct flow_kind incremental_alter_configs_kind = {
    "incremental-alter-configs",
    {{"handle", alter_configs_handle}, {"answer", alter_configs_answer}}};
