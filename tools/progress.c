#include "tools/progress.h"
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { PAUSE_MS = 500 };

void progress_begin(struct progress *progress, int64_t now_ms)
{
    *progress =
        (struct progress){.is_on = isatty(2) && !isatty(0), .begun_ms = now_ms, .told_ms = now_ms};
}

/* 1234567 as 1,234,567. */
static void add_commas(uint64_t number, char to[static 32])
{
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%" PRIu64, number), used = 0;
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            to[used++] = ',';
        to[used++] = digits[i];
    }
    to[used] = 0;
}

void progress_text(const struct progress *progress, int64_t now_ms, char text[static 96])
{
    char records[32];
    double mib = (double)progress->bytes / (1 << 20);
    double seconds = (double)(now_ms - progress->begun_ms) / 1000;
    add_commas(progress->records, records);
    snprintf(text, 96, "%s record%s  %.1f MiB  %.1f MiB/s", records,
             progress->records == 1 ? "" : "s", mib, seconds > 0 ? mib / seconds : 0.0);
}

static void tell(struct progress *progress, int64_t now_ms, const char *end)
{
    char text[96];
    progress_text(progress, now_ms, text);
    fprintf(stderr, "\r%s\033[K%s", text, end); /* the terminal clears the rest of the line */
    progress->told_ms = now_ms;
}

void progress_add(struct progress *progress, size_t bytes, int64_t now_ms)
{
    progress->records++;
    progress->bytes += bytes;
    if (progress->is_on && now_ms - progress->told_ms >= PAUSE_MS)
        tell(progress, now_ms, "");
}

void progress_end(struct progress *progress, int64_t now_ms)
{
    if (progress->is_on)
        tell(progress, now_ms, "\n");
}
