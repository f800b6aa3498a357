/* Compaction by itself, and crashed at every point. BOLE_SEED and BOLE_SEEDS choose which seeds. */
#include "base/memory.h"
#include "base/check.h"
#include "crash/keyed_runs.h"
#include "crash/numbers.h"
#include "support/test.h"
#include "crash/written.h"
#include <stdio.h>
#include <stdlib.h>

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void run(bool crashes, uint64_t count)
{
    uint64_t first = number_of("BOLE_SEED", 1), last = number_of("BOLE_SEEDS", first + count - 1);
    uint64_t passes = 0, dropped = 0, reads = 0;
    for (uint64_t seed = first; seed <= last; seed++) {
        struct keyed *keyed = memory_zeroed(sizeof *keyed);
        keyed_lives(seed, crashes, keyed);
        EQ_TEXT(keyed->failure, "");
        passes += keyed->passes;
        dropped += keyed->dropped;
        reads += keyed->reads;
        bool failed = keyed->failure[0];
        keyed_done(keyed);
        memory_free(keyed);
        if (failed)
            return;
    }
    printf("%llu passes, %llu records dropped, read through %llu times\n",
           (unsigned long long)passes, (unsigned long long)dropped, (unsigned long long)reads);
    TRUE_(passes > 0 && dropped > 0);
}

TEST(compaction, agrees_with_its_model)
{
    run(false, 30);
}

TEST(compaction, agrees_with_its_model_over_crashes)
{
    run(true, 40);
}

TEST(compaction, gives_up_or_fences_when_the_disk_fails)
{
    uint64_t first = number_of("BOLE_SEED", 1), last = number_of("BOLE_SEEDS", first + 39);
    uint64_t refusals = 0;
    for (uint64_t seed = first; seed <= last; seed++) {
        struct keyed *keyed = memory_zeroed(sizeof *keyed);
        keyed_faults(seed, keyed);
        EQ_TEXT(keyed->failure, "");
        refusals += keyed->refusals;
        bool failed = keyed->failure[0];
        keyed_done(keyed);
        memory_free(keyed);
        if (failed)
            return;
    }
    printf("%llu appends refused on a full disk\n", (unsigned long long)refusals);
}

/* Runs whose oracle was wrong once: a reader beside a tombstone that may go. */
TEST(compaction, a_tombstone_may_go_while_a_reader_is_beside_it)
{
    static const uint64_t seeds[] = {1100, 1472};
    for (int i = 0; i < ARRAY_COUNT(seeds); i++) {
        struct keyed *keyed = memory_zeroed(sizeof *keyed);
        keyed_faults(seeds[i], keyed);
        EQ_TEXT(keyed->failure, "");
        keyed_done(keyed);
        memory_free(keyed);
    }
}

/* ---- a fault at every operation, by number ---- */

static void run_fault(struct numbers *numbers, uint64_t number)
{
    struct keyed *keyed = memory_zeroed(sizeof *keyed);
    struct keyed_fault one = *(const struct keyed_fault *)numbers->context;
    one.keyed = keyed;
    one.number = number;
    one.power_lost = number % 3 != 0 || one.kind == FAULT_ERROR;
    keyed_fault(&one);
    numbers->tallies[0] += one.met;
    numbers->tallies[1] += one.fenced;
    numbers->tallies[2] += one.swaps;
    numbers->ended = !one.met;
    snprintf(numbers->failure, sizeof numbers->failure, "%s", keyed->failure);
    keyed_done(keyed);
    memory_free(keyed);
}

TEST(compaction_faults, at_every_operation)
{
    uint64_t runs = 0, fenced = 0, swaps = 0;
    for (uint64_t seed = 1; seed <= 4; seed++)
        for (int kind = 0; kind < FAULT_KINDS; kind++) {
            struct keyed_fault fault = {.seed = 9000 + seed, .kind = (enum fault_kind)kind};
            struct numbers numbers = {.run = run_fault, .context = &fault};
            numbers_choose(&numbers, 40, seed + (uint64_t)kind);
            numbers_run(&numbers);
            runs += numbers.runs;
            fenced += numbers.tallies[1];
            swaps += numbers.tallies[2];
            test_expect(numbers.failure[0] == 0, __FILE__, __LINE__,
                        "seed %llu, kind %d, operation %llu: %s", (unsigned long long)fault.seed,
                        kind, (unsigned long long)numbers.at, numbers.failure);
        }
    printf("%llu runs, %llu fenced, %llu swaps\n", (unsigned long long)runs,
           (unsigned long long)fenced, (unsigned long long)swaps);
    TRUE_(fenced > 0 && swaps > runs / 4);
}

TEST(compaction, of_every_crash_keeps_what_was_promised)
{
    uint64_t images = 0, recoveries = 0, times = number_of("BOLE_CRASH_TIMES", 1);
    bool failed = false;
    for (uint64_t seed = 9000; seed < 9000 + 6 * times && !failed; seed++) {
        struct keyed_cuts run = {.keyed = memory_zeroed(sizeof *run.keyed)};
        keyed_images(seed, 12, &run);
        EQ_TEXT(run.keyed->failure, "");
        failed = run.keyed->failure[0];
        images += run.images;
        recoveries += run.recoveries;
        keyed_done(run.keyed);
        memory_free(run.keyed);
    }
    printf("compaction: %llu images, %llu crashed again\n", (unsigned long long)images,
           (unsigned long long)recoveries);
}

/* ---- a folder of Kafka's, whose segments may end before the next one begins ---- */

TEST(compaction, leaves_gaps_that_reads_pass_over)
{
    struct keyed_settings settings = keyed_settings_random(1);
    settings.keys = settings.records_most = 1; /* whatever comes later supersedes all before */
    settings.value_most = 50;
    settings.tombstone_once_in = 0;
    struct keyed *keyed = memory_zeroed(sizeof *keyed);
    keyed_init(keyed, &settings);
    keyed->capacity = 30;
    keyed->records = memory_zeroed((size_t)keyed->capacity * sizeof keyed->records[0]);
    for (int i = 0; i < keyed->capacity; i++)
        keyed->records[i].producer = -1;
    struct disk *disk = keyed->world->machines[0]->disk;
    write_keyed_folder(disk);
    write_keyed_segment(keyed, 0, 5, NULL); /* 5 to 9, and all of 10 to 14, were compacted away */
    write_file(disk, "data/k-0/00000000000000000010.log", (struct bytes){0});
    write_keyed_segment(keyed, 15, 20, NULL);
    keyed->count = keyed->durable = keyed->committed = 20;
    keyed_start(keyed);
    keyed_work(keyed, 400);
    keyed_settle(keyed);
    keyed_stop(keyed);
    EQ_TEXT(keyed->failure, "");
    keyed_done(keyed);
    memory_free(keyed);
}
