#include "storage/index_check.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "protocol/batch.h"
#include "storage/file_read.h"
#include "storage/file_replace.h"
#include "storage/log_scan.h"
#include "storage/log_state.h"
#include "storage/sidecar.h"
#include "storage/store.h"
#include <stdio.h>

enum { BATCHES_PER_STEP = 256, INDEX_BYTES_MOST = 256 << 20 };

struct index_check {
    struct flow flow;
    struct list link; /* in store->checks */
    struct op op;
    struct file_stat stat;
    struct segment *segment;
    struct segment *probe; /* what the files say, or what is made anew */
    struct list waiters;
    struct waiter waiter; /* for its sidecar */
    struct file_read read;
    struct file_replace replace;
    struct log_scan scan;
    struct buffer *buffer;
    int32_t handle;
    uint8_t phase;
    bool lost, failed;
    bool named; /* the batch that the time index's last entry names was met */
    char path[1024];
};

static enum step check_size(struct flow *flow);
static enum step check_open(struct flow *flow);
static enum step check_times(struct flow *flow);
static enum step check_offsets(struct flow *flow);
static enum step check_judge(struct flow *flow);
static enum step check_rebuild(struct flow *flow);
static enum step check_write(struct flow *flow);
static enum step check_end(struct flow *flow);

static const struct flow_kind check_flow = {"index check",
                                            {{"size", check_size},
                                             {"open", check_open},
                                             {"times", check_times},
                                             {"offsets", check_offsets},
                                             {"judge", check_judge},
                                             {"rebuild", check_rebuild},
                                             {"write", check_write},
                                             {"end", check_end}}};

static struct index_check *check_of(struct flow *flow)
{
    return CONTAINER_OF(flow, struct index_check, flow);
}

static struct core *core_of(const struct index_check *job)
{
    return job->segment->log->store->core;
}

static enum step start_op(struct index_check *job, struct op op)
{
    job->op = op;
    job->op.flow = &job->flow;
    file_op_start(core_of(job), &job->op);
    return STEP_AGAIN;
}

static void set_path(struct index_check *job, const char *suffix)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(job->segment->base_offset, suffix, name);
    snprintf(job->path, sizeof job->path, "%s/%s", job->segment->log->folder, name);
}

static enum step fail(struct index_check *job)
{
    job->failed = true;
    return STEP_FAIL;
}

static void begin(struct segment *segment, bool lost)
{
    struct log *log = segment->log;
    struct index_check *job = memory_zeroed(sizeof *job);
    job->segment = segment;
    job->handle = -1;
    job->lost = lost;
    job->probe = segment_new(NULL, segment->base_offset);
    list_init(&job->waiters);
    list_init(&job->link);
    list_push(&log->store->checks, &job->link);
    segment->check = job;
    segment->users++;
    log->reads++;
    flow_start(&job->flow, &check_flow, log->store->core);
}

enum error index_check(struct segment *segment, struct waiter *waiter, struct flow *flow)
{
    if (segment->times.known)
        return ERROR_NONE;
    if (segment->log->removed)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (segment->check_failed) {
        segment->check_failed = false; /* the next one tries again */
        return ERROR_KAFKA_STORAGE_ERROR;
    }
    if (segment->swapping) {
        REACHED("look-up by time during a compaction's swap");
        if (segment->log->store->fenced)
            return ERROR_KAFKA_STORAGE_ERROR;
        waiter_park(waiter, &segment->log->idle_waiters, flow);
        return ERROR_WOULD_WAIT;
    }
    if (!segment->check)
        begin(segment, false);
    waiter_park(waiter, &segment->check->waiters, flow);
    return ERROR_WOULD_WAIT;
}

bool index_check_await_all(struct store *store, struct waiter *waiter, struct flow *flow)
{
    if (list_is_empty(&store->checks))
        return false;
    waiter_park(waiter, &CONTAINER_OF(store->checks.next, struct index_check, link)->waiters, flow);
    return true;
}

void index_check_distrust(struct segment *segment)
{
    if (!segment->sealed || segment->swapping || segment->check || segment->log->removed ||
        segment->log->store->fenced)
        return;
    segment->times.known = false;
    begin(segment, true);
}

static enum step check_size(struct flow *flow)
{
    struct index_check *job = check_of(flow);
    if (job->phase++ == 0) {
        set_path(job, ".log");
        return start_op(job, (struct op){.kind = OP_STAT, .path = job->path, .data = &job->stat});
    }
    struct segment *segment = job->segment;
    if (job->op.result < 0)
        return fail(job);
    if (segment->size < 0)
        segment->size = segment->drained = segment->allocated = job->stat.size_bytes;
    if (sidecar_await(segment, &job->waiter, flow))
        return STEP_AGAIN;
    job->phase = 0;
    return STEP_NEXT;
}

static enum step check_open(struct flow *flow)
{
    struct index_check *job = check_of(flow);
    if (job->phase++ == 0)
        return start_op(job, (struct op){.kind = OP_OPEN, .path = job->path, .flags = OPEN_READ});
    job->phase = 0;
    if (job->op.result < 0)
        return fail(job);
    job->handle = (int32_t)job->op.result;
    return STEP_NEXT;
}

/* Is the file that was read the one of which the sidecar tells? */
static bool is_as_noted(const struct index_check *job, enum sidecar_file file)
{
    const struct sidecar *sidecar = job->segment->sidecar;
    if (!sidecar || sidecar_cache_agrees(&sidecar->files[file], job->read.bytes))
        return true;
    REACHED("index not what its sidecar says");
    return false;
}

/* Reads one of the files; true when it has ended. */
static bool read_file(struct index_check *job, const char *suffix)
{
    if (job->phase++ == 0) {
        set_path(job, suffix);
        job->read = (struct file_read){
            .core = core_of(job), .path = job->path, .most_bytes = INDEX_BYTES_MOST};
    }
    if (!file_read_step(&job->read, &job->flow))
        return false;
    job->phase = 0;
    return true;
}

static enum step check_times(struct flow *flow)
{
    struct index_check *job = check_of(flow);
    if (!read_file(job, ".timeindex"))
        return STEP_AGAIN;
    const struct bytes bytes = job->read.bytes;
    job->lost |= job->read.error != ERROR_NONE;
    job->lost |= !job->lost && !is_as_noted(job, SIDECAR_TIMES);
    if (!job->lost &&
        !time_index_decode(&job->probe->times, bytes.data, (size_t)bytes.size, INT32_MAX))
        job->lost = true;
    file_read_done(&job->read);
    return STEP_NEXT;
}

static enum step check_offsets(struct flow *flow)
{
    struct index_check *job = check_of(flow);
    if (!read_file(job, ".index"))
        return STEP_AGAIN;
    const struct bytes bytes = job->read.bytes;
    job->lost |= job->read.error != ERROR_NONE;
    job->lost |= !job->lost && !is_as_noted(job, SIDECAR_INDEX);
    if (!job->lost) {
        index_decode(job->probe, bytes.data, (size_t)bytes.size, job->stat.size_bytes);
        job->lost = 8 * (int64_t)job->probe->index_count != bytes.size;
    }
    file_read_done(&job->read);
    return STEP_NEXT;
}

static void begin_scan(struct index_check *job, int64_t position)
{
    job->scan = (struct log_scan){.core = core_of(job),
                                  .handle = job->handle,
                                  .alignment = 1,
                                  .position = position,
                                  .end = job->stat.size_bytes,
                                  .next_offset = job->segment->base_offset,
                                  .whole_from = INT64_MAX};
}

/* Is this batch, behind the place where the last entry leads, against it? */
static bool contradicts(struct index_check *job, const uint8_t *batch)
{
    const struct time_index *times = &job->probe->times;
    int64_t timestamp_ms = (int64_t)load_be64(batch + BATCH_MAX_TIMESTAMP_AT);
    int64_t last = batch_last_offset_at(batch) - job->segment->base_offset;
    if (times->written == 0 || last != times->last_relative_offset)
        return timestamp_ms > times->last_timestamp_ms;
    job->named = true;
    return timestamp_ms != times->last_timestamp_ms;
}

static enum step check_judge(struct flow *flow)
{
    struct index_check *job = check_of(flow);
    const struct time_index *times = &job->probe->times;
    if (job->lost || MUTANT(index_entry_believed))
        return STEP_NEXT;
    int64_t wanted = job->segment->base_offset + times->last_relative_offset;
    if (job->phase++ == 0)
        begin_scan(job, times->written ? segment_index_find(job->probe, wanted) : 0);
    job->phase = 1;
    for (int i = 0; i < BATCHES_PER_STEP; i++) {
        if (!job->scan.reading && job->segment->log->store->stopping)
            return fail(job);
        enum log_scan_result result = log_scan_step(&job->scan, flow);
        if (result == SCAN_WAITS)
            return STEP_AGAIN;
        if (result == SCAN_BATCH && !contradicts(job, job->scan.batch))
            continue;
        job->lost = result != SCAN_ENDED || (times->written && !job->named);
        job->phase = 0;
        log_scan_done(&job->scan);
        return STEP_NEXT;
    }
    return STEP_AGAIN;
}

static enum step check_rebuild(struct flow *flow)
{
    struct index_check *job = check_of(flow);
    if (!job->lost)
        return STEP_NEXT;
    if (job->phase == 0) {
        REACHED("indexes of a closed segment made anew");
        segment_free(job->probe);
        job->probe = segment_new(NULL, job->segment->base_offset);
        begin_scan(job, 0);
        job->phase = 1;
    }
    for (int i = 0; i < BATCHES_PER_STEP; i++) {
        if (!job->scan.reading && job->segment->log->store->stopping)
            return fail(job);
        enum log_scan_result result = log_scan_step(&job->scan, flow);
        if (result == SCAN_WAITS)
            return STEP_AGAIN;
        if (result == SCAN_FAULT)
            return fail(job); /* rot: whoever reads there or scrubs it says more */
        if (result == SCAN_ENDED) {
            log_scan_done(&job->scan);
            job->phase = 0;
            time_index_enter(&job->probe->times, (uint32_t)job->stat.size_bytes - 1);
            return STEP_NEXT;
        }
        segment_note_batch(job->probe, job->scan.batch, job->scan.position,
                           job->segment->log->settings->index_interval_bytes);
    }
    return STEP_AGAIN;
}

static void begin_write(struct index_check *job, bool times)
{
    struct segment *probe = job->probe;
    int32_t count = times ? probe->times.pending_count : probe->index_count;
    size_t size = (size_t)count * (times ? TIME_ENTRY_BYTES : 8);
    buffer_release(job->buffer);
    job->buffer = buffers_take_always(&core_of(job)->buffers, size + 1);
    if (times)
        time_index_encode(&probe->times, count, job->buffer->data);
    else
        index_encode(probe, 0, count, job->buffer->data);
    set_path(job, times ? ".timeindex" : ".index");
    job->replace = (struct file_replace){
        .core = core_of(job), .path = job->path, .data = job->buffer->data, .size = size};
}

static enum step check_write(struct flow *flow)
{
    struct index_check *job = check_of(flow);
    struct log *log = job->segment->log;
    if (!job->lost)
        return STEP_NEXT;
    if (log->removed || log->store->fenced)
        return fail(job);
    if (job->phase % 2 == 0)
        begin_write(job, job->phase++ > 0);
    if (!file_replace_step(&job->replace, flow))
        return STEP_AGAIN;
    if (job->replace.error)
        return fail(job);
    if (job->phase++ == 1)
        return STEP_AGAIN;
    job->phase = 0;
    time_index_wrote(&job->probe->times, job->probe->times.pending_count);
    if (list_is_empty(&log->dirty_folder))
        list_push(&log->store->dirty_folders, &log->dirty_folder);
    return STEP_NEXT;
}

/* The old entries in memory, if any, are read anew by the next who needs them. */
static void adopt(struct index_check *job)
{
    struct segment *segment = job->segment;
    time_index_free(&segment->times);
    segment->times = job->probe->times;
    segment->times.known = true;
    time_index_init(&job->probe->times);
    if (!job->lost)
        return;
    memory_free(segment->index);
    segment->index = NULL;
    segment->index_count = segment->index_capacity = segment->index_written = 0;
    segment->index_loaded = segment->index_bad = false;
    if (segment->sidecar) /* until it has been written anew */
        segment->sidecar->files[SIDECAR_INDEX].there =
            segment->sidecar->files[SIDECAR_TIMES].there = false;
}

static enum step check_end(struct flow *flow)
{
    struct index_check *job = check_of(flow);
    if (job->handle >= 0) {
        int32_t handle = job->handle;
        job->handle = -1;
        return start_op(job, (struct op){.kind = OP_CLOSE, .handle = handle});
    }
    struct segment *segment = job->segment;
    struct log *log = segment->log;
    segment->check = NULL;
    segment->check_failed = job->failed;
    if (!job->failed)
        adopt(job);
    if (!job->failed && job->lost)
        sidecar_is_due(segment);
    segment_free(job->probe);
    buffer_release(job->buffer);
    file_read_done(&job->read);
    log_scan_done(&job->scan);
    waiters_wake(&job->waiters);
    list_remove(&job->link);
    memory_free(job);
    segment->users--;
    log->reads--;
    waiters_wake(&log->idle_waiters);
    return STEP_NEXT;
}
