/* A journal as a start finds it, in a file of memory. One byte of choices, then:
 *   raw: 64 bytes for each anchor, the rest is the ring, which may be cut or damaged anywhere;
 *   sealed: blocks of entries of any bytes, written as a broker does, one byte of the file changed
 *           at the end or none.
 *  1. Whatever lies there, reading ends, within the file, and with a reason when it fails.
 *  2. Of sealed blocks that nobody damaged every one comes back, as it was, and no other.
 *  3. Entries that decode encode to the bytes they came from.
 *  4. What is live fits into the ring. */
#include "fuzz/fuzz.h"
#include "base/memory.h"
#include "codec/crc32c.h"
#include "storage/journal_reader.h"

enum { ANCHOR_BYTES = 64, FILE_MOST = 64 << 10, BLOCKS_MOST = 64, ALIGNMENT = 512 };
enum { SEALED = 1, PUTS_RIGHT = 2, DAMAGED = 4 };

/* -- a port with one file -------------------------------------------------------------------- */

struct file_port {
    struct port port;
    uint8_t *data;
    int64_t size;
    struct op *waiting;
};

static void file_submit(struct port *port, struct op *op)
{
    struct file_port *file = CONTAINER_OF(port, struct file_port, port);
    check(!file->waiting);
    file->waiting = op;
}

static int64_t file_result(struct file_port *file, struct op *op)
{
    if (op->kind == OP_STAT)
        *(struct file_stat *)op->data =
            (struct file_stat){.size_bytes = file->size, .direct_alignment = ALIGNMENT};
    if (op->kind != OP_READ)
        return op->kind == OP_OPEN ? 1 : 0;
    check(op->offset >= 0 && op->offset % ALIGNMENT == 0 && op->size % ALIGNMENT == 0);
    check((uintptr_t)op->data % ALIGNMENT == 0);
    int64_t left = max_i64(0, file->size - op->offset);
    int64_t count = min_i64(left, (int64_t)op->size);
    if (count > 0)
        memcpy(op->data, file->data + op->offset, (size_t)count);
    return count;
}

static void file_wait(struct port *port, int64_t until_ns)
{
    struct file_port *file = CONTAINER_OF(port, struct file_port, port);
    struct op *op = file->waiting;
    file->waiting = NULL;
    if (op)
        op_complete(op, file_result(file, op));
}

static void file_clock(struct port *port, struct now *now)
{
    *now = (struct now){0};
}

static const struct port_operations operations = {
    .name = "file", .submit = file_submit, .wait = file_wait, .clock = file_clock};

/* -- the file -------------------------------------------------------------------------------- */

static void seal_anchor(uint8_t *slot)
{
    uint32_t crc = crc32c(0, slot, ANCHOR_BYTES - 4);
    memcpy(slot + ANCHOR_BYTES - 4, &crc, sizeof crc); /* little-endian, as this machine */
}

/* Gives every block that has the magic, one behind the other, the CRC it should have. */
static void seal_blocks(struct file_port *file)
{
    for (int64_t at = JOURNAL_RING_BEGIN; at + BLOCK_HEADER_SIZE <= file->size;) {
        struct block_header header;
        if (!block_peek(file->data + at, &header) || header.length > file->size - at)
            return;
        block_seal(file->data + at, &header);
        at += (int64_t)align_up(header.length, ALIGNMENT);
    }
}

static void make_raw(struct file_port *file, struct input *input, uint8_t choices)
{
    for (int i = 0; i < 2; i++) {
        struct bytes anchor = input_take(input, ANCHOR_BYTES);
        uint8_t *slot = file->data + i * JOURNAL_ANCHOR_SLOT;
        if (anchor.size > 0)
            memcpy(slot, anchor.data, (size_t)anchor.size);
        if (choices & PUTS_RIGHT)
            seal_anchor(slot);
    }
    struct bytes ring = input_take(input, FILE_MOST - JOURNAL_RING_BEGIN);
    if (ring.size > 0)
        memcpy(file->data + JOURNAL_RING_BEGIN, ring.data, (size_t)ring.size);
    file->size = JOURNAL_RING_BEGIN + ring.size;
    if (choices & PUTS_RIGHT)
        seal_blocks(file);
    if (choices & DAMAGED)
        file->size = input_u16(input);
}

/* Blocks one behind the other; blocks[i] are the entries of each. Returns how many. */
static int make_sealed(struct file_port *file, struct input *input, struct bytes *blocks)
{
    struct anchor anchor = {.alignment = ALIGNMENT,
                            .generation = 3,
                            .salt = 77,
                            .start_position = JOURNAL_RING_BEGIN,
                            .start_sequence = 9,
                            .start_chain = 5};
    anchor_encode(&anchor, file->data);
    uint32_t chain = anchor.start_chain;
    int64_t at = JOURNAL_RING_BEGIN;
    int count = 0;
    while (count < BLOCKS_MOST && input->next < input->end) {
        struct bytes entries = input_take(input, input_u16(input) % 2048);
        struct block_header header = {.length = BLOCK_HEADER_SIZE + (uint32_t)entries.size,
                                      .salt = anchor.salt,
                                      .sequence = anchor.start_sequence + (uint64_t)count,
                                      .chain = chain};
        if (at + (int64_t)align_up(header.length, ALIGNMENT) > FILE_MOST)
            break;
        if (entries.size > 0)
            memcpy(file->data + at + BLOCK_HEADER_SIZE, entries.data, (size_t)entries.size);
        chain = block_seal(file->data + at, &header);
        at += (int64_t)align_up(header.length, ALIGNMENT);
        blocks[count++] = entries;
    }
    file->size = at;
    return count;
}

/* -- what is read ---------------------------------------------------------------------------- */

static void check_entries(struct bytes block)
{
    struct reader reader;
    struct journal_entry entry;
    reader_init(&reader, block.data, (size_t)block.size);
    const uint8_t *begin = reader.next;
    while (entry_decode(&reader, &entry)) {
        uint8_t again[ENTRY_BIND_SIZE_MAX];
        size_t size;
        if (entry.kind == ENTRY_BIND) {
            size = entry_bind_encode(&entry, again);
        } else if (entry.kind == ENTRY_START) {
            size = entry_start_encode(entry.id, entry.offset, again);
        } else if (entry.kind == ENTRY_CUT) {
            size = entry_cut_encode(&entry, again);
        } else {
            check(entry.kind == ENTRY_APPEND && entry.batches.size >= 0);
            size = entry_append_header_encode(entry.id, (uint32_t)entry.batches.size, again);
        }
        check(memcmp(again, begin, size) == 0);
        begin += size + (entry.kind == ENTRY_APPEND ? (size_t)entry.batches.size : 0);
        check(begin == reader.next);
    }
    check(reader.error != ERROR_NONE || reader_left(&reader) == 0);
}

static void read_all(struct file_port *file, const struct bytes *blocks, int count)
{
    struct journal_reader reader;
    struct bytes entries;
    int64_t found = 0;
    enum error error = journal_reader_open(&reader, &file->port, "journal");
    while (error == ERROR_NONE) {
        error = journal_reader_next(&reader, &entries);
        if (error != ERROR_NONE || (entries.size == 0 && found >= count))
            break;
        check(!blocks || (found < count && bytes_equal(entries, blocks[found])));
        check_entries(entries);
        found++;
        check(found <= FILE_MOST / ALIGNMENT); /* a block is read once */
    }
    check(!blocks || (error == ERROR_NONE && found == count));
    check(error == ERROR_NONE || reader.fault[0]);
    check(error != ERROR_NONE || reader.live_bytes == 0 ||
          reader.live_bytes <= file->size - JOURNAL_RING_BEGIN);
    journal_reader_close(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    struct bytes blocks[BLOCKS_MOST];
    struct file_port file = {.port = {.operations = &operations}, .data = memory_zeroed(FILE_MOST)};
    uint8_t choices = input_u8(&input);
    if (choices & SEALED) {
        uint16_t where = input_u16(&input);
        uint8_t change = input_u8(&input);
        int count = make_sealed(&file, &input, blocks);
        bool damaged = (choices & DAMAGED) && where < file.size && change;
        if (damaged)
            file.data[where] ^= change;
        read_all(&file, damaged ? NULL : blocks, damaged ? 0 : count);
    } else {
        make_raw(&file, &input, choices);
        read_all(&file, NULL, 0);
    }
    memory_free(file.data);
    return 0;
}
