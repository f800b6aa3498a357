/* The model of a compacted log: what was sent, and what must be there of it. */
#include "base/check.h"
#include "base/memory.h"
#include "crash/keyed.h"
#include "protocol/batch.h"
#include <stdio.h>

enum { EPOCH = 7 };

static void make_value(uint32_t serial, uint8_t *to, uint32_t size)
{
    struct random random;
    random_seed(&random, serial);
    bool flat = random_once_in(&random, 2); /* compresses well */
    for (uint32_t at = 0; at < size; at++)
        to[at] = flat ? (uint8_t)serial : (uint8_t)random_next(&random);
}

static uint32_t make_key(int32_t key, uint8_t *to)
{
    return (uint32_t)snprintf((char *)to, 24, "key-%d%s", key, key % 3 ? "" : "-longer");
}

/* That the producer must give next: the log must know its last one, over compactions and crashes.
 */
static int32_t next_sequence(const struct keyed *keyed, int32_t producer)
{
    for (int64_t at = keyed->count - 1; at >= 0; at--)
        if (keyed->records[at].producer == producer)
            return keyed->records[at].sequence + 1;
    return 0;
}

uint32_t keyed_make(struct keyed *keyed, uint8_t *to, struct keyed_record *ret_records,
                    int32_t *ret_count)
{
    struct random *random = &keyed->random;
    const struct keyed_settings *settings = &keyed->settings;
    struct batch_builder builder;
    batch_builder_init(&builder, to, KEYED_BATCH_BYTES);
    int32_t count = 1 + (int32_t)random_below(random, (uint64_t)settings->records_most);
    int32_t producer =
        random_once_in(random, 2) ? (int32_t)random_below(random, KEYED_PRODUCERS) : -1;
    static uint8_t value[KEYED_BATCH_BYTES];
    for (int32_t i = 0; i < count; i++) {
        uint8_t key[24];
        struct keyed_record *record = &ret_records[i];
        *record = (struct keyed_record){
            .key = (int32_t)random_below(random, (uint64_t)settings->keys),
            .producer = producer,
            .serial = keyed->next_serial++,
            .value_size = (uint32_t)random_below(random, settings->value_most + 1),
            .tombstone = random_once_in(random, settings->tombstone_once_in),
            .timestamp = 1700000000000 + (int64_t)random_below(random, 100000)};
        make_value(record->serial, value, record->value_size);
        struct record built = {.timestamp = record->timestamp,
                               .key = {key, (int32_t)make_key(record->key, key)},
                               .value = {value, (int32_t)record->value_size}};
        if (record->tombstone)
            built.value = BYTES_NULL;
        check(batch_builder_add(&builder, &built) == ERROR_NONE);
    }
    struct batch_fields fields = BATCH_FIELDS_PLAIN;
    if (producer >= 0) {
        fields.producer_id = 1000 + producer;
        fields.producer_epoch = 1;
        fields.base_sequence = next_sequence(keyed, producer);
        for (int32_t i = 0; i < count; i++)
            ret_records[i].sequence = fields.base_sequence + i;
    }
    batch_builder_end(&builder, &fields);
    *ret_count = count;
    enum codec codec = random_once_in(random, 2) ? CODEC_NONE : (enum codec)random_below(random, 5);
    if (codec == CODEC_NONE)
        return (uint32_t)builder.size_bytes;
    struct arena arena;
    struct batch batch;
    struct bytes coded;
    arena_init(&arena, 4 << 20);
    check(batch_view(to, builder.size_bytes, &batch) == ERROR_NONE);
    check(batch_recode(&batch, codec, codec_usual_level(codec), &arena, &coded) == ERROR_NONE &&
          coded.size <= KEYED_BATCH_BYTES);
    memcpy(to, coded.data, (size_t)coded.size);
    arena_done(&arena);
    return (uint32_t)coded.size;
}

void keyed_seen_init(struct keyed_seen *seen, struct keyed *keyed, int64_t from)
{
    *seen = (struct keyed_seen){.keyed = keyed, .next = from};
    for (int i = 0; i < KEYED_KEYS_MAX; i++)
        seen->newest[i] = -1;
    for (int i = 0; i < KEYED_PRODUCERS; i++)
        seen->last_batch[i] = -1;
}

static void see_record(struct keyed_seen *seen, const struct record *record)
{
    struct keyed *keyed = seen->keyed;
    const struct keyed_record *sent = &keyed->records[record->offset];
    uint8_t key[24];
    static uint8_t value[KEYED_BATCH_BYTES];
    make_value(sent->serial, value, sent->value_size);
    struct bytes want_key = {key, (int32_t)make_key(sent->key, key)};
    struct bytes want_value = {value, (int32_t)sent->value_size};
    if (sent->tombstone)
        want_value = BYTES_NULL;
    if (!bytes_equal(record->key, want_key) || !bytes_equal(record->value, want_value) ||
        record->timestamp != sent->timestamp)
        keyed_fail(keyed, "offset %lld: not the record that was sent", (long long)record->offset);
    if (record->offset < seen->clean_end && seen->newest[sent->key] >= 0)
        keyed_fail(keyed, "key %d is at %lld and %lld, below the clean end %lld", sent->key,
                   (long long)seen->newest[sent->key], (long long)record->offset,
                   (long long)seen->clean_end);
    seen->newest[sent->key] = record->offset;
}

/* From the committed end on every record must follow the one before. */
static void see_gap(struct keyed_seen *seen, int64_t offset)
{
    int64_t first = max_i64(seen->next, seen->gap_end);
    if (seen->strict && offset > first)
        keyed_fail(seen->keyed, "offsets %lld to %lld are missing, committed was %lld",
                   (long long)first, (long long)offset - 1, (long long)seen->gap_end);
}

static void see_batch(struct keyed_seen *seen, const struct batch *batch)
{
    struct keyed *keyed = seen->keyed;
    int64_t last = batch_last_offset(batch);
    if (batch->base_offset < 0 || last >= keyed->count || batch_check_crc(batch) != ERROR_NONE) {
        keyed_fail(keyed, "a batch of %lld to %lld that was never sent, or whose CRC is wrong",
                   (long long)batch->base_offset, (long long)last);
        return;
    }
    const struct keyed_record *sent = &keyed->records[last];
    int64_t producer_id = sent->producer >= 0 ? 1000 + sent->producer : -1;
    const struct keyed_record *first = &keyed->records[sent->batch_base];
    if (sent->batch_base != batch->base_offset || sent->batch_last != last ||
        batch->producer_id != producer_id || batch->leader_epoch != EPOCH ||
        (producer_id >= 0 &&
         (batch->base_sequence != first->sequence || batch->producer_epoch != 1)))
        keyed_fail(keyed, "the batch at %lld has another header than was sent",
                   (long long)batch->base_offset);
    if (last < seen->next)
        return; /* before what was asked for */
    struct arena arena;
    arena_init(&arena, 8 << 20);
    struct batch_iterator iterator;
    struct record record;
    if (batch_iterate(batch, &arena, &iterator) != ERROR_NONE)
        keyed_fail(keyed, "the batch at %lld can't be read", (long long)batch->base_offset);
    else
        while (!keyed->failure[0] && batch_next(&iterator, &record)) {
            if (record.offset < seen->next)
                continue;
            see_gap(seen, record.offset);
            see_record(seen, &record);
            seen->next = record.offset + 1;
        }
    arena_done(&arena);
    see_gap(seen, last + 1);
    seen->next = max_i64(seen->next, last + 1);
    if (sent->producer >= 0)
        seen->last_batch[sent->producer] = last;
}

void keyed_see(struct keyed_seen *seen, struct bytes batches)
{
    while (batches.size > 0 && !seen->keyed->failure[0]) {
        struct batch batch;
        if (batch_view(batches.data, (size_t)batches.size, &batch) != ERROR_NONE) {
            keyed_fail(seen->keyed, "no whole batch where one must be, from offset %lld",
                       (long long)seen->next);
            return;
        }
        see_batch(seen, &batch);
        batches.data += batch.whole.size;
        batches.size -= batch.whole.size;
    }
}

static bool may_be_gone(const struct keyed *keyed, const struct keyed_record *tombstone)
{
    return tombstone->appended_ms + keyed->settings.log.delete_retention_ms <= keyed->latest_ms;
}

void keyed_seen_end(struct keyed_seen *seen, int64_t end, int64_t committed)
{
    struct keyed *keyed = seen->keyed;
    int64_t newest[KEYED_KEYS_MAX], last_batch[KEYED_PRODUCERS];
    memset(newest, 0xff, sizeof newest);
    memset(last_batch, 0xff, sizeof last_batch);
    see_gap(seen, end);
    for (int64_t i = 0; i < committed; i++) {
        const struct keyed_record *record = &keyed->records[i];
        newest[record->key] = i;
        if (record->producer >= 0 && record->batch_last < committed)
            last_batch[record->producer] = record->batch_last;
    }
    for (int key = 0; key < keyed->settings.keys; key++) {
        if (newest[key] < 0 || seen->newest[key] >= newest[key])
            continue;
        const struct keyed_record *record = &keyed->records[newest[key]];
        bool gone = record->tombstone && seen->newest[key] < 0 && may_be_gone(keyed, record);
        if (!gone)
            keyed_fail(keyed, "key %d: the newest below %lld is %lld%s, the newest there is %lld",
                       key, (long long)committed, (long long)newest[key],
                       record->tombstone ? " (a tombstone)" : "", (long long)seen->newest[key]);
    }
    for (int i = 0; i < KEYED_PRODUCERS; i++)
        if (seen->last_batch[i] < last_batch[i])
            keyed_fail(keyed, "producer %d: its last batch ends at %lld, the last there is at %lld",
                       i, (long long)last_batch[i], (long long)seen->last_batch[i]);
}

void keyed_seen_meanwhile(struct keyed_seen *seen, int64_t end)
{
    struct keyed *keyed = seen->keyed;
    int64_t newest[KEYED_KEYS_MAX], later[KEYED_KEYS_MAX];
    memset(newest, 0xff, sizeof newest);
    memset(later, 0xff, sizeof later);
    for (int64_t i = 0; i < keyed->committed; i++)
        (i < end ? newest : later)[keyed->records[i].key] = i;
    for (int key = 0; key < keyed->settings.keys; key++) {
        if (newest[key] < 0 || seen->newest[key] >= newest[key] || later[key] >= 0)
            continue;
        const struct keyed_record *record = &keyed->records[newest[key]];
        if (!record->tombstone || !may_be_gone(keyed, record))
            keyed_fail(keyed, "key %d: a reader was not shown %lld, the newest below %lld", key,
                       (long long)newest[key], (long long)end);
    }
}
