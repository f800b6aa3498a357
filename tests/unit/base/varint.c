#include "base/reader.h"
#include "base/writer.h"
#include "support/test.h"

TEST(varint, comes_back_at_every_length)
{
    for (int bits = 0; bits < 64; bits++) {
        uint64_t power = 1ull << bits;
        int64_t values[] = {(int64_t)power, (int64_t)(0 - power), (int64_t)(power - 1)};
        for (int i = 0; i < 3; i++) {
            uint8_t bytes[16];
            struct writer writer;
            writer_init(&writer, bytes, sizeof bytes);
            write_varlong(&writer, values[i]);
            EQ(writer.size, varlong_size(values[i]));
            struct reader reader;
            reader_init(&reader, bytes, writer.size);
            EQ(read_varlong(&reader), values[i]);
            EQ(reader.error, ERROR_NONE);
            EQ(reader_left(&reader), 0);
        }
    }
}

TEST(varint, refuses_overlong_oversized_and_cut_ones)
{
    struct {
        uint8_t bytes[6];
        int size;
        enum error error;
    } cases[] = {
        {{0x80, 0x00}, 2, ERROR_MALFORMED},
        {{0xff, 0xff, 0xff, 0xff, 0x1f}, 5, ERROR_MALFORMED},
        {{0x80, 0x80, 0x80, 0x80, 0x80, 0x01}, 6, ERROR_MALFORMED},
        {{0xff, 0xff}, 2, ERROR_TRUNCATED},
        {{0xff, 0xff, 0xff, 0xff, 0x0f}, 5, ERROR_NONE},
    };
    for (int i = 0; i < 5; i++) {
        struct reader reader;
        reader_init(&reader, cases[i].bytes, (size_t)cases[i].size);
        read_uvarint(&reader);
        EQ(reader.error, cases[i].error);
    }
}
