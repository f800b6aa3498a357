/* Properties that hold for every message in every version. */
#include "base/memory.h"
#include "protocol/compare.h"
#include "protocol/messages.h"
#include "support/test.h"

enum { FILLS = 1000, VALUE_BYTES = 1024, BUFFER_BYTES = 1 << 20, KEEP_BYTES = 1 << 20 };

/* What a property needs: a value, another, and where they are encoded. */
struct bench {
    struct arena arena, other_arena;
    struct random random;
    void *value, *other;
    uint8_t *buffer;
    size_t size; /* of the encoding in `buffer` */
};

static struct bench bench_open(uint64_t seed)
{
    struct bench bench = {.value = memory_zeroed(VALUE_BYTES),
                          .other = memory_zeroed(VALUE_BYTES),
                          .buffer = memory_zeroed(BUFFER_BYTES)};
    arena_init(&bench.arena, SIZE_MAX);
    arena_init(&bench.other_arena, SIZE_MAX);
    random_seed(&bench.random, seed);
    return bench;
}

static void bench_close(struct bench *bench)
{
    arena_done(&bench->arena);
    arena_done(&bench->other_arena);
    memory_free(bench->value);
    memory_free(bench->other);
    memory_free(bench->buffer);
}

static bool fill_and_encode(struct bench *bench, const struct message *message, int16_t version)
{
    struct writer writer;
    arena_reset(&bench->arena, KEEP_BYTES);
    arena_reset(&bench->other_arena, KEEP_BYTES);
    writer_init(&writer, bench->buffer, BUFFER_BYTES);
    bool done =
        message_fill(message, version, &bench->random, &bench->arena, bench->value) == ERROR_NONE &&
        message_encode(message, version, &writer, bench->value) == ERROR_NONE;
    bench->size = writer.size;
    return done;
}

static bool decodes_equal(struct bench *bench, const struct message *message, int16_t version)
{
    struct reader reader;
    reader_init(&reader, bench->buffer, bench->size);
    return message_decode_whole(message, version, &reader, &bench->other_arena, bench->other) ==
               ERROR_NONE &&
           message_equal(message, version, bench->value, bench->other);
}

/* Calls `property` for each message and version; it returns how often it failed. */
static void for_every_message(struct bench *bench,
                              int (*property)(struct bench *, const struct message *, int16_t))
{
    for (int i = 0; i < message_count(); i++) {
        const struct message *message = message_at(i);
        TRUE_(message->size <= VALUE_BYTES);
        for (int16_t version = message->oldest; version <= message->newest; version++) {
            int failed = property(bench, message, version);
            test_expect(failed == 0, __FILE__, __LINE__, "%s version %d: failed %d times",
                        message->name, version, failed);
        }
    }
}

static int comes_back_equal(struct bench *bench, const struct message *message, int16_t version)
{
    int failed = 0;
    for (int i = 0; i < FILLS; i++) {
        failed += !fill_and_encode(bench, message, version) ||
                  bench->size != message_size(message, version, bench->value) ||
                  !decodes_equal(bench, message, version);
    }
    return failed;
}

TEST(every_message, filled_at_random_comes_back_equal)
{
    struct bench bench = bench_open(1);
    for_every_message(&bench, comes_back_equal);
    bench_close(&bench);
}

static int no_cut_decodes(struct bench *bench, const struct message *message, int16_t version)
{
    int failed = !fill_and_encode(bench, message, version);
    for (size_t size = 0; size < bench->size; size++) {
        uint8_t *copy = memory_aligned(16, size ? size : 1); /* so that ASan sees a byte too far */
        struct reader reader;
        memcpy(copy, bench->buffer, size);
        reader_init(&reader, copy, size);
        arena_reset(&bench->other_arena, KEEP_BYTES);
        failed += message_decode(message, version, &reader, &bench->other_arena, bench->other) ==
                  ERROR_NONE;
        memory_free(copy);
    }
    return failed;
}

TEST(every_message, no_cut_decodes)
{
    struct bench bench = bench_open(2);
    for_every_message(&bench, no_cut_decodes);
    bench_close(&bench);
}

/* At its defaults a message has no elements, so whatever a huge number at any place is taken for,
 * no memory may be taken for it: at most for the few elements that the bytes behind it could be. */
static int huge_numbers_cost_nothing(struct bench *bench, const struct message *message,
                                     int16_t version)
{
    static const uint8_t huge[2][5] = {{0x7f, 0xff, 0xff, 0xff, 0xff}, {0xff, 0xff, 0xff, 0xff, 7}};
    int failed = 0;
    struct writer writer;
    message_set_defaults(message, bench->value);
    writer_init(&writer, bench->buffer, BUFFER_BYTES);
    if (message_encode(message, version, &writer, bench->value) != ERROR_NONE)
        return 0; /* not a value to send: something is null that has no default */
    for (size_t at = 0; at + 5 <= writer.size + 5; at++) {
        for (int i = 0; i < 2; i++) {
            uint8_t copy[512] = {0};
            struct reader reader;
            memcpy(copy, bench->buffer, writer.size);
            memcpy(copy + at, huge[i], 5);
            reader_init(&reader, copy, writer.size + 5);
            arena_reset(&bench->other_arena, KEEP_BYTES);
            (void)message_decode(message, version, &reader, &bench->other_arena, bench->other);
            failed += bench->other_arena.used_bytes > 64 * (writer.size + 5);
        }
    }
    return failed;
}

TEST(every_message, huge_numbers_cost_nothing)
{
    struct bench bench = bench_open(3);
    for_every_message(&bench, huge_numbers_cost_nothing);
    bench_close(&bench);
}

/* Bytes flipped at random: never a crash, and memory in proportion to the bytes. */
static int rubbish_costs_little(struct bench *bench, const struct message *message, int16_t version)
{
    int failed = 0;
    for (int i = 0; i < 50; i++) {
        failed += !fill_and_encode(bench, message, version);
        for (uint64_t flips = random_below(&bench->random, 4); bench->size && flips > 0; flips--)
            bench->buffer[random_below(&bench->random, bench->size)] ^=
                (uint8_t)(1u << random_below(&bench->random, 8));
        struct reader reader;
        reader_init(&reader, bench->buffer, bench->size);
        (void)message_decode(message, version, &reader, &bench->other_arena, bench->other);
        failed += bench->other_arena.used_bytes > VALUE_BYTES * (bench->size + 1);
    }
    return failed;
}

TEST(every_message, rubbish_costs_little)
{
    struct bench bench = bench_open(4);
    for_every_message(&bench, rubbish_costs_little);
    bench_close(&bench);
}
