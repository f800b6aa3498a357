#pragma once
/* Mail between cores. A node lies in the request it belongs to, so posting never allocates, waits
 * or fails; the answer travels back in the same node. Delivery starts a flow or releases a hold,
 * nothing more. The mailbox is a lock-free stack, taken whole and turned round: order per sender is
 * kept. A wake-up is sent only to a core that sleeps. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct core;
struct flow;
struct flow_kind;

struct mail {
    struct mail *next;
    struct flow *flow;
    const struct flow_kind *starts; /* not null: start `flow` as this; null: release a hold of it */
};

struct mailbox {
    _Atomic(struct mail *) newest;
    atomic_bool sleeping;
    uint64_t taken; /* nodes delivered so far */
};

void mailbox_init(struct mailbox *mailbox);

/* Starts `flow` as `kind` on core `to`. From core `from` itself it is started at once, without
 * mail. `from` null: a thread that is no core. Until its flow has started, `mail` is the mailbox's.
 */
void mail_start(struct mail *mail, struct core *from, struct core *to, struct flow *flow,
                const struct flow_kind *kind);

/* Releases a hold of `flow`, which lives on core `to`. */
void mail_release(struct mail *mail, struct core *from, struct core *to, struct flow *flow);

/* Delivers what has arrived; on the core's thread. */
void mailbox_deliver(struct core *core);

bool mailbox_is_empty(const struct mailbox *mailbox);
