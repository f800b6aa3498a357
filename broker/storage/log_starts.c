#include "storage/log_starts.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "codec/crc32c.h"
#include "storage/folder.h"
#include "storage/offset_checkpoint.h"
#include "storage/redo.h"
#include "storage/start_files.h"
#include <stdio.h>

enum { PATH_BYTES = 1100, FILE_BYTES_MAX = 256 << 20, CRC_LINE_BYTES = 4 + 8 + 1 };

void log_starts_init(struct log_starts *starts)
{
    map_init(&starts->map, 0);
}

void log_starts_done(struct log_starts *starts)
{
    uint32_t position = 0;
    for (struct log_start *start; (start = map_next(&starts->map, &position));)
        memory_free(start);
    map_done(&starts->map);
}

bool log_starts_note(struct log_starts *starts, struct uuid topic_id, int32_t partition,
                     int64_t offset)
{
    struct log_start_key key = {topic_id, partition};
    struct log_start *start = map_get(&starts->map, &key, sizeof key);
    if (start && start->offset >= offset)
        return false;
    if (!start) {
        start = memory_zeroed(sizeof *start);
        start->key = key;
        map_put(&starts->map, &start->key, sizeof start->key, start);
    }
    start->offset = offset;
    return true;
}

int64_t log_starts_get(const struct log_starts *starts, struct uuid topic_id, int32_t partition)
{
    struct log_start_key key = {topic_id, partition};
    const struct log_start *start = map_get(&starts->map, &key, sizeof key);
    return start ? start->offset : 0;
}

/* ---- the text ------------------------------------------------------------------------------ */

static void encode_crc(uint32_t crc, char line[CRC_LINE_BYTES + 1])
{
    snprintf(line, CRC_LINE_BYTES + 1, "crc %08x\n", crc);
}

/* Does the text end with the CRC of what is before? */
static bool has_right_crc(struct bytes text)
{
    char line[CRC_LINE_BYTES + 1];
    if (text.size < CRC_LINE_BYTES)
        return false;
    int32_t size = text.size - CRC_LINE_BYTES;
    encode_crc(crc32c(0, text.data, (size_t)size), line);
    return memcmp(text.data + size, line, CRC_LINE_BYTES) == 0;
}

enum error log_starts_decode(struct log_starts *starts, struct bytes text, bool *ret_news)
{
    struct offset_checkpoint checkpoint;
    if (!has_right_crc(text))
        return ERROR_CHECKSUM;
    text.size -= CRC_LINE_BYTES;
    enum error error = offset_checkpoint_read(&checkpoint, text);
    if (error)
        return error;
    struct offset_checkpoint_line line;
    for (int32_t at = 0; !error && offset_checkpoint_next(&checkpoint, &at, &line);) {
        char id[UUID_TEXT_SIZE] = {0};
        struct uuid topic_id;
        if (line.topic.size < UUID_TEXT_SIZE)
            memcpy(id, line.topic.data, (size_t)line.topic.size);
        if (uuid_decode(id, &topic_id))
            *ret_news |= log_starts_note(starts, topic_id, line.partition, line.offset);
        else
            error = ERROR_MALFORMED;
    }
    offset_checkpoint_done(&checkpoint);
    return error;
}

struct bytes log_starts_encode(const struct log_starts *starts)
{
    struct offset_checkpoint_text text = {0};
    uint32_t position = 0;
    for (const struct log_start *start; (start = map_next(&starts->map, &position));) {
        char id[UUID_TEXT_SIZE];
        uuid_encode(start->key.topic_id, id);
        offset_checkpoint_add(&text, string_of(id), start->key.partition, start->offset);
    }
    char *lines = offset_checkpoint_take(&text), crc[CRC_LINE_BYTES + 1];
    size_t size = strlen(lines);
    encode_crc(crc32c(0, lines, size), crc);
    lines = memory_resized(lines, size + CRC_LINE_BYTES);
    memcpy(lines + size, crc, CRC_LINE_BYTES);
    return (struct bytes){(uint8_t *)lines, (int32_t)(size + CRC_LINE_BYTES)};
}

/* ---- files at a start ---------------------------------------------------------------------- */

struct loading {
    struct log_starts *starts;
    struct port *port;
    const char *directory;
    bool news;
    char *fault;
    size_t fault_size;
};

static enum error load_file(struct loading *loading, const char *name)
{
    char path[PATH_BYTES];
    struct bytes text;
    snprintf(path, sizeof path, "%s/%s", loading->directory, name);
    enum error error = start_file_read(loading->port, path, FILE_BYTES_MAX, &text);
    if (!error)
        error = log_starts_decode(loading->starts, text, &loading->news);
    memory_free((void *)(uintptr_t)text.data);
    if (error)
        snprintf(loading->fault, loading->fault_size,
                 "%s: %s; it tells which records were deleted: restore it from a copy, or move it "
                 "away to start with what the segments hold",
                 path, error_text(error));
    return error;
}

static enum error note_file(void *context, char kind, const char *name)
{
    size_t size = strlen(LOG_STARTS_FILE), end = strlen(name);
    bool unfinished = end > 4 && strcmp(name + end - 4, ".tmp") == 0;
    if (kind != 'f' || unfinished || strncmp(name, LOG_STARTS_FILE "-", size + 1) != 0)
        return ERROR_NONE;
    return load_file(context, name);
}

enum error log_starts_load(struct log_starts *starts, struct port *port, const char *directory,
                           bool *ret_scattered, char *fault, size_t size)
{
    struct loading loading = {starts, port, directory, false, fault, size};
    enum error error = load_file(&loading, LOG_STARTS_FILE);
    loading.news = false;
    if (error == ERROR_NOT_FOUND)
        error = ERROR_NONE;
    if (!error)
        error = redo_list(port, directory, note_file, &loading);
    *ret_scattered = loading.news;
    if (!error)
        fault[0] = 0;
    return error;
}

enum error log_starts_save(const struct log_starts *starts, struct port *port,
                           const char *directory)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", directory, LOG_STARTS_FILE);
    struct bytes text = log_starts_encode(starts);
    enum error error = start_file_write(port, path, text);
    memory_free((void *)(uintptr_t)text.data);
    if (MUTANT(skip_fsync_of_gathered_starts))
        return error;
    return error ? error : start_folder_flush(port, directory);
}
