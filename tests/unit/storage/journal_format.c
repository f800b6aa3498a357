#include "storage/journal_format.h"
#include "base/check.h"
#include "codec/crc32c.h"
#include "support/test.h"

static struct anchor an_anchor(void)
{
    return (struct anchor){.alignment = 512,
                           .generation = 7,
                           .salt = 0x1122334455667788,
                           .start_position = 40960,
                           .start_sequence = 99,
                           .start_chain = 0xdeadbeef};
}

TEST(journal_format, anchor_comes_back)
{
    uint8_t slot[JOURNAL_ANCHOR_SLOT];
    struct anchor anchor = an_anchor(), back = {0};
    anchor_encode(&anchor, slot);
    EQ(anchor_decode(slot, &back), ERROR_NONE);
    EQ(back.alignment, anchor.alignment);
    EQ(back.generation, anchor.generation);
    EQ(back.salt, anchor.salt);
    EQ(back.start_position, anchor.start_position);
    EQ(back.start_sequence, anchor.start_sequence);
    EQ(back.start_chain, anchor.start_chain);
}

/* Puts another version into an anchor, with its CRC. */
static void set_version(uint8_t *slot, uint32_t version)
{
    memcpy(slot + 8, &version, sizeof version);
    uint32_t crc = crc32c(0, slot, 60);
    memcpy(slot + 60, &crc, sizeof crc);
}

TEST(journal_format, older_versions_are_read_and_newer_ones_named)
{
    uint8_t slot[JOURNAL_ANCHOR_SLOT];
    struct anchor anchor = an_anchor(), back;
    anchor_encode(&anchor, slot);
    EQ(anchor_decode(slot, &back), ERROR_NONE);
    EQ(back.version, 2);
    set_version(slot, 1);
    EQ(anchor_decode(slot, &back), ERROR_NONE);
    EQ(back.version, 1);
    set_version(slot, 3);
    EQ(anchor_decode(slot, &back), ERROR_NEWER_VERSION);
}

TEST(journal_format, any_flipped_bit_of_an_anchor_is_noticed)
{
    uint8_t slot[JOURNAL_ANCHOR_SLOT];
    struct anchor anchor = an_anchor(), back;
    anchor_encode(&anchor, slot);
    for (int bit = 0; bit < 64 * 8; bit++) {
        slot[bit / 8] ^= (uint8_t)(1 << bit % 8);
        EQ(anchor_decode(slot, &back), ERROR_MALFORMED);
        slot[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

/* A block with a bind and an append. */
static uint32_t a_block(uint8_t *block, uint32_t chain)
{
    struct journal_entry bind = {.id = 300,
                                 .topic_id = {{1, 2, 3}},
                                 .partition = 4,
                                 .segment_base = 5000000000,
                                 .position = 77};
    size_t used = BLOCK_HEADER_SIZE;
    used += entry_bind_encode(&bind, block + used);
    used += entry_append_header_encode(300, 5, block + used);
    memcpy(block + used, "hello", 5);
    struct block_header header = {.length = (uint32_t)used + 5,
                                  .salt = 12,
                                  .sequence = 34,
                                  .lap = 5,
                                  .place = 6,
                                  .entry_count = 2,
                                  .chain = chain};
    return block_seal(block, &header);
}

TEST(journal_format, block_comes_back)
{
    uint8_t block[512] = {0};
    struct block_header header;
    uint32_t crc = a_block(block, 1);
    TRUE_(block_peek(block, &header));
    EQ(header.crc, crc);
    EQ(header.salt, 12);
    EQ(header.sequence, 34);
    EQ(header.lap, 5);
    EQ(header.place, 6);
    EQ(header.entry_count, 2);
    TRUE_(block_is_whole(block, &header));
    struct reader reader;
    reader_init(&reader, block + BLOCK_HEADER_SIZE, header.length - BLOCK_HEADER_SIZE);
    struct journal_entry entry;
    TRUE_(entry_decode(&reader, &entry));
    EQ(entry.kind, ENTRY_BIND);
    EQ(entry.id, 300);
    EQ(entry.partition, 4);
    EQ(entry.segment_base, 5000000000);
    EQ(entry.position, 77);
    EQ(entry.topic_id.bytes[2], 3);
    TRUE_(entry_decode(&reader, &entry));
    EQ(entry.kind, ENTRY_APPEND);
    EQ(entry.id, 300);
    EQ(entry.batches.size, 5);
    EQ_BYTES(entry.batches.data, "hello", 5);
    TRUE_(!entry_decode(&reader, &entry));
    EQ(reader.error, ERROR_NONE);
}

TEST(journal_format, any_flipped_bit_of_a_block_is_noticed)
{
    uint8_t block[512] = {0};
    struct block_header header;
    a_block(block, 1);
    block_peek(block, &header);
    for (uint32_t bit = 0; bit < 8 * header.length; bit++) {
        struct block_header back;
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
        TRUE_(!block_peek(block, &back) || back.length > sizeof block ||
              !block_is_whole(block, &back));
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

TEST(journal_format, a_block_is_tied_to_the_one_before)
{
    uint8_t one[512] = {0}, other[512] = {0};
    TRUE_(a_block(one, 1) != a_block(other, 2));
}

TEST(journal_format, start_and_cut_come_back)
{
    uint8_t bytes[ENTRY_START_SIZE_MAX + 2 * ENTRY_CUT_SIZE_MAX];
    struct journal_entry cut = {
        .id = 7, .offset = 1ll << 40, .segment_base = 3, .position = 4000000000u};
    struct journal_entry anew = {.id = 7, .offset = 12, .segment_base = -1}, entry;
    size_t size = entry_start_encode(UINT32_MAX, INT64_MAX, bytes);
    EQ(size, ENTRY_START_SIZE_MAX);
    size += entry_cut_encode(&cut, bytes + size);
    size += entry_cut_encode(&anew, bytes + size);
    struct reader reader;
    reader_init(&reader, bytes, size);
    TRUE_(entry_decode(&reader, &entry));
    EQ(entry.kind, ENTRY_START);
    EQ(entry.id, UINT32_MAX);
    EQ(entry.offset, INT64_MAX);
    TRUE_(entry_decode(&reader, &entry));
    EQ(entry.kind, ENTRY_CUT);
    EQ(entry.id, 7);
    EQ(entry.offset, 1ll << 40);
    EQ(entry.segment_base, 3);
    EQ(entry.position, 4000000000u);
    TRUE_(entry_decode(&reader, &entry));
    EQ(entry.offset, 12);
    EQ(entry.segment_base, -1);
    TRUE_(!entry_decode(&reader, &entry));
    EQ(reader.error, ERROR_NONE);
}

/* A cut is refused where it names no place. */
static bool is_refused(struct journal_entry cut)
{
    uint8_t bytes[ENTRY_CUT_SIZE_MAX];
    struct reader reader;
    struct journal_entry entry;
    reader_init(&reader, bytes, entry_cut_encode(&cut, bytes));
    return !entry_decode(&reader, &entry) && reader.error == ERROR_MALFORMED;
}

TEST(journal_format, a_cut_to_no_place_is_an_error)
{
    TRUE_(!is_refused((struct journal_entry){.offset = 5, .segment_base = 5}));
    TRUE_(is_refused((struct journal_entry){.offset = 5, .segment_base = 6}));
    TRUE_(is_refused((struct journal_entry){.offset = -1, .segment_base = -1}));
    TRUE_(is_refused((struct journal_entry){.offset = 5, .segment_base = -2}));
    TRUE_(is_refused((struct journal_entry){.offset = 5, .segment_base = -1, .position = 1}));
}

TEST(journal_format, entries_that_are_none_are_an_error)
{
    static const uint8_t unknown[] = {9, 1}, short_bind[] = {ENTRY_BIND, 1, 0, 0},
                         short_append[] = {ENTRY_APPEND, 1, 200, 1, 0},
                         short_start[] = {ENTRY_START, 1, 0, 0},
                         no_start[] = {ENTRY_START, 1, 0, 0, 0, 0, 0, 0, 0, 128},
                         short_cut[] = {ENTRY_CUT, 1, 5, 0, 0, 0, 0, 0, 0, 0, 5};
    const struct bytes cases[] = {
        {unknown, sizeof unknown},           {short_bind, sizeof short_bind},
        {short_append, sizeof short_append}, {short_start, sizeof short_start},
        {no_start, sizeof no_start},         {short_cut, sizeof short_cut}};
    for (int i = 0; i < ARRAY_COUNT(cases); i++) {
        struct reader reader;
        struct journal_entry entry;
        reader_init(&reader, cases[i].data, (size_t)cases[i].size);
        TRUE_(!entry_decode(&reader, &entry));
        TRUE_(reader.error != ERROR_NONE);
    }
}
