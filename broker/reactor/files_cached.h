#pragma once
/* What the page cache of Linux has of a file, asked without a read.
 *
 * A read that may not wait (RWF_NOWAIT) is no such question: where something is missing it starts
 * to fetch it and only does not wait for it (seen on Linux 6.18, also after POSIX_FADV_RANDOM). So
 * READ_CACHED_ONLY asks here first. What is thrown out between the question and the read is read
 * from the disk once too often, which is rare and does no harm. */
#include <stddef.h>
#include <stdint.h>

/* 0: all `size` bytes (> 0) from `offset` on lie in the page cache, or are on their way there.
 * -ERROR_WOULD_WAIT: not all do; none beyond the end of the file do. -ERROR_NOT_SUPPORTED: this
 * system can't tell (cachestat(2) came with Linux 6.5). -ERROR_BAD_ARGUMENT: no such handle. Does
 * not wait: about a microsecond for 256 KiB. */
int64_t file_ask_cache(int32_t handle, int64_t offset, size_t size);
