#pragma once
/* Changes of metadata. A request is decided on core 0 by a pure handle (logic/topics.h) on the
 * image as of the last record in the log, committed or not (machine.decided); its records go as one
 * batch to __cluster_metadata, which takes or refuses them at once; when they are committed they
 * are applied on every core; then the answer goes out. The next request is decided as soon as the
 * log has taken this one's records, so that many share a flush (design: the runtime of `x_handle`
 * and `x_apply`). Invariants
 *  1. A request is decided on an image that has exactly what the log took before it.
 *  2. Cores apply what is committed only, in the order of the log.
 *  3. An answer, be it a refusal without records, waits until all that it rests on is committed and
 *     applied on every core. If that fails, so does the request.
 *  4. What the log refuses changes nothing. If a commit fails after that, nothing is decided any
 *     more until the next start, which loads the image again. */
#include "base/arena.h"
#include "cluster/broker.h"
#include "logic/record_list.h"

struct machine_request {
    /* Decides, on core 0: fills `records` (nothing: only an answer), and its own response from
     * `arena`; changes nothing else. */
    void (*handle)(struct machine_request *request, const struct image *image);
    struct arena *arena;        /* of the request it belongs to */
    struct record_list records; /* by handle */
    struct bytes first;         /* by handle: a batch that goes before the records; null: none */
    struct flow *origin;        /* a hold of it is released at the end */
    struct shard *origin_shard;
    /* The outcome: NONE when the records, and all that the decision rests on, are committed and
     * applied everywhere. */
    enum error error;
    /* inside */
    struct mail mail;
    struct flow flow;
    struct waiter waiter;
    struct application *applications;
    struct bytes batch;    /* the records, encoded once however often the append has to wait */
    struct list under_way; /* in machine.under_way, from the log's taking it on */
    int64_t end_offset, batch_ms;
    uint64_t number; /* of the requests that the log took; or of the one before, without records */
    bool has_turn;
};

/* Starts `request` (handle, arena set) for `origin`, on whose core this is called: takes a hold
 * which is released once error is set and, if there were records, every core has applied them. */
void machine_start(struct machine_request *request, struct shard *shard, struct flow *origin);

/* The turn itself, on core 0, for work that needs the image to stay as the committed log says it
 * is: nothing is decided meanwhile, and all that was is applied. True: it is the caller's, until
 * machine_give_turn. False: `waiter` is parked for `flow`; call again until it is true. */
bool machine_take_turn(struct broker *broker, struct waiter *waiter, struct flow *flow);
void machine_give_turn(struct broker *broker);

/* Has everything that was decided been applied on core 0, or failed? */
bool machine_is_at_rest(const struct broker *broker);

void machine_init(struct broker *broker, uint64_t seed);
void machine_done(struct broker *broker);
