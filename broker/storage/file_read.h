#pragma once
/* Reads a small file whole. */
#include "reactor/buffers.h"
#include "reactor/core.h"

struct file_read {
    /* arguments; zero the rest */
    struct core *core;
    const char *path;   /* good until the end */
    int64_t most_bytes; /* a larger one is MALFORMED */
    /* results */
    enum error error; /* NOT_FOUND, ... */
    struct bytes bytes;
    /* inside */
    struct op op;
    struct file_stat stat;
    struct buffer *buffer;
    int32_t handle;
    uint8_t phase;
};

/* False: it waits (a hold was taken on the flow): call again. True: it has ended. */
bool file_read_step(struct file_read *read, struct flow *flow);

/* Gives back the bytes. */
void file_read_done(struct file_read *read);
