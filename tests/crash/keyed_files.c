/* What a clean stop of a keyed log leaves on the disk. */
#include "base/check.h"
#include "base/memory.h"
#include "crash/keyed.h"
#include "crash/unflushed.h"
#include "protocol/batch.h"
#include "storage/segment.h"
#include <stdio.h>
#include <stdlib.h>

enum { SEGMENTS_MOST = 1024 };

static void look_at_name(struct keyed *keyed, const char *name)
{
    if (strstr(name, ".cleaned") && keyed->faulty && keyed->world->machines[0]->fault_met)
        return; /* it could not be removed: the next start does it, or Kafka's */
    if (strstr(name, ".cleaned") || strstr(name, ".swap") || strstr(name, ".deleted"))
        keyed_fail(keyed, "after a clean stop %s is there", name);
}

static int compare_bases(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* The offset behind the last batch of a segment; its base if it is empty. */
static int64_t end_of(struct disk *disk, int64_t base)
{
    char name[SEGMENT_NAME_SIZE], path[64];
    uint8_t header[BATCH_RECORDS_AT];
    segment_name(base, ".log", name);
    snprintf(path, sizeof path, "data/k-0/%s", name);
    struct inode *inode = disk_find(disk, path);
    int64_t end = base;
    for (int64_t at = 0; disk_read(disk, inode, at, header, sizeof header) == sizeof header;
         at += batch_size_at(header))
        end = batch_last_offset_at(header) + 1;
    return end;
}

/* A segment that was swapped in takes those along whose records it has. */
static void look_at_bases(struct keyed *keyed, int64_t *bases, int count)
{
    qsort(bases, (size_t)count, sizeof bases[0], compare_bases);
    for (int i = 0; i + 1 < count; i++) {
        int64_t end = end_of(keyed->world->machines[0]->disk, bases[i]);
        if (end > bases[i + 1])
            keyed_fail(keyed, "segment %lld ends at %lld, and the next begins at %lld",
                       (long long)bases[i], (long long)end, (long long)bases[i + 1]);
    }
}

void keyed_look_at_files(struct keyed *keyed)
{
    struct disk *disk = keyed->world->machines[0]->disk;
    struct inode *folder = disk_find(disk, "data/k-0");
    int64_t *bases = memory_zeroed(SEGMENTS_MOST * sizeof *bases);
    int count = 0;
    for (struct list *node = folder ? folder->entries.next : NULL;
         folder && node != &folder->entries; node = node->next) {
        const char *name = CONTAINER_OF(node, struct entry, link)->name;
        look_at_name(keyed, name);
        if (segment_name_parse(name, ".log", &bases[count]))
            count++;
        check(count < SEGMENTS_MOST);
    }
    look_at_bases(keyed, bases, count);
    memory_free(bases);
    const char *unflushed = unflushed_name(disk);
    if (unflushed && !keyed->faulty && !keyed->killed)
        keyed_fail(keyed, "%s", unflushed);
}
