#include "partitioner.h"
#include "support/test.h"

/* Made with Kafka's own Utils.murmur2 and its partitioner. */
static const struct {
    const char *hex;
    int32_t hash, of_12, of_1000;
} cases[] = {
    {"", 275646681, 9, 681},
    {"54", 427252747, 7, 747},
    {"6336", 978391183, 7, 183},
    {"fd5656", -1836094225, 7, 423},
    {"81a9f29a", 965037080, 8, 80},
    {"3e94521623", 850314144, 0, 144},
    {"5073c4494bc5", 545282182, 10, 182},
    {"a0f2b0d932eba1", -160715230, 10, 418},
    {"ac072b612514e941", 67370333, 5, 333},
    {"fac47ac7bd43d132aa", -1491490146, 2, 502},
    {"5de547c155b9ebafc8ab", 1289340375, 3, 375},
    {"8cd19fe9c89d7d7233307a", 380929611, 3, 611},
    {"b0ac38e86b732bf0dd8f416d", 445204690, 10, 690},
    {"bece3594108fe206e2f1ab8cfa", 547430387, 11, 387},
    {"c031fd7b4c88b2709c77a4d3fe53", -1875575718, 2, 930},
    {"c0b9bfc4edf21c15bfca62a3c7ed38", -546504048, 8, 600},
    {"b2ad14236e0698969583065b9c195e81", 1635123273, 9, 273},
    {"fb9636981adcc3ad6cc7c97c5b3b11bb13", 1912852649, 5, 649},
    {"5bf9dcaa06c2352a3a006c4d7d1166eaa6ea", 35014468, 4, 468},
    {"c8162c17e33a3b1ffe013fe174c05d184e1c48", -1276135840, 4, 808},
    {"6e61c3af7665cc81", -763179281, 3, 367},
    {"746f7069632d37", 1154305991, 11, 991},
    {"e697a5e69cace8aa9e", 1431860170, 10, 170},
    {"67726f75705f41", 423038919, 3, 919},
    {"c3a9", 186971271, 3, 271},
    {"6d6d64696c74366269376e", -301590177, 11, 471},
};

static int nibble(char digit)
{
    return digit <= '9' ? digit - '0' : digit - 'a' + 10;
}

TEST(partitioner, hashes_keys_as_java_does)
{
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        uint8_t key[32];
        struct bytes bytes = {key, (int32_t)strlen(cases[i].hex) / 2};
        for (int at = 0; at < bytes.size; at++)
            key[at] =
                (uint8_t)(nibble(cases[i].hex[2 * at]) << 4 | nibble(cases[i].hex[2 * at + 1]));
        EQ(murmur2(bytes), cases[i].hash);
        EQ(partition_of_key(bytes, 12), cases[i].of_12);
        EQ(partition_of_key(bytes, 1000), cases[i].of_1000);
    }
}

TEST(partitioner, sticks_until_the_batch_is_full_and_then_reaches_every_partition)
{
    struct sticky sticky;
    sticky_init(&sticky, 5);
    int hits[7] = {0};
    for (int i = 0; i < 700; i++) {
        int32_t partition = sticky_partition(&sticky, 7);
        EQ(sticky_partition(&sticky, 7), partition);
        hits[partition]++;
        sticky_change(&sticky, 7);
        TRUE_(sticky_partition(&sticky, 7) != partition);
    }
    for (int i = 0; i < 7; i++)
        TRUE_(hits[i] > 60 && hits[i] < 140);
    sticky_change(&sticky, 1);
    EQ(sticky_partition(&sticky, 1), 0);
}
