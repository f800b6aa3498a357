#include "base/siphash.h"
#include "support/test.h"

/* Vectors of the authors' reference implementation: key 00..0f, input 00, 01, 02, ... */
TEST(siphash, gives_the_reference_vectors)
{
    static const struct {
        size_t size;
        uint8_t hash[16];
    } rows[] = {
        {0,
         {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
          0x93}},
        {1,
         {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
          0x45}},
    };
    uint8_t key[SIPHASH_KEY_BYTES], data[64];
    for (int i = 0; i < 64; i++)
        data[i] = (uint8_t)i;
    memcpy(key, data, sizeof key);
    for (int i = 0; i < (int)(sizeof rows / sizeof rows[0]); i++) {
        struct hash128 hash = siphash128(key, data, rows[i].size);
        EQ_BYTES(&hash.low, rows[i].hash, 8);
        EQ_BYTES(&hash.high, rows[i].hash + 8, 8);
    }
}

TEST(siphash, depends_on_every_byte_of_key_and_input)
{
    uint8_t key[SIPHASH_KEY_BYTES] = {0}, data[33] = {0};
    struct hash128 plain = siphash128(key, data, sizeof data);
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] ^= 1;
        struct hash128 hash = siphash128(key, data, sizeof data);
        TRUE_(hash.low != plain.low && hash.high != plain.high);
        key[i] ^= 1;
    }
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] ^= 0x80;
        struct hash128 hash = siphash128(key, data, sizeof data);
        TRUE_(hash.low != plain.low && hash.high != plain.high);
        data[i] ^= 0x80;
    }
}
