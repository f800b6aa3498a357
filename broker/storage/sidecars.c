#include "storage/sidecars.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/reached.h"
#include "storage/file_read.h"
#include "storage/file_replace.h"
#include "storage/log_state.h"
#include "storage/sidecar_format.h"
#include "storage/store.h"
#include <stdio.h>

enum { CACHE_BYTES_MOST = 256 << 20 };

struct sidecar_job {
    struct flow flow;
    struct list link; /* in sidecars->jobs */
    struct segment *segment;
    struct list waiters;
    struct sidecar *found; /* in the file */
    struct sidecar_cache caches[SIDECAR_FILES];
    struct file_read read;
    struct file_replace replace;
    struct bytes encoded;
    uint8_t phase;
    bool writes; /* else it loads */
    char path[1024];
};

static enum step job_read(struct flow *flow);
static enum step job_caches(struct flow *flow);
static enum step job_write(struct flow *flow);
static enum step job_end(struct flow *flow);

static const struct flow_kind job_flow = {
    "sidecar",
    {{"read", job_read}, {"caches", job_caches}, {"write", job_write}, {"end", job_end}}};

static struct sidecar_job *job_of(struct flow *flow)
{
    return CONTAINER_OF(flow, struct sidecar_job, flow);
}

static struct store *store_of(const struct segment *segment)
{
    return segment->log->store;
}

void sidecars_init(struct sidecars *sidecars)
{
    list_init(&sidecars->due);
    list_init(&sidecars->jobs);
}

void sidecar_gather(struct segment *segment, const uint8_t *batch, int64_t position)
{
    if (position == 0) {
        sidecar_free(segment->sidecar);
        segment->sidecar = sidecar_new(segment->base_offset);
    }
    if (!segment->sidecar)
        return;
    if (segment->sidecar->size == position) {
        sidecar_note(segment->sidecar, batch);
        return;
    }
    sidecar_free(segment->sidecar); /* not all of it was seen */
    segment->sidecar = NULL;
}

/* Does what is in memory tell of all batches? */
static bool is_whole(const struct segment *segment)
{
    return segment->sidecar && segment->sidecar->size == segment->size;
}

/* The base of the segment behind it; -1: it is none of the log's closed ones any more. */
static int64_t next_base(const struct segment *segment)
{
    const struct log *log = segment->log;
    for (int32_t i = 0; i + 1 < log->segment_count; i++)
        if (log->segments[i] == segment)
            return log->segments[i + 1]->base_offset;
    return -1;
}

/* ---- jobs ---------------------------------------------------------------------------------- */

static struct sidecar_job *start_job(struct segment *segment, bool writes)
{
    struct log *log = segment->log;
    struct sidecar_job *job = memory_zeroed(sizeof *job);
    job->segment = segment;
    job->writes = writes;
    list_init(&job->waiters);
    list_init(&job->link);
    list_push(&log->store->sidecars.jobs, &job->link);
    segment->users++;
    log->reads++;
    flow_start(&job->flow, &job_flow, log->store->core);
    return job;
}

static bool may_be_written(const struct segment *segment)
{
    int64_t end = next_base(segment);
    return segment->sealed && !segment->swapping && end >= 0 && segment->log->state == LOG_OPEN &&
           producer_state_is_saved(segment->log, end);
}

void sidecars_go_on(struct store *store)
{
    struct sidecars *sidecars = &store->sidecars;
    struct list *next;
    for (struct list *node = sidecars->due.next;
         node != &sidecars->due && !sidecars->writing && !store->fenced; node = next) {
        struct segment *segment = CONTAINER_OF(node, struct segment, sidecar_due);
        next = node->next;
        if (!may_be_written(segment))
            continue;
        list_remove(&segment->sidecar_due);
        sidecars->writing = true;
        start_job(segment, true);
    }
}

void sidecar_is_due(struct segment *segment)
{
    struct store *store = store_of(segment);
    if (segment->log->removed || store->fenced || segment->sidecar_newer)
        return;
    if (list_is_empty(&segment->sidecar_due))
        list_push(&store->sidecars.due, &segment->sidecar_due);
    sidecars_go_on(store);
}

bool sidecar_await(struct segment *segment, struct waiter *waiter, struct flow *flow)
{
    struct log *log = segment->log;
    if (!segment->sealed || segment->sidecar_known || segment->swapping || is_whole(segment) ||
        log->removed || log->store->fenced)
        return false;
    if (!segment->sidecar_job)
        segment->sidecar_job = start_job(segment, false);
    waiter_park(waiter, &segment->sidecar_job->waiters, flow);
    return true;
}

void sidecar_drop(struct segment *segment)
{
    if (!segment->sidecar_known || segment->check || !list_is_empty(&segment->sidecar_due))
        return;
    sidecar_free(segment->sidecar);
    segment->sidecar = NULL;
    segment->sidecar_known = false;
}

bool sidecars_await_all(struct store *store, struct waiter *waiter, struct flow *flow)
{
    struct list *jobs = &store->sidecars.jobs;
    if (list_is_empty(jobs))
        return false;
    waiter_park(waiter, &CONTAINER_OF(jobs->next, struct sidecar_job, link)->waiters, flow);
    return true;
}

static bool is_off(const struct sidecar_job *job)
{
    return job->segment->log->removed || store_of(job->segment)->fenced;
}

static void set_path(struct sidecar_job *job, const char *suffix)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(job->segment->base_offset, suffix, name);
    snprintf(job->path, sizeof job->path, "%s/%s", job->segment->log->folder, name);
}

/* Reads one of the files; true when it has ended. */
static bool read_file(struct sidecar_job *job, const char *suffix, int64_t most_bytes)
{
    if (job->read.phase == 0) {
        set_path(job, suffix);
        job->read =
            (struct file_read){.core = job->flow.core, .path = job->path, .most_bytes = most_bytes};
    }
    return file_read_step(&job->read, &job->flow);
}

static void end_read(struct sidecar_job *job)
{
    file_read_done(&job->read);
    job->read = (struct file_read){0};
}

static void tell(struct sidecar_job *job, const char *why)
{
    struct core *core = job->flow.core;
    event_write(&core->events, &core->now, EVENT_WARN, "sidecar_ignored", "file=%s reason=\"%s\"",
                job->path, why);
}

/* Takes what the file says, if it is of this segment. */
static enum error take_file(struct sidecar_job *job)
{
    const struct segment *segment = job->segment;
    if (job->read.error)
        return job->read.error;
    enum error error = sidecar_decode(job->read.bytes, &job->found);
    job->segment->sidecar_newer = error == ERROR_NEWER_VERSION;
    if (error)
        tell(job, error_text(error));
    if (error)
        return error;
    int64_t end = next_base(segment);
    if (sidecar_fits(job->found, segment->base_offset, segment->size, end < 0 ? INT64_MAX : end))
        return ERROR_NONE;
    REACHED("stale sidecar");
    tell(job, "it is of an earlier segment of this name");
    sidecar_free(job->found);
    job->found = NULL;
    return ERROR_NOT_FOUND;
}

static enum step job_read(struct flow *flow)
{
    struct sidecar_job *job = job_of(flow);
    if (job->read.phase == 0 && (is_off(job) || (job->writes && is_whole(job->segment))))
        return is_off(job) ? STEP_FAIL : STEP_NEXT;
    if (!read_file(job, SIDECAR_SUFFIX, SIDECAR_FILE_MAX))
        return STEP_AGAIN;
    enum error error = take_file(job);
    end_read(job);
    return error || !job->writes ? STEP_FAIL : STEP_NEXT;
}

/* What the other files come to, one after the other. */
static enum step job_caches(struct flow *flow)
{
    struct sidecar_job *job = job_of(flow);
    for (; job->phase < SIDECAR_FILES; job->phase++) {
        if (job->read.phase == 0 && is_off(job))
            return STEP_FAIL;
        if (!read_file(job, segment_caches[job->phase], CACHE_BYTES_MOST))
            return STEP_AGAIN;
        enum error error = job->read.error;
        if (error == ERROR_NONE)
            job->caches[job->phase] = sidecar_cache_of(job->read.bytes);
        end_read(job);
        if (error && error != ERROR_NOT_FOUND)
            return STEP_FAIL;
    }
    return STEP_NEXT;
}

static bool begin_write(struct sidecar_job *job)
{
    const struct segment *segment = job->segment;
    const struct sidecar *from = is_whole(segment) ? segment->sidecar : job->found;
    if (is_off(job) || !from || from->size == 0)
        return false;
    struct sidecar sidecar = *from; /* runs are borrowed */
    memcpy(sidecar.files, job->caches, sizeof sidecar.files);
    job->encoded = sidecar_encode(&sidecar);
    set_path(job, SIDECAR_SUFFIX);
    job->replace = (struct file_replace){.core = job->flow.core,
                                         .path = job->path,
                                         .data = job->encoded.data,
                                         .size = (size_t)job->encoded.size};
    return true;
}

static enum step job_write(struct flow *flow)
{
    struct sidecar_job *job = job_of(flow);
    struct segment *segment = job->segment;
    struct log *log = segment->log;
    if (!job->encoded.data && !begin_write(job))
        return STEP_FAIL;
    if (!file_replace_step(&job->replace, flow))
        return STEP_AGAIN;
    if (job->replace.error)
        return STEP_FAIL; /* the segment is as good without */
    REACHED("sidecar written");
    if (list_is_empty(&log->dirty_folder) && !log->removed)
        list_push(&log->store->dirty_folders, &log->dirty_folder);
    if (segment->sidecar_known && segment->sidecar) {
        memcpy(segment->sidecar->files, job->caches, sizeof job->caches);
    } else { /* gathered: read again by who needs it */
        sidecar_free(segment->sidecar);
        segment->sidecar = NULL;
        segment->sidecar_known = false;
    }
    return STEP_NEXT;
}

static enum step job_end(struct flow *flow)
{
    struct sidecar_job *job = job_of(flow);
    struct segment *segment = job->segment;
    struct log *log = segment->log;
    struct store *store = log->store;
    if (!job->writes) {
        segment->sidecar_job = NULL;
        segment->sidecar_known = true;
        if (!is_whole(segment)) {
            sidecar_free(segment->sidecar);
            segment->sidecar = job->found;
            job->found = NULL;
        }
    } else {
        store->sidecars.writing = false;
    }
    sidecar_free(job->found);
    file_read_done(&job->read);
    memory_free((void *)(uintptr_t)job->encoded.data);
    waiters_wake(&job->waiters);
    list_remove(&job->link);
    memory_free(job);
    segment->users--;
    log->reads--;
    waiters_wake(&log->idle_waiters);
    sidecars_go_on(store);
    return STEP_NEXT;
}
