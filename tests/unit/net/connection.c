/* Connections over a port of memory: framing at every cut, order, back-pressure, limits, the end.
 */
#include "net/connection.h"
#include "base/check.h"
#include "base/memory.h"
#include "support/fake_port.h"
#include "support/test.h"
#include <stdio.h>

enum { HELD_MAX = 32 };

/* A handler that echoes: the first byte of a frame says how. 'e' at once, 'w' waits until told,
 * 'n' without an answer, 'x' refused. */
struct bench {
    struct fake_port fake;
    struct core core;
    struct net net;
    struct net *nets[1];
    struct request *held[HELD_MAX];
    int held_count, decided, cancelled, stopped, lines;
    char last_line[EVENT_LINE_BYTES];
};

static void echo(struct request *request)
{
    uint8_t *copy = arena_take(&request->arena, (size_t)request->frame.size + 4);
    store_be32(copy, (uint32_t)request->frame.size);
    memcpy(copy + 4, request->frame.data, (size_t)request->frame.size);
    struct iovec *vectors = arena_take(&request->arena, 2 * sizeof *vectors);
    vectors[0] = (struct iovec){copy, 4};
    vectors[1] = (struct iovec){copy + 4, (size_t)request->frame.size};
    request_answer(request, vectors, 2, NULL);
}

static void on_cancel(struct request *request)
{
    ((struct bench *)request->net->owner)->cancelled++;
}

static void on_request(struct request *request)
{
    struct bench *bench = request->net->owner;
    bench->decided++;
    char kind = request->frame.size ? (char)request->frame.data[0] : 'x';
    if (kind == 'x') {
        request_refuse(request, "no");
    } else if (kind == 'n') {
        request_answer(request, NULL, 0, NULL);
    } else if (kind == 'w') {
        check(request_own_frame(request));
        request->cancel = on_cancel;
        bench->held[bench->held_count++] = request;
        request_next(request);
    } else {
        echo(request);
    }
}

static void on_stopped(struct net *home)
{
    ((struct bench *)home->owner)->stopped++;
}

static const struct net_handler handler = {on_request, on_stopped};

static void on_line(void *owner, const char *line, size_t size)
{
    struct bench *bench = owner;
    bench->lines++;
    snprintf(bench->last_line, sizeof bench->last_line, "%.*s", (int)size, line);
}

static struct bench *bench_open(uint32_t pool_size, uint32_t pool_count)
{
    struct bench *bench = memory_zeroed(sizeof *bench);
    fake_port_init(&bench->fake, pool_size, pool_count);
    core_init(&bench->core, 0, &bench->fake.port);
    bench->core.events = (struct events){.write = on_line, .owner = bench};
    bench->nets[0] = &bench->net;
    struct net_options options = {.limits = {.request_bytes_max = 1000,
                                             .in_flight_max = 4,
                                             .connections_max = 8,
                                             .connections_per_ip_max = 3,
                                             .idle_ms = 10000,
                                             .frame_ms = 500,
                                             .owed_bytes_max = 1 << 20,
                                             .arena_bytes = 1 << 20},
                                  .handler = &handler,
                                  .owner = bench,
                                  .nets = bench->nets,
                                  .net_count = 1};
    net_init(&bench->net, &bench->core, &options);
    struct address address = {.family = 4, .bytes[12] = 127, .bytes[15] = 1};
    EQ(net_listen(&bench->net, &address), ERROR_NONE);
    fake_settle(&bench->fake, &bench->core);
    return bench;
}

static int32_t connect_one(struct bench *bench)
{
    int32_t handle = fake_connect(&bench->fake);
    fake_settle(&bench->fake, &bench->core);
    return handle;
}

static void release_held(struct bench *bench, int i)
{
    echo(bench->held[i]);
    bench->held[i] = NULL;
}

static void bench_close(struct bench *bench)
{
    net_stop(&bench->net);
    fake_settle(&bench->fake, &bench->core);
    for (int i = 0; i < bench->held_count; i++)
        if (bench->held[i])
            release_held(bench, i);
    fake_settle(&bench->fake, &bench->core);
    EQ(bench->stopped, 1);
    net_done(&bench->net);
    EQ(bench->core.buffers.used_bytes, 0);
    core_done(&bench->core);
    fake_port_done(&bench->fake);
    memory_free(bench);
}

static size_t put_frame(uint8_t *to, const char *text, int32_t size)
{
    store_be32(to, (uint32_t)size);
    memset(to + 4, '.', (size_t)size);
    memcpy(to + 4, text, strlen(text));
    return 4 + (size_t)size;
}

/* Three frames in a row, cut into two receives at every place, with buffers of the pool small and
 * large: the same bytes come back. */
TEST(connection, frames_at_every_cut)
{
    uint8_t stream[256];
    size_t size = put_frame(stream, "e1", 20);
    size += put_frame(stream + size, "e2", 90);
    size += put_frame(stream + size, "e3", 2);
    const uint32_t pool_sizes[] = {16, 64, 256};
    for (int p = 0; p < 3; p++) {
        struct bench *bench = bench_open(pool_sizes[p], 2);
        for (size_t cut = 0; cut <= size; cut++) {
            int32_t handle = connect_one(bench);
            fake_feed(&bench->fake, handle, stream, cut);
            fake_settle(&bench->fake, &bench->core);
            fake_feed(&bench->fake, handle, stream + cut, size - cut);
            fake_settle(&bench->fake, &bench->core);
            struct fake_socket *socket = &bench->fake.sockets[handle];
            EQ(socket->out_size, size);
            EQ_BYTES(socket->out, stream, size);
            fake_end(&bench->fake, handle);
            fake_settle(&bench->fake, &bench->core);
            TRUE_(!socket->open);
            memory_free(socket->in);
            memory_free(socket->out);
            *socket = (struct fake_socket){0};
        }
        EQ(bench->lines, 0);
        bench_close(bench);
    }
}

TEST(connection, byte_by_byte)
{
    uint8_t stream[256];
    size_t size = put_frame(stream, "e1", 20);
    size += put_frame(stream + size, "e2", 90);
    struct bench *bench = bench_open(64, 2);
    bench->fake.receive_limit = 1;
    int32_t handle = connect_one(bench);
    fake_feed(&bench->fake, handle, stream, size);
    fake_settle(&bench->fake, &bench->core);
    EQ(bench->fake.sockets[handle].out_size, size);
    EQ_BYTES(bench->fake.sockets[handle].out, stream, size);
    bench_close(bench);
}

static void refuse_length(uint32_t length, const char *why)
{
    struct bench *bench = bench_open(64, 2);
    int32_t handle = connect_one(bench), other = connect_one(bench);
    uint8_t stream[64];
    store_be32(stream, length);
    fake_feed(&bench->fake, handle, stream, 4);
    fake_feed(&bench->fake, other, stream, put_frame(stream, "e", 8));
    fake_settle(&bench->fake, &bench->core);
    TRUE_(!bench->fake.sockets[handle].open);
    EQ(bench->lines, 1);
    TRUE_(strstr(bench->last_line, why) != NULL);
    TRUE_(strstr(bench->last_line, "client=10.0.0.1:5") != NULL);
    EQ(bench->fake.sockets[other].out_size, 12);
    EQ(bench->core.buffers.used_bytes, 0);
    bench_close(bench);
}

TEST(connection, refuses_a_negative_size)
{
    refuse_length(0x80000000u, "negative");
    refuse_length(0xffffffffu, "negative");
}

TEST(connection, refuses_a_size_above_the_limit)
{
    refuse_length(0x7fffffffu, "above socket.request.max.bytes");
    refuse_length(1001, "above socket.request.max.bytes");
}

TEST(connection, takes_a_frame_at_the_limit)
{
    struct bench *bench = bench_open(64, 2);
    int32_t handle = connect_one(bench);
    uint8_t stream[1100];
    size_t size = put_frame(stream, "e", 1000);
    fake_feed(&bench->fake, handle, stream, size);
    fake_settle(&bench->fake, &bench->core);
    EQ(bench->fake.sockets[handle].out_size, size);
    bench_close(bench);
}

TEST(connection, what_the_handler_refuses_closes_it_with_one_line)
{
    struct bench *bench = bench_open(64, 2);
    int32_t handle = connect_one(bench);
    uint8_t stream[64];
    size_t size = put_frame(stream, "x", 2);
    size += put_frame(stream + size, "e", 2);
    fake_feed(&bench->fake, handle, stream, size);
    fake_settle(&bench->fake, &bench->core);
    TRUE_(!bench->fake.sockets[handle].open);
    EQ(bench->lines, 1);
    EQ(bench->decided, 1);
    bench_close(bench);
}

TEST(connection, answers_in_order_of_requests)
{
    struct bench *bench = bench_open(256, 2);
    int32_t handle = connect_one(bench);
    uint8_t stream[256], want[256];
    size_t size = put_frame(stream, "w1", 5);
    size += put_frame(stream + size, "e2", 6);
    size_t silent = size;
    memcpy(want, stream, size);
    size += put_frame(stream + size, "n", 1);
    size_t want_size = silent + put_frame(want + silent, "e3", 7);
    size += put_frame(stream + size, "e3", 7);
    fake_feed(&bench->fake, handle, stream, size);
    fake_settle(&bench->fake, &bench->core);
    struct fake_socket *socket = &bench->fake.sockets[handle];
    EQ(bench->decided, 4);
    EQ(socket->out_size, 0);
    release_held(bench, 0);
    fake_settle(&bench->fake, &bench->core);
    EQ(socket->out_size, want_size);
    EQ_BYTES(socket->out, want, want_size);
    EQ(socket->sends, 1); /* all that was ready left at once */
    bench_close(bench);
}

TEST(connection, short_sends_go_on)
{
    struct bench *bench = bench_open(256, 2);
    int32_t handle = connect_one(bench);
    struct fake_socket *socket = &bench->fake.sockets[handle];
    socket->send_limit = 3;
    uint8_t stream[256];
    size_t size = put_frame(stream, "e1", 20);
    size += put_frame(stream + size, "e2", 21);
    fake_feed(&bench->fake, handle, stream, size);
    fake_settle(&bench->fake, &bench->core);
    EQ(socket->out_size, size);
    EQ_BYTES(socket->out, stream, size);
    bench_close(bench);
}

/* A peer that never reads: in_flight_max requests are taken, the rest stays in its socket. */
TEST(connection, a_slow_reader_is_not_read_from)
{
    struct bench *bench = bench_open(64, 4);
    int32_t handle = connect_one(bench);
    struct fake_socket *socket = &bench->fake.sockets[handle];
    socket->send_limit = 0;
    uint8_t stream[64];
    size_t size = put_frame(stream, "e", 50);
    for (int i = 0; i < 100; i++)
        fake_feed(&bench->fake, handle, stream, size);
    fake_settle(&bench->fake, &bench->core);
    EQ(bench->decided, 4);
    TRUE_(socket->in_taken <= 6 * 64);
    TRUE_(bench->fake.pool_used_most <= 2);
    socket->send_limit = FAKE_BYTES;
    fake_settle(&bench->fake, &bench->core);
    EQ(bench->decided, 100);
    EQ(socket->out_size, 100 * size);
    bench_close(bench);
}

/* Five clients ask and ask and take nothing: what they hold is bounded, whoever takes his answers
 * is served all the same, and after a second without a byte taken they are closed, one by one,
 * until there is room. */
TEST(connection, answers_that_nobody_takes_are_bounded_in_all)
{
    enum { HOSTILE = 5, LIMIT_BYTES = 1000, ANSWER_BYTES = 200 };
    struct bench *bench = bench_open(64, 16);
    bench->net.limits.connections_per_ip_max = 8;
    bench->net.limits.owed_bytes_max = LIMIT_BYTES;
    uint8_t stream[64];
    size_t size = put_frame(stream, "e", 50);
    int32_t reader = connect_one(bench), hostile[HOSTILE];
    for (int i = 0; i < HOSTILE; i++) {
        hostile[i] = connect_one(bench);
        bench->fake.sockets[hostile[i]].send_limit = 0;
        for (int j = 0; j < 100; j++)
            fake_feed(&bench->fake, hostile[i], stream, size);
    }
    fake_settle(&bench->fake, &bench->core);
    TRUE_(bench->net.owed_bytes > LIMIT_BYTES);
    TRUE_(bench->net.owed_bytes <= 2 * LIMIT_BYTES + ANSWER_BYTES);
    TRUE_(bench->decided < 4 * HOSTILE); /* in_flight_max alone would allow as many */
    int decided = bench->decided;
    fake_feed(&bench->fake, reader, stream, size);
    fake_settle(&bench->fake, &bench->core);
    fake_pass_ms(&bench->fake, 1000);
    fake_settle(&bench->fake, &bench->core);
    EQ(bench->decided, decided + 1);
    EQ(bench->fake.sockets[reader].out_size, size);
    TRUE_(bench->net.owed_bytes <= 2 * LIMIT_BYTES);
    TRUE_(bench->lines > 0 && strstr(bench->last_line, "does not take its answers"));
    TRUE_(bench->fake.sockets[reader].open);
    bench_close(bench);
}

/* Who takes a little now and then is slow, not stalled. */
TEST(connection, who_takes_a_little_is_not_closed)
{
    struct bench *bench = bench_open(64, 4);
    bench->net.limits.owed_bytes_max = 100;
    uint8_t stream[64];
    size_t size = put_frame(stream, "e", 50);
    int32_t handle = connect_one(bench);
    struct fake_socket *socket = &bench->fake.sockets[handle];
    socket->send_limit = 0;
    for (int i = 0; i < 20; i++)
        fake_feed(&bench->fake, handle, stream, size);
    for (int i = 0; i < 150; i++) {
        fake_settle(&bench->fake, &bench->core);
        fake_pass_ms(&bench->fake, 900);
        socket->send_limit = 7;
        core_turn(&bench->core, false);
        socket->send_limit = 0;
    }
    socket->send_limit = FAKE_BYTES;
    fake_settle(&bench->fake, &bench->core);
    test_expect(bench->lines == 0, __FILE__, __LINE__, "%s", bench->last_line);
    TRUE_(socket->open && bench->lines == 0);
    EQ(socket->out_size, 20 * size);
    bench_close(bench);
}

/* Requests that hold their frames: two buffers per connection at most, and those who find the pool
 * empty get buffers of their own, and wait for nobody. */
TEST(connection, an_empty_pool_is_done_without)
{
    struct bench *bench = bench_open(64, 1);
    int32_t first = connect_one(bench), second = connect_one(bench);
    uint8_t stream[64];
    size_t size = put_frame(stream, "e", 40);
    /* Both have bytes at once: the second finds the pool empty. */
    fake_feed(&bench->fake, first, stream, size);
    fake_feed(&bench->fake, second, stream, size);
    fake_settle(&bench->fake, &bench->core);
    EQ(bench->fake.sockets[first].out_size, size);
    EQ(bench->fake.sockets[second].out_size, size);
    EQ(bench->fake.no_buffers, 1);
    /* And however long the first holds its buffer. */
    size_t held_size = put_frame(stream, "w", 40);
    fake_feed(&bench->fake, first, stream, held_size);
    fake_settle(&bench->fake, &bench->core);
    (void)put_frame(stream, "e", 40);
    for (size_t at = 0; at < 3 * size; at++) { /* byte by byte, across their borders */
        fake_feed(&bench->fake, second, stream + at % size, 1);
        fake_settle(&bench->fake, &bench->core);
    }
    EQ(bench->fake.sockets[second].out_size, 4 * size);
    release_held(bench, 0);
    fake_settle(&bench->fake, &bench->core);
    EQ(bench->fake.sockets[first].out_size, 2 * size);
    bench_close(bench);
}

TEST(connection, the_budget_is_waited_for)
{
    struct bench *bench = bench_open(64, 4);
    bench->core.buffers.budget_bytes = 8192;
    bench->net.limits.request_bytes_max = 10000;
    struct buffer *taken = buffers_take(&bench->core.buffers, 8192);
    int32_t handle = connect_one(bench), other = connect_one(bench);
    uint8_t stream[5004];
    size_t size = put_frame(stream, "e", 5000);
    fake_feed(&bench->fake, handle, stream, size);
    fake_settle(&bench->fake, &bench->core);
    EQ(bench->decided, 0);
    EQ(bench->fake.sockets[handle].in_taken, 64);
    size_t small = put_frame(stream, "e", 200); /* the only one of its connection */
    fake_feed(&bench->fake, other, stream, small);
    fake_settle(&bench->fake, &bench->core);
    EQ(bench->fake.sockets[other].out_size, small);
    EQ(bench->fake.sockets[handle].in_taken, 64);
    buffer_release(taken);
    fake_settle(&bench->fake, &bench->core);
    EQ(bench->fake.sockets[handle].out_size, size);
    bench_close(bench);
}

/* A small frame behind a request that waits waits too, until that is answered. */
TEST(connection, a_small_frame_waits_for_the_budget_behind_another)
{
    struct bench *bench = bench_open(64, 4);
    bench->core.buffers.budget_bytes = 8192;
    struct buffer *taken = buffers_take(&bench->core.buffers, 8192);
    int32_t handle = connect_one(bench);
    uint8_t stream[256];
    fake_feed(&bench->fake, handle, stream, put_frame(stream, "w", 20));
    fake_settle(&bench->fake, &bench->core);
    size_t size = put_frame(stream, "e", 200);
    fake_feed(&bench->fake, handle, stream, size);
    fake_settle(&bench->fake, &bench->core);
    EQ(bench->decided, 1);
    release_held(bench, 0);
    fake_settle(&bench->fake, &bench->core);
    EQ(bench->decided, 2);
    buffer_release(taken);
    bench_close(bench);
}

TEST(connection, a_peer_that_goes_away_cancels_what_waits)
{
    struct bench *bench = bench_open(256, 2);
    int32_t handle = connect_one(bench), other = connect_one(bench);
    uint8_t stream[64];
    fake_feed(&bench->fake, handle, stream, put_frame(stream, "w", 8));
    fake_settle(&bench->fake, &bench->core);
    fake_end(&bench->fake, handle);
    fake_settle(&bench->fake, &bench->core);
    EQ(bench->cancelled, 1);
    TRUE_(bench->fake.sockets[handle].open); /* until the request has ended */
    TRUE_(request_is_abandoned(bench->held[0]));
    release_held(bench, 0);
    fake_settle(&bench->fake, &bench->core);
    TRUE_(!bench->fake.sockets[handle].open);
    EQ(bench->fake.sockets[handle].out_size, 0);
    fake_feed(&bench->fake, other, stream, put_frame(stream, "e", 8));
    fake_settle(&bench->fake, &bench->core);
    EQ(bench->fake.sockets[other].out_size, 12);
    bench_close(bench);
}

TEST(connection, a_frame_that_does_not_go_on_is_closed)
{
    struct bench *bench = bench_open(256, 2);
    int32_t handle = connect_one(bench), other = connect_one(bench);
    uint8_t stream[64];
    put_frame(stream, "e", 40);
    fake_feed(&bench->fake, handle, stream, 10);
    fake_settle(&bench->fake, &bench->core);
    fake_pass_ms(&bench->fake, 499);
    fake_settle(&bench->fake, &bench->core);
    TRUE_(bench->fake.sockets[handle].open);
    fake_pass_ms(&bench->fake, 2);
    fake_settle(&bench->fake, &bench->core);
    TRUE_(!bench->fake.sockets[handle].open);
    TRUE_(bench->fake.sockets[other].open);
    EQ(bench->lines, 1);
    bench_close(bench);
}

TEST(connection, an_idle_one_is_closed_and_one_that_waits_is_not)
{
    struct bench *bench = bench_open(256, 2);
    int32_t idle = connect_one(bench), waits = connect_one(bench);
    uint8_t stream[64];
    fake_feed(&bench->fake, waits, stream, put_frame(stream, "w", 8));
    fake_settle(&bench->fake, &bench->core);
    fake_pass_ms(&bench->fake, 10001);
    fake_settle(&bench->fake, &bench->core);
    TRUE_(!bench->fake.sockets[idle].open);
    TRUE_(bench->fake.sockets[waits].open);
    bench_close(bench);
}

TEST(net, limits_connections_of_one_address)
{
    struct bench *bench = bench_open(256, 2);
    int32_t handles[4];
    for (int i = 0; i < 4; i++)
        handles[i] = connect_one(bench);
    TRUE_(bench->fake.sockets[handles[2]].open);
    TRUE_(!bench->fake.sockets[handles[3]].open);
    EQ(bench->lines, 1);
    fake_end(&bench->fake, handles[0]);
    fake_settle(&bench->fake, &bench->core);
    TRUE_(bench->fake.sockets[connect_one(bench)].open);
    bench_close(bench);
}

TEST(net, a_stop_waits_for_a_socket_that_is_turned_away)
{
    struct bench *bench = bench_open(256, 2);
    for (int i = 0; i < 3; i++)
        connect_one(bench);
    int32_t last = fake_connect(&bench->fake);
    TRUE_(last > 0);
    bench->fake.holds_close = last;
    fake_settle(&bench->fake, &bench->core);
    net_stop(&bench->net);
    fake_settle(&bench->fake, &bench->core);
    EQ(bench->stopped, 0);
    TRUE_(bench->fake.sockets[last].open);
    bench->fake.holds_close = 0;
    fake_settle(&bench->fake, &bench->core);
    EQ(bench->stopped, 1);
    TRUE_(!bench->fake.sockets[last].open);
    bench_close(bench);
}

TEST(net, pauses_accepting_at_max_connections)
{
    struct bench *bench = bench_open(256, 2);
    int32_t handles[9];
    for (int i = 0; i < 9; i++) {
        bench->fake.peer.bytes[15] = (uint8_t)i;
        handles[i] = connect_one(bench);
    }
    EQ(bench->net.connection_count, 8);
    EQ(bench->fake.to_accept_count, 1);
    fake_end(&bench->fake, handles[0]);
    fake_settle(&bench->fake, &bench->core);
    EQ(bench->net.connection_count, 8);
    EQ(bench->fake.to_accept_count, 0);
    bench_close(bench);
}

TEST(net, formats_addresses)
{
    char text[ADDRESS_TEXT_BYTES];
    struct address four = {
        .family = 4, .bytes[12] = 192, .bytes[13] = 168, .bytes[15] = 7, .port = 9092};
    EQ_TEXT(address_format(&four, text), "192.168.0.7:9092");
    struct address six = {.family = 6, .bytes[15] = 1, .port = 1};
    EQ_TEXT(address_format(&six, text), "[::1]:1");
    six.bytes[0] = 0x20;
    six.bytes[1] = 0x01;
    six.bytes[13] = 0xff;
    EQ_TEXT(address_format_host(&six, text), "2001::ff:1");
    EQ_TEXT(address_format_host(&(struct address){.family = 6}, text), "::");
}
