#pragma once
/* Where requests meet the rest of the broker. A request is decoded by its table and becomes a flow
 * (handlers.def); the first member of the flow's struct is a `struct call`.
 *
 * Invariants
 *  1. Everything of a call lies in its request's arena, whose budget was set before decoding.
 *  2. A body that is not exactly what its version says closes the connection, with one line that
 *     names api, version, client and reason (request_refuse).
 *  3. Every call ends by call_reply, call_reply_nothing or call_refuse, once, in its last step,
 * also when nobody is left to read the answer. */
#include "api/credit.h"
#include "api/deadline.h"
#include "cluster/broker.h"
#include "logic/fetch_session.h"
#include "net/request.h"
#include "protocol/frame.h"

enum {
    DECOMPRESSED_BYTES_MAX = 64 << 20, /* of one batch while it is validated */
    SCRATCH_KEPT_BYTES = 64 << 10,
};

struct scrape;

/* What this layer keeps per core (shard->api). */
struct api_state {
    struct deadlines deadlines;
    struct arena scratch;   /* for one step: empty between them */
    struct credit *credits; /* by the core asked: parts under way to it (api/scatter.h) */
    struct fetch_sessions sessions;
    struct scrape *scrape; /* core 0: who serves metrics; null: nobody */
};

struct handler {
    const struct flow_kind *kind;
    int16_t advertised_oldest, oldest, newest;
    uint16_t size; /* of the struct that begins with a struct call */
    bool borrows_frame;
};

struct call {
    struct flow flow;
    struct request *request;
    struct shard *shard;
    const struct api *api;
    int16_t version;
    const void *in; /* the decoded request: struct <name>_request */
    void *out;      /* the response at its defaults: struct <name>_response */
};

/* What net is given. */
extern const struct net_handler api_handler;

/* The handler of an API. False if it is not served. */
bool handler_find(int16_t key, struct handler *ret_handler);

/* Memory of the call; null when its budget is used up: then the flow fails to its last step, where
 * call_refuse says so. */
void *call_take(struct call *call, size_t count, size_t size);

/* An array of `count` structs at their defaults; null as call_take. */
void *call_take_messages(struct call *call, const struct message *message, int32_t count);

/* A copy that lives as long as the call: of text in a frame that will be released. */
struct string call_copy_string(struct call *call, struct string text);

/* Encodes call->out and answers with it. `sent` as in request_answer: null if nothing of the answer
 * lies outside of the arena. The call's memory may be gone when this returns, if `sent` is null. */
void call_reply(struct call *call, struct flow *sent);

/* Answers in its turn with nothing (acks=0). */
void call_reply_nothing(struct call *call);

/* Closes the connection with a line in the log that says `why`. */
void call_refuse(struct call *call, const char *why);

/* What the flows' files define, for the table. */
#define HANDLER(constant, name, advertised, oldest, newest, frame)                                 \
    extern const struct flow_kind name##_kind;                                                     \
    extern const uint16_t name##_call_size;
#include "api/handlers.def"
#undef HANDLER
