#include "storage/space.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "storage/log_state.h"
#include "storage/store.h"

static const int64_t look_ns = 1000000000;
static const int64_t headroom_auto_bytes = 64 << 20; /* or a hundredth of the disk, if less */
static const int64_t left_least_bytes = 64 << 10;

enum { WATCH_BEGIN, WATCH_PAUSED, WATCH_ASKED };

/* Bytes that drains will ask the disk for, if nothing more is appended. */
static int64_t undrained_bytes(const struct store *store)
{
    int64_t bytes = 0;
    for (const struct list *node = store->unsettled.next; node != &store->unsettled;
         node = node->next) {
        const struct log *log = CONTAINER_OF(node, struct log, unsettled);
        for (int32_t i = log->segment_count - 1; i >= 0; i--) {
            const struct segment *segment = log->segments[i];
            if (segment->size <= segment->drained)
                break;
            bytes += max_i64(segment->size - max_i64(segment->drained, segment->allocated), 0);
        }
    }
    return bytes;
}

static void begin_full(struct store *store, const char *what)
{
    struct space *space = &store->space;
    space->full = true;
    REACHED("disk full");
    event_write(&store->core->events, &store->core->now, EVENT_WARN, "disk_full",
                "directory=%s core=%d reason=\"%s\" free_bytes=%lld headroom_bytes=%lld "
                "effect=\"records are refused until there is room; reads, deletions and changes "
                "of metadata go on\"",
                store->options.directory, store->core->id, what, (long long)space->found.free_bytes,
                (long long)space->headroom_bytes);
    waiters_wake(&store->room); /* to be refused */
}

static void end_full(struct store *store)
{
    struct space *space = &store->space;
    space->full = false;
    REACHED("disk has room again");
    event_write(&store->core->events, &store->core->now, EVENT_INFO, "disk_has_room",
                "directory=%s core=%d free_bytes=%lld refused=%llu", store->options.directory,
                store->core->id, (long long)space->found.free_bytes,
                (unsigned long long)store->counters.full_refusals);
}

/* What was put off is tried again. */
static void try_again(struct store *store)
{
    struct space *space = &store->space;
    bool checkpoint = space->checkpoint, everything = space->everything;
    space->blocked = space->checkpoint = space->everything = false;
    waiters_wake(&space->waiters);
    drain_go_on(store);
    if (checkpoint)
        checkpoint_request(store, everything);
}

static void judge(struct store *store)
{
    struct space *space = &store->space;
    bool was_blocked = space->blocked;
    if (op_error(space->op.result))
        space->found.free_bytes = space->headroom_bytes; /* not known: only trying will tell */
    int64_t needed = space->headroom_bytes + undrained_bytes(store);
    int64_t free_bytes = space->found.free_bytes;
    space->seen_appended = store->counters.appended_bytes;
    space->left_bytes = max_i64((free_bytes - needed) / 2, left_least_bytes);
    if (!space->full && space->headroom_bytes > 0 && free_bytes < needed)
        begin_full(store, "less is free than is kept as head-room");
    else if (space->full && !was_blocked && free_bytes >= needed + space->headroom_bytes / 4)
        end_full(store);
    if (was_blocked)
        try_again(store);
}

static bool is_in_doubt(const struct store *store)
{
    const struct space *space = &store->space;
    if (store->stopping || store->fenced)
        return false;
    return space->full || space->blocked ||
           (space->headroom_bytes > 0 && space->seen_appended != store->counters.appended_bytes);
}

static enum step watch(struct flow *flow)
{
    struct store *store = CONTAINER_OF(flow, struct store, space.flow);
    struct space *space = &store->space;
    if (space->phase == WATCH_ASKED) {
        space->asking = false;
        if (!store->stopping && !store->fenced)
            judge(store);
        space->phase = WATCH_BEGIN;
    }
    if (!is_in_doubt(store))
        return STEP_NEXT;
    if (space->phase == WATCH_BEGIN) {
        space->phase = WATCH_PAUSED;
        timer_start(&space->timer, store->core, flow, store->core->now.monotonic_ns + look_ns);
        return STEP_AGAIN;
    }
    space->phase = WATCH_ASKED;
    space->asking = true;
    space->op = (struct op){
        .kind = OP_SPACE, .flow = flow, .handle = store->directory_handle, .data = &space->found};
    op_start(store->core->port, &space->op);
    return STEP_AGAIN;
}

static enum step watch_end(struct flow *flow)
{
    struct store *store = CONTAINER_OF(flow, struct store, space.flow);
    store->space.watching = false;
    waiters_wake(&store->checkpoint.waiters);
    return STEP_NEXT;
}

static const struct flow_kind watch_flow = {"space", {{"watch", watch}, {"end", watch_end}}};

static void start_watch(struct store *store)
{
    struct space *space = &store->space;
    if (space->watching || store->stopping || store->fenced)
        return;
    space->watching = true;
    space->phase = WATCH_BEGIN;
    space->timer = TIMER_INIT;
    flow_start(&space->flow, &watch_flow, store->core);
}

void space_open(struct store *store)
{
    struct space *space = &store->space;
    space->headroom_bytes = store->options.headroom_bytes;
    if (space->headroom_bytes == 0)
        return;
    struct op op = {.kind = OP_SPACE, .handle = store->directory_handle, .data = &space->found};
    space->op.result = port_call(store->core->port, &op);
    if (space->headroom_bytes == SPACE_HEADROOM_AUTO)
        space->headroom_bytes =
            min_i64(headroom_auto_bytes,
                    space->op.result < 0 ? headroom_auto_bytes : space->found.total_bytes / 100);
    judge(store);
    if (space->full)
        start_watch(store);
}

void space_appended(struct store *store, int64_t bytes)
{
    struct space *space = &store->space;
    if (space->headroom_bytes == 0)
        return;
    space->left_bytes -= bytes;
    if (!space->watching)
        start_watch(store);
    else if (space->left_bytes < 0 && space->phase == WATCH_PAUSED)
        timer_cancel(&space->timer, store->core); /* which wakes the flow */
}

void space_met(struct store *store, const char *what)
{
    struct space *space = &store->space;
    if (MUTANT(full_disk_fences)) {
        store_fence(store, ERROR_NO_SPACE, what);
        return;
    }
    REACHED("an operation put off on a full disk");
    space->blocked = true;
    waiters_wake(&store->checkpoint.parked);
    if (!space->full)
        begin_full(store, what);
    start_watch(store);
}

bool space_await(struct store *store, struct waiter *waiter, struct flow *flow, const char *what)
{
    space_met(store, what);
    if (store->stopping || store->fenced)
        return false;
    waiter_park(waiter, &store->space.waiters, flow);
    return true;
}

void space_put_off_checkpoint(struct store *store, bool everything)
{
    store->space.checkpoint = true;
    store->space.everything |= everything;
}

bool space_is_ample(const struct store *store, int64_t bytes)
{
    const struct space *space = &store->space;
    if (space->full)
        return false;
    return space->found.total_bytes == 0 ||
           space->found.free_bytes - bytes >= 2 * space->headroom_bytes;
}

void space_stop(struct store *store)
{
    struct space *space = &store->space;
    timer_cancel(&space->timer, store->core);
    waiters_wake(&space->waiters);
    if (space->blocked)
        try_again(store);
}
