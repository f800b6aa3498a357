#include "crash/caches.h"
#include "base/check.h"
#include "base/memory.h"
#include "crash/damage.h"
#include "crash/rig.h"
#include "storage/sidecar_format.h"
#include <stdio.h>

enum { FILES_MAX = 600 };

struct caches {
    struct disk *disk;
    struct inode *files[FILES_MAX];
    char paths[FILES_MAX][128];
    int count;
};

static bool is_cache(const char *path)
{
    return strstr(path, ".index") || strstr(path, ".timeindex") ||
           strstr(path, "leader-epoch-checkpoint") || strstr(path, SIDECAR_SUFFIX);
}

static void collect(struct caches *caches, struct inode *folder, const char *path)
{
    for (struct list *node = folder->entries.next; node != &folder->entries; node = node->next) {
        const struct entry *entry = CONTAINER_OF(node, struct entry, link);
        char name[400];
        snprintf(name, sizeof name, "%s/%s", path, entry->name);
        if (entry->inode->is_directory) {
            collect(caches, entry->inode, name);
        } else if (is_cache(name) && entry->inode->size > 0 && caches->count < FILES_MAX) {
            caches->files[caches->count] = entry->inode;
            snprintf(caches->paths[caches->count++], 128, "%s", name);
        }
    }
}

/* Makes a sidecar one of a file with this name and size, but of other batches. */
static int64_t make_stale(uint8_t *bytes, int64_t size)
{
    struct sidecar *sidecar = NULL;
    check(sidecar_decode((struct bytes){bytes, (int32_t)size}, &sidecar) == ERROR_NONE);
    for (int32_t i = 0; i < sidecar->run_count; i++) {
        sidecar->runs[i].heads ^= 1;
        sidecar->runs[i].names ^= 1;
    }
    struct bytes stale = sidecar_encode(sidecar);
    check(stale.size <= size + 64);
    memcpy(bytes, stale.data, (size_t)stale.size);
    memory_free((void *)(uintptr_t)stale.data);
    sidecar_free(sidecar);
    return stale.size;
}

static const char *const kinds[] = {"removed", "cut",       "cleared",
                                    "flipped", "another's", "of other batches"};

static void damage(struct caches *caches, struct random *random, char *what, size_t size)
{
    int i = (int)random_below(random, (uint64_t)caches->count);
    int kind = (int)random_below(random, strstr(caches->paths[i], SIDECAR_SUFFIX) ? 6 : 5);
    struct inode *file = caches->files[i];
    struct inode *other = caches->files[random_below(random, (uint64_t)caches->count)];
    int64_t most = max_i64(file->size, other->size);
    uint8_t *bytes = memory_zeroed((size_t)most + 64);
    check(disk_read(caches->disk, file, 0, bytes, (size_t)file->size) == file->size);
    int64_t place = (int64_t)random_below(random, (uint64_t)file->size), cut = file->size;
    switch (kind) {
    case 0:
        damage_remove(caches->disk, caches->paths[i]);
        break;
    case 1:
        cut = place;
        break;
    case 2:
        memset(bytes, 0, (size_t)file->size);
        damage_write(caches->disk, file, 0, bytes, (size_t)file->size);
        break;
    case 3:
        damage_flip(caches->disk, file, 8 * place + (int64_t)random_below(random, 8));
        break;
    case 5:
        cut = make_stale(bytes, file->size);
        damage_write(caches->disk, file, 0, bytes, (size_t)cut);
        break;
    default:
        cut = other->size;
        check(disk_read(caches->disk, other, 0, bytes, (size_t)cut) == cut);
        damage_write(caches->disk, file, 0, bytes, (size_t)cut);
    }
    if (kind > 0)
        damage_cut(caches->disk, file, cut);
    memory_free(bytes);
    snprintf(what, size, "%s %s at %lld", caches->paths[i], kinds[kind], (long long)place);
}

static void live_on(struct rig *first, struct oracle *oracle, uint64_t seed, char *failure,
                    size_t size)
{
    struct caches *caches = memory_zeroed(sizeof *caches);
    struct random random;
    random_seed(&random, seed);
    caches->disk = disk_clone(first->world->machines[0]->disk);
    collect(caches, disk_find(caches->disk, "data"), "data");
    char what[200];
    if (caches->count == 0) {
        disk_destroy(caches->disk);
        memory_free(caches);
        return;
    }
    damage(caches, &random, what, sizeof what);
    struct rig *rig = memory_zeroed(sizeof *rig);
    rig_init_image(rig, &first->settings, oracle, caches->disk, oracle->now);
    if (!rig_recover(rig))
        rig_fail(rig, "recovery refused: %s", rig->refusal);
    rig->sidecar_damaged = strstr(what, SIDECAR_SUFFIX) != NULL; /* nobody scrubs: it stays so */
    rig_open(rig);
    rig_read_all(rig);
    rig->index_gap_bytes = INDEX_GAP_BYTES;
    rig->damaged = strstr(what, kinds[3]) || strstr(what, kinds[4]); /* perhaps nobody came by */
    rig_stop(rig);
    if (rig->failure[0])
        snprintf(failure, size, "seed %llu, %s: %s", (unsigned long long)seed, what, rig->failure);
    rig_done(rig);
    memory_free(rig);
    memory_free(caches);
}

void caches_run(uint64_t seed, int count, char *failure, size_t size)
{
    struct rig_settings settings = rig_settings_random(seed);
    struct oracle oracle;
    struct rig *rig = memory_zeroed(sizeof *rig);
    oracle_init(&oracle, seed, settings.slots, settings.batch_most);
    rig_init(rig, &settings, &oracle);
    rig_start(rig);
    rig_work(rig, 4000);
    rig_stop(rig);
    snprintf(failure, size, "%s", rig->failure);
    for (int i = 0; i < count && !failure[0]; i++)
        live_on(rig, &oracle, seed * 1000 + (uint64_t)i, failure, size);
    rig_done(rig);
    memory_free(rig);
    oracle_done(&oracle);
}
