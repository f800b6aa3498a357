#include "tools/progress.h"
#include "support/test.h"

static void expect(uint64_t records, uint64_t bytes, int64_t ms, const char *want)
{
    struct progress progress = {.records = records, .bytes = bytes};
    char text[96];
    progress_text(&progress, ms, text);
    EQ_TEXT(text, want);
}

TEST(progress, is_a_line_for_a_person)
{
    expect(0, 0, 0, "0 records  0.0 MiB  0.0 MiB/s");
    expect(1, 1 << 20, 500, "1 record  1.0 MiB  2.0 MiB/s");
    expect(1234567, 3 << 20, 2000, "1,234,567 records  3.0 MiB  1.5 MiB/s");
    expect(100000, 0, 1000, "100,000 records  0.0 MiB  0.0 MiB/s");
}
