#pragma once
/* What was sent and what was acknowledged, kept apart from the storage layer: the truth that its
 * disks are compared with. Each record batch can be made again from its sequence, so every byte
 * that comes back is known.
 *
 * A slot is a place for a log ("data/t3-1"); removed and made again it has the next generation,
 * which is its topic id. Of each generation the batches that were sent and may be there lie in
 * order, dense, from offset 0. What happened is also kept as events, so that for each moment of a
 * recording it is known what had been promised by then. */
#include "base/bytes.h"
#include <stddef.h>
#include <stdint.h>

enum { SLOTS_MAX = 12, BATCH_BYTES_MAX = 40 << 10, FIRST_LEADER_EPOCH = 7 };
#define FIRST_TIMESTAMP_MS INT64_C(1700000000000)

struct sent {
    int64_t base_offset, end_offset;
    uint32_t size, sequence;
    uint8_t *bytes; /* as they must lie on disk; the oracle's */
};

/* A log that was cut off goes on as the next generation, of the same topic. */
struct generation {
    struct sent *batches;
    int32_t count, capacity;
    int32_t topic; /* of the topic ids of the slot */
};

/* What a slot must hold at some moment. */
struct promise {
    int32_t generation;       /* from 0; the only one that may be there */
    int64_t acknowledged_end; /* everything below must be there */
    int64_t start;            /* nothing below may be read: its deletion was acknowledged */
    int64_t start_asked;      /* ... or asked for: below it anything may have gone */
};

struct oracle_event {
    int32_t slot;
    struct promise promise; /* from now on */
};

struct oracle {
    uint64_t seed;
    uint32_t next_sequence, batch_most; /* bytes of a batch's values, at most */
    int32_t leader_epoch;               /* of what is appended now */
    int32_t slot_count;
    struct generation *generations[SLOTS_MAX];
    struct promise now[SLOTS_MAX], begin[SLOTS_MAX]; /* begin: before the first event */
    struct oracle_event *events;
    int32_t event_count, event_capacity;
    uint8_t *made; /* a batch of BATCH_BYTES_MAX */
};

void oracle_init(struct oracle *oracle, uint64_t seed, int32_t slots, uint32_t batch_most);
void oracle_done(struct oracle *oracle);

/* Forgets the events: a recording begins. */
void oracle_begin(struct oracle *oracle);

/* Notes a change of a slot's promise; the number of events, a value for world_record_mark. */
int64_t oracle_acknowledge(struct oracle *oracle, int32_t slot, int64_t end);
int64_t oracle_ask_start(struct oracle *oracle, int32_t slot, int64_t offset);
int64_t oracle_acknowledge_start(struct oracle *oracle, int32_t slot, int64_t offset);
int64_t oracle_adopt_start(struct oracle *oracle, int32_t slot, int64_t offset);
int64_t oracle_recreate(struct oracle *oracle, int32_t slot);

/* The log is to be cut off at `offset`: from now on what lies beyond may be there or not. The end
 * that will be left is told. Then: it was cut, and what lay beyond must never come back. */
int64_t oracle_truncate(struct oracle *oracle, int32_t slot, int64_t offset, int64_t *ret_end);
int64_t oracle_truncated(struct oracle *oracle, int32_t slot, int64_t end);

/* The promises after the first `events` events (-1: none). */
void oracle_at(const struct oracle *oracle, int64_t events, struct promise promises[SLOTS_MAX]);

/* Tells promises apart. */
uint64_t oracle_digest(const struct promise promises[SLOTS_MAX], int32_t slots);

/* The bytes of the next batch for `slot`, good until the next call of anything here. */
struct bytes oracle_make(struct oracle *oracle, uint32_t *ret_sequence);

/* It was appended there. `data`: sent.size bytes, as they were given to the log. */
void oracle_sent(struct oracle *oracle, int32_t slot, struct sent sent, const uint8_t *data);

/* After a start: the slot holds what ends at `end`; the rest was lost and will not come back. */
void oracle_adopt(struct oracle *oracle, int32_t slot, int64_t end);

/* The batch of a generation that begins at `offset`, or null. */
const struct sent *oracle_batch_at(const struct oracle *oracle, int32_t slot, int32_t generation,
                                   int64_t offset);

/* The batch that holds `offset`, or null. */
const struct sent *oracle_batch_of(const struct oracle *oracle, int32_t slot, int32_t generation,
                                   int64_t offset);

/* Are these the bytes of that batch, offsets, epoch and all? */
bool oracle_matches(const struct sent *sent, const uint8_t *data);

/* Ids and names. */
struct uuid slot_topic_id(int32_t slot, int32_t topic);
bool slot_of_topic_id(struct uuid id, int32_t *ret_slot, int32_t *ret_topic);

/* The same of a slot's generation; and is it of this id? */
struct uuid oracle_topic_id(const struct oracle *oracle, int32_t slot, int32_t generation);
bool oracle_is_of(const struct oracle *oracle, int32_t slot, int32_t generation, int32_t topic);
int32_t slot_partition(int32_t slot);
void slot_folder(int32_t slot, char *folder, size_t size);
