/* The budget of buffers. */
#include "reactor/buffers.h"
#include "reactor/flow.h"
#include "support/test.h"

TEST(buffers, are_charged_whole_before_they_are_given)
{
    struct buffers buffers;
    buffers_init(&buffers, 16384, 0);
    struct buffer *first = buffers_take(&buffers, 8192);
    TRUE_(first != NULL);
    TRUE_(buffers_take(&buffers, 8193) == NULL); /* 16 KiB would be charged */
    struct buffer *second = buffers_take(&buffers, 8192);
    TRUE_(second != NULL);
    EQ(buffers.used_bytes, 16384);
    TRUE_(buffers_take(&buffers, 1) == NULL);
    buffer_release(first);
    buffer_release(second);
    EQ(buffers.used_bytes, 0);
    buffers_done(&buffers);
}

TEST(buffers, let_one_through_alone_whatever_is_set_aside)
{
    struct buffers buffers;
    buffers_init(&buffers, 8192, 0);
    struct buffer *aside = buffers_take(&buffers, 8192);
    TRUE_(buffers_take(&buffers, 4096) == NULL);
    buffer_set_aside(aside);
    struct buffer *alone = buffers_take(&buffers, 100000);
    TRUE_(alone != NULL);
    TRUE_(buffers_take(&buffers, 1) == NULL);
    buffer_release(aside);
    EQ(buffers.aside_bytes, 0);
    TRUE_(buffers_take(&buffers, 1) == NULL);
    buffer_release(alone);
    EQ(buffers.used_bytes, 0);
    buffers_done(&buffers);
}

TEST(buffers, of_exact_size_are_kept_for_whoever_wants_little_less)
{
    struct buffers buffers;
    buffers_init(&buffers, 64u << 20, 16u << 20);
    struct buffer *large = buffers_take(&buffers, 10u << 20);
    EQ(large->size, 10u << 20);
    buffer_release(large);
    EQ(buffers.kept_bytes, 10u << 20);
    struct buffer *half = buffers_take(&buffers, 5u << 20);
    TRUE_(half != large && half->size == 5u << 20);
    TRUE_(buffers_take(&buffers, 9u << 20) == large);
    EQ(buffers.kept_bytes, 0);
    EQ(buffers.used_bytes, 15u << 20);
    buffer_release(large);
    buffer_release(half); /* the other one is as much as is kept, almost */
    EQ(buffers.kept_bytes, 15u << 20);
    buffers_done(&buffers);
}
