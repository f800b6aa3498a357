#include "net/owing.h"
#include "base/check.h"

enum { STALL_NS = 1000000000 }; /* without a byte taken, while too much is owed */

static bool is_beyond(const struct net *net, int times)
{
    return net->owed_bytes > (size_t)times * net->limits.owed_bytes_max;
}

bool owing_has_room(const struct connection *c)
{
    return c->queued_bytes == 0 || !is_beyond(c->net, 1);
}

bool owing_has_room_at_all(const struct net *net)
{
    return !is_beyond(net, 2);
}

void owing_add(struct connection *c, size_t bytes)
{
    struct net *net = c->net;
    bool was_none = c->queued_bytes == 0;
    c->queued_bytes += bytes;
    if (c->closed || bytes == 0)
        return;
    net->owed_bytes += bytes;
    if (was_none) {
        c->owing_ns = net->core->now.monotonic_ns;
        list_push(&net->owing, &c->owing);
    }
    if (is_beyond(net, 1))
        net_watch_by(net, owing_deadline(net));
}

static void subtract(struct net *net, size_t bytes)
{
    check(net->owed_bytes >= bytes);
    net->owed_bytes -= bytes;
    if (owing_has_room_at_all(net))
        waiters_wake(&net->owed_waiters);
}

void owing_remove(struct connection *c, size_t bytes)
{
    check(c->queued_bytes >= bytes);
    c->queued_bytes -= bytes;
    if (c->closed)
        return;
    if (c->queued_bytes == 0)
        list_remove(&c->owing);
    subtract(c->net, bytes);
}

void owing_mark_progress(struct connection *c)
{
    if (c->closed || list_is_empty(&c->owing))
        return;
    c->owing_ns = c->net->core->now.monotonic_ns;
    list_remove(&c->owing);
    list_push(&c->net->owing, &c->owing);
}

void owing_forget(struct connection *c)
{
    list_remove(&c->owing);
    subtract(c->net, c->queued_bytes);
}

int64_t owing_deadline(const struct net *net)
{
    if (!is_beyond(net, 1) || list_is_empty(&net->owing))
        return INT64_MAX;
    return owing_first(net)->owing_ns + STALL_NS;
}

struct connection *owing_first(const struct net *net)
{
    return CONTAINER_OF(net->owing.next, struct connection, owing);
}
