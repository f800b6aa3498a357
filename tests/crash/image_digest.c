#include "crash/image_digest.h"
#include "base/check.h"
#include <string.h>

uint64_t image_digest_mix(uint64_t digest, uint64_t value)
{
    digest = (digest ^ value) * 0x9fb21c651e98df25u;
    return digest ^ digest >> 29;
}

/* A page of zeros is one that was never written. */
static uint64_t digest_of_page(const struct page *page, int32_t index, uint64_t digest)
{
    uint64_t from = (uint64_t)index * sizeof page->data;
    for (size_t at = 0; at < sizeof page->data; at += 8) {
        uint64_t word;
        memcpy(&word, page->data + at, sizeof word);
        if (word)
            digest = image_digest_mix(digest ^ (from + at), word);
    }
    return digest;
}

uint64_t image_digest_of(const struct inode *inode, uint64_t digest,
                         bool (*leaves_out)(const char *name))
{
    if (!inode->is_directory) {
        digest = image_digest_mix(digest, (uint64_t)inode->size);
        for (int32_t i = 0; i < inode->slot_count; i++)
            if (inode->slots[i].current)
                digest = digest_of_page(inode->slots[i].current, i, digest);
        return digest;
    }
    uint64_t sum = 0; /* of no order */
    for (const struct list *node = inode->entries.next; node != &inode->entries;
         node = node->next) {
        const struct entry *entry = CONTAINER_OF(node, struct entry, link);
        uint64_t name = 1;
        if (leaves_out && leaves_out(entry->name))
            continue;
        for (const char *at = entry->name; *at; at++)
            name = image_digest_mix(name, (uint8_t)*at);
        sum += image_digest_of(entry->inode, name, leaves_out);
    }
    return image_digest_mix(digest, sum);
}

uint64_t image_digest(struct disk *disk)
{
    return image_digest_of(disk->inodes[DISK_ROOT], 1, NULL);
}
