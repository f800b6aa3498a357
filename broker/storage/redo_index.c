#include "storage/redo_index.h"
#include "base/memory.h"
#include "base/reached.h"
#include "protocol/batch.h"
#include "storage/recovery_pass.h"
#include "storage/redo.h"
#include "storage/segment.h"
#include "storage/txn_index.h"
#include <stdio.h>

enum { INDEX_INTERVAL_BYTES = 4096 /* Kafka's default; what a topic sets is not known here */ };

/* Below. */
static enum error write_file(struct redo *redo, const char *suffix, const uint8_t *bytes,
                             int64_t size, int64_t kept);

static int64_t call(struct redo *redo, struct op op)
{
    return recovery_pass_call(redo->pass, &op);
}

static int64_t open_file(struct redo *redo, const char *suffix, uint32_t flags)
{
    char path[1100], name[SEGMENT_NAME_SIZE];
    segment_name(redo->segment_base, suffix, name);
    snprintf(path, sizeof path, "%s/%s", redo->folder, name);
    return call(redo, (struct op){.kind = OP_OPEN, .path = path, .flags = flags});
}

/* Reads `size` bytes at `offset`, fewer at the file's end. */
static enum error read_bytes(struct redo *redo, int32_t handle, uint8_t *to, int64_t *size,
                             int64_t offset)
{
    int64_t got = 0, result = 1;
    while (got < *size && result > 0) {
        result = call(redo, (struct op){.kind = OP_READ,
                                        .handle = handle,
                                        .data = to + got,
                                        .offset = offset + got,
                                        .size = (size_t)(*size - got)});
        got += result > 0 ? result : 0;
    }
    *size = got;
    return op_error(result);
}

/* All of a file, in memory of the caller's to free. NOT_FOUND. */
static enum error read_file(struct redo *redo, const char *suffix, uint8_t **ret_bytes,
                            int64_t *ret_size)
{
    int64_t handle = open_file(redo, suffix, OPEN_READ);
    if (handle < 0)
        return op_error(handle);
    struct file_stat stat = {0};
    int64_t result =
        call(redo, (struct op){.kind = OP_STAT, .handle = (int32_t)handle, .data = &stat});
    enum error error = op_error(result);
    uint8_t *bytes = memory_zeroed((size_t)stat.size_bytes + 1);
    int64_t size = stat.size_bytes;
    if (!error)
        error = read_bytes(redo, (int32_t)handle, bytes, &size, 0);
    (void)call(redo, (struct op){.kind = OP_CLOSE, .handle = (int32_t)handle});
    if (error) {
        memory_free(bytes);
        return error;
    }
    *ret_bytes = bytes;
    *ret_size = size;
    return ERROR_NONE;
}

enum error redo_index_begin(struct redo *redo)
{
    redo->index = segment_new(NULL, redo->segment_base);
    redo->times_pending = true;
    redo->times_lost = false;
    uint8_t *bytes;
    int64_t size;
    enum error error = read_file(redo, ".index", &bytes, &size);
    if (error)
        return error == ERROR_NOT_FOUND ? ERROR_NONE : error;
    index_decode(redo->index, bytes, (size_t)size, segment_indexes_end(redo->written, INT32_MAX));
    memory_free(bytes);
    return ERROR_NONE;
}

/* ---- the largest timestamp before what is replayed ----------------------------------------- */

/* What recovery looks at of a batch that was there before. */
struct header {
    uint8_t bytes[BATCH_RECORDS_AT];
    int64_t size; /* 0: rot; the opening of the log says where */
    uint32_t relative_last_offset;
    int64_t max_timestamp_ms;
};

static enum error read_header(struct redo *redo, int64_t position, struct header *ret)
{
    int64_t got = sizeof ret->bytes;
    *ret = (struct header){0};
    enum error error = read_bytes(redo, redo->handle, ret->bytes, &got, position);
    if (error || got < (int64_t)sizeof ret->bytes)
        return error;
    int64_t size = batch_size_at(ret->bytes);
    int64_t last = batch_last_offset_at(ret->bytes);
    ret->size = size < BATCH_RECORDS_AT ? 0 : size;
    ret->relative_last_offset = (uint32_t)(last - redo->segment_base);
    ret->max_timestamp_ms = (int64_t)load_be64(ret->bytes + BATCH_MAX_TIMESTAMP_AT);
    return ERROR_NONE;
}

/* Does the last entry name a batch that has its timestamp? */
static enum error believe_last_entry(struct redo *redo)
{
    struct segment *segment = redo->index;
    const struct time_index *times = &segment->times;
    int64_t position =
        segment_index_find(segment, segment->base_offset + times->last_relative_offset);
    while (times->written > 0 && !redo->times_lost) {
        struct header header = {0};
        enum error error = ERROR_NONE;
        if (position < redo->written)
            error = read_header(redo, position, &header);
        if (error)
            return error;
        if (header.size == 0 || header.relative_last_offset > times->last_relative_offset)
            redo->times_lost = true;
        else if (header.relative_last_offset == times->last_relative_offset) {
            redo->times_lost = header.max_timestamp_ms != times->last_timestamp_ms;
            break;
        }
        position += header.size;
    }
    return ERROR_NONE;
}

/* Notes what lies between the last entry that is believed and the replayed bytes. With that entry
 * the time index got one too, unless no timestamp up to there was larger. */
static enum error note_tail(struct redo *redo)
{
    struct segment *segment = redo->index;
    int64_t position = segment->index_count ? segment->index[segment->index_count - 1].position : 0;
    bool has_entry = position > 0;
    while (position < redo->written && !redo->times_lost) {
        struct header header;
        enum error error = read_header(redo, position, &header);
        if (error)
            return error;
        redo->times_lost = header.size == 0 || (has_entry && header.max_timestamp_ms >
                                                                 segment->times.last_timestamp_ms);
        has_entry = false;
        segment_note_batch(segment, header.bytes, position, INDEX_INTERVAL_BYTES);
        position += header.size;
    }
    return ERROR_NONE;
}

/* Both are made anew from the headers of all batches before those that are replayed. */
static enum error make_anew(struct redo *redo)
{
    struct segment *segment = redo->index;
    REACHED("indexes made anew by recovery");
    segment->index_count = segment->index_written = 0;
    segment->indexed_position = 0;
    time_index_free(&segment->times);
    for (int64_t position = 0; position < redo->written;) {
        struct header header;
        enum error error = read_header(redo, position, &header);
        if (error || header.size == 0)
            return error;
        segment_note_batch(segment, header.bytes, position, INDEX_INTERVAL_BYTES);
        position += header.size;
    }
    return ERROR_NONE;
}

/* Judges the time index and sets redo->index to what holds of the bytes before those that are
 * replayed. */
static enum error begin_times(struct redo *redo)
{
    redo->times_pending = redo->times_lost = false;
    if (redo->written == 0)
        return ERROR_NONE;
    uint8_t *bytes;
    int64_t size;
    enum error error = read_file(redo, ".timeindex", &bytes, &size);
    if (error && error != ERROR_NOT_FOUND)
        return error;
    if (!error) {
        time_index_decode(&redo->index->times, bytes, (size_t)size, segment_times_end(redo->index));
        memory_free(bytes);
    }
    error = believe_last_entry(redo);
    if (!error)
        error = note_tail(redo);
    return error || !redo->times_lost ? error : make_anew(redo);
}

enum error redo_index_note(struct redo *redo, struct bytes batches, int64_t position)
{
    for (int32_t at = 0; at + BATCH_RECORDS_AT <= batches.size;) {
        const uint8_t *batch = batches.data + at;
        int64_t size = batch_size_at(batch);
        if (size < BATCH_RECORDS_AT || size > batches.size - at)
            return ERROR_NONE;
        enum error error = redo->times_pending ? begin_times(redo) : ERROR_NONE;
        if (error)
            return error;
        segment_note_batch(redo->index, batch, position + at, INDEX_INTERVAL_BYTES);
        at += (int32_t)size;
    }
    return ERROR_NONE;
}

enum error redo_index_cut(struct redo *redo, int64_t end_offset)
{
    uint8_t *bytes;
    int64_t size, kept = 0;
    enum error error = redo->times_pending ? begin_times(redo) : ERROR_NONE;
    if (!error)
        error = read_file(redo, ".txnindex", &bytes, &size);
    if (error)
        return error == ERROR_NOT_FOUND ? ERROR_NONE : error;
    struct aborted_txn_entry entry;
    while (txn_index_decode((struct bytes){bytes, (int32_t)size}, (int32_t)kept, redo->segment_base,
                            &entry) &&
           entry.last_offset < end_offset)
        kept++;
    memory_free(bytes);
    return write_file(redo, ".txnindex", NULL, 0, kept * TXN_INDEX_ENTRY);
}

/* ---- the files ------------------------------------------------------------------------------ */

/* Writes `size` bytes at `kept` and cuts the file behind them. */
static enum error write_file(struct redo *redo, const char *suffix, const uint8_t *bytes,
                             int64_t size, int64_t kept)
{
    int64_t handle = open_file(redo, suffix, OPEN_WRITE | OPEN_CREATE);
    if (handle < 0)
        return op_error(handle);
    enum error error = redo_write(redo->pass, (int32_t)handle, bytes, size, kept);
    if (!error)
        error = op_error(call(redo, (struct op){.kind = OP_TRUNCATE,
                                                .size = (size_t)(kept + size),
                                                .handle = (int32_t)handle}));
    if (!error && !redo->pass->flush_all)
        error = op_error(call(redo, (struct op){.kind = OP_FLUSH, .handle = (int32_t)handle}));
    (void)call(redo, (struct op){.kind = OP_CLOSE, .handle = (int32_t)handle});
    return error;
}

enum error redo_index_end(struct redo *redo)
{
    struct segment *index = redo->index;
    struct time_index *times = &index->times;
    enum error error = redo->times_pending ? begin_times(redo) : ERROR_NONE;
    if (error)
        return error;
    time_index_enter(times, (uint32_t)redo->written);
    int64_t count = index->index_count - index->index_written;
    size_t most = (size_t)max_i64(8 * count, TIME_ENTRY_BYTES * (int64_t)times->pending_count);
    uint8_t *bytes = memory_zeroed(most + 1);
    index_encode(index, index->index_written, (int32_t)count, bytes);
    error = write_file(redo, ".index", bytes, 8 * count, 8 * (int64_t)index->index_written);
    time_index_encode(times, times->pending_count, bytes);
    if (!error)
        error =
            write_file(redo, ".timeindex", bytes, TIME_ENTRY_BYTES * (int64_t)times->pending_count,
                       TIME_ENTRY_BYTES * (int64_t)times->written);
    memory_free(bytes);
    return error;
}
