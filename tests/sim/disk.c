/* Bytes and sizes of files: see disk.h. Names are in disk_names.c, crashes in disk_crash.c. */
#include "sim/disk.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/memory.h"

/* ---- pages and versions ---- */

/* Pages of disks that are gone, for the next ones: thousands of images live one after the other. */
enum { SPARE_PAGES_MAX = 4096 };
static struct page *spare_pages;
static int spare_count;

void page_spare(struct page *page)
{
    if (spare_count == SPARE_PAGES_MAX) {
        memory_free(page);
        return;
    }
    page->next = spare_pages;
    spare_pages = page;
    spare_count++;
}

struct page *page_take(struct disk *disk)
{
    struct page *page = disk->free_pages;
    if (page) {
        disk->free_pages = page->next;
    } else if (spare_pages) {
        page = spare_pages;
        spare_pages = page->next;
        spare_count--;
    } else {
        page = memory_aligned(16, sizeof *page);
    }
    page->references = 1;
    return page;
}

void page_release(struct disk *disk, struct page *page)
{
    if (!page || --page->references > 0)
        return;
    page->next = disk->free_pages;
    disk->free_pages = page;
}

static struct page *page_share(struct page *page)
{
    if (page)
        page->references++;
    return page;
}

void page_copy_sectors(const struct disk *disk, struct page *to, const struct page *from,
                       uint8_t sectors)
{
    uint32_t size = disk->sector_bytes;
    if (sectors == 0xff && from) {
        memcpy(to->data, from->data, DISK_PAGE_BYTES);
        return;
    }
    for (uint32_t at = 0; at < DISK_PAGE_BYTES; at += size) {
        if (!(sectors & (1u << (at / size))))
            continue;
        if (from)
            memcpy(to->data + at, from->data + at, size);
        else
            memset(to->data + at, 0, size);
    }
}

struct version *version_take(struct disk *disk)
{
    struct version *version = disk->free_versions;
    if (version)
        disk->free_versions = version->next;
    else
        version = memory_zeroed(sizeof *version);
    *version = (struct version){0};
    return version;
}

static void version_free(struct disk *disk, struct version *version)
{
    page_release(disk, version->page);
    version->next = disk->free_versions;
    disk->free_versions = version;
}

static uint8_t all_sectors(const struct disk *disk)
{
    return (uint8_t)((1u << (DISK_PAGE_BYTES / disk->sector_bytes)) - 1);
}

/* Of the bytes [from, end) of a page, the sectors touched. */
static uint8_t sectors_of(const struct disk *disk, uint32_t from, uint32_t end)
{
    uint32_t first = from / disk->sector_bytes, last = (end - 1) / disk->sector_bytes;
    return (uint8_t)(((1u << (last + 1)) - 1) & ~((1u << first) - 1));
}

/* ---- inodes ---- */

struct inode *inode_create(struct disk *disk, bool is_directory)
{
    if (disk->inode_count == disk->inode_capacity) {
        disk->inode_capacity = disk->inode_capacity ? 2 * disk->inode_capacity : 64;
        disk->inodes = memory_resized(disk->inodes, disk->inode_capacity * sizeof disk->inodes[0]);
    }
    struct inode *inode = memory_zeroed(sizeof *inode);
    inode->id = disk->inode_count;
    inode->is_directory = is_directory;
    inode->references = 1;
    list_init(&inode->entries);
    list_init(&inode->in_flight);
    map_init(&inode->names, inode->id);
    map_init(&inode->durable_names, inode->id);
    disk->inodes[disk->inode_count++] = inode;
    return inode;
}

void inode_reference(struct inode *inode)
{
    inode->references++;
}

static void slot_drop_versions(struct disk *disk, struct slot *slot)
{
    for (struct version *version; (version = slot->oldest);) {
        slot->oldest = version->next;
        version_free(disk, version);
    }
    slot->newest = NULL;
}

void inode_drop_versions(struct disk *disk, struct inode *inode)
{
    for (int32_t i = 0; i < inode->dirty_count; i++)
        slot_drop_versions(disk, &inode->slots[inode->dirty[i]]);
    inode->dirty_count = 0;
    inode->sizes_count = 0;
}

void inode_release(struct disk *disk, struct inode *inode)
{
    if (!inode)
        return;
    check(inode->references > 0);
    if (--inode->references > 0)
        return;
    inode_drop_entries(inode, false, disk);
    inode_drop_entries(inode, true, disk);
    inode_drop_versions(disk, inode);
    for (int32_t i = 0; i < inode->slot_count; i++) {
        page_release(disk, inode->slots[i].current);
        page_release(disk, inode->slots[i].durable);
    }
    disk->used_bytes -= (int64_t)inode->page_count * DISK_PAGE_BYTES;
    memory_free(inode->slots);
    memory_free(inode->cached);
    memory_free(inode->dirty);
    memory_free(inode->sizes);
    map_done(&inode->names);
    map_done(&inode->durable_names);
    disk->inodes[inode->id] = NULL;
    memory_free(inode);
}

void inode_reserve_slots(struct inode *inode, int32_t count)
{
    if (count <= inode->slot_count)
        return;
    if (count > inode->slot_capacity) {
        int32_t capacity = inode->slot_capacity ? inode->slot_capacity : 4;
        while (capacity < count)
            capacity *= 2;
        inode->slots = memory_resized(inode->slots, (size_t)capacity * sizeof inode->slots[0]);
        inode->slot_capacity = capacity;
    }
    memset(inode->slots + inode->slot_count, 0,
           (size_t)(count - inode->slot_count) * sizeof inode->slots[0]);
    inode->slot_count = count;
}

/* ---- versions of a slot and of the size ---- */

static void push_version(struct disk *disk, struct inode *inode, int32_t index, uint8_t sectors)
{
    struct slot *slot = &inode->slots[index];
    struct version *version = version_take(disk);
    version->sequence = disk->sequence;
    version->sectors = sectors;
    version->page = page_share(slot->current);
    if (slot->newest) {
        slot->newest->next = version;
    } else {
        slot->oldest = version;
        if (inode->dirty_count == inode->dirty_capacity) {
            inode->dirty_capacity = inode->dirty_capacity ? 2 * inode->dirty_capacity : 8;
            inode->dirty = memory_resized(inode->dirty,
                                          (size_t)inode->dirty_capacity * sizeof inode->dirty[0]);
        }
        inode->dirty[inode->dirty_count++] = index;
    }
    slot->newest = version;
}

/* Makes `sectors` of `page` durable. */
static void settle(struct disk *disk, struct slot *slot, struct page *page, uint8_t sectors)
{
    if (sectors == all_sectors(disk)) {
        page_share(page);
        page_release(disk, slot->durable);
        slot->durable = page;
        return;
    }
    struct page *durable = slot->durable;
    if (!durable || durable->references > 1) {
        durable = page_take(disk);
        page_copy_sectors(disk, durable, slot->durable, 0xff);
        page_release(disk, slot->durable);
        slot->durable = durable;
    }
    page_copy_sectors(disk, durable, page, sectors);
}

/* Takes `sectors` out of the versions before `end` (null: all), since newer bytes are durable. */
static void forget_sectors(struct disk *disk, struct slot *slot, const struct version *end,
                           uint8_t sectors)
{
    struct version **place = &slot->oldest, *kept = NULL;
    while (*place != end) {
        struct version *version = *place;
        version->sectors &= (uint8_t)~sectors;
        if (version->sectors) {
            kept = version;
            place = &version->next;
        } else {
            *place = version->next;
            version_free(disk, version);
        }
    }
    if (!end)
        slot->newest = kept;
}

static void flush_slot(struct disk *disk, struct slot *slot, uint64_t bound)
{
    struct version *version = slot->oldest;
    while (version && version->sequence < bound) {
        struct version *next = version->next;
        if (!version->lost) {
            settle(disk, slot, version->page, version->sectors);
            forget_sectors(disk, slot, next, version->sectors); /* this one too */
        }
        version = next;
    }
}

static void push_size(struct disk *disk, struct inode *inode, int64_t size)
{
    if (inode->sizes_count == inode->sizes_capacity) {
        inode->sizes_capacity = inode->sizes_capacity ? 2 * inode->sizes_capacity : 4;
        inode->sizes =
            memory_resized(inode->sizes, (size_t)inode->sizes_capacity * sizeof inode->sizes[0]);
    }
    inode->sizes[inode->sizes_count++] = (struct size_version){disk->sequence, size, false};
    inode->size = size;
}

static void flush_size(struct inode *inode, uint64_t bound)
{
    int32_t covered = 0;
    for (int32_t i = 0; i < inode->sizes_count && inode->sizes[i].sequence < bound; i++)
        if (!inode->sizes[i].lost)
            covered = i + 1;
    if (!covered)
        return;
    inode->durable_size = inode->sizes[covered - 1].size;
    inode->sizes_count -= covered;
    memmove(inode->sizes, inode->sizes + covered,
            (size_t)inode->sizes_count * sizeof inode->sizes[0]);
}

void inode_note_loss(struct disk *disk, struct inode *inode)
{
    disk->losses++;
    inode->losses++;
    inode->unreported = true;
}

/* Returns whether there was anything to lose. */
static bool lose(struct inode *inode, uint64_t bound)
{
    bool any = false;
    for (int32_t i = 0; i < inode->dirty_count; i++)
        for (struct version *version = inode->slots[inode->dirty[i]].oldest; version;
             version = version->next) {
            any |= !version->lost && version->sequence < bound;
            version->lost |= version->sequence < bound;
        }
    for (int32_t i = 0; i < inode->sizes_count; i++) {
        any |= !inode->sizes[i].lost && inode->sizes[i].sequence < bound;
        inode->sizes[i].lost |= inode->sizes[i].sequence < bound;
    }
    return any;
}

void disk_flush_file(struct disk *disk, struct inode *inode, uint64_t bound, bool fails)
{
    inode->written_direct = false;
    if (fails) {
        if (lose(inode, bound))
            inode_note_loss(disk, inode);
        return;
    }
    int32_t kept = 0;
    for (int32_t i = 0; i < inode->dirty_count; i++) {
        struct slot *slot = &inode->slots[inode->dirty[i]];
        flush_slot(disk, slot, bound);
        if (!slot->oldest)
            slot->newest = NULL;
        else
            inode->dirty[kept++] = inode->dirty[i];
    }
    inode->dirty_count = kept;
    flush_size(inode, bound);
}

/* ---- reads and changes ---- */

int64_t disk_read(struct disk *disk, struct inode *inode, int64_t offset, void *data, size_t size)
{
    if (offset >= inode->size)
        return 0;
    size_t left = (size_t)min_i64((int64_t)size, inode->size - offset), done = 0;
    while (done < left) {
        int32_t index = (int32_t)((offset + (int64_t)done) / DISK_PAGE_BYTES);
        size_t from = (size_t)(offset + (int64_t)done) % DISK_PAGE_BYTES;
        size_t part = (size_t)min_i64((int64_t)(left - done), (int64_t)(DISK_PAGE_BYTES - from));
        struct page *page = index < inode->slot_count ? inode->slots[index].current : NULL;
        if (page)
            memcpy((uint8_t *)data + done, page->data + from, part);
        else
            memset((uint8_t *)data + done, 0, part);
        done += part;
    }
    return (int64_t)left;
}

struct source {
    const struct iovec *vector;
    size_t used; /* bytes of *vector */
};

static void source_copy(struct source *source, uint8_t *to, size_t size)
{
    while (size > 0) {
        size_t part = source->vector->iov_len - source->used;
        if (part > size)
            part = size;
        memcpy(to, (const uint8_t *)source->vector->iov_base + source->used, part);
        to += part;
        size -= part;
        source->used += part;
        if (source->used == source->vector->iov_len) {
            source->vector++;
            source->used = 0;
        }
    }
}

/* True when one more page may be used. */
static bool has_room(const struct disk *disk)
{
    return !disk->limit_bytes || disk->used_bytes + DISK_PAGE_BYTES <= disk->limit_bytes;
}

/* A fresh page in place of the slot's current one, with its bytes unless all are overwritten. */
static struct page *renew_page(struct disk *disk, struct inode *inode, struct slot *slot,
                               bool whole)
{
    struct page *page = page_take(disk);
    if (!whole)
        page_copy_sectors(disk, page, slot->current, 0xff);
    if (!slot->current) {
        inode->page_count++;
        disk->used_bytes += DISK_PAGE_BYTES;
    }
    page_release(disk, slot->current);
    slot->current = page;
    return page;
}

/* A durable write has grown the file or lies beyond the size that a crash might leave. */
static void settle_size(struct inode *inode, int64_t end)
{
    bool needed = inode->durable_size < end;
    for (int32_t i = 0; i < inode->sizes_count; i++)
        needed |= inode->sizes[i].size < end;
    if (!needed)
        return;
    inode->durable_size = inode->size;
    inode->sizes_count = 0;
}

int64_t disk_write(struct disk *disk, struct inode *inode, const struct disk_change *change)
{
    int64_t done = 0, size = change->size;
    if (size == 0)
        return 0;
    disk->sequence++;
    struct source source = {change->vectors, 0};
    while (source.vector->iov_len == 0)
        source.vector++;
    inode_reserve_slots(inode, (int32_t)((change->offset + size - 1) / DISK_PAGE_BYTES) + 1);
    while (done < size) {
        int32_t index = (int32_t)((change->offset + done) / DISK_PAGE_BYTES);
        uint32_t from = (uint32_t)((change->offset + done) % DISK_PAGE_BYTES);
        uint32_t part = (uint32_t)min_i64(size - done, DISK_PAGE_BYTES - from);
        struct slot *slot = &inode->slots[index];
        if (!slot->current && !has_room(disk))
            break;
        struct page *page = renew_page(disk, inode, slot, part == DISK_PAGE_BYTES);
        source_copy(&source, page->data + from, part);
        uint8_t sectors = sectors_of(disk, from, from + part);
        if (change->durable) {
            settle(disk, slot, page, sectors);
            bool was_dirty = slot->oldest != NULL;
            forget_sectors(disk, slot, NULL, sectors);
            if (was_dirty && !slot->oldest)
                for (int32_t i = 0; i < inode->dirty_count; i++)
                    if (inode->dirty[i] == index)
                        inode->dirty[i--] = inode->dirty[--inode->dirty_count];
        } else {
            push_version(disk, inode, index, sectors);
        }
        done += part;
    }
    if (done == 0)
        return -ERROR_NO_SPACE;
    if (change->offset + done > inode->size)
        push_size(disk, inode, change->offset + done);
    if (change->durable)
        settle_size(inode, change->offset + done);
    return done;
}

int64_t disk_truncate(struct disk *disk, struct inode *inode, int64_t size)
{
    /* To the same size it is a change all the same, when that size was lost by a flush. */
    if (size == inode->size && inode->sizes_count == 0)
        return 0;
    disk->sequence++;
    int32_t first = (int32_t)(size / DISK_PAGE_BYTES);
    uint32_t from = (uint32_t)(size % DISK_PAGE_BYTES);
    for (int32_t i = first; i < inode->slot_count && size < inode->size; i++, from = 0) {
        struct slot *slot = &inode->slots[i];
        if (!slot->current && !slot->oldest && !slot->durable)
            continue;
        if (from) {
            struct page *page = renew_page(disk, inode, slot, false);
            memset(page->data + from, 0, DISK_PAGE_BYTES - from);
        } else if (slot->current) {
            page_release(disk, slot->current);
            slot->current = NULL;
            inode->page_count--;
            disk->used_bytes -= DISK_PAGE_BYTES;
        }
        push_version(disk, inode, i, sectors_of(disk, from, DISK_PAGE_BYTES));
    }
    inode_uncache(inode, size + DISK_PAGE_BYTES - 1, INT64_MAX / 2);
    push_size(disk, inode, size);
    return 0;
}

int64_t disk_allocate(struct disk *disk, struct inode *inode, int64_t offset, int64_t size)
{
    if (size <= 0 || offset < 0)
        return -ERROR_BAD_ARGUMENT;
    int32_t first = (int32_t)(offset / DISK_PAGE_BYTES);
    int32_t end = (int32_t)((offset + size + DISK_PAGE_BYTES - 1) / DISK_PAGE_BYTES);
    inode_reserve_slots(inode, end);
    int64_t missing = 0;
    for (int32_t i = first; i < end; i++)
        missing += !inode->slots[i].current;
    if (disk->limit_bytes && disk->used_bytes + missing * DISK_PAGE_BYTES > disk->limit_bytes)
        return -ERROR_NO_SPACE;
    for (int32_t i = first; i < end; i++)
        if (!inode->slots[i].current)
            inode->slots[i].current = page_share(disk->zeros);
    inode->page_count += (int32_t)missing;
    disk->used_bytes += missing * DISK_PAGE_BYTES;
    disk->sequence++;
    if (offset + size > inode->size)
        push_size(disk, inode, offset + size);
    return 0;
}

static int64_t flush(struct disk *disk, const struct disk_change *change)
{
    struct inode *inode = disk->inodes[change->inode];
    if (change->kind == OP_FLUSH && inode->is_directory) {
        disk_flush_names(disk, inode, change->bound, change->fails);
    } else if (change->kind == OP_FLUSH) {
        disk_flush_file(disk, inode, change->bound, change->fails);
    } else {
        disk_flush_names(disk, NULL, change->bound, change->fails);
        for (uint32_t i = 0; i < disk->inode_count; i++)
            if (disk->inodes[i] && !disk->inodes[i]->is_directory)
                disk_flush_file(disk, disk->inodes[i], change->bound, change->fails);
    }
    return change->fails ? -ERROR_INPUT_OUTPUT : 0;
}

int64_t disk_execute(struct disk *disk, const struct disk_change *change)
{
    bool has_path = change->kind == OP_OPEN || change->kind == OP_RENAME ||
                    change->kind == OP_REMOVE || change->kind == OP_MAKE_DIRECTORY;
    if (!has_path && !disk->inodes[change->inode])
        return -ERROR_NOT_FOUND; /* a replay, of a file without a name */
    switch (change->kind) {
    case OP_WRITE:
        return disk_write(disk, disk->inodes[change->inode], change);
    case OP_TRUNCATE:
        return disk_truncate(disk, disk->inodes[change->inode], change->size);
    case OP_ALLOCATE:
        return disk_allocate(disk, disk->inodes[change->inode], change->offset, change->size);
    case OP_FLUSH:
    case OP_FLUSH_ALL:
        return flush(disk, change);
    default:
        return disk_change_names(disk, change);
    }
}
