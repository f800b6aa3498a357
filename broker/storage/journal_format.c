#include "storage/journal_format.h"
#include "base/check.h"
#include "base/writer.h"
#include "codec/crc32c.h"

static const uint64_t anchor_magic = 0x014e524a454c4f42u; /* "BOLEJRN\1" */
static const uint32_t block_magic = 0x31424a42u;          /* "BJB1" */

static void store32(uint8_t *to, uint32_t value)
{
    memcpy(to, &value, sizeof value);
}

static void store64(uint8_t *to, uint64_t value)
{
    memcpy(to, &value, sizeof value);
}

static uint32_t load32(const uint8_t *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

static uint64_t load64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the journal is little-endian");

void anchor_encode(const struct anchor *anchor, uint8_t *slot)
{
    memset(slot, 0, JOURNAL_ANCHOR_SLOT);
    store64(slot, anchor_magic);
    store32(slot + 8, JOURNAL_VERSION);
    store32(slot + 12, anchor->alignment);
    store64(slot + 16, anchor->generation);
    store64(slot + 24, anchor->salt);
    store64(slot + 32, (uint64_t)anchor->start_position);
    store64(slot + 40, anchor->start_sequence);
    store32(slot + 48, anchor->start_chain);
    store32(slot + 60, crc32c(0, slot, 60));
}

enum error anchor_decode(const uint8_t *slot, struct anchor *ret)
{
    if (load64(slot) != anchor_magic || load32(slot + 60) != crc32c(0, slot, 60))
        return ERROR_MALFORMED;
    if (load32(slot + 8) > JOURNAL_VERSION)
        return ERROR_NEWER_VERSION;
    *ret = (struct anchor){
        .version = load32(slot + 8),
        .alignment = load32(slot + 12),
        .generation = load64(slot + 16),
        .salt = load64(slot + 24),
        .start_position = (int64_t)load64(slot + 32),
        .start_sequence = load64(slot + 40),
        .start_chain = load32(slot + 48),
    };
    return ERROR_NONE;
}

static uint32_t block_crc(const uint8_t *block, uint32_t length, uint32_t chain)
{
    uint32_t crc = crc32c(chain, block, 36);
    return crc32c(crc, block + BLOCK_HEADER_SIZE, length - BLOCK_HEADER_SIZE);
}

uint32_t block_seal(uint8_t *block, const struct block_header *header)
{
    check(header->length >= BLOCK_HEADER_SIZE);
    store32(block, block_magic);
    store32(block + 4, header->length);
    store64(block + 8, header->salt);
    store64(block + 16, header->sequence);
    store32(block + 24, header->lap | (uint32_t)header->place << 16);
    store32(block + 28, header->entry_count);
    store32(block + 32, header->chain);
    uint32_t crc = block_crc(block, header->length, header->chain);
    store32(block + 36, crc);
    return crc;
}

bool block_peek(const uint8_t *block, struct block_header *ret)
{
    *ret = (struct block_header){
        .length = load32(block + 4),
        .salt = load64(block + 8),
        .sequence = load64(block + 16),
        .lap = (uint16_t)load32(block + 24),
        .place = (uint16_t)(load32(block + 24) >> 16),
        .entry_count = load32(block + 28),
        .chain = load32(block + 32),
        .crc = load32(block + 36),
    };
    return load32(block) == block_magic && ret->length >= BLOCK_HEADER_SIZE;
}

bool block_is_whole(const uint8_t *block, const struct block_header *header)
{
    return block_crc(block, header->length, header->chain) == header->crc;
}

static size_t put_uvarint(uint8_t *to, uint32_t value)
{
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        to[size++] = (uint8_t)(value | 0x80);
    to[size++] = (uint8_t)value;
    return size;
}

size_t entry_bind_encode(const struct journal_entry *entry, uint8_t *to)
{
    size_t size = 0;
    to[size++] = ENTRY_BIND;
    size += put_uvarint(to + size, entry->id);
    memcpy(to + size, entry->topic_id.bytes, 16);
    store32(to + size + 16, (uint32_t)entry->partition);
    store64(to + size + 20, (uint64_t)entry->segment_base);
    store32(to + size + 28, entry->position);
    return size + 32;
}

size_t entry_append_header_encode(uint32_t id, uint32_t bytes, uint8_t *to)
{
    size_t size = 0;
    to[size++] = ENTRY_APPEND;
    size += put_uvarint(to + size, id);
    return size + put_uvarint(to + size, bytes);
}

size_t entry_start_encode(uint32_t id, int64_t offset, uint8_t *to)
{
    size_t size = 0;
    to[size++] = ENTRY_START;
    size += put_uvarint(to + size, id);
    store64(to + size, (uint64_t)offset);
    return size + 8;
}

size_t entry_cut_encode(const struct journal_entry *entry, uint8_t *to)
{
    size_t size = 0;
    to[size++] = ENTRY_CUT;
    size += put_uvarint(to + size, entry->id);
    store64(to + size, (uint64_t)entry->offset);
    store64(to + size + 8, (uint64_t)entry->segment_base);
    store32(to + size + 16, entry->position);
    return size + 20;
}

static void decode_bind(struct reader *reader, struct journal_entry *ret)
{
    const uint8_t *at = reader_take(reader, 32);
    if (!at)
        return;
    memcpy(ret->topic_id.bytes, at, 16);
    ret->partition = (int32_t)load32(at + 16);
    ret->segment_base = (int64_t)load64(at + 20);
    ret->position = load32(at + 28);
}

static void decode_start(struct reader *reader, struct journal_entry *ret)
{
    const uint8_t *at = reader_take(reader, 8);
    ret->offset = at ? (int64_t)load64(at) : 0;
    if (ret->offset < 0)
        reader_fail(reader, ERROR_MALFORMED);
}

static void decode_cut(struct reader *reader, struct journal_entry *ret)
{
    const uint8_t *at = reader_take(reader, 20);
    if (!at)
        return;
    ret->offset = (int64_t)load64(at);
    ret->segment_base = (int64_t)load64(at + 8);
    ret->position = load32(at + 16);
    bool anew = ret->segment_base == -1 && ret->position == 0;
    if (ret->offset < 0 || ret->segment_base > ret->offset || (ret->segment_base < 0 && !anew))
        reader_fail(reader, ERROR_MALFORMED);
}

bool entry_decode(struct reader *reader, struct journal_entry *ret)
{
    if (reader_left(reader) == 0)
        return false;
    *ret = (struct journal_entry){.kind = (enum entry_kind)(uint8_t)read_i8(reader)};
    ret->id = read_uvarint(reader);
    switch (ret->kind) {
    case ENTRY_BIND:
        decode_bind(reader, ret);
        break;
    case ENTRY_APPEND: {
        uint32_t size = read_uvarint(reader);
        ret->batches.data = reader_take(reader, size);
        ret->batches.size = (int32_t)size;
        break;
    }
    case ENTRY_START:
        decode_start(reader, ret);
        break;
    case ENTRY_CUT:
        decode_cut(reader, ret);
        break;
    default:
        reader_fail(reader, ERROR_MALFORMED);
    }
    return reader->error == ERROR_NONE;
}
