/* What /proc tells of the broker's process. */
#include "tools/bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Reads a file of /proc as text; false if it can't be read. */
static bool read_text(int64_t pid, const char *name, char *text, size_t capacity)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%lld/%s", (long long)pid, name);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t size = fread(text, 1, capacity - 1, file);
    text[size] = 0;
    fclose(file);
    return size > 0;
}

/* The number behind `label` in `text`; -1 if it is not there. */
static int64_t number_after(const char *text, const char *label)
{
    const char *found = strstr(text, label);
    return found ? strtoll(found + strlen(label), NULL, 10) : -1;
}

struct bench_process bench_process_look(int64_t pid)
{
    struct bench_process process = {.written_bytes = -1, .write_calls_bytes = -1};
    char text[8192];
    if (pid == 0 || !read_text(pid, "stat", text, sizeof text))
        return process;
    /* Fields 14 and 15, user and system ticks, behind the name, which may hold anything. */
    const char *at = strrchr(text, ')');
    long long user, system;
    if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld", &user,
                      &system) != 2)
        return process;
    process.cpu_s = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
    process.is_known = true;
    if (read_text(pid, "status", text, sizeof text)) {
        process.rss_bytes = number_after(text, "VmRSS:") * 1024;
        process.rss_max_bytes = number_after(text, "VmHWM:") * 1024;
    }
    if (read_text(pid, "io", text, sizeof text)) {
        process.write_calls_bytes = number_after(text, "wchar:");
        process.written_bytes = number_after(text, "\nwrite_bytes:");
    }
    return process;
}
