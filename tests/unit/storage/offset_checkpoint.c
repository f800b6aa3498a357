#include "storage/offset_checkpoint.h"
#include "base/memory.h"
#include "support/test.h"

static struct bytes text_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, (int32_t)strlen(text)};
}

TEST(offset_checkpoint, reads_what_kafka_writes)
{
    struct offset_checkpoint checkpoint;
    EQ(offset_checkpoint_read(&checkpoint,
                              text_of("0\n3\na 0 17\na.b-c 12 0\n__x 1 9007199254740993\n")),
       ERROR_NONE);
    EQ(offset_checkpoint_get(&checkpoint, STRING("a"), 0), 17);
    EQ(offset_checkpoint_get(&checkpoint, STRING("a.b-c"), 12), 0);
    EQ(offset_checkpoint_get(&checkpoint, STRING("__x"), 1), INT64_C(9007199254740993));
    EQ(offset_checkpoint_get(&checkpoint, STRING("a"), 1), -1);
    EQ(offset_checkpoint_get(&checkpoint, STRING("a.b"), 12), -1);
    offset_checkpoint_done(&checkpoint);
}

TEST(offset_checkpoint, believes_nothing_of_a_damaged_file)
{
    static const char *const texts[] = {
        "",
        "0",
        "0\n",
        "1\n0\n",
        "0\n1\n",
        "0\n1\na 0",
        "0\n1\na 0\n",
        "0\n1\na x 1\n",
        "0\n1\n 0 1\n",
        "0\n1\na 0 -1\n",
        "0\n2\na 0 1\n",
        "0\n99999999999\na 0 1\n",
        "0\n1\na 0 99999999999999999999\n",
    };
    for (int i = 0; i < (int)(sizeof texts / sizeof texts[0]); i++) {
        struct offset_checkpoint checkpoint;
        EQ(offset_checkpoint_read(&checkpoint, text_of(texts[i])), ERROR_MALFORMED);
        EQ(offset_checkpoint_get(&checkpoint, STRING("a"), 0), -1);
        offset_checkpoint_done(&checkpoint);
    }
}

/* Every bit of a file flipped: it is refused, or says as much as before. */
TEST(offset_checkpoint, with_any_bit_flipped_is_refused_or_whole)
{
    static const char whole[] = "0\n2\ntopic 0 4711\nother 1 815\n";
    for (size_t bit = 0; bit < 8 * (sizeof whole - 1); bit++) {
        char text[sizeof whole];
        memcpy(text, whole, sizeof whole);
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        struct offset_checkpoint checkpoint;
        struct bytes bytes = {(const uint8_t *)text, sizeof whole - 1};
        if (offset_checkpoint_read(&checkpoint, bytes) == ERROR_NONE)
            TRUE_(checkpoint.map.count <= 2);
        else
            EQ(checkpoint.map.count, 0);
        offset_checkpoint_done(&checkpoint);
    }
}

TEST(offset_checkpoint, writes_what_it_reads)
{
    struct offset_checkpoint_text text = {0};
    char *none = offset_checkpoint_take(&text);
    EQ_TEXT(none, "0\n0\n");
    memory_free(none);
    for (int i = 0; i < 20; i++)
        offset_checkpoint_add(&text, STRING("some.topic"), i, 1000 * i);
    char *whole = offset_checkpoint_take(&text);
    struct offset_checkpoint checkpoint;
    EQ(offset_checkpoint_read(&checkpoint, text_of(whole)), ERROR_NONE);
    for (int i = 0; i < 20; i++)
        EQ(offset_checkpoint_get(&checkpoint, STRING("some.topic"), i), 1000 * i);
    offset_checkpoint_done(&checkpoint);
    memory_free(whole);
}
