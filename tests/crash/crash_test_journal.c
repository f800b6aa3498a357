/* How much of a ring is live, as a start counts it: more than the ring can hold would end the
 * start. */
#include "base/memory.h"
#include "cluster/partition.h"
#include "crash/place.h"
#include "crash/written.h"
#include "storage/journal_reader.h"
#include "storage/log_state.h"
#include "storage/store.h"
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

/* Of blocks that are whole, each behind the one before: the last one holds the first one's bytes in
 * its second half. */
TEST(journal, whose_blocks_lie_one_over_the_other_is_refused)
{
    enum { FIRST = 6, LAST = 5 };
    struct place place;
    place_init(&place, 1, "data", NULL);
    TRUE_(place_boot(&place));
    place_stop(&place);
    world_start(place.world, 0);
    uint8_t *bytes = memory_zeroed(FILE_BYTES);
    struct anchor anchor = {.alignment = ALIGNMENT,
                            .generation = 1,
                            .salt = 77,
                            .start_position = JOURNAL_RING_BEGIN + FIRST * ALIGNMENT,
                            .start_sequence = 5};
    anchor_encode(&anchor, bytes);
    for (int i = 0; i < BLOCKS; i++) {
        bool last = (FIRST + i) % BLOCKS == LAST;
        struct block_header header = {.length = last ? 2 * ALIGNMENT : BLOCK_HEADER_SIZE,
                                      .salt = anchor.salt,
                                      .sequence = anchor.start_sequence + (uint64_t)i,
                                      .chain = anchor.start_chain};
        anchor.start_chain =
            block_seal(bytes + JOURNAL_RING_BEGIN + (FIRST + i) % BLOCKS * ALIGNMENT, &header);
    }
    write_file(place.world->machines[0]->disk, "data/ring", (struct bytes){bytes, FILE_BYTES});
    memory_free(bytes);
    struct journal_reader reader;
    struct bytes entries = {NULL, 0};
    enum error error = journal_reader_open(&reader, world_port(place.world, 0, 0), "data/ring");
    for (int i = 0; i < BLOCKS && !error; i++)
        error = journal_reader_next(&reader, &entries);
    EQ(error, ERROR_CHECKSUM);
    EQ_TEXT(reader.fault, "block 12 at position 28672 lies over older ones that are live");
    journal_reader_close(&reader);
    place_done(&place);
}

TEST(journal, keeps_nothing_for_appends_that_do_not_come)
{
    struct place place;
    place_init(&place, 1, "data", NULL);
    TRUE_(place_boot(&place));
    place_turn_topic(&place, "t1");
    for (int i = 0; i < 5; i++)
        EQ(place_send(&place, "t1", 0), ERROR_NONE);
    struct store *store = place_partition(&place, "t1", 0)->log->store;
    TRUE_(!list_is_empty(&store->journal.spare));
    world_run(place.world, (struct world_stop){.for_ns = 60000000000});
    TRUE_(list_is_empty(&store->journal.spare));
    TRUE_(list_is_empty(&store->spare_pieces));
    place_stop(&place);
    place_done(&place);
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
