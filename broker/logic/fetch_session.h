#pragma once
/* Fetch sessions (KIP-227): what a client fetches again and again is remembered, so that it sends
 * only what changed and is told only what changed. Pure; owns what it remembers.
 *
 *   request                    begin                         end (with the response)
 *   epoch -1                   NONE: the session it names    nothing
 *                              is closed
 *   epoch 0                    FULL: likewise                a new session, if there is room
 *   epoch n of session i       INCREMENTAL: its partitions   unchanged partitions left out
 *                              changed, the epoch moved on
 *   no such session, epoch     ERROR                         nothing
 *
 * Invariants
 *  1. count <= slots; partition_count is the sum over all sessions and <= partitions_max.
 *  2. by_use is in order of last use.
 *  3. A session is evicted for another only if it was not used for eviction_ms, or is
 *     no younger than that and smaller than the new one (or the new one is a follower's and it is
 *     not), as in Kafka's FetchSessionCache. */
#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "base/random.h"
#include "protocol/messages.h"

enum {
    FETCH_SESSION_EVICTION_MS = 120000, /* Kafka's MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS */
    FETCH_SESSION_PARTITIONS = 200,     /* remembered for each slot, on average */
    FETCH_EPOCH_NONE = -1,              /* of a request: no session */
    FETCH_EPOCH_FIRST = 0,              /* a new session */
};

struct fetch_sessions {
    struct map by_id;   /* struct fetch_session */
    struct list by_use; /* the longest unused first */
    int32_t count, slots;
    int64_t partition_count, partitions_max;
    int64_t eviction_ms; /* FETCH_SESSION_EVICTION_MS, unless a test is in a hurry */
    uint64_t seed;
    uint64_t evicted; /* since the start */
};

enum fetch_context_kind { FETCH_NONE, FETCH_FULL, FETCH_INCREMENTAL, FETCH_ERROR };

/* What a request turned out to be. */
struct fetch_context {
    enum fetch_context_kind kind;
    enum error error;   /* of ERROR: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH,
                           FETCH_SESSION_TOPIC_ID_ERROR; NO_MEMORY when the arena's is used up */
    int32_t session_id; /* of INCREMENTAL */
    int32_t epoch;      /* the session's, unless another request came between */
    bool by_id;         /* topics are named by id (version 13 and up) */
    bool privileged;    /* a follower's */
    const struct fetch_request_fetch_topic *topics; /* to be read, in this order; INCREMENTAL: in
                                                       the arena, else the request's */
    int32_t topics_count;
};

/* Up to `slots` sessions; 0: none is ever made. `seed` is of the maps. */
void fetch_sessions_init(struct fetch_sessions *sessions, int32_t slots, uint64_t seed);
void fetch_sessions_done(struct fetch_sessions *sessions);

/* A request of `version` arrives: closes or updates the session it names and says what to read.
 * Borrows from `request`. */
void fetch_session_begin(struct fetch_sessions *sessions, const struct fetch_request *request,
                         int16_t version, int64_t now_ms, struct arena *arena,
                         struct fetch_context *ret_context);

/* The answer to what fetch_session_begin returned is complete: sets its session id and error, makes
 * the session of a FULL one, and leaves out of an INCREMENTAL one what the client knows already.
 * Responses must hold the partitions of context->topics, in that order. */
void fetch_session_end(struct fetch_sessions *sessions, const struct fetch_context *context,
                       int64_t now_ms, struct random *random, struct fetch_response *response);

/* The epoch of the request after one with `epoch`: from INT32_MAX it goes on at 1. */
int32_t fetch_epoch_after(int32_t epoch);
