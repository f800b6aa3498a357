#include "logic/producers.h"
#include "base/check.h"
#include "base/memory.h"
#include "storage/producer_snapshot.h"
#include "storage/txn_index.h"
#include "support/test.h"

/* One batch that is sent, and what comes of it. Offsets are given by the table: each accepted batch
 * goes to the end. */
struct row {
    char kind; /* d data, t transactional, c commit, a abort */
    int64_t id;
    int16_t epoch;
    int32_t first, count; /* sequences; of markers: coordinator epoch, 1 */
    enum error error;
    int64_t original; /* of a duplicate: its offset */
};

struct table {
    struct producers producers;
    int64_t end, monotonic_ms;
    struct aborted_txn_entry aborted;
    int aborted_count;
};

static void init(struct table *table, uint32_t most)
{
    *table = (struct table){0};
    producers_init(&table->producers, 7, most);
}

static struct producer_event event_of(const struct table *table, struct row row)
{
    bool marker = row.kind == 'c' || row.kind == 'a';
    return (struct producer_event){
        .kind = row.kind == 'd'   ? PRODUCER_DATA
                : row.kind == 't' ? PRODUCER_TRANSACTIONAL
                : row.kind == 'c' ? PRODUCER_COMMIT
                                  : PRODUCER_ABORT,
        .producer_id = row.id,
        .epoch = row.epoch,
        .base_offset = table->end,
        .last_offset = table->end + row.count - 1,
        .timestamp_ms = 1000 + table->end,
        .first_sequence = marker ? -1 : row.first,
        .last_sequence = marker ? -1 : sequence_after(row.first, row.count - 1),
        .coordinator_epoch = marker ? row.first : -1,
    };
}

static void apply(struct table *table, struct row row)
{
    struct producer_event event = event_of(table, row);
    struct producers_now now = {table->monotonic_ms, table->monotonic_ms};
    table->aborted_count += producers_apply(&table->producers, &event, now, &table->aborted);
    table->end += row.count;
}

static void run(struct table *table, const struct row *rows, int count)
{
    for (int i = 0; i < count; i++) {
        struct producer_event event = event_of(table, rows[i]);
        struct producer_duplicate duplicate = {.base_offset = -1};
        enum error error = producers_handle(&table->producers, &event, 1, &duplicate);
        test_expect(error == rows[i].error, __FILE__, __LINE__, "row %d: %s", i, error_text(error));
        if (error == ERROR_DUPLICATE_SEQUENCE_NUMBER) {
            EQ(duplicate.base_offset, rows[i].original);
            EQ(duplicate.last_offset, rows[i].original + rows[i].count - 1);
            EQ(duplicate.timestamp_ms, 1000 + rows[i].original);
        }
        if (error == ERROR_NONE)
            apply(table, rows[i]);
    }
}

#define RUN(...)                                                                                   \
    do {                                                                                           \
        static const struct row rows[] = {__VA_ARGS__};                                            \
        struct table table;                                                                        \
        init(&table, 0);                                                                           \
        run(&table, rows, ARRAY_COUNT(rows));                                                      \
        producers_done(&table.producers);                                                          \
    } while (0)

enum {
    NONE = ERROR_NONE,
    DUPLICATE = ERROR_DUPLICATE_SEQUENCE_NUMBER,
    GAP = ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER,
    OLD = ERROR_INVALID_PRODUCER_EPOCH,
};

TEST(producers, sequences_follow_one_another)
{
    RUN({'d', 1, 0, 0, 5, NONE, 0}, {'d', 1, 0, 5, 1, NONE, 0}, {'d', 1, 0, 7, 1, GAP, 0},
        {'d', 1, 0, 5, 2, GAP, 0}, {'d', 1, 0, 4, 1, GAP, 0}, {'d', 1, 0, 6, 4, NONE, 0},
        {'d', 2, 0, 10, 1, NONE, 0}, {'d', 1, 0, 10, 1, NONE, 0});
}

TEST(producers, the_last_five_batches_are_known)
{
    RUN({'d', 1, 0, 0, 2, NONE, 0}, {'d', 1, 0, 2, 1, NONE, 0}, {'d', 1, 0, 3, 3, NONE, 0},
        {'d', 1, 0, 6, 1, NONE, 0}, {'d', 1, 0, 7, 1, NONE, 0}, {'d', 1, 0, 0, 2, DUPLICATE, 0},
        {'d', 1, 0, 7, 1, DUPLICATE, 7}, {'d', 1, 0, 3, 3, DUPLICATE, 3},
        {'d', 1, 0, 3, 2, GAP, 0},                             /* the same beginning, another end */
        {'d', 1, 0, 8, 1, NONE, 0}, {'d', 1, 0, 0, 2, GAP, 0}, /* too long ago */
        {'d', 1, 0, 2, 1, DUPLICATE, 2});
}

TEST(producers, of_one_that_is_not_known_any_sequence_is_good)
{
    RUN({'d', 1, 4, 17, 2, NONE, 0}, {'d', 1, 4, 19, 1, NONE, 0}, {'d', 1, 4, 17, 2, DUPLICATE, 0},
        {'d', 1, 4, 16, 1, GAP, 0});
}

TEST(producers, sequences_wrap)
{
    RUN({'d', 1, 0, INT32_MAX - 1, 2, NONE, 0}, {'d', 1, 0, 0, 3, NONE, 0},
        {'d', 1, 0, INT32_MAX - 1, 2, DUPLICATE, 0}, {'d', 1, 0, 0, 3, DUPLICATE, 2});
    RUN({'d', 1, 0, INT32_MAX - 1, 5, NONE, 0}, /* within a batch: ends at 2 */
        {'d', 1, 0, INT32_MAX - 1, 5, DUPLICATE, 0}, {'d', 1, 0, 3, 1, NONE, 0},
        {'d', 1, 0, 5, 1, GAP, 0});
    RUN({'d', 1, 0, INT32_MAX, 1, NONE, 0}, {'d', 1, 0, 1, 1, GAP, 0}, {'d', 1, 0, 0, 1, NONE, 0});
}

TEST(producers, a_new_epoch_begins_at_zero)
{
    RUN({'d', 1, 3, 0, 2, NONE, 0}, {'d', 1, 2, 2, 1, OLD, 0}, {'d', 1, 4, 2, 1, GAP, 0},
        {'d', 1, 4, 0, 1, NONE, 0}, {'d', 1, 3, 0, 2, OLD, 0}, {'d', 1, 4, 0, 1, DUPLICATE, 2},
        {'d', 1, 4, 1, 1, NONE, 0});
}

TEST(producers, transactions_end_with_markers)
{
    RUN({'t', 1, 0, 0, 2, NONE, 0}, {'d', 1, 0, 2, 1, ERROR_INVALID_TXN_STATE, 0},
        {'t', 1, 0, 2, 1, NONE, 0}, {'c', 1, 0, 5, 1, NONE, 0}, {'d', 1, 0, 3, 1, NONE, 0},
        {'a', 1, 0, 4, 1, ERROR_TRANSACTION_COORDINATOR_FENCED, 0}, {'t', 1, 0, 4, 1, NONE, 0},
        {'t', 1, 0, 4, 1, DUPLICATE, 5}, {'a', 1, 0, 5, 1, NONE, 0}, {'a', 1, 1, 5, 1, NONE, 0},
        {'t', 1, 0, 5, 1, OLD, 0}, {'c', 1, 0, 5, 1, OLD, 0},
        {'d', 1, 1, 5, 1, GAP, 0}, /* the marker's epoch is new to it too */
        {'d', 1, 1, 0, 1, NONE, 0});
    RUN({'a', 9, 2, 1, 1, NONE, 0}, {'t', 9, 2, 0, 1, NONE, 0}, {'t', 8, 0, -1, 1, NONE, 0},
        {'t', 8, 0, -1, 1, NONE, 0}); /* -1: of a coordinator, not checked */
}

TEST(producers, batches_of_one_append_are_judged_together)
{
    struct table table;
    init(&table, 0);
    apply(&table, (struct row){'d', 1, 0, 0, 2, NONE, 0});
    static const struct {
        struct row rows[3];
        enum error error;
    } cases[] = {
        {{{'d', 1, 0, 2, 2, 0, 0}, {'d', 2, 0, 0, 1, 0, 0}, {'d', 1, 0, 4, 1, 0, 0}}, NONE},
        {{{'d', 1, 0, 2, 2, 0, 0}, {'d', 2, 0, 0, 1, 0, 0}, {'d', 1, 0, 3, 1, 0, 0}}, GAP},
        {{{'d', 3, 0, 9, 1, 0, 0}, {'d', 3, 0, 10, 1, 0, 0}, {'d', 3, 1, 11, 1, 0, 0}}, GAP},
        {{{'d', 3, 0, 9, 1, 0, 0}, {'d', 3, 1, 0, 1, 0, 0}, {'d', 3, 0, 10, 1, 0, 0}}, OLD},
        {{{'t', 1, 0, 2, 1, 0, 0}, {'c', 1, 0, 0, 1, 0, 0}, {'d', 1, 0, 3, 1, 0, 0}}, NONE},
        {{{'t', 1, 0, 2, 1, 0, 0}, {'d', 1, 0, 3, 1, 0, 0}, {'d', 1, 0, 4, 1, 0, 0}},
         ERROR_INVALID_TXN_STATE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct producer_event events[3];
        struct producer_duplicate duplicate;
        for (int j = 0; j < 3; j++)
            events[j] = event_of(&table, cases[i].rows[j]);
        EQ(producers_handle(&table.producers, events, 3, &duplicate), cases[i].error);
    }
    EQ(table.producers.by_id.count, 1);
    producers_done(&table.producers);
}

TEST(producers, the_last_stable_offset_is_that_of_the_oldest_undecided_transaction)
{
    struct table table;
    init(&table, 0);
    struct producers *producers = &table.producers;
    apply(&table, (struct row){'d', 9, 0, 0, 10, NONE, 0});
    EQ(producers_last_stable(producers, 7), 7);
    EQ(producers_last_stable(producers, 10), 10);
    apply(&table, (struct row){'t', 1, 0, 0, 1, NONE, 0}); /* 10 */
    apply(&table, (struct row){'t', 2, 0, 0, 1, NONE, 0}); /* 11 */
    apply(&table, (struct row){'t', 1, 0, 1, 1, NONE, 0}); /* 12 */
    EQ(producers_last_stable(producers, 9), 9);
    EQ(producers_last_stable(producers, 13), 10);
    apply(&table, (struct row){'a', 1, 0, 0, 1, NONE, 0}); /* 13 */
    EQ(table.aborted_count, 1);
    EQ(table.aborted.producer_id, 1);
    EQ(table.aborted.first_offset, 10);
    EQ(table.aborted.last_offset, 13);
    EQ(table.aborted.last_stable_offset, 11);
    EQ(producers_last_stable(producers, 13), 10); /* the marker is not committed */
    EQ(producers_last_stable(producers, 14), 11);
    apply(&table, (struct row){'c', 2, 0, 0, 1, NONE, 0}); /* 14 */
    EQ(table.aborted_count, 1);
    EQ(producers_last_stable(producers, 14), 11);
    EQ(producers_last_stable(producers, 15), 15);
    apply(&table, (struct row){'a', 2, 0, 0, 1, NONE, 0}); /* 15, of nothing */
    EQ(table.aborted_count, 1);
    EQ(producers_last_stable(producers, 15), 15);
    producers_done(producers);
}

/* ---- expiry and bound ---- */

static void at(struct table *table, int64_t monotonic_ms, struct row row)
{
    table->monotonic_ms = monotonic_ms;
    apply(table, row);
}

TEST(producers, expire_by_the_monotonic_clock)
{
    struct table table;
    init(&table, 0);
    struct producers *producers = &table.producers;
    at(&table, 1000, (struct row){'d', 1, 0, 0, 1, NONE, 0});
    at(&table, 2000, (struct row){'t', 2, 0, 0, 1, NONE, 0});
    at(&table, 3000, (struct row){'d', 3, 0, 0, 1, NONE, 0});
    at(&table, 4000, (struct row){'d', 1, 0, 1, 1, NONE, 0});
    /* a wall clock a year ahead, or behind, takes none early */
    static const int64_t walls[] = {0, 365ll * 86400000, -365ll * 86400000};
    for (int i = 0; i < 3; i++)
        EQ(producers_expire(producers, 10000, (struct producers_now){12999, walls[i]}), 0);
    EQ(producers_expire(producers, 10000, (struct producers_now){13000, 0}), 1);
    TRUE_(producers_find(producers, 3) == NULL);
    EQ(producers_expire(producers, 10000, (struct producers_now){1000000, 0}), 1);
    TRUE_(producers_find(producers, 1) == NULL);
    TRUE_(producers_find(producers, 2) != NULL); /* its transaction is open */
    at(&table, 1000000, (struct row){'c', 2, 0, 0, 1, NONE, 0});
    EQ(producers_expire(producers, 10000, (struct producers_now){1010000, 0}), 1);
    EQ(producers->by_id.count, 0);
    producers_done(producers);
}

TEST(producers, from_disk_expire_by_their_timestamps_once_the_wall_clock_is_steady)
{
    enum { DAY = 86400000, STEADY = PRODUCERS_STEADY_MS };
    static const struct {
        int64_t up_ms, step_ms; /* since the load; of the wall clock meanwhile */
        uint32_t expired;
    } rows[] = {
        {STEADY - 1, 0, 0},        {STEADY, 0, 1}, {STEADY, DAY, 0}, {STEADY, -5000, 0},
        {DAY - 1, 365ll * DAY, 0}, {DAY, DAY, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct table table;
        init(&table, 0);
        apply(&table, (struct row){'d', 1, 0, 0, 1, NONE, 0}); /* timestamp 1000 */
        table.end = 2 * DAY;
        apply(&table, (struct row){'d', 2, 0, 0, 1, NONE, 0});
        struct producers_now loaded = {50, 2 * DAY}, now = loaded;
        producers_loaded(&table.producers, loaded);
        now.monotonic_ms += rows[i].up_ms;
        now.wall_ms += rows[i].up_ms + rows[i].step_ms;
        EQ(producers_expire(&table.producers, DAY, now), rows[i].expired);
        producers_done(&table.producers);
    }
}

TEST(producers, beyond_the_bound_the_one_idle_for_longest_goes)
{
    struct table table;
    init(&table, 3);
    apply(&table, (struct row){'t', 1, 0, 0, 1, NONE, 0});
    for (int64_t id = 2; id <= 4; id++)
        apply(&table, (struct row){'d', id, 0, 0, 1, NONE, 0});
    EQ(table.producers.by_id.count, 3);
    TRUE_(producers_find(&table.producers, 1) && !producers_find(&table.producers, 2));
    apply(&table, (struct row){'d', 3, 0, 1, 1, NONE, 0});
    apply(&table, (struct row){'d', 5, 0, 0, 1, NONE, 0});
    TRUE_(producers_find(&table.producers, 3) && !producers_find(&table.producers, 4));
    producers_done(&table.producers);
}

/* ---- snapshots ---- */

static const struct row history[] = {
    {'d', 1, 0, 0, 5, NONE, 0},  {'d', 2, 7, 3, 1, NONE, 0}, {'t', 3, 1, 0, 2, NONE, 0},
    {'d', 1, 0, 5, 2, NONE, 0},  {'d', 1, 0, 7, 1, NONE, 0}, {'c', 3, 1, 2, 1, NONE, 0},
    {'t', 3, 1, 2, 1, NONE, 0},  {'d', 1, 0, 8, 1, NONE, 0}, {'d', 1, 0, 9, 1, NONE, 0},
    {'d', 1, 0, 10, 1, NONE, 0}, {'a', 4, 0, 9, 1, NONE, 0}, {'d', 2, 8, 0, 3, NONE, 0},
    {'t', 5, 0, 0, 1, NONE, 0},  {'a', 5, 1, 9, 1, NONE, 0}, {'a', 3, 1, 2, 1, NONE, 0},
    {'t', 3, 1, 3, 1, NONE, 0},  {'d', 6, 0, 0, 1, NONE, 0},
};

static struct bytes snapshot_of(const struct table *table)
{
    return producer_snapshot_encode(&table->producers);
}

TEST(producer_snapshot, and_replay_are_the_live_state)
{
    enum { COUNT = ARRAY_COUNT(history) };
    for (int cut = 0; cut <= COUNT; cut++) {
        struct table live, loaded;
        init(&live, 0);
        init(&loaded, 0);
        for (int i = 0; i < cut; i++)
            apply(&live, history[i]);
        struct bytes file = snapshot_of(&live);
        EQ(producer_snapshot_decode(file, live.end, &loaded.producers), ERROR_NONE);
        loaded.end = live.end;
        for (int i = cut; i < COUNT; i++) {
            apply(&live, history[i]);
            apply(&loaded, history[i]);
        }
        struct bytes a = snapshot_of(&live), b = snapshot_of(&loaded);
        EQ(a.size, b.size);
        EQ_BYTES(b.data, a.data, a.size);
        EQ(producers_last_stable(&live.producers, live.end),
           producers_last_stable(&loaded.producers, loaded.end));
        memory_free((void *)(uintptr_t)file.data);
        memory_free((void *)(uintptr_t)a.data);
        memory_free((void *)(uintptr_t)b.data);
        producers_done(&live.producers);
        producers_done(&loaded.producers);
    }
}

TEST(producer_snapshot, is_kafkas_format)
{
    struct table table;
    init(&table, 0);
    table.end = 0x102;
    apply(&table, (struct row){'t', 0x0a0b, 3, 5, 2, NONE, 0});
    struct bytes file = snapshot_of(&table);
    static const uint8_t entries[] = {
        0,    0,    0,    1,                      /* count */
        0,    0,    0,    0,    0, 0, 0x0a, 0x0b, /* producer id */
        0,    3,                                  /* epoch */
        0,    0,    0,    6,                      /* last sequence */
        0,    0,    0,    0,    0, 0, 1,    3,    /* last offset */
        0,    0,    0,    1,                      /* offset delta */
        0,    0,    0,    0,    0, 0, 4,    0xea, /* timestamp, 1000 + 0x102 */
        0xff, 0xff, 0xff, 0xff,                   /* coordinator epoch */
        0,    0,    0,    0,    0, 0, 1,    2,    /* first offset of the open transaction */
    };
    EQ(file.size, 6 + (int)sizeof entries);
    EQ(load_be16(file.data), 1);
    EQ_BYTES(file.data + 6, entries, sizeof entries);
    memory_free((void *)(uintptr_t)file.data);
    producers_done(&table.producers);
}

TEST(producer_snapshot, damage_is_found)
{
    struct table table, other;
    init(&table, 0);
    for (size_t i = 0; i < sizeof history / sizeof history[0]; i++)
        apply(&table, history[i]);
    struct bytes file = snapshot_of(&table);
    uint8_t *bytes = (uint8_t *)(uintptr_t)file.data;
    for (int32_t bit = 0; bit < 8 * file.size; bit++) {
        init(&other, 0);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        TRUE_(producer_snapshot_decode(file, table.end, &other.producers) != ERROR_NONE);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        producers_done(&other.producers);
    }
    for (int32_t size = 0; size < file.size; size++)
        TRUE_(producer_snapshot_check((struct bytes){bytes, size}) != ERROR_NONE);
    init(&other, 0);
    EQ(producer_snapshot_decode(file, table.end - 1, &other.producers), ERROR_MALFORMED);
    memory_free(bytes);
    producers_done(&table.producers);
    producers_done(&other.producers);
}

TEST(txn_index, entries_are_kafkas)
{
    struct aborted_txn_entry entry = {1, 2, 3, 4}, back;
    uint8_t bytes[2 * TXN_INDEX_ENTRY];
    txn_index_encode(&entry, bytes);
    static const uint8_t wanted[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
                                     2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4};
    EQ_BYTES(bytes, wanted, sizeof wanted);
    struct bytes file = {bytes, TXN_INDEX_ENTRY};
    TRUE_(txn_index_decode(file, 0, 3, &back));
    EQ(back.last_stable_offset, 4);
    TRUE_(!txn_index_decode(file, 1, 3, &back));
    TRUE_(!txn_index_decode(file, 0, 4, &back)); /* its marker lies before the segment */
    bytes[1] = 1;
    TRUE_(!txn_index_decode(file, 0, 3, &back)); /* a version of the future */
}
