#pragma once
/* Bits that flip: refused with file and position, or harmless; never a wrong record, never a crash.
 *
 * Two things can't be told: rot in the blocks of the last write of a journal looks like a torn end,
 * and of a batch's offset and leader epoch nothing is a checksum until the segment has a sidecar.
 */
#include "sim/disk.h"

struct rot {
    int flips; /* images, each with one */
    int refused,
        told_file; /* starts that refused, or set a log aside; those whose reason names the file */
    char failure[800];
};

/* Works a store, crashes it, and starts on images with one bit changed. */
void rot_run(struct rot *rot, uint64_t seed);

/* Is the byte at `place` of the file one of those of a batch that nothing covers, no sidecar
 * either? */
bool rot_is_untold(struct disk *disk, struct inode *file, const char *path, int64_t place);
