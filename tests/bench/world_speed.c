/* How many events a second the simulated world delivers: reads, durable writes and timers of
 * several cores, nothing else; and how many crash images it loads. Prints two lines. */
#include "sim/disk_record.h"
#include "sim/world.h"
#include "base/check.h"
#include "base/memory.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { CORES = 4, FLOWS = 64, BLOCK_BYTES = 512, JOURNAL_BYTES = 4 << 20, IMAGES = 2000 };

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

static double seconds_since(struct timespec from)
{
    struct timespec to;
    clock_gettime(CLOCK_MONOTONIC, &to);
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

static void measure_images(void)
{
    struct world *world = world_create(1, NULL);
    int machine = world_add_machine(world);
    struct port *port = world_port(world, machine, 0);
    struct op open = {.kind = OP_OPEN, .path = "journal", .flags = OPEN_WRITE | OPEN_CREATE};
    int64_t handle = port_call(port, &open);
    uint8_t *block = memory_zeroed(JOURNAL_BYTES);
    struct iovec vector = {block, JOURNAL_BYTES};
    struct op write = {.kind = OP_WRITE,
                       .handle = (int32_t)handle,
                       .vectors = &vector,
                       .vector_count = 1,
                       .flags = WRITE_DURABLE};
    port_call(port, &write);
    world_record_start(world, machine);
    vector.iov_len = 65536;
    for (int i = 0; i < IMAGES / 2; i++) {
        write.offset = i % 60 * 65536;
        port_call(port, &write);
    }
    struct disk_recording *recording = world_record_stop(world, machine);
    world_destroy(world);
    struct timespec from;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (uint32_t cut = 0; cut < recording->count; cut++) {
        struct disk_choice choice = disk_choice_of(CHOICE_RANDOM, cut);
        world = world_create(cut, NULL);
        machine = world_add_machine(world);
        world_load_disk(world, machine, disk_image_at(recording, cut, &choice));
        world_destroy(world);
    }
    printf("%.0f images of a 4 MiB journal per second, each in a fresh world\n",
           recording->count / seconds_since(from));
    disk_recording_destroy(recording);
    memory_free(block);
}

int main(void)
{
    measure_images();
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
    struct timespec from;
    clock_gettime(CLOCK_MONOTONIC, &from);
    uint64_t first = world->events;
    world_run(world, (struct world_stop){.events = 4000000});
    printf("%.0f events per second\n", (double)(world->events - first) / seconds_since(from));
    world_destroy(world);
    return 0;
}
