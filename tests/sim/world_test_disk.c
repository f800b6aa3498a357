/* What the simulated disk keeps: one test per rule of disk.h and of port.h's rule 5. */
#include "sim/world_test.h"

enum { SEEDS = 60, SECTOR = 512 };

/* A file "f" of 2048 bytes of 'a', durable, name and all. */
static int32_t durable_file(struct one *one)
{
    int32_t handle = create_at(one, "f");
    EQ(fill(one, handle, 0, 2048, 'a', 0), 2048);
    EQ(flush(one, handle), 0);
    EQ(flush_folder(one, "."), 0);
    return handle;
}

TEST(world_disk, reads_what_was_written)
{
    struct one one = one_create(1, NULL);
    int32_t handle = create_at(&one, "f");
    EQ(fill(&one, handle, 100, 10000, 'x', 0), 10000);
    EQ(size_at(&one, "f"), 10100);
    EQ(byte_at(&one, "f", 99), 0);
    EQ(byte_at(&one, "f", 100), 'x');
    EQ(byte_at(&one, "f", 10099), 'x');
    EQ(byte_at(&one, "f", 10100), 0);
    EQ(call(&one, (struct op){.kind = OP_TRUNCATE, .handle = handle, .size = 150}), 0);
    EQ(call(&one, (struct op){.kind = OP_TRUNCATE, .handle = handle, .size = 9000}), 0);
    EQ(byte_at(&one, "f", 149), 'x');
    EQ(byte_at(&one, "f", 150), 0);
    EQ(byte_at(&one, "f", 8999), 0);
    world_destroy(one.world);
}

TEST(world_disk, names_behave_like_a_file_system)
{
    struct one one = one_create(1, NULL);
    EQ(open_at(&one, "none", OPEN_READ), -ERROR_NOT_FOUND);
    EQ(call(&one, (struct op){.kind = OP_MAKE_DIRECTORY, .path = "d"}), 0);
    EQ(call(&one, (struct op){.kind = OP_MAKE_DIRECTORY, .path = "d"}), -ERROR_ALREADY_EXISTS);
    TRUE_(create_at(&one, "d/one") >= 0);
    TRUE_(create_at(&one, "/d/two") >= 0);
    EQ(open_at(&one, "d/two", OPEN_WRITE | OPEN_CREATE | OPEN_EXCLUSIVE), -ERROR_ALREADY_EXISTS);
    EQ(call(&one, (struct op){.kind = OP_RENAME, .path = "d/one", .path_to = "d/two"}), 0);
    EQ(size_at(&one, "d/one"), -ERROR_NOT_FOUND);
    EQ(call(&one, (struct op){.kind = OP_RENAME, .path = "d", .path_to = "e"}), 0);
    EQ(size_at(&one, "e/two"), 0);
    EQ(call(&one, (struct op){.kind = OP_REMOVE, .path = "e"}), -ERROR_ALREADY_EXISTS);
    int32_t folder = open_at(&one, "e", OPEN_READ | OPEN_DIRECTORY);
    char names[64];
    struct op list = {.kind = OP_LIST, .handle = folder, .data = names, .size = sizeof names};
    EQ(call(&one, list), 5);
    EQ_TEXT(names, "ftwo");
    EQ(call(&one, list), 0);
    EQ(call(&one, (struct op){.kind = OP_REMOVE, .path = "e/two"}), 0);
    EQ(call(&one, (struct op){.kind = OP_REMOVE, .path = "e"}), 0);
    EQ(open_at(&one, "lock", OPEN_WRITE | OPEN_CREATE | OPEN_LOCK) >= 0, true);
    EQ(open_at(&one, "lock", OPEN_WRITE | OPEN_LOCK), -ERROR_NO_PERMISSION);
    world_destroy(one.world);
}

TEST(world_disk, an_unflushed_sector_may_be_lost_and_may_survive)
{
    int lost = 0, kept = 0, torn = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct one one = one_create(seed, NULL);
        fill(&one, durable_file(&one), 0, 2 * SECTOR, 'b', 0);
        one_crash(&one);
        EQ(size_at(&one, "f"), 2048);
        int first = byte_at(&one, "f", 0), second = byte_at(&one, "f", SECTOR);
        EQ(byte_at(&one, "f", SECTOR - 1), first); /* never mixed within a sector */
        TRUE_((first == 'a' || first == 'b') && (second == 'a' || second == 'b'));
        EQ(byte_at(&one, "f", 2 * SECTOR), 'a');
        lost += first == 'a' && second == 'a';
        kept += first == 'b' && second == 'b';
        torn += first != second;
        world_destroy(one.world);
    }
    TRUE_(lost > 0 && kept > 0 && torn > 0);
}

TEST(world_disk, any_version_since_the_last_flush_may_survive)
{
    int seen[256] = {0};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct one one = one_create(seed, NULL);
        int32_t handle = durable_file(&one);
        fill(&one, handle, 0, SECTOR, 'b', 0);
        flush(&one, handle);
        fill(&one, handle, 0, SECTOR, 'c', 0);
        fill(&one, handle, 0, SECTOR, 'd', 0);
        one_crash(&one);
        seen[byte_at(&one, "f", 0) & 255]++;
        world_destroy(one.world);
    }
    EQ(seen['a'], 0);
    TRUE_(seen['b'] > 0 && seen['c'] > 0 && seen['d'] > 0);
}

TEST(world_disk, a_durable_write_survives_and_leaves_others_unflushed)
{
    int lost = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct one one = one_create(seed, NULL);
        int32_t handle = durable_file(&one);
        fill(&one, handle, SECTOR, SECTOR, 'b', 0);
        fill(&one, handle, 0, SECTOR, 'b', 0);
        EQ(fill(&one, handle, 0, SECTOR, 'c', WRITE_DURABLE), SECTOR);
        EQ(fill(&one, handle, 4096, SECTOR, 'd', WRITE_DURABLE), SECTOR);
        one_crash(&one);
        EQ(byte_at(&one, "f", 0), 'c');
        EQ(byte_at(&one, "f", 4096), 'd');
        EQ(size_at(&one, "f"), 4096 + SECTOR);
        lost += byte_at(&one, "f", SECTOR) == 'a';
        world_destroy(one.world);
    }
    TRUE_(lost > 0 && lost < SEEDS);
}

TEST(world_disk, a_durable_write_in_flight_leaves_any_subset)
{
    int lost = 0, kept = 0, torn = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct one one = one_create(seed, NULL);
        int32_t handle = durable_file(&one);
        uint8_t bytes[2 * SECTOR];
        memset(bytes, 'b', sizeof bytes);
        struct iovec vector = {bytes, sizeof bytes};
        struct op write = {.kind = OP_WRITE,
                           .handle = handle,
                           .vectors = &vector,
                           .vector_count = 1,
                           .flags = WRITE_DURABLE};
        op_start(one.port, &write);
        one_crash(&one);
        int first = byte_at(&one, "f", 0), second = byte_at(&one, "f", SECTOR);
        lost += first == 'a' && second == 'a';
        kept += first == 'b' && second == 'b';
        torn += first != second;
        world_destroy(one.world);
    }
    TRUE_(lost > 0 && kept > 0 && torn > 0);
}

TEST(world_disk, a_size_is_old_or_new_until_the_flush)
{
    int shorter = 0, longer = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct one one = one_create(seed, NULL);
        int32_t handle = durable_file(&one);
        if (seed % 2)
            fill(&one, handle, 2048, SECTOR, 'b', 0);
        else
            call(&one, (struct op){
                           .kind = OP_ALLOCATE, .handle = handle, .offset = 2048, .size = SECTOR});
        one_crash(&one);
        int64_t size = size_at(&one, "f");
        TRUE_(size == 2048 || size == 2048 + SECTOR);
        shorter += size == 2048;
        longer += size > 2048;
        EQ(byte_at(&one, "f", 2047), 'a');
        world_destroy(one.world);
    }
    TRUE_(shorter > 0 && longer > 0);
}

TEST(world_disk, a_truncation_may_be_undone_until_the_flush)
{
    int undone = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct one one = one_create(seed, NULL);
        int32_t handle = durable_file(&one);
        call(&one, (struct op){.kind = OP_TRUNCATE, .handle = handle, .size = 700});
        if (seed % 2)
            flush(&one, handle);
        one_crash(&one);
        int64_t size = size_at(&one, "f");
        TRUE_(size == 700 || (seed % 2 == 0 && size == 2048));
        EQ(byte_at(&one, "f", 699), 'a');
        undone += size == 2048;
        world_destroy(one.world);
    }
    TRUE_(undone > 0 && undone < SEEDS / 2);
}

TEST(world_disk, a_durable_write_makes_its_size_last_after_a_truncation)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct one one = one_create(seed, NULL);
        int32_t handle = durable_file(&one);
        call(&one, (struct op){.kind = OP_TRUNCATE, .handle = handle, .size = 700});
        EQ(fill(&one, handle, 1024, SECTOR, 'b', WRITE_DURABLE), SECTOR);
        one_crash(&one);
        EQ(size_at(&one, "f"), 1024 + SECTOR);
        EQ(byte_at(&one, "f", 1024), 'b');
        world_destroy(one.world);
    }
}

TEST(world_disk, bytes_beyond_the_size_that_a_crash_left_are_zeros)
{
    int shorter = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct one one = one_create(seed, NULL);
        fill(&one, durable_file(&one), 2048, 6000, 'b', 0);
        one_crash(&one);
        if (size_at(&one, "f") == 2048) {
            shorter++;
            int32_t handle = create_at(&one, "f");
            call(&one, (struct op){.kind = OP_TRUNCATE, .handle = handle, .size = 8000});
            for (int64_t at = 2048; at < 8000; at += SECTOR)
                EQ(byte_at(&one, "f", at), 0);
        }
        world_destroy(one.world);
    }
    TRUE_(shorter > 0);
}

TEST(world_disk, a_flush_does_not_cover_a_write_in_flight)
{
    int lost = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct world_settings settings = world_settings_default();
        settings.slow_once_in = 0;
        settings.latency[OP_FLUSH] = (struct world_range){500000, 500000};
        struct one one = one_create(seed, &settings);
        int32_t handle = durable_file(&one);
        uint8_t bytes[SECTOR];
        memset(bytes, 'b', sizeof bytes);
        struct iovec vector = {bytes, sizeof bytes};
        struct op write = {
            .kind = OP_WRITE, .handle = handle, .vectors = &vector, .vector_count = 1};
        struct op flush_it = {.kind = OP_FLUSH, .handle = handle};
        op_start(one.port, &write);
        op_start(one.port, &flush_it);
        while (flush_it.running)
            one.port->operations->wait(one.port, INT64_MAX);
        TRUE_(!write.running); /* completed before the flush did, but after it was started */
        EQ(flush_it.result, 0);
        one_crash(&one);
        lost += byte_at(&one, "f", 0) == 'a';
        world_destroy(one.world);
    }
    TRUE_(lost > 0 && lost < SEEDS);
}

TEST(world_disk, a_failed_flush_is_not_made_good_by_the_next)
{
    int lost = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct one one = one_create(seed, NULL);
        int32_t handle = durable_file(&one);
        fill(&one, handle, 0, SECTOR, 'b', 0);
        world_fail(one.world, 0, OP_FLUSH, 1, ERROR_INPUT_OUTPUT);
        EQ(flush(&one, handle), -ERROR_INPUT_OUTPUT);
        EQ(byte_at(&one, "f", 0), 'b'); /* still in the page cache */
        EQ(flush(&one, handle), 0);     /* the lie */
        fill(&one, handle, SECTOR, SECTOR, 'c', 0);
        EQ(flush(&one, handle), 0);
        one_crash(&one);
        lost += byte_at(&one, "f", 0) == 'a';
        EQ(byte_at(&one, "f", SECTOR), 'c');
        world_destroy(one.world);
    }
    TRUE_(lost > 0 && lost < SEEDS);
}

TEST(world_disk, a_failed_flush_of_all_is_told_to_each_who_has_the_file_open)
{
    struct one one = one_create(1, NULL);
    int32_t first = durable_file(&one), second = open_at(&one, "f", OPEN_READ | OPEN_WRITE);
    int32_t untouched = create_at(&one, "g");
    int32_t root = open_at(&one, ".", OPEN_READ | OPEN_DIRECTORY);
    int32_t other_root = open_at(&one, ".", OPEN_READ | OPEN_DIRECTORY);
    EQ(flush(&one, untouched), 0);
    EQ(flush_folder(&one, "."), 0);
    fill(&one, first, 0, SECTOR, 'b', 0);
    world_fail(one.world, 0, OP_FLUSH_ALL, 1, ERROR_INPUT_OUTPUT);
    EQ(call(&one, (struct op){.kind = OP_FLUSH_ALL, .handle = root}), -ERROR_INPUT_OUTPUT);
    EQ(call(&one, (struct op){.kind = OP_FLUSH_ALL, .handle = other_root}), -ERROR_INPUT_OUTPUT);
    EQ(call(&one, (struct op){.kind = OP_FLUSH_ALL, .handle = other_root}), 0);
    int32_t later = open_at(&one, "f", OPEN_READ | OPEN_WRITE);
    EQ(flush(&one, untouched), 0);
    EQ(flush(&one, second), -ERROR_INPUT_OUTPUT);
    EQ(flush(&one, second), 0);
    EQ(flush(&one, first), -ERROR_INPUT_OUTPUT);
    EQ(flush(&one, later), -ERROR_INPUT_OUTPUT); /* opened before anybody was told */
    EQ(flush(&one, open_at(&one, "f", OPEN_READ | OPEN_WRITE)), 0);
    world_destroy(one.world);
}

TEST(world_disk, a_lost_size_comes_back_by_a_truncate_to_it)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct one one = one_create(seed, NULL);
        int32_t handle = durable_file(&one);
        int64_t longer = size_at(&one, "f") + SECTOR;
        struct op cut = {.kind = OP_TRUNCATE, .handle = handle, .size = (size_t)longer};
        fill(&one, handle, longer - SECTOR, SECTOR, 'b', 0);
        world_fail(one.world, 0, OP_FLUSH, 1, ERROR_INPUT_OUTPUT);
        EQ(flush(&one, handle), -ERROR_INPUT_OUTPUT);
        fill(&one, handle, longer - SECTOR, SECTOR, 'b', 0);
        EQ(call(&one, cut), 0);
        EQ(flush(&one, handle), 0);
        one_crash(&one);
        EQ(size_at(&one, "f"), longer);
        EQ(byte_at(&one, "f", longer - 1), 'b');
        world_destroy(one.world);
    }
}

TEST(world_disk, a_name_needs_a_flush_of_its_folder)
{
    for (int prefix = 0; prefix < 2; prefix++) {
        int none = 0, only_first = 0, only_second = 0, both = 0;
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct world_settings settings = world_settings_default();
            settings.names_as_prefix = prefix;
            struct one one = one_create(seed, &settings);
            durable_file(&one);
            flush(&one, create_at(&one, "g")); /* of the file, not of its name */
            flush(&one, create_at(&one, "h"));
            one_crash(&one);
            bool first = size_at(&one, "g") >= 0, second = size_at(&one, "h") >= 0;
            none += !first && !second;
            only_first += first && !second;
            only_second += second && !first;
            both += first && second;
            EQ(size_at(&one, "f"), 2048);
            world_destroy(one.world);
        }
        TRUE_(none > 0 && both > 0 && only_first > 0);
        EQ(only_second > 0, !prefix);
    }
}

TEST(world_disk, a_rename_is_atomic_and_a_flush_makes_it_last)
{
    int old = 0, new = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct one one = one_create(seed, NULL);
        durable_file(&one);
        int32_t handle = create_at(&one, "new");
        fill(&one, handle, 0, SECTOR, 'n', 0);
        flush(&one, handle);
        flush_folder(&one, ".");
        EQ(call(&one, (struct op){.kind = OP_RENAME, .path = "new", .path_to = "f"}), 0);
        if (seed % 2)
            flush_folder(&one, "/");
        one_crash(&one);
        int byte = byte_at(&one, "f", 0);
        bool is_left = size_at(&one, "new") >= 0;
        TRUE_((byte == 'n' && !is_left) || (byte == 'a' && is_left && seed % 2 == 0));
        old += byte == 'a';
        new += byte == 'n';
        world_destroy(one.world);
    }
    TRUE_(old > 0 && new > SEEDS / 2);
}

TEST(world_disk, a_folder_lost_takes_what_is_in_it)
{
    int gone = 0, empty = 0, full = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct one one = one_create(seed, NULL);
        call(&one, (struct op){.kind = OP_MAKE_DIRECTORY, .path = "d"});
        create_at(&one, "d/f");
        if (seed % 2)
            flush_folder(&one, "d"); /* its names; its own name is in the root */
        one_crash(&one);
        gone += size_at(&one, "d") < 0;
        empty += size_at(&one, "d") >= 0 && size_at(&one, "d/f") < 0;
        full += size_at(&one, "d/f") >= 0;
        TRUE_(seed % 2 == 0 || size_at(&one, "d") < 0 || size_at(&one, "d/f") >= 0);
        world_destroy(one.world);
    }
    TRUE_(gone > 0 && empty > 0 && full > 0);
}

TEST(world_disk, a_folder_flush_covers_its_own_names_only)
{
    int lost = 0, moved = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct one one = one_create(seed, NULL);
        call(&one, (struct op){.kind = OP_MAKE_DIRECTORY, .path = "d"});
        durable_file(&one);
        create_at(&one, "d/g");
        flush_folder(&one, ".");
        if (seed % 2) { /* a rename across folders lasts when either is flushed */
            call(&one, (struct op){.kind = OP_RENAME, .path = "f", .path_to = "d/f"});
            flush_folder(&one, ".");
        }
        one_crash(&one);
        TRUE_(size_at(&one, "d") >= 0);
        EQ(size_at(&one, seed % 2 ? "d/f" : "f"), 2048);
        lost += size_at(&one, "d/g") < 0;
        moved += seed % 2 && size_at(&one, "f") < 0;
        world_destroy(one.world);
    }
    TRUE_(lost > 0 && lost < SEEDS);
    EQ(moved, SEEDS / 2);
}

TEST(world_disk, a_list_comes_in_pieces)
{
    struct one one = one_create(1, NULL);
    const char *names[] = {"alpha", "beta", "gamma"};
    for (int i = 0; i < 3; i++)
        create_at(&one, names[i]);
    char piece[12];
    struct op list = {.kind = OP_LIST,
                      .handle = open_at(&one, "/", OPEN_READ | OPEN_DIRECTORY),
                      .data = piece,
                      .size = sizeof piece};
    int seen = 0;
    for (int64_t size; (size = call(&one, list)) > 0;)
        for (const char *at = piece; at < piece + size; at += strlen(at) + 1) {
            EQ(at[0], 'f');
            EQ_TEXT(at + 1, names[seen]);
            seen++;
        }
    EQ(seen, 3);
    list.size = 3;
    list.handle = open_at(&one, "/", OPEN_READ | OPEN_DIRECTORY);
    EQ(call(&one, list), -ERROR_BAD_ARGUMENT);
    world_destroy(one.world);
}

TEST(world_disk, a_cancelled_file_operation_ends_either_way)
{
    int cancelled = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct one one = one_create(seed, NULL);
        struct op op = {.kind = OP_MAKE_DIRECTORY, .path = "d"};
        op_start(one.port, &op);
        one.port->operations->cancel(one.port, &op);
        while (op.running)
            one.port->operations->wait(one.port, INT64_MAX);
        TRUE_(op.result == 0 || op.result == -ERROR_CANCELLED);
        EQ(size_at(&one, "d") >= 0, op.result == 0);
        cancelled += op.result < 0;
        world_destroy(one.world);
    }
    TRUE_(cancelled > 0 && cancelled < 20);
}

TEST(world_disk, flush_all_covers_everything)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct one one = one_create(seed, NULL);
        call(&one, (struct op){.kind = OP_MAKE_DIRECTORY, .path = "d"});
        fill(&one, create_at(&one, "d/f"), 0, 5000, 'x', 0);
        int32_t root = open_at(&one, ".", OPEN_READ | OPEN_DIRECTORY);
        EQ(call(&one, (struct op){.kind = OP_FLUSH_ALL, .handle = root}), 0);
        one_crash(&one);
        EQ(size_at(&one, "d/f"), 5000);
        EQ(byte_at(&one, "d/f", 4999), 'x');
        world_destroy(one.world);
    }
}

TEST(world_disk, kill_keeps_what_was_written_without_a_flush)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct one one = one_create(seed, NULL);
        fill(&one, create_at(&one, "f"), 0, 5000, 'x', 0);
        world_kill(one.world, 0);
        world_start(one.world, 0);
        one.port = world_port(one.world, 0, 0);
        EQ(size_at(&one, "f"), 5000);
        EQ(byte_at(&one, "f", 4999), 'x');
        one_crash(&one); /* and only then is it lost, perhaps */
        TRUE_(size_at(&one, "f") <= 5000);
        world_destroy(one.world);
    }
}

TEST(world_disk, sectors_of_4096_are_never_torn_at_512)
{
    struct world_settings settings = world_settings_default();
    settings.sector_bytes = 4096;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct one one = one_create(seed, &settings);
        fill(&one, durable_file(&one), 0, 2048, 'b', 0);
        one_crash(&one);
        EQ(byte_at(&one, "f", 0), byte_at(&one, "f", 1536));
        world_destroy(one.world);
    }
}

TEST(world_disk, space_is_limited)
{
    struct world_settings settings = world_settings_default();
    settings.disk_limit_bytes = 4 * 4096;
    struct one one = one_create(1, &settings);
    int32_t handle = create_at(&one, "f");
    EQ(call(&one, (struct op){.kind = OP_ALLOCATE, .handle = handle, .size = 8192}), 0);
    EQ(fill(&one, handle, 0, 8192, 'x', 0), 8192);
    struct file_space space;
    struct op ask = {
        .kind = OP_SPACE, .handle = open_at(&one, ".", OPEN_READ | OPEN_DIRECTORY), .data = &space};
    EQ(call(&one, ask), 0);
    EQ(space.free_bytes, 8192);
    EQ(space.total_bytes, 4 * 4096);
    EQ(fill(&one, handle, 8192, 12288, 'x', 0), 8192); /* short */
    EQ(fill(&one, handle, 16384, 1, 'x', 0), -ERROR_NO_SPACE);
    EQ(create_at(&one, "g"), -ERROR_NO_SPACE);
    EQ(call(&one, (struct op){.kind = OP_CLOSE, .handle = handle}), 0);
    EQ(call(&one, (struct op){.kind = OP_REMOVE, .path = "f"}), 0);
    flush_folder(&one, ".");
    EQ(fill(&one, create_at(&one, "g"), 0, 16384, 'x', 0), 16384);
    world_destroy(one.world);
}

TEST(world_disk, faults_come_by_number_and_by_chance)
{
    struct one one = one_create(1, NULL);
    int32_t handle = create_at(&one, "f");
    world_fail(one.world, 0, OP_WRITE, 2, ERROR_INPUT_OUTPUT);
    world_fail(one.world, 0, OP_WRITE, 3, ERROR_NONE);
    EQ(fill(&one, handle, 0, 100, 'x', 0), 100);
    EQ(fill(&one, handle, 0, 100, 'y', 0), -ERROR_INPUT_OUTPUT);
    int64_t some = fill(&one, handle, 0, 100, 'z', 0);
    TRUE_(some > 0 && some < 100);
    one.world->settings.write_error_once_in = 4;
    int failed = 0;
    for (int i = 0; i < 100; i++)
        failed += fill(&one, handle, 0, 100, 'x', 0) < 0;
    TRUE_(failed > 5 && failed < 60);
    world_destroy(one.world);
}

static void crash_first(struct world_action *action, struct world *world)
{
    world_crash(world, 0);
}

TEST(world_disk, a_call_during_a_crash_ends_with_stopped)
{
    struct one one = one_create(1, NULL);
    int32_t handle = create_at(&one, "f");
    struct world_action action = WORLD_ACTION(crash_first);
    world_at(one.world, &action, 1);
    EQ(flush(&one, handle), -ERROR_STOPPED);
    EQ(flush(&one, handle), -ERROR_STOPPED); /* on a dead port too */
    world_destroy(one.world);
}
