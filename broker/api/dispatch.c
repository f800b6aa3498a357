#include "api/api.h"
#include "api/scrape.h"
#include "base/check.h"
#include "base/reached.h"
#include <stdio.h>

enum { HANDLER_KEYS_END = 96, FRAME_BORROWED = 1, FRAME_OWNED = 0 };
enum { SLICES_AT_ONCE = 32 };     /* of an answer, before they are counted */
enum { METADATA_SLIP_BYTES = 3 }; /* see is_slip_of_librdkafka */

/* A table with sizes that other files know is filled by a switch, which the compiler makes a table
 * of again. */
static bool describe(int16_t key, struct handler *ret)
{
    switch (key) {
#define HANDLER(constant, name, advertised_, oldest_, newest_, frame_)                             \
    case API_##constant:                                                                           \
        *ret = (struct handler){.kind = &name##_kind,                                              \
                                .advertised_oldest = advertised_,                                  \
                                .oldest = oldest_,                                                 \
                                .newest = newest_,                                                 \
                                .size = name##_call_size,                                          \
                                .borrows_frame = FRAME_##frame_};                                  \
        return true;
#include "api/handlers.def"
#undef HANDLER
    default:
        return false;
    }
}

bool handler_find(int16_t key, struct handler *ret_handler)
{
    return describe(key, ret_handler);
}

void *call_take(struct call *call, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / 2 / size)
        return NULL;
    return arena_take(&call->request->arena, count * size);
}

void *call_take_messages(struct call *call, const struct message *message, int32_t count)
{
    check(count >= 0);
    uint8_t *array = call_take(call, (size_t)count, message->size);
    if (array)
        message_set_defaults_each(message, array, count);
    return array;
}

struct string call_copy_string(struct call *call, struct string text)
{
    if (text.size < 0)
        return text;
    const char *copy = arena_copy(&call->request->arena, text.data, (size_t)text.size);
    return copy ? (struct string){copy, text.size} : STRING_NULL;
}

void call_refuse(struct call *call, const char *why)
{
    request_refuse(call->request, why);
}

void call_reply_nothing(struct call *call)
{
    request_answer(call->request, NULL, 0, NULL);
}

static enum error encode(struct call *call, struct writer *writer, struct gather *gather)
{
    write_i32(writer, 0); /* the length, known at the end */
    enum error error =
        response_header_encode(writer, call->api, call->version, call->request->correlation_id);
    if (error != ERROR_NONE)
        return error;
    return message_encode_gather(call->api->response, call->version, writer, gather, call->out);
}

/* Gives up on an answer: what was asked can't be answered within the budget, or not in this
 * version. `sent` still gets its hold, which request_answer releases. */
static void give_up(struct call *call, struct flow *sent, const char *why)
{
    if (sent)
        request_refuse_later(call->request, why, sent);
    else
        request_refuse(call->request, why);
}

/* Encodes into what is left of the arena's chunk, which nearly every answer fits. NO_MEMORY: it
 * does not, or has more slices. */
static enum error encode_at_once(struct call *call, struct gather *gather, uint8_t **ret_data)
{
    struct arena *arena = &call->request->arena;
    struct writer writer;
    size_t room;
    uint8_t *data = arena_rest(arena, &room);
    if (!data)
        return ERROR_NO_MEMORY;
    writer_init(&writer, data, room);
    gather_init(gather, gather->slices, gather->capacity, &writer);
    enum error error = encode(call, &writer, gather);
    if (error == ERROR_NONE)
        arena_keep(arena, writer.size);
    *ret_data = data;
    return error;
}

/* Encodes twice: the first time to know the sizes. */
static enum error encode_measured(struct call *call, struct gather *gather, uint8_t **ret_data)
{
    struct writer writer;
    writer_init(&writer, NULL, 0);
    gather_init(gather, NULL, 0, &writer);
    enum error error = encode(call, &writer, gather);
    if (error != ERROR_NONE)
        return error;
    size_t size = writer.size;
    int32_t count = gather->count;
    *ret_data = call_take(call, 1, size);
    struct bytes *slices = call_take(call, (size_t)count, sizeof *slices);
    if (!*ret_data || !slices)
        return ERROR_NO_MEMORY;
    writer_init(&writer, *ret_data, size);
    gather_init(gather, slices, count, &writer);
    error = encode(call, &writer, gather);
    check(error == ERROR_NONE && writer.size == size && gather->count == count);
    return ERROR_NONE;
}

void call_reply(struct call *call, struct flow *sent)
{
    struct bytes slices[SLICES_AT_ONCE];
    struct gather gather = {.slices = slices, .capacity = SLICES_AT_ONCE};
    uint8_t *data;
    enum error error = encode_at_once(call, &gather, &data);
    if (error == ERROR_NO_MEMORY)
        error = encode_measured(call, &gather, &data);
    struct iovec *vectors = NULL;
    if (error == ERROR_NONE && gather.size_bytes <= INT32_MAX)
        vectors = call_take(call, (size_t)gather.count, sizeof *vectors);
    if (!vectors) {
        give_up(call, sent,
                error == ERROR_NONE || error == ERROR_NO_MEMORY
                    ? "its answer is larger than request.arena.bytes"
                    : "its answer has a field that this version lacks");
        return;
    }
    store_be32(data, (uint32_t)(gather.size_bytes - 4));
    for (int32_t i = 0; i < gather.count; i++)
        vectors[i] = (struct iovec){(void *)gather.slices[i].data, (size_t)gather.slices[i].size};
    /* The answer has all it needs: a peer that takes its time to read it keeps nobody else out. */
    call->request->client_id = STRING_NULL;
    request_release_frame(call->request);
    request_answer(call->request, vectors, gather.count, sent);
}

/* A request that is refused before it is handled. */
static void refuse(struct request *request, enum refusal refusal, const char *why)
{
    struct shard *shard = request->net->owner;
    metrics_count_refusal(&shard->metrics, refusal);
    request_refuse(request, why);
}

static enum refusal refusal_of(enum error error)
{
    return error == ERROR_NO_MEMORY ? REFUSAL_BODY_TOO_LARGE : REFUSAL_BODY_MALFORMED;
}

/* KIP-511: a version of ApiVersions that we don't know is answered in the form of version 0. */
static int16_t served_version(const struct api *api, int16_t version, bool *ret_fallback)
{
    *ret_fallback = api && api->key == API_API_VERSIONS && (version < 0 || version > api->newest);
    return *ret_fallback ? 0 : version;
}

static bool decode_header(struct request *request, struct reader *reader, bool *ret_fallback)
{
    struct request_header header;
    *ret_fallback = false;
    reader_init(reader, request->frame.data, (size_t)request->frame.size);
    enum error error = request_header_decode(reader, &request->arena, &header);
    if (error != ERROR_NONE && error != ERROR_UNSUPPORTED_VERSION) {
        refuse(request, refusal_of(error), error_text(error));
        return false;
    }
    request->api_key = header.request_api_key;
    request->api_version = header.request_api_version;
    request->correlation_id = header.correlation_id;
    request->client_id = header.client_id;
    const struct api *api = api_find(request->api_key);
    struct handler handler;
    if (!api || !handler_find(request->api_key, &handler)) {
        refuse(request, REFUSAL_UNKNOWN_API,
               api ? "this API is not served" : "there is no such API");
        return false;
    }
    int16_t version = served_version(api, request->api_version, ret_fallback);
    if (version < handler.oldest || version > handler.newest) {
        refuse(request, REFUSAL_UNSUPPORTED_VERSION, "this version of the API is not served");
        return false;
    }
    return true;
}

/* Asked for the metadata of all topics, librdkafka writes the one byte of the null into the four it
 * had kept for a count, and sends the other three as well (its issue 5049, in each release that
 * speaks Metadata 9 or later, 2.16 included). The two flags slide behind the end; Kafka does not
 * look there. */
static bool is_slip_of_librdkafka(const struct api *api, int16_t version, size_t left_bytes,
                                  const void *in)
{
    return api->key == API_METADATA && message_is_flexible(api->request, version) &&
           left_bytes == METADATA_SLIP_BYTES &&
           ((const struct metadata_request *)in)->topics_count < 0;
}

static enum error decode_body(const struct api *api, int16_t version, struct reader *reader,
                              struct arena *arena, void *in)
{
    enum error error = message_decode(api->request, version, reader, arena, in);
    size_t left_bytes = reader_left(reader);
    if (error != ERROR_NONE || left_bytes == 0)
        return error;
    return is_slip_of_librdkafka(api, version, left_bytes, in) ? ERROR_NONE : ERROR_TRAILING_BYTES;
}

static struct call *decode(struct request *request, struct reader *reader, bool fallback)
{
    const struct api *api = api_find(request->api_key);
    struct handler handler;
    handler_find(request->api_key, &handler);
    int16_t version = fallback ? 0 : request->api_version;
    struct arena *arena = &request->arena;
    struct call *call = arena_take(arena, handler.size);
    void *in = arena_take(arena, api->request->size);
    void *out = arena_take(arena, api->response->size);
    if (!call || !in || !out) {
        refuse(request, REFUSAL_BODY_TOO_LARGE, error_text(ERROR_NO_MEMORY));
        return NULL;
    }
    message_set_defaults(api->response, out);
    if (fallback) {
        message_set_defaults(api->request, in);
    } else {
        enum error error = decode_body(api, version, reader, arena, in);
        if (error != ERROR_NONE) {
            refuse(request, refusal_of(error), error_text(error));
            return NULL;
        }
    }
    if (version < api->newest)
        REACHED("a request of an old version");
    call->request = request;
    call->shard = request->net->owner;
    call->api = api;
    call->version = version;
    call->in = in;
    call->out = out;
    request->data = call;
    return call;
}

static void on_request(struct request *request)
{
    struct handler handler;
    bool fallback;
    int16_t key = request->frame.size >= 2 ? (int16_t)load_be16(request->frame.data) : -1;
    bool borrows = handler_find(key, &handler) && handler.borrows_frame;
    if (!borrows && !request_own_frame(request)) {
        refuse(request, REFUSAL_BODY_TOO_LARGE, error_text(ERROR_NO_MEMORY));
        return;
    }
    struct reader reader;
    if (!decode_header(request, &reader, &fallback))
        return;
    struct call *call = decode(request, &reader, fallback);
    if (!call)
        return;
    call->shard->metrics.requests[key]++;
    flow_start(&call->flow, handler.kind, &call->shard->core);
}

static void on_stopped(struct net *home)
{
    struct shard *shard = home->owner;
    if (shard->api->scrape)
        scrape_stop(shard->api->scrape, shard->broker->stopped);
    else
        shard->broker->stopped(shard->broker);
}

const struct net_handler api_handler = {on_request, on_stopped};
