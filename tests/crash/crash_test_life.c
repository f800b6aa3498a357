/* Whole lives of a store: worked, stopped cleanly or not, and started again on the same disk, with
 * and without faults of the disk. BOLE_SEED and BOLE_SEEDS choose which seeds, from and to. */
#include "base/check.h"
#include "base/memory.h"
#include "codec/crc32c.h"
#include "crash/lives.h"
#include "support/test.h"
#include <stdio.h>
#include <stdlib.h>

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void run(enum lives_kind kind, uint64_t count)
{
    uint64_t first = number_of("BOLE_SEED", 1), last = number_of("BOLE_SEEDS", first + count - 1);
    bool passed = true;
    for (uint64_t seed = first; seed <= last && passed; seed++) {
        char failure[800];
        lives_run(kind, seed, 8, failure, sizeof failure);
        passed = test_expect(failure[0] == 0, __FILE__, __LINE__, "seed %llu: %s",
                             (unsigned long long)seed, failure);
    }
}

TEST(life, starts_works_and_stops)
{
    run(LIVES_CLEAN, 20);
}

TEST(life, crashes_and_kills)
{
    run(LIVES_CRASHES, 40);
}

TEST(life, faults_of_the_disk)
{
    run(LIVES_FAULTS, 80);
}

/* Lives that went wrong once. */
TEST(life, goes_well_where_it_once_did_not)
{
    static const struct {
        enum lives_kind kind;
        uint64_t seed;
    } lives[] = {
        /* a checkpoint saves leader epochs while a move of the log start is not durable yet, and a
         * crash takes the move back */
        {LIVES_FAULTS, 981},
        /* segments go, and the oldest snapshot of producers beyond them was torn by a crash */
        {LIVES_FAULTS, 168},
        {LIVES_FAULTS, 511},
        {LIVES_FAULTS, 604},
        /* a topic is deleted while a file is opened for segments that go */
        {LIVES_REMOVALS, 77},
        {LIVES_REMOVALS, 177},
        /* a log rolls just at its log start */
        {LIVES_REMOVALS, 47},
        /* a segment is closed after all of it was deleted */
        {LIVES_CLEAN, 157},
    };
    for (int i = 0; i < ARRAY_COUNT(lives); i++) {
        char failure[800];
        lives_run(lives[i].kind, lives[i].seed, 8, failure, sizeof failure);
        EQ_TEXT(failure, "");
    }
}

/* Both anchors of the first core's journal, as a broker of that version wrote them. */
static void set_version(struct disk *disk, uint32_t version)
{
    struct inode *file = disk_find(disk, "data/journal-0");
    for (int i = 0; i < 2; i++) {
        uint8_t slot[64];
        struct iovec vector = {slot, sizeof slot};
        check(disk_read(disk, file, i * JOURNAL_ANCHOR_SLOT, slot, sizeof slot) == sizeof slot);
        memcpy(slot + 8, &version, sizeof version);
        uint32_t crc = crc32c(0, slot, sizeof slot - 4);
        memcpy(slot + 60, &crc, sizeof crc);
        struct disk_change change = {.kind = OP_WRITE,
                                     .inode = file->id,
                                     .offset = i * JOURNAL_ANCHOR_SLOT,
                                     .size = sizeof slot,
                                     .vectors = &vector,
                                     .vector_count = 1};
        check(disk_execute(disk, &change) == sizeof slot);
    }
    struct disk_choice choice = disk_choice_of(CHOICE_NEW, 0);
    disk_crash(disk, &choice);
}

static struct anchor anchor_of(struct disk *disk)
{
    struct anchor best = {0}, anchor;
    for (int i = 0; i < 2; i++) {
        uint8_t slot[JOURNAL_ANCHOR_SLOT];
        disk_read(disk, disk_find(disk, "data/journal-0"), i * JOURNAL_ANCHOR_SLOT, slot,
                  sizeof slot);
        if (!anchor_decode(slot, &anchor) && anchor.generation > best.generation)
            best = anchor;
    }
    return best;
}

TEST(life, a_journal_of_version_1_is_resumed_as_one_of_version_2)
{
    struct rig_settings settings = rig_settings_random(11);
    settings.cores = 1;
    settings.starts = STARTS_RESUME;
    settings.moves = false;
    struct oracle oracle;
    struct rig *rig = memory_zeroed(sizeof *rig);
    oracle_init(&oracle, 11, settings.slots, settings.batch_most);
    rig_init(rig, &settings, &oracle);
    rig_start(rig);
    rig_work(rig, 1000);
    rig_crash(rig, true);
    struct disk *disk = rig->world->machines[0]->disk;
    set_version(disk, 1);
    EQ(anchor_of(disk).version, 1);
    uint64_t generation = anchor_of(disk).generation;
    rig_start(rig);
    TRUE_(rig->cores[0].store.resumed_bytes > 0);
    EQ(anchor_of(disk).version, 2);
    TRUE_(anchor_of(disk).generation > generation);
    rig_work(rig, 1000);
    rig_crash(rig, true);
    rig_start(rig);
    EQ_TEXT(rig->failure, "");
    set_version(disk, 3);
    rig_crash(rig, false);
    world_start(rig->world, 0);
    rig->resumes = false;
    TRUE_(!rig_recover(rig));
    TRUE_(strstr(rig->refusal, "it was written by a newer version") != NULL);
    rig_done(rig);
    memory_free(rig);
    oracle_done(&oracle);
}

TEST(life, removed_and_recreated)
{
    run(LIVES_REMOVALS, 40);
}
