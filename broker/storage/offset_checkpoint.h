#pragma once
/* Kafka's checkpoint files, one offset for each partition of a directory:
 *
 *   0                      the version
 *   2                      how many lines follow
 *   topic 0 4711
 *   topic 1 815
 *
 * Pure. */
#include "base/bytes.h"
#include "base/error.h"
#include "base/map.h"

struct offset_checkpoint_line;

struct offset_checkpoint {
    struct map map; /* of entries, by "topic partition" as it stands in the text */
    struct offset_checkpoint_line *entries;
    int32_t count;
};

/* Reads a file. The text is borrowed as long as the checkpoint is used. MALFORMED: it is not whole,
 * or of another version; then nothing is in it. */
enum error offset_checkpoint_read(struct offset_checkpoint *checkpoint, struct bytes text);
void offset_checkpoint_done(struct offset_checkpoint *checkpoint);

/* A line, as it stands in the text. */
struct offset_checkpoint_line {
    struct string topic;
    int32_t partition;
    int64_t offset;
};

/* Walks the lines: start with *at 0. False at the end. */
bool offset_checkpoint_next(const struct offset_checkpoint *checkpoint, int32_t *at,
                            struct offset_checkpoint_line *ret);

/* The offset of a partition, or -1. */
int64_t offset_checkpoint_get(const struct offset_checkpoint *checkpoint, struct string topic,
                              int32_t partition);

/* A text being written, in memory of its own. */
struct offset_checkpoint_text {
    char *lines;
    size_t size, capacity;
    int32_t count;
};

void offset_checkpoint_add(struct offset_checkpoint_text *text, struct string topic,
                           int32_t partition, int64_t offset);

/* Moves the lines of `from` behind those of `to`. */
void offset_checkpoint_join(struct offset_checkpoint_text *to, struct offset_checkpoint_text *from);

/* Frees the lines. */
void offset_checkpoint_drop(struct offset_checkpoint_text *text);

/* The whole file, terminated; the caller's (memory_free). Ends the text. */
char *offset_checkpoint_take(struct offset_checkpoint_text *text);
