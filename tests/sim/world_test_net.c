/* The simulated network, called step by step: two machines and one connection. */
#include "sim/world_test.h"

struct two {
    struct world *world;
    struct port *near, *far;
    int32_t listener, client, server; /* handles: client on near, server on far */
    struct op accept;
};

static struct world_settings calm(void)
{
    struct world_settings settings = world_settings_default();
    settings.short_transfer_once_in = settings.split_once_in = 0;
    settings.socket_buffer_bytes = 1000;
    return settings;
}

static int64_t near_call(struct two *two, struct op op)
{
    return port_call(two->near, &op);
}

static int64_t far_call(struct two *two, struct op op)
{
    return port_call(two->far, &op);
}

static struct two two_create(uint64_t seed, const struct world_settings *settings)
{
    struct two two = {.world = world_create(seed, settings)};
    world_add_machine(two.world);
    world_add_machine(two.world);
    two.near = world_port(two.world, 0, 0);
    two.far = world_port(two.world, 1, 0);
    struct address address = world_address(1, 9092);
    two.listener = (int32_t)far_call(&two, (struct op){.kind = OP_LISTEN, .address = &address});
    struct op accept = {.kind = OP_ACCEPT, .handle = two.listener};
    two.client = (int32_t)near_call(&two, (struct op){.kind = OP_CONNECT, .address = &address});
    two.server = (int32_t)port_call(two.far, &accept);
    TRUE_(two.listener >= 0 && two.client >= 0 && two.server >= 0);
    return two;
}

static int64_t send_bytes(struct port *port, int32_t handle, const void *bytes, size_t size)
{
    struct iovec vector = {(void *)bytes, size};
    struct op op = {.kind = OP_SEND, .handle = handle, .vectors = &vector, .vector_count = 1};
    return port_call(port, &op);
}

static int64_t receive(struct port *port, int32_t handle, void *data, size_t size)
{
    struct op op = {.kind = OP_RECEIVE, .handle = handle, .data = data, .size = size};
    return port_call(port, &op);
}

TEST(world_net, bytes_arrive_in_order_then_the_end)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct world_settings settings = calm();
        settings.short_transfer_once_in = settings.split_once_in = 2;
        struct two two = two_create(seed, &settings);
        uint8_t out[900], in[900];
        for (int i = 0; i < 900; i++)
            out[i] = (uint8_t)(i * 7);
        size_t sent = 0, got = 0;
        while (sent < sizeof out)
            sent += (size_t)send_bytes(two.near, two.client, out + sent, sizeof out - sent);
        EQ(near_call(&two, (struct op){.kind = OP_CLOSE, .handle = two.client}), 0);
        int64_t part;
        while ((part = receive(two.far, two.server, in + got, sizeof in - got + 1)) > 0)
            got += (size_t)part;
        EQ(part, 0);
        EQ(got, 900);
        EQ_BYTES(in, out, 900);
        world_destroy(two.world);
    }
}

TEST(world_net, a_reader_that_does_not_read_stops_the_sender)
{
    struct world_settings settings = calm();
    struct two two = two_create(1, &settings);
    uint8_t bytes[600] = {0};
    struct iovec vector = {bytes, sizeof bytes};
    struct op send = {.kind = OP_SEND, .handle = two.client, .vectors = &vector, .vector_count = 1};
    EQ(port_call(two.near, &send), 600);
    EQ(port_call(two.near, &send), 400);
    op_start(two.near, &send);
    world_run(two.world, (struct world_stop){.for_ns = 1000000000});
    TRUE_(send.running);
    EQ(receive(two.far, two.server, bytes, 600), 600);
    while (send.running)
        two.near->operations->wait(two.near, INT64_MAX);
    EQ(send.result, 600);
    world_destroy(two.world);
}

TEST(world_net, sends_in_flight_at_once_keep_their_order)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct world_settings settings = calm();
        struct two two = two_create(seed, &settings);
        struct op sends[4];
        struct iovec vectors[4];
        char letters[] = "abcd";
        for (int i = 0; i < 4; i++) {
            vectors[i] = (struct iovec){&letters[i], 1};
            sends[i] = (struct op){
                .kind = OP_SEND, .handle = two.client, .vectors = &vectors[i], .vector_count = 1};
            op_start(two.near, &sends[i]);
        }
        char got[4];
        for (int64_t have = 0; have < 4;)
            have += receive(two.far, two.server, got + have, sizeof got - (size_t)have);
        EQ_BYTES(got, "abcd", 4);
        world_destroy(two.world);
    }
}

TEST(world_net, injected_errors)
{
    struct world_settings settings = calm();
    struct two two = two_create(1, &settings);
    char byte;
    world_fail(two.world, 1, OP_RECEIVE, 1, ERROR_NO_BUFFERS);
    EQ(send_bytes(two.near, two.client, "x", 1), 1);
    EQ(receive(two.far, two.server, &byte, 1), -ERROR_NO_BUFFERS);
    EQ(receive(two.far, two.server, &byte, 1), 1); /* the connection goes on */
    world_fail(two.world, 1, OP_RECEIVE, 1, ERROR_CONNECTION_RESET);
    EQ(receive(two.far, two.server, &byte, 1), -ERROR_CONNECTION_RESET);
    EQ(send_bytes(two.near, two.client, "x", 1), -ERROR_CONNECTION_RESET);
    world_destroy(two.world);
}

TEST(world_net, connect_is_refused_or_times_out)
{
    struct world_settings settings = calm();
    struct two two = two_create(1, &settings);
    struct address address = world_address(1, 1), far = world_address(1, 9092), any = {.family = 4};
    EQ(near_call(&two, (struct op){.kind = OP_CONNECT, .address = &address}),
       -ERROR_CONNECTION_REFUSED);
    world_block(two.world, 0, 1, true);
    EQ(near_call(&two, (struct op){.kind = OP_CONNECT, .address = &far}), -ERROR_TIMED_OUT);
    TRUE_(two.world->now_ns >= settings.connect_timeout_ns);
    world_block(two.world, 0, 1, false);
    TRUE_(near_call(&two, (struct op){.kind = OP_CONNECT, .address = &far}) >= 0);
    EQ(far_call(&two, (struct op){.kind = OP_LISTEN, .address = &far}), -ERROR_ADDRESS_IN_USE);
    TRUE_(far_call(&two, (struct op){.kind = OP_LISTEN, .address = &any}) >= 0);
    TRUE_(any.port > 0);
    world_destroy(two.world);
}

TEST(world_net, the_pool_runs_out)
{
    struct world_settings settings = calm();
    settings.pool_buffer_count = 2;
    settings.pool_buffer_size = 64;
    struct two two = two_create(1, &settings);
    uint8_t bytes[200];
    memset(bytes, 'x', sizeof bytes);
    EQ(send_bytes(two.near, two.client, bytes, 200), 200);
    struct op first = {.kind = OP_RECEIVE, .handle = two.server}, second = first, third = first;
    EQ(port_call(two.far, &first), 64);
    EQ(((uint8_t *)first.data)[63], 'x');
    EQ(port_call(two.far, &second), 64);
    EQ(port_call(two.far, &third), -ERROR_NO_BUFFERS);
    EQ(third.pool_buffer, -1);
    two.far->operations->give_back(two.far, first.pool_buffer);
    TRUE_(((uint8_t *)first.data)[63] != 'x'); /* spoilt */
    EQ(port_call(two.far, &third), 64);
    EQ(two.world->violation_count, 0);
    world_destroy(two.world);
}

TEST(world_net, a_partition_holds_bytes_until_it_heals)
{
    struct world_settings settings = calm();
    struct two two = two_create(1, &settings);
    world_block(two.world, 0, 1, true);
    uint8_t byte = 'x';
    EQ(send_bytes(two.near, two.client, &byte, 1), 1);
    struct op get = {.kind = OP_RECEIVE, .handle = two.server, .data = &byte, .size = 1};
    op_start(two.far, &get);
    world_run(two.world, (struct world_stop){.for_ns = 60000000000});
    TRUE_(get.running);
    EQ(send_bytes(two.far, two.server, "y", 1), 1); /* the other way is open */
    EQ(receive(two.near, two.client, &byte, 1), 1);
    world_block(two.world, 0, 1, false);
    while (get.running)
        two.far->operations->wait(two.far, INT64_MAX);
    EQ(get.result, 1);
    EQ(byte, 'x');
    world_destroy(two.world);
}

TEST(world_net, a_cut_shows_at_both_ends)
{
    int resets = 0, ends = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct world_settings settings = calm();
        struct two two = two_create(seed, &settings);
        uint8_t byte;
        world_cut(two.world, 0, 1);
        int64_t near = receive(two.near, two.client, &byte, 1);
        int64_t far = receive(two.far, two.server, &byte, 1);
        TRUE_(near == 0 || near == -ERROR_CONNECTION_RESET);
        TRUE_(far == 0 || far == -ERROR_CONNECTION_RESET);
        EQ(send_bytes(two.near, two.client, "x", 1), -ERROR_CONNECTION_RESET);
        resets += near < 0;
        ends += far == 0;
        world_destroy(two.world);
    }
    TRUE_(resets > 0 && ends > 0);
}

TEST(world_net, a_crash_cuts_and_refuses)
{
    struct world_settings settings = calm();
    struct two two = two_create(1, &settings);
    uint8_t byte;
    world_crash(two.world, 1);
    EQ(receive(two.near, two.client, &byte, 1), -ERROR_CONNECTION_RESET);
    world_start(two.world, 1);
    struct address address = world_address(1, 9092);
    EQ(near_call(&two, (struct op){.kind = OP_CONNECT, .address = &address}),
       -ERROR_CONNECTION_REFUSED);
    two.far = world_port(two.world, 1, 0);
    TRUE_(far_call(&two, (struct op){.kind = OP_LISTEN, .address = &address}) >= 0);
    TRUE_(near_call(&two, (struct op){.kind = OP_CONNECT, .address = &address}) >= 0);
    world_destroy(two.world);
}

TEST(world_net, shutdown_ends_what_is_in_flight)
{
    struct world_settings settings = calm();
    struct two two = two_create(1, &settings);
    uint8_t byte;
    struct op get = {.kind = OP_RECEIVE, .handle = two.server, .data = &byte, .size = 1};
    op_start(two.far, &get);
    EQ(far_call(&two, (struct op){.kind = OP_SHUTDOWN, .handle = two.server}), 0);
    while (get.running)
        two.far->operations->wait(two.far, INT64_MAX);
    EQ(get.result, 0);
    EQ(receive(two.near, two.client, &byte, 1), 0);
    EQ(far_call(&two, (struct op){.kind = OP_CLOSE, .handle = two.server}), 0);
    EQ(two.world->violation_count, 0);
    world_destroy(two.world);
}

TEST(world_net, cancelled_operations_complete)
{
    struct world_settings settings = calm();
    struct two two = two_create(1, &settings);
    uint8_t byte;
    struct op get = {.kind = OP_RECEIVE, .handle = two.server, .data = &byte, .size = 1};
    struct op accept = {.kind = OP_ACCEPT, .handle = two.listener};
    op_start(two.far, &get);
    op_start(two.far, &accept);
    two.far->operations->cancel(two.far, &get);
    two.far->operations->cancel(two.far, &accept);
    while (get.running || accept.running)
        two.far->operations->wait(two.far, INT64_MAX);
    EQ(get.result, -ERROR_CANCELLED);
    EQ(accept.result, -ERROR_CANCELLED);
    EQ(send_bytes(two.near, two.client, "x", 1), 1); /* and nothing was swallowed */
    EQ(receive(two.far, two.server, &byte, 1), 1);
    world_destroy(two.world);
}

TEST(world_net, the_wall_clock_steps_alone)
{
    struct two two = two_create(1, NULL);
    struct now before, after, other;
    two.near->operations->clock(two.near, &before);
    world_wall_step(two.world, 0, -3600000);
    two.near->operations->clock(two.near, &after);
    two.far->operations->clock(two.far, &other);
    EQ(after.monotonic_ns, before.monotonic_ns);
    EQ(after.wall_ms, before.wall_ms - 3600000);
    EQ(other.wall_ms, before.wall_ms);
    two.near->operations->wait(two.near,
                               before.monotonic_ns + 5000000); /* a wait with a deadline */
    two.near->operations->clock(two.near, &after);
    TRUE_(after.monotonic_ns >= before.monotonic_ns + 5000000);
    world_destroy(two.world);
}
