#include "base/memory.h"
#include "base/random.h"
#include "codec/codec.h"
#include "support/test.h"

enum { ROOM = 1 << 24 };

static struct codec_output output_in(struct arena *arena, size_t limit_bytes)
{
    return (struct codec_output){.arena = arena, .limit_bytes = limit_bytes};
}

/* `size` bytes of which the first part is random, the rest a repeated word. */
static uint8_t *some_bytes(size_t size, uint64_t seed)
{
    struct random random;
    uint8_t *bytes = memory_zeroed(size + 1);
    random_seed(&random, seed);
    for (size_t i = 0; i < size; i++)
        bytes[i] = i < size / 3 ? (uint8_t)random_next(&random) : (uint8_t) "bole "[i % 5];
    return bytes;
}

static void comes_back(enum codec codec, size_t size)
{
    struct arena arena;
    uint8_t *bytes = some_bytes(size, size);
    arena_init(&arena, ROOM);
    struct codec_output packed = output_in(&arena, ROOM), plain = output_in(&arena, size);
    EQ(codec_compress(codec, codec_usual_level(codec), bytes, size, &packed), ERROR_NONE);
    EQ(codec_decompress(codec, packed.data, packed.size, &plain), ERROR_NONE); /* limit: exact */
    EQ(plain.size, size);
    EQ_BYTES(plain.data, bytes, size);
    arena_done(&arena);
    memory_free(bytes);
}

TEST(codec, what_was_compressed_comes_back)
{
    static const size_t sizes[] = {1, 2, 63, 4096, 32767, 32768, 32769, 65536, 200000, 1000000};
    for (int codec = CODEC_NONE; codec < CODECS_END; codec++) {
        for (int i = 0; i < (int)(sizeof sizes / sizeof *sizes); i++)
            comes_back((enum codec)codec, sizes[i]);
    }
}

TEST(codec, one_byte_above_the_limit_is_refused)
{
    for (int codec = CODEC_NONE; codec < CODECS_END; codec++) {
        struct arena arena;
        uint8_t *bytes = some_bytes(100000, 1);
        arena_init(&arena, ROOM);
        struct codec_output packed = output_in(&arena, ROOM), plain = output_in(&arena, 99999);
        EQ(codec_compress((enum codec)codec, codec_usual_level((enum codec)codec), bytes, 100000,
                          &packed),
           ERROR_NONE);
        EQ(codec_decompress((enum codec)codec, packed.data, packed.size, &plain), ERROR_NO_MEMORY);
        arena_done(&arena);
        memory_free(bytes);
    }
}

TEST(codec, a_bomb_costs_a_bounded_amount)
{
    size_t size = 8 << 20, limit = 100000;
    uint8_t *zeroes = memory_zeroed(size);
    for (int codec = CODEC_GZIP; codec < CODECS_END; codec++) {
        struct arena arena, bounded;
        arena_init(&arena, SIZE_MAX);
        arena_init(&bounded, SIZE_MAX);
        struct codec_output packed = output_in(&arena, SIZE_MAX),
                            plain = output_in(&bounded, limit);
        EQ(codec_compress((enum codec)codec, codec_usual_level((enum codec)codec), zeroes, size,
                          &packed),
           ERROR_NONE);
        EQ(codec_decompress((enum codec)codec, packed.data, packed.size, &plain), ERROR_NO_MEMORY);
        TRUE_(bounded.used_bytes <= 3 * limit);
        arena_done(&arena);
        arena_done(&bounded);
    }
    memory_free(zeroes);
}

/* Cut anywhere, and followed by a byte: an error, never a byte read beyond (ASan looks). */
TEST(codec, cut_or_followed_is_refused)
{
    for (int codec = CODEC_GZIP; codec < CODECS_END; codec++) {
        struct arena arena, again;
        uint8_t *bytes = some_bytes(300, 7);
        arena_init(&arena, ROOM);
        arena_init(&again, ROOM);
        struct codec_output packed = output_in(&arena, ROOM);
        EQ(codec_compress((enum codec)codec, codec_usual_level((enum codec)codec), bytes, 300,
                          &packed),
           ERROR_NONE);
        for (size_t size = 0; size <= packed.size + 1; size++) {
            if (size == packed.size)
                continue;
            uint8_t *copy = memory_zeroed(size ? size : 1);
            memcpy(copy, packed.data, size < packed.size ? size : packed.size);
            struct codec_output plain = output_in(&again, ROOM);
            enum error error = codec_decompress((enum codec)codec, copy, size, &plain);
            test_expect(error != ERROR_NONE, __FILE__, __LINE__, "%s of %d bytes: accepted",
                        codec_name((enum codec)codec), (int)size);
            memory_free(copy);
            arena_reset(&again, ROOM);
        }
        arena_done(&arena);
        arena_done(&again);
        memory_free(bytes);
    }
}

/* Bits flipped at random: refused, or other bytes within the limit; never more. */
TEST(codec, rubbish_stays_within_the_limit)
{
    struct random random;
    random_seed(&random, 5);
    for (int codec = CODEC_GZIP; codec < CODECS_END; codec++) {
        struct arena arena, again;
        uint8_t *bytes = some_bytes(3000, 9);
        arena_init(&arena, ROOM);
        arena_init(&again, ROOM);
        struct codec_output packed = output_in(&arena, ROOM);
        EQ(codec_compress((enum codec)codec, codec_usual_level((enum codec)codec), bytes, 3000,
                          &packed),
           ERROR_NONE);
        for (int i = 0; i < 2000; i++) {
            size_t at = random_below(&random, packed.size);
            uint8_t bit = (uint8_t)(1u << random_below(&random, 8));
            packed.data[at] ^= bit;
            struct codec_output plain = output_in(&again, 20000);
            (void)codec_decompress((enum codec)codec, packed.data, packed.size, &plain);
            TRUE_(plain.size <= 20000 && again.used_bytes <= 60000);
            packed.data[at] ^= bit;
            arena_reset(&again, ROOM);
        }
        arena_done(&arena);
        arena_done(&again);
        memory_free(bytes);
    }
}

TEST(codec, a_declared_length_is_not_believed)
{
    static const uint8_t snappy[] = {0xff, 0xff, 0xff, 0xff, 0x07, 0x00, 'x'}; /* 2 GiB - 1 */
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct codec_output plain = output_in(&arena, SIZE_MAX);
    EQ(codec_decompress(CODEC_SNAPPY, snappy, sizeof snappy, &plain), ERROR_MALFORMED);
    EQ(arena.used_bytes, 0);
    arena_done(&arena);
}
