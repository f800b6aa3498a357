/* The flows of a rig: writers that append, read, pause, remove and make anew; and readers that go
 * through everything. */
#include "base/check.h"
#include "base/memory.h"
#include "crash/model_producers.h"
#include "crash/rig.h"
#include "crash/searches.h"
#include "protocol/batch.h"
#include "storage/log_start.h"
#include "storage/log_state.h"
#include <stdio.h>

static struct promise *promise_of(const struct worker *worker)
{
    return &worker->rig->promises[worker->slot];
}

/* The log start, as a client is told. */
static void note_start(struct worker *worker, const struct log *log)
{
    struct rig *rig = worker->rig;
    struct promise *promise = promise_of(worker);
    bool asked = log->log_start > promise->start_asked;
    bool durable = log->log_start > promise->start && log_start_is_durable(log);
    if (!asked && !durable)
        return;
    promise->start_asked = max_i64(promise->start_asked, log->log_start);
    promise->start = durable ? log->log_start : promise->start;
    if (!rig->image)
        world_record_mark(rig->world, 0,
                          durable
                              ? oracle_acknowledge_start(rig->oracle, worker->slot, log->log_start)
                              : oracle_ask_start(rig->oracle, worker->slot, log->log_start));
}

/* The log was opened: it begins where was acknowledged, or where was asked for last. */
static void meet_start(struct worker *worker, const struct log *log)
{
    struct rig *rig = worker->rig;
    struct promise *promise = promise_of(worker);
    if (!rig->damaged && (log->log_start < promise->start || log->log_start > promise->start_asked))
        rig_fail(rig, "slot %d is opened with log start %lld, %lld was acknowledged, %lld asked",
                 worker->slot, (long long)log->log_start, (long long)promise->start,
                 (long long)promise->start_asked);
    worker->start_met = true;
    promise->start = promise->start_asked = log->log_start;
    if (!rig->image)
        world_record_mark(rig->world, 0,
                          oracle_adopt_start(rig->oracle, worker->slot, log->log_start));
}

static int64_t committed_end(const struct log *log, void *context)
{
    return ((const struct worker *)context)->committed_end;
}

/* Of most logs nothing is committed, so that anything may be cut off. Where segments are to go, all
 * that is durable is: they rest on a snapshot at or below the watermark. */
static void commit(struct worker *worker, const struct log *log, int64_t durable_end)
{
    if (log->segment_count > 1 && log->segments[1]->base_offset <= log->log_start)
        worker->committed_end = max_i64(worker->committed_end, durable_end);
}

/* Durable is acknowledged. */
static void moved(struct log *log, void *context)
{
    struct worker *worker = context;
    struct rig *rig = worker->rig;
    if (log->state != LOG_OPEN)
        return;
    if (!worker->met && !rig->image)
        oracle_adopt(rig->oracle, worker->slot, log->durable_end);
    if (!worker->met && log->durable_end < promise_of(worker)->acknowledged_end && !rig->damaged)
        rig_fail(rig, "slot %d is opened with end %lld, %lld was acknowledged", worker->slot,
                 (long long)log->durable_end, (long long)promise_of(worker)->acknowledged_end);
    worker->met = true;
    if (!worker->start_met)
        meet_start(worker, log);
    note_start(worker, log);
    int64_t end = worker->cuts ? min_i64(log->durable_end, worker->cut_end) : log->durable_end;
    commit(worker, log, end);
    if (end <= promise_of(worker)->acknowledged_end)
        return;
    promise_of(worker)->acknowledged_end = end;
    if (!rig->image)
        world_record_mark(rig->world, 0, oracle_acknowledge(rig->oracle, worker->slot, end));
}

static void make_log(struct worker *worker, struct store *store)
{
    char topic[16];
    snprintf(topic, sizeof topic, "t%d", worker->slot);
    struct log_identity identity = {
        oracle_topic_id(worker->rig->oracle, worker->slot, promise_of(worker)->generation),
        slot_partition(worker->slot), string_of(topic)};
    worker->log = log_new(store, &identity, &worker->rig->settings.log);
    worker->log->moved = moved;
    worker->log->committed_end = committed_end;
    worker->log->context = worker;
    worker->start_met = false;
}

struct log *worker_log(struct rig *rig, int32_t slot)
{
    struct worker *worker = &rig->workers[slot];
    int core = (slot + (rig->settings.moves ? rig->lives : 0)) % rig->settings.cores;
    worker->rig = rig;
    worker->slot = slot;
    if (!worker->log)
        make_log(worker, &rig->cores[core].store);
    return worker->log;
}

/* Compares what was read with what was sent; moves worker->offset. */
static void check_read(struct worker *worker)
{
    struct rig *rig = worker->rig;
    struct log_read *read = &worker->read;
    if (read->error) {
        rig->told |= rig->faulty;
        if (!rig_is_fenced(rig) && !rig->damaged && !rig->faulty)
            rig_fail(rig, "slot %d: read at %lld: %s", worker->slot, (long long)read->offset,
                     error_text(read->error));
        worker->offset = read->end_offset;
        return;
    }
    int64_t offset = read->offset;
    for (int i = 0; i < read->parts_count; i++) {
        struct bytes part = read->parts[i];
        while (part.size > 0) {
            struct batch batch;
            if (batch_view(part.data, (size_t)part.size, &batch) != ERROR_NONE) {
                if (!rig->damaged)
                    rig_fail(rig, "slot %d: no whole batch at offset %lld", worker->slot,
                             (long long)offset);
                worker->offset = read->end_offset;
                return;
            }
            bool first = offset == read->offset;
            const struct sent *sent = oracle_batch_at(
                rig->oracle, worker->slot, promise_of(worker)->generation, batch.base_offset);
            bool dense = first ? batch.base_offset <= offset : batch.base_offset == offset;
            bool right = sent && dense && sent->end_offset > offset &&
                         (int32_t)sent->size <= part.size && oracle_matches(sent, part.data);
            /* a client sees a wrong CRC by itself; of what lies outside of it, it can see nothing
             */
            if (!right && rig->damaged && batch_check_crc(&batch) != ERROR_NONE) {
                worker->offset = read->end_offset;
                return;
            }
            if (!right) {
                rig_fail(rig, "slot %d: at offset %lld a wrong batch (base %lld, size %d)",
                         worker->slot, (long long)offset, (long long)batch.base_offset,
                         batch.whole.size);
                return;
            }
            offset = sent->end_offset;
            part.data += sent->size;
            part.size -= (int32_t)sent->size;
        }
    }
    if (offset == read->offset && read->at_least_one && read->offset < read->end_offset &&
        !rig->damaged)
        rig_fail(rig, "slot %d: nothing is read at %lld, though the end is %lld", worker->slot,
                 (long long)offset, (long long)read->end_offset);
    if (offset == read->offset)
        offset = read->end_offset; /* rot hides the rest */
    worker->offset = offset;
    rig->reads++;
}

static void begin_read(struct worker *worker, int64_t offset)
{
    uint32_t bits = (uint32_t)random_below(&worker->random, 20);
    worker->read =
        (struct log_read){.log = worker->log,
                          .offset = offset,
                          .end_offset = worker->log->durable_end,
                          .max_bytes = (int32_t)random_below(&worker->random, 1u << bits),
                          .at_least_one = true};
    worker->reading = true;
}

/* True once the read that was begun has ended. */
static bool read_goes_on(struct worker *worker)
{
    if (!log_read_step(&worker->read, &worker->flow))
        return true;
    check_read(worker);
    log_read_done(&worker->read);
    worker->reading = false;
    return false;
}

void worker_drop_waiting(struct worker *worker)
{
    memory_free((void *)(uintptr_t)worker->waiting.data);
    worker->waiting = (struct bytes){NULL, 0};
}

void worker_remove_log(struct worker *worker)
{
    struct rig *rig = worker->rig;
    struct store *store = worker->log->store;
    world_record_mark(rig->world, 0, oracle_recreate(rig->oracle, worker->slot));
    *promise_of(worker) = rig->oracle->now[worker->slot];
    log_remove(worker->log);
    worker_drop_waiting(worker);
    worker->committed_end = 0;
    make_log(worker, store);
}

/* Appends the batch that waits, or the next one. */
static enum error append(struct worker *worker)
{
    struct oracle *oracle = worker->rig->oracle;
    if (worker->waiting.size == 0) {
        struct bytes made = oracle_make(oracle, &worker->sequence);
        worker->waiting = model_next_batch(oracle, worker->slot, &worker->random, made);
    }
    struct log_append_result result;
    enum error error = log_append(worker->log, worker->waiting, oracle->leader_epoch, &result);
    if (error == ERROR_NONE) {
        oracle_sent(oracle, worker->slot,
                    (struct sent){result.base_offset, result.end_offset,
                                  (uint32_t)worker->waiting.size, worker->sequence, NULL},
                    worker->waiting.data);
        worker->rig->appended += (uint64_t)worker->waiting.size;
        worker_drop_waiting(worker);
    }
    return error;
}

/* Sends one of a producer's last batches again, or one that leaves a gap: refused, and right. */
static void send_what_is_refused(struct worker *worker)
{
    struct oracle *oracle = worker->rig->oracle;
    const struct sent *sent = model_recent_batch(oracle, worker->slot, &worker->random);
    if (!sent)
        return;
    uint8_t *copy = memory_aligned(16, sent->size);
    memcpy(copy, sent->bytes, sent->size);
    store_be64(copy, 0);
    enum error wanted = ERROR_DUPLICATE_SEQUENCE_NUMBER;
    if (random_once_in(&worker->random, 4) && !worker->log->store->space.full) {
        int32_t sequence = (int32_t)load_be32(copy + BATCH_BASE_SEQUENCE_AT);
        store_be32(copy + BATCH_BASE_SEQUENCE_AT, (uint32_t)sequence_after(sequence, 1000000000));
        wanted = ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    }
    int64_t end = worker->log->appended_end;
    struct log_append_result result = {0};
    enum error error = log_append(worker->log, (struct bytes){copy, (int32_t)sent->size},
                                  FIRST_LEADER_EPOCH, &result);
    memory_free(copy);
    bool right = error == wanted && end == worker->log->appended_end;
    if (right && error == ERROR_DUPLICATE_SEQUENCE_NUMBER)
        right = result.base_offset == sent->base_offset && result.end_offset == sent->end_offset;
    if (!right)
        rig_fail(worker->rig, "slot %d: the batch at %lld, sent again: %s, %lld to %lld",
                 worker->slot, (long long)sent->base_offset, error_text(error),
                 (long long)result.base_offset, (long long)result.end_offset);
}

static enum step write_step(struct flow *flow)
{
    struct worker *worker = CONTAINER_OF(flow, struct worker, flow);
    struct rig *rig = worker->rig;
    if ((worker->reading && read_goes_on(worker)) || (worker->searching && search_goes_on(worker)))
        return STEP_AGAIN;
    if (rig->stopping)
        return STEP_FAIL;
    enum error error = log_open(worker->log, &worker->waiter, flow);
    if (error == ERROR_WOULD_WAIT)
        return STEP_AGAIN;
    if (!error && random_once_in(&worker->random, rig->settings.remove_once_in)) {
        worker_remove_log(worker);
        return STEP_AGAIN;
    }
    if (!error && worker->log->durable_end > 0 &&
        random_once_in(&worker->random, 3 * rig->settings.read_once_in)) {
        search_begin(worker);
        (void)search_goes_on(worker); /* the next step asks again */
        return STEP_AGAIN;
    }
    int64_t readable = worker->log->durable_end - worker->log->log_start;
    if (!error && readable > 0 && random_once_in(&worker->random, rig->settings.delete_once_in)) {
        error = log_start_at(worker->log,
                             worker->log->log_start +
                                 (int64_t)random_below(&worker->random, (uint64_t)readable + 1));
        readable = worker->log->durable_end - worker->log->log_start;
        if (error == ERROR_WOULD_WAIT)
            error = ERROR_NONE; /* another time */
    }
    if (!error && readable > 0 && random_once_in(&worker->random, rig->settings.read_once_in)) {
        begin_read(worker, worker->log->log_start +
                               (int64_t)random_below(&worker->random, (uint64_t)readable));
        return read_goes_on(worker) ? STEP_AGAIN : STEP_AGAIN;
    }
    if (!error && !worker->log->store->fenced && random_once_in(&worker->random, 16))
        send_what_is_refused(worker);
    if (!error)
        error = append(worker);
    if (error == ERROR_WOULD_WAIT) {
        waiter_park(&worker->waiter, log_room(worker->log), flow);
        return STEP_AGAIN;
    }
    if (error && worker->log->store->space.full && !worker->log->store->fenced) {
        rig->refusals++;
        timer_start(&worker->timer, flow->core, flow, flow->core->now.monotonic_ns + FULL_PAUSE_NS);
        return STEP_AGAIN; /* the same batch once more */
    }
    if (error) {
        if (!rig_is_fenced(rig) && !rig->faulty && !(rig->offline & 1u << worker->slot))
            rig_fail(rig, "slot %d: append: %s", worker->slot, error_text(error));
        return STEP_FAIL;
    }
    if (random_once_in(&worker->random, rig->settings.pause_once_in)) {
        int64_t pause_ns = (int64_t)random_below(&worker->random, 3000000);
        timer_start(&worker->timer, flow->core, flow, flow->core->now.monotonic_ns + pause_ns);
    }
    return STEP_AGAIN;
}

static enum step work_ends(struct flow *flow)
{
    CONTAINER_OF(flow, struct worker, flow)->ended = true;
    return STEP_NEXT;
}

static const struct flow_kind write_flow = {"writer", {{"write", write_step}, {"end", work_ends}}};

/* Opens the log, looks at its ends, reads it through. */
static enum step read_step(struct flow *flow)
{
    struct worker *worker = CONTAINER_OF(flow, struct worker, flow);
    struct rig *rig = worker->rig;
    struct log *log = worker->log;
    if ((worker->reading && read_goes_on(worker)) || (worker->searching && search_goes_on(worker)))
        return STEP_AGAIN;
    enum error error = log_open(log, &worker->waiter, flow);
    if (error == ERROR_WOULD_WAIT)
        return STEP_AGAIN;
    if (error) {
        rig->told |= rig->faulty;
        if (!rig->damaged && !rig->faulty && !(rig->offline & 1u << worker->slot))
            rig_fail(rig, "slot %d: open: %s", worker->slot, error_text(error));
        return STEP_FAIL;
    }
    const struct promise *promise = promise_of(worker);
    char why[200];
    if (!rig->damaged &&
        !model_matches(rig->oracle, worker->slot, promise->generation, log, why, sizeof why))
        rig_fail(rig, "%s", why);
    worker->offset = max_i64(worker->offset, log->log_start);
    if (log->durable_end != log->appended_end)
        rig_fail(rig, "slot %d: ends %lld %lld %lld", worker->slot, (long long)log->log_start,
                 (long long)log->durable_end, (long long)log->appended_end);
    if (log->durable_end < promise->acknowledged_end && !rig->damaged)
        rig_fail(rig, "slot %d: the log ends at %lld, %lld was acknowledged", worker->slot,
                 (long long)log->durable_end, (long long)promise->acknowledged_end);
    if (rig->failure[0])
        return STEP_FAIL;
    if (worker->offset >= log->durable_end && log->durable_end > 0 && worker->searches++ < 4) {
        search_begin(worker);
        (void)search_goes_on(worker); /* the next step asks again */
        return STEP_AGAIN;
    }
    if (worker->offset >= log->durable_end)
        return STEP_FAIL;
    begin_read(worker, worker->offset);
    return STEP_AGAIN;
}

static const struct flow_kind read_flow = {"reader", {{"read", read_step}, {"end", work_ends}}};

void workers_start(struct rig *rig, bool write)
{
    for (int i = 0; i < rig->settings.slots; i++) {
        struct worker *worker = &rig->workers[i];
        worker->ended = false;
        worker->offset = 0;
        worker->searches = 0;
        worker->timer = TIMER_INIT;
        worker_drop_waiting(worker);                    /* it may follow what was lost */
        worker->waiter = (struct waiter){.flow = NULL}; /* what it waited for may have crashed */
        random_seed(&worker->random, random_next(&rig->random));
        (void)worker_log(rig, i);
        flow_start(&worker->flow, write ? &write_flow : &read_flow, worker->log->store->core);
    }
}

bool workers_ended(void *argument)
{
    const struct rig *rig = argument;
    if (rig->failure[0])
        return true;
    for (int i = 0; i < rig->settings.slots; i++)
        if (!rig->workers[i].ended)
            return false;
    return true;
}
