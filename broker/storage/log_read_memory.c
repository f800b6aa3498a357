#include "storage/log_read_memory.h"
#include "protocol/batch.h"
#include "storage/log_state.h"
#include "storage/store.h"

enum { COPY_BYTES = 64 << 10, SMALL_PIECE = 4096 };

struct collect {
    struct log_read *read;
    struct buffer *copy; /* small pieces lie here, one after the other */
    uint32_t copied;
};

/* Adds bytes of a piece. False when there is no more place. */
static bool add_part(struct collect *collect, const struct piece *piece, struct bytes bytes)
{
    struct log_read *read = collect->read;
    if (bytes.size >= SMALL_PIECE || read->parts_count == 0) {
        if (read->parts_count == LOG_READ_PARTS)
            return false;
        buffer_reference(piece->slab);
        read->buffers[read->parts_count] = piece->slab;
        read->parts[read->parts_count++] = bytes;
    } else {
        struct bytes *last = &read->parts[read->parts_count - 1];
        if (!collect->copy) {
            int64_t size = min_i64(read->max_bytes - read->size, COPY_BYTES);
            collect->copy =
                buffers_take(&read->log->store->core->buffers, (size_t)max_i64(size, bytes.size));
            if (!collect->copy)
                return false;
            read->buffers[LOG_READ_PARTS] = collect->copy;
        }
        if (collect->copied + (uint32_t)bytes.size > collect->copy->size)
            return false;
        uint8_t *to = collect->copy->data + collect->copied;
        memcpy(to, bytes.data, (size_t)bytes.size);
        collect->copied += (uint32_t)bytes.size;
        if (last->data + last->size == to) {
            last->size += bytes.size;
        } else {
            if (read->parts_count == LOG_READ_PARTS)
                return false;
            read->parts[read->parts_count++] = (struct bytes){to, bytes.size};
        }
    }
    read->size += bytes.size;
    return true;
}

void log_read_memory(struct log_read *read)
{
    struct collect collect = {.read = read};
    for (struct piece *piece = read->log->oldest; piece && piece->end_offset <= read->end_offset;
         piece = piece->next) {
        if (piece->end_offset <= read->offset)
            continue;
        struct bytes bytes = {piece->data, (int32_t)piece->size};
        while (batch_last_offset_at(bytes.data) < read->offset) { /* whole batches before it */
            int32_t size = (int32_t)batch_size_at(bytes.data);
            bytes = (struct bytes){bytes.data + size, bytes.size - size};
        }
        int32_t room = read->max_bytes - read->size, fits = 0;
        int64_t next_offset = read->next_offset;
        while (fits < bytes.size) {
            int64_t size = batch_size_at(bytes.data + fits);
            bool first = read->size == 0 && fits == 0 && read->at_least_one;
            if (fits + size > room && !first)
                break;
            next_offset = batch_last_offset_at(bytes.data + fits) + 1;
            fits += (int32_t)size;
        }
        bool cut = fits < bytes.size;
        bytes.size = fits;
        if (fits == 0 || !add_part(&collect, piece, bytes))
            break;
        read->next_offset = next_offset;
        if (cut)
            break;
    }
}
