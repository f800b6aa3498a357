#pragma once
/* A request: from the last byte of its frame to the last byte of its answer. It lies in its
 * connection's queue, in the order of arrival, which is the order of the answers.
 *
 *   deciding ──request_next──> open ──request_answer──> ready ──> sent ──request_done──> (pool)
 *
 * The handler is called with a request that is being decided: nothing else of its connection is
 * decided until request_next, or the answer. Then exactly one of request_answer and request_refuse.
 * Everything runs on the connection's core. */
#include "base/arena.h"
#include "net/net.h"
#include "reactor/buffers.h"
#include <sys/uio.h>

struct pool_slot;

struct request {
    struct list link; /* in connection->requests until sent; in the pool */
    struct connection *connection;
    struct net *net;
    struct arena arena;
    struct bytes frame;  /* without its length; borrowed until request_release_frame */
    int64_t received_ns; /* monotonic */
    /* the header, by the handler */
    int16_t api_key, api_version;
    int32_t correlation_id;
    struct string client_id;
    /* For the handler: set it while a flow waits for something that may take long. Called at most
     * once, when the connection is closed; must end the wait, by waking the flow and no more. The
     * answer still has to come, from the flow. */
    void (*cancel)(struct request *request);
    void *data; /* the handler's */
    /* inside */
    bool deciding, ready;
    struct pool_slot *slot;
    struct buffer *buffer;
    struct iovec *vectors;
    int32_t vector_count, vector_next;
    size_t queued_bytes; /* counted in the connection's until sent */
    struct flow *sent;
    struct waiter turn;
};

/* The next request of the connection may be decided. Nothing if it may already. */
void request_next(struct request *request);

/* Copies the frame into the arena and gives the receive buffer back, for requests that may wait;
 * does nothing when the frame has a buffer of its own. False when the arena's budget is used up. */
bool request_own_frame(struct request *request);

/* Gives back what the frame lies in; `frame` and what borrows from it are gone. Once is enough. */
void request_release_frame(struct request *request);

/* Is it this request's turn to be answered: has everything before it been sent? True: yes, or the
 * connection is closed. False: `flow` was parked (a hold). */
bool request_is_next(struct request *request, struct flow *flow);

/* True once the connection is closed: an answer will reach nobody. */
bool request_is_abandoned(const struct request *request);

/* The address of this machine by which the peer came; as the listener has it where the port could
 * not tell. */
const struct address *request_local_address(const struct request *request);

/* The answer: `count` vectors (the length first), which with their bytes must live until it is
 * done; none: no answer is sent, in its turn. All answers that are ready leave at the end of the
 * turn. `sent` null: request_done follows by itself. Else a hold on `sent` is released when the
 * bytes have left, or never will; then the flow calls request_done. */
void request_answer(struct request *request, struct iovec *vectors, int32_t count,
                    struct flow *sent);

/* Ends the request: its memory goes back to the pool. */
void request_done(struct request *request);

/* The frame is not what it should be: closes the connection, after a line of the event log that
 * says who, what and why (`why` is a literal or lies in the arena), and ends the request
 * unanswered. */
void request_refuse(struct request *request, const char *why);

/* The same for a request whose flow has something to release: `sent` as in request_answer. */
void request_refuse_later(struct request *request, const char *why, struct flow *sent);

/* For net/ only. */
struct request *request_take(struct connection *connection);
void request_sent(struct request *request);
void request_free(struct request *request);
