/* The front of a broker (connections, requests, every handler) over ports of memory: two clients
 * that send anything, cut anywhere, and read or do not. One byte of choices, then steps, each a
 * byte: what is done, and with which of the clients.
 *  1. Nothing is lost: at the end every connection, request, buffer and reference is given back
 *     (bench_close checks it).
 *  2. What a client gets is whole frames, and no more answers than it sent frames.
 *  3. A third client, which asks for the metadata, is answered after all of it. */
#include "fuzz/fuzz.h"
#include "api/bench.h"
#include "base/memory.h"
#include "net/connection.h"

enum { CLIENTS = 2, STEPS_MOST = 48, BYTES_MOST = 8192, BATCHES_MOST = 40 };
enum { SMALL_RECEIVES = 1, HOLDS_COMMITS = 2, SLOW_READER = 4, FEW_BUFFERS = 8 };
enum step_kind { RAW, FRAME, REQUEST, END, TIME, TAKE, COMMIT, CONNECT, STEP_KINDS };

struct peer {
    int32_t handle; /* -1: none */
    int frames, answers;
    int fed; /* bytes */
};

struct run {
    struct bench *bench;
    struct uuid topic_id;
    struct peer peers[CLIENTS];
};

static struct fake_socket *socket_of(struct run *run, const struct peer *peer)
{
    return &run->bench->ports[0].sockets[peer->handle];
}

/* Takes the whole answers that were sent to a client. */
static void take_answers(struct run *run, struct peer *peer)
{
    if (peer->handle < 0)
        return;
    struct fake_socket *socket = socket_of(run, peer);
    size_t at = 0;
    while (socket->out_size - at >= 4) {
        int32_t size = (int32_t)load_be32(socket->out + at);
        check(size >= 4 && size <= FAKE_BYTES);
        if (socket->out_size - at < 4 + (size_t)size)
            break;
        at += 4 + (size_t)size;
        check(++peer->answers <= peer->frames);
    }
    socket->out_size -= at;
    memmove(socket->out, socket->out + at, socket->out_size);
}

static void forget(struct run *run, struct peer *peer)
{
    if (peer->handle < 0)
        return;
    struct fake_socket *socket = socket_of(run, peer);
    fake_end(&run->bench->ports[0], peer->handle);
    socket->send_limit = FAKE_BYTES;
    bench_settle(run->bench);
    bench_commit(run->bench, run->topic_id, 0);
    bench_settle(run->bench);
    check(!socket->open);
    memory_free(socket->in);
    memory_free(socket->out);
    *socket = (struct fake_socket){0};
    peer->handle = -1;
}

static void feed(struct run *run, struct peer *peer, const void *data, size_t size)
{
    if (size == 0 || peer->fed + (int)size > FAKE_BYTES / 2)
        return;
    peer->fed += (int)size;
    fake_feed(&run->bench->ports[0], peer->handle, data, size);
}

/* A frame with the right length around the bytes. */
static void feed_frame(struct run *run, struct peer *peer, struct bytes body)
{
    uint8_t length[4];
    store_be32(length, (uint32_t)body.size);
    peer->frames++;
    feed(run, peer, length, sizeof length);
    feed(run, peer, body.data, (size_t)body.size);
}

/* A frame with a right header before a body of any bytes, where "$TOPIC-ID" stands for the id. */
static void feed_request(struct run *run, struct peer *peer, uint16_t choice, struct bytes body)
{
    static const int16_t keys[] = {
#define HANDLER(constant, ...) API_##constant,
#include "api/handlers.def"
#undef HANDLER
    };
    static const char placeholder[16] = "$TOPIC-ID-HERE-$";
    uint8_t bytes[BYTES_MOST + 64];
    const struct api *api = api_find(keys[(choice & 255) % ARRAY_COUNT(keys)]);
    int16_t version = (int16_t)(api->oldest + (choice >> 8) % (api->newest - api->oldest + 1));
    struct writer writer;
    writer_init(&writer, bytes, sizeof bytes);
    check(request_header_encode(&writer, api, version, 1, STRING("fuzz")) == ERROR_NONE);
    size_t at = writer.size;
    if (body.size > 0)
        write_raw(&writer, body.data, (size_t)body.size);
    check(writer.error == ERROR_NONE);
    for (; at + sizeof placeholder <= writer.size; at++)
        if (memcmp(bytes + at, placeholder, sizeof placeholder) == 0)
            memcpy(bytes + at, run->topic_id.bytes, 16);
    feed_frame(run, peer, (struct bytes){bytes, (int32_t)writer.size});
}

static void step(struct run *run, struct input *input)
{
    uint8_t choice = input_u8(input);
    struct peer *peer = &run->peers[choice >> 7];
    enum step_kind kind = choice % STEP_KINDS;
    if (peer->handle < 0 && kind != TIME && kind != COMMIT) {
        peer->handle = bench_connect(run->bench);
        peer->frames = peer->answers = peer->fed = 0;
    }
    if (kind == RAW) {
        struct bytes raw = input_take(input, input_u8(input));
        peer->frames += raw.size; /* each may be the end of one */
        feed(run, peer, raw.data, (size_t)raw.size);
    } else if (kind == FRAME) {
        feed_frame(run, peer, input_take(input, input_u16(input) % BYTES_MOST));
    } else if (kind == REQUEST) {
        uint16_t api = input_u16(input);
        feed_request(run, peer, api, input_take(input, input_u16(input) % BYTES_MOST));
    } else if (kind == END) {
        forget(run, peer);
    } else if (kind == TIME) {
        bench_pass_ms(run->bench, 1 + 97 * input_u8(input));
    } else if (kind == TAKE) {
        socket_of(run, peer)->send_limit = (size_t)input_u8(input) << (choice >> 3 & 7);
    } else if (kind == COMMIT) {
        bench_commit(run->bench, run->topic_id, 0);
    }
    if (!(choice & 64))
        bench_settle(run->bench);
    for (int i = 0; i < CLIENTS; i++)
        take_answers(run, &run->peers[i]);
}

/* How many batches the topics of memory hold: there is room for BENCH_BATCHES in each. */
static int batches(struct bench *bench)
{
    int most = 0;
    for (int i = 0; i < BENCH_CORES; i++) {
        uint32_t position = 0;
        struct map *partitions = &bench->broker.shards[i].partitions;
        for (struct partition *at; (at = map_next(partitions, &position));)
            most = at->log->count > most ? at->log->count : most;
    }
    return most;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + (size < BYTES_MOST ? size : BYTES_MOST)};
    uint8_t choices = input_u8(&input);
    struct run run = {.bench = bench_open()};
    run.topic_id = bench_topic(run.bench, "t", 1);
    run.bench->holds_commits = choices & HOLDS_COMMITS;
    for (int i = 0; i < BENCH_CORES; i++) {
        if (choices & SMALL_RECEIVES)
            run.bench->ports[i].receive_limit = 7;
        if (choices & FEW_BUFFERS)
            run.bench->ports[i].port.pool_buffer_count = 2;
    }
    for (int i = 0; i < CLIENTS; i++) {
        run.peers[i].handle = bench_connect(run.bench);
        if (choices & SLOW_READER)
            socket_of(&run, &run.peers[i])->send_limit = 5;
    }
    for (int i = 0; i < STEPS_MOST && input.next < input.end; i++)
        if (batches(run.bench) < BATCHES_MOST)
            step(&run, &input);
    run.bench->holds_commits = false;
    for (int i = 0; i < CLIENTS; i++)
        forget(&run, &run.peers[i]);
    int32_t neighbour = bench_connect(run.bench);
    void *in = bench_request(run.bench, API_METADATA);
    struct metadata_response *out = bench_ask(run.bench, neighbour, API_METADATA, 9, in);
    check(out && out->brokers_count == 1);
    bench_close(run.bench);
    return 0;
}
