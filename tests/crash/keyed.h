#pragma once
/* A log of keyed records under compaction, on a machine of the world: written, read while it is
 * compacted, crashed, started again; and the model that everything read is compared with.
 *
 * What must hold of a log that ends at E, of which all below C was committed when it was looked at
 *  1. Each record that is there is the one sent at its offset, to the byte; offsets rise.
 *  2. From C on nothing is missing.
 *  3. Of each key the newest record below C is there; a tombstone may be missing only after
 *     delete.retention.ms, and then no record of its key is there.
 *  4. Of each producer its last batch below C is there, if only its header. */
#include "sim/disk_record.h"
#include "sim/world.h"
#include "storage/log.h"
#include "storage/store.h"

enum { KEYED_KEYS_MAX = 256, KEYED_PRODUCERS = 3, KEYED_BATCH_BYTES = 64 << 10 };

struct keyed_settings {
    uint64_t seed;
    struct world_settings world;
    struct store_options store;
    struct log_settings log;
    int keys, records_most; /* of a batch */
    uint32_t value_most;    /* bytes */
    uint64_t tombstone_once_in, pause_once_in;
    uint64_t commit_once_in; /* moves of the durable end: the committed one follows; 1: at once */
};

struct keyed_record {      /* at the offset that is its place */
    int32_t key, producer; /* producer -1: none */
    uint32_t serial;       /* its value is made from */
    int32_t sequence;      /* of its producer */
    uint32_t value_size;
    bool tombstone;
    int64_t timestamp, appended_ms;
    int64_t batch_base, batch_last;
};

struct keyed_process;

struct keyed {
    struct keyed_settings settings;
    struct world *world;
    struct random random;
    struct keyed_record *records; /* sent, by offset */
    int64_t count, capacity;
    int64_t durable, committed;
    int64_t latest_ms;   /* of the wall clock, ever */
    int64_t cleaned_end; /* as the cleaner had it at the last stop; -1 after a crash */
    uint32_t next_serial;
    bool faulty;  /* operations may fail: a stop that meets one ends as a crash */
    bool fenced;  /* by such a stop */
    bool killed;  /* the last process, or one before: what it had not flushed is in no list */
    bool settles; /* what is durable is committed at once */
    bool resumes; /* the start goes on with the journal as it is */
    struct keyed_process *process;
    uint64_t passes, dropped, swaps, reads;
    uint64_t refusals; /* appends, since the disk was full */
    char failure[600];
};

struct keyed_settings keyed_settings_random(uint64_t seed);

void keyed_init(struct keyed *keyed, const struct keyed_settings *settings);
/* On an image, with the model of `of` and what had been promised then. */
void keyed_init_image(struct keyed *keyed, const struct keyed *of, struct disk *disk,
                      int64_t durable, int64_t committed);
void keyed_done(struct keyed *keyed);

void keyed_fail(struct keyed *keyed, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Recovers, opens, reads everything through and compares. */
void keyed_start(struct keyed *keyed);

/* Writes and reads for so many events of the world. */
void keyed_work(struct keyed *keyed, uint64_t events);
/* The same, behind keyed_work: those at work go on. */
void keyed_work_on(struct keyed *keyed, uint64_t events);

/* Writes nothing any more, until the cleaner finds nothing to do; compares: no key is there twice
 * below what is clean. */
void keyed_settle(struct keyed *keyed);

/* Has an operation failed so that nothing more is acknowledged? Then only keyed_crash may follow.
 */
bool keyed_is_fenced(const struct keyed *keyed);

void keyed_stop(struct keyed *keyed);

/* After a stop: no two segments have the same records, nothing is left of a swap, and what is there
 * stays if power is lost. */
void keyed_look_at_files(struct keyed *keyed);

void keyed_crash(struct keyed *keyed, bool power_lost);

/* The model. */
struct keyed_seen {
    struct keyed *keyed;
    int64_t next;                        /* offset: records below it have been seen */
    int64_t newest[KEYED_KEYS_MAX];      /* seen of each key, or -1 */
    int64_t last_batch[KEYED_PRODUCERS]; /* last offset of the newest batch seen, or -1 */
    int64_t clean_end;                   /* below it no key may come twice; 0: it may */
    bool strict;     /* every record from here on is there: seen one after the other */
    int64_t gap_end; /* records below may be missing: C */
};
void keyed_seen_init(struct keyed_seen *seen, struct keyed *keyed, int64_t from);
void keyed_see(struct keyed_seen *seen, struct bytes batches);
/* All below `end` has been read; `committed`: as the head comment has it. */
void keyed_seen_end(struct keyed_seen *seen, int64_t end, int64_t committed);

/* The same for a reader beside whom compaction went on: of each key the newest record below `end`
 * was shown, unless a newer one is there by now. */
void keyed_seen_meanwhile(struct keyed_seen *seen, int64_t end);

/* The next batch of random records into to[KEYED_BATCH_BYTES], not sent yet; its size. *ret_count
 * records, kept in `ret_records`. */
uint32_t keyed_make(struct keyed *keyed, uint8_t *to, struct keyed_record *ret_records,
                    int32_t *ret_count);
