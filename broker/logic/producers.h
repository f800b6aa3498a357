#pragma once
/* Idempotent and transactional producers of one partition (KIP-98, KIP-360): what each appended
 * last, which transactions are open, up to where everything is decided. Shape: a handle decides and
 * changes nothing, an apply changes and decides nothing. Pure.
 *
 *   batch -> producer_event_of -> producers_handle -> (appended at an offset) -> producers_apply
 *
 * Invariants
 *  1. The state is a function of the batches applied, in order: a snapshot and a replay of what
 *     came after it give the state there was. Only expiry and the bound on producers take away.
 *  2. Of each producer the last PRODUCER_BATCHES batches of its newest epoch are known.
 *  3. `transactions` is in the order of first offsets and holds every open transaction, and every
 *     ended one whose marker may not be committed yet; those are also in `ended`, by marker.
 *  4. A producer with an open transaction neither expires nor makes room for others.
 * Owner: the partition's log, on its core. */
#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "protocol/batch.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    PRODUCER_BATCHES = 5,                 /* max.in.flight of clients */
    PRODUCERS_STEADY_MS = 10 * 60 * 1000, /* how long the wall clock must not have stepped */
    PRODUCERS_STEP_MS = 1000,             /* what counts as a step of it */
    PRODUCERS_EXPIRED_AT_ONCE = 10000,    /* looked at in one call */
    PRODUCER_EVENTS_MAX = 64,             /* batches with a producer in one append */
};

enum producer_event_kind {
    PRODUCER_DATA,
    PRODUCER_TRANSACTIONAL, /* data in a transaction, which begins with the first of them */
    PRODUCER_COMMIT,        /* markers */
    PRODUCER_ABORT,
};

/* One batch of a producer, as far as it matters here. */
struct producer_event {
    enum producer_event_kind kind;
    int16_t epoch;
    int64_t producer_id;
    int64_t base_offset, last_offset;      /* for apply */
    int64_t timestamp_ms;                  /* max timestamp */
    int32_t first_sequence, last_sequence; /* -1: of a coordinator; not checked */
    int32_t coordinator_epoch;             /* of markers */
};

struct producer_batch {
    int64_t last_offset, timestamp_ms;
    int32_t last_sequence, offset_delta; /* last offset less the first one */
};

struct producer {
    int64_t id;
    struct list age;           /* in producers.by_age */
    struct producer_txn *open; /* null: none */
    int64_t last_timestamp_ms; /* of the last batch or marker */
    int64_t active_ms;         /* monotonic: when that was applied, or when it was loaded */
    int32_t coordinator_epoch; /* -1: no marker yet */
    int16_t epoch;
    uint8_t count, newest; /* of batches, a ring; newest: its place */
    bool loaded;           /* from disk, and not active since */
    struct producer_batch batches[PRODUCER_BATCHES];
};

struct producer_txn {
    struct list link;  /* in producers.transactions */
    struct list ended; /* in producers.ended, once it has */
    int64_t producer_id;
    int64_t first_offset, last_offset; /* last: of its marker; -1: open */
};

struct producers {
    struct map by_id;                /* struct producer */
    struct list by_age;              /* least recently active first */
    struct list transactions, ended; /* struct producer_txn */
    uint32_t most;                   /* producers kept; 0: no limit */
    int64_t loaded_monotonic_ms, loaded_wall_ms;
};

/* An aborted transaction, as .txnindex and Fetch tell it. */
struct aborted_txn_entry {
    int64_t producer_id, first_offset, last_offset; /* last: of the marker */
    int64_t last_stable_offset; /* first unstable offset right after it was aborted */
};

struct producers_now {
    int64_t monotonic_ms, wall_ms;
};

/* Allocates nothing until the first producer. */
void producers_init(struct producers *producers, uint64_t seed, uint32_t most);
void producers_done(struct producers *producers);

/* What a batch is to this table. False: nothing (no producer id, or a control batch without a
 * marker of a transaction). */
bool producer_event_of(const struct batch *batch, struct producer_event *ret_event);

/* The original of a batch that was sent again. */
struct producer_duplicate {
    int64_t base_offset, last_offset, timestamp_ms;
};

/* May these be appended, in this order and at once? NONE: yes. DUPLICATE_SEQUENCE_NUMBER: one of
 * them is among its producer's last batches: *ret_duplicate, nothing is to be appended.
 * OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE (data outside of the
 * producer's open transaction), TRANSACTION_COORDINATOR_FENCED (a marker of an old coordinator).
 * Of a producer that is not known any first sequence is good (KIP-360). */
enum error producers_handle(const struct producers *producers, const struct producer_event *events,
                            int count, struct producer_duplicate *ret_duplicate);

/* A batch was appended. True: it aborted a transaction that had data, *ret_aborted. */
bool producers_apply(struct producers *producers, const struct producer_event *event,
                     struct producers_now now, struct aborted_txn_entry *ret_aborted);

/* Up to where a reader of committed data may read: the high watermark, or the first offset of the
 * first transaction that is open or whose marker lies at or above it. */
int64_t producers_last_stable(struct producers *producers, int64_t high_watermark);

/* Forgets producers that were not active for `expiration_ms` by the monotonic clock, so no step of
 * the wall clock takes one early. What was loaded from disk counts by its timestamps, as in Kafka,
 * once the wall clock has been steady for PRODUCERS_STEADY_MS since. Returns how many. */
uint32_t producers_expire(struct producers *producers, int64_t expiration_ms,
                          struct producers_now now);

/* All there is was loaded from disk just now. */
void producers_loaded(struct producers *producers, struct producers_now now);

/* Puts back one batch (or, with last_offset -1, only what else is known) of a producer, from a
 * snapshot; a later call for the same producer adds to what is known of it. `txn_first_offset`: of
 * its open transaction, -1 none. False: it can't be true. */
struct producer_image {
    int64_t id, txn_first_offset, timestamp_ms, last_offset;
    int32_t coordinator_epoch, last_sequence, offset_delta;
    int16_t epoch;
};
bool producers_restore(struct producers *producers, const struct producer_image *image);

/* Null: not known. */
struct producer *producers_find(const struct producers *producers, int64_t id);

/* Walks all, least recently active first: null begins; null ends. */
const struct producer *producers_next(const struct producers *producers,
                                      const struct producer *after);

/* The newest batch is 0, the one before it 1, ...; less than producer->count. */
static inline const struct producer_batch *producer_batch(const struct producer *producer, int back)
{
    return &producer->batches[(producer->newest + PRODUCER_BATCHES - back) % PRODUCER_BATCHES];
}

/* -1: none. */
static inline int32_t producer_last_sequence(const struct producer *producer)
{
    return producer->count ? producer_batch(producer, 0)->last_sequence : -1;
}

static inline int64_t producer_txn_first_offset(const struct producer *producer)
{
    return producer->open ? producer->open->first_offset : -1;
}
