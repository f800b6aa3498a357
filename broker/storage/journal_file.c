/* The journal's file: created and zero-filled ahead, opened, grown, closed. */
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "storage/journal.h"
#include "storage/store.h"
#include <stdio.h>

enum { ZERO_CHUNK_BYTES = 1 << 20 };

static int64_t call(struct store *store, struct op *op)
{
    return port_call(store->core->port, op);
}

/* Writes all of `vector` at `offset`. */
static enum error write_whole(struct store *store, int32_t handle, struct iovec vector,
                              int64_t offset, uint32_t flags)
{
    while (vector.iov_len > 0) {
        struct op op = {.kind = OP_WRITE,
                        .handle = handle,
                        .vectors = &vector,
                        .vector_count = 1,
                        .offset = offset,
                        .flags = flags};
        int64_t written = call(store, &op);
        if (written <= 0)
            return written ? op_error(written) : ERROR_INPUT_OUTPUT;
        written = (int64_t)align_down((uint64_t)written, store->alignment);
        vector.iov_base = (uint8_t *)vector.iov_base + written;
        vector.iov_len -= (size_t)written;
        offset += written;
    }
    return ERROR_NONE;
}

static enum error fill_with_zeros(struct journal *journal, int64_t from, int64_t to)
{
    struct store *store = journal->store;
    while (from < to) {
        int64_t size = min_i64(to - from, ZERO_CHUNK_BYTES);
        struct iovec vector = {journal->zeros->data, (size_t)size};
        enum error error = write_whole(store, journal->handle, vector, from, 0);
        if (error)
            return error;
        from += size;
    }
    struct op op = {.kind = OP_FLUSH, .handle = journal->handle};
    return op_error(call(store, &op));
}

static void take_zeros(struct journal *journal)
{
    journal->zeros = buffers_take_always(&journal->store->core->buffers, ZERO_CHUNK_BYTES);
    memset(journal->zeros->data, 0, ZERO_CHUNK_BYTES);
}

static void drop_zeros(struct journal *journal)
{
    buffer_release(journal->zeros);
    journal->zeros = NULL;
}

/* The generation of the anchor that counts now; 0: there is none. */
static enum error read_generation(struct journal *journal, uint64_t *ret_generation)
{
    struct buffer *slots = buffers_take_always(&journal->store->core->buffers, JOURNAL_RING_BEGIN);
    enum error error = ERROR_NONE;
    int64_t size = 0, got = 1;
    memset(slots->data, 0, JOURNAL_RING_BEGIN);
    while (got > 0 && size < JOURNAL_RING_BEGIN) {
        struct op op = {.kind = OP_READ,
                        .handle = journal->handle,
                        .data = slots->data + size,
                        .size = (size_t)(JOURNAL_RING_BEGIN - size),
                        .offset = size};
        got = call(journal->store, &op);
        size += got > 0 ? got : 0;
    }
    error = op_error(got);
    *ret_generation = 0;
    for (int i = 0; i < 2; i++) {
        struct anchor anchor;
        if (!anchor_decode(slots->data + i * JOURNAL_ANCHOR_SLOT, &anchor) &&
            anchor.generation > *ret_generation)
            *ret_generation = anchor.generation;
    }
    buffer_release(slots);
    return error;
}

/* Both slots get the new anchor, first the one that does not count: until it is durable the other
 * holds, and then this one, whose generation is higher. */
static enum error write_anchors(struct journal *journal, const struct anchor *anchor)
{
    struct buffer *slot = buffers_take_always(&journal->store->core->buffers, JOURNAL_ANCHOR_SLOT);
    anchor_encode(anchor, slot->data);
    enum error error = ERROR_NONE;
    for (int i = 0; i < 2 && !error; i++)
        error = write_whole(
            journal->store, journal->handle, (struct iovec){slot->data, JOURNAL_ANCHOR_SLOT},
            (int64_t)((anchor->generation + (uint64_t)i) & 1) * JOURNAL_ANCHOR_SLOT, WRITE_DURABLE);
    buffer_release(slot);
    return error;
}

/* Makes the file as large as it must be at least. */
static enum error prepare(struct journal *journal)
{
    struct store *store = journal->store;
    struct file_stat stat;
    struct op op = {.kind = OP_STAT, .handle = journal->handle, .data = &stat};
    enum error error = op_error(call(store, &op));
    if (error)
        return error;
    store->alignment = journal->alignment = stat.direct_alignment;
    int64_t wanted = store->options.journal_initial_bytes;
    int64_t size = (int64_t)align_down((uint64_t)stat.size_bytes, stat.direct_alignment);
    if (size < wanted) {
        take_zeros(journal);
        error = fill_with_zeros(journal, size, wanted);
        drop_zeros(journal);
        size = wanted;
    }
    journal->ring_end = journal->grown_end = size;
    return error;
}

enum error journal_open(struct journal *journal, const char *name)
{
    struct store *store = journal->store;
    size_t size = strlen(store->options.directory) + strlen(name) + 2;
    journal->path = memory_zeroed(size);
    snprintf(journal->path, size, "%s/%s", store->options.directory, name);
    struct op op = {.kind = OP_OPEN,
                    .path = journal->path,
                    .flags = OPEN_READ | OPEN_WRITE | OPEN_CREATE | OPEN_DIRECT};
    int64_t handle = call(store, &op);
    if (handle < 0)
        return op_error(handle);
    journal->handle = (int32_t)handle;
    return prepare(journal);
}

enum error journal_begin(struct journal *journal, struct random *random)
{
    journal->head = JOURNAL_RING_BEGIN;
    journal->salt = MUTANT(keep_stale_bytes) ? 1 : random_next(random);
    enum error error = read_generation(journal, &journal->generation);
    journal->generation++;
    journal->next_sequence = journal->mark_sequence = 1;
    journal->anchor_sequences[0] = journal->anchor_sequences[1] = 1; /* both are written */
    journal->mark_position = JOURNAL_RING_BEGIN;
    struct anchor anchor = {.alignment = journal->alignment,
                            .generation = journal->generation,
                            .salt = journal->salt,
                            .start_position = JOURNAL_RING_BEGIN,
                            .start_sequence = 1};
    return error ? error : write_anchors(journal, &anchor);
}

void journal_resume(struct journal *journal, const struct journal_reader *reader)
{
    check(reader->anchor.alignment == journal->alignment);
    journal->generation = reader->anchor.generation;
    journal->salt = reader->anchor.salt;
    journal->head = reader->position;
    journal->live_bytes = reader->live_bytes;
    if (reader->wrapped) /* the file may just have been made larger */
        journal->live_bytes += journal->ring_end - reader->file_size;
    if (MUTANT(resume_forgets_live_blocks))
        journal->live_bytes = 0;
    journal->sealed_bytes = journal->live_bytes;
    journal->chain = reader->chain;
    journal->lap = reader->lap;
    journal->next_sequence = reader->sequence;
    journal->durable_sequence = reader->sequence - 1;
    journal->mark_sequence = reader->anchor.start_sequence;
    journal->mark_position = reader->anchor.start_position;
    journal->mark_chain = reader->anchor.start_chain;
    journal->anchor_sequences[1] = reader->anchor.start_sequence; /* the other is not known */
    check(journal->live_bytes <= journal->ring_end - JOURNAL_RING_BEGIN);
}

/* A write of the journal begins once the one before is durable: only of the last one nobody knows.
 */
enum error journal_settle_last(struct journal *journal, const struct journal_reader *reader)
{
    int64_t size = reader->position - reader->write_position;
    if (size == 0 || MUTANT(last_write_believed))
        return ERROR_NONE;
    struct buffer *buffer = buffers_take_always(&journal->store->core->buffers, (size_t)size);
    struct iovec vector = {buffer->data, (size_t)size};
    enum error error = ERROR_NONE;
    for (int64_t got = 0; got < size && !error;) {
        struct op op = {.kind = OP_READ,
                        .handle = journal->handle,
                        .data = buffer->data + got,
                        .size = (size_t)(size - got),
                        .offset = reader->write_position + got};
        int64_t result = call(journal->store, &op);
        result = result > 0 ? (int64_t)align_down((uint64_t)result, journal->alignment) : result;
        error = result > 0 ? ERROR_NONE : result ? op_error(result) : ERROR_INPUT_OUTPUT;
        got += result;
    }
    if (!error)
        error = write_whole(journal->store, journal->handle, vector, reader->write_position,
                            WRITE_DURABLE);
    REACHED("the last write of a journal written again");
    buffer_release(buffer);
    return error;
}

enum error journal_renew(struct journal *journal, const struct anchor *anchor)
{
    if (anchor->version == JOURNAL_VERSION)
        return ERROR_NONE;
    REACHED("journal of an older version renewed");
    struct anchor renewed = *anchor;
    renewed.generation = ++journal->generation;
    journal->anchor_sequences[0] = journal->anchor_sequences[1]; /* both slots are written */
    return write_anchors(journal, &renewed);
}

void journal_close(struct journal *journal)
{
    check(!journal->writing && !journal->growing);
    if (journal->handle >= 0) {
        struct op op = {.kind = OP_CLOSE, .handle = journal->handle};
        (void)call(journal->store, &op); /* everything in it was flushed by its own write */
    }
    struct list *lists[] = {&journal->pending, &journal->flying};
    for (int i = 0; i < ARRAY_COUNT(lists); i++)
        for (struct list *node; (node = list_pop(lists[i]));) { /* a fenced store never wrote it */
            struct journal_block *block = CONTAINER_OF(node, struct journal_block, link);
            buffer_release(block->slab);
            list_push(&journal->spare, node);
        }
    journal_free_spares(journal);
    buffer_release(journal->slab);
    memory_free(journal->path);
    *journal = (struct journal){.handle = -1};
}

/* ---- growth: write zeros behind the end, flush, take into use ------------------------------ */

static enum step grow_write(struct flow *flow);
static enum step grow_flush(struct flow *flow);
static enum step grow_finish(struct flow *flow);

static const struct flow_kind grow_flow = {
    "journal grow", {{"write", grow_write}, {"flush", grow_flush}, {"finish", grow_finish}}};

void journal_grow(struct journal *journal)
{
    struct store *store = journal->store;
    if (journal->growing || store->fenced || store->stopping ||
        journal->grown_end > journal->ring_end || journal->ring_end >= journal_limit(journal))
        return;
    int64_t end = min_i64(4 * journal->ring_end, journal_limit(journal));
    if (!space_is_ample(store, end - journal->ring_end))
        return;
    journal->grow_end = (int64_t)align_down((uint64_t)end, journal->alignment);
    journal->growing = true;
    take_zeros(journal);
    journal->grow_vector = (struct iovec){NULL, 0};
    journal->grow_op = (struct op){.kind = OP_WRITE, .offset = journal->ring_end};
    flow_start(&journal->grow_flow, &grow_flow, store->core);
}

static enum step grow_write(struct flow *flow)
{
    struct journal *journal = CONTAINER_OF(flow, struct journal, grow_flow);
    struct store *store = journal->store;
    int64_t result = journal->grow_op.result;
    if (result < 0 || store->fenced)
        return STEP_FAIL;
    int64_t offset =
        journal->grow_op.offset + (int64_t)align_down((uint64_t)result, journal->alignment);
    if (offset >= journal->grow_end)
        return STEP_NEXT;
    size_t size = (size_t)min_i64(journal->grow_end - offset, ZERO_CHUNK_BYTES);
    journal->grow_vector = (struct iovec){journal->zeros->data, size};
    journal->grow_op = (struct op){.kind = OP_WRITE,
                                   .flow = flow,
                                   .handle = journal->handle,
                                   .vectors = &journal->grow_vector,
                                   .vector_count = 1,
                                   .offset = offset};
    op_start(store->core->port, &journal->grow_op);
    return STEP_AGAIN;
}

static enum step grow_flush(struct flow *flow)
{
    struct journal *journal = CONTAINER_OF(flow, struct journal, grow_flow);
    int64_t end = journal->grow_op.offset +
                  (int64_t)align_down((uint64_t)journal->grow_op.result, journal->alignment);
    journal->grow_op =
        (struct op){.kind = OP_FLUSH, .flow = flow, .handle = journal->handle, .offset = end};
    op_start(journal->store->core->port, &journal->grow_op);
    return STEP_NEXT;
}

/* A disk that has no room for a larger journal is not a fault: the ring stays as it is, and what
 * was written behind it is given back. */
static enum step grow_finish(struct flow *flow)
{
    struct journal *journal = CONTAINER_OF(flow, struct journal, grow_flow);
    struct op *op = &journal->grow_op;
    if (op->kind == OP_WRITE && op_error(op->result) == ERROR_NO_SPACE) {
        REACHED("no room for a larger journal");
        *op = (struct op){.kind = OP_TRUNCATE,
                          .flow = flow,
                          .handle = journal->handle,
                          .size = (size_t)journal->ring_end};
        op_start(journal->store->core->port, op);
        return STEP_AGAIN;
    }
    journal->growing = false;
    drop_zeros(journal);
    if (op->kind == OP_FLUSH && op->result >= 0) {
        journal->grown_end = op->offset;
        journal->store->counters.journal_grown++;
        waiters_wake(&journal->store->room);
    } else if (op->kind == OP_FLUSH || op_error(op->result) == ERROR_INPUT_OUTPUT) {
        store_fence(journal->store, op->result ? op_error(op->result) : ERROR_INPUT_OUTPUT,
                    "the journal could not be grown");
    }
    waiters_wake(&journal->store->checkpoint.waiters);
    return STEP_NEXT;
}
