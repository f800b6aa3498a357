/* ApiVersions (KIP-35, KIP-511, KIP-1242): what is served, and nothing else. */
#include "api/api.h"
#include "base/check.h"

struct api_versions_call {
    struct call call;
};
const uint16_t api_versions_call_size = sizeof(struct api_versions_call);

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* KIP-511: [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])? */
static bool is_software_name(struct string name)
{
    if (name.size <= 0 || !is_letter_or_digit(name.data[0]) ||
        !is_letter_or_digit(name.data[name.size - 1]))
        return false;
    for (int32_t i = 0; i < name.size; i++)
        if (!is_letter_or_digit(name.data[i]) && name.data[i] != '-' && name.data[i] != '.')
            return false;
    return true;
}

/* KIP-1242: a client that meant another cluster or node is told to start over. */
static bool is_misrouted(const struct broker *broker, const struct api_versions_request *in)
{
    if (in->cluster_id.size >= 0 && !string_equal(in->cluster_id, string_of(broker->cluster_id)))
        return true;
    return in->node_id != -1 && in->node_id != broker->node_id;
}

static enum error judge(const struct call *call)
{
    const struct api_versions_request *in = call->in;
    if (call->request->api_version != call->version)
        return ERROR_UNSUPPORTED_VERSION;
    if (call->version >= 3 && (!is_software_name(in->client_software_name) ||
                               !is_software_name(in->client_software_version)))
        return ERROR_INVALID_REQUEST;
    if (call->version >= 5 && is_misrouted(call->shard->broker, in))
        return ERROR_REBOOTSTRAP_REQUIRED;
    return ERROR_NONE;
}

static const struct {
    int16_t key, oldest, newest;
} served[] = {
#define HANDLER(constant, name, advertised, oldest, newest, frame)                                 \
    {API_##constant, advertised, newest},
#include "api/handlers.def"
#undef HANDLER
};

static bool list_apis(struct call *call, struct api_versions_response *out)
{
    out->api_keys =
        call_take_messages(call, &api_versions_response_api_version_message, ARRAY_COUNT(served));
    if (!out->api_keys)
        return false;
    for (int i = 0; i < ARRAY_COUNT(served); i++) {
        struct api_versions_response_api_version *entry = &out->api_keys[out->api_keys_count++];
        entry->api_key = served[i].key;
        entry->min_version = served[i].oldest;
        entry->max_version = served[i].newest;
    }
    return true;
}

/* The level of metadata.version that the log says, and the only one whose records are known. */
static bool list_features(struct call *call, struct api_versions_response *out)
{
    const struct string name = STRING("metadata.version");
    const struct image *image = &call->shard->image;
    int16_t level = image_feature_level(image, name);
    out->supported_features =
        call_take_messages(call, &api_versions_response_supported_feature_key_message, 1);
    out->finalized_features =
        call_take_messages(call, &api_versions_response_finalized_feature_key_message, 1);
    if (!out->supported_features || !out->finalized_features)
        return false;
    out->supported_features[0].name = out->finalized_features[0].name = name;
    out->supported_features[0].min_version = METADATA_VERSION;
    out->supported_features[0].max_version = METADATA_VERSION;
    out->supported_features_count = 1;
    out->finalized_features_epoch = (int64_t)image->epoch - 1; /* offset of the last record */
    out->finalized_features[0].min_version_level = level;
    out->finalized_features[0].max_version_level = level;
    out->finalized_features_count = level > 0;
    return true;
}

static enum step api_versions_answer(struct flow *flow)
{
    struct call *call = (struct call *)flow;
    struct api_versions_response *out = call->out;
    out->error_code = (int16_t)judge(call);
    bool lists = out->error_code == ERROR_NONE || out->error_code == ERROR_UNSUPPORTED_VERSION;
    bool features = out->error_code == ERROR_NONE && call->version >= 3;
    if ((lists && !list_apis(call, out)) || (features && !list_features(call, out)))
        call_refuse(call, error_text(ERROR_NO_MEMORY));
    else
        call_reply(call, NULL);
    return STEP_NEXT;
}

const struct flow_kind api_versions_kind = {"api-versions", {{"answer", api_versions_answer}}};
