/* Caches beside a segment: the time index, the leader epochs; judged by the headers of the batches.
 */
#include "base/memory.h"
#include "logic/epochs.h"
#include "protocol/batch.h"
#include "storage/log_epochs.h"
#include "storage/segment.h"
#include "tools/dump.h"
#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENTS_MOST = 1 << 20, EPOCHS_BYTES_MOST = 64 << 20 };

/* What is looked at of a batch; false if no whole one begins at the position. */
struct header {
    int64_t size, base_offset, last_offset, max_timestamp_ms;
    int32_t leader_epoch;
};

static bool read_header(struct dump_file *log, int64_t position, struct header *ret)
{
    const uint8_t *bytes = dump_file_at(log, position, BATCH_RECORDS_AT);
    if (!bytes)
        return false;
    *ret = (struct header){.size = batch_size_at(bytes),
                           .base_offset = (int64_t)load_be64(bytes),
                           .last_offset = batch_last_offset_at(bytes),
                           .max_timestamp_ms = (int64_t)load_be64(bytes + BATCH_MAX_TIMESTAMP_AT),
                           .leader_epoch = (int32_t)load_be32(bytes + BATCH_LEADER_EPOCH_AT)};
    return ret->size >= BATCH_RECORDS_AT && bytes[BATCH_MAGIC_AT] == 2 &&
           position + ret->size <= log->size;
}

/* --- the time index -------------------------------------------------------------------------- */

struct times_walk {
    struct dump *dump;
    const char *path;
    struct dump_file log;
    int64_t base_offset;
    int64_t position;             /* of the batch behind those that were looked at */
    int64_t largest_ms;           /* of those; -1: none */
    int64_t last_ms, last_offset; /* of the entry before */
    bool left;                    /* the rest is recovery's */
};

/* Goes to the batch that the entry names. Null: it is the first that is as late. */
static const char *check_entry(struct times_walk *walk, int64_t timestamp_ms, int64_t offset)
{
    if (timestamp_ms <= walk->last_ms || offset <= walk->last_offset)
        return "it is not beyond the entry before it";
    struct header header;
    int64_t redo_position = dump_redo_position(walk->dump, walk->base_offset);
    while (read_header(&walk->log, walk->position, &header)) {
        walk->left = walk->position >= redo_position;
        if (walk->left)
            return NULL;
        walk->position += header.size;
        bool first = header.max_timestamp_ms > walk->largest_ms;
        if (first)
            walk->largest_ms = header.max_timestamp_ms;
        if (header.last_offset < offset)
            continue;
        if (header.last_offset > offset)
            return "its offset is not the last of a batch";
        if (header.max_timestamp_ms != timestamp_ms)
            return "its timestamp is not that of the batch it names";
        return first ? NULL : "a batch before it is as late";
    }
    return "it names no whole batch of the segment";
}

static int64_t walk_entries(struct times_walk *walk, struct dump_file *index)
{
    struct dump *dump = walk->dump;
    const uint8_t *bytes;
    int64_t at = 0;
    for (; (bytes = dump_file_at(index, at, TIME_ENTRY_BYTES)); at += TIME_ENTRY_BYTES) {
        int64_t timestamp_ms = (int64_t)load_be64(bytes);
        int64_t offset = walk->base_offset + load_be32(bytes + 8);
        if (timestamp_ms == 0 && dump_file_is_zero(index, at)) {
            dump_left(dump, walk->path, at, "zeros up to the end: room that was allocated ahead");
            break;
        }
        dump_event(dump, "entry timestamp=%" PRId64 " offset=%" PRId64 "\n", timestamp_ms, offset);
        const char *fault = check_entry(walk, timestamp_ms, offset);
        if (walk->left) {
            dump_left(dump, walk->path, at, "it names a batch that the journal holds");
            break;
        }
        if (fault) {
            dump_fault(dump, walk->path, at, "%s (an index is a cache: it is made anew)", fault);
            break;
        }
        walk->last_ms = timestamp_ms;
        walk->last_offset = offset;
    }
    return at / TIME_ENTRY_BYTES;
}

/* All of a segment that the journal holds nothing of must be in its time index. */
static void check_largest(struct times_walk *walk, int64_t index_size)
{
    struct header header;
    if (walk->dump->file_faults > 0 || walk->left ||
        dump_redo_position(walk->dump, walk->base_offset) != INT64_MAX)
        return;
    for (; read_header(&walk->log, walk->position, &header); walk->position += header.size)
        if (header.max_timestamp_ms > walk->last_ms && index_size == 0) {
            dump_left(walk->dump, walk->path, 0,
                      "it is empty, as Kafka leaves it: it is made anew "
                      "once a time is looked up");
            return;
        } else if (header.max_timestamp_ms > walk->last_ms) {
            dump_fault(walk->dump, walk->path, index_size,
                       "a timestamp behind its last entry is larger: %" PRId64 ", offset %" PRId64
                       " (an index is a cache: it is made anew)",
                       header.max_timestamp_ms, header.last_offset);
            return;
        }
}

void dump_time_index(struct dump *dump, const char *path, int64_t base_offset)
{
    struct times_walk walk = {.dump = dump,
                              .path = path,
                              .base_offset = base_offset,
                              .largest_ms = -1,
                              .last_ms = -1,
                              .last_offset = -1};
    struct dump_file index;
    char log_path[4096];
    dump_begin(dump, path);
    snprintf(log_path, sizeof log_path, "%.*s.log", (int)(strlen(path) - strlen(".timeindex")),
             path);
    bool is_open = dump_file_open(dump, &index, path);
    if (is_open && dump_file_open(dump, &walk.log, log_path)) {
        int64_t entries = walk_entries(&walk, &index);
        if (index.size % TIME_ENTRY_BYTES != 0)
            dump_fault(dump, path, index.size - index.size % TIME_ENTRY_BYTES,
                       "the last entry is cut");
        check_largest(&walk, index.size);
        dump_end(dump, path, "entries=%" PRId64, entries);
    }
    if (is_open)
        dump_file_close(&walk.log);
    dump_file_close(&index);
}

/* --- the leader epochs ------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* Where the first batch of each epoch begins, and where the batch before that ends: between lies
 * what compaction took. */
struct found_epochs {
    struct epochs first, before;
    int64_t end;
};

/* Adds the epochs of one segment's batches. */
static void add_epochs(struct found_epochs *found, const char *folder, int64_t base_offset)
{
    char path[4096], name[SEGMENT_NAME_SIZE];
    struct dump_file log;
    struct header header;
    segment_name(base_offset, ".log", name);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (dump_file_open(NULL, &log, path))
        for (int64_t at = 0; read_header(&log, at, &header); at += header.size) {
            if (header.leader_epoch > epochs_latest(&found->first) && header.base_offset >= 0) {
                epochs_assign(&found->first, header.leader_epoch, header.base_offset);
                epochs_assign(&found->before, header.leader_epoch, found->end);
            }
            if (header.last_offset < INT64_MAX)
                found->end = max_i64(found->end, header.last_offset + 1);
        }
    dump_file_close(&log);
}

/* The epochs of all batches in the folder. */
static void collect_epochs(struct found_epochs *found, const char *folder)
{
    int64_t *bases = NULL, base;
    int count = 0;
    DIR *list = opendir(folder);
    for (struct dirent *entry; list && (entry = readdir(list)) && count < SEGMENTS_MOST;) {
        if (!segment_name_parse(entry->d_name, ".log", &base))
            continue;
        bases = memory_resized(bases, (size_t)(count + 1) * sizeof *bases);
        bases[count++] = base;
    }
    if (list)
        closedir(list);
    if (count > 0)
        qsort(bases, (size_t)count, sizeof *bases, compare);
    for (int i = 0; i < count; i++)
        add_epochs(found, folder, bases[i]);
    memory_free(bases);
}

static const struct epoch_entry *first_from(const struct epochs *epochs, int32_t epoch)
{
    for (int32_t i = 0; i < epochs->count; i++)
        if (epochs->entries[i].epoch >= epoch)
            return &epochs->entries[i];
    return NULL;
}

/* Both say the same of what lies in the segments, if the journal holds nothing of the log. An epoch
 * may begin in a gap, or lie in it as a whole. */
static void compare_epochs(struct dump *dump, const char *path, const struct epochs *epochs)
{
    char folder[4096];
    struct found_epochs found = {0};
    snprintf(folder, sizeof folder, "%.*s", (int)(strlen(path) - strlen("/" EPOCHS_FILE)), path);
    collect_epochs(&found, folder);
    if (epochs->count > 0 && found.first.count > 0)
        epochs_truncate_start(&found.first, epochs->entries[0].start_offset);
    int32_t named = 0;
    bool same = true;
    for (int32_t i = 0; i < epochs->count && same; i++) {
        const struct epoch_entry *entry = &epochs->entries[i];
        const struct epoch_entry *first = first_from(&found.first, entry->epoch);
        const struct epoch_entry *before = first ? first_from(&found.before, first->epoch) : NULL;
        bool is_there = first && first->epoch == entry->epoch;
        named += is_there;
        same = before && entry->start_offset >= before->start_offset &&
               entry->start_offset < first->start_offset + is_there;
    }
    if (!same || named != found.first.count)
        dump_fault(dump, path, 0, "the batches of the segments say otherwise (it is a cache)");
    epochs_free(&found.first);
    epochs_free(&found.before);
}

void dump_epochs(struct dump *dump, const char *path)
{
    struct dump_file file;
    struct epochs epochs = {0};
    dump_begin(dump, path);
    if (dump_file_open(dump, &file, path)) {
        const uint8_t *text =
            file.size <= EPOCHS_BYTES_MOST ? dump_file_at(&file, 0, file.size) : NULL;
        if (!text || !epochs_decode(&epochs, (struct bytes){text, (int32_t)file.size}))
            dump_fault(dump, path, 0,
                       "it is not \"0\", a number, and so many lines of epoch and start offset");
        for (int32_t i = 0; i < epochs.count; i++)
            dump_event(dump, "entry epoch=%d start_offset=%" PRId64 "\n", epochs.entries[i].epoch,
                       epochs.entries[i].start_offset);
        if (dump->redo)
            dump_left(dump, path, 0, "the journal holds the end of the log: recovery completes it");
        else if (dump->file_faults == 0)
            compare_epochs(dump, path, &epochs);
        dump_end(dump, path, "entries=%d", epochs.count);
    }
    epochs_free(&epochs);
    dump_file_close(&file);
}
