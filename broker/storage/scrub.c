#include "storage/scrub.h"
#include "base/check.h"
#include "base/memory.h"
#include "storage/log_state.h"
#include "storage/seal.h"

enum { OPENING_COSTS = 64 << 10 /* bytes of the budget */ };

static const int64_t first_round_ns = 600 * 1000000000ll; /* after the start, at most */
static const int64_t pause_most_ns = 100 * 1000000;       /* then it looks whether it is to end */

static enum step scrub(struct flow *flow);
static enum step scrub_end(struct flow *flow);

static const struct flow_kind scrub_flow = {"scrub", {{"scrub", scrub}, {"end", scrub_end}}};

void scrub_open(struct store *store)
{
    const struct scrub_options *options = &store->options.scrub;
    if (!options->enabled)
        return;
    struct scrub *self = memory_zeroed(sizeof *self);
    self->store = store;
    store->scrub = self;
    list_init(&self->logs);
    list_init(&self->pending);
    list_init(&self->waiters);
    self->timer = TIMER_INIT;
    self->runs = true;
    self->next_round_ns =
        store->core->now.monotonic_ns + min_i64(options->interval_ns, first_round_ns);
    flow_start(&self->flow, &scrub_flow, store->core);
}

void scrub_close(struct store *store)
{
    struct scrub *self = store->scrub;
    if (!self)
        return;
    check(!self->segment.segment);
    memory_free(self);
    store->scrub = NULL;
}

void scrub_consider(struct log *log)
{
    if (log->store->scrub && !log->store->stopping)
        list_push(&log->store->scrub->logs, &log->scrubbed);
}

bool scrub_stop(struct store *store, struct waiter *waiter, struct flow *flow)
{
    struct scrub *self = store->scrub;
    if (!self || !self->runs)
        return false;
    self->stopping = true;
    timer_cancel(&self->timer, store->core);
    waiter_park(waiter, &self->waiters, flow);
    return true;
}

static enum step rest_until(struct scrub *self, int64_t until_ns)
{
    timer_start(&self->timer, self->store->core, &self->flow, until_ns);
    return STEP_AGAIN;
}

static void charge(struct scrub *self, uint64_t bytes)
{
    double rate = self->store->options.scrub.bytes_per_second;
    double cost_ns = rate > 0 ? (double)bytes / rate * 1e9 : 0;
    self->budget_ns = max_i64(self->budget_ns, self->store->core->now.monotonic_ns);
    self->budget_ns += cost_ns < 1e15 ? (int64_t)cost_ns : 1000000000000000;
}

static void hold(struct scrub *self, struct log *log)
{
    self->log = log;
    self->base_offset = -1;
    log->holders++;
}

static void release(struct scrub *self)
{
    struct log *log = self->log;
    self->log = NULL;
    log->holders--;
    waiters_wake(&log->idle_waiters);
}

/* The next closed segment of the log that is sealed, or can be: *ret_handle is to be closed. */
static struct segment *next_segment(struct scrub *self, int32_t *ret_handle)
{
    struct log *log = self->log;
    for (int32_t i = 0; i + 1 < log->segment_count; i++) {
        struct segment *segment = log->segments[i];
        if (segment->base_offset <= self->base_offset)
            continue;
        (void)seal_closed_segment(segment, ret_handle);
        if (*ret_handle >= 0)
            return NULL;
        self->base_offset = segment->base_offset;
        if (segment->sealed && !segment->swapping)
            return segment;
    }
    return NULL;
}

/* Goes on in the log that is held. */
static enum step look_at_log(struct scrub *self)
{
    struct log *log = self->log;
    if (!log->removed && log->state != LOG_OPEN && log->state != LOG_FAILED) {
        if (log->state == LOG_CLOSED)
            charge(self, OPENING_COSTS);
        if (log_open(log, &self->waiter, &self->flow) == ERROR_WOULD_WAIT)
            return STEP_AGAIN;
    }
    int32_t handle = -1;
    bool good = !log->removed && log->state == LOG_OPEN;
    struct segment *segment = good ? next_segment(self, &handle) : NULL;
    if (handle >= 0) {
        self->op = (struct op){.kind = OP_CLOSE, .handle = handle, .flow = &self->flow};
        op_start(self->store->core->port, &self->op);
        return STEP_AGAIN;
    }
    if (segment)
        scrub_segment_begin(&self->segment, segment);
    else
        release(self);
    return STEP_AGAIN;
}

static enum step look_at_segment(struct scrub *self)
{
    enum scrub_result result = scrub_segment_step(&self->segment, &self->flow);
    charge(self, self->segment.read_bytes - self->charged);
    self->charged = self->segment.read_bytes;
    self->counters.read_bytes = self->segment.read_bytes;
    self->counters.rot = self->segment.rot;
    self->counters.segments += result == SCRUB_ENDED;
    return STEP_AGAIN;
}

static enum step begin_round(struct scrub *self)
{
    const struct scrub_options *options = &self->store->options.scrub;
    self->next_round_ns = self->store->core->now.monotonic_ns + options->interval_ns;
    list_splice(&self->pending, &self->logs);
    return STEP_AGAIN;
}

static enum step scrub(struct flow *flow)
{
    struct scrub *self = CONTAINER_OF(flow, struct scrub, flow);
    int64_t now_ns = flow->core->now.monotonic_ns;
    bool ends = self->stopping || self->store->fenced;
    if (self->segment.segment && (ends || now_ns >= self->budget_ns))
        return look_at_segment(self); /* to its end, which is near when all ends */
    if (ends)
        return STEP_FAIL;
    if (now_ns < self->budget_ns)
        return rest_until(self, min_i64(self->budget_ns, now_ns + pause_most_ns));
    if (self->log)
        return look_at_log(self);
    struct list *node = list_pop(&self->pending);
    if (node) {
        list_push(&self->logs, node);
        hold(self, CONTAINER_OF(node, struct log, scrubbed));
        return STEP_AGAIN;
    }
    if (now_ns < self->next_round_ns)
        return rest_until(self, self->next_round_ns);
    self->counters.rounds++;
    return begin_round(self);
}

static enum step scrub_end(struct flow *flow)
{
    struct scrub *self = CONTAINER_OF(flow, struct scrub, flow);
    check(!self->segment.segment);
    if (self->log)
        release(self);
    self->runs = false;
    waiters_wake(&self->waiters);
    return STEP_NEXT;
}
