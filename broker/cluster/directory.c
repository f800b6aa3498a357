#include "cluster/directory.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "storage/folder.h"
#include "storage/start_files.h"
#include <stdio.h>
#include <stdlib.h>

#define CLEAN_MARK   ".kafka_cleanshutdown"
#define CLEAN_TEXT   "{\"version\":0,\"brokerEpoch\":-1}"
#define RUNNING_MARK ".bole_running"

enum { PATH_BYTES = 1100, TEXT_BYTES = 1024 };

static void path_of(const struct directory *directory, const char *name, char *path)
{
    snprintf(path, PATH_BYTES, "%s/%s", directory->path, name);
}

enum error directory_flush(const struct directory *directory, struct port *port)
{
    return start_folder_flush(port, directory->path);
}

/* The folder that holds the name. */
static enum error flush_parent(const char *path, struct port *port)
{
    char parent[PATH_BYTES];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (!slash)
        return start_folder_flush(port, ".");
    slash[slash == parent ? 1 : 0] = 0;
    return start_folder_flush(port, parent);
}

bool directory_read_file(const struct directory *directory, struct port *port, const char *name,
                         int64_t size_most, struct bytes *ret_text)
{
    char path[PATH_BYTES];
    path_of(directory, name, path);
    struct file_stat stat = {0};
    struct op look = {.kind = OP_STAT, .path = path, .data = &stat};
    struct op open = {.kind = OP_OPEN, .path = path, .flags = OPEN_READ};
    if (port_call(port, &look) < 0 || stat.size_bytes > size_most)
        return false;
    int64_t handle = port_call(port, &open), size = 0, got = 1;
    if (handle < 0)
        return false;
    uint8_t *data = memory_zeroed((size_t)stat.size_bytes + 1);
    while (got > 0 && size < stat.size_bytes) {
        struct op read = {.kind = OP_READ,
                          .handle = (int32_t)handle,
                          .data = data + size,
                          .size = (size_t)(stat.size_bytes - size),
                          .offset = size};
        got = port_call(port, &read);
        size += got > 0 ? got : 0;
    }
    struct op close = {.kind = OP_CLOSE, .handle = (int32_t)handle};
    (void)port_call(port, &close); /* only read */
    *ret_text = (struct bytes){data, (int32_t)size};
    return true;
}

enum error directory_write_file(const struct directory *directory, struct port *port,
                                const char *name, const char *text)
{
    char path[PATH_BYTES], temporary[PATH_BYTES + 4];
    path_of(directory, name, path);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    struct op open = {.kind = OP_OPEN, .path = temporary, .flags = OPEN_WRITE | OPEN_CREATE};
    int64_t handle = port_call(port, &open);
    if (handle < 0)
        return op_error(handle);
    size_t size = strlen(text), at = 0;
    enum error error = ERROR_NONE;
    while (at < size && !error) {
        struct iovec vector = {(void *)(uintptr_t)(text + at), size - at};
        struct op write = {.kind = OP_WRITE,
                           .handle = (int32_t)handle,
                           .vectors = &vector,
                           .vector_count = 1,
                           .offset = (int64_t)at};
        int64_t written = port_call(port, &write);
        error = written == 0 ? ERROR_INPUT_OUTPUT : op_error(written);
        at += written > 0 ? (size_t)written : 0;
    }
    struct op cut = {.kind = OP_TRUNCATE, .handle = (int32_t)handle, .size = size};
    struct op flush = {.kind = OP_FLUSH, .handle = (int32_t)handle};
    struct op close = {.kind = OP_CLOSE, .handle = (int32_t)handle};
    if (!error)
        error = op_error(port_call(port, &cut));
    if (!error)
        error = op_error(port_call(port, &flush));
    (void)port_call(port, &close); /* flushed or failed before */
    struct op rename = {.kind = OP_RENAME, .path = temporary, .path_to = path};
    if (!error)
        error = op_error(port_call(port, &rename));
    if (MUTANT(skip_fsync_of_small_files))
        return error;
    return error ? error : flush_parent(path, port);
}

/* NOT_FOUND if there is none. The text is terminated. */
static enum error read_file(const struct directory *directory, struct port *port, const char *name,
                            char *text)
{
    char path[PATH_BYTES];
    path_of(directory, name, path);
    struct op open = {.kind = OP_OPEN, .path = path, .flags = OPEN_READ};
    int64_t handle = port_call(port, &open);
    if (handle < 0)
        return op_error(handle);
    int64_t size = 0, got;
    do {
        struct op read = {.kind = OP_READ,
                          .handle = (int32_t)handle,
                          .data = text + size,
                          .size = (size_t)(TEXT_BYTES - 1 - size),
                          .offset = size};
        got = port_call(port, &read);
        size += got > 0 ? got : 0;
    } while (got > 0 && size < TEXT_BYTES - 1);
    text[size] = 0;
    struct op close = {.kind = OP_CLOSE, .handle = (int32_t)handle};
    (void)port_call(port, &close); /* only read */
    return op_error(got);
}

/* The value of `key` in a properties text, up to the line's end, into value[size]. */
static bool property(const char *text, const char *key, char *value, size_t size)
{
    size_t key_size = strlen(key);
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, key_size) == 0 && line[key_size] == '=') {
            size_t length = strcspn(line + key_size + 1, "\r\n");
            length = length < size - 1 ? length : size - 1;
            memcpy(value, line + key_size + 1, length);
            value[length] = 0;
            return true;
        }
    }
    return false;
}

enum error directory_make(const struct directory *directory, struct port *port, char *why,
                          size_t why_size)
{
    struct op make = {.kind = OP_MAKE_DIRECTORY, .path = directory->path};
    enum error error = op_error(port_call(port, &make));
    if (error == ERROR_NONE || error == ERROR_ALREADY_EXISTS)
        return ERROR_NONE;
    snprintf(why, why_size, "the data directory %s can't be made: %s", directory->path,
             error_text(error));
    return error;
}

enum error directory_read_owner(const struct directory *directory, struct port *port,
                                struct directory_owner *ret, char *why, size_t why_size)
{
    char text[TEXT_BYTES], node[16] = "", cluster[64] = "", id[64] = "";
    *ret = (struct directory_owner){.node_id = -1};
    enum error error = read_file(directory, port, "meta.properties", text);
    if (error == ERROR_NOT_FOUND)
        return ERROR_NONE;
    if (error) {
        snprintf(why, why_size, "%s/meta.properties can't be read: %s", directory->path,
                 error_text(error));
        return error;
    }
    if (!property(text, "cluster.id", cluster, sizeof cluster) || strlen(cluster) == 0 ||
        strlen(cluster) >= sizeof ret->cluster_id) {
        snprintf(why, why_size,
                 "%s/meta.properties has no valid cluster.id; restore it from a copy",
                 directory->path);
        return ERROR_MALFORMED;
    }
    ret->is_there = true;
    memcpy(ret->cluster_id, cluster, strlen(cluster) + 1);
    if (property(text, "node.id", node, sizeof node))
        ret->node_id = (int32_t)strtol(node, NULL, 10);
    if (property(text, "directory.id", id, sizeof id))
        (void)uuid_decode(id, &ret->id); /* no valid one: it gets one */
    return ERROR_NONE;
}

enum error directory_write_owner(const struct directory *directory, struct port *port,
                                 const struct directory_owner *owner, char *why, size_t why_size)
{
    char id[UUID_TEXT_SIZE], text[TEXT_BYTES];
    uuid_encode(owner->id, id);
    snprintf(text, sizeof text, "#\nversion=1\ncluster.id=%s\nnode.id=%d\ndirectory.id=%s\n",
             owner->cluster_id, owner->node_id, id);
    /* What is in it counts only once its name is safe. */
    enum error error =
        MUTANT(skip_fsync_of_parent) ? ERROR_NONE : flush_parent(directory->path, port);
    if (!error)
        error = directory_write_file(directory, port, "meta.properties", text);
    if (error)
        snprintf(why, why_size, "%s/meta.properties can't be written: %s", directory->path,
                 error_text(error));
    return error;
}

/* Can the file be opened without a lock, so that only this was refused? */
static bool is_readable(struct port *port, const char *path)
{
    struct op open = {.kind = OP_OPEN, .path = path, .flags = OPEN_READ};
    int64_t handle = port_call(port, &open);
    if (handle < 0)
        return false;
    struct op close = {.kind = OP_CLOSE, .handle = (int32_t)handle};
    (void)port_call(port, &close); /* nothing was read */
    return true;
}

enum error directory_lock(struct directory *directory, struct port *port, char *why,
                          size_t why_size)
{
    char path[PATH_BYTES];
    path_of(directory, ".lock", path);
    struct op lock = {
        .kind = OP_OPEN, .path = path, .flags = OPEN_READ | OPEN_WRITE | OPEN_CREATE | OPEN_LOCK};
    int64_t handle = port_call(port, &lock);
    if (handle >= 0) {
        directory->lock_handle = (int32_t)handle;
        return ERROR_NONE;
    }
    if (op_error(handle) == ERROR_NO_PERMISSION && is_readable(port, path)) {
        snprintf(why, why_size,
                 "failed to acquire the lock on file .lock in %s: another broker is using this "
                 "directory; stop it, or choose another directory",
                 directory->path);
        return ERROR_BAD_ARGUMENT;
    }
    snprintf(why, why_size, "%s can't be locked: %s", path, error_text(op_error(handle)));
    return op_error(handle);
}

void directory_close(struct directory *directory, struct port *port)
{
    if (directory->lock_handle >= 0) {
        struct op op = {.kind = OP_CLOSE, .handle = directory->lock_handle};
        (void)port_call(port, &op); /* the lock goes with the process at the latest */
    }
    directory->lock_handle = -1;
}

static bool is_there(const struct directory *directory, struct port *port, const char *name)
{
    char path[PATH_BYTES];
    struct file_stat stat;
    path_of(directory, name, path);
    struct op op = {.kind = OP_STAT, .path = path, .data = &stat};
    return port_call(port, &op) >= 0;
}

enum error directory_mark_clean(const struct directory *directory, struct port *port)
{
    enum error error = directory_write_file(directory, port, CLEAN_MARK, CLEAN_TEXT);
    char path[PATH_BYTES];
    path_of(directory, RUNNING_MARK, path);
    struct op remove = {.kind = OP_REMOVE, .path = path};
    if (!error)
        error = op_error(port_call(port, &remove));
    if (MUTANT(skip_fsync_of_clean_mark) && !error)
        return error;
    return error == ERROR_NOT_FOUND ? ERROR_NONE : error ? error : directory_flush(directory, port);
}

/* By one rename: no crash leaves it without either. It is flushed with the journals' names
 * (store_open): what a start does before leaves the directory as whole as a clean stop did. */
enum error directory_unmark_clean(const struct directory *directory, struct port *port,
                                  bool *ret_unmarked)
{
    char path[PATH_BYTES], path_to[PATH_BYTES];
    path_of(directory, CLEAN_MARK, path);
    path_of(directory, RUNNING_MARK, path_to);
    struct op rename = {.kind = OP_RENAME, .path = path, .path_to = path_to};
    enum error error = op_error(port_call(port, &rename));
    *ret_unmarked = error == ERROR_NOT_FOUND && !is_there(directory, port, RUNNING_MARK);
    if (error == ERROR_NOT_FOUND)
        return ERROR_NONE;
    return error;
}

enum error directory_mark_running(const struct directory *directory, struct port *port)
{
    return directory_write_file(directory, port, RUNNING_MARK, CLEAN_TEXT);
}
