/* Reading a file through a window: whole files would not fit, and mapped ones end the process when
 * they are cut meanwhile. */
#include "base/check.h"
#include "base/memory.h"
#include "tools/dump.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WINDOW_BYTES = 1 << 20 };

bool dump_file_open(struct dump *dump, struct dump_file *file, const char *path)
{
    *file = (struct dump_file){.descriptor = open(path, O_RDONLY | O_CLOEXEC)};
    struct stat stat;
    if (file->descriptor >= 0 && fstat(file->descriptor, &stat) == 0 && S_ISREG(stat.st_mode)) {
        file->size = stat.st_size;
        return true;
    }
    if (dump)
        dump_fault(dump, path, -1, "it can't be read: %s",
                   file->descriptor >= 0 ? "it is not a plain file" : strerror(errno));
    return false;
}

void dump_file_close(struct dump_file *file)
{
    if (file->descriptor >= 0)
        close(file->descriptor);
    memory_free(file->window);
    *file = (struct dump_file){.descriptor = -1};
}

static bool fill(struct dump_file *file, int64_t position, int64_t size)
{
    int64_t wanted = max_i64(size, min_i64(WINDOW_BYTES, file->size - position));
    if (wanted > file->window_capacity) {
        file->window = memory_resized(file->window, (size_t)wanted);
        file->window_capacity = wanted;
    }
    file->window_from = position;
    file->window_size = 0;
    while (file->window_size < wanted) {
        ssize_t got =
            pread(file->descriptor, file->window + file->window_size,
                  (size_t)(wanted - file->window_size), (off_t)(position + file->window_size));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        file->window_size += got;
    }
    return file->window_size >= size;
}

const uint8_t *dump_file_at(struct dump_file *file, int64_t position, int64_t size)
{
    check(position >= 0 && size > 0);
    if (position > file->size || size > file->size - position)
        return NULL;
    bool is_there =
        position >= file->window_from && position + size <= file->window_from + file->window_size;
    if (!is_there && !fill(file, position, size))
        return NULL;
    return file->window + (position - file->window_from);
}

bool dump_file_is_zero(struct dump_file *file, int64_t position)
{
    while (position < file->size) {
        int64_t size = min_i64(WINDOW_BYTES, file->size - position);
        const uint8_t *bytes = dump_file_at(file, position, size);
        if (!bytes || bytes[0] || memcmp(bytes, bytes + 1, (size_t)size - 1) != 0)
            return false;
        position += size;
    }
    return true;
}
