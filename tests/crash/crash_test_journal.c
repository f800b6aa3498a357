/* How much of a ring is live, as a start counts it: more than the ring can hold would end the
 * start. */
#include "base/memory.h"
#include "crash/place.h"
#include "crash/written.h"
#include "storage/journal_reader.h"
#include "support/test.h"

enum { ALIGNMENT = 4096, BLOCKS = 8, FILE_BYTES = JOURNAL_RING_BEGIN + BLOCKS * ALIGNMENT };

/* A journal of empty blocks: the anchor points to the place of that number, and then `count` blocks
 * follow, the first one at the place `first`. What is live of it, in blocks; -1: it is refused. */
static int64_t live_blocks(struct place *place, int start, int first, int count)
{
    uint8_t *bytes = memory_zeroed(FILE_BYTES);
    struct anchor anchor = {.alignment = ALIGNMENT,
                            .generation = 1,
                            .salt = 77,
                            .start_position = JOURNAL_RING_BEGIN + start * ALIGNMENT,
                            .start_sequence = 5};
    anchor_encode(&anchor, bytes);
    for (int i = 0; i < count; i++) {
        struct block_header header = {.length = BLOCK_HEADER_SIZE,
                                      .salt = anchor.salt,
                                      .sequence = anchor.start_sequence + (uint64_t)i,
                                      .chain = anchor.start_chain};
        anchor.start_chain =
            block_seal(bytes + JOURNAL_RING_BEGIN + (first + i) % BLOCKS * ALIGNMENT, &header);
    }
    write_file(place->world->machines[0]->disk, "data/ring", (struct bytes){bytes, FILE_BYTES});
    memory_free(bytes);
    struct journal_reader reader;
    struct bytes entries = {NULL, 1};
    int found = -1; /* the end is read, too */
    enum error error = journal_reader_open(&reader, world_port(place->world, 0, 0), "data/ring");
    for (; !error && entries.size >= 0 && found < count; found++)
        error = journal_reader_next(&reader, &entries);
    int64_t live = error ? -1 : reader.live_bytes / ALIGNMENT;
    EQ(reader.sequence, 5 + (uint64_t)count);
    journal_reader_close(&reader);
    return live;
}

TEST(journal, of_which_no_more_is_live_than_the_ring_holds)
{
    struct place place;
    place_init(&place, 1, "data", NULL);
    TRUE_(place_boot(&place)); /* makes the folder */
    place_stop(&place);
    world_start(place.world, 0);
    EQ(live_blocks(&place, 2, 2, 3), 3);
    EQ(live_blocks(&place, 6, 6, 5), 5);
    EQ(live_blocks(&place, 7, 7, 8), 8);
    EQ(live_blocks(&place, 6, 0, 5), 5); /* the ring ended at 6 and has grown since */
    EQ(live_blocks(&place, 3, 0, 7), 7); /* beyond where the anchor points to */
    place_done(&place);
}

/* A write fails; the next process can read it all the same, and goes on behind it; then power is
 * lost. */
TEST(journal, goes_on_behind_nothing_that_a_loss_of_power_takes)
{
    for (uint64_t seed = 1; seed <= 120; seed++) {
        struct place place;
        place_init(&place, seed, "data", NULL);
        TRUE_(place_boot(&place));
        place_turn_topic(&place, "t1");
        EQ(place_send(&place, "t1", 0), ERROR_NONE);
        world_fail(place.world, 0, OP_WRITE, 1, ERROR_INPUT_OUTPUT);
        int sent = 1 + (place_send(&place, "t1", 0) == ERROR_NONE); /* it was another write */
        world_kill(place.world, 0);
        bool up = place_boot(&place);
        for (int i = 0; i < 3 && up; i++, sent++)
            EQ(place_send(&place, "t1", 0), ERROR_NONE);
        world_crash(place.world, 0);
        up = up && place_boot(&place);
        test_expect(up, __FILE__, __LINE__, "seed %llu: %s", (unsigned long long)seed, place.why);
        if (!up)
            return; /* what a failed one holds is left */
        TRUE_(place_count(&place, "t1", 0) >= sent);
        place_stop(&place);
        place_done(&place);
    }
}
