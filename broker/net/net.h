#pragma once
/* The network of a broker: one `struct net` per core. The first core's net (home) accepts and hands
 * each socket to the core with the fewest connections; from then on a connection belongs to that
 * core. Requests go to the handler, of which this layer knows nothing but the table.
 *
 * Invariants
 *  1. Counts of connections, in all and by address, are kept on the home core only: a connection is
 *     allocated there, lives on its core, and comes back as mail to be counted out and freed.
 *  2. `connections` is in order of last activity, `halves` in order of the last progress of a frame
 *     that has begun: the watch looks at the first of each only. */
#include "base/map.h"
#include "net/address.h"
#include "reactor/core.h"

struct connection;
struct request;
struct net;

struct net_limits {
    int32_t request_bytes_max; /* socket.request.max.bytes: a frame without its length */
    int32_t in_flight_max;     /* max.requests.in.flight: requests of one connection */
    int32_t connections_max;   /* max.connections, of all cores; accepting pauses there */
    int32_t connections_per_ip_max;
    size_t owed_bytes_max; /* of answers on this core that their peers have not taken (owing.h) */
    int64_t idle_ms;       /* connections.max.idle.ms; negative: never */
    int64_t frame_ms;      /* for each further 64 KiB of a frame that has begun */
    size_t arena_bytes;    /* of one request, for what it is decoded into and its answer */
};

/* What the layer above gives. Called on the connection's core. */
struct net_handler {
    /* Takes a request whose frame has arrived whole (request.h says what must follow). */
    void (*request)(struct request *request);
    /* Home only: every connection of every core is closed and nobody listens any more. */
    void (*stopped)(struct net *home);
};

enum { NET_LISTENERS_MAX = 4 };

struct acceptor {
    struct flow flow;
    struct op op;
    struct timer retry;
    struct net *home;
    struct address address;     /* bound: the port is filled in */
    struct address peer, local; /* of the socket being accepted */
    int32_t handle;
    bool accepting, open;
    struct waiter room; /* for a place below connections_max */
};

struct net {
    struct core *core;
    void *owner; /* the broker's part of this core */
    struct net_limits limits;
    const struct net_handler *handler;
    struct net *home;
    struct list connections;
    struct list halves;
    int32_t connection_count; /* that live on this core */
    struct list owing; /* connections with answers that wait, longest without progress first */
    struct list owed_waiters;
    size_t owed_bytes;
    int32_t pool_held; /* receive buffers of the port that requests or connections hold */
    struct list kept_requests, kept_sends;
    int32_t kept_request_count, kept_send_count;
    size_t kept_arenas_bytes; /* of kept_requests */
    struct flow watch;        /* closes what idles or never ends its frame */
    struct timer watch_timer;
    bool watch_parked;
    bool stopping;
    struct flow stop;
    struct mail stop_mail;
    bool stop_parked; /* stop_all waits for the last connection or socket */
    /* counted on this core, for whoever shows them */
    uint64_t accepted, requests, received_bytes, sent_bytes, refused;
    /* home only */
    struct net **nets;
    int32_t net_count;
    int32_t *assigned; /* connections by core */
    int32_t assigned_total;
    int32_t turned_away; /* sockets that nobody wanted, being closed */
    struct map by_address;
    struct list room_waiters;
    struct acceptor acceptors[NET_LISTENERS_MAX];
    int32_t acceptor_count;
    struct flow stop_all;
};

struct net_options {
    struct net_limits limits;
    const struct net_handler *handler;
    void *owner;
    struct net **nets; /* of all cores, home first; all pointers are set; outlives them */
    int32_t net_count;
    uint64_t seed; /* of the map by address */
};

/* Sets up a net on `core` and starts its watch. */
void net_init(struct net *net, struct core *core, const struct net_options *options);

/* Frees what is kept; every connection must be gone. */
void net_done(struct net *net);

/* Listens at `address` (port 0: any; filled in) on home's core, whose thread calls, before it runs
 * (uses port_call), and starts to accept. ADDRESS_IN_USE, NO_PERMISSION, ... */
enum error net_listen(struct net *home, struct address *address);

/* Stops in order: listens no more, closes all connections once their requests have ended, on every
 * core; then calls handler->stopped. On home's core. A second call does nothing. */
void net_stop(struct net *home);

/* For net/ only: the watch looks again at `deadline_ns` at the latest. */
void net_watch_by(struct net *net, int64_t deadline_ns);

/* For net/ only: gives a receive buffer back to the port and wakes one that waits for it. */
void net_give_back(struct net *net, int32_t pool_buffer);

/* For net/ only: the connection has ended on its core; home counts it out and frees it. */
void net_connection_ended(struct connection *connection);
