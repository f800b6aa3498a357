/* zstd frames (RFC 8878). Decompressed in one call straight into the output, so that no window is
 * allocated, whatever size a frame asks for; where the size isn't known the call is repeated with
 * twice the room, which at most doubles the work. Frames may follow one another. */
#include "base/check.h"
#include "codec/each.h"
#include <zstd.h>
#include <zstd_errors.h>

enum { GUESS_RATIO = 8, GUESS_BYTES = 32768 };

enum error zstd_decompress(const uint8_t *data, size_t size, struct codec_output *output)
{
    if (size == 0)
        return ERROR_MALFORMED;
    unsigned long long content = ZSTD_getFrameContentSize(data, size);
    if (content == ZSTD_CONTENTSIZE_ERROR)
        return ERROR_MALFORMED;
    if (content != ZSTD_CONTENTSIZE_UNKNOWN && content > output->limit_bytes)
        return ERROR_NO_MEMORY;
    size_t guess = GUESS_RATIO * size > GUESS_BYTES ? GUESS_RATIO * size : GUESS_BYTES;
    if (content < guess) /* what is larger, or not known, is not believed before it is seen */
        guess = content;
    if (!output_reserve(output, guess < output->limit_bytes ? guess : output->limit_bytes))
        return ERROR_NO_MEMORY;
    ZSTD_DCtx *context = ZSTD_createDCtx();
    check(context);
    enum error error = ERROR_NONE;
    for (;;) {
        size_t written = ZSTD_decompressDCtx(context, output->data, output->capacity, data, size);
        if (!ZSTD_isError(written)) {
            output->size = written;
            break;
        }
        if (ZSTD_getErrorCode(written) != ZSTD_error_dstSize_tooSmall) {
            error = ERROR_MALFORMED;
            break;
        }
        if (!output_double(output)) {
            error = ERROR_NO_MEMORY;
            break;
        }
    }
    ZSTD_freeDCtx(context);
    return error;
}

enum error zstd_compress(int level, const uint8_t *data, size_t size, struct codec_output *output)
{
    size_t bound = ZSTD_compressBound(size);
    if (!output_reserve(output, bound))
        return ERROR_NO_MEMORY;
    size_t written = ZSTD_compress(output->data + output->size, bound, data, size, level);
    check(!ZSTD_isError(written));
    output->size += written;
    return ERROR_NONE;
}
