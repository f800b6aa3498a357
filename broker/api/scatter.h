#pragma once
/* A call's partitions, sorted by the core that owns them: one part per core, one mail there and one
 * back for each round of work. On the other side the part is a flow of its own.
 *
 *   connection's core                    partitions' core
 *   scatter_start  ------- mail ------>  the part's flow: its steps work on the part's items
 *   the call goes on  <--- mail -------  scatter_end, in the last step
 *
 * While a part is at work its memory and its items belong to its core; nothing is allocated there.
 * Parts for another core need a credit (credit.h): what is posted there and has not come back is
 * bounded by mail.in.flight, and the next ones wait here, in order. */
#include "api/api.h"
#include "cluster/partition.h"

struct scatter_item {
    struct scatter_item *next;
    struct uuid topic_id;
    int32_t index;
    struct partition *partition; /* by scatter_find: referenced */
    enum error error;
};

struct scatter_part {
    struct flow flow;
    struct mail mail;
    struct call *call;
    struct shard *shard; /* where it works */
    struct scatter_item *first, *last;
    struct scatter_item *at; /* for the part's steps */
    struct waiter waiter;
    const struct flow_kind *kind; /* of the round under way */
    struct list line;             /* in line for a credit */
    struct flow back;             /* gives the credit back, on the call's core */
    bool credited;
};

struct scatter {
    struct call *call;
    struct scatter_part **parts; /* by core; null: nothing there */
    size_t part_size;
};

/* `part_size`: of the struct that begins with a struct scatter_part. False: budget. */
bool scatter_init(struct scatter *scatter, struct call *call, size_t part_size);

/* Adds a partition to the part of core `core`: a zeroed item of `item_size`, that of the struct
 * that begins with a struct scatter_item, in the call's arena. Null: budget. */
void *scatter_add(struct scatter *scatter, int32_t core, struct uuid topic_id, int32_t index,
                  size_t item_size);

/* Walks the parts: start with *position 0; null at the end. */
struct scatter_part *scatter_next(const struct scatter *scatter, int32_t *position);

/* Starts `part` as `kind` on its core, once there is a credit, and takes a hold on the call's flow
 * until scatter_end. Parts for one core start there in the order of these calls. */
void scatter_start(struct scatter_part *part, const struct flow_kind *kind);

/* The same without a credit: for rounds that only wait, which may take long, or that only give
 * back. */
void scatter_start_uncounted(struct scatter_part *part, const struct flow_kind *kind);

/* The part's round is over; the last thing its last step does. */
void scatter_end(struct scatter_part *part);

/* For a part's steps: finds and opens the partition of every item, from part->at on; what is not
 * there or fails gets its error. STEP_AGAIN: waits. STEP_NEXT: all done, at is first again. */
enum step scatter_open(struct scatter_part *part);

/* Lets go of every partition that was found. */
void scatter_release(struct scatter_part *part);

static inline struct scatter_part *part_of(struct flow *flow)
{
    return (struct scatter_part *)flow;
}
