#include "storage/batch_walk.h"
#include "base/memory.h"
#include "protocol/batch.h"

enum { WINDOW_BYTES = 1 << 20, OLD_BYTES_LEAST = 26 /* of a message with neither key nor value */ };

/* Reads `wanted` bytes from `position` on, or up to the end of the file: *ret_got of them. */
static enum error fill(struct batch_walk *walk, int64_t position, int64_t wanted, int64_t *ret_got)
{
    wanted = min_i64(wanted, walk->size - position);
    if (wanted > walk->capacity) {
        memory_free(walk->data);
        walk->data = memory_aligned(4096, (size_t)wanted);
        walk->capacity = wanted;
    }
    *ret_got = 0;
    while (*ret_got < wanted) {
        struct op read = {.kind = OP_READ,
                          .handle = walk->handle,
                          .data = walk->data + *ret_got,
                          .size = (size_t)(wanted - *ret_got),
                          .offset = position + *ret_got};
        int64_t result = port_call(walk->port, &read);
        if (result <= 0)
            return result ? op_error(result) : ERROR_INPUT_OUTPUT; /* it had that size */
        *ret_got += result;
        recovery_moved(walk->progress, walk->port, RECOVERY_SEGMENT_BYTES, (uint64_t)result);
    }
    return ERROR_NONE;
}

/* What is wrong with the header at `data`, of which `left` bytes are in the file. */
static const char *header_fault(struct batch_walk *walk, const uint8_t *data, int64_t left)
{
    if (left <= BATCH_MAGIC_AT)
        return "the file ends within a batch";
    int64_t size = batch_size_at(data);
    walk->is_old = data[BATCH_MAGIC_AT] < 2 && size >= OLD_BYTES_LEAST && size <= left;
    if (walk->is_old)
        return "a message set of an old format";
    if (data[BATCH_MAGIC_AT] != 2)
        return "a batch's magic is not 2";
    if (size < BATCH_RECORDS_AT)
        return "a batch's length is too small";
    if (size > left)
        return "a batch's length reaches beyond the end";
    if ((int64_t)load_be64(data) < walk->next_offset)
        return "a batch's base offset is below the one before it";
    int32_t delta = (int32_t)load_be32(data + BATCH_LAST_OFFSET_DELTA_AT);
    if (delta < 0)
        return "a batch's last offset is below its base offset";
    if ((int64_t)load_be64(data) - walk->base_offset > INT32_MAX - delta)
        return "a batch's offsets are not of this segment";
    return NULL;
}

/* Takes the whole batches at the beginning of `got` bytes; *ret_wanted: of the next one, that they
 * do not hold. */
static int64_t take(struct batch_walk *walk, int64_t got, int64_t *ret_wanted)
{
    int64_t at = 0;
    *ret_wanted = 0;
    while (at < got) {
        const uint8_t *data = walk->data + at;
        int64_t left = walk->size - walk->position - at;
        if (got - at < BATCH_RECORDS_AT && got - at < left) {
            *ret_wanted = BATCH_RECORDS_AT;
            break;
        }
        walk->fault = header_fault(walk, data, left);
        if (walk->fault)
            break;
        struct batch batch;
        if (batch_size_at(data) > got - at) {
            *ret_wanted = batch_size_at(data);
            break;
        }
        batch_view_header(data, (int32_t)batch_size_at(data), &batch);
        if (batch_check_crc(&batch) != ERROR_NONE) {
            walk->fault = "a batch's CRC does not match";
            break;
        }
        walk->next_offset = batch_last_offset(&batch) + 1;
        at += batch.whole.size;
    }
    return at;
}

enum error batch_walk_run(struct batch_walk *walk)
{
    enum error error = ERROR_NONE;
    walk->fault = NULL;
    for (int64_t wanted = 0; walk->position < walk->size && !walk->fault && !error;) {
        int64_t got;
        error = recovery_is_off(walk->halt)
                    ? ERROR_CANCELLED
                    : fill(walk, walk->position, max_i64(wanted, WINDOW_BYTES), &got);
        if (!error)
            walk->position += take(walk, got, &wanted);
    }
    return error;
}

enum error batch_walk_goes_on(struct batch_walk *walk, bool *ret_goes_on)
{
    int64_t from = walk->position + 1, got = 0;
    *ret_goes_on = false;
    enum error error = from < walk->size ? fill(walk, from, walk->size - from, &got) : ERROR_NONE;
    for (int64_t at = 0; !error && at + BATCH_RECORDS_AT <= got && !*ret_goes_on; at++) {
        struct batch batch;
        const uint8_t *data = walk->data + at;
        int64_t size = batch_size_at(data);
        if (data[BATCH_MAGIC_AT] != 2 || size < BATCH_RECORDS_AT || size > got - at ||
            (int64_t)load_be64(data) < walk->next_offset)
            continue;
        batch_view_header(data, (int32_t)size, &batch);
        *ret_goes_on = batch_check_crc(&batch) == ERROR_NONE;
    }
    return error;
}

void batch_walk_done(struct batch_walk *walk)
{
    memory_free(walk->data);
    walk->data = NULL;
    walk->capacity = 0;
}
