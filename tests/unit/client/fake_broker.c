#include "unit/client/fake_broker.h"
#include "base/check.h"
#include "base/memory.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ARENA_BYTES = 16 << 20, PORT_FIRST = 21000, PORT_END = 32000 };

static bool read_all(int socket, uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t got = recv(socket, data, size, 0);
        if (got <= 0)
            return false;
        data += got;
        size -= (size_t)got;
    }
    return true;
}

static bool write_all(int socket, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(socket, data, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        size -= (size_t)sent;
    }
    return true;
}

static const void *all_versions(struct arena *arena)
{
    struct api_versions_response *response = arena_take(arena, sizeof *response);
    message_set_defaults(&api_versions_response_message, response);
    response->api_keys = arena_take(arena, 200 * sizeof *response->api_keys);
    int position = 0;
    const struct api *api;
    while ((api = api_next(&position))) {
        struct api_versions_response_api_version *key =
            &response->api_keys[response->api_keys_count++];
        message_set_defaults(&api_versions_response_api_version_message, key);
        key->api_key = api->key;
        key->min_version = api->oldest;
        key->max_version = api->newest_stable;
    }
    return response;
}

static bool answer_request(struct fake_broker *broker, int socket, struct arena *arena,
                           const uint8_t *data, size_t size)
{
    struct reader reader;
    reader_init(&reader, data, size);
    struct request_header header;
    if (request_header_decode(&reader, arena, &header))
        return false;
    const struct api *api = api_find(header.request_api_key);
    int16_t version = header.request_api_version;
    void *request = arena_take(arena, api->request->size);
    if (message_decode_whole(api->request, version, &reader, arena, request))
        return false;
    const void *response = api->key == API_API_VERSIONS
                               ? all_versions(arena)
                               : broker->answer(broker, api, request, arena);
    if (!response)
        return false;
    struct writer writer;
    size_t capacity = message_size(api->response, version, response) + 64;
    uint8_t *frame = arena_take(arena, capacity);
    writer_init(&writer, frame, capacity);
    write_i32(&writer, 0);
    if (response_header_encode(&writer, api, version, header.correlation_id) ||
        message_encode(api->response, version, &writer, response))
        return false;
    store_be32(frame, (uint32_t)writer.size - 4);
    return write_all(socket, frame, writer.size);
}

/* One request of a connection; false if it is to be cut. */
static bool serve(struct fake_broker *broker, int socket)
{
    uint8_t length[4];
    if (!read_all(socket, length, 4))
        return false;
    size_t size = load_be32(length);
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    uint8_t *data = arena_take(&arena, size);
    bool is_well =
        data && read_all(socket, data, size) && answer_request(broker, socket, &arena, data, size);
    arena_done(&arena);
    return is_well;
}

static void *run(void *context)
{
    struct fake_broker *broker = context;
    for (;;) {
        struct pollfd polls[FAKE_CONNECTIONS_MAX + 2] = {
            {.fd = broker->stop[0], .events = POLLIN}, {.fd = broker->listener, .events = POLLIN}};
        int count = broker->connection_count;
        for (int i = 0; i < count; i++)
            polls[i + 2] = (struct pollfd){.fd = broker->connections[i], .events = POLLIN};
        poll(polls, (nfds_t)count + 2, -1);
        if (polls[0].revents)
            return NULL;
        for (int i = count - 1; i >= 0; i--)
            if (polls[i + 2].revents && !serve(broker, broker->connections[i])) {
                close(broker->connections[i]);
                broker->connections[i] = broker->connections[--broker->connection_count];
            }
        if (polls[1].revents && broker->connection_count < FAKE_CONNECTIONS_MAX) {
            broker->connections[broker->connection_count++] = accept(broker->listener, NULL, NULL);
            broker->accepted_count++;
        }
    }
}

void fake_broker_start(struct fake_broker *broker)
{
    broker->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int port = PORT_FIRST + getpid() % 1000;
    int failed = -1;
    for (; failed && port < PORT_END; port++) {
        address.sin_port = htons((uint16_t)port);
        failed = bind(broker->listener, (struct sockaddr *)&address, sizeof address);
        if (!failed)
            break;
    }
    check(!failed && listen(broker->listener, 16) == 0 && pipe(broker->stop) == 0);
    host_port_set(&broker->address, STRING("127.0.0.1"), port);
    check(pthread_create(&broker->thread, NULL, run, broker) == 0);
}

void fake_broker_stop(struct fake_broker *broker)
{
    check(write(broker->stop[1], "x", 1) == 1);
    pthread_join(broker->thread, NULL);
    for (int i = 0; i < broker->connection_count; i++)
        close(broker->connections[i]);
    close(broker->listener);
    close(broker->stop[0]);
    close(broker->stop[1]);
}

const void *fake_metadata(struct fake_broker *broker, struct arena *arena, const char *topic_name,
                          int32_t partitions)
{
    struct metadata_response *response = arena_take(arena, sizeof *response);
    message_set_defaults(&metadata_response_message, response);
    response->brokers_count = response->topics_count = 1;
    response->brokers = arena_take(arena, sizeof *response->brokers);
    message_set_defaults(&metadata_response_broker_message, response->brokers);
    response->brokers->node_id = 1;
    response->brokers->host = string_of(broker->address.host);
    response->brokers->port = broker->address.port;
    struct metadata_response_topic *topic = response->topics = arena_take(arena, sizeof *topic);
    message_set_defaults(&metadata_response_topic_message, topic);
    topic->name = string_of(topic_name);
    topic->topic_id.bytes[0] = 7;
    topic->partitions = arena_take(arena, (size_t)partitions * sizeof *topic->partitions);
    topic->partitions_count = partitions;
    for (int32_t i = 0; i < partitions; i++) {
        message_set_defaults(&metadata_response_partition_message, &topic->partitions[i]);
        topic->partitions[i].partition_index = i;
        topic->partitions[i].leader_id = 1;
    }
    return response;
}
