/* Lines of the event log: their form, their limit, and what a peer may not do to them. */
#include "reactor/events.h"
#include "support/test.h"
#include <stdio.h>

struct sink {
    int lines;
    char last[EVENT_LINE_BYTES + 1];
};

static void take(void *owner, const char *line, size_t size)
{
    struct sink *sink = owner;
    sink->lines++;
    snprintf(sink->last, sizeof sink->last, "%.*s", (int)size, line);
}

TEST(events, are_lines_of_pairs)
{
    struct sink sink = {0};
    struct events events = {.write = take, .owner = &sink};
    struct now now = {.monotonic_ns = 1, .wall_ms = 12345};
    event_write(&events, &now, EVENT_WARN, "x", "a=%d b=%s", 1, "two");
    EQ_TEXT(sink.last, "time=12.345 level=warn event=x a=1 b=two\n");
    event_write(&(struct events){0}, &now, EVENT_INFO, "x", "nobody reads this");
    event_write(&events, &now, EVENT_INFO, "y", "%2000d", 1);
    EQ(strlen(sink.last), EVENT_LINE_BYTES - 1);
    EQ(sink.last[EVENT_LINE_BYTES - 2], '\n');
}

TEST(events, are_limited_per_kind_and_second)
{
    struct sink sink = {0};
    struct events events = {.write = take, .owner = &sink};
    struct now now = {.monotonic_ns = 5000000000, .wall_ms = 0};
    const char *kind = "x";
    for (int i = 0; i < EVENTS_PER_SECOND + 7; i++)
        event_write(&events, &now, EVENT_WARN, kind, "i=%d", i);
    EQ(sink.lines, EVENTS_PER_SECOND);
    event_write(&events, &now, EVENT_WARN, "other", "i=%d", 0);
    EQ(sink.lines, EVENTS_PER_SECOND + 1);
    now.monotonic_ns += 1000000000;
    event_write(&events, &now, EVENT_WARN, kind, "i=%d", 99);
    EQ_TEXT(sink.last, "time=0.000 level=warn event=x left_out=7 i=99\n");
}

TEST(events, quote_what_a_peer_says)
{
    char to[32];
    EQ_TEXT(event_quote(to, sizeof to, STRING("a\"\\\n\xff")), "\"a\\\"\\\\\\x0a\\xff\"");
    EQ_TEXT(event_quote(to, sizeof to, STRING_NULL), "\"\"");
    EQ_TEXT(event_quote(to, 16, STRING("0123456789abcdef")), "\"0123456...\"");
    EQ_TEXT(event_quote(to, 8, STRING("0123456789abcdef")), "\"...\"");
}
