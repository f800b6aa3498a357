#pragma once
/* Tells images of disks apart by 64 bits. */
#include "sim/disk.h"

uint64_t image_digest_mix(uint64_t digest, uint64_t value);

/* Of all names, sizes and bytes, journals too. */
uint64_t image_digest(struct disk *disk);

/* Goes on from `digest` with a file, or all that lies below a folder but names that are left out
 * (null: none), in no order. */
uint64_t image_digest_of(const struct inode *inode, uint64_t digest,
                         bool (*leaves_out)(const char *name));
