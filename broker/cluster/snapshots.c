#include "cluster/snapshots.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "cluster/machine.h"
#include "cluster/metadata_log.h"
#include "cluster/partition.h"
#include "logic/image_write.h"
#include "storage/log_state.h"
#include "storage/store.h"
#include <stdio.h>
#include <string.h>

enum {
    RECORDS_A_TURN = 256,  /* encoded; some hundred microseconds at most */
    WRITE_BYTES = 1 << 20, /* of chunks, in one operation */
    VECTORS_MAX = 64,
    ARENA_BYTES = 16 << 20,
    PATH_BYTES = 1100,
};

static const int64_t INTERVAL_MAX_MS = 1000000000000;

/* One or more encoded batches, to be written. */
struct chunk {
    struct chunk *next;
    size_t size;
    uint8_t data[];
};

struct snapshots {
    struct broker *broker;
    bool started, stopping;
    bool making, ticking;           /* the flow is under way */
    int64_t appended_bytes;         /* of records, since the start */
    int64_t covered_bytes;          /* of these, in the last snapshot or what it was begun at */
    int64_t last_ms;                /* of the last record applied */
    struct snapshot_entry *entries; /* ascending */
    int64_t *entry_appended;        /* appended_bytes when each was begun; 0 of found ones */
    int32_t entry_count;
    uint64_t written;
    struct list ended; /* who waits for the end */
    /* the clock */
    struct flow tick;
    struct timer tick_timer;
    /* the one being made */
    struct flow flow;
    struct timer pause;
    struct waiter waiter;
    bool has_turn, pausing;
    enum error error;
    const char *what; /* was being done when it failed */
    struct image_writer writer;
    struct arena arena;
    struct snapshot_id id;
    int64_t begun_at; /* appended_bytes */
    int64_t offset;   /* of the next batch in the file */
    struct chunk *first, *last, *writing;
    size_t written_of_chunk;
    int64_t size, position;
    int32_t handle;
    bool part; /* the file is there, under the name of one that has not ended */
    uint8_t phase;
    struct op op;
    struct iovec vectors[VECTORS_MAX];
    char path[PATH_BYTES], path_to[PATH_BYTES];
};

static struct core *core_of(const struct snapshots *snapshots)
{
    return &snapshots->broker->shards[0].core;
}

static struct snapshots *snapshots_of(struct flow *flow)
{
    return CONTAINER_OF(flow, struct snapshots, flow);
}

static enum step fail(struct snapshots *snapshots, enum error error, const char *what)
{
    snapshots->error = error;
    snapshots->what = what;
    return STEP_FAIL;
}

static void start_op(struct snapshots *snapshots, struct op op)
{
    snapshots->op = op;
    snapshots->op.flow = &snapshots->flow;
    file_op_start(core_of(snapshots), &snapshots->op);
}

static void path_of(const struct snapshots *snapshots, struct snapshot_id id, const char *suffix,
                    char path[PATH_BYTES])
{
    char name[SNAPSHOT_NAME_SIZE];
    snapshot_name(id, suffix, name);
    snprintf(path, PATH_BYTES, "%s/__cluster_metadata-0/%s",
             broker_metadata_path(snapshots->broker), name);
}

/* ---- encoding ------------------------------------------------------------------------------ */

static bool take_turn(struct snapshots *snapshots, struct flow *flow)
{
    if (MUTANT(snapshot_of_uncommitted))
        return true;
    return machine_take_turn(snapshots->broker, &snapshots->waiter, flow);
}

static void give_turn(struct snapshots *snapshots)
{
    if (snapshots->has_turn && !MUTANT(snapshot_of_uncommitted))
        machine_give_turn(snapshots->broker);
    snapshots->has_turn = false;
}

static enum step take(struct flow *flow)
{
    struct snapshots *snapshots = snapshots_of(flow);
    struct broker *broker = snapshots->broker;
    if (!take_turn(snapshots, flow))
        return STEP_AGAIN;
    snapshots->has_turn = true;
    const struct partition *metadata = broker->metadata;
    const struct image *image = &broker->shards[0].image;
    snapshots->begun_at = snapshots->appended_bytes;
    if (metadata->log->store->fenced || !metadata->opened || snapshots->stopping)
        return fail(snapshots, ERROR_STOPPED, NULL);
    if (image->ignored_records > 0)
        return fail(snapshots, ERROR_NEWER_VERSION,
                    "the log has records that a snapshot would lose, so it is kept");
    int64_t end = metadata->replica.high_watermark;
    if (MUTANT(snapshot_of_uncommitted))
        end = metadata->log->appended_end;
    else if (end != metadata->log->appended_end)
        return fail(snapshots, ERROR_STOPPED, NULL); /* an append has failed: the store is fenced */
    snapshots->id = (struct snapshot_id){end, metadata->leader_epoch};
    int32_t count = snapshots->entry_count;
    if (count > 0 && snapshots->entries[count - 1].id.end_offset >= end)
        return fail(snapshots, ERROR_ALREADY_EXISTS, NULL);
    image_write_begin(&snapshots->writer, image);
    return STEP_NEXT;
}

static void add_chunk(struct snapshots *snapshots, struct bytes batch)
{
    struct chunk *chunk = memory_aligned(16, sizeof *chunk + (size_t)batch.size);
    chunk->next = NULL;
    chunk->size = (size_t)batch.size;
    memcpy(chunk->data, batch.data, chunk->size);
    if (snapshots->last)
        snapshots->last->next = chunk;
    else
        snapshots->first = chunk;
    snapshots->last = chunk;
    snapshots->size += batch.size;
}

/* The next batch of records; *ret_more: others follow. */
static enum error encode_records(struct snapshots *snapshots, bool *ret_more)
{
    struct record_list records;
    struct bytes batch;
    record_list_init(&records, &snapshots->arena);
    *ret_more = image_write_step(&snapshots->writer, &records, RECORDS_A_TURN);
    if (records.overflowed)
        return ERROR_NO_MEMORY;
    if (records.count == 0)
        return ERROR_NONE;
    enum error error = metadata_log_encode(&records, snapshots->last_ms, &snapshots->arena, &batch);
    if (error)
        return error;
    batch_assign((uint8_t *)(uintptr_t)batch.data, snapshots->offset, snapshots->id.epoch);
    snapshots->offset += records.count;
    add_chunk(snapshots, batch);
    return ERROR_NONE;
}

/* Header, records, footer; a turn of the core for each step. */
static enum step encode(struct flow *flow)
{
    struct snapshots *snapshots = snapshots_of(flow);
    struct arena *arena = &snapshots->arena;
    struct bytes batch;
    bool more = true;
    enum error error = ERROR_NONE;
    arena_reset(arena, 1 << 20);
    if (snapshots->offset == 0) {
        error = snapshot_encode_header(arena, &snapshots->broker->quorum, snapshots->id.epoch,
                                       snapshots->last_ms, &batch);
        if (!error) {
            snapshots->offset = load_be32(batch.data + BATCH_COUNT_AT);
            add_chunk(snapshots, batch);
        }
    }
    if (!error)
        error = encode_records(snapshots, &more);
    if (!error && !more) {
        give_turn(snapshots);
        error = snapshot_encode_footer(arena, snapshots->id.epoch, snapshots->last_ms,
                                       snapshots->offset, &batch);
        if (!error)
            add_chunk(snapshots, batch);
    }
    if (error)
        return fail(snapshots, error, "the image can't be encoded");
    if (!more)
        return STEP_NEXT;
    timer_start(&snapshots->pause, core_of(snapshots), flow, core_of(snapshots)->now.monotonic_ns);
    return STEP_AGAIN;
}

/* ---- writing ------------------------------------------------------------------------------- */

static enum step create(struct flow *flow)
{
    struct snapshots *snapshots = snapshots_of(flow);
    if (snapshots->phase++ == 0) { /* what a failed one may have left */
        path_of(snapshots, snapshots->id, SNAPSHOT_PART_SUFFIX, snapshots->path);
        path_of(snapshots, snapshots->id, SNAPSHOT_SUFFIX, snapshots->path_to);
        start_op(snapshots, (struct op){.kind = OP_REMOVE, .path = snapshots->path});
        return STEP_AGAIN;
    }
    snapshots->phase = 0;
    start_op(snapshots, (struct op){.kind = OP_OPEN,
                                    .path = snapshots->path,
                                    .flags = OPEN_WRITE | OPEN_CREATE | OPEN_EXCLUSIVE});
    return STEP_NEXT;
}

/* Where the chunks lie from the first that is not wholly written on. */
static int32_t gather(struct snapshots *snapshots)
{
    int32_t count = 0;
    size_t bytes = 0, skip = snapshots->written_of_chunk;
    for (struct chunk *chunk = snapshots->writing;
         chunk && count < VECTORS_MAX && bytes < WRITE_BYTES; chunk = chunk->next) {
        snapshots->vectors[count++] = (struct iovec){chunk->data + skip, chunk->size - skip};
        bytes += chunk->size - skip;
        skip = 0;
    }
    return count;
}

static void note_written(struct snapshots *snapshots, size_t written)
{
    snapshots->position += (int64_t)written;
    written += snapshots->written_of_chunk;
    while (snapshots->writing && written >= snapshots->writing->size) {
        written -= snapshots->writing->size;
        snapshots->writing = snapshots->writing->next;
    }
    snapshots->written_of_chunk = written;
}

static enum step write_chunks(struct flow *flow)
{
    struct snapshots *snapshots = snapshots_of(flow);
    int64_t result = snapshots->op.result;
    if (snapshots->phase == 0 && result < 0) {
        bool none = op_error(result) == ERROR_NOT_FOUND; /* the log lies in the journal only, yet */
        return fail(snapshots, op_error(result), none ? NULL : "the file can't be created");
    }
    if (snapshots->phase == 0) {
        snapshots->phase = 1;
        snapshots->handle = (int32_t)result;
        snapshots->part = true;
        snapshots->writing = snapshots->first;
    } else if (result <= 0) {
        return fail(snapshots, result ? op_error(result) : ERROR_INPUT_OUTPUT,
                    "the file can't be written");
    } else {
        note_written(snapshots, (size_t)result);
    }
    if (!snapshots->writing) {
        snapshots->phase = 0;
        return STEP_NEXT;
    }
    int32_t count = gather(snapshots);
    start_op(snapshots, (struct op){.kind = OP_WRITE,
                                    .handle = snapshots->handle,
                                    .vectors = snapshots->vectors,
                                    .vector_count = count,
                                    .offset = snapshots->position});
    return STEP_AGAIN;
}

/* The bytes, before the file is given its name. */
static enum step flush(struct flow *flow)
{
    struct snapshots *snapshots = snapshots_of(flow);
    if (MUTANT(log_pruned_before_snapshot_flushed)) {
        snapshots->op.result = 0;
        return STEP_NEXT;
    }
    start_op(snapshots, (struct op){.kind = OP_FLUSH, .handle = snapshots->handle});
    return STEP_NEXT;
}

static enum step close_file(struct flow *flow)
{
    struct snapshots *snapshots = snapshots_of(flow);
    if (snapshots->op.result < 0)
        return fail(snapshots, op_error(snapshots->op.result), "the file can't be flushed");
    int32_t handle = snapshots->handle;
    snapshots->handle = -1;
    start_op(snapshots, (struct op){.kind = OP_CLOSE, .handle = handle});
    return STEP_NEXT;
}

/* Renamed; then the folder is opened and flushed. */
static enum step give_name(struct flow *flow)
{
    struct snapshots *snapshots = snapshots_of(flow);
    struct op *op = &snapshots->op;
    switch (snapshots->phase++) {
    case 0:
        start_op(
            snapshots,
            (struct op){.kind = OP_RENAME, .path = snapshots->path, .path_to = snapshots->path_to});
        return STEP_AGAIN;
    case 1:
        if (op->result < 0)
            return fail(snapshots, op_error(op->result), "the file can't be renamed");
        snapshots->part = false;
        snprintf(snapshots->path, sizeof snapshots->path, "%s/__cluster_metadata-0",
                 broker_metadata_path(snapshots->broker));
        start_op(snapshots, (struct op){.kind = OP_OPEN,
                                        .path = snapshots->path,
                                        .flags = OPEN_READ | OPEN_DIRECTORY});
        return STEP_AGAIN;
    case 2:
        if (op->result < 0)
            return fail(snapshots, op_error(op->result), "the folder can't be opened");
        snapshots->handle = (int32_t)op->result;
        if (MUTANT(skip_fsync_of_snapshot))
            return STEP_AGAIN;
        start_op(snapshots, (struct op){.kind = OP_FLUSH, .handle = snapshots->handle});
        return STEP_AGAIN;
    default:
        if (op->result < 0)
            return fail(snapshots, op_error(op->result), "the folder can't be flushed");
        snapshots->phase = 0;
        return STEP_NEXT;
    }
}

/* ---- older ones ---------------------------------------------------------------------------- */

static void add_entry(struct snapshots *snapshots, struct snapshot_entry entry, int64_t appended)
{
    size_t count = (size_t)snapshots->entry_count + 1;
    snapshots->entries = memory_resized(snapshots->entries, count * sizeof *snapshots->entries);
    snapshots->entry_appended = memory_resized(snapshots->entry_appended, count * sizeof(int64_t));
    snapshots->entries[count - 1] = entry;
    snapshots->entry_appended[count - 1] = appended;
    snapshots->entry_count++;
}

/* Is the oldest to go? Counted are snapshots and what was appended since the oldest was begun; the
 * segments before it go at a start. */
static bool oldest_is_over(const struct snapshots *snapshots)
{
    const struct settings *settings = snapshots->broker->settings;
    int64_t bytes = settings->metadata_max_retention_bytes;
    int64_t age_ms = settings->metadata_max_retention_ms;
    const struct snapshot_entry *oldest = &snapshots->entries[0];
    if (snapshots->entry_count < 2)
        return false;
    int64_t total = snapshots->appended_bytes - snapshots->entry_appended[0];
    for (int32_t i = 0; i < snapshots->entry_count; i++)
        total += max_i64(snapshots->entries[i].size_bytes, 0);
    return (bytes >= 0 && total > bytes) ||
           (age_ms >= 0 && oldest->last_ms >= 0 &&
            core_of(snapshots)->now.wall_ms - oldest->last_ms > age_ms);
}

static enum step drop_older(struct flow *flow)
{
    struct snapshots *snapshots = snapshots_of(flow);
    if (snapshots->phase++ == 0) {
        REACHED("a snapshot of metadata");
        add_entry(snapshots,
                  (struct snapshot_entry){snapshots->id, snapshots->size, snapshots->last_ms},
                  snapshots->begun_at);
        snapshots->covered_bytes = snapshots->begun_at;
        snapshots->written++;
        event_write(&core_of(snapshots)->events, &core_of(snapshots)->now, EVENT_INFO,
                    "metadata_snapshot", "end_offset=%lld records=%lld bytes=%lld",
                    (long long)snapshots->id.end_offset, (long long)snapshots->offset - 1,
                    (long long)snapshots->size);
    }
    if (!oldest_is_over(snapshots))
        return STEP_NEXT;
    path_of(snapshots, snapshots->entries[0].id, SNAPSHOT_SUFFIX, snapshots->path);
    snapshots->entry_count--;
    memmove(snapshots->entries, snapshots->entries + 1,
            (size_t)snapshots->entry_count * sizeof *snapshots->entries);
    memmove(snapshots->entry_appended, snapshots->entry_appended + 1,
            (size_t)snapshots->entry_count * sizeof(int64_t));
    /* Should it fail, a start removes it. */
    start_op(snapshots, (struct op){.kind = OP_REMOVE, .path = snapshots->path});
    return STEP_AGAIN;
}

static bool is_due(const struct snapshots *snapshots)
{
    return snapshots->started && !snapshots->stopping && !snapshots->making &&
           snapshots->appended_bytes - snapshots->covered_bytes >=
               snapshots->broker->settings->metadata_log_max_record_bytes_between_snapshots;
}

static void start_clock(struct snapshots *snapshots);

static enum step end(struct flow *flow)
{
    struct snapshots *snapshots = snapshots_of(flow);
    give_turn(snapshots);
    if (snapshots->handle >= 0) {
        int32_t handle = snapshots->handle;
        snapshots->handle = -1;
        start_op(snapshots, (struct op){.kind = OP_CLOSE, .handle = handle});
        return STEP_AGAIN;
    }
    if (snapshots->part) { /* it may be much, and the disk full; else a start removes it */
        snapshots->part = false;
        start_op(snapshots, (struct op){.kind = OP_REMOVE, .path = snapshots->path});
        return STEP_AGAIN;
    }
    if (snapshots->error && snapshots->what)
        event_write(&core_of(snapshots)->events, &core_of(snapshots)->now, EVENT_WARN,
                    "no_metadata_snapshot", "end_offset=%lld error=\"%s\" reason=\"%s\"",
                    (long long)snapshots->id.end_offset, error_text(snapshots->error),
                    snapshots->what);
    if (snapshots->error && (snapshots->what || snapshots->error == ERROR_ALREADY_EXISTS))
        snapshots->covered_bytes = snapshots->begun_at; /* the next one when that is due */
    for (struct chunk *chunk; (chunk = snapshots->first);) {
        snapshots->first = chunk->next;
        memory_free(chunk);
    }
    snapshots->last = NULL;
    arena_done(&snapshots->arena);
    if (snapshots->appended_bytes > snapshots->covered_bytes)
        start_clock(snapshots);
    snapshots->making = false;
    waiters_wake(&snapshots->ended);
    return STEP_NEXT;
}

static const struct flow_kind snapshot_flow = {"snapshot",
                                               {{"take", take},
                                                {"encode", encode},
                                                {"create", create},
                                                {"write", write_chunks},
                                                {"flush", flush},
                                                {"close", close_file},
                                                {"name", give_name},
                                                {"drop", drop_older},
                                                {"end", end}}};

static void begin(struct snapshots *snapshots)
{
    snapshots->error = ERROR_NONE;
    snapshots->what = NULL;
    snapshots->offset = snapshots->size = snapshots->position = 0;
    snapshots->first = snapshots->last = snapshots->writing = NULL;
    snapshots->written_of_chunk = 0;
    snapshots->handle = -1;
    snapshots->part = false;
    snapshots->phase = 0;
    snapshots->pause = TIMER_INIT;
    arena_init(&snapshots->arena, ARENA_BYTES);
    snapshots->making = true;
    flow_start(&snapshots->flow, &snapshot_flow, core_of(snapshots));
}

/* ---- when ---------------------------------------------------------------------------------- */

static enum step tick(struct flow *flow)
{
    struct snapshots *snapshots = CONTAINER_OF(flow, struct snapshots, tick);
    int64_t interval_ms = min_i64(
        snapshots->broker->settings->metadata_log_max_snapshot_interval_ms, INTERVAL_MAX_MS);
    if (snapshots->stopping)
        return STEP_NEXT;
    if (!snapshots->tick_timer.fired) {
        timer_start(&snapshots->tick_timer, core_of(snapshots), flow,
                    core_of(snapshots)->now.monotonic_ns + interval_ms * 1000000);
        return STEP_AGAIN;
    }
    if (snapshots->appended_bytes > snapshots->covered_bytes && !snapshots->making)
        begin(snapshots);
    return STEP_NEXT;
}

static enum step tick_end(struct flow *flow)
{
    struct snapshots *snapshots = CONTAINER_OF(flow, struct snapshots, tick);
    snapshots->ticking = false;
    waiters_wake(&snapshots->ended);
    return STEP_NEXT;
}

static const struct flow_kind tick_flow = {"snapshot-clock", {{"tick", tick}, {"end", tick_end}}};

/* A record has come: in the interval at most it is in a snapshot. */
static void start_clock(struct snapshots *snapshots)
{
    if (!snapshots->started || snapshots->stopping || snapshots->ticking ||
        snapshots->broker->settings->metadata_log_max_snapshot_interval_ms == 0)
        return;
    snapshots->tick_timer = TIMER_INIT;
    snapshots->ticking = true;
    flow_start(&snapshots->tick, &tick_flow, core_of(snapshots));
}

void snapshots_applied(struct broker *broker, int64_t size_bytes, int64_t time_ms)
{
    struct snapshots *snapshots = broker->snapshots;
    snapshots->appended_bytes += size_bytes;
    snapshots->last_ms = time_ms;
    start_clock(snapshots);
    if (is_due(snapshots))
        begin(snapshots);
}

/* ---- life ---------------------------------------------------------------------------------- */

void snapshots_open(struct broker *broker, const struct metadata_found *found)
{
    struct snapshots *snapshots = memory_zeroed(sizeof *snapshots);
    snapshots->broker = broker;
    snapshots->last_ms = max_i64(found->last_ms, 0);
    snapshots->appended_bytes = (int64_t)found->log_bytes; /* behind the snapshot, or a bit more */
    list_init(&snapshots->ended);
    for (int32_t i = 0; i < found->snapshot_count; i++)
        add_entry(snapshots, found->snapshots[i], 0);
    broker->snapshots = snapshots;
}

void snapshots_start(struct broker *broker)
{
    struct snapshots *snapshots = broker->snapshots;
    snapshots->started = true;
    if (snapshots->appended_bytes > snapshots->covered_bytes)
        start_clock(snapshots);
    if (is_due(snapshots))
        begin(snapshots);
}

enum error snapshots_stop(struct broker *broker, struct waiter *waiter, struct flow *flow)
{
    struct snapshots *snapshots = broker->snapshots;
    snapshots->stopping = true;
    timer_cancel(&snapshots->tick_timer, core_of(snapshots));
    if (!snapshots->ticking && !snapshots->making)
        return ERROR_NONE;
    waiter_park(waiter, &snapshots->ended, flow);
    return ERROR_WOULD_WAIT;
}

void snapshots_close(struct broker *broker)
{
    struct snapshots *snapshots = broker->snapshots;
    if (!snapshots)
        return;
    memory_free(snapshots->entries);
    memory_free(snapshots->entry_appended);
    memory_free(snapshots);
    broker->snapshots = NULL;
}

uint64_t snapshots_written(const struct broker *broker, int64_t *ret_end_offset)
{
    const struct snapshots *snapshots = broker->snapshots;
    int32_t count = snapshots->entry_count;
    *ret_end_offset = count ? snapshots->entries[count - 1].id.end_offset : -1;
    return snapshots->written;
}
