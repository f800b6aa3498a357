/* Breaches of the seam's rules are noted, and only breaches. */
#include "sim/world_test.h"

enum { SECTOR = 512 };

static struct one quiet_world(void)
{
    struct one one = one_create(1, NULL);
    one.world->quiet = true;
    return one;
}

static void finish(struct one *one, struct op *op)
{
    while (op->running)
        one->port->operations->wait(one->port, INT64_MAX);
}

TEST(world_rules, second_write_in_flight_on_a_sector)
{
    for (int64_t offset = 0; offset <= 2 * SECTOR; offset += SECTOR / 2) {
        struct one one = quiet_world();
        int32_t handle = create_at(&one, "f");
        uint8_t bytes[SECTOR] = {0};
        struct iovec vector = {bytes, sizeof bytes};
        struct op first = {.kind = OP_WRITE,
                           .handle = handle,
                           .vectors = &vector,
                           .vector_count = 1,
                           .offset = SECTOR};
        struct op second = first;
        second.offset = offset;
        op_start(one.port, &first);
        op_start(one.port, &second);
        finish(&one, &first);
        finish(&one, &second);
        EQ(one.world->violation_count, offset > 0 && offset < 2 * SECTOR ? 1 : 0);
        world_destroy(one.world);
    }
}

TEST(world_rules, memory_changed_while_a_write_is_in_flight)
{
    for (int changed = 0; changed < 2; changed++) {
        struct one one = quiet_world();
        uint8_t bytes[100] = {0};
        struct iovec vector = {bytes, sizeof bytes};
        struct op write = {.kind = OP_WRITE,
                           .handle = create_at(&one, "f"),
                           .vectors = &vector,
                           .vector_count = 1};
        op_start(one.port, &write);
        bytes[50] = (uint8_t)changed;
        finish(&one, &write);
        EQ(one.world->violation_count, changed);
        world_destroy(one.world);
    }
}

TEST(world_rules, submitted_twice)
{
    struct one one = quiet_world();
    struct op op = {.kind = OP_FLUSH, .handle = create_at(&one, "f")};
    op_start(one.port, &op);
    one.port->operations->submit(one.port, &op);
    finish(&one, &op);
    EQ(one.world->violation_count, 1);
    op_start(one.port, &op); /* again after its completion: as it should be */
    finish(&one, &op);
    EQ(one.world->violation_count, 1);
    world_destroy(one.world);
}

TEST(world_rules, direct_needs_alignment)
{
    for (uint32_t alignment = 512; alignment <= 4096; alignment *= 8) {
        struct world_settings settings = world_settings_default();
        settings.direct_alignment = alignment;
        struct one one = one_create(1, &settings);
        int32_t handle = open_at(&one, "f", OPEN_READ | OPEN_WRITE | OPEN_CREATE | OPEN_DIRECT);
        EQ(fill(&one, handle, 0, alignment, 'x', 0), alignment);
        EQ(fill(&one, handle, 0, alignment / 2, 'x', 0), -ERROR_NOT_SUPPORTED);
        EQ(fill(&one, handle, alignment / 2, alignment, 'x', 0), -ERROR_NOT_SUPPORTED);
        uint8_t *bytes = memory_aligned(4096, 8192);
        struct op read = {.kind = OP_READ, .handle = handle, .data = bytes, .size = alignment};
        EQ(call(&one, read), alignment);
        read.data = bytes + 64;
        EQ(call(&one, read), -ERROR_NOT_SUPPORTED);
        memory_free(bytes);
        EQ(one.world->violation_count, 0);
        world_destroy(one.world);
    }
}

TEST(world_rules, buffered_after_direct)
{
    struct one one = quiet_world();
    uint32_t flags = OPEN_READ | OPEN_WRITE | OPEN_CREATE;
    int32_t direct = open_at(&one, "f", flags | OPEN_DIRECT);
    fill(&one, direct, 0, SECTOR, 'x', 0);
    flush(&one, direct);
    EQ(byte_at(&one, "f", 0), 'x');
    EQ(one.world->violation_count, 0);
    fill(&one, direct, 0, SECTOR, 'y', 0);
    EQ(byte_at(&one, "f", 0), 'y');
    EQ(one.world->violation_count, 1);
    EQ(call(&one, (struct op){.kind = OP_CLOSE, .handle = direct}), 0);
    EQ(byte_at(&one, "f", 0), 'y');
    EQ(one.world->violation_count, 1);
    world_destroy(one.world);
}

TEST(world_rules, closed_while_in_use_and_given_back_twice)
{
    struct one one = quiet_world();
    int32_t handle = create_at(&one, "f");
    struct op op = {.kind = OP_FLUSH, .handle = handle};
    one.world->settings.latency[OP_FLUSH] = (struct world_range){5000000, 5000000};
    one.world->settings.slow_once_in = 0;
    op_start(one.port, &op);
    EQ(call(&one, (struct op){.kind = OP_CLOSE, .handle = handle}), 0);
    EQ(one.world->violation_count, 1);
    finish(&one, &op);
    EQ(op.result, 0);
    EQ(flush(&one, handle), -ERROR_BAD_ARGUMENT);
    one.port->operations->give_back(one.port, 0);
    EQ(one.world->violation_count, 2);
    op_start(one.port, &op);
    world_stop_machine(one.world, 0);
    EQ(one.world->violation_count, 3);
    world_destroy(one.world);
}
