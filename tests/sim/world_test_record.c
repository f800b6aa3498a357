/* Recordings: every image that a crash could have left, and nothing else. */
#include "sim/world_test.h"

enum { SECTOR = 512 };

/* The image in a machine of a fresh world. */
static struct one load(struct disk *disk)
{
    struct one one = one_create(1, NULL);
    world_load_disk(one.world, 0, disk);
    return one;
}

/* A journal in small: three durable blocks, marked as they are acknowledged; then a file renamed.
 */
static struct disk_recording *record_journal(uint64_t seed)
{
    struct one one = one_create(seed, NULL);
    int32_t handle = create_at(&one, "journal");
    fill(&one, handle, 0, 3 * SECTOR, '0', 0);
    flush(&one, handle);
    flush_folder(&one, ".");
    world_record_start(one.world, 0);
    for (int i = 0; i < 3; i++) {
        fill(&one, handle, i * SECTOR, SECTOR, (char)('1' + i), WRITE_DURABLE);
        world_record_mark(one.world, 0, i);
    }
    fill(&one, create_at(&one, "new"), 0, 10, 'n', 0);
    call(&one, (struct op){.kind = OP_RENAME, .path = "new", .path_to = "state"});
    struct disk_recording *recording = world_record_stop(one.world, 0);
    world_destroy(one.world);
    return recording;
}

TEST(world_record, every_image_holds_the_acknowledged_prefix)
{
    struct disk_recording *recording = record_journal(1);
    int images = 0, unacknowledged = 0, with_state = 0;
    for (uint32_t cut = 0; cut <= recording->count; cut++) {
        int64_t acknowledged = disk_mark_at(recording, cut);
        struct disk_choice choice = disk_choice_of(CHOICE_OLD, 0);
        disk_destroy(disk_image_at(recording, cut, &choice));
        TRUE_(choice.units < 10);
        for (uint64_t bits = 0; bits < 1u << choice.units; bits++) {
            struct disk_choice each = disk_choice_of(CHOICE_BITS, bits);
            struct one one = load(disk_image_at(recording, cut, &each));
            for (int i = 0; i < 3; i++) {
                int byte = byte_at(&one, "journal", i * SECTOR);
                TRUE_(byte == '1' + i || (i > acknowledged && byte == '0'));
                unacknowledged += i > acknowledged && byte == '1' + i;
            }
            with_state += size_at(&one, "state") >= 0;
            world_destroy(one.world);
            images++;
        }
    }
    TRUE_(images > (int)recording->count && unacknowledged > 0 && with_state > 0);
    disk_recording_destroy(recording);
}

TEST(world_record, an_image_is_the_same_however_it_is_reached)
{
    struct disk_recording *recording = record_journal(2);
    for (uint32_t cut = recording->count; cut-- > 0;) { /* backwards: replayed from the start */
        struct disk_choice choice = disk_choice_of(CHOICE_RANDOM, cut), again = choice;
        struct one first = load(disk_image_at(recording, cut, &choice));
        struct one second = load(disk_image_at(recording, cut, &again));
        EQ(choice.units, again.units);
        for (int i = 0; i < 3; i++)
            EQ(byte_at(&first, "journal", i * SECTOR), byte_at(&second, "journal", i * SECTOR));
        EQ(size_at(&first, "state"), size_at(&second, "state"));
        EQ(size_at(&first, "new"), size_at(&second, "new"));
        world_destroy(first.world);
        world_destroy(second.world);
    }
    disk_recording_destroy(recording);
}

TEST(world_record, one_unit_old_and_all_others_new)
{
    struct one one = one_create(1, NULL);
    int32_t handle = create_at(&one, "f");
    fill(&one, handle, 0, 4 * SECTOR, 'a', 0);
    flush(&one, handle);
    flush_folder(&one, ".");
    world_record_start(one.world, 0);
    fill(&one, handle, 0, 4 * SECTOR, 'b', 0);
    struct disk_recording *recording = world_record_stop(one.world, 0);
    for (uint64_t unit = 0; unit < 4; unit++)
        for (int new = 0; new < 2; new ++) {
            struct disk_choice choice = disk_choice_of(new ? CHOICE_ONE_NEW : CHOICE_ONE_OLD, unit);
            struct one image = load(disk_image_at(recording, recording->count, &choice));
            EQ(choice.units, 4);
            for (uint64_t i = 0; i < 4; i++)
                EQ(byte_at(&image, "f", (int64_t)i * SECTOR), (i == unit) == new ? 'b' : 'a');
            world_destroy(image.world);
        }
    disk_recording_destroy(recording);
    world_destroy(one.world);
}

/* Which of a, b, c and d/e are there, by bits. */
static int names_there(struct one *one)
{
    static const char *const names[] = {"a", "b", "c", "d/e"};
    int there = 0;
    for (int i = 0; i < 4; i++)
        there |= (size_at(one, names[i]) >= 0) << i;
    return there;
}

/* a is made, b is made, a becomes c: in the root; e is made: in a folder of its own. */
TEST(world_record, of_names_alone_what_a_choice_says_is_lost)
{
    enum { A = 1, B = 2, C = 4, E = 8 };
    static const struct {
        enum disk_choice_kind kind;
        uint64_t number;
        int there;
    } cases[] = {
        {CHOICE_CHANGE_LOST, 1, C | E}, {CHOICE_CHANGE_LOST, 2, A | B | E},
        {CHOICE_NAME_LOST, 0, B | E},   {CHOICE_NAME_LOST, 3, B | C},
        {CHOICE_CHANGE_KEPT, 1, B | E}, {CHOICE_CHANGE_KEPT, 3, B | C | E},
        {CHOICE_FOLDER_LOST, 0, E},     {CHOICE_FOLDER_LOST, 3, B | C},
        {CHOICE_LINKS_LOST, 0, C | E},  {CHOICE_CHANGE_LOST, 9, B | C | E},
    };
    struct one one = one_create(1, NULL);
    one.world->machines[0]->disk->names_as_prefix = false;
    call(&one, (struct op){.kind = OP_MAKE_DIRECTORY, .path = "d"});
    flush_folder(&one, ".");
    world_record_start(one.world, 0);
    (void)create_at(&one, "a");
    (void)create_at(&one, "b");
    call(&one, (struct op){.kind = OP_RENAME, .path = "a", .path_to = "c"});
    (void)create_at(&one, "d/e");
    struct disk_recording *recording = world_record_stop(one.world, 0);
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++) {
        struct disk_choice choice = disk_choice_of(cases[i].kind, cases[i].number);
        struct one image = load(disk_image_at(recording, recording->count, &choice));
        EQ(choice.names, 4);
        EQ(names_there(&image), cases[i].there);
        world_destroy(image.world);
    }
    disk_recording_destroy(recording);
    world_destroy(one.world);
}

TEST(world_record, an_image_does_not_change_its_source)
{
    struct disk_recording *recording = record_journal(3);
    struct disk_choice choice = disk_choice_of(CHOICE_NEW, 0), again = choice;
    struct one first = load(disk_image_at(recording, recording->count, &choice));
    fill(&first, open_at(&first, "journal", OPEN_WRITE), 0, 3 * SECTOR, 'z', 0);
    struct one second = load(disk_image_at(recording, recording->count, &again));
    EQ(byte_at(&second, "journal", 0), '1');
    EQ(byte_at(&first, "journal", 0), 'z');
    world_destroy(first.world);
    world_destroy(second.world);
    disk_recording_destroy(recording);
}

/* Random work, recorded; the image of the last cut with everything kept is what the process saw,
 * and with everything lost what had been flushed. */
TEST(world_record, replay_agrees_with_the_run)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct world_settings settings = world_settings_default();
        settings.short_write_once_in = 5;
        settings.write_error_once_in = 9;
        settings.flush_error_once_in = 9;
        struct one one = one_create(seed, &settings);
        world_record_start(one.world, 0);
        struct random random;
        random_seed(&random, seed);
        const char *names[] = {"a", "b", "c"};
        for (int i = 0; i < 60; i++) {
            const char *name = names[random_below(&random, 3)];
            int32_t handle = create_at(&one, name);
            fill(&one, handle, (int64_t)random_below(&random, 9000),
                 1 + random_below(&random, 5000), (char)('a' + i % 26),
                 random_below(&random, 3) == 0 ? WRITE_DURABLE : 0);
            if (random_once_in(&random, 3))
                flush(&one, handle);
            if (random_once_in(&random, 5))
                call(&one, (struct op){.kind = OP_TRUNCATE,
                                       .handle = handle,
                                       .size = random_below(&random, 12000)});
            call(&one, (struct op){.kind = OP_CLOSE, .handle = handle});
            if (random_once_in(&random, 6))
                call(&one, (struct op){.kind = OP_RENAME,
                                       .path = name,
                                       .path_to = names[random_below(&random, 3)]});
            if (random_once_in(&random, 8))
                call(&one, (struct op){.kind = OP_REMOVE, .path = name});
        }
        struct disk_recording *recording = world_record_stop(one.world, 0);
        struct disk_choice choice = disk_choice_of(CHOICE_NEW, 0);
        struct one image = load(disk_image_at(recording, recording->count, &choice));
        one.world->settings.write_error_once_in = 0;
        for (int i = 0; i < 3; i++) {
            EQ(size_at(&image, names[i]), size_at(&one, names[i]));
            for (int64_t at = 0; at < size_at(&one, names[i]); at += 97)
                EQ(byte_at(&image, names[i], at), byte_at(&one, names[i], at));
        }
        world_destroy(image.world);
        disk_recording_destroy(recording);
        world_destroy(one.world);
    }
}

/* A file that has lost its name is not there after any crash, but what is done to it counts for
 * nothing else either: the flush of another file covers just what it covered in the run. */
TEST(world_record, a_file_without_a_name_leaves_no_trace)
{
    struct world_settings settings = world_settings_default();
    settings.slow_once_in = 0;
    settings.latency[OP_FLUSH] = (struct world_range){500000, 500000};
    struct one one = one_create(1, &settings);
    int32_t kept = create_at(&one, "kept"), gone = create_at(&one, "gone");
    fill(&one, kept, 0, SECTOR, 'a', 0);
    flush(&one, kept);
    call(&one, (struct op){.kind = OP_REMOVE, .path = "gone"});
    flush_folder(&one, ".");
    world_record_start(one.world, 0);
    for (int i = 0; i < 10; i++)
        fill(&one, gone, 0, SECTOR, 'x', 0);
    struct op flush_it = {.kind = OP_FLUSH, .handle = kept};
    op_start(one.port, &flush_it);
    fill(&one, kept, 0, SECTOR, 'b', 0); /* completes while the flush runs: not covered */
    TRUE_(flush_it.running);
    while (flush_it.running)
        one.port->operations->wait(one.port, INT64_MAX);
    struct disk_recording *recording = world_record_stop(one.world, 0);
    struct disk_choice choice = disk_choice_of(CHOICE_OLD, 0);
    struct one image = load(disk_image_at(recording, recording->count, &choice));
    EQ(choice.units, 1);
    EQ(byte_at(&image, "kept", 0), 'a');
    EQ(size_at(&image, "gone"), -ERROR_NOT_FOUND);
    world_destroy(image.world);
    disk_recording_destroy(recording);
    world_destroy(one.world);
}
