#include "crash/damage.h"
#include "base/check.h"

static void change(struct disk *disk, struct disk_change change)
{
    check(disk_execute(disk, &change) >= 0);
    struct disk_choice choice = disk_choice_of(CHOICE_NEW, 0);
    disk_crash(disk, &choice); /* durable */
}

void damage_write(struct disk *disk, struct inode *file, int64_t offset, const void *bytes,
                  size_t size)
{
    struct iovec vector = {(void *)(uintptr_t)bytes, size};
    change(disk, (struct disk_change){.kind = OP_WRITE,
                                      .inode = file->id,
                                      .offset = offset,
                                      .size = (int64_t)size,
                                      .vectors = &vector,
                                      .vector_count = 1});
}

void damage_flip(struct disk *disk, struct inode *file, int64_t bit)
{
    uint8_t byte;
    check(disk_read(disk, file, bit / 8, &byte, 1) == 1);
    byte ^= (uint8_t)(1u << bit % 8);
    damage_write(disk, file, bit / 8, &byte, 1);
}

void damage_remove(struct disk *disk, const char *path)
{
    change(disk, (struct disk_change){.kind = OP_REMOVE, .path = path});
}

void damage_cut(struct disk *disk, struct inode *file, int64_t size)
{
    change(disk, (struct disk_change){.kind = OP_TRUNCATE, .inode = file->id, .size = size});
}
