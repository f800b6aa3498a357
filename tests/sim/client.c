#include "sim/client.h"
#include "base/check.h"
#include "base/memory.h"
#include "sim/broker_quiet.h"
#include "sim/machine_memory.h"

static const int64_t answer_limit_ns = 30 * 1000000000ll;
static const int64_t idle_slack_ns = 4 * 1000000000ll; /* an answer is late by so much, at most */
static const int64_t hush_ns = 1000000000; /* a tick of those that wait for quiet hours to pass */

struct now client_now(const struct client *client)
{
    return client->core.now;
}

bool client_ask(struct client *client, enum api_key key, const void *message, bool answered)
{
    check(!client->sending); /* the output is being read */
    if (!client->connected || client->closing || client->asked_count == CLIENT_ASKED_MAX)
        return false;
    enum error error = session_request(&client->session, key, message, NULL);
    if (error && error != ERROR_WOULD_WAIT)
        world_violation(client->sim->world, "%s can't ask %d: %s %s", client->kind->name, key,
                        error_text(error), session_reason(&client->session));
    if (error)
        return false;
    client->asks_in_vain |= !answered;
    if (answered) {
        int place = (client->asked_first + client->asked_count++) % CLIENT_ASKED_MAX;
        client->asked_ns[place] = client->core.now.monotonic_ns;
    }
    return true;
}

/* Ends the receive in flight, and with it the connection. */
void client_reconnect(struct client *client)
{
    if (!client->connected || client->shut)
        return;
    client->shut = true;
    timer_cancel(&client->sender_timer, &client->core);
}

/* ---- sender ---- */

static void watch(struct client *client)
{
    if (client->asked_count == 0 || !client->connected)
        return;
    int64_t waited_ns = client->core.now.monotonic_ns - client->asked_ns[client->asked_first];
    if (waited_ns <= max_i64(answer_limit_ns, client->patience_ns))
        return;
    int64_t since_ns = client->asked_ns[client->asked_first];
    if (client->sim->calm && since_ns > client->sim->calm_ns) {
        char text[400];
        broker_machine_describe(&client->sim->broker, client->machine, text, sizeof text);
        world_violation(client->sim->world, "%s: a request has no answer after %lld ms: %s",
                        client->kind->name, (long long)(waited_ns / 1000000), text);
    }
    client_reconnect(client);
}

static void send_ended(struct client *client)
{
    if (client->send.kind == OP_SEND && client->send.result > 0)
        session_sent(&client->session, (size_t)client->send.result);
    client->sending = false;
    if (client->reader_waits) {
        client->reader_waits = false;
        flow_release(&client->reader);
    }
}

static enum step sender_run(struct flow *flow)
{
    struct client *client = CONTAINER_OF(flow, struct client, sender);
    struct bytes output = {0};
    if (client->sending)
        send_ended(client);
    if (client->connected && !client->closing) {
        watch(client);
        if (!client->shut && !quiet_is_hushed(client) &&
            session_version(&client->session, API_METADATA) >= 0)
            client->kind->work(client);
        output = session_output(&client->session);
    }
    bool shuts = client->connected && !client->closing && client->shut;
    if (shuts || (client->connected && !client->closing && output.size > 0)) {
        client->vector = (struct iovec){(void *)output.data, (size_t)output.size};
        client->send = (struct op){.flow = flow,
                                   .kind = shuts ? OP_SHUTDOWN : OP_SEND,
                                   .handle = client->handle,
                                   .vectors = &client->vector,
                                   .vector_count = 1};
        client->sending = true;
        client->closing = shuts;
        op_start(client->core.port, &client->send);
        return STEP_AGAIN;
    }
    int64_t tick_ns = client->sim->quiet.hush ? hush_ns : client->tick_ns;
    timer_start(&client->sender_timer, &client->core, flow,
                client->core.now.monotonic_ns + tick_ns);
    return STEP_AGAIN;
}

static const struct flow_kind sender_kind = {"sim-send", {{"run", sender_run}}};

/* ---- reader ---- */

static enum step reader_connect(struct flow *flow)
{
    struct client *client = CONTAINER_OF(flow, struct client, reader);
    client->address = world_address(client->sim->broker.machine, BROKER_PORT);
    client->receive = (struct op){.flow = flow, .kind = OP_CONNECT, .address = &client->address};
    op_start(client->core.port, &client->receive);
    return STEP_NEXT;
}

static enum step wait_a_little(struct client *client)
{
    int64_t wait_ns = random_between(&client->random, 1000000, 50000000);
    if (client->sim->quiet.hush)
        wait_ns *= 1000;
    timer_start(&client->reader_timer, &client->core, &client->reader,
                client->core.now.monotonic_ns + wait_ns);
    client->reader.step = (uint8_t)-1; /* then connect again */
    return STEP_NEXT;
}

/* Each connection speaks old versions of some APIs, and the newest of the others. */
static void draw_versions(struct client *client)
{
    static const struct {
        enum api_key key;
        int16_t oldest, newest;
    } ranges[] = {
        {API_PRODUCE, 3, 12},         {API_FETCH, 4, 17},           {API_LIST_OFFSETS, 1, 10},
        {API_METADATA, 0, 12},        {API_CREATE_TOPICS, 2, 6},    {API_CREATE_PARTITIONS, 0, 2},
        {API_DESCRIBE_CONFIGS, 1, 3}, {API_DESCRIBE_CLUSTER, 0, 1},
    };
    for (int i = 0; i < ARRAY_COUNT(ranges); i++)
        if (random_once_in(&client->random, 3))
            session_limit(
                &client->session, ranges[i].key,
                (int16_t)random_between(&client->random, ranges[i].oldest, ranges[i].newest));
}

static enum step reader_connected(struct flow *flow)
{
    struct client *client = CONTAINER_OF(flow, struct client, reader);
    if (client->receive.result < 0)
        return wait_a_little(client);
    client->handle = (int32_t)client->receive.result;
    session_init(&client->session, SESSION_SETTINGS_DEFAULT);
    draw_versions(client);
    client->kind->init(client);
    client->connected = true;
    client->closing = client->shut = false;
    client->asked_count = 0;
    client->used_ns = 0;
    client->asks_in_vain = false;
    timer_cancel(&client->sender_timer, &client->core);
    return STEP_NEXT;
}

static enum step reader_receive(struct flow *flow)
{
    struct client *client = CONTAINER_OF(flow, struct client, reader);
    size_t size;
    uint8_t *space = session_space(&client->session, &size);
    client->receive = (struct op){
        .flow = flow, .kind = OP_RECEIVE, .handle = client->handle, .data = space, .size = size};
    op_start(client->core.port, &client->receive);
    return STEP_NEXT;
}

static bool take_answers(struct client *client)
{
    struct session_response response;
    enum error error;
    while ((error = session_next(&client->session, &response)) == ERROR_NONE) {
        check(client->asked_count > 0);
        int64_t asked_ns = client->asked_ns[client->asked_first];
        client->asked_first = (client->asked_first + 1) % CLIENT_ASKED_MAX;
        client->asked_count--;
        client->answers++;
        client->used_ns = client->core.now.monotonic_ns;
        client->kind->answer(client, &response, asked_ns);
    }
    if (error == ERROR_WOULD_WAIT)
        return true;
    world_violation(client->sim->world, "%s: the answer is wrong: %s", client->kind->name,
                    session_reason(&client->session));
    return false;
}

/* The connection ends: while nothing disturbs it that is for idling, by the monotonic clock; or
 * because it asked for no answer, and something was wrong. */
static void watch_end(const struct client *client)
{
    const struct simulation *sim = client->sim;
    int64_t idle_ns = client->core.now.monotonic_ns - client->used_ns;
    int64_t least_ns = sim->broker.settings.connections_max_idle_ms * 1000000 - idle_slack_ns;
    bool may_be_a_cut = sim->world->now_ns - sim->quiet.begun_ns < idle_slack_ns;
    if (sim->quiet.undisturbed && !may_be_a_cut && !client->shut && client->used_ns > 0 &&
        !client->asks_in_vain && idle_ns < least_ns)
        world_violation(sim->world, "%s: its connection ends %lld ms after its last answer",
                        client->kind->name, (long long)(idle_ns / 1000000));
}

static enum step reader_received(struct flow *flow)
{
    struct client *client = CONTAINER_OF(flow, struct client, reader);
    if (client->receive.result <= 0) {
        watch_end(client);
        return STEP_NEXT;
    }
    session_received(&client->session, (size_t)client->receive.result);
    if (!take_answers(client))
        return STEP_NEXT;
    timer_cancel(&client->sender_timer, &client->core);
    flow->step -= 2; /* receive again */
    return STEP_NEXT;
}

static enum step reader_shutdown(struct flow *flow)
{
    struct client *client = CONTAINER_OF(flow, struct client, reader);
    client->closing = true;
    client->control = (struct op){.flow = flow, .kind = OP_SHUTDOWN, .handle = client->handle};
    op_start(client->core.port, &client->control);
    return STEP_NEXT;
}

static enum step reader_close(struct flow *flow)
{
    struct client *client = CONTAINER_OF(flow, struct client, reader);
    if (client->sending) {
        client->reader_waits = true;
        flow_hold(flow);
        return STEP_AGAIN;
    }
    client->connected = false;
    client->control = (struct op){.flow = flow, .kind = OP_CLOSE, .handle = client->handle};
    op_start(client->core.port, &client->control);
    return STEP_NEXT;
}

static enum step reader_closed(struct flow *flow)
{
    struct client *client = CONTAINER_OF(flow, struct client, reader);
    client->kind->lost(client);
    client->losses++;
    client->asked_count = 0;
    session_done(&client->session);
    return wait_a_little(client);
}

static enum step never(struct flow *flow)
{
    return STEP_NEXT;
}

static const struct flow_kind reader_kind = {"sim-read",
                                             {{"connect", reader_connect},
                                              {"connected", reader_connected},
                                              {"receive", reader_receive},
                                              {"received", reader_received},
                                              {"shutdown", reader_shutdown},
                                              {"close", reader_close},
                                              {"closed", reader_closed},
                                              {"never", never}}};

void client_start(struct client *client, const struct client_kind *kind, struct simulation *sim)
{
    struct world *world = sim->world;
    *client = (struct client){
        .kind = kind, .sim = sim, .reader_timer = TIMER_INIT, .sender_timer = TIMER_INIT};
    random_seed(&client->random, random_next(&sim->random));
    client->tick_ns = random_between(&client->random, 1000000, 20000000);
    client->machine = world_add_machine(world);
    core_init(&client->core, 0, machine_port(world, client->machine, 0));
    world_add_core(world, client->machine, &client->core);
    flow_start(&client->reader, &reader_kind, &client->core);
    flow_start(&client->sender, &sender_kind, &client->core);
}
