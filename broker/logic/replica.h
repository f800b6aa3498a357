#pragma once
/* One replica of a partition: where its log ends, in all the senses in which it does, and what
 * follows from each of them moving. Step shape: replica_step(replica, event, effects). Pure.
 *
 *      log start          high watermark        durable end          appended end
 *   ---+------------------+---------------------+--------------------+
 *      consumers read ---->  on disk here, not   in memory, the flush
 *                            yet everywhere      is on its way
 *
 * Invariants, checked after every step
 *  1. log start <= high watermark <= durable end <= appended end.
 *  2. The high watermark never goes back.
 * The high watermark is the smallest durable end over the maximal ISR, the leader's included: the
 * members of the committed ISR and those of one that is proposed (KIP-497, KIP-966). It does not
 * advance while the committed ISR has fewer members than min.insync.replicas, or than there are
 * replicas if those are fewer (KIP-966). */
#include <stdbool.h>
#include <stdint.h>

/* Another replica of the partition, as its leader sees it. */
struct replica_peer {
    int32_t broker_id;
    bool in_isr;          /* of the committed ISR */
    bool in_proposed_isr; /* of one that AlterPartition is asking for */
    int64_t durable_end;  /* what it told last; 0 before it did */
};

struct replica {
    int64_t log_start, high_watermark, durable_end, appended_end; /* offsets, ends exclusive */
    struct replica_peer *peers; /* the others, the caller's; null for a single replica */
    int32_t peer_count;
    int32_t min_insync_replicas;
    bool is_leader; /* only a leader advances its high watermark by itself */
};

enum replica_event_kind {
    REPLICA_APPENDED,  /* offset: the new appended end */
    REPLICA_DURABLE,   /* offset: the new durable end; told in the order of the journal, so that no
                        * flush from before a truncation is told after it */
    REPLICA_TRUNCATED, /* offset: the end that is left, not below the high watermark */
    REPLICA_RESTARTED, /* offset: the log is empty, begins and ends there: at or above the high
                        * watermark; of a follower */
    REPLICA_START_MOVED,  /* offset: the new log start, at most the high watermark */
    REPLICA_PEER_DURABLE, /* broker_id and offset: the durable end it told; unknown ids are ignored
                           */
    REPLICA_TOLD,         /* offset: the high watermark that the leader told this follower */
    REPLICA_ISR_CHANGED,  /* the caller changed peers or min_insync_replicas */
};

struct replica_event {
    enum replica_event_kind kind;
    int32_t broker_id;
    int64_t offset;
};

enum replica_effect_kind {
    REPLICA_ADVANCE,        /* offset: the high watermark is there now */
    REPLICA_WAKE_APPENDED,  /* who waits for the appended end: fetches of followers */
    REPLICA_WAKE_DURABLE,   /* who waits for the durable end: producers with acks=1 */
    REPLICA_WAKE_COMMITTED, /* who waits for the high watermark: consumers, acks=all */
    REPLICA_WAKE_START,     /* who holds an offset below the new log start */
};

struct replica_effect {
    enum replica_effect_kind kind;
    int64_t offset; /* the end that moved, as it is now */
};

struct replica_effects {
    struct replica_effect items[4]; /* in the order in which they are to be done */
    int count;
};

/* A replica as recovery left it: all of its log is durable. 0 <= log_start <= high_watermark <=
 * end. Without peers, a follower, min.insync.replicas 1; set those before the first step. */
void replica_init(struct replica *replica, int64_t log_start, int64_t high_watermark, int64_t end);

/* One event. Effects are written from the start of `effects`. An end that did not move has none. */
void replica_step(struct replica *replica, struct replica_event event,
                  struct replica_effects *effects);

/* Members of the committed ISR, this one included. */
int replica_isr_count(const struct replica *replica);

/* True while acks=all may be accepted: the committed ISR is as large as min.insync.replicas asks.
 * Else it is refused with NOT_ENOUGH_REPLICAS. Not bounded by the number of replicas, as in Kafka.
 */
bool replica_has_min_insync(const struct replica *replica);
