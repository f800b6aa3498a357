#pragma once
/* How far a command has got, in one line of stderr that is written over: for a person who waits,
 * not for a log. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    bool is_on;
    int64_t begun_ms, told_ms;
    uint64_t records, bytes; /* so far */
};

/* Ready to tell, if stderr is a terminal and the standard input is not (there a person types). */
void progress_begin(struct progress *progress, int64_t now_ms);

/* Counts a record; tells at most twice a second. */
void progress_add(struct progress *progress, size_t bytes, int64_t now_ms);

/* The last line, with its end. */
void progress_end(struct progress *progress, int64_t now_ms);

/* "1,234,567 records  118.2 MiB  59.1 MiB/s", terminated, at most 96 bytes. Pure. */
void progress_text(const struct progress *progress, int64_t now_ms, char text[static 96]);
