#include "reactor/files_cached.h"
#include "base/check.h"
#include "reactor/system.h"
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* cachestat(2), which headers may be too old to know; 451 on every architecture. */
enum { CACHESTAT = 451 };

struct cache_range {
    uint64_t offset, size;
};

struct cache_counts { /* of pages */
    uint64_t cached, dirty, in_writeback, evicted, recently_evicted;
};

int64_t file_ask_cache(int32_t handle, int64_t offset, size_t size)
{
    check(size > 0);
    struct cache_range range = {(uint64_t)offset, size};
    struct cache_counts counts = {0};
    if (syscall(CACHESTAT, handle, &range, &counts, 0) < 0)
        return errno == EBADF ? result_of_errno() : -(int64_t)ERROR_NOT_SUPPORTED;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t wanted = (range.offset + size - 1) / page - range.offset / page + 1;
    return counts.cached >= wanted ? 0 : -(int64_t)ERROR_WOULD_WAIT;
}
