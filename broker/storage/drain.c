#include "storage/drain.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "storage/aside.h"
#include "storage/folder.h"
#include "storage/folder_claims.h"
#include "storage/handles.h"
#include "storage/log_epochs.h"
#include "storage/log_state.h"
#include "storage/producer_save.h"
#include "storage/store.h"
#include <stdio.h>

enum {
    DRAINING_BYTES = 512 << 10, /* in flight: beyond it, journal writes would queue behind them */
    ALLOCATE_LEAST = 64 << 10,
    ALLOCATE_MOST = 16 << 20,
};

static enum step drain_log(struct flow *flow);
static enum step drain_folder(struct flow *flow);
static enum step drain_open(struct flow *flow);
static enum step drain_partial(struct flow *flow);
static enum step drain_allocate(struct flow *flow);
static enum step drain_write(struct flow *flow);
static enum step drain_trim(struct flow *flow);
static enum step drain_finish(struct flow *flow);

static const struct flow_kind drain_flow = {"drain",
                                            {{"log", drain_log},
                                             {"aside", drain_aside},
                                             {"folder", drain_folder},
                                             {"open", drain_open},
                                             {"partial", drain_partial},
                                             {"allocate", drain_allocate},
                                             {"write", drain_write},
                                             {"trim", drain_trim},
                                             {"indexes", drain_indexes},
                                             {"epochs", drain_epochs},
                                             {"producers", drain_producers},
                                             {"finish", drain_finish}}};

void drain_init(struct store *store)
{
    list_init(&store->ready);
    list_init(&store->idle_drains);
    store->drains = memory_zeroed((size_t)store->options.drains * sizeof(struct drain));
    for (int i = 0; i < store->options.drains; i++)
        list_push(&store->idle_drains, &store->drains[i].idle);
}

void drain_done(struct store *store)
{
    memory_free(store->drains);
    store->drains = NULL;
}

static void start_drains(struct store *store)
{
    while (!store->space.blocked && !list_is_empty(&store->ready) &&
           !list_is_empty(&store->idle_drains)) {
        struct log *log = CONTAINER_OF(list_pop(&store->ready), struct log, ready);
        struct drain *drain = CONTAINER_OF(list_pop(&store->idle_drains), struct drain, idle);
        *drain = (struct drain){.log = log, .handle = -1, .timer = TIMER_INIT};
        list_init(&drain->idle);
        log->draining = true;
        flow_start(&drain->flow, &drain_flow, store->core);
    }
}

void drain_request(struct log *log)
{
    if (log->draining || !list_is_empty(&log->ready) || log->store->fenced || log->removed)
        return;
    list_push(&log->store->ready, &log->ready);
    start_drains(log->store);
}

void drain_go_on(struct store *store)
{
    start_drains(store);
}

struct drain *drain_of(struct flow *flow)
{
    return CONTAINER_OF(flow, struct drain, flow);
}

void drain_start_op(struct drain *drain, struct op op)
{
    drain->op = op;
    drain->op.flow = &drain->flow;
    file_op_start(drain->log->store->core, &drain->op);
}

enum step drain_give_up(struct drain *drain, const char *what)
{
    enum error error = op_error(drain->op.result);
    if (error == ERROR_NO_SPACE && drain->op.kind != OP_FLUSH) {
        space_met(drain->log->store, what);
        return STEP_FAIL;
    }
    store_fence(drain->log->store, error ? error : ERROR_INPUT_OUTPUT, what);
    return STEP_FAIL;
}

/* Chooses the chunk: durable pieces of the oldest one's segment. */
static void choose_chunk(struct drain *drain)
{
    struct log *log = drain->log;
    struct store *store = log->store;
    struct piece *piece = log->oldest;
    drain->segment = NULL;
    if (log_needs_file(log)) {
        drain->segment = log_active(log);
        drain->segment->users++;
    }
    if (!piece || piece == log->first_not_durable)
        return;
    struct segment *segment = piece->segment;
    int64_t end = segment->drained;
    bool all = log->forced || segment != log_active(log);
    for (; piece && piece != log->first_not_durable && piece->segment == segment;
         piece = piece->next) {
        end = piece->position + (int64_t)piece->size;
        if (end - segment->drained >= DRAIN_CHUNK_BYTES)
            break;
    }
    int64_t most =
        (int64_t)align_down((uint64_t)segment->drained, store->alignment) + DRAIN_CHUNK_BYTES;
    end = min_i64(end, most);
    if (!all)
        end = (int64_t)align_down((uint64_t)end, store->alignment);
    if (end <= segment->drained)
        return;
    drain->segment = segment;
    drain->from = (int64_t)align_down((uint64_t)segment->drained, store->alignment);
    drain->end = end;
    segment->users++;
}

/* Joins what a start found in the journal with the files, if nobody has needed the log before. */
static enum step drain_log(struct flow *flow)
{
    struct drain *drain = drain_of(flow);
    struct log *log = drain->log;
    if (log->store->fenced || log->removed)
        return STEP_FAIL;
    enum error error = log_open(log, &drain->waiter, flow);
    if (error == ERROR_WOULD_WAIT)
        return STEP_AGAIN;
    if (error && log->unreadable && !log->removed)
        store_fence(log->store, error,
                    "a log can't be read whose newest records only the journal holds");
    return error && !log->resumed ? STEP_FAIL : STEP_NEXT;
}

/* False: it waits. */
static bool claim_folder(struct drain *drain)
{
    struct store *store = drain->log->store;
    drain->claims = folder_claim(store->options.claims, drain->log->folder);
    if (!drain->claims)
        timer_start(&drain->timer, store->core, &drain->flow,
                    store->core->now.monotonic_ns + FOLDER_CLAIM_AGAIN_NS);
    return drain->claims;
}

static void release_folder(struct drain *drain)
{
    if (drain->claims)
        folder_release(drain->log->store->options.claims, drain->log->folder);
    drain->claims = false;
}

static enum step close_small_file(struct drain *drain)
{
    drain_start_op(drain, (struct op){.kind = OP_CLOSE, .handle = drain->handle});
    drain->handle = -1;
    return STEP_AGAIN;
}

/* Creates the log's folder, with partition.metadata in it, at the first drain. Where it is there
 * already the file's size is set, too: a flush that failed may have lost that. */
static enum step drain_folder(struct flow *flow)
{
    struct drain *drain = drain_of(flow);
    struct log *log = drain->log;
    if (log->store->fenced || log->removed) {
        if (drain->phase == 2 && drain->op.result >= 0)
            drain->handle = (int32_t)drain->op.result; /* opened just now: closed at the end */
        return STEP_FAIL;
    }
    if (log->folder_exists && !log->owner_lost) {
        choose_chunk(drain);
        return STEP_NEXT;
    }
    if (drain->phase == 0 && !claim_folder(drain))
        return STEP_AGAIN;
    switch (drain->phase++) {
    case 0:
        drain_start_op(drain, (struct op){.kind = OP_MAKE_DIRECTORY, .path = log->folder});
        return STEP_AGAIN;
    case 1:
        if (drain->op.result < 0 && op_error(drain->op.result) != ERROR_ALREADY_EXISTS)
            return drain_give_up(drain, "a partition's folder could not be created");
        drain->remade = drain->op.result < 0;
        snprintf(drain->path, sizeof drain->path, "%s/" PARTITION_METADATA_FILE, log->folder);
        drain_start_op(
            drain,
            (struct op){.kind = OP_OPEN, .path = drain->path, .flags = OPEN_WRITE | OPEN_CREATE});
        return STEP_AGAIN;
    case 2:
        if (drain->op.result < 0)
            return drain_give_up(drain, "partition.metadata could not be created");
        drain->handle = (int32_t)drain->op.result;
        drain->chunk = buffers_take_always(&log->store->core->buffers, BUFFER_ALIGNMENT);
        drain->vector =
            (struct iovec){drain->chunk->data,
                           partition_metadata_encode(log->topic_id, (char *)drain->chunk->data)};
        drain_start_op(drain, (struct op){.kind = OP_WRITE,
                                          .handle = drain->handle,
                                          .vectors = &drain->vector,
                                          .vector_count = 1});
        return STEP_AGAIN;
    case 3:
        if (drain->op.result != (int64_t)drain->vector.iov_len) {
            if (drain->op.result <= 0)
                return drain_give_up(drain, "partition.metadata could not be written");
            drain->phase = 3; /* short: once more, whole */
            drain_start_op(drain, (struct op){.kind = OP_WRITE,
                                              .handle = drain->handle,
                                              .vectors = &drain->vector,
                                              .vector_count = 1});
            return STEP_AGAIN;
        }
        if (!drain->remade) {
            drain->phase++;
            return close_small_file(drain);
        }
        drain_start_op(drain, (struct op){.kind = OP_TRUNCATE,
                                          .handle = drain->handle,
                                          .size = drain->vector.iov_len});
        return STEP_AGAIN;
    case 4:
        if (drain->op.result < 0)
            return drain_give_up(drain, "partition.metadata could not be written");
        return close_small_file(drain);
    default:
        drain->phase = 0;
        release_folder(drain);
        buffer_release(drain->chunk);
        drain->chunk = NULL;
        log->folder_exists = true;
        log->owner_lost = false;
        if (list_is_empty(&log->dirty_folder))
            list_push(&log->store->dirty_folders, &log->dirty_folder);
        log->store->directory_dirty = true;
        return STEP_AGAIN;
    }
}

/* Opens the segment, of which the drain is a user, if it is not open. STEP_AGAIN: it waits. */
static enum step open_segment(struct drain *drain)
{
    struct segment *segment = drain->segment;
    if (drain->opening == 2) { /* what was opened once too often is closed */
        drain->opening = 0;
        return STEP_NEXT;
    }
    if (drain->opening == 0 && segment->handle >= 0) {
        handle_touch(segment);
        return STEP_NEXT;
    }
    if (drain->opening++ == 0) {
        struct log *log = drain->log;
        char name[SEGMENT_NAME_SIZE];
        segment_name(segment->base_offset, ".log", name);
        snprintf(drain->path, sizeof drain->path, "%s/%s", log->folder, name);
        drain_start_op(drain, (struct op){.kind = OP_OPEN,
                                          .path = drain->path,
                                          .flags = OPEN_READ | OPEN_WRITE | OPEN_DIRECT |
                                                   (segment->exists ? 0 : OPEN_CREATE)});
        return STEP_AGAIN;
    }
    if (drain->op.result < 0)
        return drain_give_up(drain, "a segment could not be opened");
    if (segment->handle >= 0) { /* a read was quicker */
        drain_start_op(drain, (struct op){.kind = OP_CLOSE, .handle = (int32_t)drain->op.result});
        return STEP_AGAIN;
    }
    drain->opening = 0;
    handle_keep(segment, &segment->handle, (int32_t)drain->op.result);
    if (!segment->exists) {
        segment->exists = true;
        if (list_is_empty(&drain->log->dirty_folder))
            list_push(&drain->log->store->dirty_folders, &drain->log->dirty_folder);
    }
    return STEP_NEXT;
}

static enum step drain_open(struct flow *flow)
{
    struct drain *drain = drain_of(flow);
    return drain->segment ? open_segment(drain) : STEP_NEXT;
}

/* Reads the file's last, not full sector back, if no copy of it is in memory. */
static enum step drain_partial(struct flow *flow)
{
    struct drain *drain = drain_of(flow);
    struct segment *segment = drain->segment;
    if (!segment || drain->from >= segment->drained || segment->partial)
        return STEP_NEXT;
    struct store *store = drain->log->store;
    if (drain->phase++ == 0) {
        drain->chunk = buffers_take_always(&store->core->buffers, store->alignment);
        drain_start_op(drain, (struct op){.kind = OP_READ,
                                          .handle = segment->handle,
                                          .data = drain->chunk->data,
                                          .size = store->alignment,
                                          .offset = drain->from});
        return STEP_AGAIN;
    }
    if (drain->op.result < segment->drained - drain->from)
        return drain_give_up(drain, "the end of a segment could not be read back");
    drain->phase = 0;
    segment->partial = memory_aligned(16, store->alignment);
    memcpy(segment->partial, drain->chunk->data, (size_t)(segment->drained - drain->from));
    buffer_release(drain->chunk);
    drain->chunk = NULL;
    return STEP_NEXT;
}

/* How far to allocate where bytes up to `needed` are to be written. */
static int64_t allocation_end(const struct log *log, int64_t needed)
{
    int64_t ahead = max_i64(ALLOCATE_LEAST, min_i64(needed, ALLOCATE_MOST));
    int64_t end = min_i64(needed + ahead, (int64_t)align_up((uint64_t)log->settings->segment_bytes,
                                                            log->store->alignment));
    return space_is_ample(log->store, ahead) ? max_i64(end, needed) : needed;
}

static enum step allocate(struct drain *drain, int64_t end)
{
    struct segment *segment = drain->segment;
    drain->phase = 1;
    drain_start_op(drain, (struct op){.kind = OP_ALLOCATE,
                                      .handle = segment->handle,
                                      .offset = segment->allocated,
                                      .size = (size_t)(end - segment->allocated)});
    return STEP_AGAIN;
}

/* Extents ahead of the data, in growing steps, so that writes neither extend the file nor wait for
 * the file system's journal. Where there is no such call the write itself extends the file. */
static enum step drain_allocate(struct flow *flow)
{
    struct drain *drain = drain_of(flow);
    struct segment *segment = drain->segment;
    struct log *log = drain->log;
    if (!segment)
        return STEP_NEXT;
    int64_t needed = (int64_t)align_up((uint64_t)drain->end, log->store->alignment);
    if (needed <= segment->allocated)
        return STEP_NEXT;
    if (drain->phase == 0)
        return allocate(drain, allocation_end(log, needed));
    if (op_error(drain->op.result) == ERROR_NO_SPACE &&
        drain->op.offset + (int64_t)drain->op.size > needed)
        return allocate(drain, needed);
    drain->phase = 0;
    if (op_error(drain->op.result) == ERROR_NOT_SUPPORTED) {
        segment->allocated = needed;
        return STEP_NEXT;
    }
    if (drain->op.result < 0)
        return drain_give_up(drain, "no room could be allocated for a segment");
    segment->allocated = drain->op.offset + (int64_t)drain->op.size;
    return STEP_NEXT;
}

/* Gathers the chunk: the partial sector, then the pieces from the drained end on, then zeros. */
static void fill_chunk(struct drain *drain)
{
    struct segment *segment = drain->segment;
    uint8_t *to = drain->chunk->data;
    size_t kept = (size_t)(segment->drained - drain->from);
    if (kept)
        memcpy(to, segment->partial, kept);
    int64_t at = segment->drained;
    for (struct piece *piece = drain->log->oldest; at < drain->end; piece = piece->next) {
        check(piece && piece->segment == segment && piece->position <= at);
        int64_t skip = at - piece->position;
        int64_t size = min_i64(piece->size - skip, drain->end - at);
        memcpy(to + (at - drain->from), piece->data + skip, (size_t)size);
        at += size;
    }
    size_t padded = align_up((uint64_t)(drain->end - drain->from), drain->log->store->alignment);
    memset(to + (drain->end - drain->from), 0, padded - (size_t)(drain->end - drain->from));
    drain->vector = (struct iovec){to, padded};
}

static void chunk_is_written(struct drain *drain)
{
    struct segment *segment = drain->segment;
    struct log *log = drain->log;
    struct store *store = log->store;
    int64_t last_sector = (int64_t)align_down((uint64_t)drain->end, store->alignment);
    memory_free(segment->partial);
    segment->partial = NULL;
    if (log->removed)
        return; /* meanwhile: nothing of it is wanted */
    if (last_sector < drain->end) {
        segment->partial = memory_aligned(16, store->alignment);
        memcpy(segment->partial, drain->chunk->data + (last_sector - drain->from),
               (size_t)(drain->end - last_sector));
    }
    log->undrained_bytes -= drain->end - segment->drained;
    segment->drained = drain->end;
    while (log->oldest && log->oldest != log->first_not_durable &&
           log->oldest->segment == segment &&
           log->oldest->position + (int64_t)log->oldest->size <= segment->drained)
        log_drop_oldest(log);
    if (list_is_empty(&segment->dirty))
        list_push(&store->dirty_segments, &segment->dirty);
    store->counters.drain_writes++;
    store->counters.drain_bytes += align_up((uint64_t)(drain->end - drain->from), store->alignment);
    waiters_wake(&store->room);
}

static enum step drain_write(struct flow *flow)
{
    struct drain *drain = drain_of(flow);
    if (!drain->segment || (drain->phase == 0 && drain->end == drain->segment->drained))
        return STEP_NEXT; /* nothing, or only its file is wanted */
    if (drain->phase == 0 && (drain->log->removed || drain->log->store->fenced))
        return STEP_FAIL; /* its pieces are gone */
    if (drain->phase++ == 0) {
        drain->chunk = buffers_take_always(&drain->log->store->core->buffers, DRAIN_CHUNK_BYTES);
        fill_chunk(drain);
    } else if (drain->op.kind == OP_WRITE) {
        drain->log->store->draining_bytes -= (int64_t)drain->vector.iov_len;
        waiters_wake_first(&drain->log->store->drain_room);
        if (drain->op.result <= 0)
            return drain_give_up(drain, "a write of a segment failed");
        size_t written =
            (size_t)align_down((uint64_t)drain->op.result, drain->log->store->alignment);
        drain->vector.iov_base = (uint8_t *)drain->vector.iov_base + written;
        drain->vector.iov_len -= written;
        if (drain->vector.iov_len == 0) {
            drain->phase = 0;
            chunk_is_written(drain);
            buffer_release(drain->chunk);
            drain->chunk = NULL;
            return STEP_NEXT;
        }
        REACHED("short drain write");
    }
    struct store *store = drain->log->store;
    if (store->draining_bytes > 0 &&
        store->draining_bytes + (int64_t)drain->vector.iov_len > DRAINING_BYTES) {
        drain->op.kind = OP_KIND_COUNT; /* not written yet */
        waiter_park(&drain->waiter, &store->drain_room, flow);
        return STEP_AGAIN;
    }
    store->draining_bytes += (int64_t)drain->vector.iov_len;
    int64_t offset = drain->from + ((uint8_t *)drain->vector.iov_base - drain->chunk->data);
    drain_start_op(drain, (struct op){.kind = OP_WRITE,
                                      .handle = drain->segment->handle,
                                      .vectors = &drain->vector,
                                      .vector_count = 1,
                                      .offset = offset});
    return STEP_AGAIN;
}

/* The segment that is to be cut to its size now: the oldest that was rolled and is wholly drained,
 * or the active one of a log that the checkpoint settles. */
static struct segment *segment_to_trim(struct log *log)
{
    struct segment *rolled = log_untrimmed_segment(log), *active = log_active(log);
    if (rolled || !active || !active->exists)
        return rolled;
    bool due = log->forced && !log->oldest &&
               log->touched_sequence < log->store->journal.mark_sequence &&
               active->drained == active->size;
    bool needed = active->allocated != active->size || !segment_indexes_are_complete(active);
    return due && needed ? active : NULL;
}

static enum step drain_trim(struct flow *flow)
{
    struct drain *drain = drain_of(flow);
    if (drain->phase == 0) {
        if (drain->segment)
            drain->segment->users--;
        drain->segment = segment_to_trim(drain->log);
        if (!drain->segment)
            return STEP_NEXT;
        drain->segment->users++; /* kept over the calls of this step and over the next */
        if (drain->segment->allocated == drain->segment->size)
            return STEP_NEXT;
        drain->phase = 1;
    }
    if (drain->phase == 1) {
        enum step opened = open_segment(drain);
        if (opened != STEP_NEXT)
            return opened;
        if (drain->log->removed || drain->log->store->fenced)
            return STEP_FAIL;
        drain->phase = 2;
        drain_start_op(drain, (struct op){.kind = OP_TRUNCATE,
                                          .handle = drain->segment->handle,
                                          .size = (size_t)drain->segment->size});
        return STEP_AGAIN;
    }
    drain->phase = 0;
    if (drain->op.result < 0)
        return drain_give_up(drain, "a segment could not be trimmed");
    drain->segment->allocated = drain->segment->size;
    if (list_is_empty(&drain->segment->dirty))
        list_push(&drain->log->store->dirty_segments, &drain->segment->dirty);
    return STEP_NEXT;
}

/* Does this log still want a drain? */
static bool wants_more(struct log *log)
{
    if (log->store->fenced || log->removed || log->set_aside)
        return false;
    if (log->forced)
        return !log_is_settled(log);
    return log->undrained_bytes >= (int64_t)log->store->options.drain_bytes ||
           segment_to_trim(log) != NULL;
}

static enum step drain_finish(struct flow *flow)
{
    struct drain *drain = drain_of(flow);
    struct log *log = drain->log;
    struct store *store = log->store;
    if (drain->handle >= 0) { /* left open by a failure */
        drain_start_op(drain, (struct op){.kind = OP_CLOSE, .handle = drain->handle});
        drain->handle = -1;
        return STEP_AGAIN;
    }
    release_folder(drain);
    buffer_release(drain->chunk);
    drain->chunk = NULL;
    if (drain->segment) {
        struct segment *segment = drain->segment;
        segment->users--;
        drain->segment = NULL;
        if (!store->fenced && segment != log_active(log) && segment->drained == segment->size &&
            segment->allocated == segment->size && segment_indexes_are_complete(segment))
            segment->trim = false;
    }
    log->draining = false;
    if (log_is_settled(log) || store->fenced || log->removed)
        log_unforce(log);
    if (!log->oldest && log_is_settled(log) && !log->forced && !producer_state_lags(log)) {
        struct segment *active = log_active(log);
        if (!active || (active->allocated == active->size && segment_indexes_are_complete(active)))
            list_remove(&log->unsettled);
    }
    bool more = wants_more(log);
    drain->log = NULL;
    list_push(&store->idle_drains, &drain->idle);
    waiters_wake(&log->idle_waiters);
    if (more)
        drain_request(log);
    start_drains(store);
    return STEP_NEXT;
}
