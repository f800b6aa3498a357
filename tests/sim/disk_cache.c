/* Which pages of a file lie in the page cache: see disk.h. Only READ_CACHED_ONLY asks for it; the
 * bytes are the same. */
#include "sim/disk.h"
#include "base/bytes.h"
#include "base/memory.h"

enum { WORD_PAGES = 64 };

void inode_cache(struct inode *inode, int64_t offset, int64_t size)
{
    if (size <= 0)
        return;
    int64_t first = offset / DISK_PAGE_BYTES, last = (offset + size - 1) / DISK_PAGE_BYTES;
    if (last / WORD_PAGES >= inode->cached_words) {
        int32_t words = (int32_t)(last / WORD_PAGES) + 1;
        inode->cached = memory_resized(inode->cached, (size_t)words * sizeof inode->cached[0]);
        memset(inode->cached + inode->cached_words, 0,
               (size_t)(words - inode->cached_words) * sizeof inode->cached[0]);
        inode->cached_words = words;
    }
    for (int64_t page = first; page <= last; page++)
        inode->cached[page / WORD_PAGES] |= (uint64_t)1 << page % WORD_PAGES;
}

void inode_uncache(struct inode *inode, int64_t offset, int64_t size)
{
    int64_t first = offset / DISK_PAGE_BYTES;
    int64_t end = min_i64((offset + size + DISK_PAGE_BYTES - 1) / DISK_PAGE_BYTES,
                          (int64_t)inode->cached_words * WORD_PAGES);
    for (int64_t page = first; page < end; page++)
        inode->cached[page / WORD_PAGES] &= ~((uint64_t)1 << page % WORD_PAGES);
}

bool inode_is_cached(const struct inode *inode, int64_t offset, int64_t size)
{
    int64_t pages = (int64_t)inode->cached_words * WORD_PAGES, page = offset / DISK_PAGE_BYTES;
    while (page < pages && page * DISK_PAGE_BYTES < offset + size &&
           inode->cached[page / WORD_PAGES] & (uint64_t)1 << page % WORD_PAGES)
        page++;
    return page * DISK_PAGE_BYTES >= offset + size;
}
