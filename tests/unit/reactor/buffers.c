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
