/* The step of a log's opening that cuts its files off where the journal says that it ended
 * (log_truncate.h): the segment that holds the place is truncated and flushed, all files beyond are
 * removed. What lies in the journal behind that place is drained again. Done twice it comes to the
 * same, so a crash at any point is no matter: the entry stays in the journal until a checkpoint
 * that comes after this. That checkpoint flushes the segment once more, whatever was appended: an
 * index that was not cut yet leaves the log unsettled (log_is_settled), and the drain that cuts it
 * makes the segment dirty. The flush here is for a disk that fails: the opening is told of it, and
 * the log is not appended to. It flushes the folder, too (resumed_take), and the names need no
 * flush before: whichever file comes back is removed by the next opening, or gives its name to the
 * one that was written since. */
#include "base/reached.h"
#include "storage/log_opening.h"
#include "storage/store.h"
#include "storage/txn_index.h"

enum { CUT_BEGIN, CUT_OPENED, CUT_SIZED, CUT_TRUNCATED, CUT_FLUSHED, CUT_CLOSED };
enum { SEGMENT_CUT, TRANSACTIONS_READ, TRANSACTIONS_WRITTEN, FILES_GO };

/* The segment that the place lies in, if it has a file. */
static struct segment *segment_cut(const struct log *log)
{
    struct segment *segment = log_segment_at(log, log->resumed->cut_base);
    bool is_it = segment && segment->base_offset == log->resumed->cut_base && segment->exists;
    return is_it ? segment : NULL;
}

/* Bytes of its file that the journal does not hold. */
static int64_t kept_bytes(const struct log *log)
{
    const struct log_resumed *resumed = log->resumed;
    if (resumed->segment_base != resumed->cut_base)
        return 0;
    return min_i64(resumed->position, resumed->cut_position);
}

static enum step start_truncate(struct log_opening *opening)
{
    opening->phase = CUT_TRUNCATED;
    int64_t kept = kept_bytes(opening->log);
    if (opening->stat.size_bytes <= kept) {
        opening->op.result = 0; /* it was done before */
        return STEP_NEXT;
    }
    opening_start_op(
        opening, (struct op){.kind = OP_TRUNCATE, .handle = opening->handle, .size = (size_t)kept});
    return STEP_AGAIN;
}

static enum step start_close(struct log_opening *opening)
{
    int32_t handle = opening->handle;
    opening->handle = -1;
    opening->phase = CUT_CLOSED;
    opening_start_op(opening, (struct op){.kind = OP_CLOSE, .handle = handle});
    return STEP_AGAIN;
}

/* Truncates and flushes the segment. NEXT: done. */
static enum step cut_segment(struct log_opening *opening)
{
    if (opening->phase != CUT_BEGIN && opening->phase != CUT_CLOSED && opening->op.result < 0)
        return opening_give_up(opening, "the segment can't be cut off");
    switch (opening->phase) {
    case CUT_BEGIN:
        opening_segment_path(opening, segment_cut(opening->log), ".log");
        opening_start_op(opening,
                         (struct op){.kind = OP_OPEN, .path = opening->path, .flags = OPEN_WRITE});
        opening->phase = CUT_OPENED;
        return STEP_AGAIN;
    case CUT_OPENED:
        opening->handle = (int32_t)opening->op.result;
        opening_start_op(
            opening,
            (struct op){.kind = OP_STAT, .handle = opening->handle, .data = &opening->stat});
        opening->phase = CUT_SIZED;
        return STEP_AGAIN;
    case CUT_SIZED:
        if (start_truncate(opening) == STEP_AGAIN)
            return STEP_AGAIN;
        /* fall through */
    case CUT_TRUNCATED:
        opening_start_op(opening, (struct op){.kind = OP_FLUSH, .handle = opening->handle});
        opening->phase = CUT_FLUSHED;
        return STEP_AGAIN;
    case CUT_FLUSHED:
        return start_close(opening);
    default:
        segment_cut(opening->log)->index_uncut = true;
        return STEP_NEXT;
    }
}

/* Entries of transactions whose markers were cut off go: a snapshot that comes to lie beyond them
 * would make them believed. NEXT: done. */
static enum step cut_transactions(struct log_opening *opening, struct flow *flow)
{
    struct log *log = opening->log;
    if (opening->cut_phase == TRANSACTIONS_READ) {
        int64_t size, kept = 0;
        struct aborted_txn_entry entry;
        if (opening->phase == 0)
            opening_segment_path(opening, segment_cut(log), ".txnindex");
        if (opening_read_file(opening, &size))
            return STEP_AGAIN;
        if (size <= 0)
            return size == -2 ? opening_give_up(opening, "the file can't be read") : STEP_NEXT;
        struct bytes file = {opening->buffer->data, (int32_t)size};
        while (txn_index_decode(file, (int32_t)kept, log->resumed->cut_base, &entry) &&
               entry.last_offset < log->resumed->cut_end)
            kept++;
        if (kept * TXN_INDEX_ENTRY == size)
            return STEP_NEXT;
        opening->replace = (struct file_replace){.core = log->store->core,
                                                 .path = opening->path,
                                                 .data = opening->buffer->data,
                                                 .size = (size_t)(kept * TXN_INDEX_ENTRY)};
        opening->cut_phase = TRANSACTIONS_WRITTEN;
    }
    if (!file_replace_step(&opening->replace, flow))
        return STEP_AGAIN;
    opening->op.result = -(int64_t)opening->replace.error;
    return opening->replace.error ? opening_give_up(opening, "the file can't be cut off")
                                  : STEP_NEXT;
}

enum step open_cut(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct log *log = opening->log;
    if (!log->resumed || !log->resumed->cut)
        return STEP_NEXT;
    if (log->store->fenced && !log->error)
        log->error = ERROR_KAFKA_STORAGE_ERROR;
    if (log->store->fenced || log->removed)
        return STEP_FAIL;
    enum step step = STEP_NEXT;
    if (opening->cut_phase == SEGMENT_CUT) {
        step = segment_cut(log) ? cut_segment(opening) : STEP_NEXT;
        if (step != STEP_NEXT)
            return step;
        opening->phase = 0;
        opening->cut_phase = segment_cut(log) ? TRANSACTIONS_READ : FILES_GO;
    }
    if (opening->cut_phase < FILES_GO) {
        step = cut_transactions(opening, flow);
        if (step != STEP_NEXT)
            return step;
        opening->cut_phase = FILES_GO;
    }
    if (!folder_script_step(&opening->cuts, log->store, flow))
        return STEP_AGAIN;
    opening->cut_phase = 0;
    opening->op.result = -(int64_t)opening->cuts.error;
    if (opening->cuts.error)
        return opening_give_up(opening, "what lies beyond the end can't be removed");
    REACHED("files cut off");
    return STEP_NEXT;
}
