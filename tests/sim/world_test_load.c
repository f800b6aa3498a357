/* Writers on two cores, crashed again and again: what was made durable is there, sector by sector
 * nothing but what was written last or was in flight; and the same seed gives the same run. */
#include "sim/world_test.h"

enum { CORES = 2, WRITERS = 6, SECTORS = 3, SECTOR = 512, ROUNDS = 6 };

struct writer_flow {
    struct flow flow;
    struct op op;
    struct iovec vector;
    struct load *load;
    int index;
    uint8_t acknowledged, writing; /* values; equal: nothing is in flight */
    bool flushes;
    uint8_t bytes[SECTORS * SECTOR];
};

struct load {
    struct world *world;
    struct core cores[CORES];
    struct writer_flow writers[WRITERS];
    int32_t handle;
    int wrong, lost, kept;
};

static enum step write_start(struct flow *flow)
{
    struct writer_flow *w = CONTAINER_OF(flow, struct writer_flow, flow);
    w->writing = (uint8_t)(w->acknowledged + 1);
    w->flushes = w->index % 2;
    memset(w->bytes, w->writing, sizeof w->bytes);
    w->vector = (struct iovec){w->bytes, sizeof w->bytes};
    w->op = (struct op){.flow = flow,
                        .kind = OP_WRITE,
                        .handle = w->load->handle,
                        .offset = (int64_t)w->index * SECTORS * SECTOR,
                        .flags = w->flushes ? 0 : WRITE_DURABLE,
                        .vectors = &w->vector,
                        .vector_count = 1};
    op_start(flow->core->port, &w->op);
    return STEP_NEXT;
}

static enum step write_flush(struct flow *flow)
{
    struct writer_flow *w = CONTAINER_OF(flow, struct writer_flow, flow);
    if (w->op.result != sizeof w->bytes)
        w->load->wrong++;
    if (w->flushes) {
        w->op = (struct op){.flow = flow, .kind = OP_FLUSH, .handle = w->load->handle};
        op_start(flow->core->port, &w->op);
    }
    return STEP_NEXT;
}

static enum step write_over(struct flow *flow)
{
    struct writer_flow *w = CONTAINER_OF(flow, struct writer_flow, flow);
    w->acknowledged = w->writing;
    flow->step = 0; /* and the next */
    return STEP_AGAIN;
}

static const struct flow_kind write_kind = {
    "write", {{"start", write_start}, {"flush", write_flush}, {"over", write_over}}};

static void start_writers(struct load *load)
{
    struct port *port = world_port(load->world, 0, 0);
    struct op open = {.kind = OP_OPEN, .path = "f", .flags = OPEN_READ | OPEN_WRITE | OPEN_CREATE};
    load->handle = (int32_t)port_call(port, &open);
    for (int i = 0; i < CORES; i++) {
        core_init(&load->cores[i], i, world_port(load->world, 0, i));
        world_add_core(load->world, 0, &load->cores[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        struct writer_flow *w = &load->writers[i];
        w->load = load;
        w->index = i;
        flow_start(&w->flow, &write_kind, &load->cores[i % CORES]);
    }
}

/* Each sector of each writer holds what was acknowledged, or what was in flight. */
static void check_after_crash(struct load *load)
{
    struct one one = {load->world, world_port(load->world, 0, 0)};
    for (int i = 0; i < WRITERS; i++) {
        struct writer_flow *w = &load->writers[i];
        uint8_t newest = w->acknowledged;
        for (int sector = 0; sector < SECTORS; sector++) {
            int64_t at = ((int64_t)i * SECTORS + sector) * SECTOR;
            uint8_t value = (uint8_t)byte_at(&one, "f", at + sector);
            load->wrong += value != w->acknowledged && value != w->writing;
            load->lost += value == w->acknowledged && value != w->writing;
            load->kept += value == w->writing && value != w->acknowledged;
            newest = value == w->writing ? value : newest;
        }
        w->acknowledged = w->writing = newest;
    }
    /* Recovery: what is there is written anew, so that the next round starts from one value. */
    int32_t handle = create_at(&one, "f");
    for (int i = 0; i < WRITERS; i++)
        fill(&one, handle, (int64_t)i * SECTORS * SECTOR, SECTORS * SECTOR,
             (char)load->writers[i].acknowledged, WRITE_DURABLE);
}

static uint64_t run_load(uint64_t seed, bool power_lost, int *lost, int *kept)
{
    struct load *load = memory_zeroed(sizeof *load);
    struct world_settings settings = world_settings_random(seed);
    settings.short_write_once_in = 0;
    settings.sector_bytes = SECTOR;
    load->world = world_create(seed, &settings);
    world_add_machine(load->world);
    struct one one = {load->world, world_port(load->world, 0, 0)};
    int32_t handle = create_at(&one, "f");
    fill(&one, handle, 0, WRITERS * SECTORS * SECTOR, 0, WRITE_DURABLE);
    flush_folder(&one, ".");
    for (int round = 0; round < ROUNDS; round++) {
        start_writers(load);
        world_run(load->world, (struct world_stop){.events = 50 + seed % 7 + 31 * (uint64_t)round});
        if (power_lost)
            world_crash(load->world, 0);
        else
            world_kill(load->world, 0);
        for (int i = 0; i < CORES; i++)
            core_done(&load->cores[i]);
        world_start(load->world, 0);
        check_after_crash(load);
    }
    EQ(load->wrong, 0);
    EQ(load->world->violation_count, 0);
    *lost += load->lost;
    *kept += load->kept;
    uint64_t hash = load->world->hash;
    world_destroy(load->world);
    memory_free(load);
    return hash;
}

TEST(world_load, what_was_made_durable_is_there_after_crashes)
{
    int lost = 0, kept = 0;
    for (uint64_t seed = 0; seed < 60; seed++)
        run_load(seed, true, &lost, &kept);
    TRUE_(lost > 100 && kept > 100);
}

TEST(world_load, and_after_kills)
{
    int lost = 0, kept = 0;
    for (uint64_t seed = 0; seed < 30; seed++)
        run_load(seed, false, &lost, &kept);
    TRUE_(lost > 20 && kept > 20);
}

TEST(world_load, same_seed_same_trace)
{
    int lost = 0, kept = 0;
    EQ(run_load(5, true, &lost, &kept), run_load(5, true, &lost, &kept));
    TRUE_(run_load(5, true, &lost, &kept) != run_load(6, true, &lost, &kept));
}
