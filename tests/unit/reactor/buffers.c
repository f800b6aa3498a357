/* The budget of buffers. */
#include "reactor/buffers.h"
#include "base/memory.h"
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

TEST(buffers, kept_and_used_are_no_more_than_the_budget)
{
    struct buffers buffers;
    buffers_init(&buffers, 16384, 0);
    buffers_keep(&buffers, 16384, true);
    struct buffer *first = buffers_take(&buffers, 8192), *second = buffers_take(&buffers, 8192);
    buffer_release(first);
    EQ(buffers.kept_bytes, 8192);
    struct buffer *small = buffers_take(&buffers, 4096);
    TRUE_(small != NULL);
    EQ(buffers.kept_bytes, 0); /* with the one that is kept it would be 20 KiB */
    buffer_release(second);
    buffer_release(small);
    EQ(buffers.kept_bytes, 12288);
    buffers_keep(&buffers, 4096, false);
    EQ(buffers.kept_bytes, 4096);
    buffers_done(&buffers);
}

TEST(buffers, in_large_pages_begin_with_one)
{
    struct buffers buffers;
    buffers_init(&buffers, 64u << 20, 0);
    buffers_keep(&buffers, 64u << 20, true);
    struct buffer *large = buffers_take(&buffers, MEMORY_LARGE_PAGE);
    EQ((uintptr_t)large->data % MEMORY_LARGE_PAGE, 0);
    memset(large->data, 1, large->size);
    buffer_release(large);
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
