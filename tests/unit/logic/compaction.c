/* Which records of a log are kept. */
#include "logic/compaction.h"
#include "base/memory.h"
#include "support/test.h"
#include <stdio.h>

enum { NOW = 1000000 };

/* A log in memory: batches one after the other. */
struct world {
    struct arena arena;
    struct batch batches[64];
    int count;
    int64_t end;
    struct offset_slot slots[256];
    struct offset_map map;
    struct compaction_transactions transactions;
    struct compaction compaction;
    struct compaction_producer last[4]; /* of producers 0 to 3; epoch -1: not alive */
};

static bool producer_of(void *context, int64_t producer_id, struct compaction_producer *ret)
{
    const struct world *world = context;
    *ret = world->last[producer_id];
    return ret->epoch >= 0;
}

static struct world *make_world(void)
{
    struct world *world = memory_zeroed(sizeof *world);
    arena_init(&world->arena, 64 << 20);
    static const uint8_t key[SIPHASH_KEY_BYTES] = {1};
    offset_map_init(&world->map, world->slots, 256, 0.9, key);
    world->compaction = (struct compaction){.map = &world->map,
                                            .transactions = &world->transactions,
                                            .now_ms = NOW,
                                            .delete_retention_ms = 1000,
                                            .producer = producer_of,
                                            .context = world};
    for (int i = 0; i < 4; i++)
        world->last[i] = (struct compaction_producer){-1, -1, false};
    compaction_transactions_init(&world->transactions, NULL, 0);
    return world;
}

static void drop_world(struct world *world)
{
    compaction_transactions_done(&world->transactions);
    arena_done(&world->arena);
    memory_free(world);
}

/* "a1 b- c2": key a with value 1, b with a tombstone; "=" is a record without a key. */
static void add(struct world *world, const char *records, int producer, uint16_t attributes)
{
    struct batch_builder builder;
    batch_builder_init(&builder, arena_take(&world->arena, 1024), 1024);
    for (const char *at = records; *at; at += at[2] ? 3 : 2) {
        struct record record = {.timestamp = NOW - 5000,
                                .key = {(const uint8_t *)at, 1},
                                .value = {(const uint8_t *)at + 1, 1}};
        if (*at == '=')
            record.key = BYTES_NULL;
        if (at[1] == '-')
            record.value = BYTES_NULL;
        EQ(batch_builder_add(&builder, &record), ERROR_NONE);
    }
    struct batch_fields fields = {.base_offset = world->end,
                                  .producer_id = producer,
                                  .producer_epoch = producer < 0 ? -1 : 0,
                                  .base_sequence = producer < 0 ? -1 : 0,
                                  .attributes = (int16_t)attributes};
    batch_builder_end(&builder, &fields);
    EQ(batch_view(builder.data, builder.size_bytes, &world->batches[world->count++]), ERROR_NONE);
    world->end += builder.count;
}

static void add_marker(struct world *world, int producer, enum marker marker)
{
    uint8_t key[4] = {0, 0, 0, (uint8_t)marker}, value[6] = {0};
    struct record record = {.timestamp = NOW - 5000, .key = {key, 4}, .value = {value, 6}};
    struct batch_builder builder;
    batch_builder_init(&builder, arena_take(&world->arena, 256), 256);
    EQ(batch_builder_add(&builder, &record), ERROR_NONE);
    struct batch_fields fields = {.base_offset = world->end,
                                  .producer_id = producer,
                                  .base_sequence = -1,
                                  .attributes = BATCH_CONTROL | BATCH_TRANSACTIONAL};
    batch_builder_end(&builder, &fields);
    EQ(batch_view(builder.data, builder.size_bytes, &world->batches[world->count++]), ERROR_NONE);
    world->end++;
}

/* What is there, as "0:a1 1:b- | 4:M"; H after a batch with a horizon, E for one without records.
 */
static const char *shown(const struct world *world)
{
    static char text[512];
    size_t size = 0;
    text[0] = 0;
    for (int i = 0; i < world->count; i++) {
        const struct batch *batch = &world->batches[i];
        struct batch_iterator iterator;
        struct record record;
        size += (size_t)snprintf(text + size, sizeof text - size, "%s", i ? " |" : "");
        EQ(batch_iterate(batch, NULL, &iterator), ERROR_NONE);
        if (batch->count == 0)
            size += (size_t)snprintf(text + size, sizeof text - size, " %lldE",
                                     (long long)batch_last_offset(batch));
        while (batch_next(&iterator, &record)) {
            size += (size_t)snprintf(text + size, sizeof text - size,
                                     " %lld:", (long long)record.offset);
            if (batch->attributes & BATCH_CONTROL)
                size += (size_t)snprintf(text + size, sizeof text - size, "M");
            else
                size += (size_t)snprintf(text + size, sizeof text - size, "%c%c",
                                         record.key.size ? record.key.data[0] : '=',
                                         record.value.size == 1 ? record.value.data[0] : '-');
        }
        if (batch->attributes & BATCH_DELETE_HORIZON)
            size += (size_t)snprintf(text + size, sizeof text - size, " H");
    }
    return text + (text[0] == ' ');
}

/* One pass: the map from `first_dirty` on, then every batch. */
static void compact(struct world *world, int64_t first_dirty,
                    const struct compaction_aborted *aborted, int32_t aborted_count)
{
    struct compaction *compaction = &world->compaction;
    memset(world->slots, 0, sizeof world->slots);
    offset_map_init(&world->map, world->slots, 256, 0.9, world->map.key);
    world->map.latest = first_dirty - 1;
    compaction_transactions_done(&world->transactions);
    compaction_transactions_init(&world->transactions, aborted, aborted_count);
    bool full = false;
    for (int i = 0; i < world->count && !full; i++)
        if (batch_last_offset(&world->batches[i]) >= first_dirty)
            EQ(compaction_map(compaction, &world->batches[i], first_dirty, &world->arena, &full),
               ERROR_NONE);
    compaction_transactions_done(&world->transactions);
    compaction_transactions_init(&world->transactions, aborted, aborted_count);
    int count = 0;
    for (int i = 0; i < world->count; i++) {
        struct batch_filtered left;
        compaction_judge(compaction, &world->batches[i], i + 1 == world->count);
        EQ(batch_filter(&world->batches[i], &compaction->filter, &world->arena, &left), ERROR_NONE);
        if (left.batch.size > 0)
            EQ(batch_view(left.batch.data, (size_t)left.batch.size, &world->batches[count++]),
               ERROR_NONE);
    }
    world->count = count;
}

TEST(compaction, keeps_the_newest_of_each_key)
{
    struct world *world = make_world();
    add(world, "a1 b1 c1", -1, 0);
    add(world, "a2 b2", -1, 0);
    add(world, "a3 d1", -1, 0);
    compact(world, 0, NULL, 0);
    EQ_TEXT(shown(world), "2:c1 | 4:b2 | 5:a3 6:d1");
    add(world, "c2 b3", -1, 0);
    compact(world, 7, NULL, 0);
    EQ_TEXT(shown(world), "5:a3 6:d1 | 7:c2 8:b3");
    drop_world(world);
}

TEST(compaction, keeps_what_the_map_did_not_reach)
{
    struct world *world = make_world();
    add(world, "a1 a2 b1", -1, 0);
    add(world, "a3 c1 b2 a4", -1, 0);
    bool full;
    memset(world->slots, 0, sizeof world->slots);
    offset_map_init(&world->map, world->slots, 3, 0.9, world->map.key);
    EQ(world->map.limit, 2);
    EQ(compaction_map(&world->compaction, &world->batches[0], 0, &world->arena, &full), ERROR_NONE);
    TRUE_(!full);
    EQ(compaction_map(&world->compaction, &world->batches[1], 0, &world->arena, &full), ERROR_NONE);
    TRUE_(full); /* at c1 */
    EQ(world->map.latest, 3);
    struct batch_filtered left;
    for (int i = 0; i < 2; i++) {
        compaction_judge(&world->compaction, &world->batches[i], false);
        EQ(batch_filter(&world->batches[i], &world->compaction.filter, &world->arena, &left),
           ERROR_NONE);
        EQ(batch_view(left.batch.data, (size_t)left.batch.size, &world->batches[i]), ERROR_NONE);
    }
    EQ_TEXT(shown(world), "2:b1 | 3:a3 4:c1 5:b2 6:a4");
    drop_world(world);
}

TEST(compaction, keeps_tombstones_until_their_horizon)
{
    struct world *world = make_world();
    add(world, "a1 b1", -1, 0);
    add(world, "a- c1", -1, 0);
    compact(world, 0, NULL, 0);
    EQ_TEXT(shown(world), "1:b1 | 2:a- 3:c1 H");
    EQ(batch_horizon_ms(&world->batches[1]), NOW + 1000);
    world->compaction.now_ms = NOW + 999;
    compact(world, 4, NULL, 0);
    EQ_TEXT(shown(world), "1:b1 | 2:a- 3:c1 H");
    world->compaction.now_ms = NOW + 1000;
    compact(world, 4, NULL, 0);
    EQ_TEXT(shown(world), "1:b1 | 3:c1 H");
    drop_world(world);
}

TEST(compaction, keeps_tombstones_while_the_clock_may_be_wrong)
{
    struct world *world = make_world();
    add(world, "a1 b1", -1, 0);
    add(world, "a- c1", -1, 0);
    world->compaction.doubts_clock = true;
    compact(world, 0, NULL, 0);
    EQ_TEXT(shown(world), "1:b1 | 2:a- 3:c1"); /* by what clock would its time be over? */
    world->compaction.doubts_clock = false;
    compact(world, 4, NULL, 0);
    EQ_TEXT(shown(world), "1:b1 | 2:a- 3:c1 H");
    world->compaction.now_ms = NOW + 5000;
    world->compaction.doubts_clock = true;
    compact(world, 4, NULL, 0);
    EQ_TEXT(shown(world), "1:b1 | 2:a- 3:c1 H");
    world->compaction.doubts_clock = false;
    compact(world, 4, NULL, 0);
    EQ_TEXT(shown(world), "1:b1 | 3:c1 H");
    drop_world(world);
}

TEST(compaction, drops_records_without_a_key)
{
    struct world *world = make_world();
    add(world, "=1 a1 =2", -1, 0);
    add(world, "=3", -1, 0);
    compact(world, 0, NULL, 0);
    EQ_TEXT(shown(world), "1:a1 | 3E"); /* what comes last stays as a header */
    drop_world(world);
}

TEST(compaction, keeps_the_last_sequence_of_a_producer_that_is_alive)
{
    struct world *world = make_world();
    add(world, "a1", 1, 0);
    add(world, "a2", 1, 0);
    add(world, "b1", 2, 0);
    add(world, "a3 b2", -1, 0);
    world->last[1] = (struct compaction_producer){1, 0, false};
    compact(world, 0, NULL, 0);
    EQ_TEXT(shown(world), "1E | 3:a3 4:b2");
    EQ(world->batches[0].producer_id, 1);
    world->last[1].epoch = -1; /* it has expired */
    compact(world, 5, NULL, 0);
    EQ_TEXT(shown(world), "3:a3 4:b2");
    drop_world(world);
}

TEST(compaction, keeps_every_last_batch_where_producers_are_not_known)
{
    struct world *world = make_world();
    world->compaction.producer = NULL;
    add(world, "a1", 1, 0);
    add(world, "a2", -1, 0);
    compact(world, 0, NULL, 0);
    EQ_TEXT(shown(world), "0E | 1:a2");
    drop_world(world);
}

TEST(compaction, drops_aborted_data_and_keeps_its_marker_while_any_is_left)
{
    struct world *world = make_world();
    const struct compaction_aborted aborted[] = {{1, 1, 3}};
    add(world, "a1", -1, 0);
    add(world, "a2", 1, BATCH_TRANSACTIONAL); /* aborted: a1 is the newest */
    add(world, "b1", 2, BATCH_TRANSACTIONAL);
    add_marker(world, 1, MARKER_ABORT);
    add_marker(world, 2, MARKER_COMMIT);
    add(world, "c1", -1, 0);
    world->last[1] = (struct compaction_producer){1, 0, false};
    compact(world, 0, aborted, 1);
    EQ_TEXT(shown(world), "0:a1 | 1E | 2:b1 | 3:M | 4:M | 5:c1");
    world->last[1].epoch = -1;
    compact(world, 6, aborted, 1); /* the header goes now, the marker stays: it was seen */
    EQ_TEXT(shown(world), "0:a1 | 2:b1 | 3:M | 4:M | 5:c1");
    compact(world, 6, NULL, 0); /* from here on the horizon runs */
    EQ_TEXT(shown(world), "0:a1 | 2:b1 | 3:M H | 4:M | 5:c1");
    world->compaction.now_ms += 999;
    compact(world, 6, NULL, 0);
    EQ_TEXT(shown(world), "0:a1 | 2:b1 | 3:M H | 4:M | 5:c1");
    world->compaction.now_ms += 1;
    compact(world, 6, NULL, 0);
    EQ_TEXT(shown(world), "0:a1 | 2:b1 | 4:M | 5:c1");
    drop_world(world);
}

TEST(compaction, an_aborted_transaction_ends_even_without_its_marker)
{
    struct world *world = make_world();
    const struct compaction_aborted aborted[] = {
        {1, 0, 0}}; /* its marker went, in an earlier pass */
    add(world, "x1", -1, 0);
    add(world, "a1", 1, BATCH_TRANSACTIONAL);
    add_marker(world, 1, MARKER_COMMIT);
    add(world, "c1", -1, 0);
    compact(world, 0, aborted, 1);
    EQ_TEXT(shown(world), "0:x1 | 1:a1 | 2:M | 3:c1");
    drop_world(world);
}

TEST(compaction, keeps_headers_of_a_producer_whose_last_batch_may_be_lost)
{
    struct world *world = make_world();
    add(world, "a1", 1, 0);
    add(world, "a2", 1, 0);
    add(world, "a3", -1, 0);
    world->last[1] = (struct compaction_producer){-1, 0, true};
    compact(world, 0, NULL, 0);
    EQ_TEXT(shown(world), "0E | 1E | 2:a3");
    world->last[1] = (struct compaction_producer){1, 0, false};
    compact(world, 0, NULL, 0);
    EQ_TEXT(shown(world), "1E | 2:a3");
    drop_world(world);
}

TEST(compaction, tells_which_aborted_transactions_are_left)
{
    struct world *world = make_world();
    const struct compaction_aborted aborted[] = {{1, 0, 2}, {2, 1, 3}, {3, 9, 11}};
    add(world, "a1", 1, BATCH_TRANSACTIONAL);
    add(world, "b1", 2, BATCH_TRANSACTIONAL);
    add_marker(world, 1, MARKER_ABORT);
    add_marker(world, 2, MARKER_ABORT);
    compaction_transactions_done(&world->transactions);
    compaction_transactions_init(&world->transactions, aborted, 3);
    bool kept[4];
    for (int i = 0; i < 4; i++) {
        compaction_judge(&world->compaction, &world->batches[i], false);
        kept[i] = world->compaction.keeps_aborted;
        EQ(world->compaction.discards, i < 2);
    }
    TRUE_(!kept[0] && !kept[1] && kept[2] && kept[3]);
    EQ(world->compaction.kept_aborted.producer_id, 2);
    EQ(world->compaction.kept_aborted.first_offset, 1);
    EQ(world->compaction.kept_aborted.last_offset, 3);
    drop_world(world);
}

TEST(compaction, does_not_take_aborted_records_or_markers_into_the_map)
{
    struct world *world = make_world();
    const struct compaction_aborted aborted[] = {{1, 0, 1}};
    add(world, "a1", 1, BATCH_TRANSACTIONAL);
    add_marker(world, 1, MARKER_ABORT);
    compaction_transactions_done(&world->transactions);
    compaction_transactions_init(&world->transactions, aborted, 1);
    bool full;
    for (int i = 0; i < 2; i++)
        EQ(compaction_map(&world->compaction, &world->batches[i], 0, &world->arena, &full),
           ERROR_NONE);
    EQ(world->map.count, 0);
    EQ(world->map.latest, 1);
    drop_world(world);
}
