#pragma once
/* Single operations on a rig, one after the other, as the rows of operations.def name them: each is
 * begun and goes on until its end as the table says. What it started in the background goes on
 * beside the next one. A script may record what they change on the disk. */
#include "crash/rig.h"

enum operation {
#define OPERATION(name, end) OPERATION_##name,
#include "crash/operations.def"
#undef OPERATION
    OPERATION_COUNT
};

enum { SCRIPT_SLOTS = 2, SCRIPT_RECORDINGS = 4, SCRIPT_BATCH_BYTES = 8192 };

/* A flow that appends to one log. */
struct append_task {
    struct flow flow;
    struct waiter waiter;
    struct worker *worker;
    uint32_t value_bytes, sequence;
    int32_t left;              /* batches; or, with `laps`, none once the ring has begun anew */
    bool laps, follows, ended; /* follows: the batches have their offsets and epochs */
    struct timer timer;        /* while the disk is full */
    uint32_t lap;              /* at the beginning */
    int32_t batch_size;        /* of a batch that waits; 0: none */
    int64_t offset;            /* of a log start; -1 */
    bool rolls;                /* all goes, and the newest segment is closed first */
    uint8_t batch[SCRIPT_BATCH_BYTES];
};

/* A flow that cuts a log off. */
struct truncate_task {
    struct flow flow;
    struct waiter waiter;
    struct worker *worker;
    int64_t offset, end;
    bool ended;
};

/* A recording: a clean stop ends one and begins the next. */
struct script_recording {
    struct disk_recording *recording;
    int64_t events; /* of the oracle when it began: what had been promised by then */
    uint32_t from;  /* the first cut at which the last operation had begun */
};

struct script {
    struct rig *rig;
    struct append_task tasks[SCRIPT_SLOTS];
    struct truncate_task cuts[SCRIPT_SLOTS];
    bool records, last; /* last: the last operation has begun */
    bool over;          /* with rig->faulty: a store was fenced, or a log could not be opened */
    struct script_recording recordings[SCRIPT_RECORDINGS];
    int recording_count;
};

/* The name of an operation, and the operation of a name; OPERATION_COUNT: there is none. */
const char *operation_name(enum operation operation);
enum operation operation_of(const char *name, size_t size);

/* Settings of a small store in which every operation has work to do. Variants differ in what a disk
 * or a machine may be like. */
enum { SCRIPT_VARIANTS = 4 };
struct rig_settings script_settings(uint64_t seed, int variant);

/* Starts on an empty disk and brings the store into the state that all workloads begin with: two
 * logs with a durable batch each, and a ring whose end is near. */
void script_begin(struct script *script, struct rig *rig);

/* `count` batches to a log, the same as a follower, batches until the ring begins anew, or the
 * deletion of its topic, or records deleted below an offset: begun and in memory when it returns.
 */
void script_append(struct script *script, int32_t slot, uint32_t value_bytes, int32_t count);
void script_follow(struct script *script, int32_t slot, uint32_t value_bytes, int32_t count);
void script_lap(struct script *script, int32_t slot);

/* Cuts a log off at an offset; it has ended when it returns. */
void script_truncate(struct script *script, int32_t slot, int64_t offset);
void script_start_at(struct script *script, int32_t slot, int64_t offset);
void script_delete(struct script *script, int32_t slot);

/* Does one operation to its end. */
void script_do(struct script *script, enum operation operation);

/* From here on, what changes the disk is recorded. Nothing may be in flight there. */
void script_record(struct script *script);

/* What is begun from here on is the last operation. */
void script_last(struct script *script);

/* Lets everything that is at work end, and the recording. */
void script_end(struct script *script);

/* The recordings are gone. */
void script_done(struct script *script);
