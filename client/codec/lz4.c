/* The lz4 frame format, streamed. One frame: Kafka reads no second one. */
#include "base/check.h"
#include "codec/each.h"
#include <lz4frame.h>

enum { EXPANSION_MAX = 256 }; /* of lz4: a byte of length stands for 255 */

/* Takes memory for the content size, if the frame says it and it can be. */
static enum error reserve_content(LZ4F_dctx *context, const uint8_t *data, size_t *used,
                                  struct codec_output *output)
{
    LZ4F_frameInfo_t info;
    size_t left = *used;
    if (LZ4F_isError(LZ4F_getFrameInfo(context, &info, data, used)))
        return ERROR_MALFORMED;
    if (info.contentSize == 0)
        return ERROR_NONE;
    if (info.contentSize / EXPANSION_MAX > left)
        return ERROR_MALFORMED;
    return output_reserve(output, info.contentSize) ? ERROR_NONE : ERROR_NO_MEMORY;
}

static enum error decompress(LZ4F_dctx *context, const uint8_t *data, size_t size,
                             struct codec_output *output)
{
    size_t used = size;
    enum error error = reserve_content(context, data, &used, output);
    if (error != ERROR_NONE)
        return error;
    for (;;) {
        /* at the limit, a byte of room outside tells the end of the data from too much of it */
        uint8_t beyond;
        bool full = output->size == output->capacity && !output_double(output);
        size_t room = full ? 1 : output->capacity - output->size, step = size - used;
        uint8_t *to = full ? &beyond : output->data + output->size;
        size_t wanted = LZ4F_decompress(context, to, &room, data + used, &step, NULL);
        if (LZ4F_isError(wanted))
            return ERROR_MALFORMED;
        if (full && room > 0)
            return ERROR_NO_MEMORY;
        used += step;
        output->size += room;
        if (wanted == 0)
            return used == size ? ERROR_NONE : ERROR_MALFORMED;
        if (step == 0 && room == 0)
            return ERROR_MALFORMED; /* the input is used up, the frame is not */
    }
}

enum error lz4_decompress(const uint8_t *data, size_t size, struct codec_output *output)
{
    LZ4F_dctx *context;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
        return ERROR_NO_MEMORY;
    enum error error = decompress(context, data, size, output);
    LZ4F_freeDecompressionContext(context);
    return error;
}

/* Kafka's 9, its default, stands for the fast compressor, every other one for the high compressor
 * of that level; here the latter are 3 to 12. */
static int level_of(int level)
{
    if (level == 9)
        return 0;
    return level < 3 ? 3 : level > 12 ? 12 : level;
}

enum error lz4_compress(int level, const uint8_t *data, size_t size, struct codec_output *output)
{
    LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
        .compressionLevel = level_of(level)};
    size_t bound = LZ4F_compressFrameBound(size, &preferences);
    if (!output_reserve(output, bound))
        return ERROR_NO_MEMORY;
    size_t written =
        LZ4F_compressFrame(output->data + output->size, bound, data, size, &preferences);
    check(!LZ4F_isError(written));
    output->size += written;
    return ERROR_NONE;
}
