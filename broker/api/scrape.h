#pragma once
/* Metrics as Prometheus text: a listener of its own that answers `GET /metrics` in HTTP/1.0, one
 * connection after the other, each within SCRAPE_MS. On core 0; the other cores are asked by mail.
 *
 *   accept -> receive -> collect (a mail to each core and back) -> send -> close ─┐
 *      ^──────────────────────────────────────────────────────────────────────────┘ until stopped
 *
 * Invariants
 *  1. One operation is in flight at most; what is late, or stopped, is cancelled there.
 *  2. A core's counters are read by that core only. */
#include "api/deadline.h"
#include "cluster/broker.h"

enum { SCRAPE_MS = 5000, SCRAPE_REQUEST_BYTES = 4096 };

/* What has arrived of a request. */
enum scrape_verdict {
    SCRAPE_MORE,    /* its head is not whole yet */
    SCRAPE_METRICS, /* GET /metrics */
    SCRAPE_NOT_FOUND,
    SCRAPE_NOT_ALLOWED, /* another method */
    SCRAPE_BAD,         /* no HTTP */
};

struct scrape_part {
    struct flow flow;
    struct mail mail;
    struct scrape *scrape;
    struct shard *shard;
    struct metrics metrics;
};

struct scrape {
    struct broker *broker;
    struct core *core;
    struct flow flow;
    struct op op;
    bool in_operation, stopping, late;
    int32_t listener, handle;
    struct address peer;
    struct deadline deadline;
    struct deadlines *deadlines;
    struct timer retry;
    char request[SCRAPE_REQUEST_BYTES];
    size_t request_size;
    uint8_t *answer; /* owned while it is sent */
    size_t answer_size, answer_sent;
    struct iovec vector;
    struct scrape_part *parts; /* by core */
    void (*stopped)(struct broker *broker);
};

/* Judges the first `size` bytes of a request. Pure. */
enum scrape_verdict scrape_judge(const char *text, size_t size);

/* This core's counters into `ret_metrics`: its own, and those that net, store and core keep. On
 * that core's thread. */
void scrape_read(const struct shard *shard, struct metrics *ret_metrics);

/* Listens at `address` (port 0: any; filled in) on core 0's port, before the cores run, and starts
 * to accept. ADDRESS_IN_USE, NO_PERMISSION, ... Free it with scrape_close, also after an error. */
enum error scrape_open(struct scrape *scrape, struct broker *broker, struct address *address);

/* On core 0 while the cores run: ends what is under way and closes the listener; then calls
 * `stopped`, from there. */
void scrape_stop(struct scrape *scrape, void (*stopped)(struct broker *broker));

/* Frees what scrape_open made; nothing may be under way, unless no core has ever run. */
void scrape_close(struct scrape *scrape);
