#pragma once
/* File operations as blocking calls of Linux: for the threads of the epoll port, and in the uring
 * port for those that the ring does not know. */
#include "reactor/port.h"

/* Bytes and vectors of one call, as Linux limits them; what is more makes a short transfer. */
enum { TRANSFER_MAX = 0x7ffff000, VECTORS_MAX = 1024 };

/* Carries `op`, of a file kind or OP_WORK, out and returns its result. Blocks. From any thread;
 * `op` is only read, and what it points to written. */
int64_t file_call(const struct op *op);

/* The flags of open(2) for those of enum open_flags. */
int file_open_flags(uint32_t flags);

/* Does for a file that was just opened what open(2) has no flag for: OPEN_LOCK, whose file is
 * closed if the lock can't be had, and OPEN_NOTHING_AHEAD. Does not wait. Returns `handle` or the
 * operation's result. */
int64_t file_opened(int32_t handle, uint32_t flags);

/* True for the handle of a folder, whose flush is an fsync: fdatasync may leave names behind. */
bool file_is_folder(int32_t handle);
