#include "base/bytes.h"
#include "base/memory.h"
#include "port/script.h"

static struct op sending(int32_t handle, struct iovec *vectors, int32_t count)
{
    return (struct op){
        .kind = OP_SEND, .handle = handle, .vectors = vectors, .vector_count = count};
}

static struct op receiving(int32_t handle, void *data, size_t size)
{
    return (struct op){.kind = OP_RECEIVE, .handle = handle, .data = data, .size = size};
}

static void send_text(struct script *s, int32_t handle, const char *text)
{
    struct iovec vector = {(void *)text, strlen(text)};
    struct op op = sending(handle, &vector, 1);
    script_call(s, &op);
}

static void talks(struct script *s)
{
    struct address address, peer = {0};
    int32_t listener = script_listen(s, &address);
    struct address local = {0};
    struct op accept = {.kind = OP_ACCEPT, .handle = listener, .address = &peer, .data = &local};
    struct op connect = {.kind = OP_CONNECT, .address = &address};
    op_start(s->port, &accept);
    op_start(s->port, &connect);
    int32_t near = (int32_t)script_await(s, &connect), far = (int32_t)script_await(s, &accept);
    script_say_op(s, &connect);
    script_say_op(s, &accept);
    TRUE_(peer.family == 4 && peer.bytes[12] == 127 && peer.bytes[15] == 1 && peer.port != 0);
    TRUE_(local.family == 4 && local.bytes[12] == 127 && local.port == address.port);

    char got[16];
    struct op receive = receiving(far, got, sizeof got);
    op_start(s->port, &receive);
    char pong[] = "po.ng";
    struct iovec vectors[3] = {{pong, 2}, {pong, 0}, {pong + 3, 2}};
    send_text(s, near, "ping");
    script_await(s, &receive);
    script_say_op(s, &receive);
    EQ_BYTES(got, "ping", 4);
    struct op send = sending(far, vectors, 3);
    script_call(s, &send);
    receive = receiving(near, got, 3);
    script_call(s, &receive);
    EQ_BYTES(got, "pon", 3);
    script_call(s, &receive);
    EQ_BYTES(got, "g", 1);
    script_close(s, near);
    receive = receiving(far, got, sizeof got);
    script_call(s, &receive);
    script_close(s, far);
    script_close(s, listener);
}

TEST(sockets, carry_bytes_both_ways)
{
    script_run(talks, "connect -> handle\n"
                      "accept -> handle\n"
                      "send -> 4\n"
                      "receive -> 4\n"
                      "send -> 4\n"
                      "receive -> 3\n"
                      "receive -> 1\n"
                      "close -> ok\n"
                      "receive -> 0\n"
                      "close -> ok\n"
                      "close -> ok\n");
}

enum { LARGE = 8 << 20 };

/* One direction of a large transfer, in whatever pieces the port makes of it. */
struct stream {
    struct op send, receive;
    struct iovec vector;
    uint8_t *from, *to;
    size_t sent, received;
};

static void stream_start(struct script *s, struct stream *stream, int32_t from, int32_t to)
{
    stream->from = memory_aligned(4096, LARGE);
    stream->to = memory_aligned(4096, LARGE);
    for (size_t i = 0; i < LARGE; i++)
        stream->from[i] = (uint8_t)(i * 31 + (i >> 12));
    memset(stream->to, 0, LARGE);
    stream->vector = (struct iovec){stream->from, LARGE};
    stream->send = sending(from, &stream->vector, 1);
    stream->receive = receiving(to, stream->to, LARGE);
    op_start(s->port, &stream->send);
    op_start(s->port, &stream->receive);
}

/* True when all has arrived. */
static bool stream_go_on(struct script *s, struct stream *stream)
{
    if (!stream->send.running && stream->sent < LARGE && stream->send.result > 0) {
        stream->sent += (size_t)stream->send.result;
        stream->vector = (struct iovec){stream->from + stream->sent, LARGE - stream->sent};
        if (stream->sent < LARGE)
            op_start(s->port, &stream->send);
    }
    if (!stream->receive.running && stream->received < LARGE && stream->receive.result > 0) {
        stream->received += (size_t)stream->receive.result;
        stream->receive.data = stream->to + stream->received;
        stream->receive.size = LARGE - stream->received;
        if (stream->received < LARGE)
            op_start(s->port, &stream->receive);
    }
    return stream->received == LARGE && stream->sent == LARGE;
}

static void streams(struct script *s)
{
    struct address address;
    int32_t near, far, listener = script_listen(s, &address);
    script_connect(s, listener, &address, &near, &far);
    struct stream there, back;
    memset(&there, 0, sizeof there);
    memset(&back, 0, sizeof back);
    stream_start(s, &there, near, far);
    stream_start(s, &back, far, near);
    bool over[2] = {false, false};
    while (!over[0] || !over[1]) {
        s->port->operations->wait(s->port, INT64_MAX);
        over[0] = stream_go_on(s, &there);
        over[1] = stream_go_on(s, &back);
    }
    TRUE_(memcmp(there.from, there.to, LARGE) == 0);
    TRUE_(memcmp(back.from, back.to, LARGE) == 0);
    memory_free(there.from);
    memory_free(there.to);
    memory_free(back.from);
    memory_free(back.to);
    script_close(s, near);
    script_close(s, far);
    script_close(s, listener);
}

TEST(sockets, carry_megabytes_both_ways_at_once)
{
    script_run(streams, "close -> ok\nclose -> ok\nclose -> ok\n");
}

/* The pool has four buffers of 4096 bytes (script_run). */
static void receives_into_the_pool(struct script *s)
{
    struct address address;
    int32_t near, far, listener = script_listen(s, &address), held[4];
    script_connect(s, listener, &address, &near, &far);
    struct op receive = receiving(far, NULL, 0);
    op_start(s->port, &receive);
    send_text(s, near, "one");
    script_await(s, &receive);
    script_say_op(s, &receive);
    TRUE_(receive.pool_buffer >= 0 && receive.pool_buffer < 4 && receive.data);
    EQ_BYTES(receive.data, "one", 3);
    held[0] = receive.pool_buffer;
    for (int i = 1; i < 4; i++) {
        send_text(s, near, "next");
        receive = receiving(far, NULL, 0);
        script_call(s, &receive);
        EQ_BYTES(receive.data, "next", 4);
        held[i] = receive.pool_buffer;
        for (int j = 0; j < i; j++)
            TRUE_(held[i] != held[j]);
    }
    send_text(s, near, "last");
    receive = receiving(far, NULL, 0);
    script_call(s, &receive);
    EQ(receive.pool_buffer, -1);
    s->port->operations->give_back(s->port, held[2]);
    receive = receiving(far, NULL, 0);
    script_call(s, &receive);
    EQ(receive.pool_buffer, held[2]);
    EQ_BYTES(receive.data, "last", 4);
    for (int i = 0; i < 4; i++)
        s->port->operations->give_back(s->port, held[i]);
    /* The end of the stream takes no buffer away: all four are there afterwards. */
    script_close(s, near);
    for (int i = 0; i < 8; i++) {
        receive = receiving(far, NULL, 0);
        port_call(s->port, &receive);
        EQ(receive.result, 0);
        EQ(receive.pool_buffer, -1);
    }
    script_close(s, far);
    script_close(s, listener);
}

TEST(sockets, receive_into_buffers_of_the_pool)
{
    script_run(receives_into_the_pool, "send -> 3\n"
                                       "receive -> 3\n"
                                       "send -> 4\n"
                                       "receive -> 4\n"
                                       "send -> 4\n"
                                       "receive -> 4\n"
                                       "send -> 4\n"
                                       "receive -> 4\n"
                                       "send -> 4\n"
                                       "receive -> NO_BUFFERS\n"
                                       "receive -> 4\n"
                                       "close -> ok\n"
                                       "close -> ok\n"
                                       "close -> ok\n");
}

/* More bytes than a buffer of the pool holds come in several. */
static void receives_in_pieces(struct script *s)
{
    struct address address;
    int32_t near, far, listener = script_listen(s, &address);
    script_connect(s, listener, &address, &near, &far);
    char *text = memory_zeroed(10001);
    memset(text, 'z', 10000);
    send_text(s, near, text);
    size_t total = 0;
    while (total < 10000) {
        struct op receive = receiving(far, NULL, 0);
        int64_t got = port_call(s->port, &receive);
        TRUE_(got > 0 && got <= 4096);
        if (got <= 0)
            break;
        EQ_BYTES(receive.data, text, (size_t)got);
        total += (size_t)got;
        s->port->operations->give_back(s->port, receive.pool_buffer);
    }
    script_say(s, "%zu", total);
    memory_free(text);
    script_close(s, near);
    script_close(s, far);
    script_close(s, listener);
}

TEST(sockets, receive_more_than_a_buffer_in_pieces)
{
    script_run(receives_in_pieces, "send -> 10000\n10000\nclose -> ok\nclose -> ok\nclose -> ok\n");
}

static void shuts_down(struct script *s)
{
    struct address address;
    int32_t near, far, listener = script_listen(s, &address);
    script_connect(s, listener, &address, &near, &far);
    char got[8];
    struct op here = receiving(near, got, sizeof got), there = receiving(far, got, sizeof got);
    struct op shutdown = {.kind = OP_SHUTDOWN, .handle = near};
    op_start(s->port, &here);
    op_start(s->port, &there);
    s->port->operations->wait(s->port, 0);
    TRUE_(here.running && there.running);
    /* Sent before the shutdown, if only just: it still arrives. */
    char bye[] = "bye";
    struct iovec vector = {bye, 3};
    struct op send = sending(near, &vector, 1);
    op_start(s->port, &send);
    op_start(s->port, &shutdown);
    script_await(s, &send);
    script_await(s, &shutdown);
    script_await(s, &here);
    script_await(s, &there);
    script_say_op(s, &send);
    script_say_op(s, &shutdown);
    script_say_op(s, &here);
    script_say_op(s, &there);
    script_call(s, &there);
    send_text(s, near, "more");
    script_close(s, near);
    script_close(s, far);
    script_close(s, listener);
}

TEST(sockets, end_receives_at_shutdown)
{
    script_run(shuts_down, "send -> 3\n"
                           "shutdown -> ok\n"
                           "receive -> 0\n"
                           "receive -> 3\n"
                           "receive -> 0\n"
                           "send -> CONNECTION_RESET\n"
                           "close -> ok\n"
                           "close -> ok\n"
                           "close -> ok\n");
}

/* A peer that closes with bytes unread resets the connection. */
static void is_reset(struct script *s)
{
    struct address address;
    int32_t near, far, listener = script_listen(s, &address);
    script_connect(s, listener, &address, &near, &far);
    char got[8];
    send_text(s, near, "unread");
    struct op wait = receiving(near, got, sizeof got);
    op_start(s->port, &wait);
    s->port->operations->wait(s->port, 0);
    script_close(s, far);
    script_await(s, &wait);
    script_say_op(s, &wait);
    send_text(s, near, "more");
    struct op shutdown = {.kind = OP_SHUTDOWN, .handle = near};
    script_call(s, &shutdown);
    script_close(s, near);
    script_close(s, listener);
}

TEST(sockets, tell_of_a_reset)
{
    script_run(is_reset, "send -> 6\n"
                         "close -> ok\n"
                         "receive -> CONNECTION_RESET\n"
                         "send -> CONNECTION_RESET\n"
                         "shutdown -> ok\n"
                         "close -> ok\n"
                         "close -> ok\n");
}

static void is_refused(struct script *s)
{
    struct address address;
    int32_t listener = script_listen(s, &address);
    struct address same = address;
    struct op listen = {.kind = OP_LISTEN, .address = &same};
    script_call(s, &listen);
    script_close(s, listener);
    struct op connect = {.kind = OP_CONNECT, .address = &address};
    script_call(s, &connect);
    struct address none = {.family = 9};
    connect.address = listen.address = &none;
    script_call(s, &connect);
    script_call(s, &listen);
}

TEST(sockets, tell_of_addresses_that_fail)
{
    script_run(is_refused, "listen -> ADDRESS_IN_USE\n"
                           "close -> ok\n"
                           "connect -> CONNECTION_REFUSED\n"
                           "connect -> BAD_ARGUMENT\n"
                           "listen -> BAD_ARGUMENT\n");
}

static void cancels(struct script *s)
{
    struct address address;
    int32_t near, far, listener = script_listen(s, &address);
    script_connect(s, listener, &address, &near, &far);
    char got[8];
    struct op accept = {.kind = OP_ACCEPT, .handle = listener};
    struct op plain = receiving(near, got, sizeof got), pool = receiving(far, NULL, 0);
    op_start(s->port, &accept);
    op_start(s->port, &plain);
    op_start(s->port, &pool);
    s->port->operations->wait(s->port, 0);
    TRUE_(accept.running && plain.running && pool.running);
    s->port->operations->cancel(s->port, &accept);
    s->port->operations->cancel(s->port, &plain);
    s->port->operations->cancel(s->port, &plain);
    s->port->operations->cancel(s->port, &pool);
    TRUE_(accept.running && plain.running && pool.running);
    script_await(s, &accept);
    script_await(s, &plain);
    script_await(s, &pool);
    script_say_op(s, &accept);
    script_say_op(s, &plain);
    script_say_op(s, &pool);
    /* Nothing is lost by it: what comes now is received, and the pool is whole. */
    send_text(s, far, "late");
    plain = receiving(near, got, sizeof got);
    script_call(s, &plain);
    for (int i = 0; i < 4; i++) {
        send_text(s, near, "x");
        pool = receiving(far, NULL, 0);
        EQ(port_call(s->port, &pool), 1);
    }
    script_close(s, near);
    script_close(s, far);
    script_close(s, listener);
}

TEST(sockets, let_operations_be_cancelled)
{
    script_run(cancels, "accept -> CANCELLED\n"
                        "receive -> CANCELLED\n"
                        "receive -> CANCELLED\n"
                        "send -> 4\n"
                        "receive -> 4\n"
                        "send -> 1\n"
                        "send -> 1\n"
                        "send -> 1\n"
                        "send -> 1\n"
                        "close -> ok\n"
                        "close -> ok\n"
                        "close -> ok\n");
}

/* Many receives at once, beyond the queue of eight, cancelled while most are not in the kernel. */
static void cancels_many(struct script *s)
{
    enum { COUNT = 500 };
    struct address address;
    int32_t near, far, listener = script_listen(s, &address);
    script_connect(s, listener, &address, &near, &far);
    static struct op ops[COUNT];
    static char got[COUNT];
    for (int pass = 0; pass < 2; pass++) {
        int cancelled = 0;
        for (int i = 0; i < COUNT; i++) {
            ops[i] = receiving(near, got + i, 1);
            op_start(s->port, &ops[i]);
        }
        if (pass == 1)
            s->port->operations->wait(s->port, 0);
        for (int i = 0; i < COUNT; i++)
            s->port->operations->cancel(s->port, &ops[i]);
        for (int i = 0; i < COUNT; i++)
            cancelled += op_error(script_await(s, &ops[i])) == ERROR_CANCELLED;
        script_say(s, "%d", cancelled);
    }
    script_close(s, near);
    script_close(s, far);
    script_close(s, listener);
}

TEST(sockets, let_many_operations_be_cancelled)
{
    script_run(cancels_many, "500\n500\nclose -> ok\nclose -> ok\nclose -> ok\n");
}

/* Cancelled operations are in flight when the script ends and the port is closed: it waits. */
static struct op left_behind[2];

static void leaves(struct script *s)
{
    struct address address;
    int32_t listener = script_listen(s, &address);
    left_behind[0] = (struct op){.kind = OP_ACCEPT, .handle = listener};
    left_behind[1] = left_behind[0];
    op_start(s->port, &left_behind[0]);
    s->port->operations->wait(s->port, 0);
    op_start(s->port, &left_behind[1]);
    s->port->operations->cancel(s->port, &left_behind[0]);
    s->port->operations->cancel(s->port, &left_behind[1]);
}

TEST(sockets, are_waited_out_when_the_port_closes)
{
    script_run(leaves, "");
    for (int i = 0; i < 2; i++) {
        TRUE_(!left_behind[i].running);
        EQ(op_error(left_behind[i].result), ERROR_CANCELLED);
    }
}

/* Receives that wait for bytes hold no buffer: forty connections share a pool of four. */
static void idles(struct script *s)
{
    enum { PAIRS = 40 };
    struct address address;
    int32_t near[PAIRS], far[PAIRS], listener = script_listen(s, &address);
    static struct op receives[PAIRS];
    for (int i = 0; i < PAIRS; i++) {
        script_connect(s, listener, &address, &near[i], &far[i]);
        receives[i] = receiving(far[i], NULL, 0);
        op_start(s->port, &receives[i]);
    }
    s->port->operations->wait(s->port, 0);
    int right = 0;
    for (int i = 0; i < PAIRS; i++) {
        char text[2] = {(char)('0' + i), 0};
        struct iovec vector = {text, 1};
        struct op send = sending(near[i], &vector, 1);
        port_call(s->port, &send);
        script_await(s, &receives[i]);
        right += receives[i].result == 1 && *(char *)receives[i].data == text[0];
        if (receives[i].pool_buffer >= 0)
            s->port->operations->give_back(s->port, receives[i].pool_buffer);
        script_close_quiet(s, near[i]);
        script_close_quiet(s, far[i]);
    }
    script_say(s, "%d", right);
    script_close(s, listener);
}

TEST(sockets, share_a_small_pool_while_idle)
{
    script_run(idles, "40\nclose -> ok\n");
}

/* A send that the peer does not read ends when it is told to, whole, short or with an error. */
static void ends_sends(struct script *s)
{
    enum { SIZE = 64 << 20 };
    uint8_t *bytes = memory_zeroed(SIZE);
    for (int way = 0; way < 2; way++) {
        struct address address;
        int32_t near, far, listener = script_listen(s, &address);
        script_connect(s, listener, &address, &near, &far);
        struct iovec vectors[2] = {{bytes, SIZE / 2}, {bytes + SIZE / 2, SIZE / 2}};
        struct op send = sending(near, vectors, 2);
        struct op shutdown = {.kind = OP_SHUTDOWN, .handle = near};
        int64_t total = 0;
        /* Until the socket is full and a send is left waiting. */
        do {
            op_start(s->port, &send);
            s->port->operations->wait(s->port, 0);
            total += !send.running ? send.result : 0;
        } while (!send.running);
        TRUE_(total < SIZE);
        if (way == 0)
            script_call(s, &shutdown);
        else
            s->port->operations->cancel(s->port, &send);
        script_await(s, &send);
        TRUE_(send.result > 0 ||
              op_error(send.result) == (way ? ERROR_CANCELLED : ERROR_CONNECTION_RESET));
        TRUE_(send.result < SIZE);
        script_close(s, near);
        script_close(s, far);
        script_close(s, listener);
    }
    memory_free(bytes);
}

TEST(sockets, end_sends_at_shutdown_and_cancel)
{
    script_run(ends_sends, "shutdown -> ok\n"
                           "close -> ok\n"
                           "close -> ok\n"
                           "close -> ok\n"
                           "close -> ok\n"
                           "close -> ok\n"
                           "close -> ok\n");
}
