/* snappy: one bare block, or Java's framing (xerial snappy-java): a header of 16 bytes, then
 * blocks, each with its size as an int32 in front. Streams may follow one another. */
#include "base/bytes.h"
#include "codec/each.h"
#include <snappy-c.h>

enum {
    HEADER_BYTES = 16, /* magic, version, lowest compatible version */
    MAGIC_BYTES = 8,
    BLOCK_BYTES = 32768, /* as snappy-java */
    EXPANSION_MAX = 64,  /* of a block: a copy of at most 64 bytes takes two */
};

static const uint8_t header[HEADER_BYTES] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                             0,    0,   0,   1,   0,   0,   0,   1};

static enum error decompress_block(const uint8_t *data, size_t size, struct codec_output *output)
{
    size_t declared;
    if (snappy_uncompressed_length((const char *)data, size, &declared) != SNAPPY_OK ||
        declared / EXPANSION_MAX > size)
        return ERROR_MALFORMED;
    if (!output_reserve(output, declared))
        return ERROR_NO_MEMORY;
    size_t written = declared;
    if (snappy_uncompress((const char *)data, size, (char *)output->data + output->size,
                          &written) != SNAPPY_OK)
        return ERROR_MALFORMED;
    output->size += written;
    return ERROR_NONE;
}

/* The sum of what all blocks declare, so that memory is taken once; 0 if the framing is bad. */
static size_t framed_size(const uint8_t *at, const uint8_t *end)
{
    size_t sum = 0;
    while (end - at >= 4) {
        if (end - at >= HEADER_BYTES && memcmp(at, header, MAGIC_BYTES) == 0) {
            at += HEADER_BYTES;
            continue;
        }
        size_t size = load_be32(at), declared;
        at += 4;
        if (size > (size_t)(end - at) ||
            snappy_uncompressed_length((const char *)at, size, &declared) != SNAPPY_OK ||
            declared / EXPANSION_MAX > size)
            return 0;
        sum += declared;
        at += size;
    }
    return at == end ? sum : 0;
}

enum error snappy_decompress(const uint8_t *data, size_t size, struct codec_output *output)
{
    if (size < HEADER_BYTES || memcmp(data, header, MAGIC_BYTES) != 0)
        return decompress_block(data, size, output);
    const uint8_t *at = data, *end = data + size;
    size_t sum = framed_size(at, end);
    if (sum == 0)
        return ERROR_MALFORMED;
    if (!output_reserve(output, sum))
        return ERROR_NO_MEMORY;
    enum error error = ERROR_NONE;
    while (at < end && error == ERROR_NONE) {
        if (end - at >= HEADER_BYTES && memcmp(at, header, MAGIC_BYTES) == 0) {
            at += HEADER_BYTES;
            continue;
        }
        size_t block = load_be32(at); /* framed_size has looked at it */
        error = decompress_block(at + 4, block, output);
        at += 4 + block;
    }
    return error;
}

enum error snappy_compress_framed(int level, const uint8_t *data, size_t size,
                                  struct codec_output *output)
{
    size_t blocks = size / BLOCK_BYTES + 1;
    if (!output_reserve(output,
                        HEADER_BYTES + blocks * (4 + snappy_max_compressed_length(BLOCK_BYTES))))
        return ERROR_NO_MEMORY;
    uint8_t *to = output->data + output->size;
    memcpy(to, header, HEADER_BYTES);
    to += HEADER_BYTES;
    while (size > 0) {
        size_t block = size < BLOCK_BYTES ? size : BLOCK_BYTES;
        size_t written = snappy_max_compressed_length(block);
        if (snappy_compress((const char *)data, block, (char *)to + 4, &written) != SNAPPY_OK)
            return ERROR_NO_MEMORY;
        store_be32(to, (uint32_t)written);
        to += 4 + written;
        data += block;
        size -= block;
    }
    output->size = (size_t)(to - output->data);
    return ERROR_NONE;
}
