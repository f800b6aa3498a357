#include "storage/kafka_ends.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "storage/aside.h"
#include "storage/batch_walk.h"
#include "storage/folder.h"
#include "storage/journal_format.h"
#include "storage/offset_checkpoint.h"
#include "storage/redo.h"
#include "storage/segment.h"
#include "storage/start_files.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATH_BYTES = 1200, CHECKPOINT_BYTES_MAX = 64 << 20, SMALL_BYTES_MAX = 4096 };

struct offsets {
    int64_t *items;
    int32_t count;
};

/* One of Kafka's checkpoints, with the text that it borrows. */
struct told {
    struct offset_checkpoint checkpoint;
    struct bytes text;
};

struct ends {
    struct port *port;
    const char *directory;
    struct kafka_share share;
    struct kafka_ends *report;
    struct told points, starts;
    char **folders;
    int32_t folder_count;
    /* of the log at work */
    struct ending {
        char folder[1024];
        bool is_metadata;
        int64_t point;          /* below it all was flushed; INT64_MAX: all that was written */
        int64_t start;          /* log start offset; 0: not told */
        int32_t first;          /* the first segment that may not be flushed */
        int32_t broken;         /* a segment; -1: all are whole */
        int64_t position, size; /* of the fault; of the segment that is broken */
        int64_t next_offset;    /* behind the last whole batch */
        const char *fault;
        bool is_old; /* in a format that is not judged */
        struct offsets segments, snapshots;
    } log;
};

static void offsets_add(struct offsets *offsets, int64_t offset)
{
    offsets->items = memory_with_room(offsets->items, offsets->count, sizeof *offsets->items);
    offsets->items[offsets->count++] = offset;
}

static void path_of(const struct ends *ends, int64_t base, const char *suffix, char *path)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(base, suffix, name);
    snprintf(path, PATH_BYTES, "%s/%s", ends->log.folder, name);
}

__attribute__((format(printf, 2, 3))) static void tell(struct ends *ends, const char *format, ...)
{
    char line[1024];
    struct kafka_ends *report = ends->report;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    size_t size = strlen(line);
    report->sentences = memory_resized(report->sentences, report->sentences_size + size + 2);
    memcpy(report->sentences + report->sentences_size, line, size);
    report->sentences_size += size;
    memcpy(report->sentences + report->sentences_size++, "\n", 2);
}

/* ---- looking ------------------------------------------------------------------------------- */

static enum error note_file(void *context, char kind, const char *name)
{
    struct ends *ends = context;
    int64_t offset;
    if (kind == 'f' && segment_name_parse(name, ".log", &offset))
        offsets_add(&ends->log.segments, offset);
    else if (kind == 'f' && segment_name_parse(name, ".snapshot", &offset))
        offsets_add(&ends->log.snapshots, offset);
    return ERROR_NONE;
}

static int compare_offsets(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* Walks through the segment. It is flushed: Kafka may not have done it. */
static enum error look_at_segment(struct ends *ends, int32_t number)
{
    struct ending *log = &ends->log;
    char path[PATH_BYTES];
    struct file_stat stat = {0};
    path_of(ends, log->segments.items[number], ".log", path);
    struct op open = {.kind = OP_OPEN, .path = path, .flags = OPEN_READ | OPEN_WRITE};
    int64_t handle = port_call(ends->port, &open);
    if (handle < 0)
        return op_error(handle);
    struct op look = {.kind = OP_STAT, .handle = (int32_t)handle, .data = &stat};
    enum error error = op_error(port_call(ends->port, &look));
    struct batch_walk walk = {.port = ends->port,
                              .progress = ends->share.progress,
                              .halt = ends->share.halt,
                              .handle = (int32_t)handle,
                              .size = stat.size_bytes,
                              .base_offset = log->segments.items[number],
                              .next_offset = log->segments.items[number]};
    if (!error)
        error = batch_walk_run(&walk);
    bool goes_on = number + 1 < log->segments.count;
    if (!error && walk.fault && log->is_metadata && !goes_on)
        error = batch_walk_goes_on(&walk, &goes_on);
    log->next_offset = walk.next_offset;
    if (walk.fault) {
        log->broken = number;
        log->position = walk.position;
        log->size = walk.size;
        log->fault = walk.fault;
        log->is_old = walk.is_old;
        log->point = log->is_metadata && goes_on ? INT64_MAX : log->point;
    }
    batch_walk_done(&walk);
    struct op flush = {.kind = OP_FLUSH, .handle = (int32_t)handle};
    if (!error)
        error = op_error(port_call(ends->port, &flush));
    struct op close = {.kind = OP_CLOSE, .handle = (int32_t)handle};
    (void)port_call(ends->port, &close); /* flushed before */
    return error;
}

/* All that may not be flushed: from the segment on that holds the recovery point. */
static enum error look_at_log(struct ends *ends)
{
    struct ending *log = &ends->log;
    enum error error = ERROR_NONE;
    while (log->first + 1 < log->segments.count &&
           log->segments.items[log->first + 1] <= log->point)
        log->first++;
    for (int32_t i = log->first; i < log->segments.count && log->broken < 0 && !error; i++)
        error = look_at_segment(ends, i);
    return error;
}

/* ---- changing ------------------------------------------------------------------------------ */

static enum error remove_file(struct ends *ends, int64_t base, const char *suffix)
{
    char path[PATH_BYTES];
    path_of(ends, base, suffix, path);
    struct op remove = {.kind = OP_REMOVE, .path = path};
    enum error error = op_error(port_call(ends->port, &remove));
    return error == ERROR_NOT_FOUND ? ERROR_NONE : error;
}

/* They may be torn, or tell of what is not there any more; but indexes of transactions hold what no
 * snapshot below the recovery point tells again, and are judged when they are read. */
static enum error remove_caches(struct ends *ends)
{
    const struct ending *log = &ends->log;
    enum error error = ERROR_NONE;
    for (int32_t i = log->first; i < log->segments.count && !error; i++)
        for (int c = 0; c < SEGMENT_CACHES && !error; c++)
            if (strcmp(segment_caches[c], ".txnindex") != 0 || log->segments.items[i] >= log->point)
                error = remove_file(ends, log->segments.items[i], segment_caches[c]);
    int64_t kept = max_i64(log->point, log->segments.items[0]);
    for (int32_t i = 0; i < log->snapshots.count && !error; i++)
        if (log->snapshots.items[i] > kept)
            error = remove_file(ends, log->snapshots.items[i], ".snapshot");
    return error;
}

/* Segments behind the broken one: before it is cut, or nothing would tell that they are not its
 * continuation. */
static enum error keep_aside(struct ends *ends)
{
    const struct ending *log = &ends->log;
    enum error error = ERROR_NONE;
    for (int32_t i = log->segments.count - 1; i > log->broken && !error; i--) {
        char path[PATH_BYTES], path_to[PATH_BYTES + 16];
        path_of(ends, log->segments.items[i], ".log", path);
        snprintf(path_to, sizeof path_to, "%s.damaged", path);
        struct op rename = {.kind = OP_RENAME, .path = path, .path_to = path_to};
        error = op_error(port_call(ends->port, &rename));
        if (!error)
            tell(ends, "%s lies behind what was cut: it is kept aside as .log.damaged", path);
    }
    return error;
}

static enum error cut_segment(struct ends *ends)
{
    const struct ending *log = &ends->log;
    char path[PATH_BYTES];
    path_of(ends, log->segments.items[log->broken], ".log", path);
    struct op open = {.kind = OP_OPEN, .path = path, .flags = OPEN_READ | OPEN_WRITE};
    int64_t handle = port_call(ends->port, &open);
    if (handle < 0)
        return op_error(handle);
    int64_t position = MUTANT(cut_too_much) && log->position > 0 ? 0 : log->position;
    struct op cut = {.kind = OP_TRUNCATE, .handle = (int32_t)handle, .size = (size_t)position};
    struct op flush = {.kind = OP_FLUSH, .handle = (int32_t)handle};
    struct op close = {.kind = OP_CLOSE, .handle = (int32_t)handle};
    enum error error = op_error(port_call(ends->port, &cut));
    if (!error)
        error = op_error(port_call(ends->port, &flush));
    (void)port_call(ends->port, &close); /* flushed, or the error above counts */
    return error;
}

static enum error cut_log(struct ends *ends)
{
    const struct ending *log = &ends->log;
    char path[PATH_BYTES];
    REACHED("torn end of a Kafka node's log");
    path_of(ends, log->segments.items[log->broken], ".log", path);
    enum error error = keep_aside(ends);
    if (!error && !MUTANT(skip_fsync_before_kafka_cut))
        error = start_folder_flush(ends->port, log->folder);
    if (!error && !MUTANT(cut_too_little))
        error = cut_segment(ends);
    if (error)
        return error;
    ends->report->cut++;
    tell(ends,
         "%s, position %lld: %s; the Kafka node that died had not flushed it: %lld bytes are cut, "
         "the log ends at offset %lld",
         path, (long long)log->position, log->fault, (long long)(log->size - log->position),
         (long long)log->next_offset);
    return ERROR_NONE;
}

/* An empty segment at the log start; those below it go with what was deleted. */
static enum error begin_at_start(struct ends *ends)
{
    char path[PATH_BYTES];
    REACHED("a Kafka node's log that ends before its start");
    path_of(ends, ends->log.start, ".log", path);
    tell(ends, "%s ends at offset %lld, and records up to %lld were deleted: it goes on there",
         ends->log.folder, (long long)ends->log.next_offset, (long long)ends->log.start);
    return start_file_write(ends->port, path, (struct bytes){(const uint8_t *)"", 0});
}

/* ---- damage -------------------------------------------------------------------------------- */

static void describe(const struct ends *ends, char *reason, size_t size)
{
    const struct ending *log = &ends->log;
    char path[PATH_BYTES];
    path_of(ends, log->segments.items[log->broken < 0 ? log->segments.count - 1 : log->broken],
            ".log", path);
    if (log->broken < 0)
        snprintf(reason, size,
                 "%.600s: it ends at offset %lld, and a Kafka node had flushed up to %lld", path,
                 (long long)log->next_offset, (long long)log->point);
    else
        snprintf(reason, size, "%.600s, position %lld: %s, below what a Kafka node had flushed",
                 path, (long long)log->position, log->fault);
}

/* A file that keeps the log closed: there is nothing in it but the reason. Without a topic id none
 * can be written; then the folder is refused for that when it is opened. */
static enum error set_aside(struct ends *ends, const char *topic_partition)
{
    const struct ending *log = &ends->log;
    char path[PATH_BYTES], reason[ASIDE_REASON_MOST + 1];
    struct bytes text;
    struct string topic;
    struct journal_entry bind = {.kind = ENTRY_BIND, .id = ASIDE_ID};
    snprintf(path, sizeof path, "%s/partition.metadata", log->folder);
    enum error error = start_file_read(ends->port, path, SMALL_BYTES_MAX, &text);
    bool named = !error && partition_metadata_decode(text, &bind.topic_id);
    memory_free((void *)(uintptr_t)text.data);
    describe(ends, reason, sizeof reason);
    tell(ends, "%s: the partition is offline, its files stay as they are", reason);
    ends->report->set_aside++;
    if (!named)
        return ERROR_NONE;
    REACHED("a Kafka node's log set aside");
    (void)folder_name_parse(topic_partition, &topic, &bind.partition); /* it was, when noted */
    bind.segment_base = log->segments.items[log->first];
    size_t at = aside_entries_at(reason);
    uint8_t *file = memory_zeroed(at + ENTRY_BIND_SIZE_MAX);
    size_t size = entry_bind_encode(&bind, file + at);
    aside_seal(file, reason, size);
    path_of(ends, bind.segment_base, ASIDE_SUFFIX, path);
    error = start_file_write(ends->port, path, (struct bytes){file, (int32_t)(at + size)});
    memory_free(file);
    return error;
}

static enum error refuse(struct ends *ends)
{
    char reason[ASIDE_REASON_MOST + 1];
    describe(ends, reason, sizeof reason);
    snprintf(ends->report->fault, sizeof ends->report->fault,
             "%.350s; nothing was cut: restore the folder from a copy, or have a Kafka node start "
             "on it",
             reason);
    return ERROR_MALFORMED;
}

/* ---- a log --------------------------------------------------------------------------------- */

static enum error make_whole(struct ends *ends, const char *name)
{
    struct ending *log = &ends->log;
    bool damaged = log->next_offset < log->point;
    ends->report->logs++;
    if (damaged && log->is_metadata)
        return refuse(ends);
    if (log->broken >= 0 && log->is_old && !damaged) /* it is refused when it is opened */
        return ERROR_NONE;
    enum error error = damaged ? set_aside(ends, name) : remove_caches(ends);
    if (!error && !damaged && log->broken >= 0)
        error = cut_log(ends);
    if (!error && !damaged && log->next_offset < log->start)
        error = begin_at_start(ends);
    if (MUTANT(skip_fsync_of_kafka_log))
        return error;
    /* Once the directory has its mark this is not done again. */
    return error ? error : start_folder_flush(ends->port, log->folder);
}

static enum error recover_log(struct ends *ends, const char *name)
{
    struct string topic;
    int32_t partition;
    struct ending *log = &ends->log;
    (void)folder_name_parse(name, &topic, &partition); /* it was, when it was noted */
    *log = (struct ending){.broken = -1};
    snprintf(log->folder, sizeof log->folder, "%s/%s", ends->directory, name);
    log->is_metadata = string_equal(topic, STRING("__cluster_metadata"));
    log->point = max_i64(0, offset_checkpoint_get(&ends->points.checkpoint, topic, partition));
    log->start = max_i64(0, offset_checkpoint_get(&ends->starts.checkpoint, topic, partition));
    enum error error = redo_list(ends->port, log->folder, note_file, ends);
    if (!error && log->segments.count > 0) {
        qsort(log->segments.items, (size_t)log->segments.count, sizeof(int64_t), compare_offsets);
        error = look_at_log(ends);
        if (!error)
            error = make_whole(ends, name);
    }
    if (error && !ends->report->fault[0])
        snprintf(ends->report->fault, sizeof ends->report->fault,
                 "%s, left by a Kafka node that died, can't be made whole: %s", log->folder,
                 error_text(error));
    memory_free(log->segments.items);
    memory_free(log->snapshots.items);
    return error;
}

/* ---- all of them --------------------------------------------------------------------------- */

static bool is_of_share(const struct kafka_share *share, const char *name)
{
    uint32_t sum = 0;
    for (; *name; name++)
        sum = sum * 31 + (uint8_t)*name;
    return sum % (uint32_t)share->count == (uint32_t)share->number;
}

static enum error note_folder(void *context, char kind, const char *name)
{
    struct ends *ends = context;
    struct string topic;
    int32_t partition;
    if (kind != 'd' || !folder_name_parse(name, &topic, &partition) ||
        !is_of_share(&ends->share, name))
        return ERROR_NONE;
    ends->folders = memory_with_room(ends->folders, ends->folder_count, sizeof(char *));
    size_t size = strlen(name) + 1;
    char *copy = memory_zeroed(size);
    memcpy(copy, name, size);
    ends->folders[ends->folder_count++] = copy;
    return ERROR_NONE;
}

/* Missing or damaged: all that it would tell is 0, as for Kafka. */
static void read_told(struct ends *ends, const char *name, struct told *told)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", ends->directory, name);
    (void)start_file_read(ends->port, path, CHECKPOINT_BYTES_MAX, &told->text);
    (void)offset_checkpoint_read(&told->checkpoint, told->text);
}

static void forget_told(struct told *told)
{
    offset_checkpoint_done(&told->checkpoint);
    memory_free((void *)(uintptr_t)told->text.data);
}

enum error kafka_ends_cut(struct port *port, const char *directory, const struct kafka_share *share,
                          struct kafka_ends *ret_ends)
{
    struct ends ends = {.port = port,
                        .directory = directory,
                        .share = share ? *share : (struct kafka_share){0, 1, NULL, NULL},
                        .report = ret_ends};
    struct recovery_progress *progress = ends.share.progress;
    *ret_ends = (struct kafka_ends){0};
    read_told(&ends, "recovery-point-offset-checkpoint", &ends.points);
    read_told(&ends, "log-start-offset-checkpoint", &ends.starts);
    enum error error = redo_list(port, directory, note_folder, &ends);
    recovery_moved(progress, port, RECOVERY_LOGS, (uint64_t)ends.folder_count);
    for (int32_t i = 0; i < ends.folder_count; i++) {
        if (!error && recovery_is_off(ends.share.halt))
            error = ERROR_CANCELLED;
        if (!error)
            error = recover_log(&ends, ends.folders[i]);
        if (!error)
            recovery_moved(progress, port, RECOVERY_LOGS_RECOVERED, 1);
        memory_free(ends.folders[i]);
    }
    memory_free(ends.folders);
    forget_told(&ends.points);
    forget_told(&ends.starts);
    return error;
}
