#pragma once
/* How many bytes of record batches a log holds: logical sizes, whatever is allocated ahead. A log
 * that is closed is not opened for it: its folder is listed, one file at a time. */
#include "reactor/flow.h"
#include "reactor/port.h"
#include <stdint.h>

struct buffer;
struct log;

struct log_size {
    struct log *log; /* argument; held by the caller (log->holders) */
    int64_t bytes;   /* result; what can't be looked at does not count */
    /* inside */
    struct op op;
    struct file_stat stat;
    struct waiter waiter; /* while it is being opened: neither memory nor files tell */
    struct buffer *names;
    int64_t listed, at; /* bytes of names: there, and looked at */
    int64_t next_base;  /* of an open log: segments before it are counted */
    int32_t handle;
    uint8_t phase;
    char path[1024];
};

/* Takes the next part of the work, in a step of `flow`; at first with `log` set and all else zero.
 * True: done. False: it waits (a hold was taken on `flow`): return STEP_AGAIN and call it again. */
bool log_size_step(struct log_size *size, struct flow *flow);
