#include "reactor/events.h"
#include "base/check.h"
#include <stdarg.h>
#include <stdio.h>

static const char *const level_names[] = {"info", "warn", "error"};

/* The rate of a kind, by its literal; the last place serves all kinds beyond the table. */
static struct event_rate *rate_of(struct events *events, const char *event)
{
    int i = 0;
    while (i < EVENT_KINDS_MAX - 1 && events->rates[i].event && events->rates[i].event != event)
        i++;
    events->rates[i].event = event;
    return &events->rates[i];
}

void event_write(struct events *events, const struct now *now, enum event_level level,
                 const char *event, const char *format, ...)
{
    check(level <= EVENT_ERROR);
    if (!events || !events->write)
        return;
    struct event_rate *rate = rate_of(events, event);
    int64_t second = now->monotonic_ns / 1000000000;
    if (rate->second != second) {
        rate->second = second;
        rate->written = 0;
    }
    if (rate->written >= EVENTS_PER_SECOND) {
        rate->left_out++;
        return;
    }
    rate->written++;
    char line[EVENT_LINE_BYTES];
    int size = snprintf(line, sizeof line, "time=%lld.%03lld level=%s event=%s ",
                        (long long)(now->wall_ms / 1000), (long long)(now->wall_ms % 1000),
                        level_names[level], event);
    if (rate->left_out)
        size += snprintf(line + size, sizeof line - (size_t)size, "left_out=%d ", rate->left_out);
    rate->left_out = 0;
    va_list arguments;
    va_start(arguments, format);
    int more = vsnprintf(line + size, sizeof line - (size_t)size, format, arguments);
    va_end(arguments);
    check(more >= 0);
    size = size + more < EVENT_LINE_BYTES - 1 ? size + more : EVENT_LINE_BYTES - 2;
    line[size++] = '\n';
    events->written++;
    events->write(events->owner, line, (size_t)size);
}

const char *event_quote(char *to, size_t to_size, struct string text)
{
    check(to_size >= 8);
    size_t at = 0;
    to[at++] = '"';
    int32_t i = 0;
    for (; i < text.size && at + 4 + 5 <= to_size; i++) { /* an escape, and ..." with its end */
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\') {
            to[at++] = '\\';
            to[at++] = (char)c;
        } else if (c < 32 || c > 126) {
            at += (size_t)snprintf(to + at, to_size - at, "\\x%02x", c);
        } else {
            to[at++] = (char)c;
        }
    }
    if (i < text.size) {
        memcpy(to + at, "...", 3);
        at += 3;
    }
    to[at++] = '"';
    to[at] = 0;
    check(at < to_size);
    return to;
}
