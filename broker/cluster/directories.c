#include "cluster/directories.h"
#include "base/check.h"
#include "base/memory.h"
#include "cluster/directory.h"
#include "storage/folder.h"
#include <stdio.h>

static const struct uuid no_id;

/* ---- names --------------------------------------------------------------------------------- */

/* A copy without doubled and trailing slashes and without "." on the way. */
static char *clean_path(struct string name)
{
    char *path = memory_zeroed((size_t)name.size + 1);
    int32_t size = 0;
    for (int32_t i = 0; i < name.size; i++) {
        bool at_start = i == 0 || name.data[i - 1] == '/', last = i + 1 == name.size;
        if (name.data[i] == '.' && at_start && name.size > 1 && (last || name.data[i + 1] == '/'))
            continue;
        if (name.data[i] == '/' && (size > 0 ? path[size - 1] == '/' : i > 0))
            continue;
        path[size++] = name.data[i];
    }
    while (size > 1 && path[size - 1] == '/')
        size--;
    path[size] = 0;
    return path;
}

static int find_path(const struct broker *broker, const char *path)
{
    for (int d = 0; d < broker->directory_count; d++)
        if (strcmp(broker->directories[d].path, path) == 0)
            return d;
    return -1;
}

/* The place of a new one, which owns `path`. */
static int add(struct broker *broker, char *path, bool holds_partitions)
{
    int place = broker->directory_count++;
    broker->directories = memory_resized(broker->directories, (size_t)broker->directory_count *
                                                                  sizeof *broker->directories);
    broker->directories[place] =
        (struct directory){.path = path, .lock_handle = -1, .holds_partitions = holds_partitions};
    return place;
}

enum error directories_name(struct broker *broker, char *why, size_t why_size)
{
    struct string rest = settings_log_dirs(broker->settings), name;
    while (list_next_entry(&rest, &name)) {
        char *path = clean_path(name);
        if (find_path(broker, path) >= 0) {
            snprintf(why, why_size, "log.dirs names %s twice; name each directory once", path);
            memory_free(path);
            return ERROR_BAD_ARGUMENT;
        }
        add(broker, path, true);
    }
    if (broker->directory_count == 0)
        add(broker, clean_path(STRING("data")), true);
    const char *metadata = broker->settings->metadata_log_dir;
    if (metadata && *metadata) {
        char *path = clean_path(string_of(metadata));
        broker->metadata_directory = find_path(broker, path);
        if (broker->metadata_directory >= 0)
            memory_free(path);
        else
            broker->metadata_directory = add(broker, path, false);
    }
    return ERROR_NONE;
}

/* ---- whose they are ------------------------------------------------------------------------ */

static enum error check_owner(struct broker *broker, const struct directory *directory,
                              const struct directory_owner *owner, char *why, size_t why_size)
{
    if (owner->node_id >= 0 && owner->node_id != broker->node_id) {
        snprintf(why, why_size,
                 "%s belongs to node %d, and this is node %d; set node.id=%d or choose another "
                 "directory",
                 directory->path, owner->node_id, broker->node_id, owner->node_id);
        return ERROR_BAD_ARGUMENT;
    }
    if (broker->cluster_id[0] && strcmp(broker->cluster_id, owner->cluster_id) != 0) {
        snprintf(why, why_size,
                 "%s belongs to cluster %s, and another log directory to cluster %s; take one of "
                 "them out of log.dirs",
                 directory->path, owner->cluster_id, broker->cluster_id);
        return ERROR_BAD_ARGUMENT;
    }
    memcpy(broker->cluster_id, owner->cluster_id, sizeof broker->cluster_id);
    return ERROR_NONE;
}

static enum error check_twins(const struct broker *broker, const struct directory_owner *owners,
                              int place, char *why, size_t why_size)
{
    for (int d = 0; d < broker->directory_count; d++) {
        if (d == place || uuid_equal(owners[place].id, no_id) ||
            !uuid_equal(owners[d].id, owners[place].id))
            continue;
        snprintf(why, why_size,
                 "%s and %s have the same directory.id: they are one directory, or one is a copy "
                 "of the other; take one of them out of log.dirs",
                 broker->directories[d].path, broker->directories[place].path);
        return ERROR_BAD_ARGUMENT;
    }
    return ERROR_NONE;
}

/* It can't be used: fatal where the metadata log lies there. `why` becomes its reason. */
static enum error set_absent(struct broker *broker, int place, enum error error, char *why)
{
    struct directory *directory = &broker->directories[place];
    if (place == broker->metadata_directory)
        return error;
    directory->absent = error;
    snprintf(directory->reason, sizeof directory->reason, "%s", why);
    why[0] = 0;
    return ERROR_NONE;
}

enum error directories_give_up(struct broker *broker, int directory, enum error error,
                               const char *what, char *why, size_t why_size)
{
    snprintf(why, why_size, "%s: %s: %s", broker->directories[directory].path, what,
             error_text(error));
    return set_absent(broker, directory, error, why);
}

static bool is_refusal(enum error error)
{
    return error == ERROR_BAD_ARGUMENT || error == ERROR_MALFORMED;
}

/* Reads what all say before anything is written. */
static enum error survey(struct broker *broker, struct port *port, struct directory_owner *owners,
                         char *why, size_t why_size)
{
    for (int d = 0; d < broker->directory_count; d++) {
        struct directory *directory = &broker->directories[d];
        enum error error = directory_make(directory, port, why, why_size);
        if (!error)
            error = directory_read_owner(directory, port, &owners[d], why, why_size);
        if (!error && owners[d].is_there)
            error = check_owner(broker, directory, &owners[d], why, why_size);
        if (!error)
            error = check_twins(broker, owners, d, why, why_size);
        directory->id = owners[d].id;
        if (error && !is_refusal(error))
            error = set_absent(broker, d, error, why);
        if (error)
            return error;
    }
    const struct directory *metadata = &broker->directories[broker->metadata_directory];
    if (broker->cluster_id[0] && !owners[broker->metadata_directory].is_there) {
        snprintf(why, why_size,
                 "%s, where the metadata log is to lie, is new, and other log directories belong "
                 "to cluster %s: set metadata.log.dir to the directory that holds "
                 "__cluster_metadata-0, or restore it from a copy",
                 metadata->path, broker->cluster_id);
        return ERROR_BAD_ARGUMENT;
    }
    return ERROR_NONE;
}

/* ---- taking them --------------------------------------------------------------------------- */

static struct uuid new_id(struct random *random)
{
    struct uuid uuid;
    store_be64(uuid.bytes, random_next(random));
    store_be64(uuid.bytes + 8, random_next(random));
    uuid.bytes[0] &= 0x7f; /* its text does not begin with a dash */
    uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x40);
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

/* A new directory, or one that has no id yet, becomes this broker's. */
static enum error take_up(struct broker *broker, struct port *port, struct directory *directory,
                          struct directory_owner *owner, char *why, size_t why_size)
{
    struct random *random = &broker->shards[0].random;
    if (broker->cluster_id[0] == 0)
        uuid_encode(new_id(random), broker->cluster_id);
    owner->id = new_id(random);
    owner->node_id = broker->node_id;
    memcpy(owner->cluster_id, broker->cluster_id, sizeof owner->cluster_id);
    return directory_write_owner(directory, port, owner, why, why_size);
}

static enum error take(struct broker *broker, struct port *port, int place,
                       struct directory_owner *owners, char *why, size_t why_size)
{
    struct directory *directory = &broker->directories[place];
    enum error error = directory_lock(directory, port, why, why_size);
    if (error) { /* by us, under another name? */
        struct directory_owner now;
        char other[400];
        if (directory_read_owner(directory, port, &now, other, sizeof other) == ERROR_NONE)
            owners[place].id = now.id;
        enum error twins = check_twins(broker, owners, place, why, why_size);
        return twins ? twins : error;
    }
    if (!owners[place].is_there || uuid_equal(owners[place].id, no_id))
        error = take_up(broker, port, directory, &owners[place], why, why_size);
    directory->id = owners[place].id;
    return error;
}

static enum error take_all(struct broker *broker, struct port *port, struct directory_owner *owners,
                           char *why, size_t why_size)
{
    int first = broker->metadata_directory, usable = 0;
    for (int i = 0; i < broker->directory_count; i++) {
        int d = i == 0 ? first : i <= first ? i - 1 : i; /* that of the metadata log first */
        struct directory *directory = &broker->directories[d];
        if (!directory->absent) {
            enum error error = take(broker, port, d, owners, why, why_size);
            if (error && !is_refusal(error))
                error = set_absent(broker, d, error, why);
            if (error)
                return error;
        }
        usable += !directory->absent && directory->holds_partitions;
    }
    if (usable > 0)
        return ERROR_NONE;
    snprintf(why, why_size, "none of log.dirs can be used; the last: %s",
             broker->directories[first == 0 ? broker->directory_count - 1 : 0].reason);
    return ERROR_KAFKA_STORAGE_ERROR;
}

enum error directories_open(struct broker *broker, struct port *port, char *why, size_t why_size)
{
    size_t size = (size_t)broker->directory_count * sizeof(struct directory_owner);
    struct directory_owner *owners = memory_zeroed(size);
    enum error error = survey(broker, port, owners, why, why_size);
    if (!error)
        error = take_all(broker, port, owners, why, why_size);
    memory_free(owners);
    return error;
}

void directories_close(struct broker *broker, struct port *port)
{
    for (int d = 0; d < broker->directory_count; d++)
        directory_close(&broker->directories[d], port);
}

void directories_free(struct broker *broker)
{
    for (int d = 0; d < broker->directory_count; d++)
        memory_free(broker->directories[d].path);
    memory_free(broker->directories);
    broker->directories = NULL;
    broker->directory_count = 0;
}

int directories_find(const struct broker *broker, struct uuid id)
{
    for (int d = 0; d < broker->directory_count && !uuid_equal(id, no_id); d++)
        if (uuid_equal(broker->directories[d].id, id))
            return d;
    return -1;
}
