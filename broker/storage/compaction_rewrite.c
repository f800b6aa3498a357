/* The rewrite of a group of segments into one: see compaction.h. */
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "storage/cleaner.h"
#include "storage/compaction.h"
#include "storage/handles.h"
#include "storage/log_state.h"
#include <stdio.h>

static enum step rewrite_open(struct flow *flow);
static enum step rewrite_copy(struct flow *flow);
static enum step rewrite_flush(struct flow *flow);
static enum step rewrite_commit(struct flow *flow);
static enum step rewrite_install(struct flow *flow);
static enum step rewrite_retire(struct flow *flow);
static enum step rewrite_names(struct flow *flow);
static enum step rewrite_finish(struct flow *flow);

static const struct flow_kind rewrite_flow = {"compaction rewrite",
                                              {{"open", rewrite_open},
                                               {"copy", rewrite_copy},
                                               {"flush", rewrite_flush},
                                               {"commit", rewrite_commit},
                                               {"install", rewrite_install},
                                               {"retire", rewrite_retire},
                                               {"names", rewrite_names},
                                               {"finish", rewrite_finish}}};

static struct compaction_rewrite *rewrite_of(struct flow *flow)
{
    return CONTAINER_OF(flow, struct compaction_rewrite, flow);
}

void compaction_rewrite_start(struct compaction_pass *pass, struct segment **sources, int32_t count,
                              int64_t end_offset)
{
    struct compaction_rewrite *rewrite = &pass->rewrite;
    *rewrite = (struct compaction_rewrite){.pass = pass,
                                           .source_count = count,
                                           .end_offset = end_offset,
                                           .changed = count > 1,
                                           .read_handle = -1};
    rewrite->sources = memory_zeroed((size_t)count * sizeof(struct segment *));
    for (int32_t i = 0; i < count; i++) {
        rewrite->sources[i] = sources[i];
        sources[i]->users++;
    }
    struct cleaner *cleaner = pass->cleaner;
    compaction_writer_init(&rewrite->writer, pass->log, sources[0]->base_offset,
                           cleaner->store->options.cleaner.buffer_bytes);
    folder_script_init(&rewrite->names, pass->log->folder);
    flow_start(&rewrite->flow, &rewrite_flow, cleaner->store->core);
}

static enum step give_up(struct compaction_rewrite *rewrite, enum error error)
{
    rewrite->error = error ? error : ERROR_CANCELLED;
    return STEP_FAIL;
}

/* Past the commit nothing may fail: what the disk holds is not what is in memory. */
static enum step fence(struct compaction_rewrite *rewrite, enum error error, const char *what)
{
    store_fence(rewrite->pass->log->store, error ? error : ERROR_INPUT_OUTPUT, what);
    return give_up(rewrite, ERROR_KAFKA_STORAGE_ERROR);
}

/* The file could not be written: the old ones are as good as before. A failed flush is another
 * matter: nothing of the directory is to be trusted any more. */
static enum step writer_failed(struct compaction_rewrite *rewrite)
{
    const struct compaction_writer *writer = &rewrite->writer;
    if (writer->op.kind == OP_FLUSH)
        return fence(rewrite, writer->error, writer->fault);
    struct core *core = rewrite->flow.core;
    event_write(&core->events, &core->now, EVENT_WARN, "compaction_failed",
                "folder=%s segment=%lld reason=\"%s\" error=\"%s\"", rewrite->pass->log->folder,
                (long long)writer->segment->base_offset, writer->fault, error_text(writer->error));
    return give_up(rewrite, writer->error);
}

static enum step rewrite_open(struct flow *flow)
{
    struct compaction_rewrite *rewrite = rewrite_of(flow);
    if (compaction_pass_is_off(rewrite->pass))
        return give_up(rewrite, ERROR_CANCELLED);
    if (!compaction_writer_step(&rewrite->writer, flow))
        return STEP_AGAIN;
    return rewrite->writer.fault ? writer_failed(rewrite) : STEP_NEXT;
}

/* Is nothing left behind the batch that the scan gave last? */
static bool at_last_batch(const struct compaction_rewrite *rewrite)
{
    const struct compaction_scan *scan = &rewrite->pass->scan;
    if (scan->position < scan->segment->size)
        return false;
    for (int32_t i = rewrite->at + 1; i < rewrite->source_count; i++)
        if (rewrite->sources[i]->size > 0)
            return false;
    return true;
}

static int64_t filter_batch(void *context)
{
    struct compaction_pass *pass = context;
    pass->batch_error =
        batch_filter(&pass->batch, &pass->compaction.filter, &pass->arena, &pass->left);
    return 0;
}

/* What is left of the batch goes into the file. */
static void keep_left(struct compaction_rewrite *rewrite)
{
    struct compaction_pass *pass = rewrite->pass;
    struct cleaner_counters *counters = &pass->cleaner->counters;
    counters->kept_records += (uint64_t)pass->left.kept_count;
    counters->dropped_records += (uint64_t)(pass->batch.count - pass->left.kept_count);
    rewrite->changed |= pass->left.changed;
    if (pass->left.batch.size > 0)
        compaction_writer_put(&rewrite->writer, pass->left.batch, batch_last_offset(&pass->batch));
}

static enum step met_rot(struct compaction_rewrite *rewrite)
{
    const struct compaction_scan *scan = &rewrite->pass->scan;
    rewrite->fault_segment = scan->segment->base_offset;
    rewrite->fault_position = scan->position;
    return give_up(rewrite, ERROR_CORRUPT_MESSAGE);
}

/* The next batch of the sources, judged. END: there is none. */
static enum compaction_scan_result next_batch(struct compaction_rewrite *rewrite)
{
    struct compaction_pass *pass = rewrite->pass;
    while (rewrite->at < rewrite->source_count) {
        if (!pass->scan.segment)
            compaction_scan_begin(&pass->scan, rewrite->sources[rewrite->at]);
        enum compaction_scan_result result =
            compaction_scan_step(&pass->scan, &rewrite->flow, &pass->batch);
        if (result == COMPACTION_SCAN_BATCH)
            compaction_judge(&pass->compaction, &pass->batch, at_last_batch(rewrite));
        if (result != COMPACTION_SCAN_END)
            return result;
        rewrite->at++;
        if (!compaction_scan_close(&pass->scan, &rewrite->flow))
            return COMPACTION_SCAN_WAITS;
    }
    return COMPACTION_SCAN_END;
}

static enum step rewrite_copy(struct flow *flow)
{
    struct compaction_rewrite *rewrite = rewrite_of(flow);
    struct compaction_pass *pass = rewrite->pass;
    if (compaction_pass_is_off(pass))
        return give_up(rewrite, ERROR_CANCELLED);
    for (;;) {
        if (!pass->away) {
            if (!compaction_writer_step(&rewrite->writer, flow))
                return STEP_AGAIN;
            if (rewrite->writer.fault)
                return writer_failed(rewrite);
            enum compaction_scan_result result = next_batch(rewrite);
            if (result == COMPACTION_SCAN_END)
                return STEP_NEXT;
            if (result == COMPACTION_SCAN_WAITS)
                return STEP_AGAIN;
            if (result == COMPACTION_SCAN_FAILED)
                return met_rot(rewrite);
        }
        if (!compaction_pass_work(pass, flow, filter_batch))
            return STEP_AGAIN;
        if (pass->batch_error)
            return met_rot(rewrite);
        keep_left(rewrite);
        if (rewrite->writer.segment->size > INT32_MAX) {
            REACHED("compacted segment too large");
            return give_up(rewrite, ERROR_RECORD_LIST_TOO_LARGE);
        }
        if (compaction_pass_pause(pass, flow, pass->batch.whole.size))
            return STEP_AGAIN;
    }
}

static enum step rewrite_flush(struct flow *flow)
{
    struct compaction_rewrite *rewrite = rewrite_of(flow);
    if (!rewrite->changed || rewrite->writer.segment->size == 0)
        return STEP_FAIL; /* no error: the file would be the same */
    if (!compaction_writer_finish(&rewrite->writer, flow))
        return STEP_AGAIN;
    return rewrite->writer.fault ? writer_failed(rewrite) : STEP_NEXT;
}

/* Opens the new file for reads, then makes .log.swap of it. */
static enum step rewrite_commit(struct flow *flow)
{
    struct compaction_rewrite *rewrite = rewrite_of(flow);
    struct segment *segment = rewrite->writer.segment;
    switch (rewrite->phase) {
    case 0:
        if (compaction_pass_is_off(rewrite->pass))
            return give_up(rewrite, ERROR_CANCELLED);
        rewrite->phase = 1;
        snprintf(rewrite->writer.path, sizeof rewrite->writer.path, "%s/%020lld.log.cleaned",
                 rewrite->pass->log->folder, (long long)segment->base_offset);
        rewrite->op = (struct op){
            .kind = OP_OPEN, .path = rewrite->writer.path, .flags = OPEN_READ, .flow = flow};
        file_op_start(flow->core, &rewrite->op);
        return STEP_AGAIN;
    case 1:
        if (rewrite->op.result < 0)
            return give_up(rewrite, op_error(rewrite->op.result));
        rewrite->read_handle = (int32_t)rewrite->op.result;
        if (compaction_pass_is_off(rewrite->pass))
            return give_up(rewrite, ERROR_CANCELLED);
        folder_script_rename(&rewrite->names, segment->base_offset, ".log.cleaned", ".log.swap");
        if (!MUTANT(skip_fsync_of_swap))
            folder_script_flush(&rewrite->names);
        rewrite->phase = 2;
        rewrite->committed = true; /* or it may be: what follows is no matter of chance any more */
        break;
    default:
        break;
    }
    if (!folder_script_step(&rewrite->names, rewrite->pass->log->store, flow))
        return STEP_AGAIN;
    if (rewrite->names.error)
        return fence(rewrite, rewrite->names.error, "a compacted segment can't take its place");
    return STEP_NEXT;
}

/* Reads that begin from now on go to the new segment. */
static enum step rewrite_install(struct flow *flow)
{
    struct compaction_rewrite *rewrite = rewrite_of(flow);
    struct log *log = rewrite->pass->log;
    if (log->removed || log->store->fenced)
        return give_up(rewrite, ERROR_CANCELLED);
    int32_t first = 0;
    while (first < log->segment_count && log->segments[first] != rewrite->sources[0])
        first++;
    check(first + rewrite->source_count < log->segment_count); /* the newest is never one of them */
    for (int32_t i = 0; i < rewrite->source_count; i++)
        check(log->segments[first + i] == rewrite->sources[i]);
    struct segment *segment = rewrite->writer.segment;
    rewrite->writer.segment = NULL;
    rewrite->installed = segment;
    segment->users++;
    segment->swapping = true;
    handle_keep(segment, &segment->read_handle, rewrite->read_handle);
    rewrite->read_handle = -1;
    log->segments[first] = segment;
    int32_t gone = rewrite->source_count - 1;
    memmove(&log->segments[first + 1], &log->segments[first + 1 + gone],
            (size_t)(log->segment_count - first - 1 - gone) * sizeof(struct segment *));
    log->segment_count -= gone;
    rewrite->at = 0;
    REACHED("segments compacted");
    if (rewrite->sources[0]->users > 1)
        REACHED("read during a compaction's swap");
    for (int32_t i = 0; i < rewrite->source_count; i++)
        rewrite->sources[i]->users--;
    return STEP_NEXT;
}

/* Waits for the reads of the old segments, and closes them. */
static enum step rewrite_retire(struct flow *flow)
{
    struct compaction_rewrite *rewrite = rewrite_of(flow);
    struct log *log = rewrite->pass->log;
    for (; rewrite->at < rewrite->source_count; rewrite->at++) {
        struct segment *source = rewrite->sources[rewrite->at];
        if (source->users > 0) {
            waiter_park(&rewrite->waiter, &log->idle_waiters, flow);
            return STEP_AGAIN;
        }
        int32_t handle =
            handle_take(source, source->read_handle >= 0 ? &source->read_handle : &source->handle);
        if (handle >= 0) {
            rewrite->op = (struct op){.kind = OP_CLOSE, .handle = handle, .flow = flow};
            file_op_start(flow->core, &rewrite->op);
            return STEP_AGAIN;
        }
    }
    rewrite->phase = 0;
    return STEP_NEXT;
}

void compaction_swap_names(struct folder_script *names, int64_t base_offset, const int64_t *others,
                           int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        folder_script_rename(names, others[i], ".log", ".log.deleted");
        for (int j = 0; j < SEGMENT_CACHES; j++)
            folder_script_remove(names, others[i], segment_caches[j]);
    }
    folder_script_rename(names, base_offset, ".index.cleaned", ".index");
    for (int j = 1; j < SEGMENT_CACHES; j++) /* all but the .index */
        folder_script_remove(names, base_offset, segment_caches[j]);
    if (!MUTANT(skip_fsync_before_swap))
        folder_script_flush(names);
    folder_script_rename(names, base_offset, ".log.swap", ".log");
    if (!MUTANT(skip_fsync_behind_swap))
        folder_script_flush(names);
    for (int32_t i = 0; i < count; i++)
        folder_script_remove(names, others[i], ".log.deleted");
}

static enum step rewrite_names(struct flow *flow)
{
    struct compaction_rewrite *rewrite = rewrite_of(flow);
    struct log *log = rewrite->pass->log;
    if (rewrite->phase == 0) { /* once begun it goes on to its end, whatever comes */
        if (log->removed || log->store->fenced)
            return give_up(rewrite, ERROR_CANCELLED);
        rewrite->phase = 1;
        int32_t count = rewrite->source_count - 1;
        int64_t *others = memory_zeroed((size_t)count * sizeof *others + 1);
        for (int32_t i = 0; i < count; i++)
            others[i] = rewrite->sources[i + 1]->base_offset;
        folder_script_done(&rewrite->names);
        folder_script_init(&rewrite->names, log->folder);
        compaction_swap_names(&rewrite->names, rewrite->installed->base_offset, others, count);
        memory_free(others);
    }
    if (!folder_script_step(&rewrite->names, log->store, flow))
        return STEP_AGAIN;
    if (rewrite->names.error)
        return fence(rewrite, rewrite->names.error, "a compacted segment's names can't be changed");
    rewrite->installed->swapping = false;
    sidecar_is_due(rewrite->installed);
    return STEP_NEXT;
}

/* What was written and is not to stay is removed; the log's folder may be gone by now. */
static bool remove_files(struct compaction_rewrite *rewrite, struct flow *flow)
{
    struct log *log = rewrite->pass->log;
    if (rewrite->committed || log->removed || log->store->fenced)
        return true;
    if (rewrite->phase != 100) {
        rewrite->phase = 100;
        folder_script_done(&rewrite->names);
        folder_script_init(&rewrite->names, log->folder);
        folder_script_remove(&rewrite->names, rewrite->writer.segment->base_offset, ".log.cleaned");
        folder_script_remove(&rewrite->names, rewrite->writer.segment->base_offset,
                             ".index.cleaned");
    }
    return folder_script_step(&rewrite->names, log->store, flow); /* a start removes it else */
}

static void end_sources(struct compaction_rewrite *rewrite)
{
    for (int32_t i = 0; i < rewrite->source_count; i++) {
        struct segment *source = rewrite->sources[i];
        if (!rewrite->installed)
            source->users--;
        else
            segment_free(source);
    }
    memory_free(rewrite->sources);
    rewrite->sources = NULL;
}

static enum step rewrite_finish(struct flow *flow)
{
    struct compaction_rewrite *rewrite = rewrite_of(flow);
    struct compaction_pass *pass = rewrite->pass;
    if (!compaction_scan_close(&pass->scan, flow) ||
        !compaction_writer_close(&rewrite->writer, flow))
        return STEP_AGAIN;
    if (rewrite->installed && rewrite->at < rewrite->source_count) {
        /* given up between the swap and its end: reads of old segments must end all the same */
        if (rewrite_retire(flow) == STEP_AGAIN)
            return STEP_AGAIN;
    }
    if (rewrite->read_handle >= 0) {
        rewrite->op = (struct op){.kind = OP_CLOSE, .handle = rewrite->read_handle, .flow = flow};
        rewrite->read_handle = -1;
        file_op_start(flow->core, &rewrite->op);
        return STEP_AGAIN;
    }
    if (!remove_files(rewrite, flow))
        return STEP_AGAIN;
    pass->written_bytes += rewrite->writer.written_bytes;
    end_sources(rewrite);
    if (rewrite->installed)
        rewrite->installed->users--;
    compaction_writer_done(&rewrite->writer);
    folder_script_done(&rewrite->names);
    waiters_wake(&pass->log->idle_waiters);
    rewrite->ended = true;
    waiters_wake(&pass->waiters);
    return STEP_NEXT;
}
