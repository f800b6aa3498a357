/* How many events a second the simulated world delivers: reads, durable writes and timers of
 * several cores, nothing else. Prints one line. */
#include "sim/world.h"
#include "base/check.h"
#include "base/memory.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { CORES = 4, FLOWS = 64, BLOCK_BYTES = 512 };

struct load {
    struct flow flow;
    struct op op;
    struct iovec vector;
    int32_t handle;
    int64_t offset;
    uint64_t rounds;
    uint8_t *block;
};

static enum step load_start(struct flow *flow)
{
    struct load *load = CONTAINER_OF(flow, struct load, flow);
    bool writes = load->rounds++ % 4 == 0;
    load->vector = (struct iovec){load->block, BLOCK_BYTES};
    load->op = (struct op){.flow = flow,
                           .kind = writes ? OP_WRITE : OP_READ,
                           .handle = load->handle,
                           .flags = writes ? WRITE_DURABLE : 0,
                           .vectors = &load->vector,
                           .vector_count = 1,
                           .offset = load->offset,
                           .data = load->block,
                           .size = BLOCK_BYTES};
    op_start(flow->core->port, &load->op);
    return STEP_AGAIN;
}

static const struct flow_kind load_flow = {"load", {{"start", load_start}}};

int main(void)
{
    struct world *world = world_create(1, NULL);
    int machine = world_add_machine(world);
    struct core cores[CORES];
    struct load *loads = memory_zeroed(FLOWS * sizeof *loads);
    for (int i = 0; i < CORES; i++) {
        core_init(&cores[i], i, world_port(world, machine, i));
        world_add_core(world, machine, &cores[i]);
    }
    struct op open = {
        .kind = OP_OPEN, .path = "file", .flags = OPEN_READ | OPEN_WRITE | OPEN_CREATE};
    int64_t handle = port_call(cores[0].port, &open);
    for (int i = 0; i < FLOWS; i++) {
        loads[i] = (struct load){.handle = (int32_t)handle,
                                 .offset = i * BLOCK_BYTES,
                                 .block = memory_aligned(4096, BLOCK_BYTES)};
        memset(loads[i].block, i, BLOCK_BYTES);
        flow_start(&loads[i].flow, &load_flow, &cores[i % CORES]);
    }
    world_run(world, (struct world_stop){.events = 100000});
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    uint64_t first = world->events;
    world_run(world, (struct world_stop){.events = 4000000});
    clock_gettime(CLOCK_MONOTONIC, &to);
    double seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    printf("%.0f events per second\n", (double)(world->events - first) / seconds);
    world_destroy(world);
    return 0;
}
