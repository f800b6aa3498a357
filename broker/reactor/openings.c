#include "reactor/openings.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/reached.h"
#include "reactor/core.h"

enum { OPENERS = 8, AGAIN_NS = 20 * 1000000 };

/* One opening at work:
 *
 *   begin: too many are kept -> close one -> begin
 *          else open -> done: hand the result over
 *                    -> TOO_MANY_FILES: close one, or wait -> open */
struct opener {
    struct flow flow;
    struct list link; /* in openings.idle */
    struct openings *openings;
    struct op *wanted; /* the caller's */
    struct op op;
    struct timer timer;
    bool opening; /* op is the opening; else a close, or nothing yet */
};

static enum step opener_work(struct flow *flow);
static enum step opener_end(struct flow *flow);

static const struct flow_kind opener_flow = {"opener",
                                             {{"work", opener_work}, {"end", opener_end}}};

void openings_init(struct openings *openings, struct core *core)
{
    *openings = (struct openings){.core = core, .limit = INT32_MAX};
    list_init(&openings->waiting);
    list_init(&openings->idle);
    list_init(&openings->recent);
}

void openings_done(struct openings *openings)
{
    memory_free(openings->openers);
    openings->openers = NULL;
}

static void start(struct opener *opener, struct op op)
{
    opener->op = op;
    opener->op.flow = &opener->flow;
    op_start(opener->openings->core->port, &opener->op);
}

/* False: none can be. */
static bool close_one(struct opener *opener)
{
    struct openings *openings = opener->openings;
    int32_t handle = openings->close_one ? openings->close_one(openings) : -1;
    if (handle < 0)
        return false;
    opener->opening = false;
    start(opener, (struct op){.kind = OP_CLOSE, .handle = handle});
    return true;
}

static void open_file(struct opener *opener)
{
    opener->opening = true;
    start(opener, (struct op){.kind = OP_OPEN,
                              .path = opener->wanted->path,
                              .flags = opener->wanted->flags,
                              .handle = opener->wanted->handle,
                              .size = opener->wanted->size,
                              .offset = opener->wanted->offset});
}

static enum step opener_work(struct flow *flow)
{
    struct opener *opener = CONTAINER_OF(flow, struct opener, flow);
    struct openings *openings = opener->openings;
    if (!opener->opening) {
        if (openings->kept < openings->limit || !close_one(opener))
            open_file(opener);
        else
            REACHED("a kept descriptor closed for another");
        return STEP_AGAIN;
    }
    if (op_error(opener->op.result) != ERROR_TOO_MANY_FILES)
        return STEP_NEXT;
    REACHED("an opening out of descriptors");
    if (close_one(opener))
        return STEP_AGAIN;
    opener->opening = false;
    timer_start(&opener->timer, openings->core, flow, openings->core->now.monotonic_ns + AGAIN_NS);
    return STEP_AGAIN;
}

static void start_openers(struct openings *openings);

static enum step opener_end(struct flow *flow)
{
    struct opener *opener = CONTAINER_OF(flow, struct opener, flow);
    struct openings *openings = opener->openings;
    struct op *wanted = opener->wanted;
    list_push(&openings->idle, &opener->link);
    op_complete(wanted, opener->op.result);
    start_openers(openings);
    return STEP_NEXT;
}

static void start_openers(struct openings *openings)
{
    while (!list_is_empty(&openings->waiting) && !list_is_empty(&openings->idle)) {
        struct opener *opener = CONTAINER_OF(list_pop(&openings->idle), struct opener, link);
        struct op *op = CONTAINER_OF(list_pop(&openings->waiting), struct op, link);
        *opener = (struct opener){.openings = openings, .wanted = op, .timer = TIMER_INIT};
        list_init(&opener->link);
        flow_start(&opener->flow, &opener_flow, openings->core);
    }
}

void file_op_start(struct core *core, struct op *op)
{
    struct openings *openings = &core->openings;
    if (op->kind != OP_OPEN) {
        op_start(core->port, op);
        return;
    }
    if (!openings->openers) {
        openings->openers = memory_zeroed(OPENERS * sizeof(struct opener));
        for (int i = 0; i < OPENERS; i++)
            list_push(&openings->idle, &openings->openers[i].link);
    }
    check(!op->running && op->flow && op->flow->core == core);
    op->running = true;
    op->result = 0;
    op->pool_buffer = -1;
    flow_hold(op->flow);
    list_push(&openings->waiting, &op->link);
    start_openers(openings);
}
