#include "storage/segment.h"
#include "support/test.h"

TEST(segment, names)
{
    char name[SEGMENT_NAME_SIZE];
    int64_t base = -1;
    segment_name(42, ".log", name);
    EQ_TEXT(name, "00000000000000000042.log");
    TRUE_(segment_name_parse(name, ".log", &base));
    EQ(base, 42);
    static const char *const others[] = {"00000000000000000042.index",
                                         "42.log",
                                         "",
                                         "0000000000000000004x.log",
                                         "00000000000000000042.log.deleted",
                                         "99999999999999999999.log"};
    for (int i = 0; i < 6; i++)
        TRUE_(!segment_name_parse(others[i], ".log", &base));
}

/* Entries at 0 (none), 100, 250, 400 of batches of ten records, with an interval of 100. */
static struct segment *with_entries(void)
{
    struct segment *segment = segment_new(NULL, 1000);
    static const int32_t positions[] = {0, 100, 150, 250, 400};
    for (int i = 0; i < 5; i++)
        segment_index_note(segment, 1000 + 10 * i + 9, positions[i], 100);
    return segment;
}

TEST(segment, index_has_an_entry_every_so_many_bytes)
{
    struct segment *segment = with_entries();
    EQ(segment->index_count, 3);
    EQ(segment_index_find(segment, 1000), 0);
    EQ(segment_index_find(segment, 1018), 0);
    EQ(segment_index_find(segment, 1019), 100);
    EQ(segment_index_find(segment, 1048), 250);
    EQ(segment_index_find(segment, 5000), 400);
    EQ(segment_index_below(segment, 100), 0);
    EQ(segment_index_below(segment, 101), 1);
    EQ(segment_index_below(segment, 401), 3);
    segment_free(segment);
}

TEST(segment, index_comes_back_as_far_as_it_can_be_right)
{
    struct segment *segment = with_entries(), *back = segment_new(NULL, 1000);
    uint8_t bytes[32] = {0};
    index_encode(segment, 0, 3, bytes);
    index_decode(back, bytes, 32, 500); /* zeros behind: Kafka's, not cut yet */
    EQ(back->index_count, 3);
    EQ(back->indexed_position, 400);
    index_decode(back, bytes, 24, 400); /* the last points beyond the end */
    EQ(back->index_count, 2);
    index_decode(back, bytes, 13, 500); /* half an entry */
    EQ(back->index_count, 1);
    bytes[7] = 255; /* positions that fall */
    bytes[6] = 255;
    index_decode(back, bytes, 24, 100000);
    EQ(back->index_count, 1);
    segment_free(back);
    segment_free(segment);
}

/* Of what is in the file the last bytes may lack their entries: 64 KiB, or 16 intervals. */
TEST(segment, indexes_may_lag_by_so_much)
{
    EQ(segment_indexes_end(1 << 20, 4096), (1 << 20) - (64 << 10));
    EQ(segment_indexes_end(1 << 20, INT32_MAX), (1 << 20) - (64 << 10));
    EQ(segment_indexes_end(1000, 10), 840);
    EQ(segment_indexes_end(100, 10), 0);
    struct segment *segment = with_entries();
    EQ(segment_times_end(segment), 50);
    segment->drained = 260; /* the entry at 100 lies 160 bytes before it */
    TRUE_(!segment_indexes_lag(segment, 10));
    segment->drained = 261;
    TRUE_(segment_indexes_lag(segment, 10));
    segment->index_written = 1;
    TRUE_(!segment_indexes_lag(segment, 10));
    segment_free(segment);
}
