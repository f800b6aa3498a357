#pragma once
/* Events for a person to read: one line each, in logfmt (level=warn event=frame_refused
 * client=...). One log per core, on the core's thread only. Whoever runs the core says where lines
 * go: stderr, a test, or nowhere. A kind of event that repeats is limited per second and the next
 * line says how many were left out, so a hostile peer can't fill a disk. */
#include "base/bytes.h"
#include "reactor/port.h"

enum event_level { EVENT_INFO, EVENT_WARN, EVENT_ERROR };

enum { EVENT_KINDS_MAX = 32, EVENTS_PER_SECOND = 10, EVENT_LINE_BYTES = 1024 };

struct events {
    /* Gets one whole line, with its newline. Null: silent. */
    void (*write)(void *owner, const char *line, size_t size);
    void *owner;
    uint64_t written;
    struct event_rate {
        const char *event;
        int64_t second;
        int32_t written, left_out;
    } rates[EVENT_KINDS_MAX];
};

/* Writes one line. `event` is a literal: one kind. `format` gives the pairs, "key=value key=value";
 * values that a peer chose go through event_quote first. Cut at EVENT_LINE_BYTES. */
void event_write(struct events *events, const struct now *now, enum event_level level,
                 const char *event, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Text for a value: in quotes, with quotes, backslashes, control characters and what is not ASCII
 * escaped; cut with "..." where `to_size` (≥ 8) is too small; null gives `""`. Returns `to`. */
const char *event_quote(char *to, size_t to_size, struct string text);
