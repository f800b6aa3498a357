#include "logic/producers.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/reached.h"

enum { ROOM_TRIES = 16, MARKER_KEY_SIZE = 4, MARKER_VALUE_SIZE = 6 };

void producers_init(struct producers *producers, uint64_t seed, uint32_t most)
{
    *producers = (struct producers){.most = most};
    map_init(&producers->by_id, seed);
    list_init(&producers->by_age);
    list_init(&producers->transactions);
    list_init(&producers->ended);
}

void producers_done(struct producers *producers)
{
    for (struct list *node; (node = list_pop(&producers->by_age));)
        memory_free(CONTAINER_OF(node, struct producer, age));
    for (struct list *node; (node = list_pop(&producers->transactions));)
        memory_free(CONTAINER_OF(node, struct producer_txn, link));
    map_done(&producers->by_id);
}

struct producer *producers_find(const struct producers *producers, int64_t id)
{
    return map_get(&producers->by_id, &id, sizeof id);
}

const struct producer *producers_next(const struct producers *producers,
                                      const struct producer *after)
{
    const struct list *next = after ? after->age.next : producers->by_age.next;
    return next == &producers->by_age ? NULL : CONTAINER_OF(next, struct producer, age);
}

/* ---- what a batch is ---------------------------------------------------------------------- */

/* The marker in a control batch: key int16 version, int16 type (0 abort, 1 commit); value int16
 * version, int32 coordinator epoch (ControlRecordType, EndTransactionMarker). */
static bool read_marker(const struct batch *batch, struct producer_event *event)
{
    struct batch_iterator iterator;
    struct record record;
    if (batch->attributes & BATCH_CODEC_MASK ||
        batch_iterate(batch, NULL, &iterator) != ERROR_NONE || !batch_next(&iterator, &record))
        return false; /* compaction has taken it, or it is none of ours */
    if (record.key.size < MARKER_KEY_SIZE || record.value.size < MARKER_VALUE_SIZE)
        return false;
    uint16_t type = load_be16(record.key.data + 2);
    if (type > 1)
        return false;
    event->kind = type == 0 ? PRODUCER_ABORT : PRODUCER_COMMIT;
    event->coordinator_epoch = (int32_t)load_be32(record.value.data + 2);
    event->timestamp_ms = record.timestamp;
    return true;
}

bool producer_event_of(const struct batch *batch, struct producer_event *ret_event)
{
    if (batch->producer_id < 0)
        return false;
    *ret_event = (struct producer_event){
        .kind = batch->attributes & BATCH_TRANSACTIONAL ? PRODUCER_TRANSACTIONAL : PRODUCER_DATA,
        .producer_id = batch->producer_id,
        .epoch = batch->producer_epoch,
        .base_offset = batch->base_offset,
        .last_offset = batch_last_offset(batch),
        .timestamp_ms = batch->max_timestamp,
        .first_sequence = batch->base_sequence,
        .last_sequence = sequence_after(batch->base_sequence, batch->last_offset_delta),
        .coordinator_epoch = -1,
    };
    return !(batch->attributes & BATCH_CONTROL) || read_marker(batch, ret_event);
}

static bool is_marker(const struct producer_event *event)
{
    return event->kind >= PRODUCER_COMMIT;
}

/* ---- deciding ----------------------------------------------------------------------------- */

/* What the checks need of a producer, as it will be after the events before this one. */
struct view {
    bool known, in_transaction;
    int16_t epoch;
    int32_t last_sequence, coordinator_epoch;
};

static void advance_view(struct view *view, const struct producer_event *event)
{
    if (!view->known || view->epoch != event->epoch)
        view->last_sequence = -1;
    view->known = true;
    view->epoch = event->epoch;
    view->in_transaction = event->kind == PRODUCER_TRANSACTIONAL;
    if (is_marker(event))
        view->coordinator_epoch = event->coordinator_epoch;
    else
        view->last_sequence = event->last_sequence;
}

static enum error check_event(const struct view *view, const struct producer_event *event)
{
    if (!view->known)
        return ERROR_NONE;
    if (event->epoch < view->epoch)
        return ERROR_INVALID_PRODUCER_EPOCH;
    if (is_marker(event))
        return event->coordinator_epoch < view->coordinator_epoch
                   ? ERROR_TRANSACTION_COORDINATOR_FENCED
                   : ERROR_NONE;
    int32_t last_sequence = event->epoch == view->epoch ? view->last_sequence : -1;
    int32_t expected = last_sequence < 0 ? 0 : sequence_after(last_sequence, 1);
    if (event->first_sequence >= 0 && view->epoch >= 0 && event->first_sequence != expected)
        return ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    if (view->in_transaction && event->kind != PRODUCER_TRANSACTIONAL)
        return ERROR_INVALID_TXN_STATE;
    return ERROR_NONE;
}

/* The same sequences in the same epoch: it was appended before. */
static bool find_duplicate(const struct producer *producer, const struct producer_event *event,
                           struct producer_duplicate *ret_duplicate)
{
    if (is_marker(event) || event->first_sequence < 0 || producer->epoch != event->epoch)
        return false;
    for (int i = 0; i < producer->count; i++) {
        const struct producer_batch *batch = producer_batch(producer, i);
        int32_t first =
            (int32_t)(((uint32_t)batch->last_sequence - (uint32_t)batch->offset_delta) & INT32_MAX);
        if (batch->last_sequence != event->last_sequence || first != event->first_sequence)
            continue;
        *ret_duplicate = (struct producer_duplicate){batch->last_offset - batch->offset_delta,
                                                     batch->last_offset, batch->timestamp_ms};
        return true;
    }
    return false;
}

enum error producers_handle(const struct producers *producers, const struct producer_event *events,
                            int count, struct producer_duplicate *ret_duplicate)
{
    for (int i = 0; i < count; i++) {
        const struct producer_event *event = &events[i];
        const struct producer *producer = producers_find(producers, event->producer_id);
        struct view view = {.last_sequence = -1, .coordinator_epoch = -1};
        if (producer) {
            if (find_duplicate(producer, event, ret_duplicate))
                return ERROR_DUPLICATE_SEQUENCE_NUMBER;
            view = (struct view){.known = true,
                                 .in_transaction = producer->open != NULL,
                                 .epoch = producer->epoch,
                                 .last_sequence = producer_last_sequence(producer),
                                 .coordinator_epoch = producer->coordinator_epoch};
        }
        for (int j = 0; j < i; j++)
            if (events[j].producer_id == event->producer_id)
                advance_view(&view, &events[j]);
        enum error error = check_event(&view, event);
        if (error)
            return error;
    }
    return ERROR_NONE;
}

/* ---- applying ----------------------------------------------------------------------------- */

static void forget(struct producers *producers, struct producer *producer)
{
    check(!producer->open);
    map_remove(&producers->by_id, &producer->id, sizeof producer->id);
    list_remove(&producer->age);
    memory_free(producer);
}

/* The least recently active one without a transaction goes. */
static void make_room(struct producers *producers)
{
    struct list *node = producers->by_age.next;
    for (int i = 0; i < ROOM_TRIES && node != &producers->by_age; i++, node = node->next) {
        struct producer *producer = CONTAINER_OF(node, struct producer, age);
        if (producer->open)
            continue;
        REACHED("a producer made room for another");
        forget(producers, producer);
        return;
    }
}

/* The producer, made if it is new, with its epoch brought up to `epoch`, as the youngest. */
static struct producer *take(struct producers *producers, int64_t id, int16_t epoch)
{
    struct producer *producer = producers_find(producers, id);
    if (!producer) {
        if (producers->most && producers->by_id.count >= producers->most)
            make_room(producers);
        producer = memory_zeroed(sizeof *producer);
        producer->id = id;
        producer->epoch = epoch;
        producer->coordinator_epoch = -1;
        list_init(&producer->age);
        map_put(&producers->by_id, &producer->id, sizeof producer->id, producer);
    }
    if (producer->epoch != epoch) {
        producer->epoch = epoch;
        producer->count = 0;
    }
    list_remove(&producer->age);
    list_push(&producers->by_age, &producer->age);
    return producer;
}

static void add_batch(struct producer *producer, struct producer_batch batch)
{
    producer->newest = (uint8_t)((producer->newest + 1) % PRODUCER_BATCHES);
    producer->batches[producer->newest] = batch;
    if (producer->count < PRODUCER_BATCHES)
        producer->count++;
}

/* In the order of first offsets; nearly always at the end. */
static void begin_transaction(struct producers *producers, struct producer *producer,
                              int64_t first_offset)
{
    struct producer_txn *txn = memory_zeroed(sizeof *txn);
    list_init(&txn->link);
    list_init(&txn->ended);
    txn->producer_id = producer->id;
    txn->first_offset = first_offset;
    txn->last_offset = -1;
    producer->open = txn;
    struct list *before = producers->transactions.previous;
    while (before != &producers->transactions &&
           CONTAINER_OF(before, struct producer_txn, link)->first_offset > first_offset)
        before = before->previous;
    list_push_front(before, &txn->link);
}

/* The first offset of the oldest transaction that is open, or the one after the marker. */
static int64_t first_open(const struct producers *producers, int64_t marker_offset)
{
    for (const struct list *node = producers->transactions.next; node != &producers->transactions;
         node = node->next) {
        const struct producer_txn *txn = CONTAINER_OF(node, struct producer_txn, link);
        if (txn->last_offset < 0)
            return txn->first_offset;
    }
    return marker_offset + 1;
}

static bool end_transaction(struct producers *producers, struct producer *producer,
                            const struct producer_event *event,
                            struct aborted_txn_entry *ret_aborted)
{
    struct producer_txn *txn = producer->open;
    producer->open = NULL;
    if (!txn)
        return false;
    txn->last_offset = event->base_offset;
    list_push(&producers->ended, &txn->ended);
    if (event->kind != PRODUCER_ABORT)
        return false;
    *ret_aborted = (struct aborted_txn_entry){producer->id, txn->first_offset, txn->last_offset,
                                              first_open(producers, txn->last_offset)};
    return true;
}

bool producers_apply(struct producers *producers, const struct producer_event *event,
                     struct producers_now now, struct aborted_txn_entry *ret_aborted)
{
    struct producer *producer = take(producers, event->producer_id, event->epoch);
    producer->last_timestamp_ms = event->timestamp_ms;
    producer->active_ms = now.monotonic_ms;
    producer->loaded = false;
    if (is_marker(event)) {
        producer->coordinator_epoch = event->coordinator_epoch;
        return end_transaction(producers, producer, event, ret_aborted);
    }
    add_batch(producer, (struct producer_batch){
                            .last_offset = event->last_offset,
                            .timestamp_ms = event->timestamp_ms,
                            .last_sequence = event->last_sequence,
                            .offset_delta = (int32_t)(event->last_offset - event->base_offset),
                        });
    if (event->kind == PRODUCER_TRANSACTIONAL && !producer->open)
        begin_transaction(producers, producer, event->base_offset);
    return false;
}

int64_t producers_last_stable(struct producers *producers, int64_t high_watermark)
{
    while (!list_is_empty(&producers->ended)) {
        struct producer_txn *txn = CONTAINER_OF(producers->ended.next, struct producer_txn, ended);
        if (txn->last_offset >= high_watermark)
            break;
        list_remove(&txn->ended);
        list_remove(&txn->link);
        memory_free(txn);
    }
    if (list_is_empty(&producers->transactions))
        return high_watermark;
    int64_t first =
        CONTAINER_OF(producers->transactions.next, struct producer_txn, link)->first_offset;
    return first < high_watermark ? first : high_watermark;
}

/* ---- time --------------------------------------------------------------------------------- */

uint32_t producers_expire(struct producers *producers, int64_t expiration_ms,
                          struct producers_now now)
{
    int64_t up_ms = now.monotonic_ms - producers->loaded_monotonic_ms;
    int64_t step_ms = now.wall_ms - producers->loaded_wall_ms - up_ms;
    bool is_steady = up_ms >= PRODUCERS_STEADY_MS && step_ms <= PRODUCERS_STEP_MS &&
                     step_ms >= -PRODUCERS_STEP_MS;
    uint32_t count = 0;
    struct list *next, *node = producers->by_age.next;
    for (int i = 0; i < PRODUCERS_EXPIRED_AT_ONCE && node != &producers->by_age; i++, node = next) {
        struct producer *producer = CONTAINER_OF(node, struct producer, age);
        next = node->next;
        if (producer->open)
            continue;
        bool expired = now.monotonic_ms - producer->active_ms >= expiration_ms;
        if (!expired && !producer->loaded)
            break; /* the others were active later */
        if (!expired && is_steady)
            expired = now.wall_ms - producer->last_timestamp_ms >= expiration_ms;
        if (!expired)
            continue;
        forget(producers, producer);
        count++;
    }
    return count;
}

void producers_loaded(struct producers *producers, struct producers_now now)
{
    producers->loaded_monotonic_ms = now.monotonic_ms;
    producers->loaded_wall_ms = now.wall_ms;
    for (struct list *node = producers->by_age.next; node != &producers->by_age;
         node = node->next) {
        struct producer *producer = CONTAINER_OF(node, struct producer, age);
        producer->active_ms = now.monotonic_ms;
        producer->loaded = true;
    }
}

bool producers_restore(struct producers *producers, const struct producer_image *image)
{
    if (image->id < 0 || image->epoch < -1 || image->offset_delta < 0 || image->last_offset < -1 ||
        image->txn_first_offset < -1 ||
        (image->last_offset >= 0 && image->offset_delta > image->last_offset))
        return false;
    struct producer *producer = take(producers, image->id, image->epoch);
    producer->last_timestamp_ms = image->timestamp_ms;
    producer->coordinator_epoch = image->coordinator_epoch;
    bool known = producer->count && producer_batch(producer, 0)->last_offset == image->last_offset;
    if (image->last_offset >= 0 && !known)
        add_batch(producer, (struct producer_batch){image->last_offset, image->timestamp_ms,
                                                    image->last_sequence, image->offset_delta});
    if (image->txn_first_offset >= 0 && !producer->open)
        begin_transaction(producers, producer, image->txn_first_offset);
    return true;
}
