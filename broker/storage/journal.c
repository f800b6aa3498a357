#include "storage/journal.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "metrics/metrics.h"
#include "storage/cold_reads.h"
#include "storage/log_state.h"
#include "storage/store.h"
#include <stdio.h>

enum { CROWDED_BYTES = 16 << 10 /* for each log in half of the ring: what is worth a drain */ };

static int64_t ring_size(const struct journal *journal)
{
    return journal->ring_end - JOURNAL_RING_BEGIN;
}

static struct journal_block *filling_block(const struct journal *journal)
{
    if (list_is_empty(&journal->pending))
        return NULL;
    struct journal_block *last =
        CONTAINER_OF(journal->pending.previous, struct journal_block, link);
    return last->disk_size == 0 ? last : NULL;
}

/* ---- filling ---------------------------------------------------------------------------- */

/* Ends the filling block: pads it with zeros to the alignment. Its header comes at the write. */
static void close_block(struct journal *journal, struct journal_block *block)
{
    block->disk_size = (uint32_t)align_up(block->used, journal->alignment);
    memset(block->data + block->used, 0, block->disk_size - block->used);
    journal->slab_used += block->disk_size;
}

static bool take_slab(struct journal *journal, uint32_t size, bool essential)
{
    struct store *store = journal->store;
    uint32_t wanted = store->options.journal_block_bytes;
    wanted = size > wanted ? size : wanted;
    struct buffer *slab = buffers_take(&store->tails, align_up(wanted, journal->alignment));
    if (!slab && journal->slab && journal->slab->references == 1) {
        /* Nothing in it is used any more: who waits for the pool must hold nothing of it. */
        buffer_release(journal->slab);
        journal->slab = NULL;
        slab = buffers_take(&store->tails, align_up(wanted, journal->alignment));
    }
    if (!slab && essential)
        slab = buffers_take_always(&store->tails, align_up(size, journal->alignment));
    if (!slab) {
        REACHED("pool of journal memory empty");
        return false;
    }
    buffer_release(journal->slab);
    journal->slab = slab;
    journal->slab_used = 0;
    return true;
}

static struct journal_block *open_block(struct journal *journal)
{
    struct list *node = list_pop(&journal->spare);
    struct journal_block *block;
    if (node) {
        block = CONTAINER_OF(node, struct journal_block, link);
    } else {
        block = memory_zeroed(sizeof *block);
        list_init(&block->link);
    }
    block->slab = journal->slab;
    buffer_reference(block->slab);
    block->data = journal->slab->data + journal->slab_used;
    block->sequence = journal->next_sequence++;
    block->used = BLOCK_HEADER_SIZE;
    block->entries = 0;
    block->disk_size = 0;
    block->touched_count = 0;
    list_push(&journal->pending, &block->link);
    return block;
}

/* Takes what the file has grown by into use, if the live part does not wrap. */
static void take_growth(struct journal *journal)
{
    if (journal->grown_end == journal->ring_end ||
        journal->live_bytes > journal->head - JOURNAL_RING_BEGIN)
        return;
    journal->ring_end = journal->grown_end;
    REACHED("journal grown");
}

/* The block that `size` bytes go into may become as large as this, on disk. */
static uint32_t block_size_after(const struct journal *journal, uint32_t size)
{
    const struct journal_block *block = filling_block(journal);
    uint32_t used = block ? block->used : BLOCK_HEADER_SIZE;
    return (uint32_t)align_up(used + size, journal->alignment);
}

/* What is skipped at the end of the ring is less than the block that does not fit there. */
static bool has_room(const struct journal *journal, uint32_t size, bool essential)
{
    int64_t spare = journal->keeps_spare && !essential ? ring_size(journal) / 8 : 0;
    uint32_t more = (uint32_t)align_up(BLOCK_HEADER_SIZE + size, journal->alignment);
    uint32_t skipped = block_size_after(journal, size);
    skipped = skipped > journal->pending_largest ? skipped : journal->pending_largest;
    return journal->live_bytes + journal->pending_bytes + more + skipped + spare <=
           ring_size(journal);
}

static uint8_t *reserve(struct journal *journal, uint32_t size, bool essential)
{
    struct journal_block *block = filling_block(journal);
    uint32_t slab_left = journal->slab ? (uint32_t)journal->slab->size - journal->slab_used : 0;
    uint32_t used = block ? block->used : BLOCK_HEADER_SIZE;
    uint32_t alone = (uint32_t)align_up(BLOCK_HEADER_SIZE + size, journal->alignment);
    take_growth(journal);
    if (!has_room(journal, size, essential)) {
        REACHED("ring full");
        journal->store->counters.journal_full_waits++;
        checkpoint_request(journal->store, false);
        journal_grow(journal);
        return NULL;
    }
    if (align_up(used + size, journal->alignment) > slab_left) {
        if (block) {
            close_block(journal, block);
            block = NULL;
        }
        if (!take_slab(journal, alone, essential)) {
            journal->store->counters.journal_full_waits++;
            checkpoint_request(journal->store, false);
            return NULL;
        }
    }
    if (!block) {
        block = open_block(journal);
        journal->pending_bytes += journal->alignment;
    }
    return block->data + block->used;
}

uint8_t *journal_reserve(struct journal *journal, uint32_t size)
{
    return reserve(journal, size, false);
}

uint8_t *journal_reserve_essential(struct journal *journal, uint32_t size)
{
    return reserve(journal, size, true);
}

void journal_commit(struct journal *journal, uint32_t size, uint32_t entries, struct log *log)
{
    struct journal_block *block = filling_block(journal);
    check(block != NULL);
    int64_t before = (int64_t)align_up(block->used, journal->alignment);
    block->used += size;
    block->entries += entries;
    int64_t after = (int64_t)align_up(block->used, journal->alignment);
    journal->pending_bytes += after - before;
    if (after > journal->pending_largest)
        journal->pending_largest = (uint32_t)after;
    check(journal->slab_used + block->used <= journal->slab->size);
    if (log->touched_sequence != block->sequence) {
        log->touched_sequence = block->sequence;
        if (block->touched_count == block->touched_capacity) {
            block->touched_capacity = block->touched_capacity ? 2 * block->touched_capacity : 16;
            block->touched = memory_resized(block->touched,
                                            (size_t)block->touched_capacity * sizeof(struct log *));
        }
        block->touched[block->touched_count++] = log;
    }
    core_at_turn_end(journal->store->core, &journal->hook);
}

uint32_t journal_largest(const struct journal *journal)
{
    int64_t most = (journal->store->options.journal_bytes - JOURNAL_RING_BEGIN) / 4;
    return (uint32_t)min_i64(most, INT32_MAX) - BLOCK_HEADER_SIZE - journal->alignment;
}

uint64_t journal_filling_sequence(const struct journal *journal)
{
    const struct journal_block *block = filling_block(journal);
    return block ? block->sequence : journal->next_sequence;
}

struct buffer *journal_slab(const struct journal *journal)
{
    return journal->slab;
}

/* ---- writing ---------------------------------------------------------------------------- */

/* Gives the block its place and header. False if it does not lie behind the one before it: the
 * ring wraps here, and this write ends. */
static bool seal_block(struct journal *journal, struct journal_block *block, bool first)
{
    if (block->disk_size == 0)
        close_block(journal, block);
    take_growth(journal);
    if (journal->head + block->disk_size > journal->ring_end) {
        if (!first)
            return false;
        REACHED("ring wraps");
        int64_t skipped = journal->ring_end - journal->head;
        journal->live_bytes += skipped;
        journal->sealed_bytes += skipped;
        journal->head = JOURNAL_RING_BEGIN;
        journal->lap++;
    }
    struct block_header header = {.length = block->used,
                                  .salt = journal->salt,
                                  .sequence = block->sequence,
                                  .lap = (uint16_t)journal->lap,
                                  .place = (uint16_t)journal->vector_count,
                                  .entry_count = block->entries,
                                  .chain = journal->chain};
    journal->chain = block_seal(block->data, &header);
    journal->head += block->disk_size;
    journal->live_bytes += block->disk_size;
    journal->sealed_bytes += block->disk_size;
    journal->pending_bytes -= block->disk_size;
    check(journal->live_bytes <= ring_size(journal) && journal->pending_bytes >= 0);
    if (block->sequence + 1 == journal->mark_sequence) {
        journal->mark_position = journal->head;
        journal->mark_chain = journal->chain;
        journal->mark_sealed_bytes = journal->sealed_bytes;
    }
    return true;
}

static enum step write_finish(struct flow *flow);

static const struct flow_kind write_flow = {"journal write", {{"finish", write_finish}}};

static void start_write(struct journal *journal, int64_t offset)
{
    struct op *op = &journal->write_op;
    *op = (struct op){.kind = OP_WRITE,
                      .flow = &journal->write_flow,
                      .handle = journal->handle,
                      .flags = MUTANT(answer_before_flush) ? 0 : WRITE_DURABLE,
                      .vectors = journal->vectors + journal->vector_first,
                      .vector_count = journal->vector_count - journal->vector_first,
                      .offset = offset};
#if BOLE_MUTANTS
    if (MUTANT(second_write_in_flight_on_a_block) && !journal->second_op.running) {
        journal->second_op = *op;
        journal->second_op.flow = NULL;
        op_start(journal->store->core->port, &journal->second_op);
    }
#endif
    op_start(journal->store->core->port, op);
}

/* The end of a turn: everything that waits goes out in one write. */
static void write_pending(struct turn_hook *hook, struct core *core)
{
    struct journal *journal = CONTAINER_OF(hook, struct journal, hook);
    if (journal->writing || list_is_empty(&journal->pending) || journal->store->fenced)
        return;
    int64_t offset = -1, bytes = 0;
    journal->vector_first = journal->vector_count = 0;
    while (!list_is_empty(&journal->pending) && journal->vector_count < JOURNAL_VECTORS) {
        struct journal_block *block =
            CONTAINER_OF(journal->pending.next, struct journal_block, link);
        if (!seal_block(journal, block, journal->vector_count == 0))
            break;
        if (offset < 0)
            offset = journal->head - block->disk_size;
        journal->vectors[journal->vector_count++] = (struct iovec){block->data, block->disk_size};
        bytes += block->disk_size;
        list_remove(&block->link);
        list_push(&journal->flying, &block->link);
    }
    journal->pending_largest = 0;
    for (struct list *node = journal->pending.next; node != &journal->pending; node = node->next) {
        const struct journal_block *block = CONTAINER_OF(node, struct journal_block, link);
        uint32_t size = (uint32_t)align_up(block->used, journal->alignment);
        journal->pending_largest =
            size > journal->pending_largest ? size : journal->pending_largest;
    }
    journal->writing = true;
    journal->write_began_ns = core->now.monotonic_ns;
    journal->store->counters.journal_writes++;
    journal->store->counters.journal_bytes += (uint64_t)bytes;
    flow_begin(&journal->write_flow, &write_flow, core);
    start_write(journal, offset);
    if (MUTANT(reuse_buffer_before_completion) && !filling_block(journal))
        journal->slab_used = 0;
}

/* Skips what a short write has written. Returns the bytes that are left. */
static size_t advance_vectors(struct journal *journal, size_t written)
{
    size_t left = 0;
    for (int i = journal->vector_first; i < journal->vector_count; i++) {
        struct iovec *vector = &journal->vectors[i];
        size_t done = written < vector->iov_len ? written : vector->iov_len;
        vector->iov_base = (uint8_t *)vector->iov_base + done;
        vector->iov_len -= done;
        written -= done;
        left += vector->iov_len;
        if (vector->iov_len == 0)
            journal->vector_first = i + 1;
    }
    return left;
}

static void block_is_durable(struct journal *journal, struct journal_block *block)
{
    journal->durable_sequence = block->sequence;
    if (MUTANT(answer_arrivals_of_a_running_flush))
        journal->durable_sequence = journal->next_sequence - 1;
    for (int i = 0; i < block->touched_count; i++)
        log_durable_moved(block->touched[i], journal->durable_sequence);
    buffer_release(block->slab);
    list_remove(&block->link);
    list_push(&journal->spare, &block->link);
}

static enum step write_finish(struct flow *flow)
{
    struct journal *journal = CONTAINER_OF(flow, struct journal, write_flow);
    struct op *op = &journal->write_op;
    if (op->result <= 0) {
        journal->writing = false;
        store_fence(journal->store, op->result ? op_error(op->result) : ERROR_INPUT_OUTPUT,
                    "a write of the journal failed");
        cold_reads_go_on(journal->store);
        waiters_wake(&journal->durable_waiters); /* also where it was fenced before */
        return STEP_NEXT;
    }
    /* Only whole sectors count: what a short write ended in is written again. */
    size_t written = (size_t)align_down((uint64_t)op->result, journal->alignment);
    if (advance_vectors(journal, written) > 0) {
        REACHED("short journal write");
        start_write(journal, op->offset + (int64_t)written);
        return STEP_AGAIN;
    }
    while (!list_is_empty(&journal->flying))
        block_is_durable(journal, CONTAINER_OF(journal->flying.next, struct journal_block, link));
    journal->writing = false;
    cold_reads_go_on(journal->store);
    if (flow->core->metrics)
        histogram_observe(&flow->core->metrics->journal_flush_ns,
                          (uint64_t)(flow->core->now.monotonic_ns - journal->write_began_ns));
    waiters_wake(&journal->durable_waiters);
    if (journal_is_half_full(journal))
        checkpoint_request(journal->store, false);
    if (!list_is_empty(&journal->pending)) {
        REACHED("arrivals during a flush");
        core_at_turn_end(journal->store->core, &journal->hook);
    }
    return STEP_NEXT;
}

void journal_init(struct journal *journal, struct store *store)
{
    *journal = (struct journal){.store = store, .handle = -1};
    list_init(&journal->pending);
    list_init(&journal->flying);
    list_init(&journal->spare);
    list_init(&journal->durable_waiters);
    list_init(&journal->hook.link);
    journal->hook.run = write_pending;
}

/* ---- the mark of a checkpoint ----------------------------------------------------------- */

void journal_mark(struct journal *journal)
{
    struct journal_block *block = filling_block(journal);
    if (block)
        close_block(journal, block);
    journal->mark_sequence = journal->next_sequence;
    if (list_is_empty(&journal->pending)) { /* the last block has its place already */
        journal->mark_position = journal->head;
        journal->mark_chain = journal->chain;
        journal->mark_sealed_bytes = journal->sealed_bytes;
    }
}

bool journal_mark_is_durable(const struct journal *journal)
{
    return journal->durable_sequence + 1 >= journal->mark_sequence;
}

void journal_anchor_at_mark(struct journal *journal, struct anchor *ret)
{
    *ret = (struct anchor){.alignment = journal->alignment,
                           .generation = journal->generation + 1,
                           .salt = journal->salt,
                           .start_position = journal->mark_position,
                           .start_sequence = journal->mark_sequence,
                           .start_chain = journal->mark_chain};
}

void journal_free_to_mark(struct journal *journal)
{
    journal->generation++;
    journal->anchor_sequences[0] = journal->anchor_sequences[1];
    journal->anchor_sequences[1] = journal->mark_sequence;
    journal->live_bytes = journal->sealed_bytes - journal->mark_sealed_bytes;
    waiters_wake(&journal->store->room);
}

void journal_count_logs(struct journal *journal, int32_t logs)
{
    struct store *store = journal->store;
    bool crowded = logs > store->options.journal_bytes / 2 / CROWDED_BYTES;
    if (crowded == journal->crowded)
        return;
    journal->crowded = crowded;
    buffers_keep(&store->tails, crowded ? store->tails.budget_bytes : STORE_TAILS_KEPT, crowded);
    if (crowded)
        REACHED("ring crowded");
}

int64_t journal_limit(const struct journal *journal)
{
    const struct store_options *options = &journal->store->options;
    return journal->crowded ? max_i64(options->journal_bytes, options->journal_crowded_bytes)
                            : options->journal_bytes;
}

void journal_free_spares(struct journal *journal)
{
    for (struct list *node; (node = list_pop(&journal->spare));) {
        struct journal_block *block = CONTAINER_OF(node, struct journal_block, link);
        memory_free(block->touched);
        memory_free(block);
    }
}

bool journal_is_half_full(const struct journal *journal)
{
    return journal->live_bytes >
           min_i64(ring_size(journal), journal_limit(journal) - JOURNAL_RING_BEGIN) / 2;
}
