/* The decompressors: one byte chooses codec and limit, the rest is compressed data; or it is plain
 * and compressed here.
 *  1. The output is never larger than the limit, and the arena never gives more than its budget.
 *  2. What was compressed here comes back as it was. */
#include "fuzz/fuzz.h"
#include "codec/codec.h"

enum { BUDGET_BYTES = 1 << 20, LIMIT_BYTES = 1 << 18, COMPRESSES = 128, SMALL = 64 };

static void check_round_trip(enum codec codec, struct bytes data)
{
    struct arena arena;
    arena_init(&arena, 4 * BUDGET_BYTES);
    struct codec_output packed = {.arena = &arena, .limit_bytes = BUDGET_BYTES};
    struct codec_output plain = {.arena = &arena, .limit_bytes = (size_t)data.size};
    if (codec_compress(codec, codec_usual_level(codec), data.data, (size_t)data.size, &packed) ==
        ERROR_NONE) {
        enum error error = codec_decompress(codec, packed.data, packed.size, &plain);
        /* a framed snappy stream of nothing has no block, and is no stream to a reader */
        check(error == ERROR_NONE || data.size == 0);
        check(error != ERROR_NONE || plain.size == (size_t)data.size);
        check(plain.size == 0 || memcmp(plain.data, data.data, plain.size) == 0);
    }
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    uint8_t choice = input_u8(&input);
    enum codec codec = (choice & 7) % CODECS_END;
    struct bytes bytes = input_rest(&input);
    if (choice & COMPRESSES) {
        check_round_trip(codec, bytes);
        return 0;
    }
    struct arena arena;
    arena_init(&arena, BUDGET_BYTES);
    struct codec_output output = {.arena = &arena,
                                  .limit_bytes = choice & SMALL ? 100 : LIMIT_BYTES};
    enum error error = codec_decompress(codec, bytes.data, (size_t)bytes.size, &output);
    check(output.size <= output.limit_bytes && output.size <= output.capacity);
    check(arena.used_bytes <= BUDGET_BYTES);
    check(error == ERROR_NONE || error == ERROR_MALFORMED || error == ERROR_NO_MEMORY);
    arena_done(&arena);
    return 0;
}
