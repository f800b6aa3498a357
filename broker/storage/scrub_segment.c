#include "storage/scrub_segment.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "storage/index_check.h"
#include "storage/log_prove.h"
#include "storage/log_state.h"
#include "storage/sidecars.h"
#include "storage/store.h"
#include <stdio.h>

enum { PIECE_BYTES = 128 << 10, CACHE_BYTES_MOST = 256 << 20 };

enum { SIZE, SIZED, SIDECAR, OPENED, SCAN, CLOSED, CACHES, ENDED };

void scrub_segment_begin(struct scrub_segment *scrub, struct segment *segment)
{
    check(!scrub->segment);
    uint64_t read_bytes = scrub->read_bytes, rot = scrub->rot;
    *scrub = (struct scrub_segment){
        .segment = segment, .handle = -1, .read_bytes = read_bytes, .rot = rot};
    segment->users++;
    segment->log->reads++;
    scrub->made = sidecar_new(segment->base_offset);
    scrub->had = segment->sidecar != NULL;
}

static enum scrub_result start_op(struct scrub_segment *scrub, struct flow *flow, uint8_t phase,
                                  struct op op)
{
    scrub->phase = phase;
    scrub->op = op;
    scrub->op.flow = flow;
    file_op_start(flow->core, &scrub->op);
    return SCRUB_WAITS;
}

static void set_path(struct scrub_segment *scrub, const char *suffix)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(scrub->segment->base_offset, suffix, name);
    snprintf(scrub->path, sizeof scrub->path, "%s/%s", scrub->segment->log->folder, name);
}

/* Is it no closed segment of its log any more, or has the work to end? */
static bool is_off(const struct scrub_segment *scrub)
{
    const struct log *log = scrub->segment->log;
    if (log->removed || log->cut || log->state != LOG_OPEN || log->store->fenced ||
        log->store->stopping || log->stop_cleaning)
        return true;
    for (int32_t i = 0; i + 1 < log->segment_count; i++)
        if (log->segments[i] == scrub->segment)
            return scrub->segment->swapping;
    return true;
}

static void tell(struct scrub_segment *scrub, const char *suffix, int64_t position,
                 const char *what)
{
    scrub->rot++;
    log_tell_rot(scrub->segment, suffix,
                 &(struct sidecar_fault){.position = position, .what = what});
}

/* ---- the batches ----------------------------------------------------------------------------- */

static enum scrub_result open_file(struct scrub_segment *scrub, struct flow *flow)
{
    set_path(scrub, ".log");
    return start_op(
        scrub, flow, OPENED,
        (struct op){.kind = OP_OPEN, .path = scrub->path, .flags = OPEN_READ | OPEN_DIRECT});
}

static void begin_scan(struct scrub_segment *scrub, struct flow *flow)
{
    const struct segment *segment = scrub->segment;
    scrub->scan = (struct log_scan){.core = flow->core,
                                    .handle = scrub->handle,
                                    .alignment = segment->log->store->alignment,
                                    .end = segment->size,
                                    .next_offset = segment->base_offset,
                                    .whole_from = 0,
                                    .ahead = PIECE_BYTES};
    scrub->phase = SCAN;
}

static enum scrub_result close_file(struct scrub_segment *scrub, struct flow *flow)
{
    int32_t handle = scrub->handle;
    scrub->handle = -1;
    log_scan_done(&scrub->scan);
    return start_op(scrub, flow, CLOSED, (struct op){.kind = OP_CLOSE, .handle = handle});
}

/* A piece of the file; each of its batches is noted. */
static enum scrub_result scan(struct scrub_segment *scrub, struct flow *flow)
{
    struct log_scan *batches = &scrub->scan;
    if (!batches->reading && is_off(scrub)) {
        scrub->off = true;
        return close_file(scrub, flow);
    }
    for (;;) {
        switch (log_scan_step(batches, flow)) {
        case SCAN_WAITS:
            return SCRUB_WAITS;
        case SCAN_ENDED:
            scrub->read_bytes += (uint64_t)(batches->position - scrub->charged);
            return close_file(scrub, flow);
        case SCAN_FAULT:
            tell(scrub, ".log", batches->position, batches->fault);
            scrub->off = true;
            return close_file(scrub, flow);
        case SCAN_BATCH:
            sidecar_note(scrub->made, batches->batch);
            int64_t end = batches->position + batches->batch_size;
            if (end - scrub->charged < PIECE_BYTES)
                break;
            scrub->read_bytes += (uint64_t)(end - scrub->charged);
            scrub->charged = end;
            return SCRUB_READ;
        }
    }
}

/* Compares what was read with the sidecar: all CRCs of batches are right. The segment's sidecar is
 * made if there is none, or one of other batches. */
static void compare(struct scrub_segment *scrub)
{
    struct segment *segment = scrub->segment;
    struct sidecar_fault fault = {0};
    enum sidecar_verdict verdict = SIDECAR_OTHER;
    if (segment->sidecar)
        verdict = sidecar_compare(segment->sidecar, scrub->made, &fault);
    if (verdict == SIDECAR_ROT && !MUTANT(scrub_skips_headers)) {
        REACHED("rot found by a scrub");
        tell(scrub, ".log", fault.position, fault.what);
    }
    if (verdict != SIDECAR_OTHER || scrub->made->size != segment->size || segment->size == 0)
        return;
    REACHED("sidecar made by a scrub");
    sidecar_free(segment->sidecar);
    segment->sidecar = scrub->made;
    segment->sidecar_known = false; /* once it is written it goes */
    scrub->made = NULL;
    sidecar_is_due(segment);
}

/* ---- the files beside it --------------------------------------------------------------------- */

/* Of the index of transactions memory has all: no more comes to a closed segment. Null: it has
 * something else than the sidecar says. */
static struct bytes whole_transactions(const struct scrub_segment *scrub,
                                       const struct sidecar_cache *cache)
{
    const struct segment *segment = scrub->segment;
    const struct log *log = segment->log;
    struct bytes whole = BYTES_NULL;
    for (int32_t i = 0; i + 1 < log->segment_count; i++)
        if (log->segments[i] == segment)
            whole = producer_state_txn_index(log, segment->base_offset,
                                             log->segments[i + 1]->base_offset);
    if (!whole.data || sidecar_cache_agrees(cache, whole))
        return whole;
    memory_free((void *)(uintptr_t)whole.data);
    return BYTES_NULL;
}

static void judge_cache(struct scrub_segment *scrub)
{
    const struct sidecar *known = scrub->segment->sidecar;
    const struct sidecar_cache *cache = known ? &known->files[scrub->file] : NULL;
    if (!cache || !cache->there || scrub->segment->check)
        return;
    enum error error = scrub->read.error;
    if (error == ERROR_NONE && sidecar_cache_agrees(cache, scrub->read.bytes))
        return;
    if (scrub->file != SIDECAR_TRANSACTIONS) {
        index_check_distrust(scrub->segment);
        REACHED("index made anew for a scrub");
        return;
    }
    scrub->mended = whole_transactions(scrub, cache);
    if (!scrub->mended.data)
        tell(scrub, segment_caches[scrub->file], 0, "it is not what it was");
}

/* Writes the index of transactions anew, if it is to be. False: it waits. */
static bool mend(struct scrub_segment *scrub, struct flow *flow)
{
    struct log *log = scrub->segment->log;
    if (!scrub->mended.data)
        return true;
    if (!scrub->mend.core)
        scrub->mend = (struct file_replace){.core = flow->core,
                                            .path = scrub->path,
                                            .data = scrub->mended.data,
                                            .size = (size_t)scrub->mended.size};
    if (!file_replace_step(&scrub->mend, flow))
        return false;
    if (scrub->mend.error)
        tell(scrub, segment_caches[scrub->file], 0, "it is damaged, and can't be written anew");
    else if (list_is_empty(&log->dirty_folder))
        list_push(&log->store->dirty_folders, &log->dirty_folder);
    if (!scrub->mend.error)
        REACHED("index of transactions made anew for a scrub");
    memory_free((void *)(uintptr_t)scrub->mended.data);
    scrub->mended = BYTES_NULL;
    scrub->mend = (struct file_replace){0};
    return true;
}

static enum scrub_result caches(struct scrub_segment *scrub, struct flow *flow)
{
    for (; scrub->file < SIDECAR_FILES; scrub->file++) {
        if (scrub->read.phase == 0) {
            if (is_off(scrub))
                break;
            set_path(scrub, segment_caches[scrub->file]);
            scrub->read = (struct file_read){
                .core = flow->core, .path = scrub->path, .most_bytes = CACHE_BYTES_MOST};
        }
        if (!scrub->mended.data) {
            if (!file_read_step(&scrub->read, flow))
                return SCRUB_WAITS;
            judge_cache(scrub);
        }
        if (!mend(scrub, flow))
            return SCRUB_WAITS;
        scrub->read_bytes += (uint64_t)max_i64(scrub->read.bytes.size, 0);
        file_read_done(&scrub->read);
        scrub->read = (struct file_read){0};
    }
    scrub->phase = ENDED;
    return SCRUB_READ;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static enum scrub_result end(struct scrub_segment *scrub)
{
    struct segment *segment = scrub->segment;
    sidecar_free(scrub->made);
    scrub->made = NULL;
    scrub->segment = NULL;
    if (!scrub->had)
        sidecar_drop(segment); /* nobody needed it but this */
    segment->users--;
    segment->log->reads--;
    waiters_wake(&segment->log->idle_waiters);
    return SCRUB_ENDED;
}

/* Its size and its sidecar are known: the file is opened. */
static enum scrub_result look_at_sidecar(struct scrub_segment *scrub, struct flow *flow)
{
    struct segment *segment = scrub->segment;
    if (is_off(scrub))
        return end(scrub);
    if (sidecar_await(segment, &scrub->waiter, flow))
        return SCRUB_WAITS;
    return open_file(scrub, flow);
}

enum scrub_result scrub_segment_step(struct scrub_segment *scrub, struct flow *flow)
{
    struct segment *segment = scrub->segment;
    switch (scrub->phase) {
    case SIZE:
        if (segment->size >= 0) {
            scrub->phase = SIDECAR;
            return look_at_sidecar(scrub, flow);
        }
        set_path(scrub, ".log");
        return start_op(scrub, flow, SIZED,
                        (struct op){.kind = OP_STAT, .path = scrub->path, .data = &scrub->stat});
    case SIZED:
        if (scrub->op.result < 0) {
            if (!is_off(scrub))
                tell(scrub, ".log", 0, "the size of the file can't be read");
            return end(scrub);
        }
        if (segment->size < 0)
            segment->size = segment->drained = segment->allocated = scrub->stat.size_bytes;
        scrub->phase = SIDECAR;
        /* fall through */
    case SIDECAR:
        return look_at_sidecar(scrub, flow);
    case OPENED:
        if (scrub->op.result < 0) {
            if (!is_off(scrub))
                tell(scrub, ".log", 0, "the file can't be opened");
            return end(scrub);
        }
        scrub->handle = (int32_t)scrub->op.result;
        begin_scan(scrub, flow);
        /* fall through */
    case SCAN:
        return scan(scrub, flow);
    case CLOSED:
        if (scrub->off || is_off(scrub))
            return end(scrub);
        if (sidecar_await(segment, &scrub->waiter, flow)) /* somebody may have dropped it */
            return SCRUB_WAITS;
        compare(scrub);
        scrub->phase = CACHES;
        /* fall through */
    case CACHES:
        return caches(scrub, flow);
    default:
        return end(scrub);
    }
}
