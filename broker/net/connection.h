#pragma once
/* A connection: a socket, what has arrived of the next frame, and the requests under way.
 *
 *   read ──(end, error, refused, stop)──> drain ──(no request, no send)──> close ──> gone (home)
 *
 * Invariants
 *  1. One receive and one send are in flight at most.
 *  2. A frame that lies whole in a receive buffer of the port is handed on in place; such buffers
 * are counted (pool_slot) and a connection holds two at most. Every other frame gets one buffer of
 *     its own from the core's budget; what has arrived is copied there and the rest received into
 * it. Where no receive buffer is free, since those who have them wait for the disk, only the length
 * is received, and then the frame into a buffer of its own.
 *  3. Nothing is read while a request is being decided, while in_flight_max are under way, while a
 *     megabyte of answers waits to be sent, or too much on this core (owing.h), or while the budget
 *     has no room: the peer feels it through TCP. But of a connection with no request under way a
 *     frame of 4 KiB is let in past the budget: what asks for little waits for nobody's disk.
 *  4. A closed connection waits for its operations and requests; no other is touched by it. */
#include "net/request.h"

enum { CONNECTION_SLOTS = 2, SEND_VECTORS = 128 };

/* Keeps the requests of one connection in order on one core: each takes a number here, and there
 * waits for its turn. For the layer above; what it needs, open partitions or room in a journal, may
 * come to a later request first. */
struct lane {
    uint64_t sent;       /* numbers given out; on the connection's core */
    uint64_t turn;       /* whose turn it is; this and waiters on the other core */
    struct list waiters; /* ordered by number */
};

struct pool_slot {
    int32_t pool_buffer; /* -1: free */
    struct buffer *copy; /* what was left of it, once moved out of the pool; else null */
    int32_t references;
};

struct send {
    struct flow flow;
    struct op op;
    struct list link; /* in net->kept_sends */
    struct connection *connection;
    bool sending;
    struct iovec vectors[SEND_VECTORS];
};

struct connection {
    struct flow flow; /* reads; then closes */
    struct list link; /* in net->connections */
    struct list half; /* in net->halves while a frame has begun */
    struct net *net;
    struct mail mail; /* from home and back */
    int32_t handle;
    struct address peer, local;
    int64_t active_ns, half_ns, half_bytes;
    /* receiving */
    struct op receive, end; /* end: shutdown and close */
    bool receiving, paused, closed, cancelled;
    bool shutdown_due; /* by the flow itself, which was about to run when it was closed */
    bool wants_buffer;
    bool without_pool;    /* no receive buffer was free: the next frame does without */
    uint8_t head[4];      /* what such a one begins with, as it arrives */
    struct waiter waiter; /* for the budget, or until others take their answers */
    struct pool_slot slots[CONNECTION_SLOTS];
    struct pool_slot *input; /* what next..end lie in; null: nothing is left */
    const uint8_t *next, *input_end;
    uint8_t length[4];
    int32_t length_have; /* 4: frame_size is known and was checked */
    int32_t frame_size, frame_have;
    struct buffer *frame; /* of a frame that did not arrive in one piece */
    /* requests and answers */
    struct list requests;
    int32_t in_flight;   /* taken and not done */
    size_t queued_bytes; /* memory of requests that are answered and not sent */
    struct list owing;   /* in net->owing while there are any */
    int64_t owing_ns;    /* when they began to wait, or the peer last took some */
    bool deciding;
    struct send *send;
    struct turn_hook flush;
    struct lane *lanes; /* by core, made by the layer above when first needed; or null */
};

extern const struct flow_kind connection_kind;

/* Closes the connection: stops reading, wakes who waits for it, and ends once they have. Says
 * nothing; a second call does nothing. */
void connection_close(struct connection *connection);

/* For net/ only: something changed that the reader may have waited for. */
void connection_wake(struct connection *connection);

/* For net/ only: bytes have come or gone: the connection is not idle. */
void connection_mark_active(struct connection *connection);

/* For net/ only: at the turn's end, sends what is ready. */
void connection_flush_later(struct connection *connection);
void connection_flush(struct turn_hook *hook, struct core *core);

/* For net/ only: drops one reference to what a request's frame lay in. */
void connection_slot_release(struct connection *connection, struct pool_slot *slot);
