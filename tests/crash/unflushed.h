#pragma once
/* After a clean stop: what of the names on a disk, or of the bytes of producers' snapshots, a loss
 * of power could still change. */
#include "sim/disk.h"

/* Nothing (null), or a sentence about one of them. What a start removes anyway may come back. The
 * sentence is static memory. */
const char *unflushed_name(const struct disk *disk);

/* The same of those log directories only that have the mark of a clean stop. */
const char *unflushed_name_where_clean(const struct disk *disk);
