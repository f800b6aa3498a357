#pragma once
/* A core's share of one log directory: its journal, its logs, and what moves data between them.
 *
 *   append -> journal block -> (written and flushed) durable -> drain -> segment -> checkpoint
 *
 *  drain:      moves durable bytes of one log to its segment's file, in large aligned direct
 * writes; checkpoint: makes room in the ring: drains all that lies before a mark, flushes the
 * segments and folders written since the last one, moves the journal's anchor to the mark.
 *
 * Invariants
 *  1. What is acknowledged lies, until it has been drained and flushed, in live journal blocks.
 *  2. Only durable bytes are drained, so a segment never holds what recovery would cut.
 *  3. A log without live journal entries has its newest segment trimmed to the logical end and
 *     flushed: the file's size is the end.
 *  4. The first failed write or flush fences the store: nothing is acknowledged any more. What
 * fails for want of space is put off instead (space.h). */
#include "base/random.h"
#include "reactor/core.h"
#include "storage/cold_reads.h"
#include "storage/journal.h"
#include "storage/sidecars.h"
#include "storage/space.h"
#include "storage/log_starts.h"

struct cleaner;
struct folder_claims;
struct log_start_save;
struct retirer;
struct retention;
struct drain;
struct log;
struct scrub;

/* What the cleaner may use (storage/cleaner.h). */
struct cleaner_options {
    bool enabled;            /* log.cleaner.enable */
    int64_t backoff_ns;      /* log.cleaner.backoff.ms: between looks that found nothing */
    int64_t map_bytes;       /* log.cleaner.dedupe.buffer.size */
    double map_load;         /* log.cleaner.io.buffer.load.factor */
    uint32_t buffer_bytes;   /* log.cleaner.io.buffer.size: each of a pass's two buffers */
    double bytes_per_second; /* log.cleaner.io.max.bytes.per.second, read and written */
    int64_t steady_clock_ms; /* the wall clock is believed once it was steady for so long */
};

/* What the scrub may use (storage/scrub.h). */
struct scrub_options {
    bool enabled;            /* log.scrub.enable */
    int64_t interval_ns;     /* log.scrub.interval.ms: from one round to the next */
    double bytes_per_second; /* log.scrub.max.bytes.per.second */
};

struct store_options {
    const char *directory;        /* of the data; must outlive the store */
    struct folder_claims *claims; /* of it, shared by its stores; null: there is but one */
    int64_t journal_initial_bytes, journal_bytes; /* size of the ring file: at first, at most */
    int64_t journal_crowded_bytes; /* at most while it is crowded (journal.h); less: no more */
    uint32_t journal_block_bytes; /* of one block in memory and on disk, unless a batch is larger */
    uint32_t drain_bytes;         /* a log is drained once so much of it is durable and waits */
    int64_t log_idle_ns;          /* a log that nobody asks for so long is closed; 0: never */
    int64_t idle_ns;          /* nothing appended for so long: a checkpoint empties the journal */
    uint32_t flush_all_files; /* more dirty files than this are flushed by one OP_FLUSH_ALL */
    int32_t drains;           /* at once */
    int64_t cold_read_bytes;  /* read from files at a time (cold_reads.h) */
    uint32_t producers_most;  /* of one log; 0: no limit */
    int64_t headroom_bytes;   /* log.dir.headroom.bytes (space.h) */
    uint64_t producer_seed;   /* of the maps of producers */
    int64_t producer_expiration_ms; /* 0: never */
    struct cleaner_options cleaner;
    int64_t retention_check_ns; /* between its rounds; 0: never */
    struct scrub_options scrub;
};

enum { STORE_TAILS_KEPT = 4 << 20 /* bytes of unused slabs, unless the journal is crowded */ };

/* Counters, for metrics and tests. Bytes are those on disk. */
struct store_counters {
    uint64_t journal_writes, journal_bytes, journal_grown, journal_full_waits;
    uint64_t appended_bytes; /* of record batches */
    uint64_t drain_writes, drain_bytes, segment_flushes, checkpoints, rolls;
    uint64_t logs_closed;   /* idle ones */
    uint64_t full_refusals; /* appends refused since the disk was full */
    uint64_t rot_found;     /* files of closed segments in which there is some */
};

struct checkpoint {
    struct flow flow;
    struct op op;
    bool running, again;           /* again: somebody waits for one that begins later */
    bool everything;               /* of a stop, or idle: producers' snapshots are written too */
    int32_t forced;                /* logs it still waits for */
    uint64_t last_sequence;        /* of a block, when the last one had settled */
    uint8_t phase;                 /* within a step */
    struct list segments, folders; /* to be flushed */
    struct list flushed;     /* segments whose flush has ended or, of all at once, was begun */
    struct segment *segment; /* being flushed or closed */
    struct list parked;      /* its own wait for the last forced drain */
    char path[1024];
    struct list waiters; /* of flows that wait for the end of one */
    struct waiter waiter;
    struct buffer *slot; /* the anchor being written */
    struct iovec vector;
    int64_t ended_ns;
    struct timer idle_timer;
    struct flow idle_flow;
    struct op op_idle;
    bool idle_runs;
    uint64_t idle_appended; /* appended_bytes at the last tick */
    bool closes_logs;       /* since the last tick, not at its end yet */
};

struct store {
    struct core *core;
    struct store_options options;
    uint32_t alignment; /* of direct I/O in this directory */
    struct journal journal;
    struct list opened;      /* logs that are open, the least recently used first */
    struct list unsettled;   /* logs with pieces in memory or an untrimmed file */
    struct list ready;       /* logs that are due to be drained now (struct log.ready) */
    struct list idle_drains; /* struct drain not at work */
    struct drain *drains;
    int64_t draining_bytes;     /* of drains, in flight */
    struct list drain_room;     /* drains that wait until fewer are */
    struct list dirty_segments; /* written since the last flush (struct segment.dirty) */
    struct list dirty_folders;  /* names changed since (struct log.dirty_folder) */
    bool directory_dirty;       /* names of the data directory itself */
    int32_t directory_handle;
    struct list room; /* waiters for room in journal or memory */
    struct cold_reads cold;
    struct list spare_pieces;
    struct list clearings; /* struct folder_clearing at work */
    struct list checks;    /* struct index_check at work */
    struct sidecars sidecars;
    struct buffers tails; /* slabs of the journal, until drained */
    struct checkpoint checkpoint;
    struct space space;
    struct cleaner *cleaner; /* null: none */
    struct scrub *scrub;     /* null: none */
    struct store_counters counters;
    enum error fenced;                  /* NONE, or why */
    void (*on_fence)(void *core_owner); /* told once, on this core; or null */
    uint64_t resumed_bytes;             /* of records that were found in the journal */
    bool stopping;
    struct list starts;          /* logs whose start a file must tell (struct log.start_link) */
    bool starts_changed;         /* since that file was written (log_start.h) */
    struct retention *retention; /* null: no log has a limit */
    struct retirer *retirer;     /* null: no segment has gone yet (retire.h) */
    struct log_start_save *starts_save; /* its write under way; or null */
    struct log_starts starts_found;     /* in the directory's files, when the store was opened */
    struct list producing;              /* logs that have producers (producer_state.sweep) */
    uint32_t next_log_id;
    int32_t openings;         /* logs being opened; checkpoint.waiters are told of each end */
    int32_t openings_at_work; /* of them; the others wait in: */
    struct list opening_room;
};

/* Sets up the store of `core` in options->directory and opens or creates its journal's file. To be
 * called on the core's thread, before it serves. Then comes either store_begin or store_resume
 * (resume.h). Blocks (port_call). */
enum error store_open(struct store *store, struct core *core, const struct store_options *options);

/* A store of a directory that can't be used: fenced from the beginning, for logs that are offline.
 * Nothing is opened. */
void store_open_fenced(struct store *store, struct core *core, const struct store_options *options,
                       enum error error);

/* Begins an empty journal with a new salt from `random`: only after recovery has replayed what it
 * held. Blocks. */
enum error store_begin(struct store *store, struct random *random);

/* Drains, trims and flushes everything and leaves the journal empty: a flow calls it at a clean
 * stop. NONE: done. WOULD_WAIT: `waiter` is parked. NO_SPACE: the disk is full, and the journal
 * keeps what did not fit. Another error: the store is fenced. */
enum error store_settle(struct store *store, struct waiter *waiter, struct flow *flow);

/* Ends what is under way, and writes nothing that was not begun: for a start that fails. False:
 * `waiter` is parked for `flow`; call it again. Reads that somebody else does of its logs go on. */
bool store_rest(struct store *store, struct waiter *waiter, struct flow *flow);

/* Has everything reached the segments, and is the journal empty? */
bool store_is_settled(const struct store *store);

/* Is a drain, a checkpoint, a write, a check of an index or a removal under way? */
bool store_is_at_work(const struct store *store);

/* Frees what is kept for the next appends, when none came for a while: a burst over many logs
 * leaves a piece for each batch that the journal had. */
void store_free_spares(struct store *store);

/* Closes files and frees memory; every log must have been closed. Blocks. */
void store_close(struct store *store);

/* Fences the store after a failed write or flush: what waits is woken, nothing is acknowledged or
 * written any more, and nothing is retried. The first reason stays. */
void store_fence(struct store *store, enum error error, const char *what);

/* Starts a checkpoint unless one runs; with `everything` all logs are drained and trimmed. */
void checkpoint_request(struct store *store, bool everything);

/* Sets up and stops what checkpoints hang on. */
void checkpoint_init(struct store *store);

/* Puts `log` in line to be drained, and starts drains while there are idle ones. */
void drain_request(struct log *log);

/* After a full disk: the drains that are due begin. */
void drain_go_on(struct store *store);
void drain_init(struct store *store);
void drain_done(struct store *store);
