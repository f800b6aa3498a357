/* DescribeConfigs: every setting of a topic or of this broker with its value, where it comes from,
 * and what it would be otherwise. From this core's image and the settings; errors as Kafka's
 * ConfigHelper. */
#include "api/api.h"
#include "config/describe.h"
#include "logic/topic_name.h"

enum resource_type {
    RESOURCE_TOPIC = 2,
    RESOURCE_BROKER = 4,
    RESOURCE_LOGGER = 8,
    RESOURCE_CLIENT_METRICS = 16,
    RESOURCE_GROUP = 32,
};

struct describe_configs {
    struct call call;
    bool failed; /* budget */
};
const uint16_t describe_configs_call_size = sizeof(struct describe_configs);

static void complain(struct describe_configs_response_describe_configs_result *out,
                     enum error error, struct string text)
{
    out->error_code = (int16_t)error_for_wire(error);
    out->error_message = text;
}

/* Null or empty: all. */
static bool is_wanted(const struct describe_configs_request_describe_configs_resource *in,
                      const struct setting *setting)
{
    for (int32_t i = 0; i < in->configuration_keys_count; i++)
        if (string_equal(in->configuration_keys[i], string_of(setting->name)))
            return true;
    return in->configuration_keys_count <= 0;
}

/* Copies one row into the answer. False: budget. */
static bool tell(struct call *call, const struct described_setting *from,
                 struct describe_configs_response_describe_configs_resource_result *to)
{
    const struct describe_configs_request *in = call->in;
    to->name = string_of(from->setting->name);
    to->value = from->value;
    to->read_only = from->read_only;
    to->config_source = (int8_t)from->source;
    to->is_sensitive = from->sensitive;
    to->config_type = setting_wire_type(from->setting);
    to->documentation = in->include_documentation ? string_of(from->setting->text) : STRING_NULL;
    if (!in->include_synonyms)
        return true;
    to->synonyms = call_take_messages(
        call, &describe_configs_response_describe_configs_synonym_message, from->synonym_count);
    if (!to->synonyms)
        return false;
    to->synonyms_count = from->synonym_count;
    for (int i = 0; i < from->synonym_count; i++) {
        to->synonyms[i].name = from->synonyms[i].name;
        to->synonyms[i].value = from->synonyms[i].value;
        to->synonyms[i].source = (int8_t)from->synonyms[i].source;
    }
    return true;
}

/* All rows of a scope that are wanted. `topic` null: those of the broker. False: budget. */
static bool tell_all(struct call *call,
                     const struct describe_configs_request_describe_configs_resource *in,
                     const struct topic_source *topic,
                     struct describe_configs_response_describe_configs_result *out)
{
    enum setting_scope scope = topic ? SETTING_TOPIC : SETTING_BROKER;
    int32_t count = 0;
    for (int i = 0; i < SETTING_COUNT; i++)
        count += setting_table[i].scope == scope && !setting_table[i].internal &&
                 is_wanted(in, &setting_table[i]);
    out->configs = call_take_messages(
        call, &describe_configs_response_describe_configs_resource_result_message, count);
    if (!out->configs)
        return false;
    for (int i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_table[i];
        struct described_setting described;
        if (setting->scope != scope || setting->internal || !is_wanted(in, setting))
            continue;
        if (topic)
            setting_describe_topic(topic, setting, &described);
        else
            setting_describe_broker(call->shard->broker->settings, setting, &described);
        if (!tell(call, &described, &out->configs[out->configs_count++]))
            return false;
    }
    return true;
}

static bool tell_topic(struct call *call,
                       const struct describe_configs_request_describe_configs_resource *in,
                       struct describe_configs_response_describe_configs_result *out)
{
    struct arena *arena = &call->request->arena;
    if (!topic_name_is_valid(in->resource_name)) {
        complain(out, ERROR_INVALID_TOPIC_EXCEPTION,
                 topic_name_complaint(arena, in->resource_name));
        return true;
    }
    const struct image_topic *topic = image_topic_by_name(&call->shard->image, in->resource_name);
    if (!topic) {
        out->error_code = ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        return true;
    }
    struct setting_pair *pairs = call_take(call, (size_t)topic->config_count, sizeof *pairs);
    if (!pairs)
        return false;
    for (int32_t i = 0; i < topic->config_count; i++)
        pairs[i] = (struct setting_pair){
            call_copy_string(call, string_of(topic->configs[i].name)),
            call_copy_string(call, string_of(topic->configs[i].value))}; /* the image may change */
    struct topic_source source = {.broker = call->shard->broker->settings,
                                  .pairs = pairs,
                                  .pair_count = topic->config_count,
                                  .arena = arena};
    return tell_all(call, in, &source, out);
}

/* The number in a resource's name. False: it is none. */
static bool parse_id(struct string name, int32_t *ret_id)
{
    int64_t id = 0;
    int32_t at = name.size > 1 && (name.data[0] == '-' || name.data[0] == '+');
    if (name.size <= at || name.size - at > 10)
        return false;
    for (int32_t i = at; i < name.size; i++) {
        if (name.data[i] < '0' || name.data[i] > '9')
            return false;
        id = id * 10 + name.data[i] - '0';
    }
    id = name.data[0] == '-' ? -id : id;
    *ret_id = (int32_t)id;
    return id >= INT32_MIN && id <= INT32_MAX;
}

/* A broker, or its loggers, of which there are none. No name: what is set for all brokers at
 * run-time, which is nothing. */
static bool tell_broker(struct call *call,
                        const struct describe_configs_request_describe_configs_resource *in,
                        struct describe_configs_response_describe_configs_result *out)
{
    struct arena *arena = &call->request->arena;
    struct string name = in->resource_name;
    int32_t id = 0, self = call->shard->broker->node_id;
    bool is_logger = in->resource_type == RESOURCE_LOGGER;
    if (name.size == 0) {
        if (is_logger)
            complain(out, ERROR_INVALID_REQUEST, STRING("Broker id must not be empty"));
        return true;
    }
    if (!parse_id(name, &id))
        complain(out, ERROR_INVALID_REQUEST,
                 arena_format(arena, "Broker id must be an integer, but it is: %.*s", name.size,
                              name.data));
    else if (id != self)
        complain(out, ERROR_INVALID_REQUEST,
                 arena_format(arena, "Unexpected broker id, expected %d%s, but received %.*s", self,
                              is_logger ? "" : " or empty string", name.size, name.data));
    else if (!is_logger)
        return tell_all(call, in, NULL, out);
    return true;
}

static bool tell_resource(struct call *call,
                          const struct describe_configs_request_describe_configs_resource *in,
                          struct describe_configs_response_describe_configs_result *out)
{
    out->resource_type = in->resource_type;
    out->resource_name = in->resource_name;
    switch (in->resource_type) {
    case RESOURCE_TOPIC:
        return tell_topic(call, in, out);
    case RESOURCE_BROKER:
    case RESOURCE_LOGGER:
        return tell_broker(call, in, out);
    case RESOURCE_CLIENT_METRICS: /* of a subscription that nobody made: nothing, as in Kafka */
        if (in->resource_name.size == 0)
            complain(out, ERROR_INVALID_REQUEST,
                     STRING("Client metrics subscription name must not be empty"));
        return true;
    case RESOURCE_GROUP:
        complain(out, ERROR_INVALID_REQUEST,
                 in->resource_name.size == 0 ? STRING("Group name must not be empty")
                                             : STRING("Groups are not built yet"));
        return true;
    default:
        return true; /* check_types has refused it */
    }
}

/* A type that nobody knows spoils the whole request, as in Kafka. */
static bool check_types(struct call *call)
{
    const struct describe_configs_request *in = call->in;
    struct describe_configs_response *out = call->out;
    const struct describe_configs_request_describe_configs_resource *bad = NULL;
    for (int32_t i = 0; i < in->resources_count && !bad; i++) {
        int8_t type = in->resources[i].resource_type;
        if (type != RESOURCE_TOPIC && type != RESOURCE_BROKER && type != RESOURCE_LOGGER &&
            type != RESOURCE_CLIENT_METRICS && type != RESOURCE_GROUP)
            bad = &in->resources[i];
    }
    for (int32_t i = 0; bad && i < in->resources_count; i++) {
        out->results[i].resource_type = in->resources[i].resource_type;
        out->results[i].resource_name = in->resources[i].resource_name;
        complain(&out->results[i], ERROR_INVALID_REQUEST,
                 arena_format(&call->request->arena,
                              "Unexpected resource type UNKNOWN for resource %.*s",
                              bad->resource_name.size, bad->resource_name.data));
    }
    return !bad;
}

static enum step describe_configs_tell(struct flow *flow)
{
    struct describe_configs *describe = (struct describe_configs *)flow;
    struct call *call = &describe->call;
    const struct describe_configs_request *in = call->in;
    struct describe_configs_response *out = call->out;
    int32_t count = in->resources_count;
    if (!out->results) {
        out->results = call_take_messages(
            call, &describe_configs_response_describe_configs_result_message, count);
        describe->failed = !out->results;
        if (describe->failed)
            return STEP_FAIL;
        if (!check_types(call)) {
            out->results_count = count;
            return STEP_NEXT;
        }
    }
    /* One a step: each may take every row of the table. */
    if (out->results_count < count) {
        int32_t at = out->results_count++;
        describe->failed = !tell_resource(call, &in->resources[at], &out->results[at]);
        return describe->failed ? STEP_FAIL : STEP_AGAIN;
    }
    return STEP_NEXT;
}

static enum step describe_configs_answer(struct flow *flow)
{
    struct describe_configs *describe = (struct describe_configs *)flow;
    if (describe->failed)
        call_refuse(&describe->call, "its answer is larger than request.arena.bytes");
    else
        call_reply(&describe->call, NULL);
    return STEP_NEXT;
}

const struct flow_kind describe_configs_kind = {
    "describe-configs", {{"tell", describe_configs_tell}, {"answer", describe_configs_answer}}};
