#include "net/owing.h"
#include "base/check.h"
#include "base/memory.h"
#include "metrics/metrics.h"

enum { ACCEPT_RETRY_NS = 100000000 }; /* after an error that is of the machine, not of a socket */

struct address_count {
    uint8_t key[17]; /* family and bytes */
    int32_t count;
};

/* -- the watch ----------------------------------------------------------------------------- */

static int64_t half_deadline(const struct net *net)
{
    if (list_is_empty(&net->halves))
        return INT64_MAX;
    return CONTAINER_OF(net->halves.next, struct connection, half)->half_ns +
           net->limits.frame_ms * 1000000;
}

static int64_t idle_deadline(const struct net *net)
{
    if (list_is_empty(&net->connections) || net->limits.idle_ms < 0)
        return INT64_MAX;
    return CONTAINER_OF(net->connections.next, struct connection, link)->active_ns +
           net->limits.idle_ms * 1000000;
}

static void say_closed(struct net *net, struct connection *c, const char *why)
{
    char peer[ADDRESS_TEXT_BYTES];
    event_write(&net->core->events, &net->core->now, EVENT_INFO, "connection_closed",
                "client=%s why=\"%s\"", address_format(&c->peer, peer), why);
    connection_close(c);
}

/* The first of those whose frame does not go on. Only a peer we are listening to is to blame. */
static void expire_half(struct net *net)
{
    struct connection *c = CONTAINER_OF(net->halves.next, struct connection, half);
    list_remove(&c->half);
    if (c->receiving) {
        say_closed(net, c, "a frame that had begun did not go on");
        return;
    }
    if (c->closed)
        return;
    c->half_ns = net->core->now.monotonic_ns;
    list_push(&net->halves, &c->half);
}

/* The first of those that have neither sent nor taken anything for long. One that waits for us is
 * not idle; one that does not take its answers is. */
static void expire_idle(struct net *net)
{
    struct connection *c = CONTAINER_OF(net->connections.next, struct connection, link);
    c->active_ns = net->core->now.monotonic_ns;
    list_remove(&c->link);
    list_push(&net->connections, &c->link);
    if ((c->in_flight == 0 || c->send) && !c->closed)
        say_closed(net, c, "idle for longer than connections.max.idle.ms");
}

static enum step watch_run(struct flow *flow)
{
    struct net *net = CONTAINER_OF(flow, struct net, watch);
    int64_t now_ns = net->core->now.monotonic_ns;
    while (half_deadline(net) <= now_ns)
        expire_half(net);
    while (idle_deadline(net) <= now_ns)
        expire_idle(net);
    while (owing_deadline(net) <= now_ns)
        say_closed(net, owing_first(net), "does not take its answers, of which too many wait");
    int64_t deadline_ns =
        min_i64(owing_deadline(net), min_i64(half_deadline(net), idle_deadline(net)));
    if (net->stopping && net->connection_count == 0)
        return STEP_NEXT;
    net->watch_parked = deadline_ns == INT64_MAX;
    if (net->watch_parked)
        flow_hold(flow);
    else
        timer_start(&net->watch_timer, net->core, flow, deadline_ns);
    return STEP_AGAIN;
}

static const struct flow_kind watch_kind = {"watch", {{"watch", watch_run}}};

void net_watch_by(struct net *net, int64_t deadline_ns)
{
    if (net->watch_parked) {
        net->watch_parked = false;
        flow_release(&net->watch);
    } else if (net->watch_timer.flow && net->watch_timer.node.key > deadline_ns) {
        timer_cancel(&net->watch_timer, net->core);
    }
}

void net_give_back(struct net *net, int32_t pool_buffer)
{
    check(net->pool_held > 0);
    net->pool_held--;
    struct port *port = net->core->port;
    port->operations->give_back(port, pool_buffer);
}

/* -- accepting (home) ---------------------------------------------------------------------- */

static struct address_count *count_address(struct net *home, const struct address *address)
{
    uint8_t key[17] = {address->family};
    memcpy(key + 1, address->bytes, 16);
    struct address_count *count = map_get(&home->by_address, key, sizeof key);
    if (!count) {
        count = memory_zeroed(sizeof *count);
        memcpy(count->key, key, sizeof key);
        map_put(&home->by_address, count->key, sizeof count->key, count);
    }
    return count;
}

static void uncount_address(struct net *home, struct address_count *count)
{
    if (--count->count > 0)
        return;
    map_remove(&home->by_address, count->key, sizeof count->key);
    memory_free(count);
}

static int32_t least_loaded(const struct net *home)
{
    int32_t best = 0;
    for (int32_t i = 1; i < home->net_count; i++)
        if (home->assigned[i] < home->assigned[best])
            best = i;
    return best;
}

/* Hands an accepted socket to its core. */
static void hand_over(struct acceptor *acceptor, int32_t handle)
{
    struct net *home = acceptor->home;
    int32_t place = least_loaded(home);
    struct connection *c = memory_zeroed(sizeof *c);
    c->net = home->nets[place];
    c->handle = handle;
    c->peer = acceptor->peer;
    c->local = acceptor->local;
    list_init(&c->link);
    list_init(&c->half);
    list_init(&c->owing);
    list_init(&c->requests);
    list_init(&c->waiter.link);
    c->flush.run = connection_flush;
    list_init(&c->flush.link);
    for (int i = 0; i < CONNECTION_SLOTS; i++)
        c->slots[i].pool_buffer = -1;
    home->accepted++;
    home->assigned[place]++;
    home->assigned_total++;
    mail_start(&c->mail, home->core, c->net->core, &c->flow, &connection_kind);
}

/* One connection less: was it the last that the stop waits for? */
static void look_at_stop(struct net *home)
{
    if (!home->stop_parked || home->assigned_total > 0 || home->turned_away > 0)
        return;
    home->stop_parked = false;
    flow_release(&home->stop_all);
}

/* A socket that is not wanted is closed by an operation nobody waits for but itself, and a stop. */
struct farewell {
    struct flow flow;
    struct net *home;
    struct op op;
};

static enum step farewell_close(struct flow *flow)
{
    struct farewell *farewell = CONTAINER_OF(flow, struct farewell, flow);
    farewell->op.flow = flow;
    op_start(flow->core->port, &farewell->op);
    return STEP_NEXT;
}

static enum step farewell_done(struct flow *flow)
{
    struct farewell *farewell = CONTAINER_OF(flow, struct farewell, flow);
    farewell->home->turned_away--;
    look_at_stop(farewell->home);
    memory_free(farewell);
    return STEP_NEXT;
}

static const struct flow_kind farewell_kind = {
    "farewell", {{"close", farewell_close}, {"done", farewell_done}}};

static void turn_away(struct net *home, int32_t handle)
{
    struct farewell *farewell = memory_zeroed(sizeof *farewell);
    farewell->home = home;
    farewell->op = (struct op){.kind = OP_CLOSE, .handle = handle};
    home->turned_away++;
    flow_start(&farewell->flow, &farewell_kind, home->core);
}

static void accepted(struct acceptor *acceptor)
{
    struct net *home = acceptor->home;
    int64_t result = acceptor->op.result;
    if (result < 0) {
        enum error error = op_error(result);
        if (error == ERROR_CANCELLED || home->stopping || error == ERROR_CONNECTION_RESET)
            return;
        event_write(&home->core->events, &home->core->now, EVENT_ERROR, "accept_failed",
                    "why=\"%s\"", error_text(error));
        timer_start(&acceptor->retry, home->core, &acceptor->flow,
                    home->core->now.monotonic_ns + ACCEPT_RETRY_NS);
        return;
    }
    struct address_count *count = count_address(home, &acceptor->peer);
    count->count++;
    if (!home->stopping && count->count <= home->limits.connections_per_ip_max) {
        hand_over(acceptor, (int32_t)result);
        return;
    }
    if (!home->stopping) {
        char peer[ADDRESS_TEXT_BYTES];
        home->refused++;
        if (home->core->metrics)
            metrics_count_refusal(home->core->metrics, REFUSAL_TOO_MANY_CONNECTIONS);
        event_write(&home->core->events, &home->core->now, EVENT_WARN, "connection_refused",
                    "client=%s why=\"more than max.connections.per.ip\" limit=%d",
                    address_format(&acceptor->peer, peer), home->limits.connections_per_ip_max);
    }
    uncount_address(home, count);
    turn_away(home, (int32_t)result);
}

static enum step acceptor_accept(struct flow *flow)
{
    struct acceptor *acceptor = CONTAINER_OF(flow, struct acceptor, flow);
    struct net *home = acceptor->home;
    if (acceptor->accepting) {
        acceptor->accepting = false;
        accepted(acceptor);
        if (flow->holds)
            return STEP_AGAIN;
    }
    if (home->stopping)
        return STEP_NEXT;
    if (home->assigned_total >= home->limits.connections_max) {
        event_write(&home->core->events, &home->core->now, EVENT_WARN, "accept_paused",
                    "why=\"max.connections are open\" limit=%d", home->limits.connections_max);
        waiter_park(&acceptor->room, &home->room_waiters, flow);
        return STEP_AGAIN;
    }
    acceptor->local = acceptor->address;
    acceptor->op = (struct op){.kind = OP_ACCEPT,
                               .flow = flow,
                               .handle = acceptor->handle,
                               .address = &acceptor->peer,
                               .data = &acceptor->local};
    acceptor->accepting = true;
    op_start(home->core->port, &acceptor->op);
    return STEP_AGAIN;
}

static enum step acceptor_close(struct flow *flow)
{
    struct acceptor *acceptor = CONTAINER_OF(flow, struct acceptor, flow);
    acceptor->op = (struct op){.kind = OP_CLOSE, .flow = flow, .handle = acceptor->handle};
    op_start(acceptor->home->core->port, &acceptor->op);
    return STEP_NEXT;
}

static enum step acceptor_done(struct flow *flow)
{
    struct acceptor *acceptor = CONTAINER_OF(flow, struct acceptor, flow);
    acceptor->open = false;
    flow_release(&acceptor->home->stop_all);
    return STEP_NEXT;
}

static const struct flow_kind acceptor_kind = {"acceptor",
                                               {
                                                   {"accept", acceptor_accept},
                                                   {"close", acceptor_close},
                                                   {"done", acceptor_done},
                                               }};

enum error net_listen(struct net *home, struct address *address)
{
    check(home->home == home && home->acceptor_count < NET_LISTENERS_MAX);
    struct acceptor *acceptor = &home->acceptors[home->acceptor_count];
    *acceptor = (struct acceptor){.home = home, .address = *address, .retry = TIMER_INIT};
    list_init(&acceptor->room.link);
    acceptor->op = (struct op){.kind = OP_LISTEN, .address = &acceptor->address};
    int64_t result = port_call(home->core->port, &acceptor->op);
    if (result < 0)
        return op_error(result);
    home->acceptor_count++;
    acceptor->handle = (int32_t)result;
    acceptor->open = true;
    *address = acceptor->address;
    flow_start(&acceptor->flow, &acceptor_kind, home->core);
    return ERROR_NONE;
}

/* -- the end ------------------------------------------------------------------------------- */

static enum step ended_count(struct flow *flow)
{
    struct connection *c = CONTAINER_OF(flow, struct connection, flow);
    struct net *home = c->net->home;
    for (int32_t i = 0; i < home->net_count; i++)
        if (home->nets[i] == c->net)
            home->assigned[i]--;
    home->assigned_total--;
    uncount_address(home, count_address(home, &c->peer));
    waiters_wake_first(&home->room_waiters);
    memory_free(c->lanes);
    memory_free(c);
    look_at_stop(home);
    return STEP_NEXT;
}

static const struct flow_kind ended_kind = {"connection-ended", {{"count", ended_count}}};

void net_connection_ended(struct connection *c)
{
    struct net *net = c->net;
    net->connection_count--;
    if (net->stopping)
        net_watch_by(net, 0);
    mail_start(&c->mail, net->core, net->home->core, &c->flow, &ended_kind);
}

/* On each core: no connection goes on, and the watch ends with the last. */
static enum step stop_close(struct flow *flow)
{
    struct net *net = CONTAINER_OF(flow, struct net, stop);
    net->stopping = true;
    for (struct list *node = net->connections.next; node != &net->connections; node = node->next)
        connection_close(CONTAINER_OF(node, struct connection, link));
    net_watch_by(net, 0);
    mail_release(&net->stop_mail, net->core, net->home->core, &net->home->stop_all);
    return STEP_NEXT;
}

static const struct flow_kind stop_kind = {"net-stop", {{"close", stop_close}}};

static enum step stop_listeners(struct flow *flow)
{
    struct net *home = CONTAINER_OF(flow, struct net, stop_all);
    home->stopping = true;
    for (int32_t i = 0; i < home->acceptor_count; i++) {
        struct acceptor *acceptor = &home->acceptors[i];
        flow_hold(flow);
        if (acceptor->accepting)
            home->core->port->operations->cancel(home->core->port, &acceptor->op);
        waiter_cancel(&acceptor->room);
        timer_cancel(&acceptor->retry, home->core);
    }
    return STEP_NEXT;
}

static enum step stop_connections(struct flow *flow)
{
    struct net *home = CONTAINER_OF(flow, struct net, stop_all);
    for (int32_t i = 0; i < home->net_count; i++) {
        struct net *net = home->nets[i];
        flow_hold(flow);
        mail_start(&net->stop_mail, home->core, net->core, &net->stop, &stop_kind);
    }
    return STEP_NEXT;
}

static enum step stop_wait(struct flow *flow)
{
    struct net *home = CONTAINER_OF(flow, struct net, stop_all);
    if (home->assigned_total == 0 && home->turned_away == 0)
        return STEP_NEXT;
    home->stop_parked = true;
    flow_hold(flow);
    return STEP_AGAIN;
}

static enum step stop_done(struct flow *flow)
{
    struct net *home = CONTAINER_OF(flow, struct net, stop_all);
    if (home->handler->stopped)
        home->handler->stopped(home);
    return STEP_NEXT;
}

static const struct flow_kind stop_all_kind = {"net-stop-all",
                                               {
                                                   {"listeners", stop_listeners},
                                                   {"connections", stop_connections},
                                                   {"wait", stop_wait},
                                                   {"done", stop_done},
                                               }};

void net_stop(struct net *home)
{
    check(home->home == home);
    if (!home->stop_all.kind)
        flow_start(&home->stop_all, &stop_all_kind, home->core);
}

/* -- set-up -------------------------------------------------------------------------------- */

void net_init(struct net *net, struct core *core, const struct net_options *options)
{
    check(options->net_count > 0 && options->handler && options->limits.in_flight_max > 0);
    check(options->limits.frame_ms > 0 && options->limits.idle_ms != 0);
    *net = (struct net){.core = core,
                        .owner = options->owner,
                        .limits = options->limits,
                        .handler = options->handler,
                        .home = options->nets[0],
                        .nets = options->nets,
                        .net_count = options->net_count,
                        .watch_timer = TIMER_INIT};
    list_init(&net->connections);
    list_init(&net->halves);
    list_init(&net->owing);
    list_init(&net->owed_waiters);
    list_init(&net->kept_requests);
    list_init(&net->kept_sends);
    list_init(&net->room_waiters);
    map_init(&net->by_address, options->seed);
    if (net->home == net)
        net->assigned = memory_zeroed((size_t)net->net_count * sizeof *net->assigned);
    flow_start(&net->watch, &watch_kind, core);
}

void net_done(struct net *net)
{
    check(net->connection_count == 0 && net->pool_held == 0);
    timer_cancel(&net->watch_timer, net->core);
    list_remove(&net->watch.link);
    for (int32_t i = 0; i < net->acceptor_count; i++)
        if (net->acceptors[i].open)
            list_remove(&net->acceptors[i].flow.link); /* of a broker that never ran */
    for (struct list *node; (node = list_pop(&net->kept_requests));)
        request_free(CONTAINER_OF(node, struct request, link));
    for (struct list *node; (node = list_pop(&net->kept_sends));)
        memory_free(CONTAINER_OF(node, struct send, link));
    memory_free(net->assigned);
    map_done(&net->by_address);
}
