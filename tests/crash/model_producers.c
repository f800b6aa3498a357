#include "crash/model_producers.h"
#include "base/check.h"
#include "base/memory.h"
#include "codec/crc32c.h"
#include "protocol/batch.h"
#include "storage/log_state.h"
#include "storage/producer_snapshot.h"
#include "crash/written.h"
#include <stdio.h>

enum { IDS = 4, FIRST_ID = 1000, WINDOW = 5, COORDINATOR_EPOCH = 3 };

struct seen {
    int64_t id;
    int32_t epoch, coordinator_epoch, count;
    int64_t txn_first;                  /* -1 */
    const struct sent *batches[WINDOW]; /* newest first */
};

static int64_t id_of(const struct sent *sent)
{
    return (int64_t)load_be64(sent->bytes + BATCH_PRODUCER_ID_AT);
}

static int32_t epoch_of(const struct sent *sent)
{
    return (int16_t)load_be16(sent->bytes + BATCH_PRODUCER_EPOCH_AT);
}

static int32_t first_sequence(const struct sent *sent)
{
    return (int32_t)load_be32(sent->bytes + BATCH_BASE_SEQUENCE_AT);
}

static int32_t last_sequence(const struct sent *sent)
{
    int64_t last = (int64_t)first_sequence(sent) + (sent->end_offset - sent->base_offset) - 1;
    return (int32_t)(last > INT32_MAX ? last - INT32_MAX - 1 : last);
}

static uint16_t attributes_of(const struct sent *sent)
{
    return load_be16(sent->bytes + BATCH_ATTRIBUTES_AT);
}

/* The producer as the batches before number `count` leave it. */
static bool look_back(const struct generation *of, int32_t count, int64_t id, struct seen *seen)
{
    *seen = (struct seen){.id = id, .epoch = -1, .coordinator_epoch = -1, .txn_first = -1};
    for (int32_t i = 0; i < count; i++) {
        const struct sent *sent = &of->batches[i];
        if (id_of(sent) != id)
            continue;
        if (epoch_of(sent) != seen->epoch)
            seen->count = 0;
        seen->epoch = epoch_of(sent);
        if (attributes_of(sent) & BATCH_CONTROL) {
            seen->coordinator_epoch = COORDINATOR_EPOCH;
            seen->txn_first = -1;
            continue;
        }
        if (attributes_of(sent) & BATCH_TRANSACTIONAL && seen->txn_first < 0)
            seen->txn_first = sent->base_offset;
        memmove(seen->batches + 1, seen->batches, (WINDOW - 1) * sizeof seen->batches[0]);
        seen->batches[0] = sent;
        seen->count += seen->count < WINDOW;
    }
    return seen->epoch >= 0;
}

/* Only its epoch, the last batches of that, and whether a transaction is open (txn_first 0): from
 * the end backwards, as far as need be. */
static bool peek(const struct generation *of, int64_t id, struct seen *seen)
{
    *seen = (struct seen){.id = id, .epoch = -1, .txn_first = -1};
    for (int32_t i = of->count - 1; i >= 0 && seen->count < WINDOW; i--) {
        const struct sent *sent = &of->batches[i];
        if (id_of(sent) != id)
            continue;
        if (seen->epoch < 0) {
            bool is_open = (attributes_of(sent) & (BATCH_CONTROL | BATCH_TRANSACTIONAL)) ==
                           BATCH_TRANSACTIONAL;
            seen->epoch = epoch_of(sent);
            seen->txn_first = is_open ? 0 : -1;
        }
        if (epoch_of(sent) != seen->epoch)
            break;
        if (!(attributes_of(sent) & BATCH_CONTROL))
            seen->batches[seen->count++] = sent;
    }
    return seen->epoch >= 0;
}

static const struct generation *sent_to(const struct oracle *oracle, int32_t slot)
{
    return &oracle->generations[slot][oracle->now[slot].generation];
}

/* Writes the fields of a producer into a batch, and the CRC over them. */
static void stamp(uint8_t *batch, size_t size, uint16_t attributes, int64_t id, int32_t epoch,
                  int32_t sequence)
{
    store_be16(batch + BATCH_ATTRIBUTES_AT, attributes);
    store_be64(batch + BATCH_PRODUCER_ID_AT, (uint64_t)id);
    store_be16(batch + BATCH_PRODUCER_EPOCH_AT, (uint16_t)epoch);
    store_be32(batch + BATCH_BASE_SEQUENCE_AT, (uint32_t)sequence);
    store_be32(batch + BATCH_CRC_AT,
               crc32c(0, batch + BATCH_ATTRIBUTES_AT, size - BATCH_ATTRIBUTES_AT));
}

static struct bytes marker(const struct seen *seen, bool commits)
{
    uint8_t *bytes = memory_aligned(16, 256), key[4] = {0, 0, 0, commits}, value[6] = {0};
    store_be32(value + 2, COORDINATOR_EPOCH);
    struct batch_builder builder;
    batch_builder_init(&builder, bytes, 256);
    struct record record = {
        .timestamp = 1700000000000, .key = {key, sizeof key}, .value = {value, sizeof value}};
    check(batch_builder_add(&builder, &record) == ERROR_NONE);
    batch_builder_end(&builder, &BATCH_FIELDS_PLAIN);
    stamp(bytes, builder.size_bytes, BATCH_CONTROL | BATCH_TRANSACTIONAL, seen->id, seen->epoch,
          -1);
    return (struct bytes){bytes, (int32_t)builder.size_bytes};
}

struct bytes model_next_batch(const struct oracle *oracle, int32_t slot, struct random *random,
                              struct bytes made)
{
    const struct generation *of = sent_to(oracle, slot);
    uint8_t *copy = memory_aligned(16, (size_t)made.size);
    struct bytes batch = {copy, made.size};
    memcpy(copy, made.data, (size_t)made.size);
    if (random_once_in(random, 3))
        return batch; /* nobody's */
    struct seen seen;
    bool known = peek(of, FIRST_ID + (int64_t)random_below(random, IDS), &seen);
    if (seen.txn_first >= 0 && random_once_in(random, 3)) {
        memory_free(copy);
        return marker(&seen, random_once_in(random, 2));
    }
    int32_t epoch = known ? seen.epoch : 0;
    int32_t sequence = seen.count ? last_sequence(seen.batches[0]) : -1;
    sequence = sequence == INT32_MAX ? 0 : sequence + 1;
    if (!known)
        sequence = random_once_in(random, 2) ? INT32_MAX - 3 : (int32_t)random_below(random, 9);
    if (known && seen.txn_first < 0 && random_once_in(random, 20)) {
        epoch++;
        sequence = 0;
    }
    bool transactional = seen.txn_first >= 0 || random_once_in(random, 4);
    stamp(copy, (size_t)made.size, transactional ? BATCH_TRANSACTIONAL : 0, seen.id, epoch,
          sequence);
    return batch;
}

const struct sent *model_recent_batch(const struct oracle *oracle, int32_t slot,
                                      struct random *random)
{
    const struct generation *of = sent_to(oracle, slot);
    struct seen seen;
    peek(of, FIRST_ID + (int64_t)random_below(random, IDS), &seen);
    return seen.count ? seen.batches[random_below(random, (uint64_t)seen.count)] : NULL;
}

void model_plant_snapshot(struct rig *rig, int32_t slot)
{
    struct disk *disk = rig->world->machines[0]->disk;
    char folder[64], name[SEGMENT_NAME_SIZE], path[128];
    slot_folder(slot, folder, sizeof folder);
    if (!disk_find(disk, folder))
        return;
    const struct generation *of = sent_to(rig->oracle, slot);
    int64_t offset = 7 + (of->count ? of->batches[of->count - 1].end_offset : 0);
    segment_name(offset, ".snapshot", name);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    struct producers producers;
    struct aborted_txn_entry aborted;
    producers_init(&producers, 1, 0);
    struct producer_event event = {
        .producer_id = 999, .base_offset = offset - 1, .last_offset = offset - 1};
    producers_apply(&producers, &event, (struct producers_now){0}, &aborted);
    struct bytes file = producer_snapshot_encode(&producers);
    write_file(disk, path, file);
    memory_free((void *)(uintptr_t)file.data);
    producers_done(&producers);
}

static const char *compare(const struct seen *seen, const struct producer *producer)
{
    if (!producer)
        return "is not known";
    if (producer->epoch != seen->epoch)
        return "has another epoch";
    if (producer->coordinator_epoch != seen->coordinator_epoch)
        return "has another coordinator epoch";
    if (producer_txn_first_offset(producer) != seen->txn_first)
        return "has another open transaction";
    if (producer->count != seen->count)
        return "has more or fewer batches";
    for (int i = 0; i < seen->count; i++) {
        const struct producer_batch *batch = producer_batch(producer, i);
        const struct sent *sent = seen->batches[i];
        if (batch->last_offset != sent->end_offset - 1 ||
            batch->offset_delta != sent->end_offset - 1 - sent->base_offset ||
            batch->last_sequence != last_sequence(sent) ||
            batch->timestamp_ms != (int64_t)load_be64(sent->bytes + BATCH_MAX_TIMESTAMP_AT))
            return "has another batch";
    }
    return NULL;
}

/* 0 abort, 1 commit. */
static int marker_type(const struct sent *sent)
{
    struct batch batch;
    struct batch_iterator iterator;
    struct record record;
    check(batch_view(sent->bytes, sent->size, &batch) == ERROR_NONE);
    check(batch_iterate(&batch, NULL, &iterator) == ERROR_NONE && batch_next(&iterator, &record));
    return record.key.data[3];
}

/* Every abort of a transaction with data whose marker can be read, in the order of their markers.
 */
static const char *compare_aborted(const struct generation *of, int32_t count,
                                   const struct log *log)
{
    const struct producer_state *state = &log->producers;
    int32_t next = 0; /* what lies below the log start may have gone */
    while (next < state->aborted_count && state->aborted[next].last_offset < log->log_start)
        next++;
    int64_t first[IDS] = {-1, -1, -1, -1};
    for (int32_t i = 0; i < count; i++) {
        const struct sent *sent = &of->batches[i];
        if (id_of(sent) < 0)
            continue;
        int64_t *began = &first[id_of(sent) - FIRST_ID];
        if (!(attributes_of(sent) & BATCH_CONTROL)) {
            if (attributes_of(sent) & BATCH_TRANSACTIONAL && *began < 0)
                *began = sent->base_offset;
            continue;
        }
        int64_t first_offset = *began;
        *began = -1;
        if (marker_type(sent) != 0 || sent->base_offset < log->log_start)
            continue;
        const struct aborted_txn_entry *entry = &state->aborted[next++];
        if (next > state->aborted_count)
            return "an aborted transaction is missing";
        if (entry->producer_id != id_of(sent) || entry->first_offset != first_offset ||
            entry->last_offset != sent->base_offset)
            return "an aborted transaction is another";
    }
    return next == state->aborted_count ? NULL : "a transaction was not aborted";
}

bool model_matches(const struct oracle *oracle, int32_t slot, int32_t generation,
                   const struct log *log, char *why, size_t why_size)
{
    const struct generation *of = &oracle->generations[slot][generation];
    int32_t count = 0;
    while (count < of->count && of->batches[count].end_offset <= log->appended_end)
        count++;
    uint32_t known = 0;
    for (int i = 0; i < IDS; i++) {
        struct seen seen;
        if (!look_back(of, count, FIRST_ID + i, &seen))
            continue;
        known++;
        const char *fault = compare(&seen, producers_find(&log->producers.table, seen.id));
        if (fault) {
            snprintf(why, why_size, "slot %d: producer %d %s", slot, FIRST_ID + i, fault);
            return false;
        }
    }
    const char *fault = known == log->producers.table.by_id.count
                            ? compare_aborted(of, count, log)
                            : "there are producers that never were";
    snprintf(why, why_size, "slot %d: %s", slot, fault ? fault : "");
    return !fault;
}
