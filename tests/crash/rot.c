#include "base/check.h"
#include "base/memory.h"
#include "crash/damage.h"
#include "crash/rig.h"
#include "crash/rot.h"
#include "protocol/batch.h"
#include "storage/sidecar_format.h"
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

bool rot_is_untold(struct disk *disk, struct inode *file, const char *path, int64_t place)
{
    char sidecar[128];
    const char *suffix = strstr(path, ".log");
    if (!suffix)
        return false;
    snprintf(sidecar, sizeof sidecar, "%.*s" SIDECAR_SUFFIX, (int)(suffix - path), path);
    if (disk_find(disk, sidecar))
        return false; /* it tells */
    uint8_t header[BATCH_RECORDS_AT];
    for (int64_t at = 0;
         disk_read(disk, file, at, header, sizeof header) == (int64_t)sizeof header;) {
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
    } while (rot_is_untold(rotten->disk, file, rotten->paths[i], place));
    damage_flip(rotten->disk, file, 8 * place + (int64_t)random_below(random, 8));
    snprintf(what, size, "%s at %lld", rotten->paths[i], (long long)place);
}

static void look_at_rot(struct rot *rot, const struct rig_settings *settings, struct oracle *oracle,
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
    rig->damaged = !strstr(what, ".snapshot"); /* another one, or the log, tells the same */
    if (rig_recover(rig)) {
        rot->refused += rig->recovery.set_aside > 0;
        rot->told_file += rig->recovery.set_aside && strstr(rig->recovery.warning, "data/");
        rig_open(rig);
        rig_read_all(rig);
    } else {
        rot->refused++;
        rot->told_file += strstr(rig->refusal, "data/") != NULL;
    }
    if (rig->failure[0] && !rot->failure[0])
        snprintf(rot->failure, sizeof rot->failure, "seed %llu, %s: %s", (unsigned long long)seed,
                 what, rig->failure);
    rig_done(rig);
    memory_free(rig);
    memory_free(rotten);
}

void rot_run(struct rot *rot, uint64_t seed)
{
    struct rig_settings settings = rig_settings_random(seed);
    struct oracle oracle;
    struct rig *rig = memory_zeroed(sizeof *rig);
    oracle_init(&oracle, seed, settings.slots, settings.batch_most);
    rig_init(rig, &settings, &oracle);
    rig_start(rig);
    rig_work(rig, 3000);
    if (!rig->failure[0])
        rig_crash(rig, true);
    snprintf(rot->failure, sizeof rot->failure, "%s", rig->failure);
    for (int i = 0; i < rot->flips && !rot->failure[0]; i++)
        look_at_rot(rot, &settings, &oracle, disk_clone(rig->world->machines[0]->disk),
                    seed * 1000 + (uint64_t)i);
    rig_done(rig);
    memory_free(rig);
    oracle_done(&oracle);
}
