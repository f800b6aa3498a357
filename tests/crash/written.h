#pragma once
/* Files that a test writes by hand, while nothing runs on the disk. */
#include "sim/disk.h"

struct keyed;

/* Writes `bytes` to the beginning of the file at `path`, which is made if it is not there. */
void write_file(struct disk *disk, const char *path, struct bytes bytes);

/* Makes the folder of the keyed log's partition, with partition.metadata in it. */
void write_keyed_folder(struct disk *disk);

/* Batches of one record each for offsets [from, end), without a producer, into a segment that
 * begins there. `key_of` says the key of each; null: any. */
void write_keyed_segment(struct keyed *keyed, int64_t from, int64_t end,
                         int32_t (*key_of)(int64_t offset));
