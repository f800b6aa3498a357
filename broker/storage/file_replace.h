#pragma once
/* Writes a small file atomically: under another name (".tmp"), flushed, then renamed. Whoever reads
 * it finds the old one or the new one, whole. The name itself is durable once its folder was
 * flushed. */
#include "reactor/core.h"

enum { FILE_REPLACE_PATH = 1100 };

struct file_replace {
    /* arguments; zero the rest */
    struct core *core;
    const char *path;    /* good until the end */
    const uint8_t *data; /* likewise */
    size_t size;         /* bytes */
    bool unflushed;      /* the caller flushes it, or can do without */
    /* result */
    enum error error; /* NO_SPACE: not of a flush; it may be tried again */
    /* inside */
    struct op op;
    struct iovec vector;
    int32_t handle;
    uint8_t phase;
    char temporary[FILE_REPLACE_PATH];
};

/* False: it waits (a hold was taken on the flow): call again. True: it has ended; error says how.
 * What is left under the other name after an error is overwritten the next time. */
bool file_replace_step(struct file_replace *replace, struct flow *flow);
