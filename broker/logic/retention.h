#pragma once
/* What retention decides: which of a log's oldest segments go, by age and by size. Kafka's rules
 * (UnifiedLog.deleteOldSegments): from the oldest on, while each is due; by age counts the largest
 * timestamp of its records, so that one dated in the future holds back its segment and all behind
 * it, and for one without timestamps when it was begun. Nothing goes beyond the high watermark
 * (KAFKA-5634); the newest segment goes only if all before it do, and is closed first. Pure. */
#include <stdbool.h>
#include <stdint.h>

struct retention_rules {
    int64_t retention_ms, retention_bytes; /* negative: no limit */
};

struct retention_segment {
    int64_t base_offset, size_bytes;
    bool dated;         /* the largest timestamp is known */
    int64_t largest_ms; /* -1: its records have none; then: */
    int64_t begun_ms;
};

struct retention_view {
    const struct retention_segment *segments; /* by base; the last one is the newest */
    int32_t segment_count;
    int64_t log_start, log_end, high_watermark;
    int64_t now_ms;   /* wall clock */
    bool clock_holds; /* it may be trusted (steady_clock.h): else nothing goes by age */
    struct retention_rules rules;
};

struct retention_decision {
    int64_t log_start; /* from now on */
    bool rolls;        /* the newest segment is to be closed first */
    int32_t undated;   /* a segment whose largest timestamp must be known to go on; -1 */
    int64_t due_ms;    /* of the oldest that stays, by age; INT64_MAX: never */
};

void retention_decide(const struct retention_view *view, struct retention_decision *ret);
