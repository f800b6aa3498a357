#include "crash/oracle.h"
#include "crash/image_digest.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/random.h"
#include "protocol/batch.h"
#include <stdio.h>

void oracle_init(struct oracle *oracle, uint64_t seed, int32_t slots, uint32_t batch_most)
{
    check(slots <= SLOTS_MAX && batch_most <= BATCH_BYTES_MAX / 2);
    *oracle = (struct oracle){.seed = seed,
                              .slot_count = slots,
                              .batch_most = batch_most,
                              .leader_epoch = FIRST_LEADER_EPOCH};
    for (int i = 0; i < slots; i++)
        oracle->generations[i] = memory_zeroed(sizeof(struct generation));
    oracle->made = memory_zeroed(BATCH_BYTES_MAX);
}

void oracle_done(struct oracle *oracle)
{
    for (int i = 0; i < oracle->slot_count; i++) {
        for (int j = 0; j <= oracle->now[i].generation; j++) {
            struct generation *of = &oracle->generations[i][j];
            while (of->count > 0)
                memory_free(of->batches[--of->count].bytes);
            memory_free(of->batches);
        }
        memory_free(oracle->generations[i]);
    }
    memory_free(oracle->events);
    memory_free(oracle->made);
}

void oracle_begin(struct oracle *oracle)
{
    memcpy(oracle->begin, oracle->now, sizeof oracle->begin);
    oracle->event_count = 0;
}

static int64_t add_event(struct oracle *oracle, int32_t slot)
{
    if (oracle->event_count == oracle->event_capacity) {
        oracle->event_capacity = oracle->event_capacity ? 2 * oracle->event_capacity : 256;
        oracle->events = memory_resized(oracle->events,
                                        (size_t)oracle->event_capacity * sizeof oracle->events[0]);
    }
    oracle->events[oracle->event_count++] = (struct oracle_event){slot, oracle->now[slot]};
    return oracle->event_count;
}

int64_t oracle_acknowledge(struct oracle *oracle, int32_t slot, int64_t end)
{
    oracle->now[slot].acknowledged_end = end;
    return add_event(oracle, slot);
}

static struct generation *next_generation(struct oracle *oracle, int32_t slot)
{
    int32_t number = ++oracle->now[slot].generation;
    oracle->generations[slot] =
        memory_resized(oracle->generations[slot], (size_t)(number + 1) * sizeof(struct generation));
    oracle->generations[slot][number] = (struct generation){0};
    return &oracle->generations[slot][number];
}

/* Adds a batch, with a copy of its bytes. */
static struct sent *add_sent(struct generation *of, struct sent sent, const uint8_t *data)
{
    if (of->count == of->capacity) {
        of->capacity = of->capacity ? 2 * of->capacity : 64;
        of->batches = memory_resized(of->batches, (size_t)of->capacity * sizeof of->batches[0]);
    }
    sent.bytes = memory_aligned(16, sent.size);
    memcpy(sent.bytes, data, sent.size);
    of->batches[of->count] = sent;
    return &of->batches[of->count++];
}

int64_t oracle_ask_start(struct oracle *oracle, int32_t slot, int64_t offset)
{
    struct promise *now = &oracle->now[slot];
    now->start_asked = max_i64(now->start_asked, offset);
    return add_event(oracle, slot);
}

int64_t oracle_acknowledge_start(struct oracle *oracle, int32_t slot, int64_t offset)
{
    struct promise *now = &oracle->now[slot];
    now->start_asked = max_i64(now->start_asked, offset);
    now->start = max_i64(now->start, offset);
    return add_event(oracle, slot);
}

int64_t oracle_adopt_start(struct oracle *oracle, int32_t slot, int64_t offset)
{
    oracle->now[slot].start = oracle->now[slot].start_asked = offset;
    return add_event(oracle, slot);
}

int64_t oracle_recreate(struct oracle *oracle, int32_t slot)
{
    struct generation *before = &oracle->generations[slot][oracle->now[slot].generation];
    int32_t topic = before->topic + 1;
    next_generation(oracle, slot)->topic = topic;
    struct promise *now = &oracle->now[slot];
    now->acknowledged_end = now->start = now->start_asked = 0;
    return add_event(oracle, slot);
}

int64_t oracle_truncate(struct oracle *oracle, int32_t slot, int64_t offset, int64_t *ret_end)
{
    struct promise *now = &oracle->now[slot];
    const struct generation *of = &oracle->generations[slot][now->generation];
    int32_t kept = of->count;
    while (kept > 0 && of->batches[kept - 1].end_offset > offset)
        kept--;
    *ret_end = kept ? of->batches[kept - 1].end_offset : 0;
    now->acknowledged_end = min_i64(now->acknowledged_end, *ret_end);
    return add_event(oracle, slot);
}

int64_t oracle_truncated(struct oracle *oracle, int32_t slot, int64_t end)
{
    int32_t before = oracle->now[slot].generation;
    const struct generation *whole = &oracle->generations[slot][before];
    if (whole->count == 0 || whole->batches[whole->count - 1].end_offset <= end)
        return add_event(oracle, slot); /* there was nothing to cut */
    struct generation *next = next_generation(oracle, slot);
    const struct generation *of = &oracle->generations[slot][before];
    next->topic = of->topic;
    for (int32_t i = 0; i < of->count && of->batches[i].end_offset <= end; i++)
        add_sent(next, of->batches[i], of->batches[i].bytes);
    oracle->now[slot].acknowledged_end = end;
    return add_event(oracle, slot);
}

void oracle_at(const struct oracle *oracle, int64_t events, struct promise promises[SLOTS_MAX])
{
    memcpy(promises, oracle->begin, sizeof oracle->begin);
    for (int64_t i = 0; i < events; i++)
        promises[oracle->events[i].slot] = oracle->events[i].promise;
}

/* Makes the batch of `sequence` in oracle->made; its size. */
static uint32_t make(struct oracle *oracle, uint32_t sequence)
{
    struct random random;
    random_seed(&random, oracle->seed << 32 | sequence);
    struct batch_builder builder;
    batch_builder_init(&builder, oracle->made, BATCH_BYTES_MAX);
    uint32_t left = 1 + (uint32_t)random_below(&random, oracle->batch_most);
    if (random_once_in(&random, 3))
        left = 1 + left / 50;
    int records = 1 + (int)random_below(&random, 3);
    bool late = random_once_in(&random, 4);
    for (int i = 0; i < records; i++) {
        uint8_t value[BATCH_BYTES_MAX / 2];
        uint32_t size = i + 1 < records ? (uint32_t)random_below(&random, left + 1) : left;
        for (uint32_t at = 0; at < size; at += 8) {
            uint64_t word = random_next(&random);
            memcpy(value + at, &word, size - at < 8 ? size - at : 8);
        }
        left -= size;
        int64_t back = late ? (int64_t)random_below(&random, 50) : i;
        struct record record = {.timestamp = FIRST_TIMESTAMP_MS + sequence - back,
                                .key = {(const uint8_t *)&sequence, sizeof sequence},
                                .value = {value, (int32_t)size}};
        check(batch_builder_add(&builder, &record) == ERROR_NONE);
    }
    batch_builder_end(&builder, &BATCH_FIELDS_PLAIN);
    return (uint32_t)builder.size_bytes;
}

uint64_t oracle_digest(const struct promise promises[SLOTS_MAX], int32_t slots)
{
    uint64_t digest = 0;
    for (int32_t i = 0; i < slots; i++) {
        const struct promise *promise = &promises[i];
        digest = image_digest_mix(digest, (uint64_t)promise->generation);
        digest = image_digest_mix(digest, (uint64_t)promise->acknowledged_end);
        digest = image_digest_mix(digest, (uint64_t)promise->start);
        digest = image_digest_mix(digest, (uint64_t)promise->start_asked);
    }
    return digest;
}

struct bytes oracle_make(struct oracle *oracle, uint32_t *ret_sequence)
{
    *ret_sequence = oracle->next_sequence++;
    if (oracle->next_sequence % 23 == 0)
        oracle->leader_epoch++;
    return (struct bytes){oracle->made, (int32_t)make(oracle, *ret_sequence)};
}

void oracle_sent(struct oracle *oracle, int32_t slot, struct sent sent, const uint8_t *data)
{
    struct generation *of = &oracle->generations[slot][oracle->now[slot].generation];
    check(sent.base_offset == (of->count ? of->batches[of->count - 1].end_offset : 0));
    batch_assign(add_sent(of, sent, data)->bytes, sent.base_offset, oracle->leader_epoch);
}

void oracle_adopt(struct oracle *oracle, int32_t slot, int64_t end)
{
    struct generation *of = &oracle->generations[slot][oracle->now[slot].generation];
    while (of->count > 0 && of->batches[of->count - 1].end_offset > end)
        memory_free(of->batches[--of->count].bytes);
    check(end == (of->count ? of->batches[of->count - 1].end_offset : 0));
}

const struct sent *oracle_batch_at(const struct oracle *oracle, int32_t slot, int32_t generation,
                                   int64_t offset)
{
    const struct generation *of = &oracle->generations[slot][generation];
    int32_t low = 0, high = of->count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (of->batches[middle].base_offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < of->count && of->batches[low].base_offset == offset ? &of->batches[low] : NULL;
}

const struct sent *oracle_batch_of(const struct oracle *oracle, int32_t slot, int32_t generation,
                                   int64_t offset)
{
    const struct generation *of = &oracle->generations[slot][generation];
    int32_t low = 0, high = of->count;
    while (low < high) { /* the first that ends beyond it */
        int32_t middle = low + (high - low) / 2;
        if (of->batches[middle].end_offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < of->count && of->batches[low].base_offset <= offset ? &of->batches[low] : NULL;
}

bool oracle_matches(const struct sent *sent, const uint8_t *data)
{
    return memcmp(sent->bytes, data, sent->size) == 0;
}

struct uuid oracle_topic_id(const struct oracle *oracle, int32_t slot, int32_t generation)
{
    return slot_topic_id(slot, oracle->generations[slot][generation].topic);
}

bool oracle_is_of(const struct oracle *oracle, int32_t slot, int32_t generation, int32_t topic)
{
    return oracle->generations[slot][generation].topic == topic;
}

struct uuid slot_topic_id(int32_t slot, int32_t topic)
{
    struct uuid id = {{(uint8_t)(slot + 1)}};
    struct random random; /* ids of two generations are not alike */
    random_seed(&random, (uint64_t)slot << 32 | (uint32_t)topic);
    for (int i = 1; i < 12; i++)
        id.bytes[i] = (uint8_t)random_next(&random);
    store_be32(id.bytes + 12, (uint32_t)topic + 1);
    return id;
}

bool slot_of_topic_id(struct uuid id, int32_t *ret_slot, int32_t *ret_topic)
{
    *ret_slot = id.bytes[0] - 1;
    *ret_topic = (int32_t)load_be32(id.bytes + 12) - 1;
    return *ret_slot >= 0 && *ret_slot < SLOTS_MAX;
}

int32_t slot_partition(int32_t slot)
{
    return slot % 3;
}

void slot_folder(int32_t slot, char *folder, size_t size)
{
    snprintf(folder, size, "data/t%d-%d", slot, slot_partition(slot));
}
