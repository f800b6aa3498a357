/* The main of a target without libFuzzer: runs each file it is given, and each file of a folder,
 * once. A failed check or a crash ends it, having said in which file; else the last line is the
 * sum.
 */
#include "fuzz/fuzz.h"
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char running[4096];
static int passed, failed;

static void on_crash(int signal)
{
    static const char text[] = "\nit happened in: ";
    ssize_t ignored = write(STDOUT_FILENO, text, sizeof text - 1);
    ignored = write(STDOUT_FILENO, running, strlen(running));
    ignored = write(STDOUT_FILENO, "\n", 1);
    (void)ignored; /* there is nobody left to tell */
    raise(signal);
}

static void run_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size ? size : 1); /* exact, so that a sanitizer sees a byte too far */
    if (!file || !data || fread(data, 1, size, file) != size) {
        printf("%s can't be read\n", path);
        failed++;
    } else {
        snprintf(running, sizeof running, "%s", path);
        LLVMFuzzerTestOneInput(data, size);
        passed++;
    }
    free(data);
    if (file)
        fclose(file);
}

static void run_path(const char *path)
{
    struct stat stat_now;
    if (stat(path, &stat_now) != 0) {
        printf("%s: there is no such file\n", path);
        failed++;
    } else if (S_ISDIR(stat_now.st_mode)) {
        struct dirent **entries;
        int count = scandir(path, &entries, NULL, alphasort);
        for (int i = 0; i < count; i++) {
            char inner[4096];
            snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
            if (entries[i]->d_name[0] != '.')
                run_path(inner);
            free(entries[i]);
        }
        free(entries);
    } else {
        run_file(path, (size_t)stat_now.st_size);
    }
}

int main(int count, char **arguments)
{
    struct sigaction crash = {.sa_handler = on_crash, .sa_flags = SA_RESETHAND};
    sigaction(SIGABRT, &crash, NULL);
    for (int i = 1; i < count; i++)
        run_path(arguments[i]);
    printf("%d passed, %d failed\n", passed, failed);
    return failed || !passed ? 1 : 0;
}
