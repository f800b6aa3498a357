#include "port/script.h"
#include "reactor/core.h"
#include "base/check.h"

enum { TIMERS = 4 };

/* A flow that waits for a timer and says so. */
struct sleeper {
    struct flow flow;
    struct timer timer;
    struct script *script;
    int64_t deadline_ns;
    int id, *left;
};

static enum step sleeper_sleep(struct flow *flow)
{
    struct sleeper *sleeper = CONTAINER_OF(flow, struct sleeper, flow);
    timer_start(&sleeper->timer, flow->core, flow, sleeper->deadline_ns);
    return STEP_NEXT;
}

static enum step sleeper_say(struct flow *flow)
{
    struct sleeper *sleeper = CONTAINER_OF(flow, struct sleeper, flow);
    if (sleeper->timer.fired)
        TRUE_(flow->core->now.monotonic_ns >= sleeper->deadline_ns);
    script_say(sleeper->script, "%d %s", sleeper->id,
               sleeper->timer.fired ? "fired" : "was cancelled");
    if (--*sleeper->left <= 1)
        flow->core->stopping = true;
    return STEP_NEXT;
}

static const struct flow_kind sleeper_flow = {"sleeper",
                                              {{"sleep", sleeper_sleep}, {"say", sleeper_say}}};

static void fires(struct script *s)
{
    static const int after_ms[TIMERS] = {30, 10, 3600 * 1000, 20};
    struct core core;
    struct sleeper sleepers[TIMERS];
    int left = TIMERS;
    core_init(&core, 0, s->port);
    int64_t start_ns = core.now.monotonic_ns;
    for (int i = 0; i < TIMERS; i++) {
        sleepers[i] = (struct sleeper){.timer = TIMER_INIT,
                                       .script = s,
                                       .id = i,
                                       .left = &left,
                                       .deadline_ns = start_ns + after_ms[i] * 1000000ll};
        flow_start(&sleepers[i].flow, &sleeper_flow, &core);
    }
    core_run(&core);
    EQ(left, 1);
    TRUE_(core.now.monotonic_ns - start_ns >= 30000000);
    EQ(core_next_deadline(&core), sleepers[2].deadline_ns);
    timer_cancel(&sleepers[2].timer, &core);
    core_turn(&core, true);
    EQ(left, 0);
    TRUE_(core.turns < 100);
    core_done(&core);
}

TEST(core, fires_timers_in_order)
{
    script_run(fires, "1 fired\n"
                      "3 fired\n"
                      "0 fired\n"
                      "2 was cancelled\n");
}

/* A flow with two operations at once: it goes on when both have completed. */
struct writer_flow {
    struct flow flow;
    struct script *script;
    struct op ops[2];
    struct iovec vectors[2];
    int32_t file;
    char text[6];
};

static enum step writer_write(struct flow *flow)
{
    struct writer_flow *writer = CONTAINER_OF(flow, struct writer_flow, flow);
    for (int i = 0; i < 2; i++) {
        writer->vectors[i] = (struct iovec){writer->text + 3 * i, 3};
        writer->ops[i] = (struct op){.kind = OP_WRITE,
                                     .flow = flow,
                                     .handle = writer->file,
                                     .offset = 3 * i,
                                     .vectors = &writer->vectors[i],
                                     .vector_count = 1};
        op_start(flow->core->port, &writer->ops[i]);
    }
    return STEP_NEXT;
}

static enum step writer_flush(struct flow *flow)
{
    struct writer_flow *writer = CONTAINER_OF(flow, struct writer_flow, flow);
    script_say_op(writer->script, &writer->ops[0]);
    script_say_op(writer->script, &writer->ops[1]);
    writer->ops[0] = (struct op){.kind = OP_FLUSH, .flow = flow, .handle = writer->file};
    op_start(flow->core->port, &writer->ops[0]);
    return STEP_NEXT;
}

static enum step writer_end(struct flow *flow)
{
    struct writer_flow *writer = CONTAINER_OF(flow, struct writer_flow, flow);
    script_say_op(writer->script, &writer->ops[0]);
    flow->core->stopping = true;
    return STEP_NEXT;
}

static const struct flow_kind writer_kind = {
    "writer", {{"write", writer_write}, {"flush", writer_flush}, {"end", writer_end}}};

static void writes(struct script *s)
{
    struct core core;
    core_init(&core, 0, s->port);
    struct writer_flow writer = {.script = s, .text = {'o', 'n', 'e', 't', 'w', 'o'}};
    writer.file = script_open(s, "flow", OPEN_READ | OPEN_WRITE | OPEN_CREATE);
    flow_start(&writer.flow, &writer_kind, &core);
    core_run(&core);
    char read[6];
    EQ(script_read(s, writer.file, 0, read, 6), 6);
    EQ_BYTES(read, "onetwo", 6);
    script_close(s, writer.file);
    core_done(&core);
}

TEST(core, runs_flows_that_wait_for_operations)
{
    script_run(writes, "open flow -> handle\n"
                       "write -> 3\n"
                       "write -> 3\n"
                       "flush -> ok\n"
                       "read -> 6\n"
                       "close -> ok\n");
}

static void wakes(struct script *s)
{
    s->port->operations->wake(s->port);
    s->port->operations->wait(s->port, INT64_MAX);
    s->port->operations->wake(s->port);
    s->port->operations->wake(s->port);
    s->port->operations->wait(s->port, INT64_MAX);
    struct now before, after;
    s->port->operations->clock(s->port, &before);
    do {
        s->port->operations->wait(s->port, before.monotonic_ns + 5000000);
        s->port->operations->clock(s->port, &after);
    } while (after.monotonic_ns < before.monotonic_ns + 5000000);
    TRUE_(after.wall_ms >= before.wall_ms && before.wall_ms > 1500000000000);
    script_say(s, "awake");
}

TEST(core, is_woken_even_before_it_sleeps)
{
    script_run(wakes, "awake\n");
}
