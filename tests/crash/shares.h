#pragma once
/* Work in processes of their own: what they find lies in memory that is shared, and one that dies
 * takes nothing with it. */
#include <stddef.h>

enum { SHARES = 2 };

/* Zeroed memory that children share; null: there is none. */
void *shares_take(size_t size);
void shares_release(void *memory, size_t size);

/* Runs `run` for each of `count` (at most SHARES) elements of `size` bytes, each in a process.
 * status[i]: as waitpid gives it, 0 when all went well; -1: no process. */
void shares_run(void *elements, size_t size, int count, void (*run)(void *element),
                int status[SHARES]);
