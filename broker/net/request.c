#include "net/owing.h"
#include "base/check.h"
#include "base/memory.h"

/* What a request's arena keeps when it ends: always a little, and the chunk of a large request,
 * such as one to hundreds of partitions, as long as all that are kept hold no more than a megabyte.
 */
enum { KEPT_REQUESTS = 256, KEPT_ARENA_BYTES = 16384, KEPT_ARENA_BYTES_MOST = 256 << 10 };
enum { KEPT_ARENAS_BYTES = 1 << 20 };

struct request *request_take(struct connection *c)
{
    struct net *net = c->net;
    struct list *node = list_pop(&net->kept_requests);
    struct request *request;
    struct arena arena;
    if (node) {
        request = CONTAINER_OF(node, struct request, link);
        arena = request->arena;
        net->kept_request_count--;
        net->kept_arenas_bytes -= arena_held_bytes(&arena);
    } else {
        request = memory_zeroed(sizeof *request);
        arena_init(&arena, net->limits.arena_bytes);
    }
    *request = (struct request){.connection = c, .net = net, .arena = arena, .deciding = true};
    list_init(&request->turn.link);
    list_push(&c->requests, &request->link);
    c->in_flight++;
    return request;
}

void request_free(struct request *request)
{
    arena_done(&request->arena);
    memory_free(request);
}

void request_next(struct request *request)
{
    if (!request->deciding)
        return;
    request->deciding = false;
    request->connection->deciding = false;
    connection_wake(request->connection);
}

bool request_own_frame(struct request *request)
{
    if (!request->slot)
        return true;
    void *copy = arena_copy(&request->arena, request->frame.data, (size_t)request->frame.size);
    if (!copy)
        return false;
    int32_t size = request->frame.size;
    request_release_frame(request);
    request->frame = (struct bytes){copy, size};
    return true;
}

void request_release_frame(struct request *request)
{
    struct pool_slot *slot = request->slot;
    struct buffer *buffer = request->buffer;
    request->slot = NULL;
    request->buffer = NULL;
    request->frame = BYTES_NULL;
    if (slot)
        connection_slot_release(request->connection, slot);
    buffer_release(buffer);
}

bool request_is_abandoned(const struct request *request)
{
    return request->connection->closed;
}

const struct address *request_local_address(const struct request *request)
{
    return &request->connection->local;
}

bool request_is_next(struct request *request, struct flow *flow)
{
    struct connection *c = request->connection;
    if (c->closed || c->requests.next == &request->link)
        return true;
    /* A list of one: whoever is sent before wakes it by name. */
    flow_hold(flow);
    request->turn.flow = flow;
    return false;
}

void request_answer(struct request *request, struct iovec *vectors, int32_t count,
                    struct flow *sent)
{
    check(!request->ready && count >= 0);
    request->vectors = vectors;
    request->vector_count = count;
    request->vector_next = 0;
    request->sent = sent;
    request->cancel = NULL;
    request->ready = true;
    request->queued_bytes = request->arena.used_bytes;
    owing_add(request->connection, request->queued_bytes);
    if (sent)
        flow_hold(sent);
    request_next(request);
    if (request->connection->closed)
        connection_wake(request->connection); /* to drop it */
    else
        connection_flush_later(request->connection);
}

void request_sent(struct request *request)
{
    struct connection *c = request->connection;
    check(request->ready);
    owing_remove(c, request->queued_bytes);
    list_remove(&request->link);
    if (!list_is_empty(&c->requests))
        waiter_cancel(&CONTAINER_OF(c->requests.next, struct request, link)->turn);
    struct flow *sent = request->sent;
    if (sent)
        flow_release(sent);
    else
        request_done(request);
}

void request_done(struct request *request)
{
    struct connection *c = request->connection;
    struct net *net = request->net;
    check(request->ready && list_is_empty(&request->link) && !request->turn.flow);
    request_release_frame(request);
    c->in_flight--;
    connection_wake(c);
    request->connection = NULL;
    if (net->kept_request_count >= KEPT_REQUESTS) {
        request_free(request);
        return;
    }
    bool has_room = net->kept_arenas_bytes + KEPT_ARENA_BYTES_MOST <= KEPT_ARENAS_BYTES;
    arena_reset(&request->arena, has_room ? KEPT_ARENA_BYTES_MOST : KEPT_ARENA_BYTES);
    net->kept_arenas_bytes += arena_held_bytes(&request->arena);
    list_push_front(&net->kept_requests, &request->link);
    net->kept_request_count++;
}

void request_refuse_later(struct request *request, const char *why, struct flow *sent)
{
    struct connection *c = request->connection;
    struct core *core = request->net->core;
    char peer[ADDRESS_TEXT_BYTES], client[128];
    request->net->refused++;
    event_write(&core->events, &core->now, EVENT_WARN, "request_refused",
                "client=%s client_id=%s api=%d version=%d why=\"%s\" size=%d",
                address_format(&c->peer, peer),
                event_quote(client, sizeof client, request->client_id), request->api_key,
                request->api_version, why, request->frame.size);
    connection_close(c);
    request_answer(request, NULL, 0, sent);
}

void request_refuse(struct request *request, const char *why)
{
    request_refuse_later(request, why, NULL);
}
