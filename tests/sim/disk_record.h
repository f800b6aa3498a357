#pragma once
/* A recording of everything that changes a disk, and the disks that a crash at any moment of it
 * could leave. For crash tests: record a run, then for each cut and choice load the image into a
 * machine of a fresh world (world_load_disk) and recover.
 *
 *     struct disk_recording *recording = world_record_stop(world, machine);
 *     for (uint32_t cut = 0; cut <= recording->count; cut++) {
 *         struct disk_choice choice = disk_choice_of(CHOICE_RANDOM, seed);
 *         struct disk *disk = disk_image_at(recording, cut, &choice);
 *         int64_t promised = disk_mark_at(recording, cut);
 *
 * A cut lies before the record of that number. Cuts in rising order cost only what lies between. */
#include "sim/disk.h"

enum disk_record_kind {
    RECORD_SUBMIT,   /* `change`, with its bytes and paths */
    RECORD_COMPLETE, /* of record `submit`; `change` says what was done of it */
    RECORD_MARK,     /* `value`: the scenario's, e.g. what has been acknowledged */
};

struct disk_record {
    uint8_t kind;
    bool done; /* RECORD_COMPLETE: the disk was asked; else an error came before */
    uint32_t submit;
    int64_t value; /* RECORD_MARK; RECORD_COMPLETE: the disk's result */
    struct disk_change change;
    struct iovec vector; /* the bytes of a write, owned */
};

struct disk_recording {
    struct disk *start;
    struct disk_record *records;
    uint32_t count, capacity;
    bool ended;          /* its machine has crashed or was stopped */
    struct disk *cursor; /* replayed to the cut `cursor_at` */
    uint32_t cursor_at;
    uint32_t *in_flight; /* at the cursor: submitted, not completed */
    uint32_t in_flight_count, in_flight_capacity;
};

/* The recording takes a clone of `disk`. */
struct disk_recording *disk_recording_create(const struct disk *disk);
void disk_recording_destroy(struct disk_recording *recording); /* null is accepted */

/* For the world. The number of the record. */
int64_t disk_record_submit(struct disk_recording *recording, const struct disk_change *change);
void disk_record_complete(struct disk_recording *recording, int64_t submit,
                          const struct disk_change *done, int64_t result);
void disk_record_mark(struct disk_recording *recording, int64_t value);

/* The disk after a crash at `cut`; the caller's. choice->units says how many units there were. */
struct disk *disk_image_at(struct disk_recording *recording, uint32_t cut,
                           struct disk_choice *choice);

/* The value of the last mark before `cut`; -1 if there is none. */
int64_t disk_mark_at(const struct disk_recording *recording, uint32_t cut);
