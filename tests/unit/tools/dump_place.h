#pragma once
/* What the tests of `bole dump` share: a folder of its own for each test, and small files. */
#include "base/bytes.h"
#include <stdbool.h>
#include <stddef.h>

enum { BATCH_BYTES_MAX = 256 };

struct dump_place {
    char folder[128];
    char path[256]; /* of the last place_path */
    char *text;     /* what the last dump printed, without the folder's name */
    size_t text_size;
};

/* In $BOLE_TEST_FOLDER or /var/tmp: journals are read directly, which needs a disk. */
void dump_place_make(struct dump_place *place);
void dump_place_remove(struct dump_place *place);

/* The path of a file there, good until the next call. */
const char *dump_place_path(struct dump_place *place, const char *name);
void dump_place_write(struct dump_place *place, const char *name, const void *data, size_t size);

/* Dumps the file or folder, and keeps what it prints; the number of faults. */
int64_t dump_place_run(struct dump_place *place, const char *name, bool is_verify);

/* A batch of two records into to[BATCH_BYTES_MAX]. Returns its size. */
size_t dump_make_batch(uint8_t *to, int64_t base_offset);

struct dump_segment {
    uint8_t bytes[1024];
    size_t size, batch_size;
};

/* Batches at offsets 10, 12 and 14, and the name of their file. */
struct dump_segment dump_make_segment(void);
#define LOG_NAME "00000000000000000010.log"
