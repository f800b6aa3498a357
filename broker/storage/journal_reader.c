#include "storage/journal_reader.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include <stdio.h>

/* Windows that are kept begin small: most journals are empty, and are looked through all the same.
 */
enum { WINDOW_BYTES = 1 << 20, KEPT_WINDOW_BYTES = 4 << 20, FIRST_WINDOW_BYTES = 64 << 10 };
enum { ROT_SCAN_BYTES = 2 << 20, MEMORY_ALIGNMENT = 4096 };
enum { ALIGNMENT_LEAST = 512, ALIGNMENT_MOST = 1 << 16 };

/* Memory for a window of `size` bytes; the one before is kept or given up. */
static void take_window(struct journal_reader *reader, int64_t size)
{
    if (reader->keeps) {
        struct list *last = reader->windows.previous;
        if (last != &reader->windows && !reader->wanted) {
            if ((size_t)size <= CONTAINER_OF(last, struct buffer, link)->size)
                return; /* the one before is used again */
            list_remove(last);
            buffer_release(CONTAINER_OF(last, struct buffer, link));
        }
        reader->wanted = false;
        struct buffer *buffer = buffers_take_always(reader->keeps, (size_t)size);
        list_push(&reader->windows, &buffer->link);
        reader->window = buffer->data;
    } else if (size > reader->window_capacity) {
        memory_free(reader->window);
        reader->window = memory_aligned(MEMORY_ALIGNMENT, (size_t)size);
        reader->window_capacity = size;
    }
}

void journal_reader_keep(struct journal_reader *reader, struct buffers *buffers)
{
    memory_free(reader->window);
    reader->window = NULL;
    reader->window_size = reader->window_capacity = 0;
    reader->keeps = buffers;
    reader->ahead = FIRST_WINDOW_BYTES;
}

struct buffer *journal_reader_window(struct journal_reader *reader)
{
    if (!reader->wanted)
        reader->ahead = min_i64(4 * reader->ahead, KEPT_WINDOW_BYTES);
    reader->wanted = true;
    return CONTAINER_OF(reader->windows.previous, struct buffer, link);
}

/* Makes [from, from + size) of the file available; returns the bytes there, fewer at its end; -1 on
 * an error. */
static int64_t load(struct journal_reader *reader, int64_t from, int64_t size)
{
    size = min_i64(size, reader->file_size - from);
    if (size <= 0)
        return 0; /* beyond the end */
    if (from >= reader->window_from && from + size <= reader->window_from + reader->window_size)
        return size;
    /* aligned for any disk, also where the journal was copied from one with smaller sectors */
    int64_t begin = (int64_t)align_down((uint64_t)from, MEMORY_ALIGNMENT), before = from - begin;
    int64_t ahead =
        min_i64(reader->keeps ? reader->ahead : WINDOW_BYTES, reader->file_size - begin);
    int64_t wanted = max_i64(before + size, ahead);
    wanted = (int64_t)align_up((uint64_t)wanted, MEMORY_ALIGNMENT);
    take_window(reader, wanted);
    reader->window_from = begin;
    reader->window_size = 0;
    while (reader->window_size < before + size) {
        struct op op = {.kind = OP_READ,
                        .handle = reader->handle,
                        .data = reader->window + reader->window_size,
                        .size = (size_t)(wanted - reader->window_size),
                        .offset = begin + reader->window_size};
        int64_t got = port_call(reader->port, &op);
        if (got < 0) {
            snprintf(reader->fault, sizeof reader->fault, "reading at %lld: %s",
                     (long long)op.offset, error_text(op_error(got)));
            return -1;
        }
        if (got == 0)
            break;
        reader->window_size += got;
    }
    return max_i64(0, min_i64(size, reader->window_size - before));
}

static const uint8_t *window_at(const struct journal_reader *reader, int64_t position)
{
    return reader->window + (position - reader->window_from);
}

static enum error read_anchor(struct journal_reader *reader)
{
    bool found = false, zero = true;
    enum error error = ERROR_NONE;
    if (load(reader, 0, JOURNAL_RING_BEGIN) < 0)
        return ERROR_INPUT_OUTPUT;
    for (int i = 0; i < 2; i++) {
        if (reader->window_size < (i + 1) * JOURNAL_ANCHOR_SLOT)
            break;
        const uint8_t *slot = window_at(reader, i * JOURNAL_ANCHOR_SLOT);
        for (int at = 0; at < 64; at++)
            zero = zero && slot[at] == 0;
        struct anchor anchor;
        enum error slot_error = anchor_decode(slot, &anchor);
        if (slot_error == ERROR_NEWER_VERSION)
            error = slot_error;
        if (slot_error || (found && anchor.generation <= reader->anchor.generation))
            continue;
        found = true;
        reader->anchor = anchor;
    }
    if (error) {
        snprintf(reader->fault, sizeof reader->fault, "it was written by a newer version");
        return error;
    }
    if (!found && !zero) {
        snprintf(reader->fault, sizeof reader->fault, "both anchors (at 0 and 4096) are damaged");
        return ERROR_CHECKSUM;
    }
    reader->fresh = !found;
    return ERROR_NONE;
}

/* Live blocks begin in the ring, at a multiple of a size that a disk can have. What lies beyond the
 * end of the file was there once. */
static bool anchor_is_possible(const struct journal_reader *reader)
{
    uint32_t alignment = reader->anchor.alignment;
    int64_t start = reader->anchor.start_position;
    return alignment >= ALIGNMENT_LEAST && alignment <= ALIGNMENT_MOST &&
           (alignment & (alignment - 1)) == 0 && start >= JOURNAL_RING_BEGIN &&
           start <= reader->file_size && start % alignment == 0;
}

enum error journal_reader_open(struct journal_reader *reader, struct port *port, const char *path)
{
    *reader = (struct journal_reader){.port = port, .handle = -1};
    list_init(&reader->windows);
    struct op op = {.kind = OP_OPEN, .path = path, .flags = OPEN_READ | OPEN_DIRECT};
    int64_t handle = port_call(port, &op);
    if (handle < 0)
        return op_error(handle);
    reader->handle = (int32_t)handle;
    struct file_stat stat;
    struct op stat_op = {.kind = OP_STAT, .handle = reader->handle, .data = &stat};
    int64_t result = port_call(port, &stat_op);
    if (result < 0)
        return op_error(result);
    reader->direct_alignment = stat.direct_alignment;
    reader->file_size = (int64_t)align_down((uint64_t)stat.size_bytes, stat.direct_alignment);
    enum error error = read_anchor(reader);
    reader->position = reader->write_position = reader->anchor.start_position;
    reader->sequence = reader->anchor.start_sequence;
    reader->chain = reader->anchor.start_chain;
    if (!error && !reader->fresh && !anchor_is_possible(reader)) {
        snprintf(reader->fault, sizeof reader->fault, "the anchor's fields are impossible");
        return ERROR_CHECKSUM;
    }
    return error;
}

void journal_reader_close(struct journal_reader *reader)
{
    if (reader->handle >= 0) {
        struct op op = {.kind = OP_CLOSE, .handle = reader->handle};
        (void)port_call(reader->port, &op); /* only read */
    }
    if (!reader->keeps)
        memory_free(reader->window);
    for (struct list *node; reader->keeps && (node = list_pop(&reader->windows));)
        buffer_release(CONTAINER_OF(node, struct buffer, link));
    *reader = (struct journal_reader){.handle = -1};
    list_init(&reader->windows);
}

/* Is the expected block at `position`, whole? -1: reading failed. */
static int block_at(struct journal_reader *reader, int64_t position, struct block_header *header)
{
    int64_t have = load(reader, position, BLOCK_HEADER_SIZE);
    if (have < 0)
        return -1;
    if (have < BLOCK_HEADER_SIZE || !block_peek(window_at(reader, position), header))
        return 0;
    if (header->salt != reader->anchor.salt || header->sequence != reader->sequence ||
        (header->chain != reader->chain && !MUTANT(keep_stale_bytes)))
        return 0;
    if (header->length > reader->file_size - position)
        return 0;
    have = load(reader, position, header->length);
    if (have < 0)
        return -1;
    return have == (int64_t)header->length && block_is_whole(window_at(reader, position), header);
}

/* Looks for a block of a later write behind `position`: then what is missing here was durable. */
static int later_write_follows(struct journal_reader *reader, int64_t position)
{
    int64_t end = min_i64(position + ROT_SCAN_BYTES, reader->file_size);
    for (; position + BLOCK_HEADER_SIZE <= end; position += reader->anchor.alignment) {
        if (load(reader, position, BLOCK_HEADER_SIZE) < 0)
            return -1;
        struct block_header header;
        if (!block_peek(window_at(reader, position), &header) ||
            header.salt != reader->anchor.salt || header.sequence <= reader->sequence ||
            header.sequence - header.place <= reader->sequence ||
            header.length > reader->file_size - position)
            continue;
        if (load(reader, position, header.length) == (int64_t)header.length &&
            block_is_whole(window_at(reader, position), &header))
            return 1;
    }
    return 0;
}

enum error journal_reader_next(struct journal_reader *reader, struct bytes *ret_entries)
{
    *ret_entries = (struct bytes){NULL, 0};
    if (reader->fresh)
        return ERROR_NONE;
    struct block_header header;
    int64_t places[] = {reader->position, JOURNAL_RING_BEGIN};
    for (int i = 0; i < 2; i++) {
        int found = block_at(reader, places[i], &header);
        if (found < 0)
            return ERROR_INPUT_OUTPUT;
        if (!found)
            continue;
        const uint8_t *block = window_at(reader, places[i]);
        *ret_entries =
            (struct bytes){block + BLOCK_HEADER_SIZE, (int32_t)(header.length - BLOCK_HEADER_SIZE)};
        int64_t end = places[i] + (int64_t)align_up(header.length, reader->anchor.alignment);
        /* What a wrap skipped is live with what lies before it. Before the first block nothing
         * does: the ring may have grown since, and go on over where the anchor points to. */
        if (places[i] != reader->position && reader->live_bytes > 0) {
            reader->live_bytes += reader->file_size - reader->position;
            reader->wrapped = true;
        }
        reader->live_bytes += end - places[i];
        if (reader->live_bytes > reader->file_size - JOURNAL_RING_BEGIN) {
            snprintf(reader->fault, sizeof reader->fault,
                     "block %llu at position %lld lies over older ones that are live",
                     (unsigned long long)reader->sequence, (long long)places[i]);
            return ERROR_CHECKSUM;
        }
        if (header.place == 0 || places[i] != reader->position)
            reader->write_position = places[i];
        reader->position = end;
        reader->lap = header.lap;
        reader->sequence++;
        reader->chain = header.crc;
        return ERROR_NONE;
    }
    for (int i = 0; i < 2; i++) {
        int follows = later_write_follows(reader, places[i]);
        if (follows < 0)
            return ERROR_INPUT_OUTPUT;
        if (follows) {
            snprintf(reader->fault, sizeof reader->fault,
                     "block %llu at position %lld is damaged, and later ones are whole",
                     (unsigned long long)reader->sequence, (long long)reader->position);
            return ERROR_CHECKSUM;
        }
    }
    struct block_header torn;
    if (load(reader, reader->position, BLOCK_HEADER_SIZE) == BLOCK_HEADER_SIZE &&
        block_peek(window_at(reader, reader->position), &torn) &&
        torn.salt == reader->anchor.salt && torn.sequence == reader->sequence)
        REACHED("torn end met");
    return ERROR_NONE;
}
