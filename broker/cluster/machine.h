#pragma once
/* Changes of metadata. A request is decided on core 0 by a pure handle (logic/topics.h) on the
 * image as of the last record in the log; its records go as one batch to __cluster_metadata; when
 * they are committed they are applied on every core; then the answer goes out. Requests are decided
 * one at a time, each on an image that has everything before it, so an answer never rests on what
 * may be lost (design: the runtime of `x_handle` and `x_apply`). */
#include "base/arena.h"
#include "cluster/broker.h"
#include "logic/record_list.h"

struct machine_request {
    /* Decides, on core 0: fills `records` (nothing: only an answer), and its own response from
     * `arena`; changes nothing else. */
    void (*handle)(struct machine_request *request, const struct image *image);
    struct arena *arena;        /* of the request it belongs to */
    struct record_list records; /* by handle */
    struct flow *origin;        /* a hold of it is released at the end */
    struct shard *origin_shard;
    enum error error; /* the outcome: NONE when the records are committed and applied everywhere */
    /* inside */
    struct mail mail;
    struct flow flow;
    struct waiter waiter;
    struct application *applications;
    struct bytes batch; /* the records, encoded once however often the append has to wait */
    int64_t end_offset, batch_ms;
    bool has_turn;
};

/* Starts `request` (handle, arena set) for `origin`, on whose core this is called: takes a hold
 * which is released once error is set and, if there were records, every core has applied them. */
void machine_start(struct machine_request *request, struct shard *shard, struct flow *origin);

/* The turn itself, on core 0, for work that needs the image to stay as the committed log says it
 * is. True: it is the caller's, until machine_give_turn. False: `waiter` is parked for `flow`; call
 * again. */
bool machine_take_turn(struct broker *broker, struct waiter *waiter, struct flow *flow);
void machine_give_turn(struct broker *broker);
