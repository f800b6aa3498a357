/* Kafka's checkpoint files of offsets, in a data directory, and our own of log starts. */
#include "base/memory.h"
#include "storage/log_starts.h"
#include "storage/offset_checkpoint.h"
#include "tools/dump.h"
#include <string.h>

enum { FILE_BYTES_MAX = 64 << 20 };

bool dump_is_offsets(const char *name)
{
    static const char suffix[] = "-offset-checkpoint";
    size_t size = strlen(name), suffix_size = sizeof suffix - 1;
    return size > suffix_size && strcmp(name + size - suffix_size, suffix) == 0;
}

/* Its lines behind the first two. */
static int print_lines(struct dump *dump, struct bytes text)
{
    int lines = 0;
    while (text.size > 0) {
        const uint8_t *end = memchr(text.data, '\n', (size_t)text.size);
        int32_t size = end ? (int32_t)(end - text.data) : text.size;
        if (lines++ >= 2)
            dump_event(dump, "entry %.*s\n", size, (const char *)text.data);
        text.data += size + (end != NULL);
        text.size -= size + (end != NULL);
    }
    return lines - 2;
}

void dump_offsets(struct dump *dump, const char *path)
{
    struct dump_file file;
    struct offset_checkpoint checkpoint;
    dump_begin(dump, path);
    if (dump_file_open(dump, &file, path)) {
        bool fits = file.size > 0 && file.size <= FILE_BYTES_MAX;
        const uint8_t *bytes = fits ? dump_file_at(&file, 0, file.size) : NULL;
        struct bytes text = {bytes, bytes ? (int32_t)file.size : 0};
        if (offset_checkpoint_read(&checkpoint, text) != ERROR_NONE)
            dump_fault(dump, path, -1,
                       "it is not a 0, a number, and so many lines of a topic, a partition and an "
                       "offset (it is a cache: it is written anew)");
        else
            dump_end(dump, path, "entries=%d", print_lines(dump, text));
        offset_checkpoint_done(&checkpoint);
    }
    dump_file_close(&file);
}

bool dump_log_starts(struct dump *dump, const char *path)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    size_t size = strlen(LOG_STARTS_FILE);
    if (strncmp(name, LOG_STARTS_FILE, size) != 0 || (name[size] && name[size] != '-'))
        return false;
    struct dump_file file;
    struct log_starts starts;
    bool news = false;
    log_starts_init(&starts);
    dump_begin(dump, path);
    if (dump_file_open(dump, &file, path)) {
        bool fits = file.size > 0 && file.size <= FILE_BYTES_MAX;
        const uint8_t *bytes = fits ? dump_file_at(&file, 0, file.size) : NULL;
        struct bytes text = {bytes, bytes ? (int32_t)file.size : 0};
        enum error error = log_starts_decode(&starts, text, &news);
        if (error)
            dump_fault(dump, path, -1, "%s (it tells which records were deleted)",
                       error_text(error));
        else
            dump_end(dump, path, "entries=%d crc=ok", print_lines(dump, text) - 1);
    }
    dump_file_close(&file);
    log_starts_done(&starts);
    return true;
}
