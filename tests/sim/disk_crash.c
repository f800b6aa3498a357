/* The life of a simulated disk: made, cloned, destroyed; and what a crash leaves of it. */
#include "sim/disk.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/memory.h"
#include <stdlib.h>

struct disk *disk_create(uint32_t sector_bytes)
{
    struct disk *disk = memory_zeroed(sizeof *disk);
    disk->sector_bytes = sector_bytes;
    list_init(&disk->pending_names);
    disk->zeros = page_take(disk);
    memset(disk->zeros->data, 0, sizeof disk->zeros->data);
    inode_create(disk, true); /* DISK_ROOT */
    return disk;
}

void disk_destroy(struct disk *disk)
{
    if (!disk)
        return;
    while (!list_is_empty(&disk->pending_names))
        name_change_free(disk, CONTAINER_OF(disk->pending_names.next, struct name_change, link));
    inode_release(disk, disk->inodes[DISK_ROOT]);
    for (uint32_t i = 0; i < disk->inode_count; i++)
        check(!disk->inodes[i]);
    page_release(disk, disk->zeros);
    for (struct page *page; (page = disk->free_pages);) {
        disk->free_pages = page->next;
        page_spare(page);
    }
    for (struct version *version; (version = disk->free_versions);) {
        disk->free_versions = version->next;
        memory_free(version);
    }
    memory_free(disk->inodes);
    memory_free(disk);
}

static struct page *share(struct page *page)
{
    if (page)
        page->references++;
    return page;
}

/* ---- clones ---- */

static void clone_versions(struct disk *disk, const struct slot *from, struct slot *to)
{
    for (const struct version *old = from->oldest; old; old = old->next) {
        struct version *version = version_take(disk);
        *version = *old;
        version->next = NULL;
        share(version->page);
        if (to->newest)
            to->newest->next = version;
        else
            to->oldest = version;
        to->newest = version;
    }
}

static void *copy_array(const void *from, int32_t count, size_t size)
{
    if (count == 0)
        return NULL;
    void *to = memory_zeroed((size_t)count * size);
    memcpy(to, from, (size_t)count * size);
    return to;
}

/* Bytes and sizes; names follow once every inode is there. */
static struct inode *clone_inode(struct disk *disk, const struct inode *from)
{
    struct inode *inode = memory_zeroed(sizeof *inode);
    *inode = (struct inode){.id = from->id,
                            .is_directory = from->is_directory,
                            .size = from->size,
                            .durable_size = from->durable_size,
                            .slot_count = from->slot_count,
                            .slot_capacity = from->slot_count,
                            .page_count = from->page_count,
                            .dirty_count = from->dirty_count,
                            .dirty_capacity = from->dirty_count,
                            .sizes_count = from->sizes_count,
                            .sizes_capacity = from->sizes_count,
                            .last_cookie = 0};
    list_init(&inode->entries);
    list_init(&inode->in_flight);
    map_init(&inode->names, from->id);
    map_init(&inode->durable_names, from->id);
    inode->slots = copy_array(from->slots, from->slot_count, sizeof from->slots[0]);
    inode->dirty = copy_array(from->dirty, from->dirty_count, sizeof from->dirty[0]);
    inode->sizes = copy_array(from->sizes, from->sizes_count, sizeof from->sizes[0]);
    for (int32_t i = 0; i < inode->slot_count; i++) {
        struct slot *slot = &inode->slots[i];
        share(slot->current);
        share(slot->durable);
        slot->oldest = slot->newest = NULL;
    }
    for (int32_t i = 0; i < inode->dirty_count; i++)
        clone_versions(disk, &from->slots[inode->dirty[i]], &inode->slots[inode->dirty[i]]);
    return inode;
}

static struct inode *same_inode(struct disk *disk, const struct inode *inode)
{
    if (!inode)
        return NULL;
    inode_reference(disk->inodes[inode->id]);
    return disk->inodes[inode->id];
}

static void clone_names(struct disk *disk, const struct inode *from)
{
    struct inode *inode = disk->inodes[from->id];
    for (const struct list *node = from->entries.next; node != &from->entries; node = node->next) {
        const struct entry *entry = CONTAINER_OF(node, struct entry, link);
        inode_put_entry(inode, false, entry->name, disk->inodes[entry->inode->id], disk);
    }
    uint32_t position = 0;
    for (const struct entry *entry; (entry = map_next(&from->durable_names, &position));)
        inode_put_entry(inode, true, entry->name, disk->inodes[entry->inode->id], disk);
}

struct disk *disk_clone(const struct disk *from)
{
    struct disk *disk = memory_zeroed(sizeof *disk);
    disk->sector_bytes = from->sector_bytes;
    disk->names_as_prefix = from->names_as_prefix;
    disk->limit_bytes = from->limit_bytes;
    disk->used_bytes = from->used_bytes;
    disk->sequence = from->sequence;
    disk->zeros = share(from->zeros);
    disk->inode_count = disk->inode_capacity = from->inode_count;
    disk->inodes = memory_zeroed(from->inode_count * sizeof disk->inodes[0]);
    list_init(&disk->pending_names);
    for (uint32_t i = 0; i < from->inode_count; i++)
        if (from->inodes[i])
            disk->inodes[i] = clone_inode(disk, from->inodes[i]);
    inode_reference(disk->inodes[DISK_ROOT]);
    for (uint32_t i = 0; i < from->inode_count; i++)
        if (from->inodes[i])
            clone_names(disk, from->inodes[i]);
    for (struct list *node = from->pending_names.next; node != &from->pending_names;
         node = node->next) {
        const struct name_change *old = CONTAINER_OF(node, struct name_change, link);
        struct name_change *change = memory_zeroed(sizeof *change);
        *change = *old;
        list_init(&change->link);
        change->directory = same_inode(disk, old->directory);
        change->directory_to = same_inode(disk, old->directory_to);
        change->inode = same_inode(disk, old->inode);
        list_push(&disk->pending_names, &change->link);
    }
    for (uint32_t i = 0; i < disk->inode_count; i++) /* those that only an open file kept */
        if (disk->inodes[i] && disk->inodes[i]->references == 0) {
            inode_reference(disk->inodes[i]);
            inode_release(disk, disk->inodes[i]);
        }
    return disk;
}

/* ---- choices ---- */

struct disk_choice disk_choice_of(enum disk_choice_kind kind, uint64_t number)
{
    struct disk_choice choice = {.kind = kind, .number = number};
    random_seed(&choice.random, number);
    choice.lean = (uint32_t)random_below(&choice.random, 3);
    return choice;
}

uint32_t disk_choose(struct disk_choice *choice, uint32_t count)
{
    check(count > 0);
    uint32_t unit = choice->units++, newest = count - 1;
    switch (choice->kind) {
    case CHOICE_OLD:
        return 0;
    case CHOICE_NEW:
        return newest;
    case CHOICE_ONE_OLD:
        return unit == choice->number ? 0 : newest;
    case CHOICE_ONE_NEW:
        return unit == choice->number ? newest : 0;
    case CHOICE_BITS:
        return unit < 64 && choice->number >> unit & 1 ? newest : 0;
    case CHOICE_CHANGE_LOST:
    case CHOICE_NAME_LOST:
    case CHOICE_CHANGE_KEPT:
    case CHOICE_FOLDER_LOST:
    case CHOICE_LINKS_LOST:
        return newest; /* what is no name */
    case CHOICE_RANDOM:
        break;
    }
    if (choice->lean && random_below(&choice->random, 8))
        return choice->lean == 1 ? 0 : newest;
    return (uint32_t)random_below(&choice->random, count);
}

/* ---- the crash ---- */

void disk_crash_in_flight(struct disk *disk, const struct disk_change *change,
                          struct disk_choice *choice)
{
    struct disk_change perhaps = *change;
    if (disk_choice_is_of_names(choice))
        return;
    if (change->kind == OP_WRITE)
        perhaps.durable = false; /* each of its sectors is a unit of its own */
    else if (disk_choose(choice, 2) == 0)
        return;
    (void)disk_execute(disk, &perhaps); /* nobody waits for the result */
}

static bool is_of_name(const struct name_change *change, const char *name)
{
    return strcmp(change->name, name) == 0 ||
           (change->kind == NAME_RENAME && strcmp(change->name_to, name) == 0);
}

/* Does a choice of names alone that means one change keep another? */
static bool is_kept(const struct name_change *change, const struct name_change *meant,
                    enum disk_choice_kind kind)
{
    const char *name = meant->kind == NAME_RENAME ? meant->name_to : meant->name;
    if (change->directory != meant->directory)
        return true;
    switch (kind) {
    case CHOICE_CHANGE_LOST:
        return change != meant;
    case CHOICE_NAME_LOST:
        return !is_of_name(change, name);
    case CHOICE_CHANGE_KEPT:
        return change == meant;
    case CHOICE_LINKS_LOST:
        return change->kind != NAME_LINK;
    default:
        return false;
    }
}

static void choose_meant_names(struct disk *disk, const struct disk_choice *choice)
{
    struct list *pending = &disk->pending_names;
    const struct name_change *meant = NULL;
    uint64_t number = 0;
    for (struct list *node = pending->next; node != pending; node = node->next)
        if (number++ == choice->number)
            meant = CONTAINER_OF(node, struct name_change, link);
    for (struct list *node = pending->next; node != pending; node = node->next) {
        struct name_change *change = CONTAINER_OF(node, struct name_change, link);
        change->survives = !meant || is_kept(change, meant, choice->kind);
    }
}

static void choose_names(struct disk *disk, struct disk_choice *choice)
{
    struct list *pending = &disk->pending_names;
    for (struct list *node = pending->next; node != pending; node = node->next) {
        struct name_change *change = CONTAINER_OF(node, struct name_change, link);
        choice->names++;
        if (disk_choice_is_of_names(choice))
            continue;
        if (!disk->names_as_prefix) {
            change->survives = disk_choose(choice, 2);
            continue;
        }
        /* The first of a folder chooses for all of them. */
        struct list *earlier = pending->next;
        while (earlier != node &&
               CONTAINER_OF(earlier, struct name_change, link)->directory != change->directory)
            earlier = earlier->next;
        if (earlier != node)
            continue;
        uint32_t count = 0, kept;
        for (struct list *other = node; other != pending; other = other->next)
            count += CONTAINER_OF(other, struct name_change, link)->directory == change->directory;
        kept = disk_choose(choice, count + 1);
        for (struct list *other = node; other != pending; other = other->next) {
            struct name_change *same = CONTAINER_OF(other, struct name_change, link);
            if (same->directory == change->directory && kept > 0) {
                same->survives = true;
                kept--;
            }
        }
    }
    if (disk_choice_is_of_names(choice))
        choose_meant_names(disk, choice);
    while (!list_is_empty(pending)) {
        struct name_change *change = CONTAINER_OF(pending->next, struct name_change, link);
        if (change->survives)
            name_change_apply(disk, change);
        name_change_free(disk, change);
    }
}

static void choose_slot(struct disk *disk, struct slot *slot, struct disk_choice *choice)
{
    struct page *page = page_take(disk);
    page_copy_sectors(disk, page, slot->durable, 0xff);
    for (uint32_t sector = 0; sector < DISK_PAGE_BYTES / disk->sector_bytes; sector++) {
        uint8_t bit = (uint8_t)(1u << sector);
        uint32_t count = 0;
        for (const struct version *version = slot->oldest; version; version = version->next)
            count += (version->sectors & bit) != 0;
        if (!count)
            continue;
        uint32_t chosen = disk_choose(choice, count + 1);
        for (const struct version *version = slot->oldest; version; version = version->next)
            if (version->sectors & bit && chosen > 0 && --chosen == 0)
                page_copy_sectors(disk, page, version->page, bit);
    }
    page_release(disk, slot->durable);
    slot->durable = page;
}

static int compare_places(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b;
}

/* Zeros beyond the end of the file, as a file system shows them when the file grows again. */
static void cut_to_size(struct disk *disk, struct inode *inode)
{
    int32_t count = (int32_t)((inode->size + DISK_PAGE_BYTES - 1) / DISK_PAGE_BYTES);
    for (int32_t i = count; i < inode->slot_count; i++) {
        page_release(disk, inode->slots[i].current);
        page_release(disk, inode->slots[i].durable);
    }
    if (count < inode->slot_count)
        inode->slot_count = count;
    uint32_t from = (uint32_t)(inode->size % DISK_PAGE_BYTES);
    if (!from || count > inode->slot_count || !inode->slots[count - 1].durable)
        return;
    struct slot *slot = &inode->slots[count - 1];
    struct page *page = page_take(disk);
    memcpy(page->data, slot->durable->data, from);
    memset(page->data + from, 0, DISK_PAGE_BYTES - from);
    page_release(disk, slot->durable);
    slot->durable = page;
}

static void choose_bytes(struct disk *disk, struct inode *inode, struct disk_choice *choice)
{
    if (inode->dirty_count)
        qsort(inode->dirty, (size_t)inode->dirty_count, sizeof inode->dirty[0], compare_places);
    for (int32_t i = 0; i < inode->dirty_count; i++)
        choose_slot(disk, &inode->slots[inode->dirty[i]], choice);
    if (inode->sizes_count) {
        uint32_t chosen = disk_choose(choice, (uint32_t)inode->sizes_count + 1);
        if (chosen)
            inode->durable_size = inode->sizes[chosen - 1].size;
    }
    inode_drop_versions(disk, inode);
    inode->size = inode->durable_size;
    inode->written_direct = inode->unreported = false;
    inode_uncache(inode, 0, INT64_MAX / 2);
    cut_to_size(disk, inode);
    disk->used_bytes -= (int64_t)inode->page_count * DISK_PAGE_BYTES;
    inode->page_count = 0;
    for (int32_t i = 0; i < inode->slot_count; i++) {
        struct slot *slot = &inode->slots[i];
        if (slot->durable || slot->current != disk->zeros) { /* else: allocated, never written */
            page_release(disk, slot->current);
            slot->current = share(slot->durable);
        }
        inode->page_count += slot->current != NULL;
    }
    disk->used_bytes += (int64_t)inode->page_count * DISK_PAGE_BYTES;
}

void disk_crash(struct disk *disk, struct disk_choice *choice)
{
    choose_names(disk, choice);
    for (uint32_t i = 0; i < disk->inode_count; i++) {
        struct inode *inode = disk->inodes[i];
        if (!inode || !inode->is_directory)
            continue;
        inode->unreported = false; /* the kernel that would have told is gone */
        inode_reference(inode);
        inode_drop_entries(inode, false, disk);
        uint32_t position = 0;
        for (const struct entry *entry; (entry = map_next(&inode->durable_names, &position));)
            inode_put_entry(inode, false, entry->name, entry->inode, disk);
        inode_release(disk, inode);
    }
    for (uint32_t i = 0; i < disk->inode_count; i++)
        if (disk->inodes[i] && !disk->inodes[i]->is_directory)
            choose_bytes(disk, disk->inodes[i], choice);
}
