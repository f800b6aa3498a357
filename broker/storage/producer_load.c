#include "storage/producer_load.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "protocol/batch.h"
#include "storage/producer_snapshot.h"
#include "storage/sidecar_format.h"
#include "storage/store.h"
#include "storage/txn_index.h"
#include <stdio.h>

enum {
    SCAN_AHEAD_BYTES = 128 << 10,
    SCAN_BATCHES = 256, /* in one step */
    SMALL_BYTES_MAX = PRODUCER_SNAPSHOT_BYTES_MAX,
};

enum {
    LOAD_CHOOSE,
    LOAD_SNAPSHOT,
    LOAD_TXN_INDEX,
    LOAD_SEGMENT_SIZE,
    LOAD_SEGMENT_INDEX,
    LOAD_SEGMENT_OPEN,
    LOAD_SEGMENT_READ,
    LOAD_REMOVE,
    LOAD_FLUSH,
    LOAD_END,
};

void producer_load_init(struct producer_load *load, struct log *log, struct flow *flow)
{
    *load = (struct producer_load){
        .flow = flow, .log = log, .limit = log->appended_end, .handle = -1, .snapshot = -1};
    if (MUTANT(snapshot_ahead_of_log_believed))
        load->limit = INT64_MAX;
}

void producer_load_done(struct producer_load *load)
{
    buffer_release(load->buffer);
    load->buffer = NULL;
    log_scan_done(&load->scan);
}

static enum error start_op(struct producer_load *load, struct op op)
{
    load->op = op;
    load->op.flow = load->flow;
    file_op_start(load->log->store->core, &load->op);
    return ERROR_WOULD_WAIT;
}

static enum error fail(struct producer_load *load, const char *fault)
{
    load->fault = fault;
    load->fault_error = op_error(load->op.result);
    load->phase = LOAD_END; /* a handle that is open is closed there */
    return ERROR_NONE;
}

static void name_file(struct producer_load *load, int64_t offset, const char *suffix)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(offset, suffix, name);
    snprintf(load->path, sizeof load->path, "%s/%s", load->log->folder, name);
}

static void take_buffer(struct producer_load *load, size_t size)
{
    if (load->buffer && load->buffer->size >= size)
        return;
    buffer_release(load->buffer);
    load->buffer = buffers_take_always(&load->log->store->core->buffers, size);
}

/* ---- small files, read whole --------------------------------------------------------------- */

/* Reads the file at load->path into the buffer. WOULD_WAIT: call again. NONE: *ret_size is its
 * size, -1 if it can't be read. */
static enum error read_file(struct producer_load *load, int64_t *ret_size)
{
    switch (load->file_phase++) {
    case 0:
        return start_op(load, (struct op){.kind = OP_OPEN, .path = load->path, .flags = OPEN_READ});
    case 1:
        if (load->op.result < 0)
            break;
        load->handle = (int32_t)load->op.result;
        return start_op(load,
                        (struct op){.kind = OP_STAT, .handle = load->handle, .data = &load->stat});
    case 2:
        load->got = 0;
        if (load->op.result < 0 || load->stat.size_bytes > SMALL_BYTES_MAX)
            load->stat.size_bytes = load->got = 0;
        take_buffer(load, (size_t)load->stat.size_bytes + 1);
        load->op.result = 0;
        /* fall through */
    case 3:
        load->got += load->op.result > 0 ? (size_t)load->op.result : 0;
        bool ended = load->file_phase == 4 && load->op.result <= 0; /* shorter than it was */
        if (load->got < (size_t)load->stat.size_bytes && !ended) {
            load->file_phase = 3;
            return start_op(load, (struct op){.kind = OP_READ,
                                              .handle = load->handle,
                                              .data = load->buffer->data + load->got,
                                              .size = (size_t)load->stat.size_bytes - load->got,
                                              .offset = (int64_t)load->got});
        }
        load->file_phase = 4;
        int32_t handle = load->handle;
        load->handle = -1;
        return start_op(load, (struct op){.kind = OP_CLOSE, .handle = handle});
    default:
        load->file_phase = 0;
        *ret_size = (int64_t)load->got;
        return ERROR_NONE;
    }
    load->file_phase = 0;
    *ret_size = -1;
    return ERROR_NONE;
}

/* ---- the snapshot -------------------------------------------------------------------------- */

static enum error choose(struct producer_load *load)
{
    const struct producer_state *state = &load->log->producers;
    load->snapshot = -1;
    for (int32_t i = 0; i < state->snapshot_count && !MUTANT(forget_producers_at_open); i++)
        if (state->snapshots[i] <= load->limit)
            load->snapshot = state->snapshots[i];
    load->phase = load->snapshot < 0 ? LOAD_TXN_INDEX : LOAD_SNAPSHOT;
    load->index = load->segment = 0;
    load->offset = max_i64(load->snapshot, 0); /* the segment that holds it, or the first */
    if (load->snapshot >= 0)
        name_file(load, load->snapshot, ".snapshot");
    return ERROR_NONE;
}

/* Empties the table; the files stay known. */
static void forget(struct producer_load *load)
{
    struct producer_state *state = &load->log->producers;
    producers_done(&state->table);
    producers_init(&state->table, load->log->store->options.producer_seed,
                   load->log->store->options.producers_most);
    state->aborted_count = state->aborted_saved = 0;
}

/* The file is of no use: it is removed with those beyond the end. */
static void distrust(struct producer_load *load, const char *why)
{
    struct core *core = load->log->store->core;
    event_write(&core->events, &core->now, EVENT_WARN, "snapshot_ignored", "file=%s reason=\"%s\"",
                load->path, why);
    load->limit = load->snapshot - 1;
    load->phase = LOAD_CHOOSE;
    forget(load);
}

static enum error load_snapshot(struct producer_load *load)
{
    int64_t size;
    enum error error = read_file(load, &size);
    if (error)
        return error;
    struct bytes file = {size > 0 ? load->buffer->data : NULL, size > 0 ? (int32_t)size : 0};
    error = producer_snapshot_decode(file, load->snapshot, &load->log->producers.table);
    load->phase = LOAD_TXN_INDEX;
    if (error) {
        REACHED("snapshot of producers not believed");
        distrust(load, error_text(error));
    }
    return ERROR_NONE;
}

/* ---- indexes of aborted transactions ------------------------------------------------------- */

/* Bytes of a write that a crash took back while the file's size stayed: no entry is all zeros. */
static bool is_torn(struct bytes file, int32_t number)
{
    for (int32_t at = number * TXN_INDEX_ENTRY; at < file.size; at++)
        if (file.data[at])
            return false;
    return true;
}

/* Takes the entries below the snapshot; false: one can't be right. */
static bool take_entries(struct producer_load *load, int64_t base, struct bytes file)
{
    struct producer_state *state = &load->log->producers;
    int64_t last = state->aborted_count ? state->aborted[state->aborted_count - 1].last_offset : -1;
    struct aborted_txn_entry entry;
    for (int32_t i = 0; (int64_t)i * TXN_INDEX_ENTRY < file.size; i++) {
        if (is_torn(file, i)) {
            REACHED("torn index of transactions");
            return true; /* what the snapshot rests on was durable before it was written */
        }
        if (!txn_index_decode(file, i, base, &entry) || entry.last_offset <= last)
            return false;
        if (entry.last_offset >= load->snapshot)
            return true; /* the replay makes the others again */
        producer_state_add_aborted(state, &entry);
        last = entry.last_offset;
    }
    return true;
}

/* What the sidecar of its segment says of the index that is read next; there may be none. Only of a
 * closed segment: one that was cut since is another. */
static void take_sidecar(struct producer_load *load, int64_t base, struct bytes file)
{
    const struct log *log = load->log;
    struct sidecar *sidecar = NULL;
    load->noted = (struct sidecar_cache){0};
    for (int32_t i = 0; i + 1 < log->segment_count; i++)
        if (log->segments[i]->base_offset == base && log->segments[i]->sealed &&
            sidecar_decode(file, &sidecar) == ERROR_NONE &&
            sidecar_fits(sidecar, base, load->stat.size_bytes, log->segments[i + 1]->base_offset))
            load->noted = sidecar->files[SIDECAR_TRANSACTIONS];
    sidecar_free(sidecar);
}

/* Reads the sidecar of the segment at `base`, then asks for the size of its .log. */
static enum error load_sidecar(struct producer_load *load, int64_t base)
{
    if (load->noting == 0) {
        int64_t size;
        if (load->file_phase == 0)
            name_file(load, base, SIDECAR_SUFFIX);
        enum error error = read_file(load, &size);
        if (error)
            return error;
        load->noted_size = size;
        load->noting = 1;
        name_file(load, base, ".log");
        return start_op(load,
                        (struct op){.kind = OP_STAT, .path = load->path, .data = &load->stat});
    }
    bool there = load->noted_size > 0 && load->op.result >= 0;
    struct bytes file = {there ? load->buffer->data : NULL, there ? (int32_t)load->noted_size : 0};
    take_sidecar(load, base, file);
    load->noting = 0;
    load->noted_read = true;
    return ERROR_NONE;
}

/* What is left of a segment that has gone, below the log start, may be damaged: nobody needs it. */
static bool is_below_start(const struct log *log, int64_t base)
{
    const struct segment *first = log_segment_at(log, log->log_start);
    return first && base < first->base_offset;
}

static enum error load_txn_index(struct producer_load *load)
{
    struct producer_state *state = &load->log->producers;
    while (load->index < state->txn_index_count &&
           is_below_start(load->log, state->txn_indexes[load->index]))
        load->index++;
    if (load->index == state->txn_index_count ||
        state->txn_indexes[load->index] >= load->snapshot) {
        state->aborted_saved = state->aborted_count;
        load->phase = LOAD_SEGMENT_SIZE;
        return ERROR_NONE;
    }
    int64_t base = state->txn_indexes[load->index], size;
    if (!load->noted_read)
        return load_sidecar(load, base);
    if (load->file_phase == 0)
        name_file(load, base, ".txnindex");
    enum error error = read_file(load, &size);
    if (error)
        return error;
    struct bytes file = {load->buffer ? load->buffer->data : NULL, (int32_t)max_i64(size, 0)};
    load->noted_read = false;
    load->index++;
    bool agrees = sidecar_cache_agrees(&load->noted, file);
    if (size >= 0 && agrees && take_entries(load, base, file))
        return ERROR_NONE;
    if (!agrees)
        REACHED("index of transactions not what its sidecar says");
    REACHED("index of transactions not believed");
    load->snapshot = base + 1; /* those up to its base do not rest on it */
    distrust(load, "an index of transactions is damaged");
    return ERROR_NONE;
}

/* ---- the replay ---------------------------------------------------------------------------- */

static struct segment *segment_of(const struct producer_load *load)
{
    return load->log->segments[load->segment];
}

/* Bytes of it that are in the file. Of a log that the journal held something of, the rest follows
 * (producer_state_resumed). */
static int64_t file_end(const struct segment *segment)
{
    return segment->sealed ? segment->size : segment->drained;
}

/* The segment to go on in: the first that reaches beyond load->offset. */
static enum error next_segment(struct producer_load *load)
{
    struct log *log = load->log;
    while (load->segment + 1 < log->segment_count &&
           log->segments[load->segment + 1]->base_offset <= load->offset)
        load->segment++;
    if (load->segment >= log->segment_count || load->offset >= log->appended_end) {
        load->phase = LOAD_REMOVE;
        return ERROR_NONE;
    }
    if (segment_of(load)->size >= 0 && file_end(segment_of(load)) == 0) {
        load->segment++;
        return ERROR_NONE;
    }
    if (segment_of(load)->size >= 0) {
        load->phase = LOAD_SEGMENT_INDEX;
        return ERROR_NONE;
    }
    if (load->file_phase == 0) {
        load->file_phase = 1;
        name_file(load, segment_of(load)->base_offset, ".log");
        return start_op(load,
                        (struct op){.kind = OP_STAT, .path = load->path, .data = &load->stat});
    }
    load->file_phase = 0;
    if (load->op.result < 0)
        return fail(load, "the size of a segment can't be read");
    struct segment *segment = segment_of(load);
    segment->size = segment->drained = segment->allocated = load->stat.size_bytes;
    load->phase = LOAD_SEGMENT_INDEX;
    return ERROR_NONE;
}

/* Only a segment in whose middle the replay begins needs its index. */
static enum error load_segment_index(struct producer_load *load)
{
    struct segment *segment = segment_of(load);
    if (!segment->index_loaded && load->offset > segment->base_offset) {
        int64_t size;
        if (load->file_phase == 0)
            name_file(load, segment->base_offset, ".index");
        enum error error = read_file(load, &size);
        if (error)
            return error;
        if (size > 0)
            index_decode(segment, load->buffer->data, (size_t)size, segment->size);
        segment->index_loaded = true;
    }
    load->position =
        load->offset > segment->base_offset ? segment_index_find(segment, load->offset) : 0;
    load->phase = LOAD_SEGMENT_OPEN;
    return ERROR_NONE;
}

static enum error open_segment(struct producer_load *load)
{
    struct segment *segment = segment_of(load);
    if (load->file_phase == 0 && segment->sealed) {
        load->file_phase = 1;
        name_file(load, segment->base_offset, ".log");
        return start_op(load, (struct op){.kind = OP_OPEN, .path = load->path, .flags = OPEN_READ});
    }
    if (segment->sealed && load->op.result < 0)
        return fail(load, "a segment can't be opened");
    load->handle = segment->sealed ? (int32_t)load->op.result : segment->handle;
    load->file_phase = 0;
    load->phase = LOAD_SEGMENT_READ;
    /* Where the index led to, the first batch is read whole, to be believed. */
    load->scan = (struct log_scan){.core = load->log->store->core,
                                   .handle = load->handle,
                                   .alignment = segment->sealed ? 1 : load->log->store->alignment,
                                   .position = load->position,
                                   .end = file_end(segment),
                                   .next_offset = segment->base_offset,
                                   .whole_from = load->position > 0 ? load->position : INT64_MAX,
                                   .ahead = SCAN_AHEAD_BYTES};
    return ERROR_NONE;
}

/* Takes what the scan has come by, unless the snapshot has it. */
static void replay_batch(struct producer_load *load)
{
    struct producer_state *state = &load->log->producers;
    struct batch batch;
    batch_view_header(load->scan.batch, (int32_t)load->scan.batch_size, &batch);
    int64_t end = batch_last_offset(&batch) + 1;
    if (end <= load->offset)
        return;
    struct producer_event event;
    struct aborted_txn_entry aborted;
    state->bytes_since += load->scan.batch_size;
    load->offset = end;
    if (batch.producer_id >= 0 && !MUTANT(forget_producers_at_open) &&
        producer_event_of(&batch, &event) &&
        producers_apply(&state->table, &event, producer_now(load->log->store), &aborted))
        producer_state_add_aborted(state, &aborted);
}

/* The index led astray: it is only a cache. From the segment's beginning. */
static void scan_from_start(struct producer_load *load)
{
    struct log_scan *scan = &load->scan;
    REACHED("index not believed");
    scan->position = 0;
    scan->next_offset = segment_of(load)->base_offset;
    scan->whole_from = INT64_MAX;
    scan->batch = NULL;
}

/* All of the segment has been replayed. */
static enum error end_segment(struct producer_load *load)
{
    int32_t handle = load->handle;
    bool sealed = segment_of(load)->sealed;
    log_scan_done(&load->scan);
    load->handle = -1;
    load->segment++;
    load->phase = LOAD_SEGMENT_SIZE;
    return sealed ? start_op(load, (struct op){.kind = OP_CLOSE, .handle = handle}) : ERROR_NONE;
}

/* Does the batch reach into the next segment? No CRC covers its base offset; believed, it would end
 * the replay before what follows. */
static bool reaches_beyond(const struct producer_load *load)
{
    const struct log *log = load->log;
    return load->segment + 1 < log->segment_count &&
           batch_last_offset_at(load->scan.batch) >= log->segments[load->segment + 1]->base_offset;
}

static enum error read_segment(struct producer_load *load)
{
    struct log_scan *scan = &load->scan;
    for (int i = 0; i < SCAN_BATCHES; i++) {
        enum log_scan_result result = log_scan_step(scan, load->flow);
        bool is_first = scan->whole_from != INT64_MAX; /* not believed yet */
        if (result == SCAN_WAITS)
            return ERROR_WOULD_WAIT;
        if (result == SCAN_ENDED)
            return end_segment(load);
        if (is_first && !scan->error &&
            (result == SCAN_FAULT || (int64_t)load_be64(scan->batch) > load->offset)) {
            scan_from_start(load);
            continue;
        }
        if (result == SCAN_FAULT) {
            load->op.result = -(int64_t)scan->error;
            load->position = scan->position;
            return fail(load, scan->fault);
        }
        if (reaches_beyond(load)) {
            REACHED("batch beyond its segment");
            load->position = scan->position;
            load->op.result = 0;
            return fail(load, "a batch's offsets reach beyond its segment");
        }
        scan->whole_from = INT64_MAX;
        replay_batch(load);
    }
    return ERROR_WOULD_WAIT;
}

/* ---- the end ------------------------------------------------------------------------------- */

/* Snapshots that are not believed, and those beyond the end, go. */
static enum error remove_beyond(struct producer_load *load)
{
    struct producer_state *state = &load->log->producers;
    bool beyond =
        state->snapshot_count > 0 && state->snapshots[state->snapshot_count - 1] > load->limit;
    if (!beyond) {
        load->phase = load->cut && !MUTANT(skip_fsync_of_removed_snapshot) ? LOAD_FLUSH : LOAD_END;
        return ERROR_NONE;
    }
    REACHED("snapshot of producers removed");
    name_file(load, state->snapshots[--state->snapshot_count], ".snapshot");
    load->cut = true;
    return start_op(load, (struct op){.kind = OP_REMOVE, .path = load->path});
}

static enum error flush_folder(struct producer_load *load)
{
    switch (load->file_phase++) {
    case 0:
        return start_op(load, (struct op){.kind = OP_OPEN,
                                          .path = load->log->folder,
                                          .flags = OPEN_READ | OPEN_DIRECTORY});
    case 1:
        if (load->op.result < 0)
            return fail(load, "the folder can't be opened");
        load->handle = (int32_t)load->op.result;
        return start_op(load, (struct op){.kind = OP_FLUSH, .handle = load->handle});
    default:
        load->file_phase = 0;
        if (load->op.result < 0)
            return fail(load, "the folder can't be flushed");
        load->phase = LOAD_END;
        return ERROR_NONE;
    }
}

static enum error end(struct producer_load *load)
{
    struct log *log = load->log;
    struct producer_state *state = &log->producers;
    if (load->handle >= 0) {
        int32_t handle = load->handle;
        load->handle = -1;
        bool borrowed = load->segment < log->segment_count && !segment_of(load)->sealed &&
                        segment_of(load)->handle == handle;
        if (!borrowed)
            return start_op(load, (struct op){.kind = OP_CLOSE, .handle = handle});
    }
    memory_free(state->txn_indexes);
    state->txn_indexes = NULL;
    state->txn_index_count = state->txn_index_capacity = 0;
    if (load->fault)
        return ERROR_KAFKA_STORAGE_ERROR;
    state->loaded_end = load->offset;
    state->proven = load->snapshot;
    return ERROR_NONE;
}

enum error producer_load_step(struct producer_load *load)
{
    static enum error (*const steps[])(struct producer_load * load) = {
        [LOAD_CHOOSE] = choose,
        [LOAD_SNAPSHOT] = load_snapshot,
        [LOAD_TXN_INDEX] = load_txn_index,
        [LOAD_SEGMENT_SIZE] = next_segment,
        [LOAD_SEGMENT_INDEX] = load_segment_index,
        [LOAD_SEGMENT_OPEN] = open_segment,
        [LOAD_SEGMENT_READ] = read_segment,
        [LOAD_REMOVE] = remove_beyond,
        [LOAD_FLUSH] = flush_folder,
    };
    while (load->phase != LOAD_END) {
        enum error error = steps[load->phase](load);
        if (error)
            return error;
    }
    return end(load);
}
