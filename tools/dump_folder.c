/* Folders and small files of `bole dump`. */
#include "base/memory.h"
#include "storage/folder.h"
#include "storage/segment.h"
#include "tools/dump.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SMALL_FILE_BYTES = 4096, PATH_BYTES = 4096 };

/* --- small files ----------------------------------------------------------------------------- */

/* The whole file, terminated, into text[SMALL_FILE_BYTES]; -1 after a fault. */
static int64_t read_small(struct dump *dump, const char *path, char *text)
{
    struct dump_file file;
    int64_t size = -1;
    if (dump_file_open(dump, &file, path)) {
        const uint8_t *bytes = file.size > 0 && file.size < SMALL_FILE_BYTES
                                   ? dump_file_at(&file, 0, file.size)
                                   : NULL;
        if (bytes) {
            memcpy(text, bytes, (size_t)file.size);
            text[file.size] = 0;
            size = file.size;
        } else {
            dump_fault(dump, path, 0, file.size ? "it is too large" : "it is empty");
        }
    }
    dump_file_close(&file);
    return size;
}

void dump_partition_metadata(struct dump *dump, const char *path)
{
    char text[SMALL_FILE_BYTES], id_text[UUID_TEXT_SIZE];
    struct uuid id;
    dump_begin(dump, path);
    int64_t size = read_small(dump, path, text);
    if (size < 0)
        return;
    if (!partition_metadata_decode((struct bytes){(uint8_t *)text, (int32_t)size}, &id)) {
        dump_fault(dump, path, 0, "it is not \"version: 0\" and \"topic_id: \" with 22 characters");
        return;
    }
    uuid_encode(id, id_text);
    dump_end(dump, path, "topic_id=%s", id_text);
}

/* The value of `key` in `key=value` lines, into value[64]; false if there is none. */
static bool find_property(const char *text, const char *key, char *value)
{
    size_t key_size = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, key_size) != 0 || line[key_size] != '=')
            continue;
        size_t size = strcspn(line + key_size + 1, "\r\n");
        if (size == 0 || size >= 64)
            return false;
        memcpy(value, line + key_size + 1, size);
        value[size] = 0;
        return true;
    }
    return false;
}

void dump_meta_properties(struct dump *dump, const char *path)
{
    char text[SMALL_FILE_BYTES], cluster[64], node[64], version[64], *end;
    dump_begin(dump, path);
    if (read_small(dump, path, text) < 0)
        return;
    if (!find_property(text, "version", version) || strcmp(version, "1") != 0)
        dump_fault(dump, path, -1, "it has no version=1");
    if (!find_property(text, "cluster.id", cluster) || strlen(cluster) > 22)
        dump_fault(dump, path, -1, "it has no cluster.id of at most 22 characters");
    if (!find_property(text, "node.id", node) || (strtol(node, &end, 10), *end))
        dump_fault(dump, path, -1, "it has no node.id that is a number");
    dump_end(dump, path, "cluster_id=%s node_id=%s", cluster, node);
}

void dump_mark(struct dump *dump, const char *path, const char *says)
{
    char text[SMALL_FILE_BYTES];
    dump_begin(dump, path);
    if (read_small(dump, path, text) < 0)
        return;
    if (strncmp(text, "{\"version\":0", 12) != 0)
        dump_fault(dump, path, 0, "it does not begin with {\"version\":0");
    dump_end(dump, path, "%s", says);
}

/* Of no content: what counts is who holds it. */
void dump_lock(struct dump *dump, const char *path)
{
    struct dump_file file;
    dump_begin(dump, path);
    if (dump_file_open(dump, &file, path) && file.size > 0)
        dump_fault(dump, path, 0, "it is not empty");
    dump_file_close(&file);
    dump_end(dump, path, "empty, locked while a broker runs");
}

/* --- folders --------------------------------------------------------------------------------- */

struct names {
    char **items;
    size_t count, capacity;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All names in a folder, in order. False after a fault. */
static bool list_names(struct dump *dump, const char *path, struct names *names)
{
    *names = (struct names){0};
    DIR *folder = opendir(path);
    if (!folder) {
        dump_fault(dump, path, -1, "it can't be listed: %s", strerror(errno));
        return false;
    }
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (names->count == names->capacity) {
            names->capacity = 2 * names->capacity + 16;
            names->items = memory_resized(names->items, names->capacity * sizeof(char *));
        }
        size_t size = strlen(entry->d_name) + 1;
        names->items[names->count] = memory_zeroed(size);
        memcpy(names->items[names->count++], entry->d_name, size);
    }
    closedir(folder);
    if (names->count)
        qsort(names->items, names->count, sizeof(char *), compare_names);
    return true;
}

static void free_names(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        memory_free(names->items[i]);
    memory_free(names->items);
}

static bool is_folder(const char *path)
{
    struct stat stat_of;
    return stat(path, &stat_of) == 0 && S_ISDIR(stat_of.st_mode);
}

/* What the journals hold of a partition's log; null: nothing. Its id is in partition.metadata,
 * which is flushed with the log's first bytes: where it can't be read, a log that the journals hold
 * from its first byte on will get it anew. */
static const struct dump_redo *find_redo(const struct dump *dump, const char *path,
                                         int32_t partition, bool *ret_is_whole)
{
    char metadata[PATH_BYTES];
    struct dump_file file;
    struct uuid id = {{0}};
    snprintf(metadata, sizeof metadata, "%s/partition.metadata", path);
    bool is_known = false;
    if (dump_file_open(NULL, &file, metadata)) {
        const uint8_t *bytes = file.size > 0 ? dump_file_at(&file, 0, file.size) : NULL;
        is_known = bytes && file.size < SMALL_FILE_BYTES &&
                   partition_metadata_decode((struct bytes){bytes, (int32_t)file.size}, &id);
    }
    dump_file_close(&file);
    *ret_is_whole = false;
    for (int i = 0; i < dump->redo_count; i++) {
        const struct dump_redo *redo = &dump->redos[i];
        bool is_whole = redo->segment_base == 0 && redo->position == 0;
        if (redo->partition != partition ||
            (is_known ? !uuid_equal(redo->topic_id, id) : !is_whole))
            continue;
        *ret_is_whole = is_whole;
        return redo;
    }
    return NULL;
}

static void dump_file_of_folder(struct dump *dump, const char *path, const char *name)
{
    char file[PATH_BYTES];
    snprintf(file, sizeof file, "%s/%s", path, name);
    if (is_folder(file))
        return;
    if (!dump_path(dump, file))
        dump_event(dump, "passed %s\n", file);
}

static void dump_partition(struct dump *dump, const char *path, int32_t partition)
{
    struct names names;
    bool is_whole = false, has_metadata = false;
    if (!list_names(dump, path, &names))
        return;
    dump->redo = find_redo(dump, path, partition, &is_whole);
    dump->previous_end = 0;
    for (size_t i = 0; i < names.count; i++) {
        bool is_metadata = strcmp(names.items[i], "partition.metadata") == 0;
        has_metadata |= is_metadata;
        if (is_metadata && is_whole)
            dump_event(dump, "passed %s/partition.metadata\n", path);
        else
            dump_file_of_folder(dump, path, names.items[i]);
    }
    if (!has_metadata && is_whole)
        dump_left(dump, path, -1, "partition.metadata is not there yet; the journal holds the log");
    else if (!has_metadata)
        dump_fault(dump, path, -1, "partition.metadata is not there");
    dump->redo = NULL;
    dump->previous_end = 0;
    free_names(&names);
}

/* Of a data directory: journals first, then what else lies in it, then the partitions. */
static void dump_data_directory(struct dump *dump, const char *path, const struct names *names)
{
    char entry[PATH_BYTES];
    dump->has_journals = true;
    dump->redo_count = 0;
    for (int pass = 0; pass < 3; pass++)
        for (size_t i = 0; i < names->count; i++) {
            struct string topic;
            int32_t partition;
            const char *name = names->items[i];
            snprintf(entry, sizeof entry, "%s/%s", path, name);
            bool is_journal = strncmp(name, "journal-", 8) == 0;
            if (is_folder(entry) && folder_name_parse(name, &topic, &partition)) {
                dump->is_metadata_log = string_equal(topic, STRING("__cluster_metadata"));
                if (pass == 2)
                    dump_partition(dump, entry, partition);
                dump->is_metadata_log = false;
            } else if (pass == (is_journal ? 0 : 1)) {
                dump_file_of_folder(dump, path, name);
            }
        }
    dump->has_journals = false;
    dump->redo_count = 0;
}

void dump_folder(struct dump *dump, const char *path)
{
    struct names names;
    struct string topic;
    int32_t partition;
    char copy[PATH_BYTES];
    snprintf(copy, sizeof copy, "%s", path);
    for (size_t size = strlen(copy); size > 1 && copy[size - 1] == '/'; size--)
        copy[size - 1] = 0;
    const char *name = strrchr(copy, '/') ? strrchr(copy, '/') + 1 : copy;
    bool has_journals = false;
    if (!list_names(dump, copy, &names))
        return;
    for (size_t i = 0; i < names.count; i++)
        has_journals |= strncmp(names.items[i], "journal-", 8) == 0 ||
                        strcmp(names.items[i], "meta.properties") == 0;
    if (!has_journals && folder_name_parse(name, &topic, &partition)) {
        dump->is_metadata_log = string_equal(topic, STRING("__cluster_metadata"));
        dump_partition(dump, copy, partition);
        dump->is_metadata_log = false;
    } else {
        dump_data_directory(dump, copy, &names);
    }
    free_names(&names);
}
