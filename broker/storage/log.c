#include "storage/log.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "protocol/batch.h"
#include "storage/drain.h"
#include "storage/folder_clear.h"
#include "storage/log_batch.h"
#include "storage/log_epochs.h"
#include "storage/log_start.h"
#include "storage/log_state.h"
#include "storage/recovery_point.h"
#include "storage/retire.h"
#include "storage/roll.h"
#include "storage/scrub.h"
#include "storage/store.h"
#include <stdio.h>

struct log *log_new(struct store *store, const struct log_identity *identity,
                    const struct log_settings *settings)
{
    struct log *log = memory_zeroed(sizeof *log);
    log->store = store;
    log->settings = settings;
    log->topic_id = identity->topic_id;
    log->partition = identity->partition;
    log->id = store->next_log_id++;
    list_init(&log->start_link);
    list_init(&log->retire_link);
    list_init(&log->retained);
    size_t size = strlen(store->options.directory) + (size_t)identity->topic.size + 16;
    log->folder = memory_zeroed(size);
    snprintf(log->folder, size, "%s/%.*s-%d", store->options.directory, identity->topic.size,
             identity->topic.data, identity->partition);
    list_init(&log->unsettled);
    list_init(&log->ready);
    list_init(&log->dirty_folder);
    list_init(&log->cleanable);
    list_init(&log->opened);
    list_init(&log->scrubbed);
    scrub_consider(log);
    log->cleaned_end = log->recovery_point = -1;
    list_init(&log->open_waiters);
    list_init(&log->idle_waiters);
    producer_state_init(log);
    log_start_found(log, log_starts_get(&store->starts_found, log->topic_id, log->partition));
    return log;
}

bool log_is_in_use(const struct log *log)
{
    return log->draining || log->reads > 0 || log->opening || log->cut;
}

void log_free(struct log *log)
{
    if (!log)
        return;
    check(!log_is_in_use(log));
    while (log->oldest)
        log_drop_oldest(log);
    list_remove(&log->unsettled);
    list_remove(&log->ready);
    list_remove(&log->dirty_folder);
    list_remove(&log->opened);
    list_remove(&log->cleanable);
    list_remove(&log->scrubbed);
    list_remove(&log->start_link);
    list_remove(&log->retire_link);
    list_remove(&log->retained);
    for (int i = 0; i < log->segment_count; i++)
        segment_free(log->segments[i]);
    producer_state_done(log);
    memory_free(log->segments);
    memory_free(log->resumed);
    epochs_free(&log->epochs);
    memory_free(log->fault);
    memory_free(log->folder);
    memory_free(log);
}

bool log_is_quiet(const struct log *log)
{
    if (log->draining || log->reads || log->opening || log->cut || log->forced || log->holders)
        return false;
    for (int i = 0; i < log->segment_count; i++)
        if (log->segments[i]->users)
            return false;
    const struct journal *journal = &log->store->journal;
    return log->touched_sequence <= journal->durable_sequence ||
           (log->store->fenced && !journal->writing);
}

struct segment *log_untrimmed_segment(const struct log *log)
{
    struct segment *oldest = NULL;
    for (int i = log->segment_count - 2; i >= 0 && log->segments[i]->trim; i--)
        if (log->segments[i]->exists && log->segments[i]->drained == log->segments[i]->size)
            oldest = log->segments[i];
    return oldest;
}

bool log_needs_file(const struct log *log)
{
    const struct segment *active = log_active(log);
    return active && !active->exists && !log->oldest && log->segment_count == 1 &&
           active->base_offset > 0;
}

bool log_is_settled(const struct log *log)
{
    if (log->set_aside)
        return true;
    if (log->resumed || log->owner_lost)
        return false;
    uint64_t mark = log->store->journal.mark_sequence;
    struct segment *active = log_active(log);
    if (log->cut && log->state != LOG_OPEN)
        return false; /* its files are being cut */
    if (log_needs_file(log) || log_untrimmed_segment(log) || producer_state_is_due(log) ||
        (active && segment_indexes_lag(active, log->settings->index_interval_bytes)) ||
        (log->folder_exists && log_epochs_lag(log)))
        return false;
    if (log->oldest)
        return log->oldest->sequence >= mark;
    return !active || !active->exists || log->touched_sequence >= mark ||
           (active->allocated == active->size && segment_indexes_are_complete(active));
}

struct segment *log_active(const struct log *log)
{
    return log->segment_count ? log->segments[log->segment_count - 1] : NULL;
}

struct segment *log_add_segment(struct log *log, int64_t base_offset)
{
    if (log->segment_count == log->segment_capacity) {
        log->segment_capacity = log->segment_capacity ? 2 * log->segment_capacity : 2;
        log->segments =
            memory_resized(log->segments, (size_t)log->segment_capacity * sizeof(struct segment *));
    }
    struct segment *segment = segment_new(log, base_offset);
    segment->created_ms = log->store->core->now.wall_ms;
    segment->times.known = true;
    segment->index_loaded = true; /* from here on every entry is noted in memory */
    log->segments[log->segment_count++] = segment;
    return segment;
}

struct segment *log_segment_at(const struct log *log, int64_t offset)
{
    int32_t low = 0, high = log->segment_count;
    while (low < high) { /* the first segment that begins beyond `offset` */
        int32_t middle = low + (high - low) / 2;
        if (log->segments[middle]->base_offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? log->segments[low - 1] : NULL;
}

void log_drop_oldest(struct log *log)
{
    struct piece *piece = log->oldest;
    log->oldest = piece->next;
    if (log->newest == piece)
        log->newest = NULL;
    if (log->first_not_durable == piece)
        log->first_not_durable = piece->next;
    buffer_release(piece->slab);
    *(struct list *)piece = (struct list){0};
    list_push_front(&log->store->spare_pieces, (struct list *)piece);
}

void log_remove(struct log *log)
{
    log->removed = true;
    log->moved = NULL;
    log->last_settings = *log->settings; /* whoever lent them may be gone before a drain ends */
    log->settings = &log->last_settings;
    while (log->oldest)
        log_drop_oldest(log);
    list_remove(&log->unsettled);
    list_remove(&log->ready);
    list_remove(&log->cleanable);
    list_remove(&log->scrubbed);
    list_remove(&log->start_link);
    list_remove(&log->retire_link);
    list_remove(&log->retained);
    if (!log->draining)
        log_unforce(log);
    if (log->state != LOG_OPENING)
        log_fail(log, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    waiters_wake(&log->store->room);
    folder_clear_start(log->store, log->folder, log);
}

void log_unforce(struct log *log)
{
    struct checkpoint *checkpoint = &log->store->checkpoint;
    if (!log->forced)
        return;
    log->forced = false;
    if (--checkpoint->forced == 0)
        waiters_wake(&checkpoint->parked);
}

void log_fail(struct log *log, enum error error)
{
    if (log->state == LOG_FAILED)
        return;
    log->state = LOG_FAILED;
    log->error = error;
    waiters_wake(&log->open_waiters);
    if (log->moved)
        log->moved(log, log->context);
}

/* ---- append ----------------------------------------------------------------------------- */

struct list *log_room(struct log *log)
{
    return &log->store->room;
}

/* What an append needs to know of its batches before they are copied. */
struct measure {
    int64_t base_offset;      /* of the first record */
    int64_t end_offset;       /* after the last */
    int64_t max_timestamp_ms; /* of all; -1: none */
    bool has_producers;       /* a batch has one */
};

/* Walks whole batches, the first record having `offset`. False: they don't end with a whole one. */
static bool measure_batches(struct bytes batches, int64_t offset, struct measure *ret)
{
    int32_t at = 0;
    uint8_t none = 0x80; /* stays if no producer id is 0 or more */
    int64_t max_timestamp_ms = -1;
    while (at < batches.size) {
        const uint8_t *batch = batches.data + at;
        if (batches.size - at < BATCH_RECORDS_AT)
            return false;
        int64_t size = batch_size_at(batch);
        int32_t last_delta = (int32_t)load_be32(batch + BATCH_LAST_OFFSET_DELTA_AT);
        if (size < BATCH_RECORDS_AT || size > batches.size - at || last_delta < 0)
            return false;
        none &= batch[BATCH_PRODUCER_ID_AT];
        max_timestamp_ms =
            max_i64(max_timestamp_ms, (int64_t)load_be64(batch + BATCH_MAX_TIMESTAMP_AT));
        offset += last_delta + 1;
        at += (int32_t)size;
    }
    ret->end_offset = offset;
    ret->max_timestamp_ms = max_timestamp_ms;
    ret->has_producers = !(none & 0x80);
    return batches.size > 0;
}

/* Judges batches of a leader, which were measured, by what they say themselves, and measures them
 * by it. Offsets may have gaps, where the leader's log was compacted. */
static enum error judge_numbered(struct bytes batches, int64_t least, struct measure *measure)
{
    measure->base_offset = (int64_t)load_be64(batches.data);
    for (struct batch batch; batches.size > 0;) {
        if (batch_view(batches.data, (size_t)batches.size, &batch) != ERROR_NONE ||
            batch.leader_epoch < 0 || batch_check_crc(&batch) != ERROR_NONE)
            return ERROR_CORRUPT_MESSAGE;
        if (batch.base_offset < least || batch.base_offset > INT64_MAX - INT32_MAX - 1)
            return ERROR_OFFSET_OUT_OF_RANGE;
        least = batch_last_offset(&batch) + 1;
        batches.data += batch.whole.size;
        batches.size -= batch.whole.size;
    }
    measure->end_offset = least;
    return ERROR_NONE;
}

/* Gives each of the batches, which were measured, its offset and epoch. */
static void number_batches(uint8_t *batch, int32_t size, int64_t offset, int32_t leader_epoch)
{
    for (const uint8_t *end = batch + size; batch < end;) {
        batch_assign(batch, offset, leader_epoch);
        offset += (int32_t)load_be32(batch + BATCH_LAST_OFFSET_DELTA_AT) + 1;
        batch += batch_size_at(batch);
    }
}

struct piece *log_new_piece(struct log *log)
{
    struct list *node = list_pop(&log->store->spare_pieces);
    _Static_assert(sizeof(struct piece) >= sizeof(struct list), "spare pieces are linked");
    struct piece *piece = node ? (struct piece *)node : memory_zeroed(sizeof *piece);
    *piece = (struct piece){0};
    if (log->newest)
        log->newest->next = piece;
    else
        log->oldest = piece;
    log->newest = piece;
    if (!log->first_not_durable)
        log->first_not_durable = piece;
    return piece;
}

/* The segment the next append goes to; a new one when the active one is to be closed. */
static struct segment *segment_for(struct log *log, int32_t size, const struct measure *measure)
{
    struct segment *active = log_active(log);
    if (!active)
        return log_add_segment(log, log->appended_end);
    struct roll_append append = {.size_bytes = size,
                                 .last_offset = measure->end_offset - 1,
                                 .max_timestamp_ms = measure->max_timestamp_ms,
                                 .now_ms = log->store->core->now.wall_ms};
    if (!roll_is_due(active, log->settings, &append))
        return active;
    if (log->store->journal.writing)
        REACHED("roll during a flush");
    log->store->counters.rolls++;
    active->trim = true;
    producer_state_roll(log);
    return log_add_segment(log, measure->base_offset);
}

void log_note_piece(struct log *log, const struct piece *piece)
{
    for (uint32_t at = 0; at < piece->size;) {
        const uint8_t *batch = piece->data + at;
        log_appended_batch(log, piece->segment, batch, piece->position + at);
        at += (uint32_t)batch_size_at(batch);
    }
}

void log_roll(struct log *log)
{
    struct segment *active = log_active(log);
    check(active && active->size > 0);
    log->store->counters.rolls++;
    active->trim = true;
    producer_state_roll(log);
    log_add_segment(log, log->appended_end);
    log->bound_sequence = 0; /* the journal is told of the new one before its next entry */
    if (list_is_empty(&log->unsettled))
        list_push(&log->store->unsettled, &log->unsettled);
    drain_request(log);
}

uint32_t log_bind(struct log *log, struct segment *segment, bool anew, uint8_t *to,
                  uint32_t *entries)
{
    const struct journal *journal = &log->store->journal;
    segment->touched_sequence = journal_filling_sequence(journal);
    if (log->bound_sequence < journal->mark_sequence)
        recovery_point_mark(log);
    else if (!anew)
        return 0;
    struct journal_entry bind = {.id = log->id,
                                 .topic_id = log->topic_id,
                                 .partition = log->partition,
                                 .segment_base = segment->base_offset,
                                 .position = (uint32_t)segment->size};
    log->bound_sequence = segment->touched_sequence;
    *entries += 1;
    return (uint32_t)entry_bind_encode(&bind, to);
}

static enum error may_append(const struct log *log)
{
    if (log->cut && log->state != LOG_FAILED)
        return ERROR_WOULD_WAIT;
    if (log->state != LOG_OPEN)
        return log->state == LOG_FAILED ? log->error : ERROR_BAD_ARGUMENT;
    return log->store->fenced ? ERROR_KAFKA_STORAGE_ERROR : ERROR_NONE;
}

/* Only what the broker can't do without is written while the disk is full. */
static bool is_refused(struct log *log)
{
    struct store *store = log->store;
    if (!store->space.full || log->essential)
        return false;
    store->counters.full_refusals++;
    return true;
}

/* Notes the batches as the log's newest: they lie at `data`, in the block that is being filled. */
static void add_piece(struct log *log, struct segment *segment, struct bytes data,
                      const struct measure *measure)
{
    struct store *store = log->store;
    struct piece *piece = log_new_piece(log);
    piece->slab = journal_slab(&store->journal);
    buffer_reference(piece->slab);
    piece->data = data.data;
    piece->segment = segment;
    piece->sequence = journal_filling_sequence(&store->journal);
    piece->base_offset = measure->base_offset;
    piece->end_offset = measure->end_offset;
    piece->size = (uint32_t)data.size;
    piece->position = (uint32_t)segment->size;
    log_note_piece(log, piece);
    segment->size += data.size;
    segment->touched_sequence = piece->sequence;
    log->appended_end = measure->end_offset;
    producer_state_applied(log, data, measure->has_producers);
    store->counters.appended_bytes += (uint64_t)data.size;
    space_appended(store, data.size);
    if (list_is_empty(&log->unsettled))
        list_push(&store->unsettled, &log->unsettled);
}

/* Copies what may be appended into the journal. `leader_epoch` -1: the batches have their offsets
 * and epochs. */
static enum error put(struct log *log, struct bytes batches, const struct measure *measure,
                      int32_t leader_epoch, struct log_append_result *ret)
{
    struct journal *journal = &log->store->journal;
    uint32_t most = ENTRY_BIND_SIZE_MAX + ENTRY_APPEND_HEADER_MAX + (uint32_t)batches.size;
    if (most > journal_largest(journal))
        return ERROR_MESSAGE_TOO_LARGE;
    uint8_t *to =
        log->essential ? journal_reserve_essential(journal, most) : journal_reserve(journal, most);
    if (!to)
        return ERROR_WOULD_WAIT;

    struct segment *before = log_active(log);
    struct segment *segment = segment_for(log, batches.size, measure);
    uint32_t entries = 1, used = log_bind(log, segment, segment != before, to, &entries);
    used += (uint32_t)entry_append_header_encode(log->id, (uint32_t)batches.size, to + used);
    memcpy(to + used, batches.data, (size_t)batches.size);
    if (leader_epoch >= 0)
        number_batches(to + used, batches.size, measure->base_offset, leader_epoch);
    add_piece(log, segment, (struct bytes){to + used, batches.size}, measure);
    journal_commit(journal, used + (uint32_t)batches.size, entries, log);
    if (segment != before)
        retire_request(log); /* all of the one that was closed may have been deleted */
    *ret = (struct log_append_result){.base_offset = measure->base_offset,
                                      .end_offset = measure->end_offset,
                                      .log_start_offset = log->log_start};
    return ERROR_NONE;
}

enum error log_append(struct log *log, struct bytes batches, int32_t leader_epoch,
                      struct log_append_result *ret)
{
    enum error error = may_append(log);
    if (error)
        return error;
    struct measure measure = {.base_offset = log->appended_end};
    if (!measure_batches(batches, log->appended_end, &measure))
        return ERROR_CORRUPT_MESSAGE;
    error = measure.has_producers ? producer_state_judge(log, batches, ret) : ERROR_NONE;
    if (error != ERROR_DUPLICATE_SEQUENCE_NUMBER && is_refused(log))
        return ERROR_KAFKA_STORAGE_ERROR;
    return error ? error : put(log, batches, &measure, leader_epoch, ret);
}

enum error log_append_follower(struct log *log, struct bytes batches, struct log_append_result *ret)
{
    enum error error = may_append(log);
    if (error)
        return error;
    struct measure measure;
    if (!measure_batches(batches, 0, &measure))
        return ERROR_CORRUPT_MESSAGE;
    error = judge_numbered(batches, log->appended_end, &measure);
    if (error)
        return error;
    const struct segment *active = log_active(log);
    int64_t base = active ? active->base_offset : log->appended_end;
    if ((!active || active->size == 0) && measure.end_offset - 1 - base > INT32_MAX)
        return ERROR_OFFSET_OUT_OF_RANGE; /* no index can tell of it */
    return is_refused(log) ? ERROR_KAFKA_STORAGE_ERROR : put(log, batches, &measure, -1, ret);
}

void log_durable_moved(struct log *log, uint64_t sequence)
{
    struct piece *piece = log->first_not_durable;
    for (; piece && piece->sequence <= sequence; piece = piece->next) {
        log->durable_end = piece->end_offset;
        log->undrained_bytes += piece->size;
    }
    log->first_not_durable = piece;
    if (log->undrained_bytes >= (int64_t)log->store->options.drain_bytes)
        drain_request(log);
    if (log->moved && log->state == LOG_OPEN)
        log->moved(log, log->context);
}
