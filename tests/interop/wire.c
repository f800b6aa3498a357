#include "interop/wire.h"
#include "protocol/batch.h"
#include "support/test.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MS = 20000 };

int wire_dial(const struct wire *wire)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)strtol(strchr(wire->broker.address, ':') + 1, NULL, 10));
    int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (handle >= 0 && connect(handle, (struct sockaddr *)&address, sizeof address) != 0) {
        close(handle);
        return -1;
    }
    return handle;
}

/* Reads `size` bytes; how many came before the end of the connection, or the limit. */
static size_t receive(int handle, uint8_t *to, size_t size)
{
    size_t have = 0;
    int64_t deadline_ms = process_now_ms() + ANSWER_MS;
    while (have < size) {
        struct pollfd wanted = {.fd = handle, .events = POLLIN};
        int64_t left_ms = deadline_ms - process_now_ms();
        if (left_ms <= 0 || poll(&wanted, 1, (int)left_ms) <= 0)
            return SIZE_MAX; /* neither an answer nor an end */
        ssize_t got = recv(handle, to + have, size - have, 0);
        if (got <= 0)
            return have;
        have += (size_t)got;
    }
    return have;
}

/* Sends `size` bytes of wire->frame, of which the first four are the length, and receives the
 * answer, without its length, into wire->frame. 0: the connection was closed without one; -1:
 * neither came. */
int64_t wire_exchange(struct wire *wire, int handle, size_t size)
{
    uint8_t length[4];
    store_be32(wire->frame, (uint32_t)(size - 4));
    if (send(handle, wire->frame, size, MSG_NOSIGNAL) != (ssize_t)size)
        return -1;
    size_t got = receive(handle, length, 4);
    if (got != 4)
        return got == 0 ? 0 : -1;
    size_t answer = load_be32(length);
    if (answer > WIRE_FRAME_BYTES || receive(handle, wire->frame, answer) != answer)
        return -1;
    return (int64_t)answer;
}

size_t wire_encode(struct wire *wire, const struct api *api, int16_t version, const void *request)
{
    struct writer writer;
    writer_init(&writer, wire->frame + 4, WIRE_FRAME_BYTES - 8);
    enum error error =
        request_header_encode(&writer, api, version, WIRE_CORRELATION, STRING("conformance"));
    if (error == ERROR_NONE)
        error = message_encode(api->request, version, &writer, request);
    test_expect(error == ERROR_NONE && writer.error == ERROR_NONE, __FILE__, __LINE__,
                "%s %d can't be encoded: %s", api->name, version, error_text(error));
    return writer.size + 4;
}

/* The answer in wire->frame, decoded to its last byte; null if it can't be. */
void *wire_decode(struct wire *wire, const struct api *api, int16_t version, int64_t size)
{
    struct reader reader;
    reader_init(&reader, wire->frame, (size_t)size);
    int32_t correlation = read_i32(&reader);
    if (response_header_version(api, version) > 0 && read_i8(&reader) != 0)
        return NULL; /* no tag is known in it */
    void *response = arena_take(&wire->arena, api->response->size);
    enum error error =
        message_decode_whole(api->response, version, &reader, &wire->arena, response);
    return error == ERROR_NONE && correlation == WIRE_CORRELATION ? response : NULL;
}

/* One request on a connection of its own; the answer, or null. */
void *wire_call(struct wire *wire, const struct api *api, int16_t version, const void *request)
{
    int handle = wire_dial(wire);
    int64_t size = wire_exchange(wire, handle, wire_encode(wire, api, version, request));
    close(handle);
    return size > 0 ? wire_decode(wire, api, version, size) : NULL;
}

void *wire_take(struct wire *wire, const struct message *message)
{
    void *value = arena_take(&wire->arena, message->size);
    message_set_defaults(message, value);
    return value;
}

struct string wire_new_name(struct wire *wire)
{
    return arena_format(&wire->arena, WIRE_TOPIC "-%d", wire->serial++);
}

struct bytes wire_record(struct wire *wire)
{
    struct batch_builder builder;
    struct batch_fields fields = BATCH_FIELDS_PLAIN;
    struct record record = {.timestamp = 1700000000000, .value = {(const uint8_t *)"x", 1}};
    batch_builder_init(&builder, arena_take(&wire->arena, 256), 256);
    batch_builder_add(&builder, &record);
    batch_builder_end(&builder, &fields);
    return (struct bytes){builder.data, (int32_t)builder.size_bytes};
}

struct uuid wire_create_topic(struct wire *wire, struct string name)
{
    struct create_topics_request *request = TAKE(wire, create_topics_request);
    request->topics = TAKE(wire, create_topics_request_creatable_topic);
    request->topics->name = name;
    request->topics->num_partitions = 2;
    request->topics->replication_factor = 1;
    request->topics_count = 1;
    request->timeout_ms = 10000;
    struct create_topics_response *response =
        wire_call(wire, api_find(API_CREATE_TOPICS), 7, request);
    bool created =
        response && response->topics_count == 1 && response->topics->error_code == ERROR_NONE;
    TRUE_(created);
    return created ? response->topics->topic_id : (struct uuid){{0}};
}

struct wire *wire_start(const char *setting)
{
    struct wire *wire = calloc(1, sizeof *wire);
    arena_init(&wire->arena, WIRE_ARENA_BYTES);
    bool started = process_init(&wire->broker);
    wire->broker.settings[0] = setting;
    if (!started || !process_start(&wire->broker)) {
        TRUE_(!"the broker starts");
        process_done(&wire->broker);
        arena_done(&wire->arena);
        free(wire);
        return NULL;
    }
    wire->topic_id = wire_create_topic(wire, STRING(WIRE_TOPIC));
    return wire;
}

void wire_end(struct wire *wire)
{
    if (!wire)
        return;
    int status = process_stop(&wire->broker, SIGTERM);
    TRUE_(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    process_done(&wire->broker);
    arena_done(&wire->arena);
    free(wire);
}
