/* A hostile peer: connects, sends rubbish, frames that are cut, lengths that lie, right requests
 * whose answers it never reads; closes and comes again. It promises nothing and expects nothing. */
#include "base/bytes.h"
#include "base/check.h"
#include "base/memory.h"
#include "sim/broker_sim.h"
#include "sim/machine_memory.h"

enum { HOSTILE_BYTES = 4096 };

struct hostile {
    struct core core;
    struct simulation *sim;
    struct random random;
    struct flow flow;
    struct op op;
    struct timer timer;
    struct iovec vector;
    struct address address;
    int32_t handle;
    int sends;
    uint8_t bytes[HOSTILE_BYTES];
};

static enum step hostile_connect(struct flow *flow)
{
    struct hostile *hostile = CONTAINER_OF(flow, struct hostile, flow);
    hostile->address = world_address(hostile->sim->broker.machine, BROKER_PORT);
    hostile->op = (struct op){.flow = flow, .kind = OP_CONNECT, .address = &hostile->address};
    hostile->sends = (int)random_between(&hostile->random, 1, 6);
    op_start(flow->core->port, &hostile->op);
    return STEP_NEXT;
}

static enum step sleep_a_little(struct hostile *hostile)
{
    timer_start(&hostile->timer, &hostile->core, &hostile->flow,
                hostile->core.now.monotonic_ns +
                    random_between(&hostile->random, 1000000, 400000000) *
                        (hostile->sim->quiet.hush ? 100 : 1));
    return STEP_NEXT;
}

static enum step hostile_connected(struct flow *flow)
{
    struct hostile *hostile = CONTAINER_OF(flow, struct hostile, flow);
    hostile->handle = (int32_t)hostile->op.result;
    if (hostile->handle >= 0)
        return STEP_NEXT;
    flow->step = (uint8_t)-1;
    return sleep_a_little(hostile);
}

/* Rubbish; or a header of some API, and rubbish; or Metadata for all topics, again and again. */
static size_t fill(struct hostile *hostile)
{
    size_t size = (size_t)random_between(&hostile->random, 1, HOSTILE_BYTES);
    for (size_t i = 0; i < size; i++)
        hostile->bytes[i] = (uint8_t)random_next(&hostile->random);
    uint64_t kind = random_below(&hostile->random, 5);
    if (kind == 0 || size < 32)
        return size;
    if (kind == 1) { /* a frame that promises more than comes */
        store_be32(hostile->bytes, (uint32_t)random_below(&hostile->random, 1 << 20));
        return size;
    }
    size_t frame = kind == 2 ? size : 16;
    size_t used = 0;
    while (used + frame <= size) {
        uint8_t *at = hostile->bytes + used;
        store_be32(at, (uint32_t)frame - 4);
        store_be16(at + 4, kind == 2 ? (uint16_t)random_below(&hostile->random, 30) : 3);
        store_be16(at + 6, kind == 2 ? (uint16_t)random_below(&hostile->random, 14) : 1);
        store_be32(at + 8, (uint32_t)used);
        store_be16(at + 12, kind == 2 ? (uint16_t)-1 : 0xffff);
        if (kind != 2)
            frame = 18;
        if (kind != 2)
            store_be32(at, 14), store_be32(at + 14, 0xffffffff);
        used += frame;
    }
    return used;
}

static enum step hostile_send(struct flow *flow)
{
    struct hostile *hostile = CONTAINER_OF(flow, struct hostile, flow);
    hostile->vector = (struct iovec){hostile->bytes, fill(hostile)};
    hostile->op = (struct op){.flow = flow,
                              .kind = OP_SEND,
                              .handle = hostile->handle,
                              .vectors = &hostile->vector,
                              .vector_count = 1};
    op_start(flow->core->port, &hostile->op);
    /* A peer that does not read may never get rid of its bytes: it gives up after a while. */
    return STEP_NEXT;
}

static enum step hostile_sent(struct flow *flow)
{
    struct hostile *hostile = CONTAINER_OF(flow, struct hostile, flow);
    if (hostile->op.result > 0 && --hostile->sends > 0)
        flow->step -= 2;
    return sleep_a_little(hostile);
}

static enum step hostile_close(struct flow *flow)
{
    struct hostile *hostile = CONTAINER_OF(flow, struct hostile, flow);
    hostile->op = (struct op){.flow = flow, .kind = OP_CLOSE, .handle = hostile->handle};
    op_start(flow->core->port, &hostile->op);
    flow->step = (uint8_t)-1;
    return STEP_NEXT;
}

static enum step never(struct flow *flow)
{
    return STEP_NEXT;
}

static const struct flow_kind hostile_kind = {"hostile",
                                              {{"connect", hostile_connect},
                                               {"connected", hostile_connected},
                                               {"send", hostile_send},
                                               {"sent", hostile_sent},
                                               {"close", hostile_close},
                                               {"never", never}}};

void hostile_start(struct simulation *sim)
{
    struct hostile *hostile = memory_zeroed(sizeof *hostile);
    sim->hostile = hostile;
    hostile->sim = sim;
    hostile->timer = TIMER_INIT;
    random_seed(&hostile->random, random_next(&sim->random));
    int machine = world_add_machine(sim->world);
    core_init(&hostile->core, 0, machine_port(sim->world, machine, 0));
    world_add_core(sim->world, machine, &hostile->core);
    flow_start(&hostile->flow, &hostile_kind, &hostile->core);
}
