#pragma once
/* Files of a disk changed behind the broker's back, durably: rot, and what people do. */
#include "sim/disk.h"

/* Writes over what the file holds at `offset`; it grows if need be. */
void damage_write(struct disk *disk, struct inode *file, int64_t offset, const void *bytes,
                  size_t size);

/* Flips one bit, counted from the beginning of the file. */
void damage_flip(struct disk *disk, struct inode *file, int64_t bit);

/* Removes the file, or cuts it. */
void damage_remove(struct disk *disk, const char *path);
void damage_cut(struct disk *disk, struct inode *file, int64_t size);
