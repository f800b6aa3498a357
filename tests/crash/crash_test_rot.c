/* Bits that flip: refused with file and position, or harmless; never a wrong record, never a crash.
 *
 * Two things can't be told: rot in the blocks of the last write of a journal looks like a torn end,
 * and of a batch's offset and leader epoch nothing is a checksum (the sidecars will be). */
#include "base/check.h"
#include "base/memory.h"
#include "crash/rig.h"
#include "protocol/batch.h"
#include "support/test.h"
#include <stdio.h>

struct rotten {
    struct disk *disk;
    struct inode *files[512];
    char paths[512][128];
    int count;
};

static void collect(struct rotten *rotten, struct inode *folder, const char *path)
{
    for (struct list *node = folder->entries.next; node != &folder->entries; node = node->next) {
        const struct entry *entry = CONTAINER_OF(node, struct entry, link);
        char name[400];
        snprintf(name, sizeof name, "%s/%s", path, entry->name);
        if (entry->inode->is_directory) {
            collect(rotten, entry->inode, name);
        } else if (entry->inode->size > 0 && rotten->count < 512) {
            rotten->files[rotten->count] = entry->inode;
            snprintf(rotten->paths[rotten->count++], 128, "%s", name);
        }
    }
}

/* Is it one of the bytes of a batch that nothing covers? */
static bool is_uncovered(struct rotten *rotten, struct inode *file, const char *path, int64_t place)
{
    if (!strstr(path, ".log"))
        return false;
    uint8_t header[BATCH_RECORDS_AT];
    for (int64_t at = 0; disk_read(rotten->disk, file, at, header, sizeof header) ==
                         (int64_t)sizeof header;) {
        int64_t end = at + BATCH_OVERHEAD + (int64_t)load_be32(header + BATCH_LENGTH_AT);
        if (place < end || end <= at)
            return place - at < BATCH_LENGTH_AT ||
                   (place - at >= BATCH_LEADER_EPOCH_AT && place - at < BATCH_MAGIC_AT);
        at = end;
    }
    return false;
}

static void flip(struct rotten *rotten, struct random *random, char *what, size_t size)
{
    int i = (int)random_below(random, (uint64_t)rotten->count);
    struct inode *file = rotten->files[i];
    int64_t most = file->size, place;
    if (strstr(rotten->paths[i], "journal-") && random_below(random, 2))
        most = random_below(random, 2) ? 64 : 16384; /* anchors, and where the ring begins */
    do {
        place = (int64_t)random_below(random, (uint64_t)(most < file->size ? most : file->size));
    } while (is_uncovered(rotten, file, rotten->paths[i], place));
    uint8_t byte;
    check(disk_read(rotten->disk, file, place, &byte, 1) == 1);
    byte ^= (uint8_t)(1u << random_below(random, 8));
    struct iovec vector = {&byte, 1};
    struct disk_change change = {.kind = OP_WRITE, .inode = file->id, .offset = place, .size = 1,
                                 .vectors = &vector, .vector_count = 1};
    check(disk_execute(rotten->disk, &change) == 1);
    struct disk_choice choice = disk_choice_of(CHOICE_NEW, 0);
    disk_crash(rotten->disk, &choice);
    snprintf(what, size, "%s at %lld", rotten->paths[i], (long long)place);
}

static int refused, told_where;

static void look_at_rot(const struct rig_settings *settings, struct oracle *oracle,
                        struct disk *disk, uint64_t seed)
{
    struct rotten *rotten = memory_zeroed(sizeof *rotten);
    struct random random;
    random_seed(&random, seed);
    rotten->disk = disk;
    collect(rotten, disk_find(disk, "data"), "data");
    char what[200];
    flip(rotten, &random, what, sizeof what);
    struct rig *rig = memory_zeroed(sizeof *rig);
    rig_init_image(rig, settings, oracle, disk, oracle->now);
    rig->damaged = true;
    if (rig_recover(rig)) {
        rig_open(rig);
        rig_read_all(rig);
    } else {
        refused++;
        told_where += strstr(rig->refusal, "data/") != NULL;
    }
    test_expect(rig->failure[0] == 0, __FILE__, __LINE__, "seed %llu, %s: %s",
                (unsigned long long)seed, what, rig->failure);
    rig_done(rig);
    memory_free(rig);
    memory_free(rotten);
}

TEST(rot, is_refused_or_harmless)
{
    refused = told_where = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rig_settings settings = rig_settings_random(seed);
        struct oracle oracle;
        struct rig *rig = memory_zeroed(sizeof *rig);
        oracle_init(&oracle, seed, settings.slots, settings.batch_most);
        rig_init(rig, &settings, &oracle);
        rig_start(rig);
        rig_work(rig, 3000);
        rig_crash(rig, true);
        for (uint64_t i = 0; i < 40; i++)
            look_at_rot(&settings, &oracle, disk_clone(rig->world->machines[0]->disk),
                        seed * 1000 + i);
        rig_done(rig);
        memory_free(rig);
        oracle_done(&oracle);
    }
    TRUE_(refused > 10);
    EQ(told_where, refused);
}
