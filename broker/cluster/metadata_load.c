#include "cluster/metadata_load.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/reached.h"
#include "cluster/catalogue.h"
#include "cluster/metadata_log.h"
#include "cluster/metadata_transaction.h"
#include "cluster/start_progress.h"
#include "protocol/batch.h"
#include "storage/redo.h"
#include "storage/segment.h"
#include <stdio.h>
#include <string.h>
#include <stdlib.h>

struct loading {
    struct broker *broker;
    struct port *port;
    const char *folder;
    struct metadata_found *found;
    struct arena batch; /* the records of a compressed one, until its end */
    struct arena arena; /* of one record */
    struct metadata_transaction transaction;
    int64_t from;        /* records of the log below it are in the snapshot */
    int64_t next_offset; /* of the log, or of the snapshot: that must come next */
    int64_t log_end;     /* as far as it was looked at */
    uint64_t records;
    char *why;
    size_t why_size;
};

static enum error fault(struct loading *loading, enum error error, const char *what)
{
    snprintf(loading->why, loading->why_size, "%s, offset %lld: %s (%s)", loading->folder,
             (long long)loading->next_offset, what, error_text(error));
    return error;
}

/* ---- what is there ------------------------------------------------------------------------- */

static enum error note_name(void *context, char kind, const char *name)
{
    struct metadata_found *found = context;
    struct snapshot_id id;
    int64_t base;
    if (kind != 'f')
        return ERROR_NONE;
    if (segment_name_parse(name, ".log", &base)) {
        found->segments =
            memory_with_room(found->segments, found->segment_count, sizeof *found->segments);
        found->segments[found->segment_count++] = (struct metadata_segment){base, -1};
    } else if (snapshot_name_parse(name, SNAPSHOT_SUFFIX, &id)) {
        found->snapshots =
            memory_with_room(found->snapshots, found->snapshot_count, sizeof *found->snapshots);
        found->snapshots[found->snapshot_count++] = (struct snapshot_entry){id, -1, -1};
    } else if (snapshot_name_parse(name, SNAPSHOT_PART_SUFFIX, &id)) {
        found->parts = memory_with_room(found->parts, found->part_count, sizeof *found->parts);
        found->parts[found->part_count++] = id;
    }
    return ERROR_NONE;
}

static int compare_segments(const void *a, const void *b)
{
    const struct metadata_segment *left = a, *right = b;
    return left->base_offset < right->base_offset ? -1 : left->base_offset > right->base_offset;
}

static int compare_snapshots(const void *a, const void *b)
{
    const struct snapshot_entry *left = a, *right = b;
    if (left->id.end_offset != right->id.end_offset)
        return left->id.end_offset < right->id.end_offset ? -1 : 1;
    return left->id.epoch < right->id.epoch ? -1 : left->id.epoch > right->id.epoch;
}

static enum error list_folder(struct loading *loading)
{
    struct metadata_found *found = loading->found;
    enum error error = redo_list(loading->port, loading->folder, note_name, found);
    if (error == ERROR_NOT_FOUND)
        return ERROR_NONE;
    if (error)
        return fault(loading, error, "the folder can't be read");
    if (found->segment_count > 1)
        qsort(found->segments, (size_t)found->segment_count, sizeof *found->segments,
              compare_segments);
    if (found->snapshot_count > 1)
        qsort(found->snapshots, (size_t)found->snapshot_count, sizeof *found->snapshots,
              compare_snapshots);
    return ERROR_NONE;
}

/* ---- files --------------------------------------------------------------------------------- */

/* A file from `position` on, in memory that is the caller's. */
static enum error read_from(struct loading *loading, const char *name, int64_t position,
                            uint8_t **ret_data, int64_t *ret_size)
{
    struct file_stat stat;
    char path[1100];
    snprintf(path, sizeof path, "%s/%s", loading->folder, name);
    struct op open = {.kind = OP_OPEN, .path = path, .flags = OPEN_READ};
    *ret_data = NULL;
    *ret_size = 0;
    int64_t handle = port_call(loading->port, &open);
    if (handle < 0)
        return op_error(handle);
    struct op stat_op = {.kind = OP_STAT, .handle = (int32_t)handle, .data = &stat};
    int64_t result = port_call(loading->port, &stat_op);
    int64_t wanted = result >= 0 ? max_i64(stat.size_bytes - position, 0) : 0, size = 0;
    uint8_t *data = memory_aligned(4096, (size_t)wanted + 1);
    while (result >= 0 && size < wanted) {
        struct op read = {.kind = OP_READ,
                          .handle = (int32_t)handle,
                          .data = data + size,
                          .size = (size_t)(wanted - size),
                          .offset = position + size};
        result = port_call(loading->port, &read);
        if (result == 0)
            break;
        size += max_i64(result, 0);
    }
    struct op close = {.kind = OP_CLOSE, .handle = (int32_t)handle};
    (void)port_call(loading->port, &close); /* only read */
    *ret_data = data;
    *ret_size = size;
    return op_error(result);
}

/* ---- batches ------------------------------------------------------------------------------- */

static enum error decode_value(struct loading *loading, struct bytes value,
                               struct metadata_value *ret)
{
    enum error error = metadata_log_decode(value, &loading->arena, ret);
    if (error == ERROR_NEWER_VERSION)
        return fault(loading, error, "a record of a type or version not known here");
    return error ? fault(loading, error, "a record that can't be read") : ERROR_NONE;
}

static enum error apply_value(struct loading *loading, const struct metadata_value *value)
{
    enum error error = ERROR_NONE;
    for (int i = 0; i < loading->broker->core_count && !error; i++)
        error = catalogue_apply(&loading->broker->shards[i], value->message, value->value);
    if (!error)
        error = image_apply(&loading->broker->machine.decided, value->message->key, value->value);
    loading->records++;
    return error ? fault(loading, error, "a record that can't be applied") : ERROR_NONE;
}

/* A transaction has ended: what it held takes effect. */
static enum error apply_held(struct loading *loading)
{
    size_t position = 0;
    enum error error = ERROR_NONE;
    for (struct bytes held;
         !error && (held = metadata_transaction_next(&loading->transaction, &position)).size >= 0;
         arena_reset(&loading->arena, 1 << 20)) {
        struct metadata_value value;
        error = decode_value(loading, held, &value);
        if (!error)
            error = apply_value(loading, &value);
    }
    return error;
}

/* A record of the log: in a transaction it waits for the end of that. */
static enum error take_value(struct loading *loading, struct bytes bytes)
{
    struct metadata_value value;
    enum error error = decode_value(loading, bytes, &value);
    if (error)
        return error;
    switch (metadata_transaction_take(&loading->transaction, value.message->key, bytes)) {
    case METADATA_APPLY:
        return apply_value(loading, &value);
    case METADATA_HELD:
        return ERROR_NONE;
    case METADATA_REPLAY:
        return apply_held(loading);
    default:
        return fault(loading, ERROR_MALFORMED, "a transaction that is none, or is too large");
    }
}

static enum error note_control(struct loading *loading, const struct record *record)
{
    enum error error = quorum_note(&loading->broker->quorum, &loading->arena, record);
    return error ? fault(loading, error, "a control record that can't be read") : ERROR_NONE;
}

static enum error apply_batch(struct loading *loading, const struct batch *batch)
{
    struct batch_iterator iterator;
    struct record record;
    enum error error = batch_check_crc(batch);
    if (!error)
        error = batch_iterate(batch, &loading->batch, &iterator);
    if (error)
        return fault(loading, error, "a batch that is damaged");
    while (!error && batch_next(&iterator, &record)) {
        if (record.offset >= loading->next_offset) {
            loading->next_offset = record.offset;
            error = batch->attributes & BATCH_CONTROL ? note_control(loading, &record)
                                                      : take_value(loading, record.value);
        }
        arena_reset(&loading->arena, 1 << 20);
    }
    if (!error && iterator.reader.error)
        error = fault(loading, iterator.reader.error, "a batch that is damaged");
    arena_reset(&loading->batch, 1 << 20);
    start_progress_metadata(loading->broker, loading->port, loading->records);
    return error;
}

/* All batches of `data` that hold anything from next_offset on. */
static enum error apply_batches(struct loading *loading, const uint8_t *data, int64_t size)
{
    enum error error = ERROR_NONE;
    for (int64_t at = 0; at < size && !error;) {
        struct batch batch;
        error = batch_view(data + at, (size_t)(size - at), &batch);
        if (error)
            return fault(loading, error, "a batch that is damaged");
        at += batch.whole.size;
        loading->log_end = batch_last_offset(&batch) + 1;
        loading->broker->quorum.is_founded = true;
        quorum_note_epoch(&loading->broker->quorum, batch.leader_epoch);
        if (batch_last_offset(&batch) < loading->next_offset)
            continue;
        if (batch.base_offset > loading->next_offset)
            return fault(loading, ERROR_MALFORMED, "records are missing here");
        error = apply_batch(loading, &batch);
        if (!error) {
            loading->next_offset = batch_last_offset(&batch) + 1;
            loading->found->last_ms = max_i64(loading->found->last_ms, batch.max_timestamp);
        }
    }
    return error;
}

/* ---- snapshots ----------------------------------------------------------------------------- */

static void warn(struct loading *loading, const char *name, const struct snapshot_report *report)
{
    struct metadata_found *found = loading->found;
    size_t used = strlen(found->warning);
    snprintf(found->warning + used, sizeof found->warning - used,
             "%s%s/%s, position %lld: %s; it is passed over, and put aside as %s", used ? "; " : "",
             loading->folder, name, (long long)report->position, report->fault,
             SNAPSHOT_DAMAGED_SUFFIX);
}

/* Takes the newest one out: it is not whole. */
static void put_aside(struct metadata_found *found)
{
    found->damaged = memory_with_room(found->damaged, found->damaged_count, sizeof *found->damaged);
    found->damaged[found->damaged_count++] = found->snapshots[--found->snapshot_count].id;
}

/* Reads the newest one. NOT_FOUND: it is damaged. */
static enum error load_snapshot(struct loading *loading, struct snapshot_entry *entry)
{
    struct metadata_found *found = loading->found;
    struct snapshot_report report = {0};
    char name[SNAPSHOT_NAME_SIZE];
    uint8_t *data;
    int64_t size;
    snapshot_name(entry->id, SNAPSHOT_SUFFIX, name);
    enum error error = read_from(loading, name, 0, &data, &size);
    loading->next_offset = entry->id.end_offset;
    if (error) { /* it may be whole: nothing is decided without it */
        memory_free(data);
        return fault(loading, error == ERROR_NOT_FOUND ? ERROR_INPUT_OUTPUT : error,
                     "the snapshot that ends here can't be read");
    }
    if (!snapshot_check(data, (size_t)size, &report)) {
        warn(loading, name, &report);
        memory_free(data);
        put_aside(found);
        return ERROR_NOT_FOUND;
    }
    loading->next_offset = 0;
    loading->records = 0;
    error = apply_batches(loading, data, size);
    memory_free(data);
    entry->size_bytes = size;
    entry->last_ms = report.last_ms;
    found->loaded_end = entry->id.end_offset;
    quorum_note_epoch(&loading->broker->quorum, entry->id.epoch);
    found->last_ms = report.last_ms;
    found->snapshot_bytes = (uint64_t)size;
    found->snapshot_records = loading->records;
    return error;
}

/* The newest that is whole and joins the log. */
static enum error load_newest_snapshot(struct loading *loading)
{
    struct metadata_found *found = loading->found;
    int64_t log_start = found->segment_count ? found->segments[0].base_offset : 0;
    enum error error = ERROR_NOT_FOUND;
    while (error == ERROR_NOT_FOUND && found->snapshot_count > 0) {
        struct snapshot_entry *newest = &found->snapshots[found->snapshot_count - 1];
        if (newest->id.end_offset < log_start)
            break;
        error = load_snapshot(loading, newest);
    }
    if (error != ERROR_NOT_FOUND)
        return error;
    loading->next_offset = log_start;
    if (log_start == 0)
        return ERROR_NONE;
    return fault(loading, ERROR_NOT_FOUND,
                 "the metadata log begins here, and there is no whole snapshot (.checkpoint) of "
                 "what was before: restore one from a copy of this folder");
}

/* ---- the log ------------------------------------------------------------------------------- */

/* Where reading may begin: at a batch that ends below `from`, as the segment's index says. An index
 * is a cache: the batch there is looked at, and without it reading begins at 0. */
static int64_t position_in(struct loading *loading, int64_t base)
{
    char name[SEGMENT_NAME_SIZE];
    uint8_t *data, *log;
    int64_t size, log_size, position = 0, last = -1;
    segment_name(base, ".index", name);
    if (loading->from <= base || read_from(loading, name, 0, &data, &size) != ERROR_NONE)
        return 0;
    for (int64_t at = 0; at + 8 <= size; at += 8) {
        int64_t entry = base + load_be32(data + at);
        if (entry >= loading->from || load_be32(data + at + 4) <= position)
            break;
        last = entry;
        position = load_be32(data + at + 4);
    }
    memory_free(data);
    segment_name(base, ".log", name);
    if (position == 0)
        return 0;
    struct batch batch;
    bool right = read_from(loading, name, position, &log, &log_size) == ERROR_NONE &&
                 batch_view(log, (size_t)log_size, &batch) == ERROR_NONE &&
                 batch_check_crc(&batch) == ERROR_NONE && batch_last_offset(&batch) == last;
    memory_free(log);
    return right ? position : 0;
}

static enum error load_segment(struct loading *loading, struct metadata_segment *segment)
{
    char name[SEGMENT_NAME_SIZE];
    uint8_t *data;
    int64_t size, position = position_in(loading, segment->base_offset);
    loading->log_end = segment->base_offset;
    segment_name(segment->base_offset, ".log", name);
    enum error error = read_from(loading, name, position, &data, &size);
    if (error)
        (void)fault(loading, error, "the segment can't be read");
    else
        error = apply_batches(loading, data, size);
    loading->found->log_bytes += (uint64_t)size;
    segment->size_bytes = position + size;
    memory_free(data);
    return error;
}

static enum error load_log(struct loading *loading)
{
    struct metadata_found *found = loading->found;
    enum error error = ERROR_NONE;
    int32_t first = 0;
    if (found->loaded_end >= 0)
        loading->next_offset = found->loaded_end;
    loading->from = loading->next_offset;
    loading->records = 0;
    loading->log_end = 0;
    while (first + 1 < found->segment_count &&
           found->segments[first + 1].base_offset <= loading->from)
        first++;
    for (int32_t i = first; i < found->segment_count && !error; i++)
        error = load_segment(loading, &found->segments[i]);
    found->log_records = loading->records;
    if (!error && loading->log_end < found->loaded_end)
        error = fault(loading, ERROR_NOT_FOUND,
                      "a snapshot says what the log holds up to here, and the log ends before: "
                      "restore its newest segment from a copy");
    return error;
}

/* What Kafka's Raft has left of itself: an epoch that the log may not know yet. */
static enum error read_quorum_state(struct loading *loading)
{
    uint8_t *data;
    int64_t size;
    enum error error = read_from(loading, QUORUM_STATE_FILE, 0, &data, &size);
    if (!error) {
        data[size] = 0; /* read_from has room for it */
        quorum_note_epoch(&loading->broker->quorum, quorum_state_epoch((const char *)data));
    }
    memory_free(data);
    if (error && error != ERROR_NOT_FOUND)
        return fault(loading, error, QUORUM_STATE_FILE " can't be read");
    return ERROR_NONE;
}

enum error metadata_load(struct broker *broker, struct port *port, const char *folder,
                         struct metadata_found *found, char *why, size_t why_size)
{
    struct loading loading = {.broker = broker,
                              .port = port,
                              .folder = folder,
                              .found = found,
                              .why = why,
                              .why_size = why_size};
    *found = (struct metadata_found){.loaded_end = -1, .last_ms = -1};
    arena_init(&loading.arena, 64u << 20);
    arena_init(&loading.batch, 64u << 20);
    enum error error = list_folder(&loading);
    if (!error)
        error = load_newest_snapshot(&loading);
    if (!error && found->loaded_end > 0)
        REACHED("a start from a snapshot");
    if (!error)
        error = load_log(&loading);
    if (!error)
        error = read_quorum_state(&loading);
    broker->metadata_unended = loading.transaction.is_open;
    metadata_transaction_done(&loading.transaction);
    arena_done(&loading.arena);
    arena_done(&loading.batch);
    return error;
}

void metadata_found_done(struct metadata_found *found)
{
    memory_free(found->snapshots);
    memory_free(found->damaged);
    memory_free(found->parts);
    memory_free(found->segments);
    *found = (struct metadata_found){.loaded_end = -1, .last_ms = -1};
}
