/* An echo server and clients as flows over the world's ports: what a broker will do, in small. */
#include "sim/world_test.h"
#include "base/memory.h"

enum { CLIENTS = 4, ROUNDS = 30, MESSAGE_BYTES = 700, SERVER_CORES = 3 };

struct echo;

/* A connection of the server, on one of its cores: receives into pool buffers, sends it back. */
struct serving {
    struct flow flow;
    struct mail mail;
    struct echo *echo;
    struct op op;
    struct iovec vector;
    int32_t handle, buffer;
};

struct serving_accept {
    struct flow flow;
    struct op op;
    struct address address;
    int32_t handle;
    int count;
};

/* A client: connects, and sends and checks messages; starts anew when its connection breaks. */
struct client {
    struct core core;
    struct flow flow;
    struct op op;
    struct timer timer;
    struct address address;
    struct iovec vector;
    struct echo *echo;
    int32_t handle;
    int index, round, breaks;
    size_t done;
    bool over;
    uint8_t sent[MESSAGE_BYTES], got[MESSAGE_BYTES];
};

struct echo {
    struct world *world;
    struct core cores[SERVER_CORES];
    struct serving_accept accept;
    struct serving servings[256];
    int serving_count;
    struct client clients[CLIENTS];
    int wrong;
};

static enum step serving_receive(struct flow *flow)
{
    struct serving *s = CONTAINER_OF(flow, struct serving, flow);
    s->op = (struct op){.flow = flow, .kind = OP_RECEIVE, .handle = s->handle};
    op_start(flow->core->port, &s->op);
    return STEP_NEXT;
}

static enum step serving_received(struct flow *flow)
{
    struct serving *s = CONTAINER_OF(flow, struct serving, flow);
    if (s->op.result == -ERROR_NO_BUFFERS) {
        flow->step = (uint8_t)-1; /* back to receive */
        return STEP_NEXT;
    }
    if (s->op.result <= 0)
        return STEP_FAIL;
    s->buffer = s->op.pool_buffer;
    s->vector = (struct iovec){s->op.data, (size_t)s->op.result};
    return STEP_NEXT;
}

static enum step serving_send(struct flow *flow)
{
    struct serving *s = CONTAINER_OF(flow, struct serving, flow);
    s->op = (struct op){.flow = flow,
                        .kind = OP_SEND,
                        .handle = s->handle,
                        .vectors = &s->vector,
                        .vector_count = 1};
    op_start(flow->core->port, &s->op);
    return STEP_NEXT;
}

static enum step serving_sent(struct flow *flow)
{
    struct serving *s = CONTAINER_OF(flow, struct serving, flow);
    struct port *port = flow->core->port;
    int64_t sent = s->op.result;
    if (sent > 0) {
        s->vector.iov_base = (uint8_t *)s->vector.iov_base + sent;
        s->vector.iov_len -= (size_t)sent;
        if (s->vector.iov_len > 0) {
            flow->step -= 2; /* back to send */
            return STEP_NEXT;
        }
    }
    port->operations->give_back(port, s->buffer);
    if (sent < 0)
        return STEP_FAIL;
    flow->step = (uint8_t)-1; /* back to receive */
    return STEP_NEXT;
}

static enum step serving_close(struct flow *flow)
{
    struct serving *s = CONTAINER_OF(flow, struct serving, flow);
    s->op = (struct op){.flow = flow, .kind = OP_CLOSE, .handle = s->handle};
    op_start(flow->core->port, &s->op);
    return STEP_NEXT;
}

static enum step step_over(struct flow *flow)
{
    return STEP_NEXT;
}

static const struct flow_kind serving_flow = {"serving",
                                              {{"receive", serving_receive},
                                               {"received", serving_received},
                                               {"send", serving_send},
                                               {"sent", serving_sent},
                                               {"close", serving_close},
                                               {"over", step_over}}};

static enum step accept_listen(struct flow *flow)
{
    struct serving_accept *a = CONTAINER_OF(flow, struct serving_accept, flow);
    a->address = world_address(0, 9092);
    a->op = (struct op){.flow = flow, .kind = OP_LISTEN, .address = &a->address};
    op_start(flow->core->port, &a->op);
    return STEP_NEXT;
}

static enum step accept_listened(struct flow *flow)
{
    struct serving_accept *a = CONTAINER_OF(flow, struct serving_accept, flow);
    a->handle = (int32_t)a->op.result;
    return a->handle < 0 ? STEP_FAIL : STEP_NEXT;
}

static enum step accept_accept(struct flow *flow)
{
    struct serving_accept *a = CONTAINER_OF(flow, struct serving_accept, flow);
    a->op = (struct op){.flow = flow, .kind = OP_ACCEPT, .handle = a->handle};
    op_start(flow->core->port, &a->op);
    return STEP_NEXT;
}

static enum step accept_accepted(struct flow *flow)
{
    struct serving_accept *a = CONTAINER_OF(flow, struct serving_accept, flow);
    struct echo *echo = CONTAINER_OF(a, struct echo, accept);
    if (a->op.result < 0 || echo->serving_count == ARRAY_COUNT(echo->servings))
        return STEP_FAIL;
    struct serving *s = &echo->servings[echo->serving_count];
    s->handle = (int32_t)a->op.result;
    struct core *to = &echo->cores[echo->serving_count++ % SERVER_CORES];
    mail_start(&s->mail, flow->core, to, &s->flow, &serving_flow);
    flow->step -= 2; /* back to accept */
    return STEP_NEXT;
}

static const struct flow_kind accept_flow = {"accept",
                                             {{"listen", accept_listen},
                                              {"listened", accept_listened},
                                              {"accept", accept_accept},
                                              {"accepted", accept_accepted},
                                              {"over", step_over}}};

static enum step client_connect(struct flow *flow)
{
    struct client *c = CONTAINER_OF(flow, struct client, flow);
    c->address = world_address(0, 9092);
    c->op = (struct op){.flow = flow, .kind = OP_CONNECT, .address = &c->address};
    op_start(flow->core->port, &c->op);
    return STEP_NEXT;
}

static enum step client_connected(struct flow *flow)
{
    struct client *c = CONTAINER_OF(flow, struct client, flow);
    if (c->op.result >= 0) {
        c->handle = (int32_t)c->op.result;
        return STEP_NEXT;
    }
    timer_start(&c->timer, flow->core, flow, flow->core->now.monotonic_ns + 1000000);
    flow->step = (uint8_t)-1;
    return STEP_NEXT;
}

static enum step client_transfer(struct flow *flow)
{
    struct client *c = CONTAINER_OF(flow, struct client, flow);
    bool sends = c->done < MESSAGE_BYTES;
    size_t from = sends ? c->done : c->done - MESSAGE_BYTES;
    if (c->done == 0)
        for (int i = 0; i < MESSAGE_BYTES; i++)
            c->sent[i] = (uint8_t)(c->index * 31 + c->round * 7 + i);
    c->vector = (struct iovec){c->sent + from, MESSAGE_BYTES - from};
    c->op = (struct op){.flow = flow,
                        .kind = sends ? OP_SEND : OP_RECEIVE,
                        .handle = c->handle,
                        .vectors = &c->vector,
                        .vector_count = 1,
                        .data = c->got + from,
                        .size = MESSAGE_BYTES - from};
    op_start(flow->core->port, &c->op);
    return STEP_NEXT;
}

static enum step client_transferred(struct flow *flow)
{
    struct client *c = CONTAINER_OF(flow, struct client, flow);
    if (c->op.result <= 0) {
        c->breaks++;
        c->done = 0;
        return STEP_NEXT;
    }
    c->done += (size_t)c->op.result;
    if (c->done == 2 * MESSAGE_BYTES) {
        c->echo->wrong += memcmp(c->sent, c->got, MESSAGE_BYTES) != 0;
        c->done = 0;
        c->round++;
    }
    if (c->round < ROUNDS)
        flow->step -= 2; /* back to transfer */
    return STEP_NEXT;
}

static enum step client_close(struct flow *flow)
{
    struct client *c = CONTAINER_OF(flow, struct client, flow);
    c->op = (struct op){.flow = flow, .kind = OP_CLOSE, .handle = c->handle};
    op_start(flow->core->port, &c->op);
    c->over = c->round == ROUNDS;
    if (!c->over)
        flow->step = (uint8_t)-1; /* connect again */
    return STEP_NEXT;
}

static const struct flow_kind client_flow = {"client",
                                             {{"connect", client_connect},
                                              {"connected", client_connected},
                                              {"transfer", client_transfer},
                                              {"transferred", client_transferred},
                                              {"close", client_close},
                                              {"over", step_over}}};

static bool all_over(void *argument)
{
    struct echo *echo = argument;
    for (int i = 0; i < CLIENTS; i++)
        if (!echo->clients[i].over)
            return false;
    return true;
}

struct outcome {
    uint64_t hash, events;
    int breaks, crashes;
    bool over;
};

static void start_server(struct echo *echo)
{
    for (int i = 0; i < SERVER_CORES; i++) {
        core_init(&echo->cores[i], i, world_port(echo->world, 0, i));
        world_add_core(echo->world, 0, &echo->cores[i]);
    }
    flow_start(&echo->accept.flow, &accept_flow, &echo->cores[0]);
    world_notice(echo->world, &echo->cores[0]);
}

/* Every few thousand events the server's machine loses its memory and starts anew. */
struct crashes {
    struct echo *echo;
    uint64_t next, every;
    int count;
};

static void crash_server(struct world *world, void *argument)
{
    struct crashes *crashes = argument;
    struct echo *echo = crashes->echo;
    if (!crashes->every || world->events < crashes->next)
        return;
    crashes->next += crashes->every;
    crashes->count++;
    if (crashes->count % 2)
        world_crash(world, 0);
    else
        world_kill(world, 0);
    for (int i = 0; i < SERVER_CORES; i++)
        core_done(&echo->cores[i]);
    memset(echo->cores, 0xee, sizeof echo->cores); /* whoever touches it again is found out */
    memset(echo->servings, 0xee, sizeof echo->servings);
    memset(&echo->accept, 0xee, sizeof echo->accept);
    echo->serving_count = 0;
    world_start(world, 0);
    start_server(echo);
}

static struct outcome run_echo(uint64_t seed, const struct world_settings *settings,
                               uint64_t crash_every)
{
    struct echo *echo = memory_zeroed(sizeof *echo);
    struct world *world = echo->world = world_create(seed, settings);
    struct crashes crashes = {echo, crash_every, crash_every, 0};
    EQ(world_add_machine(world), 0);
    start_server(echo);
    world_on_event(world, crash_server, &crashes);
    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &echo->clients[i];
        int machine = world_add_machine(world);
        c->index = i;
        c->echo = echo;
        c->timer = TIMER_INIT;
        core_init(&c->core, 0, world_port(world, machine, 0));
        world_add_core(world, machine, &c->core);
        flow_start(&c->flow, &client_flow, &c->core);
    }
    bool over = world_run(world, (struct world_stop){all_over, echo, .events = 2000000});
    struct outcome outcome = {world->hash, world->events, 0, crashes.count, over};
    for (int i = 0; i < CLIENTS; i++)
        outcome.breaks += echo->clients[i].breaks;
    EQ(echo->wrong, 0);
    EQ(world->violation_count, 0);
    world_destroy(world);
    for (int i = 0; i < SERVER_CORES; i++)
        core_done(&echo->cores[i]);
    for (int i = 0; i < CLIENTS; i++)
        core_done(&echo->clients[i].core);
    memory_free(echo);
    return outcome;
}

TEST(world_echo, answers_every_message)
{
    struct outcome outcome = run_echo(1, NULL, 0);
    TRUE_(outcome.over);
    EQ(outcome.breaks, 0);
}

TEST(world_echo, same_seed_same_trace_other_seed_other_trace)
{
    struct outcome first = run_echo(7, NULL, 500), second = run_echo(7, NULL, 500);
    struct outcome third = run_echo(8, NULL, 500);
    EQ(first.hash, second.hash);
    EQ(first.events, second.events);
    TRUE_(first.hash != third.hash);
}

TEST(world_echo, survives_cuts_and_tiny_buffers)
{
    int breaks = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct world_settings settings = world_settings_random(seed);
        settings.cut_once_in = seed % 2 ? 400 : 0;
        if (settings.socket_buffer_bytes < MESSAGE_BYTES) /* else both ends wait for the other */
            settings.socket_buffer_bytes = MESSAGE_BYTES;
        struct outcome outcome = run_echo(seed, &settings, 0);
        TRUE_(outcome.over);
        breaks += outcome.breaks;
    }
    TRUE_(breaks > 0);
}

TEST(world_echo, survives_crashes_of_the_server)
{
    int breaks = 0, crashes = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct outcome outcome = run_echo(seed, NULL, 300 + seed);
        TRUE_(outcome.over);
        breaks += outcome.breaks;
        crashes += outcome.crashes;
    }
    TRUE_(crashes > 20 && breaks > 20);
}
