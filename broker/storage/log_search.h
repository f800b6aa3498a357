#pragma once
/* Look-ups by time in a log: the first record at or after a timestamp, and the one with the largest
 * timestamp (KIP-734). The time indexes say in which segment, and from which batch on, to look;
 * compressed batches are looked into. */
#include "base/list.h"
#include "storage/log.h"

struct log_search {
    /* arguments; zero the rest */
    struct log *log;
    bool largest;         /* the largest timestamp, of its records the first; else: */
    int64_t timestamp_ms; /* wanted */
    int64_t end_offset;   /* only records below it, e.g. the high watermark */
    /* results */
    enum error error;
    int64_t offset; /* -1: there is none */
    int64_t found_ms;
    int32_t leader_epoch; /* of its batch */
    /* inside */
    struct log_read read;
    struct waiter waiter;
    struct op op;
    struct buffer *buffer;
    int64_t from, until;        /* what is read now, offsets */
    int64_t best_ms, best_at;   /* the largest timestamp so far, and the first offset to look at */
    int64_t entry_ms, entry_at; /* of the time index: the last that is before what is wanted */
    int64_t base_offset;        /* of the segment that is looked at; -1: before the first */
    int32_t handle;
    uint8_t phase;
    bool started, reading;
    bool unbelieved;     /* what is read begins at the entry, which is to be confirmed */
    int32_t entry_place; /* in the time index's file */
    char path[1024];
};

/* Takes the next part of the work; call it in a step of `flow`. True: results are set. False: it
 * waits (a hold was taken): return STEP_AGAIN and call it again. KAFKA_STORAGE_ERROR. */
bool log_search_step(struct log_search *search, struct flow *flow);

/* Gives back what it holds. Also after errors; more than once does no harm. */
void log_search_done(struct log_search *search);
