/* vectors FILE...: checks golden vectors, plain or gzip, and prints per file, and in the last line
 * in all, how many passed and failed. Exit 0 if all passed, 1 if any failed, 2 if a file can't be
 * read. */
#include "tests/vectors/vectors.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

enum { LINE_BYTES_MAX = 1 << 24, SHOWN_MAX = 10, KEEP_BYTES = 1 << 20 };

enum verdict vector_failed(struct vector *vector, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(vector->why, sizeof vector->why, format, arguments);
    va_end(arguments);
    return FAILED;
}

static enum verdict check_line(struct vector *vector)
{
    const struct json *line = vector->line;
    if (!line)
        return vector_failed(vector, "is no JSON");
    if (json_get(line, "kind"))
        return check_small(vector);
    if (json_get(line, "log"))
        return check_coordinator(vector);
    if (json_get(line, "message"))
        return check_message(vector);
    if (json_get(line, "produceVersion"))
        return check_bad_batch(vector);
    if (json_get(line, "stored"))
        return check_append(vector);
    if (json_get(line, "batches"))
        return check_batches(vector);
    return vector_failed(vector, "is of no known form");
}

/* Checks one file, prints its row and adds it to the sums. */
static void check_file(const char *path, gzFile file, char *buffer, long sums[UNKNOWN + 1])
{
    long counts[UNKNOWN + 1] = {0}, number = 0;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    while (gzgets(file, buffer, LINE_BYTES_MAX)) {
        struct vector vector = {.arena = &arena};
        vector.line = json_parse(&arena, string_of(buffer));
        number++;
        enum verdict verdict = check_line(&vector);
        counts[verdict]++;
        if (verdict == FAILED && counts[FAILED] <= SHOWN_MAX)
            printf("%s:%ld: %s\n", path, number, vector.why);
        arena_reset(&arena, KEEP_BYTES);
    }
    arena_done(&arena);
    printf("%s: %ld passed, %ld failed", path, counts[PASSED] + counts[STRICTER], counts[FAILED]);
    if (counts[STRICTER])
        printf(" (%ld refused where Kafka is lenient)", counts[STRICTER]);
    if (counts[UNKNOWN])
        printf(" (%ld skipped: of messages that are in no table)", counts[UNKNOWN]);
    printf("\n");
    for (int i = 0; i <= UNKNOWN; i++)
        sums[i] += counts[i];
    sums[FAILED] += number == 0; /* an empty file shows nothing */
}

int main(int count, char **arguments)
{
    int status = count > 1 ? 0 : 2;
    long sums[UNKNOWN + 1] = {0};
    char *buffer = malloc(LINE_BYTES_MAX);
    if (count < 2)
        fprintf(stderr, "usage: vectors FILE...\n");
    for (int i = 1; i < count && buffer; i++) {
        gzFile file = gzopen(arguments[i], "rb");
        if (!file) {
            fprintf(stderr, "%s: can't be read\n", arguments[i]);
            status = 2;
            continue;
        }
        check_file(arguments[i], file, buffer, sums);
        gzclose(file);
    }
    free(buffer);
    printf("%ld passed, %ld failed\n", sums[PASSED] + sums[STRICTER], sums[FAILED]);
    return status == 0 && sums[FAILED] ? 1 : status;
}
