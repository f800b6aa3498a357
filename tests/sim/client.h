#pragma once
/* A simulated client: one core on a machine of its own, with a connection that is made anew
 * whenever it breaks. What it asks and makes of the answers is its kind's.
 *
 *   reader: connect -> receive ... -> close -> wait -> connect      sender: send, or wait for the
 * tick
 *
 * Invariants
 *  1. One receive and one send are in flight at most; the reader closes only when nothing is sent.
 *  2. Every request that was sent is answered, or lost with its connection: kind->lost. */
#include "session/session.h"
#include "sim/client_model.h"

struct client;
struct simulation;

struct client_kind {
    const char *name;
    void (*init)(struct client *client);
    /* Called often while the connection is ready: may ask things (client_ask). */
    void (*work)(struct client *client);
    void (*answer)(struct client *client, const struct session_response *response,
                   int64_t asked_ns);
    void (*lost)(struct client *client);    /* what was asked will not be answered */
    bool (*is_over)(struct client *client); /* once the simulation is calm */
};

enum { CLIENT_ASKED_MAX = 64 };

struct client {
    struct core core;
    const struct client_kind *kind;
    struct simulation *sim;
    int machine;
    struct random random;
    struct session session;
    struct flow reader, sender;
    struct op receive, send, control;
    struct timer reader_timer, sender_timer;
    struct iovec vector;
    struct address address;
    int32_t handle;
    bool connected, closing, shut, sending, reader_waits, over;
    int64_t asked_ns[CLIENT_ASKED_MAX]; /* of requests in flight, oldest first */
    int asked_first, asked_count;
    int64_t next_ns;     /* it may ask again from then on */
    int64_t tick_ns;     /* how often it looks */
    int64_t patience_ns; /* it gives up a connection for want of an answer after so long, if that is
                            longer than usual */
    int64_t used_ns;     /* when the connection gave its last answer; 0: none yet */
    bool asks_in_vain;   /* something on this connection without an answer (acks=0) */
    uint64_t answers, losses;
    void *state; /* the kind's */
};

/* Makes the client's machine and starts its flows. */
void client_start(struct client *client, const struct client_kind *kind, struct simulation *sim);

/* Sends `message`; false: not now (versions not known, too much in flight) or not at all. A request
 * without an answer (acks=0) has `answered` false. */
bool client_ask(struct client *client, enum api_key key, const void *message, bool answered);

/* Drops the connection; a new one is made. */
void client_reconnect(struct client *client);

struct now client_now(const struct client *client);

extern const struct client_kind producer_kind, idempotent_kind, consumer_kind, fetcher_kind,
    admin_kind, purger_kind;

/* client_topics.c: asks for all topics, and takes the answer, of all or of one. */
struct metadata_response_topic;
bool client_ask_topics(struct client *client);

/* Asks for offsets of partitions of one topic. */
struct list_offsets_request_list_offsets_partition;
bool client_ask_offsets(struct client *client, const char *topic,
                        struct list_offsets_request_list_offsets_partition *partitions,
                        int32_t count);
void client_take_topics(struct client *client, const struct session_response *response,
                        int64_t asked_ns);
void client_take_topic(struct client *client, const struct metadata_response_topic *topic,
                       int16_t version, int64_t asked_ns);
