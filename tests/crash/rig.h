#pragma once
/* A process of one or two cores with stores and logs on a machine of the world, without network or
 * cluster: started, worked, crashed, stopped and started again over one disk, and compared with an
 * oracle. The first thing that is wrong is kept in rig->failure; from then on everything returns
 * at once. */
#include "crash/image_set.h"
#include "crash/oracle.h"
#include "sim/disk_record.h"
#include "sim/world.h"
#include "storage/log_search.h"
#include "storage/recovery.h"
#include "storage/store.h"

enum rig_starts { STARTS_BOTH, STARTS_CLASSIC, STARTS_RESUME }; /* both: drawn at every start */

/* What an opening may leave without entries at the end of an index: OPENING_GAP_BYTES of
 * storage/log_batch.c. */
enum { INDEX_GAP_BYTES = 64 << 10 };

enum { FULL_PAUSE_NS = 50000000 }; /* of a writer that is refused since the disk is full */

struct rig_settings {
    uint64_t seed;
    int cores, slots;
    struct world_settings world;
    struct store_options store;
    struct log_settings log;
    int32_t open_files; /* of a core; 0: no limit */
    uint32_t batch_most;
    /* of a writer's steps */
    uint64_t read_once_in, pause_once_in, remove_once_in, delete_once_in;
    enum rig_starts starts;
    bool moves; /* logs go to another core at every start; else every other start resumes */
};

struct rig;

/* A flow that works on a slot: writes and reads, or reads everything through. */
struct worker {
    struct flow flow;
    struct rig *rig;
    int32_t slot;
    struct log *log;
    struct waiter waiter;
    struct timer timer;
    struct log_read read;
    struct log_search search;
    bool reading, searching, ended;
    int32_t searches; /* in this life, once all was read */
    bool cuts;        /* the log is being cut off; what lies beyond cut_end is not acknowledged */
    int64_t cut_end;
    bool start_met;        /* the same of its log start */
    int64_t committed_end; /* as by a high watermark, which outlives the process: never cut */
    bool met;              /* the log was opened, and the oracle has adopted its end */
    int64_t offset;        /* read up to here */
    uint32_t sequence;
    struct bytes waiting; /* a batch that found no room; a copy */
    struct random random;
};

struct rig_core {
    struct rig *rig;
    struct core core;
    struct store store;
    struct flow flow; /* settles */
    struct waiter waiter;
    bool settled;
    enum error error;
};

struct rig {
    int64_t
        index_gap_bytes; /* at the end of an index that was cut an opening leaves so much open */
    struct rig_settings settings;
    struct world *world;
    struct oracle *oracle;
    struct promise promises[SLOTS_MAX]; /* that hold now; the oracle's, or those of a cut */
    int32_t lives;
    bool image;               /* the promises are those of a cut: nothing is noted in the oracle */
    uint32_t unnamed;         /* slots, by bits: at the next start no topic names their folders */
    struct recovery recovery; /* of a start that resumes, until the stores are open */
    bool resumes;             /* this start */
    bool serves, stopping, damaged; /* damaged: rot was put in; refusing is right */
    bool faulty;                    /* an operation fails in this life: errors are right */
    uint32_t offline;               /* slots, by bits, whose logs a start may set aside */
    uint32_t unowned;  /* slots, by bits, whose partition.metadata was lost; the rest is theirs */
    bool refused;      /* a start has refused for it */
    bool unsettled;    /* the last stop met a full disk: the journal is not empty */
    bool told;         /* somebody was told of an error */
    bool killed;       /* a process was, and what it had not flushed nobody knows of */
    uint64_t refusals; /* appends, since the disk was full */
    bool sidecar_damaged; /* only one of these */
    struct rig_core cores[2];
    struct worker workers[SLOTS_MAX];
    struct random random;
    struct store_counters counters; /* of all cores and lives that ended cleanly */
    uint64_t appended, reads;
    uint64_t searches;
    char failure[600];
    char refusal[600]; /* why a start refused, with file and position */
    /* Not null: disks that recoveries have left, with their promises. A start that comes to one of
     * them goes no further: what follows was shown for it. */
    struct image_set *recovered;
    uint64_t recovered_salt; /* tells apart what else the rest of the start depends on */
    bool known;              /* this start came to one of them */
};

/* Everything drawn from the seed: sizes, latencies, no errors. */
struct rig_settings rig_settings_random(uint64_t seed);

/* A world with one machine whose disk has an empty folder "data". */
void rig_init(struct rig *rig, const struct rig_settings *settings, struct oracle *oracle);

/* The same on an image, with the promises that it must keep. */
void rig_init_image(struct rig *rig, const struct rig_settings *settings, struct oracle *oracle,
                    struct disk *disk, const struct promise promises[SLOTS_MAX]);
void rig_done(struct rig *rig);

/* Notes a failure, if it is the first. */
void rig_fail(struct rig *rig, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Replays and cleans, as a broker's start does, or only reads what rig_open will resume. False if
 * it refused: see rig->refusal. */
bool rig_recover(struct rig *rig);

/* Opens the stores and the logs' objects. */
void rig_open(struct rig *rig);

/* recover, look at the files, recover again: nothing may change; open; read everything through.
 * The oracle adopts what is there unless it is an image. A start that resumes has no files to look
 * at before they are drained: rig_stop does. */
void rig_start(struct rig *rig);

/* Lets the writers work for so many events of the world. False: a store was fenced. */
bool rig_work(struct rig *rig, uint64_t events);

/* A clean stop, and a look at what it leaves. */
void rig_stop(struct rig *rig);

/* Ends the process with the power, or like kill -9. */
void rig_crash(struct rig *rig, bool power_lost);

/* While the process is down, a slot's topic turns out to have been deleted. */
void rig_delete(struct rig *rig, int32_t slot);

bool rig_is_fenced(const struct rig *rig);

/* Compares all files with the oracle; `clean`: after a clean stop. For each slot the end found. */
void rig_look(struct rig *rig, bool clean, int64_t ends[SLOTS_MAX]);

/* A hash of all files but the journals and those of log starts. */
uint64_t rig_digest(struct rig *rig);

/* Reads every log from its start to its end through the open stores. */
void rig_read_all(struct rig *rig);

/* The log of a slot, made if there is none. */
struct log *worker_log(struct rig *rig, int32_t slot);

/* Forgets the batch that found no room: its log is another now. */
void worker_drop_waiting(struct worker *worker);

/* Deletes the topic of an open log, and makes the next one of that name. */
void worker_remove_log(struct worker *worker);

/* The writers; set up by rig_open, run by rig_work. */
void workers_start(struct rig *rig, bool write);
bool workers_ended(void *rig);
