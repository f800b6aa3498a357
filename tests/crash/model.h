#pragma once
/* Random operations on two logs of a rig, compared with the plainest model of a log there is: an
 * array of batches. Whatever is read must be what the model holds, and whatever it holds must be
 * read; after a start the log ends at a batch, not before what was durable.
 *
 * A script is text: "seed <number>", then an operation and its numbers a line. What it does depends
 * on nothing else, and any part of it is a script, too. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum model_operation_kind {
#define MODEL_OPERATION(name, weight, numbers) MODEL_##name,
#include "crash/model_operations.def"
#undef MODEL_OPERATION
    MODEL_OPERATION_COUNT
};

struct model_operation {
    enum model_operation_kind kind;
    uint32_t slot, a, b;
};

struct model_script {
    uint64_t seed; /* of sizes, latencies and bytes */
    struct model_operation *operations;
    int count;
};

/* Draws `count` operations. */
struct model_script model_script_random(uint64_t seed, int count);
void model_script_done(struct model_script *script);

/* An empty text: all was right. What went wrong begins with the number of the operation. */
void model_run(const struct model_script *script, char *failure, size_t size);

/* The same in a process of its own, so that one that dies is a failure, too. */
void model_run_apart(const struct model_script *script, char *failure, size_t size);

/* Takes operations away as long as what remains fails. At most `runs` runs. */
void model_shrink(struct model_script *script, int runs,
                  bool (*fails)(const struct model_script *script, void *context), void *context);

/* Text of a script, and back; -1: it is none. To be freed with memory_free. */
char *model_script_text(const struct model_script *script);
int model_script_parse(const char *text, struct model_script *ret);
