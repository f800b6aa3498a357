/* gzip (RFC 1952) by zlib, streamed. Members may follow one another. */
#include "base/check.h"
#include "base/memory.h"
#include "codec/each.h"
#include <zlib.h>

enum {
    GZIP_WINDOW = 15 + 16, /* the largest window, and the header of gzip */
    EXPANSION_MAX = 1032,  /* of deflate (RFC 1951: 258 bytes in two bits) */
    MEMBER_MIN = 18,       /* header and trailer */
};

static void *take(void *context, unsigned count, unsigned size)
{
    return memory_zeroed((size_t)count * size);
}

static void release(void *context, void *memory)
{
    memory_free(memory);
}

/* The size in the trailer, modulo 2^32, so that in the usual case memory is taken once. */
static size_t expected_size(const uint8_t *data, size_t size)
{
    if (size < MEMBER_MIN)
        return 0;
    uint32_t stored;
    memcpy(&stored, data + size - sizeof stored,
           sizeof stored); /* little-endian, as this machine */
    return stored / EXPANSION_MAX <= size ? stored : 0;
}

/* One call of inflate into what room there is, or into more. */
static int inflate_some(z_stream *stream, struct codec_output *output)
{
    /* at the limit, a byte of room outside tells the end of the data from too much of it */
    uint8_t beyond;
    bool full = output->size == output->capacity && !output_double(output);
    size_t room = full ? 1 : output->capacity - output->size;
    stream->next_out = full ? &beyond : output->data + output->size;
    stream->avail_out = (unsigned)(room < INT32_MAX ? room : INT32_MAX);
    unsigned before = stream->avail_out;
    int result = inflate(stream, Z_NO_FLUSH);
    if (full && stream->avail_out == 0)
        return Z_MEM_ERROR;
    output->size += before - stream->avail_out;
    return result;
}

static enum error inflate_members(z_stream *stream, struct codec_output *output)
{
    for (;;) {
        int result = inflate_some(stream, output);
        if (result == Z_MEM_ERROR)
            return ERROR_NO_MEMORY;
        if (result == Z_STREAM_END) {
            if (stream->avail_in == 0)
                return ERROR_NONE;
            if (inflateReset(stream) != Z_OK)
                return ERROR_MALFORMED;
        } else if (result != Z_OK) {
            return ERROR_MALFORMED; /* also Z_BUF_ERROR: the input is used up, the member is not */
        }
    }
}

enum error gzip_decompress(const uint8_t *data, size_t size, struct codec_output *output)
{
    if (size > INT32_MAX)
        return ERROR_MALFORMED;
    size_t expected = expected_size(data, size);
    if (expected > output->limit_bytes)
        expected = 0;
    if (expected > 0 && !output_reserve(output, expected))
        return ERROR_NO_MEMORY;
    z_stream stream = {.zalloc = take,
                       .zfree = release,
                       .next_in = (uint8_t *)(uintptr_t)data, /* zlib doesn't write to it */
                       .avail_in = (unsigned)size};
    int result = inflateInit2(&stream, GZIP_WINDOW);
    check(result == Z_OK);
    enum error error = inflate_members(&stream, output);
    inflateEnd(&stream);
    return error;
}

enum error gzip_compress(int level, const uint8_t *data, size_t size, struct codec_output *output)
{
    if (size > INT32_MAX)
        return ERROR_NO_MEMORY;
    z_stream stream = {.zalloc = take,
                       .zfree = release,
                       .next_in = (uint8_t *)(uintptr_t)data,
                       .avail_in = (unsigned)size};
    int result = deflateInit2(&stream, level, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY);
    check(result == Z_OK);
    size_t bound = deflateBound(&stream, size);
    enum error error = output_reserve(output, bound) ? ERROR_NONE : ERROR_NO_MEMORY;
    if (error == ERROR_NONE) {
        stream.next_out = output->data + output->size;
        stream.avail_out = (unsigned)bound;
        result = deflate(&stream, Z_FINISH);
        check(result == Z_STREAM_END);
        output->size += stream.total_out;
    }
    deflateEnd(&stream);
    return error;
}
