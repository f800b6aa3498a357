#include "protocol/batch_filter.h"
#include "base/memory.h"
#include "base/random.h"
#include "support/test.h"
#include <stdio.h>

enum { NOW = 1700000000, HORIZON = NOW + 86400000 };

static struct bytes text(const char *string)
{
    return (struct bytes){(const uint8_t *)string, (int32_t)strlen(string)};
}

/* Keeps the records whose offsets' bits are set in the context, from the batch's first one on. */
static bool keep_bits(void *context, const struct batch *batch, const struct record *record)
{
    const uint64_t *bits = context;
    return *bits >> (record->offset - batch->base_offset) & 1;
}

static struct batch_filter filter_of(uint64_t *bits)
{
    return (struct batch_filter){.keep = keep_bits, .context = bits, .horizon_ms = -1};
}

/* `count` records at offset 100; the third is a tombstone. Good while the arena is. */
static struct batch make(struct arena *arena, int count, enum codec codec, int16_t attributes)
{
    struct batch_builder builder;
    size_t capacity = 100 + 100 * (size_t)count;
    batch_builder_init(&builder, arena_take(arena, capacity), capacity);
    char keys[64][8], values[64][24];
    for (int i = 0; i < count; i++) {
        snprintf(keys[i], sizeof keys[i], "k%d", i);
        snprintf(values[i], sizeof values[i], "value of %d", i);
        uint8_t header[32];
        struct writer writer;
        writer_init(&writer, header, sizeof header);
        record_write_header(&writer, &(struct record_header){text("h"), text(keys[i])});
        struct record record = {.timestamp = NOW + (i * 7) % 5,
                                .key = text(keys[i]),
                                .value = i == 2 ? BYTES_NULL : text(values[i]),
                                .headers = {header, (int32_t)writer.size},
                                .headers_count = i % 2};
        EQ(batch_builder_add(&builder, &record), ERROR_NONE);
    }
    struct batch_fields fields = {.base_offset = 100,
                                  .leader_epoch = 3,
                                  .attributes = attributes,
                                  .producer_id = 77,
                                  .producer_epoch = 2,
                                  .base_sequence = 40};
    batch_builder_end(&builder, &fields);
    struct batch batch;
    EQ(batch_view(builder.data, builder.size_bytes, &batch), ERROR_NONE);
    if (codec) {
        struct bytes coded;
        EQ(batch_recode(&batch, codec, codec_usual_level(codec), arena, &coded), ERROR_NONE);
        EQ(batch_view(coded.data, (size_t)coded.size, &batch), ERROR_NONE);
    }
    return batch;
}

static bool same_record(const struct record *a, const struct record *b)
{
    return a->offset == b->offset && a->timestamp == b->timestamp && bytes_equal(a->key, b->key) &&
           bytes_equal(a->value, b->value) && a->headers_count == b->headers_count &&
           bytes_equal(a->headers, b->headers);
}

/* The batch has exactly the records of `original` whose bits are set, and the same header. */
static bool is_left(const struct batch *original, struct bytes left, uint64_t bits)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct batch batch;
    bool same = batch_view(left.data, (size_t)left.size, &batch) == ERROR_NONE &&
                batch.whole.size == left.size && batch_check_crc(&batch) == ERROR_NONE &&
                batch.base_offset == original->base_offset &&
                batch.last_offset_delta == original->last_offset_delta &&
                batch.leader_epoch == original->leader_epoch &&
                batch.producer_id == original->producer_id &&
                batch.producer_epoch == original->producer_epoch &&
                batch.base_sequence == original->base_sequence;
    struct batch_iterator all, some;
    struct record record, kept;
    same = same && batch_iterate(original, &arena, &all) == ERROR_NONE &&
           batch_iterate(&batch, &arena, &some) == ERROR_NONE;
    int32_t count = 0;
    int64_t max_timestamp = INT64_MIN;
    while (same && batch_next(&all, &record)) {
        if (!(bits >> (record.offset - original->base_offset) & 1))
            continue;
        same = batch_next(&some, &kept) && same_record(&record, &kept);
        max_timestamp = max_i64(max_timestamp, record.timestamp);
        count++;
    }
    same = same && !batch_next(&some, &kept) && some.reader.error == ERROR_NONE &&
           batch.count == count;
    if (same && count > 0 && !(original->attributes & BATCH_APPEND_TIME))
        same = batch.max_timestamp == max_timestamp;
    arena_done(&arena);
    return same;
}

TEST(batch_filter, leaves_a_batch_alone_of_which_all_stays)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct batch batch = make(&arena, 5, CODEC_NONE, 0);
    uint64_t bits = 31;
    struct batch_filter filter = filter_of(&bits);
    struct batch_filtered left;
    EQ(batch_filter(&batch, &filter, &arena, &left), ERROR_NONE);
    TRUE_(!left.changed && left.batch.data == batch.whole.data);
    EQ(left.kept_count, 5);
    arena_done(&arena);
}

/* Every subset of five records, every codec, with and without a horizon. */
TEST(batch_filter, keeps_what_is_kept_as_it_was)
{
    for (int codec = CODEC_NONE; codec < CODECS_END; codec++) {
        for (uint64_t bits = 1; bits < 32; bits++) {
            for (int horizon = 0; horizon < 2; horizon++) {
                struct arena arena;
                arena_init(&arena, 1 << 20);
                struct batch batch = make(&arena, 5, (enum codec)codec, 0), now;
                struct batch_filter filter = filter_of(&bits);
                filter.horizon_ms = horizon ? HORIZON : -1;
                struct batch_filtered left;
                EQ(batch_filter(&batch, &filter, &arena, &left), ERROR_NONE);
                TRUE_(is_left(&batch, left.batch, bits));
                EQ(left.kept_count, __builtin_popcountll(bits));
                EQ(batch_view(left.batch.data, (size_t)left.batch.size, &now), ERROR_NONE);
                EQ(now.attributes & BATCH_CODEC_MASK, codec);
                EQ(batch_horizon_ms(&now), horizon && bits & 4 ? HORIZON : -1);
                EQ(left.changed, bits != 31 || horizon);
                arena_done(&arena);
            }
        }
    }
}

TEST(batch_filter, keeps_a_horizon_that_is_there)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct batch batch = make(&arena, 5, CODEC_NONE, 0), first, second;
    uint64_t bits = 31;
    struct batch_filter filter = filter_of(&bits);
    filter.horizon_ms = NOW; /* just what the base timestamp is: the bit tells them apart */
    struct batch_filtered left;
    EQ(batch_filter(&batch, &filter, &arena, &left), ERROR_NONE);
    EQ(batch_view(left.batch.data, (size_t)left.batch.size, &first), ERROR_NONE);
    EQ(batch_horizon_ms(&first), NOW);
    filter.horizon_ms = HORIZON;
    EQ(batch_filter(&first, &filter, &arena, &left), ERROR_NONE);
    TRUE_(!left.changed);
    bits = 9; /* the tombstone goes; the rest keeps the bit, whose base timestamp it needs */
    EQ(batch_filter(&first, &filter, &arena, &left), ERROR_NONE);
    TRUE_(is_left(&batch, left.batch, bits));
    EQ(batch_view(left.batch.data, (size_t)left.batch.size, &second), ERROR_NONE);
    EQ(batch_horizon_ms(&second), NOW);
    arena_done(&arena);
}

TEST(batch_filter, leaves_a_header_or_nothing)
{
    for (int codec = CODEC_NONE; codec < CODECS_END; codec++) {
        struct arena arena;
        arena_init(&arena, 1 << 20);
        struct batch batch = make(&arena, 5, (enum codec)codec, BATCH_TRANSACTIONAL), header;
        uint64_t bits = 0;
        struct batch_filter filter = filter_of(&bits);
        struct batch_filtered left;
        EQ(batch_filter(&batch, &filter, &arena, &left), ERROR_NONE);
        TRUE_(left.changed && left.batch.size == 0 && left.kept_count == 0);
        filter.keep_header = true;
        filter.horizon_ms = HORIZON;
        EQ(batch_filter(&batch, &filter, &arena, &left), ERROR_NONE);
        EQ(left.batch.size, BATCH_RECORDS_AT);
        TRUE_(is_left(&batch, left.batch, 0));
        EQ(batch_view(left.batch.data, (size_t)left.batch.size, &header), ERROR_NONE);
        EQ(header.attributes, BATCH_TRANSACTIONAL);
        EQ(header.max_timestamp, batch.max_timestamp);
        EQ(header.base_timestamp, batch.max_timestamp);
        struct batch_filtered again; /* a header stays one, and unchanged */
        EQ(batch_filter(&header, &filter, &arena, &again), ERROR_NONE);
        TRUE_(!again.changed && again.batch.data == left.batch.data);
        filter.keep_header = false;
        EQ(batch_filter(&header, &filter, &arena, &again), ERROR_NONE);
        EQ(again.batch.size, 0);
        arena_done(&arena);
    }
}

TEST(batch_filter, sets_the_horizon_of_a_marker_when_asked)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct batch batch = make(&arena, 1, CODEC_NONE, BATCH_CONTROL | BATCH_TRANSACTIONAL), now;
    uint64_t bits = 1;
    struct batch_filter filter = filter_of(&bits);
    filter.horizon_ms = HORIZON;
    struct batch_filtered left;
    EQ(batch_filter(&batch, &filter, &arena, &left), ERROR_NONE);
    TRUE_(!left.changed);
    filter.set_horizon = true;
    EQ(batch_filter(&batch, &filter, &arena, &left), ERROR_NONE);
    TRUE_(is_left(&batch, left.batch, 1));
    EQ(batch_view(left.batch.data, (size_t)left.batch.size, &now), ERROR_NONE);
    EQ(batch_horizon_ms(&now), HORIZON);
    EQ(now.attributes, BATCH_CONTROL | BATCH_TRANSACTIONAL | BATCH_DELETE_HORIZON);
    arena_done(&arena);
}

TEST(batch_filter, keeps_the_time_of_append)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct batch batch = make(&arena, 5, CODEC_ZSTD, 0), stamped, now;
    uint8_t *copy = arena_copy(&arena, batch.whole.data, (size_t)batch.whole.size);
    batch_stamp(copy, (size_t)batch.whole.size, true, NOW + 1000);
    EQ(batch_view(copy, (size_t)batch.whole.size, &stamped), ERROR_NONE);
    uint64_t bits = 5;
    struct batch_filter filter = filter_of(&bits);
    filter.horizon_ms = HORIZON;
    struct batch_filtered left;
    EQ(batch_filter(&stamped, &filter, &arena, &left), ERROR_NONE);
    TRUE_(is_left(&stamped, left.batch, bits));
    EQ(batch_view(left.batch.data, (size_t)left.batch.size, &now), ERROR_NONE);
    EQ(now.max_timestamp, NOW + 1000);
    arena_done(&arena);
}

TEST(batch_filter, refuses_what_is_no_batch_and_what_is_too_much)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct batch batch = make(&arena, 5, CODEC_NONE, 0), bad;
    uint64_t bits = 1;
    struct batch_filter filter = filter_of(&bits);
    struct batch_filtered left;
    uint8_t *copy = arena_copy(&arena, batch.whole.data, (size_t)batch.whole.size);
    copy[BATCH_RECORDS_AT + 20] ^= 0x55;
    copy[BATCH_RECORDS_AT] = 0x7f; /* a record longer than what is left */
    EQ(batch_view(copy, (size_t)batch.whole.size, &bad), ERROR_NONE);
    TRUE_(batch_filter(&bad, &filter, &arena, &left) != ERROR_NONE);
    struct arena small;
    arena_init(&small, 16);
    EQ(batch_filter(&batch, &filter, &small, &left), ERROR_NO_MEMORY);
    arena_done(&small);
    arena_done(&arena);
}

/* Filtered again and again, records never come back or change. */
TEST(batch_filter, of_a_filtered_batch_is_as_good)
{
    struct random random;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        random_seed(&random, seed);
        struct arena arena;
        arena_init(&arena, 4 << 20);
        int count = 1 + (int)random_below(&random, 40);
        struct batch batch = make(&arena, count, (enum codec)random_below(&random, CODECS_END), 0),
                     now = batch;
        uint64_t left = ~0ull;
        while (left & ((1ull << count) - 1)) {
            left &= random_next(&random) | random_next(&random);
            struct batch_filter filter = filter_of(&left);
            filter.keep_header = true;
            filter.horizon_ms = random_once_in(&random, 2) ? HORIZON : -1;
            struct batch_filtered filtered;
            EQ(batch_filter(&now, &filter, &arena, &filtered), ERROR_NONE);
            TRUE_(is_left(&batch, filtered.batch, left & ((1ull << count) - 1)));
            EQ(batch_view(filtered.batch.data, (size_t)filtered.batch.size, &now), ERROR_NONE);
        }
        arena_done(&arena);
    }
}
