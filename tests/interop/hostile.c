#include "interop/hostile.h"
#include "base/random.h"
#include "codec/crc32c.h"
#include "protocol/messages.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { LIMIT_S = 20, ARENA_BYTES = 512 << 20 };

/* -- the stage ------------------------------------------------------------------------------- */

static bool make_topic(struct stage *stage)
{
    struct create_topics_request *in = request_of(stage, API_CREATE_TOPICS);
    struct create_topics_request_creatable_topic topic = {
        .name = STRING("t"), .num_partitions = 1, .replication_factor = 1};
    in->topics = &topic;
    in->topics_count = 1;
    in->timeout_ms = LIMIT_S * 1000;
    struct create_topics_response *out =
        client_ask(stage, stage->neighbour, API_CREATE_TOPICS, 7, in);
    if (!out || out->topics_count != 1 || out->topics[0].error_code != ERROR_NONE)
        return false;
    stage->topic_id = out->topics[0].topic_id;
    return true;
}

bool stage_open(struct stage *stage, const char *const *settings)
{
    *stage = (struct stage){.neighbour = -1};
    arena_init(&stage->arena, ARENA_BYTES);
    signal(SIGPIPE, SIG_IGN);
    if (!TRUE_(process_init(&stage->broker)))
        return false;
    for (int i = 0; settings && settings[i]; i++)
        stage->broker.settings[i] = settings[i];
    if (!TRUE_(process_start(&stage->broker)))
        return false;
    stage->neighbour = client_connect(stage);
    if (!TRUE_(stage->neighbour >= 0) || !TRUE_(make_topic(stage)))
        return false;
    stage->resident_bytes = process_resident_bytes(&stage->broker);
    return TRUE_(stage->resident_bytes > 0);
}

void stage_close(struct stage *stage)
{
    if (stage->broker.id) {
        TRUE_(neighbour_is_well(stage));
        EQ(process_stop(&stage->broker, SIGTERM), 0);
    }
    client_close(stage->neighbour);
    process_done(&stage->broker);
    arena_done(&stage->arena);
}

bool neighbour_is_well(struct stage *stage)
{
    struct metadata_response *out =
        client_ask(stage, stage->neighbour, API_METADATA, 9, request_of(stage, API_METADATA));
    return out && out->brokers_count == 1;
}

int64_t grown_bytes(struct stage *stage)
{
    return process_resident_bytes(&stage->broker) - stage->resident_bytes;
}

/* -- the client ------------------------------------------------------------------------------ */

int client_connect(struct stage *stage)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct timeval limit = {.tv_sec = LIMIT_S};
    int yes = 1, client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)strtol(strchr(stage->broker.address, ':') + 1, NULL, 10));
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (client >= 0 && connect(client, (struct sockaddr *)&address, sizeof address) == 0)
        return client;
    client_close(client);
    return -1;
}

void client_close(int client)
{
    if (client >= 0)
        close(client);
}

bool client_send(int client, struct bytes bytes)
{
    while (bytes.size > 0) {
        ssize_t sent = send(client, bytes.data, (size_t)bytes.size, 0);
        if (sent <= 0)
            return false;
        bytes.data += sent;
        bytes.size -= (int32_t)sent;
    }
    return true;
}

static bool receive_all(int client, uint8_t *to, size_t size)
{
    while (size > 0) {
        ssize_t got = recv(client, to, size, 0);
        if (got <= 0)
            return false;
        to += got;
        size -= (size_t)got;
    }
    return true;
}

struct bytes client_receive(struct stage *stage, int client)
{
    uint8_t length[4];
    if (!receive_all(client, length, sizeof length))
        return BYTES_NULL;
    int32_t size = (int32_t)load_be32(length);
    uint8_t *data = size >= 4 ? arena_take(&stage->arena, (size_t)size) : NULL;
    if (!data || !receive_all(client, data, (size_t)size))
        return BYTES_NULL;
    return (struct bytes){data, size};
}

bool client_is_refused(int client)
{
    uint8_t byte;
    ssize_t got = recv(client, &byte, 1, 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);
}

/* -- frames ---------------------------------------------------------------------------------- */

void *request_of(struct stage *stage, int16_t key)
{
    const struct message *message = api_find(key)->request;
    void *request = arena_take(&stage->arena, message->size);
    message_set_defaults(message, request);
    return request;
}

struct bytes frame_of(struct stage *stage, int16_t key, int16_t version, const void *request,
                      int extra)
{
    const struct api *api = api_find(key);
    size_t capacity = message_size(api->request, version, request) + 256;
    uint8_t *data = arena_take(&stage->arena, capacity);
    struct writer writer;
    writer_init(&writer, data, capacity);
    write_i32(&writer, 0);
    EQ(request_header_encode(&writer, api, version, ++stage->correlation_id, STRING("hostile")),
       ERROR_NONE);
    EQ(message_encode(api->request, version, &writer, request), ERROR_NONE);
    size_t size = writer.size + (size_t)extra;
    store_be32(data, (uint32_t)size - 4);
    return (struct bytes){data, (int32_t)size};
}

struct bytes frame_raw(struct stage *stage, int16_t key, int16_t version, struct bytes body)
{
    size_t capacity = (size_t)body.size + 256;
    uint8_t *data = arena_take(&stage->arena, capacity);
    struct writer writer;
    const struct api *api = api_find(key);
    writer_init(&writer, data, capacity);
    write_i32(&writer, 0);
    write_i16(&writer, key);
    write_i16(&writer, version);
    write_i32(&writer, ++stage->correlation_id);
    write_i16(&writer, -1);
    if (request_header_version(api, version) >= 2)
        write_i8(&writer, 0);
    write_raw(&writer, body.data, (size_t)body.size);
    store_be32(data, (uint32_t)writer.size - 4);
    return (struct bytes){data, (int32_t)writer.size};
}

void *answer_of(struct stage *stage, struct bytes frame, int16_t key, int16_t version,
                int32_t correlation_id)
{
    const struct api *api = api_find(key);
    struct reader reader;
    struct response_header header;
    if (frame.size < 4)
        return NULL;
    reader_init(&reader, frame.data, (size_t)frame.size);
    if (message_decode(&response_header_message, response_header_version(api, version), &reader,
                       &stage->arena, &header) != ERROR_NONE ||
        header.correlation_id != correlation_id)
        return NULL;
    void *response = arena_take(&stage->arena, api->response->size);
    message_set_defaults(api->response, response);
    return message_decode_whole(api->response, version, &reader, &stage->arena, response) ==
                   ERROR_NONE
               ? response
               : NULL;
}

void *client_ask(struct stage *stage, int client, int16_t key, int16_t version, const void *request)
{
    struct bytes frame = frame_of(stage, key, version, request, 0);
    if (!client_send(client, frame))
        return NULL;
    return answer_of(stage, client_receive(stage, client), key, version, stage->correlation_id);
}

/* -- records --------------------------------------------------------------------------------- */

int produce(struct stage *stage, int client, struct bytes batch, int16_t acks)
{
    struct produce_request *in = request_of(stage, API_PRODUCE);
    struct produce_request_topic_produce_data topic = {.topic_id = stage->topic_id};
    struct produce_request_partition_produce_data partition = {.records.whole = batch};
    in->acks = acks;
    in->timeout_ms = LIMIT_S * 1000;
    in->topic_data = &topic;
    in->topic_data_count = 1;
    topic.partition_data = &partition;
    topic.partition_data_count = 1;
    if (acks == 0)
        return client_send(client, frame_of(stage, API_PRODUCE, 13, in, 0)) ? 0 : INT16_MIN;
    struct produce_response *out = client_ask(stage, client, API_PRODUCE, 13, in);
    if (!out || out->responses_count != 1 || out->responses[0].partition_responses_count != 1)
        return INT16_MIN;
    return out->responses[0].partition_responses[0].error_code;
}

int64_t log_end(struct stage *stage, int client)
{
    struct list_offsets_request *in = request_of(stage, API_LIST_OFFSETS);
    struct list_offsets_request_list_offsets_topic topic = {.name = STRING("t")};
    struct list_offsets_request_list_offsets_partition partition = {.current_leader_epoch = -1,
                                                                    .timestamp = -1};
    in->replica_id = -1;
    in->topics = &topic;
    in->topics_count = 1;
    topic.partitions = &partition;
    topic.partitions_count = 1;
    struct list_offsets_response *out = client_ask(stage, client, API_LIST_OFFSETS, 6, in);
    if (!out || out->topics_count != 1 || out->topics[0].partitions_count != 1)
        return -1;
    return out->topics[0].partitions[0].offset;
}

void *fetch_of(struct stage *stage, int64_t offset, int32_t max_bytes, int32_t wait_ms)
{
    struct fetch_request *in = request_of(stage, API_FETCH);
    struct fetch_request_fetch_topic *topic = arena_take(&stage->arena, sizeof *topic);
    struct fetch_request_fetch_partition *partition = arena_take(&stage->arena, sizeof *partition);
    message_set_defaults(&fetch_request_fetch_topic_message, topic);
    message_set_defaults(&fetch_request_fetch_partition_message, partition);
    in->max_wait_ms = wait_ms;
    in->min_bytes = 1;
    in->max_bytes = max_bytes;
    in->topics = topic;
    in->topics_count = 1;
    topic->topic_id = stage->topic_id;
    topic->partitions = partition;
    topic->partitions_count = 1;
    partition->fetch_offset = offset;
    partition->partition_max_bytes = max_bytes;
    return in;
}

struct bytes batch_of(struct stage *stage, int count, int32_t size)
{
    size_t capacity = BATCH_RECORDS_AT + (size_t)count * ((size_t)size + 32);
    uint8_t *data = arena_take(&stage->arena, capacity);
    uint8_t *value = arena_take(&stage->arena, (size_t)size);
    struct batch_builder builder;
    struct random random;
    random_seed(&random, 1);
    for (int32_t i = 0; i < size; i++)
        value[i] = (uint8_t)random_next(&random);
    batch_builder_init(&builder, data, capacity);
    for (int i = 0; i < count; i++) {
        struct record record = {
            .timestamp = 1700000000000, .key = BYTES_NULL, .value = {value, size}};
        EQ(batch_builder_add(&builder, &record), ERROR_NONE);
    }
    struct batch_fields fields = BATCH_FIELDS_PLAIN;
    batch_builder_end(&builder, &fields);
    return (struct bytes){data, (int32_t)builder.size_bytes};
}

void batch_seal(struct bytes batch)
{
    uint8_t *data = (uint8_t *)(uintptr_t)batch.data;
    store_be32(data + BATCH_LENGTH_AT, (uint32_t)batch.size - BATCH_OVERHEAD);
    store_be32(data + BATCH_CRC_AT,
               crc32c(0, data + BATCH_ATTRIBUTES_AT, (size_t)batch.size - BATCH_ATTRIBUTES_AT));
}
