#include "storage/log_starts.h"
#include "base/memory.h"
#include "support/test.h"

static const struct uuid one = {{1, 2, 3}}, other = {{9}};

TEST(log_starts, come_back)
{
    struct log_starts starts, back;
    bool news = false;
    log_starts_init(&starts);
    log_starts_init(&back);
    TRUE_(log_starts_note(&starts, one, 0, 4711));
    TRUE_(log_starts_note(&starts, one, 1, INT64_MAX));
    TRUE_(log_starts_note(&starts, other, 0, 1));
    struct bytes text = log_starts_encode(&starts);
    EQ(log_starts_decode(&back, text, &news), ERROR_NONE);
    TRUE_(news);
    EQ(log_starts_get(&back, one, 0), 4711);
    EQ(log_starts_get(&back, one, 1), INT64_MAX);
    EQ(log_starts_get(&back, other, 0), 1);
    EQ(log_starts_get(&back, other, 1), 0);
    news = false;
    EQ(log_starts_decode(&back, text, &news), ERROR_NONE);
    TRUE_(!news);
    memory_free((void *)(uintptr_t)text.data);
    log_starts_done(&starts);
    log_starts_done(&back);
}

TEST(log_starts, only_grow)
{
    struct log_starts starts;
    log_starts_init(&starts);
    TRUE_(log_starts_note(&starts, one, 0, 7));
    TRUE_(!log_starts_note(&starts, one, 0, 6));
    TRUE_(!log_starts_note(&starts, one, 0, 7));
    TRUE_(log_starts_note(&starts, one, 0, 8));
    EQ(log_starts_get(&starts, one, 0), 8);
    log_starts_done(&starts);
}

TEST(log_starts, any_flipped_bit_of_a_file_is_noticed)
{
    struct log_starts starts;
    bool news = false;
    log_starts_init(&starts);
    log_starts_note(&starts, one, 3, 4711);
    struct bytes text = log_starts_encode(&starts);
    uint8_t *bytes = (uint8_t *)(uintptr_t)text.data;
    for (int32_t bit = 0; bit < 8 * text.size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        TRUE_(log_starts_decode(&starts, text, &news) != ERROR_NONE);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (int32_t size = 0; size < text.size; size++)
        TRUE_(log_starts_decode(&starts, (struct bytes){text.data, size}, &news) != ERROR_NONE);
    EQ(log_starts_decode(&starts, text, &news), ERROR_NONE);
    memory_free(bytes);
    log_starts_done(&starts);
}
