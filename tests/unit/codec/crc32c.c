#include "codec/crc32c.h"
#include "support/test.h"

TEST(crc32c, gives_the_known_value)
{
    EQ(crc32c(0, "123456789", 9), 0xe3069283);
    EQ(crc32c(0, "", 0), 0);
}

TEST(crc32c, continues)
{
    const char text[] = "a bole is the trunk of a tree: a log, grown ring by ring";
    size_t size = sizeof text - 1;
    for (size_t cut = 0; cut <= size; cut++)
        EQ(crc32c(crc32c(0, text, cut), text + cut, size - cut), crc32c(0, text, size));
}
