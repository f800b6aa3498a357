#pragma once
/* A whole broker of two cores without network, on one machine of the world: topics are made by its
 * machine, records appended and counted on the cores of their partitions. Each log directory is a
 * folder of the root, so that one may break (world_break). */
#include "cluster/broker.h"
#include "sim/world.h"

enum { PLACE_CORES = 2, PLACE_EVENTS_MAX = 2000000 };

struct place {
    struct world *world;
    struct settings settings;
    struct broker broker;
    uint64_t boots;
    bool fenced;
    char why[600];
    struct crew *crew; /* of the next boot; null: the world's */
    /* Lines of a boot that takes long; null: nobody gets them. */
    void (*write)(void *owner, const char *line, size_t size);
    void *write_owner;
};

/* `disk`: the machine's, or null for an empty one. */
void place_init(struct place *place, uint64_t seed, const char *directories, struct disk *disk);

/* The same in `data`, where the metadata are what matters: small segments of their log, snapshots
 * after a few records. */
void place_init_metadata(struct place *place, uint64_t seed, struct disk *disk);
void place_done(struct place *place);
void place_set(struct place *place, const char *name, const char *value);

/* False: it did not start, place->why says it. */
bool place_boot(struct place *place);

/* Starts on what a crash has left of such a place, and once more, which must give the same. False:
 * it does not start, as `why` tells, or `holds` says no of it. Takes the disk. */
bool place_keeps_metadata(struct disk *disk, uint64_t seed,
                          bool (*holds)(struct place *place, int64_t promised), int64_t promised,
                          char why[600]);

/* Stops in order. */
void place_stop(struct place *place);

/* Makes a topic of two partitions, or removes it where there is one. */
void place_turn_topic(struct place *place, const char *name);

/* The same where that may fail. */
enum error place_try_topic(struct place *place, const char *name);

/* Null: there is none. */
struct partition *place_partition(struct place *place, const char *name, int32_t index);

/* Which directory it lies in (log_dir_of). */
int place_directory(struct place *place, const char *name, int32_t index);

/* Appends one record and waits until it is committed. */
enum error place_send(struct place *place, const char *name, int32_t index);

/* Appends a batch of `records`; its core's next write of the journal holds it. */
enum error place_append(struct place *place, const char *name, int32_t index, int records);

/* How many records it holds; -1 where it can't be opened. */
int64_t place_count(struct place *place, const char *name, int32_t index);

/* What DescribeLogDirs says of it, and how large one record's batch is. */
int64_t place_size(struct place *place, const char *name, int32_t index);
int64_t place_batch_bytes(void);

/* Files, while no broker runs. */
bool place_exists(struct place *place, const char *path);
void place_move(struct place *place, const char *from, const char *to);
void place_make_folder(struct place *place, const char *path);
void place_write(struct place *place, const char *path, const char *text);
void place_write_bytes(struct place *place, const char *path, struct bytes bytes);
void place_read(struct place *place, const char *path, char text[400]);
