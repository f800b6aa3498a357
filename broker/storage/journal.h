#pragma once
/* One core's journal: a ring of blocks in one file whose extents were written ahead, direct and
 * durable writes, one in flight (format: journal_format.h).
 *
 *   filling -> sealed, in flight -> durable                      [end of turn, completion]
 *
 * Blocks are carved one after the other from slabs of memory, which double as the tails that
 * consumers and the drain read: a slab lives as long as a piece of a log points into it.
 * Invariants
 *  1. A sealed block is immutable. At most one write is in flight, of all blocks that waited.
 *  2. live_bytes + pending_bytes + the waste of one wrap ≤ size of the ring.
 *  3. The ring grows only while its live part does not wrap, and while the disk has ample room.
 *  4. Beyond options.journal_bytes it grows, and is used, only while it is crowded: then so many
 * logs have something in each half of it that hardly more than a batch of each would be drained at
 * a time, and drains could not keep up. Owner: struct store; everything on its core. */
#include "base/list.h"
#include "base/random.h"
#include "reactor/core.h"
#include "storage/journal_format.h"
#include "storage/journal_reader.h"

struct store;
struct log;

enum { JOURNAL_VECTORS = 16 };

struct journal_block {
    struct list link;
    struct buffer *slab;
    uint8_t *data;
    uint64_t sequence;
    uint32_t used, entries;
    uint32_t disk_size;   /* 0 until sealed */
    struct log **touched; /* logs with appends here, each once */
    int32_t touched_count, touched_capacity;
};

struct journal {
    struct store *store;
    char *path;
    int32_t handle;
    uint32_t alignment;
    int64_t ring_end;         /* of the part in use */
    int64_t grown_end;        /* of the file; taken into use when the live part does not wrap */
    int64_t head;             /* where the next block will lie, unless it must wrap */
    int64_t live_bytes;       /* sealed and not freed, with what was skipped at the wrap */
    int64_t pending_bytes;    /* of blocks not sealed, as they will lie on disk */
    uint32_t pending_largest; /* no block that is not sealed is larger */
    int64_t sealed_bytes;     /* ever; positions in this count measure what a checkpoint frees */
    uint64_t salt, generation;
    uint64_t next_sequence, durable_sequence;
    uint32_t chain, lap;
    /* the mark of the checkpoint that runs, or of the last one */
    uint64_t mark_sequence; /* of the first block behind it; logs bind anew from there on */
    int64_t mark_position, mark_sealed_bytes;
    uint32_t mark_chain;
    uint64_t anchor_sequences[2]; /* where the older and the newer anchor begin: 0 at first */
    struct list pending;          /* blocks, oldest first; the last may be filling */
    struct list flying;
    struct list spare;
    struct buffer *slab; /* new blocks are carved from here */
    uint32_t slab_used;
    bool crowded;     /* journal_count_logs */
    bool keeps_spare; /* an eighth of the ring, for essential entries */
    bool writing;
    struct flow write_flow;
    struct op write_op;
    int64_t write_began_ns;
#if BOLE_MUTANTS
    struct op second_op; /* of second_write_in_flight_on_a_block */
#endif
    struct iovec vectors[JOURNAL_VECTORS];
    int32_t vector_first, vector_count;
    struct turn_hook hook;
    struct list durable_waiters; /* woken when durable_sequence grows, and on fencing */
    bool growing;
    int64_t grow_end; /* what it grows to */
    struct flow grow_flow;
    struct op grow_op;
    struct iovec grow_vector;
    struct buffer *zeros;
};

/* Nothing is open yet: journal_close may follow. */
void journal_init(struct journal *journal, struct store *store);

/* Opens or creates the file, of its initial size at least. One of the two below must follow.
 * Blocks.
 */
enum error journal_open(struct journal *journal, const char *name);
void journal_close(struct journal *journal);

/* Writes an anchor with a new salt: the journal is empty. Blocks. */
enum error journal_begin(struct journal *journal, struct random *random);

/* Goes on behind the last whole block, which `reader` has read to: all that it read stays live. The
 * rest of a torn write may follow there; no block of it can be taken for one of ours, since its
 * sequence, its place and the chain would have to fit what is written over its beginning. */
void journal_resume(struct journal *journal, const struct journal_reader *reader);

/* After journal_resume: writes once more, durably, what the last write left. It may have been torn
 * off by the end of a process, or have failed: then it can be read and is still not on the disk,
 * and a loss of power would take it from before what is written next. Blocks. */
enum error journal_settle_last(struct journal *journal, const struct journal_reader *reader);

/* After journal_resume: a journal of an older version gets anchors of this one, with the same
 * content. Blocks. */
enum error journal_renew(struct journal *journal, const struct anchor *anchor);

/* Room for `size` bytes of entries in the filling block, or null: the ring or the memory is full (a
 * checkpoint has been asked for; wait in store->room). Ended by journal_commit in the same step.
 * Where something is kept for essential entries (keeps_spare), it is left for them. */
uint8_t *journal_reserve(struct journal *journal, uint32_t size);

/* The same for entries that must go on while nothing can be drained: they may take the ring's last
 * eighth, and memory beyond its limit. */
uint8_t *journal_reserve_essential(struct journal *journal, uint32_t size);

/* Keeps `size` bytes of what was reserved, with `entries` entries, for `log`. They are written at
 * the end of this turn, or once the write in flight has ended. */
void journal_commit(struct journal *journal, uint32_t size, uint32_t entries, struct log *log);

/* The largest reservation that can ever succeed. */
uint32_t journal_largest(const struct journal *journal);

/* The sequence of the block that the next reservation will be in. */
uint64_t journal_filling_sequence(const struct journal *journal);

/* The slab that holds the last reservation; pieces take a reference. */
struct buffer *journal_slab(const struct journal *journal);

/* Begins a checkpoint: everything reserved so far lies before the mark. */
void journal_mark(struct journal *journal);

/* Is everything before the mark durable? */
bool journal_mark_is_durable(const struct journal *journal);

/* The anchor that frees everything before the mark. */
void journal_anchor_at_mark(struct journal *journal, struct anchor *ret);

/* Called once that anchor is durable: the room is free. */
void journal_free_to_mark(struct journal *journal);

/* A checkpoint has found so many logs with something before its mark: is the ring crowded? While it
 * is, nearly all slabs wait for the end of a checkpoint, and then are wanted again: they are kept.
 */
void journal_count_logs(struct journal *journal, int32_t logs);

/* Up to where the file may grow now, and be used. */
int64_t journal_limit(const struct journal *journal);

/* Frees the blocks that are kept for the next appends. */
void journal_free_spares(struct journal *journal);

/* Half of what may be used of the ring is in use: time for a checkpoint. */
bool journal_is_half_full(const struct journal *journal);

/* Makes the file four times as large, at most to what may be used of it, off the acknowledged path.
 */
void journal_grow(struct journal *journal);
