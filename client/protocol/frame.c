#include "protocol/frame.h"
#include "base/check.h"

enum { API_KEYS_END = 128 }; /* well above the newest key */

static const struct api apis[API_KEYS_END] = {
#define API(key_, oldest_, newest_, flexible_, listeners_, stability_, constant_, name_, tables_)  \
    [key_] = {.name = #name_,                                                                      \
              .key = key_,                                                                         \
              .oldest = oldest_,                                                                   \
              .newest = newest_,                                                                   \
              .newest_stable = newest_ - stability_,                                               \
              .flexible = flexible_,                                                               \
              .listeners = API_LISTENER_##listeners_,                                              \
              .request = &tables_##_request_message,                                               \
              .response = &tables_##_response_message},
#define NEVER    INT16_MAX
#define STABLE   0
#define UNSTABLE 1 /* version less is stable */
#include "protocol/apis.def"
#undef NEVER
#undef STABLE
#undef UNSTABLE
#undef API
};

const struct api *api_find(int16_t key)
{
    if (key < 0 || key >= API_KEYS_END || !apis[key].name)
        return NULL;
    return &apis[key];
}

const char *api_name(int16_t key)
{
    const struct api *api = api_find(key);
    return api ? api->name : "UNKNOWN";
}

const struct api *api_next(int *position)
{
    while (*position < API_KEYS_END) {
        const struct api *api = api_find((int16_t)(*position)++);
        if (api)
            return api;
    }
    return NULL;
}

int16_t request_header_version(const struct api *api, int16_t version)
{
    return api && version >= api->flexible ? 2 : 1;
}

int16_t response_header_version(const struct api *api, int16_t version)
{
    return api->key != API_API_VERSIONS && version >= api->flexible ? 1 : 0;
}

enum error request_header_decode(struct reader *reader, struct arena *arena,
                                 struct request_header *header)
{
    struct reader peek = *reader;
    int16_t key = read_i16(&peek), version = read_i16(&peek);
    int32_t correlation_id = read_i32(&peek);
    const struct api *api = api_find(key);
    if (peek.error == ERROR_NONE && (!api || version < api->oldest || version > api->newest)) {
        message_set_defaults(&request_header_message, header);
        header->request_api_key = key;
        header->request_api_version = version;
        header->correlation_id = correlation_id;
        *reader = peek;
        return ERROR_UNSUPPORTED_VERSION;
    }
    return message_decode(&request_header_message, request_header_version(api, version), reader,
                          arena, header);
}

enum error request_header_encode(struct writer *writer, const struct api *api, int16_t version,
                                 int32_t correlation_id, struct string client_id)
{
    check(api && version >= api->oldest && version <= api->newest);
    struct request_header header = {
        .request_api_key = api->key,
        .request_api_version = version,
        .correlation_id = correlation_id,
        .client_id = client_id,
    };
    return message_encode(&request_header_message, request_header_version(api, version), writer,
                          &header);
}

enum error response_header_encode(struct writer *writer, const struct api *api, int16_t version,
                                  int32_t correlation_id)
{
    check(api);
    struct response_header header = {.correlation_id = correlation_id};
    return message_encode(&response_header_message, response_header_version(api, version), writer,
                          &header);
}
