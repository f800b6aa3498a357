/* The life of a simulated disk: made, cloned, destroyed; and what a crash leaves of it. */
#include "sim/disk.h"
#include "base/check.h"
#include "base/memory.h"

struct disk *disk_create(uint32_t sector_bytes)
{
    struct disk *disk = memory_zeroed(sizeof *disk);
    disk->sector_bytes = sector_bytes;
    list_init(&disk->pending_names);
    disk->zeros = page_take(disk);
    memset(disk->zeros->data, 0, sizeof disk->zeros->data);
    inode_create(disk, true); /* DISK_ROOT */
    return disk;
}

void disk_destroy(struct disk *disk)
{
    if (!disk)
        return;
    while (!list_is_empty(&disk->pending_names))
        name_change_free(disk, CONTAINER_OF(disk->pending_names.next, struct name_change, link));
    inode_release(disk, disk->inodes[DISK_ROOT]);
    for (uint32_t i = 0; i < disk->inode_count; i++)
        check(!disk->inodes[i]);
    page_release(disk, disk->zeros);
    for (struct page *page; (page = disk->free_pages);) {
        disk->free_pages = page->next;
        memory_free(page);
    }
    for (struct version *version; (version = disk->free_versions);) {
        disk->free_versions = version->next;
        memory_free(version);
    }
    memory_free(disk->inodes);
    memory_free(disk);
}
