#include "codec/codec.h"
#include "base/check.h"
#include "codec/each.h"

enum { CAPACITY_FIRST = 4096 };

const char *codec_name(enum codec codec)
{
    static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    check(codec >= CODEC_NONE && codec < CODECS_END);
    return names[codec];
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

static enum error copy(const uint8_t *data, size_t size, struct codec_output *output)
{
    if (!output_reserve(output, size))
        return ERROR_NO_MEMORY;
    if (size > 0)
        memcpy(output->data + output->size, data, size);
    output->size += size;
    return ERROR_NONE;
}

enum error codec_decompress(enum codec codec, const void *data, size_t size,
                            struct codec_output *output)
{
    check(output->arena && output->size == 0);
    switch (codec) {
    case CODEC_NONE:
        return copy(data, size, output);
    case CODEC_GZIP:
        return gzip_decompress(data, size, output);
    case CODEC_SNAPPY:
        return snappy_decompress(data, size, output);
    case CODEC_LZ4:
        return lz4_decompress(data, size, output);
    case CODEC_ZSTD:
        return zstd_decompress(data, size, output);
    case CODECS_END:
        break;
    }
    return ERROR_UNSUPPORTED_COMPRESSION_TYPE;
}

enum error codec_compress(enum codec codec, const void *data, size_t size,
                          struct codec_output *output)
{
    check(output->arena && output->size == 0);
    switch (codec) {
    case CODEC_NONE:
        return copy(data, size, output);
    case CODEC_GZIP:
        return gzip_compress(data, size, output);
    case CODEC_SNAPPY:
        return snappy_compress_framed(data, size, output);
    case CODEC_LZ4:
        return lz4_compress(data, size, output);
    case CODEC_ZSTD:
        return zstd_compress(data, size, output);
    case CODECS_END:
        break;
    }
    return ERROR_UNSUPPORTED_COMPRESSION_TYPE;
}
