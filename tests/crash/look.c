/* Compares the files of a rig's disk with its oracle, past all code of the broker but the format of
 * a batch. */
#include "base/check.h"
#include "base/memory.h"
#include "crash/rig.h"
#include "protocol/batch.h"
#include "storage/segment.h"
#include <stdio.h>
#include <stdlib.h>

enum { FILES_MAX = 4096 };

static uint8_t *read_file(struct disk *disk, struct inode *inode)
{
    uint8_t *bytes = memory_zeroed((size_t)inode->size + 1);
    int64_t got = disk_read(disk, inode, 0, bytes, (size_t)inode->size);
    check(got == inode->size || (got == 0 && inode->size == 0));
    return bytes;
}

struct look {
    struct rig *rig;
    int32_t slot;
    char folder[64];
    bool clean;
    int64_t offset; /* all before it is right */
    int64_t bases[FILES_MAX];
    int count;
};

/* Each entry of an index must point at a batch, with the offset of its last record. */
static void look_at_index(struct look *look, int64_t base, const uint8_t *log, int64_t log_size)
{
    struct rig *rig = look->rig;
    char path[128], name[SEGMENT_NAME_SIZE];
    segment_name(base, ".index", name);
    snprintf(path, sizeof path, "%s/%s", look->folder, name);
    struct disk *disk = rig->world->machines[0]->disk;
    struct inode *inode = disk_find(disk, path);
    if (!inode) {
        if (look->clean &&
            log_size > 2 * rig->settings.log.index_interval_bytes + 2 * BATCH_BYTES_MAX)
            rig_fail(rig, "%s is missing", path);
        return;
    }
    uint8_t *index = read_file(disk, inode);
    int64_t last = 0;
    for (int64_t at = 0; at + 8 <= inode->size; at += 8) {
        int64_t offset = base + load_be32(index + at), position = load_be32(index + at + 4);
        if (!look->clean && position <= last)
            break; /* the end of what was flushed: from here on it is not believed */
        if (!look->clean && position >= log_size)
            break;
        bool right = position > last && position + BATCH_RECORDS_AT <= log_size;
        const struct sent *sent =
            right ? oracle_batch_at(rig->oracle, look->slot, rig->promises[look->slot].generation,
                                    (int64_t)load_be64(log + position))
                  : NULL;
        if (!sent || sent->end_offset - 1 != offset) {
            rig_fail(rig, "%s: entry %lld (offset %lld, position %lld) is wrong", path,
                     (long long)at / 8, (long long)offset, (long long)position);
            break;
        }
        last = position;
    }
    if (look->clean && inode->size % 8)
        rig_fail(rig, "%s has %lld bytes", path, (long long)inode->size);
    if (look->clean && log_size - last > rig->settings.log.index_interval_bytes + BATCH_BYTES_MAX)
        rig_fail(rig, "%s ends at position %lld of %lld", path, (long long)last,
                 (long long)log_size);
    memory_free(index);
}

static void look_at_segment(struct look *look, int64_t base)
{
    struct rig *rig = look->rig;
    char path[128], name[SEGMENT_NAME_SIZE];
    segment_name(base, ".log", name);
    snprintf(path, sizeof path, "%s/%s", look->folder, name);
    struct disk *disk = rig->world->machines[0]->disk;
    struct inode *inode = disk_find(disk, path);
    if (base != look->offset) {
        rig_fail(rig, "%s follows offset %lld", path, (long long)look->offset);
        return;
    }
    uint8_t *bytes = read_file(disk, inode);
    int64_t at = 0;
    while (at < inode->size) {
        const struct sent *sent = oracle_batch_at(
            rig->oracle, look->slot, rig->promises[look->slot].generation, look->offset);
        if (!sent || at + sent->size > inode->size || !oracle_matches(sent, bytes + at)) {
            rig_fail(rig,
                     "%s, position %lld of %lld: not the batch of offset %lld (%s; %lld was "
                     "acknowledged)",
                     path, (long long)at, (long long)inode->size, (long long)look->offset,
                     sent ? "sent" : "never sent",
                     (long long)rig->promises[look->slot].acknowledged_end);
            break;
        }
        look->offset = sent->end_offset;
        at += sent->size;
    }
    if (!rig->failure[0])
        look_at_index(look, base, bytes, inode->size);
    memory_free(bytes);
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static void look_at_slot(struct look *look)
{
    struct rig *rig = look->rig;
    slot_folder(look->slot, look->folder, sizeof look->folder);
    struct inode *folder = disk_find(rig->world->machines[0]->disk, look->folder);
    if (!folder)
        return;
    for (struct list *node = folder->entries.next; node != &folder->entries; node = node->next) {
        int64_t base;
        check(look->count < FILES_MAX);
        if (segment_name_parse(CONTAINER_OF(node, struct entry, link)->name, ".log", &base))
            look->bases[look->count++] = base;
    }
    qsort(look->bases, (size_t)look->count, sizeof look->bases[0], compare);
    for (int i = 0; i < look->count && !rig->failure[0]; i++)
        look_at_segment(look, look->bases[i]);
}

/* Is the folder of the generation that is meant? Files of an earlier one are no log's. */
static bool is_ours(struct rig *rig, int32_t slot)
{
    char folder[64], path[128];
    slot_folder(slot, folder, sizeof folder);
    snprintf(path, sizeof path, "%s/partition.metadata", folder);
    struct disk *disk = rig->world->machines[0]->disk;
    struct inode *inode = disk_find(disk, path);
    if (!inode)
        return false;
    uint8_t *text = read_file(disk, inode);
    char id[32], wanted[96];
    struct uuid topic_id = slot_topic_id(slot, rig->promises[slot].generation);
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (int i = 0; i < 22; i++) { /* base64url, six bits at a time */
        int value = 0;
        for (int bit = 6 * i; bit < 6 * i + 6; bit++)
            value = value << 1 | (bit < 128 ? topic_id.bytes[bit / 8] >> (7 - bit % 8) & 1 : 0);
        id[i] = digits[value];
    }
    id[22] = 0;
    int size = snprintf(wanted, sizeof wanted, "version: 0\ntopic_id: %s\n", id);
    bool ours = inode->size == size && memcmp(text, wanted, (size_t)size) == 0;
    memory_free(text);
    return ours;
}

void rig_look(struct rig *rig, bool clean, int64_t ends[SLOTS_MAX])
{
    for (int i = 0; i < rig->settings.slots && !rig->failure[0]; i++) {
        struct look *look = memory_zeroed(sizeof *look);
        *look = (struct look){.rig = rig, .slot = i, .clean = clean};
        if (is_ours(rig, i))
            look_at_slot(look);
        if (look->offset < rig->promises[i].acknowledged_end)
            rig_fail(rig, "%s ends at %lld, %lld was acknowledged", look->folder,
                     (long long)look->offset, (long long)rig->promises[i].acknowledged_end);
        if (ends)
            ends[i] = look->offset;
        memory_free(look);
    }
}

static uint64_t digest_of(struct disk *disk, struct inode *inode, uint64_t hash)
{
    if (!inode->is_directory) {
        uint8_t *bytes = read_file(disk, inode);
        for (int64_t i = 0; i < inode->size; i++)
            hash = (hash ^ bytes[i]) * 0x100000001b3u;
        memory_free(bytes);
        return hash ^ (uint64_t)inode->size << 32;
    }
    uint64_t sum = 0; /* of no order */
    for (struct list *node = inode->entries.next; node != &inode->entries; node = node->next) {
        const struct entry *entry = CONTAINER_OF(node, struct entry, link);
        if (strncmp(entry->name, "journal-", 8) == 0)
            continue;
        uint64_t name = 0xcbf29ce484222325u;
        for (const char *at = entry->name; *at; at++)
            name = (name ^ (uint8_t)*at) * 0x100000001b3u;
        sum += digest_of(disk, entry->inode, name);
    }
    return sum * 0x9fb21c651e98df25u ^ hash;
}

uint64_t rig_digest(struct rig *rig)
{
    struct disk *disk = rig->world->machines[0]->disk;
    return digest_of(disk, disk_find(disk, "data"), 1);
}
