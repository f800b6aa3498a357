/* What lies in the simulated page cache, and what a read that asks for no more is given. */
#include "sim/world_test.h"

enum { PAGE = 4096 };

static int64_t ask(struct one *one, const char *path, int64_t offset, size_t size)
{
    static uint8_t bytes[16 * PAGE];
    int32_t handle = open_at(one, path, OPEN_READ);
    int64_t result = call(one, (struct op){.kind = OP_READ,
                                           .handle = handle,
                                           .offset = offset,
                                           .data = bytes,
                                           .size = size,
                                           .flags = READ_CACHED_ONLY});
    call(one, (struct op){.kind = OP_CLOSE, .handle = handle});
    return result;
}

/* A durable file "f" of eight pages, of which none is in memory. */
static void make_cold(struct one *one)
{
    int32_t handle = open_at(one, "f", OPEN_READ | OPEN_WRITE | OPEN_CREATE | OPEN_DIRECT);
    EQ(fill(one, handle, 0, 8 * PAGE, 'a', WRITE_DURABLE), 8 * PAGE);
    EQ(flush(one, handle), 0);
    call(one, (struct op){.kind = OP_CLOSE, .handle = handle});
    EQ(flush_folder(one, "."), 0);
}

TEST(world_cache, has_what_was_read_through_it)
{
    struct one one = one_create(1, NULL);
    make_cold(&one);
    EQ(ask(&one, "f", 0, 8 * PAGE), -ERROR_WOULD_WAIT);
    EQ(byte_at(&one, "f", 2 * PAGE + 5), 'a');
    EQ(byte_at(&one, "f", 3 * PAGE), 'a');
    EQ(ask(&one, "f", 2 * PAGE, 2 * PAGE), 2 * PAGE);
    EQ(ask(&one, "f", 2 * PAGE + 1, 2 * PAGE), -ERROR_WOULD_WAIT);
    EQ(ask(&one, "f", 2 * PAGE - 1, PAGE), -ERROR_WOULD_WAIT);
    EQ(ask(&one, "f", 3 * PAGE + 1, 10), 10);
    EQ(ask(&one, "f", 4 * PAGE, PAGE), -ERROR_WOULD_WAIT);
    EQ(byte_at(&one, "f", 7 * PAGE), 'a');
    EQ(ask(&one, "f", 7 * PAGE, PAGE), PAGE);
    EQ(ask(&one, "f", 7 * PAGE, PAGE + 1), -ERROR_WOULD_WAIT);
    EQ(ask(&one, "f", 8 * PAGE, PAGE), -ERROR_WOULD_WAIT);
    world_destroy(one.world);
}

TEST(world_cache, has_nothing_of_what_was_written_past_it)
{
    struct one one = one_create(1, NULL);
    make_cold(&one);
    EQ(byte_at(&one, "f", 0), 'a');
    int32_t handle = open_at(&one, "f", OPEN_WRITE | OPEN_DIRECT);
    EQ(fill(&one, handle, 0, PAGE, 'b', WRITE_DURABLE), PAGE);
    EQ(flush(&one, handle), 0);
    EQ(ask(&one, "f", 0, PAGE), -ERROR_WOULD_WAIT);
    world_destroy(one.world);
}

TEST(world_cache, lives_on_after_a_kill_but_not_after_a_crash)
{
    struct one one = one_create(1, NULL);
    make_cold(&one);
    EQ(byte_at(&one, "f", 0), 'a');
    world_kill(one.world, 0);
    world_start(one.world, 0);
    one.port = world_port(one.world, 0, 0);
    EQ(ask(&one, "f", 0, PAGE), PAGE);
    one_crash(&one);
    EQ(ask(&one, "f", 0, PAGE), -ERROR_WOULD_WAIT);
    world_destroy(one.world);
}

TEST(world_cache, forgets_by_chance)
{
    struct world_settings settings = world_settings_default();
    settings.forget_once_in = 4;
    struct one one = one_create(1, &settings);
    make_cold(&one);
    int whole = 0, first = 0, none = 0;
    for (int i = 0; i < 400; i++) {
        for (int page = 0; page < 8; page++)
            byte_at(&one, "f", page * PAGE);
        int64_t result = ask(&one, "f", 0, 8 * PAGE);
        whole += result == 8 * PAGE;
        none += result == -ERROR_WOULD_WAIT;
        first += result < 0 && ask(&one, "f", 0, PAGE) == PAGE;
    }
    EQ(whole + none, 400);
    TRUE_(whole > 200 && first > 20 && none > first);
    world_destroy(one.world);
}

TEST(world_cache, is_not_told_of_by_every_file_system)
{
    struct world_settings settings = world_settings_default();
    settings.cache_untold = true;
    struct one one = one_create(1, &settings);
    make_cold(&one);
    EQ(byte_at(&one, "f", 0), 'a');
    EQ(ask(&one, "f", 0, PAGE), -ERROR_NOT_SUPPORTED);
    world_destroy(one.world);
}
