#include "sim/broker_rot.h"
#include "base/check.h"
#include "base/reached.h"
#include "sim/disk.h"
#include "storage/folder.h"
#include "storage/segment.h"

enum { PATH_SIZE = 3 * DISK_NAME_BYTES_MAX };

struct rot_place {
    struct inode *inode;
    struct model_partition *partition;
    bool is_log, is_snapshot;
    char path[PATH_SIZE];
    uint64_t seen; /* places so far, of which this is one by chance */
};

static struct disk *disk_of(const struct simulation *sim)
{
    return sim->world->machines[sim->broker.machine]->disk;
}

/* Whose folder is it? Null: nobody's whose rot could be told from other trouble. */
static struct model_partition *partition_of(struct simulation *sim, const struct entry *folder,
                                            const char *directory)
{
    char path[PATH_SIZE];
    uint8_t text[256];
    struct string topic_name;
    struct uuid id;
    int32_t index;
    snprintf(path, sizeof path, "%s/%s/" PARTITION_METADATA_FILE, directory, folder->name);
    struct inode *file = disk_find(disk_of(sim), path);
    if (!folder->inode->is_directory || !file ||
        !folder_name_parse(folder->name, &topic_name, &index))
        return NULL;
    int64_t size = disk_read(disk_of(sim), file, 0, text, sizeof text);
    if (size <= 0 || !partition_metadata_decode((struct bytes){text, (int32_t)size}, &id))
        return NULL;
    struct model_topic *topic = model_find(&sim->model, id);
    if (!topic || topic->delete_asked || index >= topic->partition_count)
        return NULL;
    struct model_partition *partition = &topic->partitions[index];
    return partition->rotten || partition->cache_rotten ? NULL : partition;
}

/* A closed segment: is there a later one, and its sidecar? */
static bool is_cold(struct simulation *sim, const struct entry *folder, const char *directory,
                    int64_t base)
{
    char name[SEGMENT_NAME_SIZE], path[PATH_SIZE];
    segment_name(base, ".sidecar", name);
    snprintf(path, sizeof path, "%s/%s/%s", directory, folder->name, name);
    if (!disk_find(disk_of(sim), path))
        return false;
    const struct list *all = &folder->inode->entries;
    for (const struct list *node = all->next; node != all; node = node->next) {
        int64_t other;
        if (segment_name_parse(CONTAINER_OF(node, struct entry, link)->name, ".log", &other) &&
            other > base)
            return true;
    }
    return false;
}

static void look_at_folder(struct simulation *sim, const struct entry *folder,
                           const char *directory, enum rot_kind kind, struct rot_place *place)
{
    static const char *const suffixes[] = {".log",     ".index",    ".timeindex",
                                           ".sidecar", ".txnindex", ".snapshot"};
    struct model_partition *partition = partition_of(sim, folder, directory);
    const struct list *all = &folder->inode->entries;
    for (const struct list *node = all->next; partition && node != all; node = node->next) {
        const struct entry *file = CONTAINER_OF(node, struct entry, link);
        for (int i = 0; i < ARRAY_COUNT(suffixes); i++) {
            int64_t base;
            bool is_snapshot = i == ARRAY_COUNT(suffixes) - 1;
            if ((kind == ROT_LOG) != (i == 0) ||
                !segment_name_parse(file->name, suffixes[i], &base) || file->inode->size == 0 ||
                file->inode->dirty_count > 0 || !list_is_empty(&file->inode->in_flight) ||
                (!is_snapshot && !is_cold(sim, folder, directory, base)) ||
                !random_once_in(&sim->extra, ++place->seen))
                continue;
            place->inode = file->inode;
            place->partition = partition;
            place->is_log = i == 0;
            place->is_snapshot = is_snapshot;
            snprintf(place->path, sizeof place->path, "%s/%s/%s", directory, folder->name,
                     file->name);
        }
    }
}

void rot_flip(struct simulation *sim, enum rot_kind kind)
{
    struct rot_place place = {0};
    for (int d = 0; d < sim->directories; d++) {
        struct inode *root = disk_find(disk_of(sim), sim_directory(d));
        for (const struct list *node = root ? root->entries.next : NULL;
             root && node != &root->entries; node = node->next)
            look_at_folder(sim, CONTAINER_OF(node, struct entry, link), sim_directory(d), kind,
                           &place);
    }
    if (!place.inode)
        return;
    uint8_t byte;
    int64_t offset = random_between(&sim->extra, 0, place.inode->size - 1);
    struct iovec vector = {&byte, 1};
    disk_read(disk_of(sim), place.inode, offset, &byte, 1);
    byte ^= (uint8_t)(1u << random_below(&sim->extra, 8));
    disk_write(disk_of(sim), place.inode,
               &(struct disk_change){.kind = OP_WRITE,
                                     .durable = true,
                                     .offset = offset,
                                     .size = 1,
                                     .vectors = &vector,
                                     .vector_count = 1});
    place.partition->rotten |= place.is_log;
    place.partition->cache_rotten |= !place.is_log;
    SAY(sim, "a bit flips at %lld of %s", (long long)offset, place.path);
    if (place.is_log)
        REACHED("a bit flipped in a closed segment");
    else if (place.is_snapshot)
        REACHED("a bit flipped in a snapshot of producers");
    else
        REACHED("a bit flipped beside a closed segment");
}
