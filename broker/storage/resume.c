#include "storage/resume.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/reached.h"
#include "protocol/batch.h"
#include "storage/journal_content.h"
#include "storage/log_start.h"
#include "storage/log_state.h"
#include "storage/sidecar_format.h"
#include "storage/store.h"

enum { STEP_BYTES = 256 << 10 }; /* of pieces noted in one step */

struct resuming {
    const struct resume_names *names;
    struct log **logs; /* by id; null for one that is not ours to resume */
    bool *bound;
    uint32_t count;
    struct buffer *slab; /* that the block lies in */
    uint64_t sequence;   /* of the block */
    uint64_t bytes;
};

static void note_id(struct resuming *resuming, uint32_t id, struct log *log)
{
    if (id >= resuming->count) {
        uint32_t count = id + 64;
        resuming->logs = memory_resized(resuming->logs, count * sizeof(struct log *));
        resuming->bound = memory_resized(resuming->bound, count * sizeof(bool));
        for (uint32_t i = resuming->count; i < count; i++)
            resuming->bound[i] = false;
        resuming->count = count;
    }
    resuming->logs[id] = log;
    resuming->bound[id] = true;
}

/* The first of a log, a repetition behind a mark, or a roll. */
static enum error bind(struct resuming *resuming, const struct journal_entry *entry)
{
    struct log *log =
        resuming->names->log(resuming->names->context, entry->topic_id, entry->partition);
    note_id(resuming, entry->id, log);
    if (!log)
        return ERROR_NONE;
    struct segment *active = log_active(log);
    if (!log->resumed) {
        resumed_begin(log, entry->segment_base, entry->position);
        log->resumed->whole = entry->segment_base == 0 && entry->position == 0;
        list_push(&log->store->unsettled, &log->unsettled);
        return ERROR_NONE;
    }
    if (entry->segment_base == active->base_offset)
        return entry->position == active->size ? ERROR_NONE : ERROR_MALFORMED;
    if (entry->segment_base < log->appended_end || entry->position != 0)
        return ERROR_MALFORMED;
    active->trim = true;
    log_add_segment(log, entry->segment_base);
    return ERROR_NONE;
}

/* The offset after the last record; -1 if the bytes are not whole batches in order. */
static int64_t end_of(struct bytes batches, int64_t least)
{
    for (int32_t at = 0; at < batches.size;) {
        const uint8_t *batch = batches.data + at;
        if (batches.size - at < BATCH_RECORDS_AT)
            return -1;
        int64_t size = batch_size_at(batch);
        if (size < BATCH_RECORDS_AT || size > batches.size - at ||
            (int64_t)load_be64(batch) < least)
            return -1;
        least = batch_last_offset_at(batch) + 1;
        at += (int32_t)size;
    }
    return least;
}

static enum error append(struct resuming *resuming, const struct journal_entry *entry)
{
    struct log *log = resuming->logs[entry->id];
    if (!log)
        return ERROR_NONE;
    struct bytes batches = entry->batches;
    int64_t end_offset = end_of(batches, log->appended_end);
    if (batches.size <= 0 || end_offset < 0)
        return ERROR_MALFORMED;
    struct segment *active = log_active(log);
    struct piece *piece = log_new_piece(log);
    log->first_not_durable = NULL;
    piece->data = batches.data;
    piece->slab = resuming->slab;
    buffer_reference(piece->slab);
    piece->segment = active;
    piece->sequence = log->touched_sequence = resuming->sequence;
    piece->base_offset = (int64_t)load_be64(batches.data);
    piece->end_offset = end_offset;
    piece->size = (uint32_t)batches.size;
    piece->position = (uint32_t)active->size;
    active->size += batches.size;
    active->touched_sequence = resuming->sequence;
    log->appended_end = end_offset;
    log->resumed->end_known = true;
    log->undrained_bytes += batches.size;
    resuming->bytes += (uint64_t)batches.size;
    return ERROR_NONE;
}

static enum error cut(struct resuming *resuming, const struct journal_entry *entry)
{
    struct log *log = resuming->logs[entry->id];
    if (!log)
        return ERROR_NONE;
    if (!resumed_cut(log, entry->segment_base, entry->position, entry->offset))
        return ERROR_MALFORMED;
    REACHED("a cut resumed");
    log->cut_sequence = resuming->sequence;
    log->touched_sequence = log_active(log)->touched_sequence = resuming->sequence;
    return ERROR_NONE;
}

/* An entry of an id that is bound. */
static enum error take_entry(struct resuming *resuming, const struct journal_entry *entry)
{
    if (entry->kind == ENTRY_APPEND)
        return append(resuming, entry);
    if (entry->kind == ENTRY_CUT)
        return cut(resuming, entry);
    if (entry->kind == ENTRY_START) {
        struct log *log = resuming->logs[entry->id];
        if (!log)
            return ERROR_NONE;
        log_start_found(log, entry->offset);
        log->touched_sequence = log_active(log)->touched_sequence = resuming->sequence;
        log->store->starts_changed = true;
        return ERROR_NONE;
    }
    return ERROR_MALFORMED; /* a kind that nobody has written yet */
}

static enum error take_block(struct resuming *resuming, struct bytes entries)
{
    struct reader reader;
    reader_init(&reader, entries.data, (size_t)entries.size);
    struct journal_entry entry;
    while (entry_decode(&reader, &entry)) {
        enum error error = ERROR_NONE;
        if (entry.kind == ENTRY_BIND)
            error = bind(resuming, &entry);
        else if (entry.id >= resuming->count || !resuming->bound[entry.id])
            error = ERROR_MALFORMED;
        else
            error = take_entry(resuming, &entry);
        if (error)
            return error;
    }
    return reader.error;
}

enum error store_resume(struct store *store, struct journal_content *content,
                        const struct resume_names *names)
{
    struct resuming resuming = {.names = names};
    enum error error = ERROR_NONE;
    journal_content_take(content, &store->tails);
    resuming.sequence = content->reader.anchor.start_sequence;
    for (int32_t i = 0; i < content->count && !error; i++) {
        resuming.slab = content->blocks[i].window;
        error = take_block(&resuming, content->blocks[i].entries);
        resuming.sequence++;
    }
    memory_free(resuming.logs);
    memory_free(resuming.bound);
    store->resumed_bytes = resuming.bytes;
    if (error)
        return error;
    journal_resume(&store->journal, &content->reader);
    if (resuming.bytes > 0)
        REACHED("journal resumed");
    error = journal_settle_last(&store->journal, &content->reader);
    return error ? error : journal_renew(&store->journal, &content->reader.anchor);
}

/* ---- the log's part, when it is opened ----------------------------------------------------- */

int32_t resumed_first_segment(const struct log *log)
{
    int32_t i = 0;
    while (log->segments[i]->base_offset < log->resumed->segment_base)
        i++;
    return i;
}

void resumed_exists(struct log *log, int64_t base_offset)
{
    for (int32_t i = 0; i < log->segment_count; i++) { /* not in order while names are taken */
        struct segment *segment = log->segments[i];
        if (segment->base_offset == base_offset)
            segment->exists = true; /* its index files may hold too much */
    }
}

bool resumed_is_whole(const struct log *log)
{
    return !log->resumed || log->resumed->whole;
}

void resumed_begin(struct log *log, int64_t segment_base, int64_t position)
{
    check(log->segment_count == 0 && !log->oldest && !log->resumed);
    log->resumed = memory_zeroed(sizeof *log->resumed);
    log->resumed->segment_base = segment_base;
    log->resumed->position = position;
    log->appended_end = segment_base;
    struct segment *active = log_add_segment(log, segment_base);
    active->size = active->drained = position;
    active->index_loaded = position == 0; /* else its file tells of what lies before */
}

/* Drops the pieces that lie at or behind a place, and what one has beyond it. All are durable. */
static void drop_pieces(struct log *log, int64_t segment_base, int64_t position, int64_t end_offset)
{
    struct piece *piece = log->oldest;
    log->oldest = log->newest = NULL;
    log->undrained_bytes = 0;
    while (piece) {
        struct piece *next = piece->next;
        int64_t base = piece->segment->base_offset;
        bool stays = base < segment_base || (base == segment_base && piece->position < position);
        piece->next = NULL;
        if (!stays) {
            buffer_release(piece->slab);
            memory_free(piece);
        } else {
            if (base == segment_base && piece->position + (int64_t)piece->size > position) {
                piece->size = (uint32_t)(position - piece->position);
                piece->end_offset = end_offset;
            }
            log->undrained_bytes += piece->size;
            *(log->newest ? &log->newest->next : &log->oldest) = piece;
            log->newest = piece;
        }
        piece = next;
    }
}

/* Takes what is cut off out of memory. The place is the end of the last segment that is left. */
static bool drop_from(struct log *log, int64_t segment_base, int64_t position, int64_t end_offset)
{
    drop_pieces(log, segment_base, position, end_offset);
    while (log_active(log) && log_active(log)->base_offset > segment_base)
        segment_free(log->segments[--log->segment_count]);
    struct segment *active = log_active(log);
    if (!active || active->base_offset != segment_base || active->size < position)
        return false;
    active->size = position;
    active->trim = false;
    return true;
}

bool resumed_cut(struct log *log, int64_t segment_base, int64_t position, int64_t end_offset)
{
    struct log_resumed *resumed = log->resumed;
    bool anew = segment_base < 0;
    bool before = anew || segment_base < resumed->segment_base ||
                  (segment_base == resumed->segment_base && position < resumed->position);
    bool lower = !resumed->cut || anew || segment_base < resumed->cut_base ||
                 (segment_base == resumed->cut_base && position < resumed->cut_position);
    struct log_resumed next = *resumed;
    if (lower && (!resumed->cut || resumed->cut_base >= 0)) {
        next.cut_base = segment_base;
        next.cut_position = position;
        next.cut_end = anew ? -1 : end_offset;
    }
    next.cut = next.end_known = true;
    if (before) {
        drop_pieces(log, -1, 0, 0);
        while (log->segment_count > 0)
            segment_free(log->segments[--log->segment_count]);
        log->resumed = NULL;
        memory_free(resumed);
        resumed_begin(log, anew ? end_offset : segment_base, position);
        next.segment_base = log->resumed->segment_base;
        next.position = position;
        next.whole |= anew;
    } else if (!drop_from(log, segment_base, position, end_offset)) {
        return false;
    }
    *log->resumed = next;
    log->appended_end = end_offset;
    return true;
}

bool resumed_is_cut_off(const struct log *log, const char *name)
{
    const struct log_resumed *resumed = log->resumed;
    int64_t base;
    if (!resumed || !resumed->cut || !segment_name_parse(name, NULL, &base))
        return false;
    if (segment_name_parse(name, ".snapshot", &base))
        return base > resumed->cut_end;
    return base > resumed->cut_base ||
           (base == resumed->cut_base && strcmp(name + 20, SIDECAR_SUFFIX) == 0);
}

void resumed_forget_files(struct log *log)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < log->segment_count; i++) {
        struct segment *segment = log->segments[i];
        if (log->resumed && segment->base_offset >= log->resumed->segment_base) {
            segment->exists = segment->index_files = false;
            segment->allocated = 0;
            log->segments[kept++] = segment;
        } else {
            segment_free(segment);
        }
    }
    log->segment_count = kept;
}

bool resumed_take(struct log *log, const struct piece **next)
{
    const struct piece *piece = *next ? *next : log->oldest;
    for (int64_t bytes = 0; piece && bytes < STEP_BYTES; piece = piece->next) {
        bytes += piece->size;
        log_note_piece(log, piece);
        producer_state_resumed(log, (struct bytes){piece->data, (int32_t)piece->size});
    }
    *next = piece;
    if (piece)
        return false;
    /* The names may have been made shortly before the last run ended, with no flush since. */
    if (log->folder_exists) {
        if (list_is_empty(&log->dirty_folder))
            list_push(&log->store->dirty_folders, &log->dirty_folder);
        log->store->directory_dirty = true;
    }
    /* No checkpoint has flushed partition.metadata, or one failed to: then what can be read of it
     * is lost with the power, and no later flush helps. The drain writes it anew. */
    if (log->resumed->whole)
        log->owner_lost = log->folder_exists;
    memory_free(log->resumed);
    log->resumed = NULL;
    return true;
}
