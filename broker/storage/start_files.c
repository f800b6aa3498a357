#include "storage/start_files.h"
#include "base/memory.h"
#include <stdio.h>

enum { PATH_BYTES = 1200 };

static void close_handle(struct port *port, int64_t handle)
{
    struct op close = {.kind = OP_CLOSE, .handle = (int32_t)handle};
    (void)port_call(port, &close); /* what mattered was read or flushed before */
}

static enum error read_all(struct port *port, int64_t handle, int64_t most_bytes,
                           struct bytes *ret_bytes)
{
    struct file_stat stat = {0};
    struct op look = {.kind = OP_STAT, .handle = (int32_t)handle, .data = &stat};
    int64_t got = port_call(port, &look), size = 0;
    if (got < 0 || stat.size_bytes > most_bytes)
        return got < 0 ? op_error(got) : ERROR_MALFORMED;
    uint8_t *data = memory_zeroed((size_t)stat.size_bytes + 1);
    do {
        struct op read = {.kind = OP_READ,
                          .handle = (int32_t)handle,
                          .data = data + size,
                          .size = (size_t)(stat.size_bytes - size),
                          .offset = size};
        got = size < stat.size_bytes ? port_call(port, &read) : 0;
        size += got > 0 ? got : 0;
    } while (got > 0);
    *ret_bytes = (struct bytes){data, (int32_t)size};
    return op_error(got);
}

enum error start_file_read(struct port *port, const char *path, int64_t most_bytes,
                           struct bytes *ret_bytes)
{
    *ret_bytes = BYTES_NULL;
    struct op open = {.kind = OP_OPEN, .path = path, .flags = OPEN_READ};
    int64_t handle = port_call(port, &open);
    if (handle < 0)
        return op_error(handle);
    enum error error = read_all(port, handle, most_bytes, ret_bytes);
    close_handle(port, handle);
    if (error) {
        memory_free((void *)(uintptr_t)ret_bytes->data);
        *ret_bytes = BYTES_NULL;
    }
    return error;
}

static enum error write_all(struct port *port, int64_t handle, struct bytes bytes)
{
    struct op cut = {.kind = OP_TRUNCATE, .handle = (int32_t)handle};
    enum error error = op_error(port_call(port, &cut));
    for (int64_t at = 0; !error && at < bytes.size;) {
        struct iovec vector = {(void *)(uintptr_t)(bytes.data + at), (size_t)(bytes.size - at)};
        struct op write = {.kind = OP_WRITE,
                           .handle = (int32_t)handle,
                           .vectors = &vector,
                           .vector_count = 1,
                           .offset = at};
        int64_t written = port_call(port, &write);
        error = written == 0 ? ERROR_INPUT_OUTPUT : op_error(written);
        at += written > 0 ? written : 0;
    }
    struct op flush = {.kind = OP_FLUSH, .handle = (int32_t)handle};
    return error ? error : op_error(port_call(port, &flush));
}

enum error start_file_write(struct port *port, const char *path, struct bytes bytes)
{
    char temporary[PATH_BYTES];
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    struct op open = {.kind = OP_OPEN, .path = temporary, .flags = OPEN_WRITE | OPEN_CREATE};
    int64_t handle = port_call(port, &open);
    if (handle < 0)
        return op_error(handle);
    enum error error = write_all(port, handle, bytes);
    close_handle(port, handle);
    struct op rename = {.kind = OP_RENAME, .path = temporary, .path_to = path};
    return error ? error : op_error(port_call(port, &rename));
}

enum error start_folder_flush(struct port *port, const char *path)
{
    struct op open = {.kind = OP_OPEN, .path = path, .flags = OPEN_READ | OPEN_DIRECTORY};
    int64_t handle = port_call(port, &open);
    if (handle < 0)
        return op_error(handle);
    struct op flush = {.kind = OP_FLUSH, .handle = (int32_t)handle};
    int64_t result = port_call(port, &flush);
    close_handle(port, handle);
    return op_error(result);
}
