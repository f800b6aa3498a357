#include "codec/codec.h"
#include "base/check.h"
#include "base/reached.h"
#include "codec/each.h"

enum { CAPACITY_FIRST = 4096 };

static enum error copy(const uint8_t *data, size_t size, struct codec_output *output)
{
    if (!output_reserve(output, size))
        return ERROR_NO_MEMORY;
    if (size > 0)
        memcpy(output->data + output->size, data, size);
    output->size += size;
    return ERROR_NONE;
}

static enum error copy_at(int level, const uint8_t *data, size_t size, struct codec_output *output)
{
    return copy(data, size, output);
}

static const struct {
    const char *name;
    int level; /* the usual one */
    enum error (*decompress)(const uint8_t *data, size_t size, struct codec_output *output);
    enum error (*compress)(int level, const uint8_t *data, size_t size,
                           struct codec_output *output);
} codecs[CODECS_END] = {
    [CODEC_NONE] = {"none", 0, copy, copy_at},
    [CODEC_GZIP] = {"gzip", -1, gzip_decompress, gzip_compress},
    [CODEC_SNAPPY] = {"snappy", 0, snappy_decompress, snappy_compress_framed},
    [CODEC_LZ4] = {"lz4", 9, lz4_decompress, lz4_compress},
    [CODEC_ZSTD] = {"zstd", 3, zstd_decompress, zstd_compress},
};

static bool is_codec(enum codec codec)
{
    return codec >= CODEC_NONE && codec < CODECS_END;
}

const char *codec_name(enum codec codec)
{
    check(is_codec(codec));
    return codecs[codec].name;
}

int codec_usual_level(enum codec codec)
{
    check(is_codec(codec));
    return codecs[codec].level;
}

bool codec_find(const char *name, enum codec *ret_codec)
{
    for (int codec = CODEC_NONE; codec < CODECS_END; codec++) {
        if (strcmp(codec_name((enum codec)codec), name) != 0)
            continue;
        *ret_codec = (enum codec)codec;
        return true;
    }
    return false;
}

/* Moves the output to `capacity` bytes. The old memory stays with the arena until it is reset. */
static bool output_move(struct codec_output *output, size_t capacity)
{
    uint8_t *data = arena_take(output->arena, capacity);
    if (!data)
        return false;
    if (output->size > 0)
        memcpy(data, output->data, output->size);
    output->data = data;
    output->capacity = capacity;
    return true;
}

bool output_reserve(struct codec_output *output, size_t more)
{
    if (more > output->limit_bytes || output->size > output->limit_bytes - more)
        return false;
    if (output->data && output->capacity - output->size >= more)
        return true;
    return output_move(output, output->size + more);
}

bool output_double(struct codec_output *output)
{
    size_t wanted = output->capacity ? 2 * output->capacity : CAPACITY_FIRST;
    if (wanted > output->limit_bytes)
        wanted = output->limit_bytes;
    return wanted > output->capacity && output_move(output, wanted);
}

/* For the simulator: each must have been met. */
static void note_codec(enum codec codec)
{
    switch (codec) {
    case CODEC_GZIP:
        REACHED("gzip decompressed");
        break;
    case CODEC_SNAPPY:
        REACHED("snappy decompressed");
        break;
    case CODEC_LZ4:
        REACHED("lz4 decompressed");
        break;
    case CODEC_ZSTD:
        REACHED("zstd decompressed");
        break;
    default:
        break;
    }
}

enum error codec_decompress(enum codec codec, const void *data, size_t size,
                            struct codec_output *output)
{
    check(output->arena && output->size == 0);
    note_codec(codec);
    return is_codec(codec) ? codecs[codec].decompress(data, size, output)
                           : ERROR_UNSUPPORTED_COMPRESSION_TYPE;
}

enum error codec_compress(enum codec codec, int level, const void *data, size_t size,
                          struct codec_output *output)
{
    check(output->arena && output->size == 0);
    return is_codec(codec) ? codecs[codec].compress(level, data, size, output)
                           : ERROR_UNSUPPORTED_COMPRESSION_TYPE;
}
