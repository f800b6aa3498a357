/* Names of the simulated disk: folders, paths, and name changes that are not durable yet. */
#include "sim/disk.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/memory.h"
#include <string.h>

static struct entry *get_entry(const struct inode *directory, bool durable, const char *name)
{
    return map_get(durable ? &directory->durable_names : &directory->names, name, strlen(name));
}

static void drop_entry(struct inode *directory, bool durable, const char *name, struct disk *disk)
{
    struct entry *entry =
        map_remove(durable ? &directory->durable_names : &directory->names, name, strlen(name));
    if (!entry)
        return;
    list_remove(&entry->link);
    inode_release(disk, entry->inode);
    memory_free(entry);
}

void inode_put_entry(struct inode *directory, bool durable, const char *name, struct inode *inode,
                     struct disk *disk)
{
    inode_reference(inode);
    drop_entry(directory, durable, name, disk);
    size_t size = strlen(name);
    struct entry *entry = memory_zeroed(sizeof *entry + size + 1);
    list_init(&entry->link);
    entry->inode = inode;
    memcpy(entry->name, name, size);
    map_put(durable ? &directory->durable_names : &directory->names, entry->name, size, entry);
    if (!durable) {
        entry->cookie = ++directory->last_cookie;
        list_push(&directory->entries, &entry->link);
    }
}

void inode_drop_entries(struct inode *directory, bool durable, struct disk *disk)
{
    struct map *map = durable ? &directory->durable_names : &directory->names;
    uint32_t position = 0;
    for (struct entry *entry; (entry = map_next(map, &position));) {
        list_remove(&entry->link);
        inode_release(disk, entry->inode);
        memory_free(entry);
    }
    uint64_t seed = map->seed;
    map_done(map);
    map_init(map, seed);
}

/* ---- paths ---- */

/* The folder that holds the last part of `path`, and that part; null if there is none. */
static struct inode *find_parent(struct disk *disk, const char *path, char *name)
{
    struct inode *directory = disk->inodes[DISK_ROOT];
    name[0] = 0;
    for (;;) {
        while (*path == '/')
            path++;
        size_t size = strcspn(path, "/");
        if (size > DISK_NAME_BYTES_MAX)
            return NULL;
        memcpy(name, path, size);
        name[size] = 0;
        path += size;
        if (*path == 0)
            return directory;
        if (strcmp(name, ".") == 0)
            continue;
        struct entry *entry = get_entry(directory, false, name);
        if (!entry || !entry->inode->is_directory)
            return NULL;
        directory = entry->inode;
    }
}

static bool is_self(const char *name)
{
    return name[0] == 0 || strcmp(name, ".") == 0;
}

struct inode *disk_find(struct disk *disk, const char *path)
{
    char name[DISK_NAME_BYTES_MAX + 1];
    struct inode *directory = find_parent(disk, path, name);
    if (!directory || is_self(name))
        return directory;
    struct entry *entry = get_entry(directory, false, name);
    return entry ? entry->inode : NULL;
}

int64_t disk_list(struct inode *directory, uint64_t *cookie, void *data, size_t size)
{
    size_t used = 0;
    for (struct list *node = directory->entries.next; node != &directory->entries;
         node = node->next) {
        struct entry *entry = CONTAINER_OF(node, struct entry, link);
        if (entry->cookie <= *cookie)
            continue;
        size_t needed = strlen(entry->name) + 2;
        if (used + needed > size)
            return used ? (int64_t)used : -ERROR_BAD_ARGUMENT;
        ((char *)data)[used] = entry->inode->is_directory ? 'd' : 'f';
        memcpy((char *)data + used + 1, entry->name, needed - 1);
        used += needed;
        *cookie = entry->cookie;
    }
    return (int64_t)used;
}

/* ---- changes ---- */

static struct name_change *push_change(struct disk *disk, enum name_change_kind kind,
                                       struct inode *directory, const char *name,
                                       struct inode *inode)
{
    struct name_change *change = memory_zeroed(sizeof *change);
    change->kind = (uint8_t)kind;
    change->sequence = disk->sequence;
    change->directory = directory;
    change->inode = inode;
    memcpy(change->name, name, strlen(name));
    inode_reference(directory);
    inode_reference(inode);
    list_push(&disk->pending_names, &change->link);
    return change;
}

void name_change_free(struct disk *disk, struct name_change *change)
{
    list_remove(&change->link);
    inode_release(disk, change->directory);
    inode_release(disk, change->directory_to);
    inode_release(disk, change->inode);
    memory_free(change);
}

void name_change_apply(struct disk *disk, const struct name_change *change)
{
    if (change->kind != NAME_LINK)
        drop_entry(change->directory, true, change->name, disk);
    if (change->kind == NAME_LINK)
        inode_put_entry(change->directory, true, change->name, change->inode, disk);
    if (change->kind == NAME_RENAME)
        inode_put_entry(change->directory_to, true, change->name_to, change->inode, disk);
}

void disk_flush_names(struct disk *disk, struct inode *directory, uint64_t bound, bool fails)
{
    for (struct list *node = disk->pending_names.next, *next; node != &disk->pending_names;
         node = next) {
        next = node->next;
        struct name_change *change = CONTAINER_OF(node, struct name_change, link);
        if (change->sequence >= bound)
            break;
        if (directory && change->directory != directory && change->directory_to != directory)
            continue;
        if (change->lost)
            continue;
        change->lost = fails;
        if (fails) {
            inode_note_loss(disk, change->directory);
            if (change->directory_to && change->directory_to != change->directory)
                inode_note_loss(disk, change->directory_to);
            continue;
        }
        name_change_apply(disk, change);
        name_change_free(disk, change);
    }
}

static int64_t create(struct disk *disk, const struct disk_change *change, bool is_directory)
{
    char name[DISK_NAME_BYTES_MAX + 1];
    struct inode *directory = find_parent(disk, change->path, name);
    if (!directory)
        return -ERROR_NOT_FOUND;
    struct entry *entry = is_self(name) ? NULL : get_entry(directory, false, name);
    struct inode *inode = is_self(name) ? directory : entry ? entry->inode : NULL;
    if (inode) {
        if (is_directory || (change->flags & OPEN_EXCLUSIVE && change->flags & OPEN_CREATE))
            return -ERROR_ALREADY_EXISTS;
        return inode->id;
    }
    if (!is_directory && !(change->flags & OPEN_CREATE))
        return -ERROR_NOT_FOUND;
    if (disk->limit_bytes && disk->used_bytes >= disk->limit_bytes)
        return -ERROR_NO_SPACE;
    disk->sequence++;
    inode = inode_create(disk, is_directory);
    inode_put_entry(directory, false, name, inode, disk);
    push_change(disk, NAME_LINK, directory, name, inode);
    int64_t id = inode->id;
    inode_release(disk, inode);
    return is_directory ? 0 : id;
}

static int64_t take_away(struct disk *disk, const struct disk_change *change)
{
    char name[DISK_NAME_BYTES_MAX + 1];
    struct inode *directory = find_parent(disk, change->path, name);
    struct entry *entry = directory && !is_self(name) ? get_entry(directory, false, name) : NULL;
    if (!entry)
        return -ERROR_NOT_FOUND;
    if (entry->inode->is_directory && entry->inode->names.count > 0)
        return -ERROR_ALREADY_EXISTS; /* POSIX lets ENOTEMPTY be EEXIST */
    disk->sequence++;
    push_change(disk, NAME_UNLINK, directory, name, entry->inode);
    drop_entry(directory, false, name, disk);
    return 0;
}

static int64_t change_name(struct disk *disk, const struct disk_change *change)
{
    char name[DISK_NAME_BYTES_MAX + 1], name_to[DISK_NAME_BYTES_MAX + 1];
    struct inode *directory = find_parent(disk, change->path, name);
    struct inode *directory_to = find_parent(disk, change->path_to, name_to);
    struct entry *entry = directory && !is_self(name) ? get_entry(directory, false, name) : NULL;
    if (!entry || !directory_to || is_self(name_to))
        return -ERROR_NOT_FOUND;
    struct entry *there = get_entry(directory_to, false, name_to);
    struct inode *inode = entry->inode;
    if (there && there->inode == inode)
        return 0;
    if (there &&
        (there->inode->is_directory != inode->is_directory || there->inode->names.count > 0))
        return -ERROR_ALREADY_EXISTS;
    disk->sequence++;
    struct name_change *pending = push_change(disk, NAME_RENAME, directory, name, inode);
    pending->directory_to = directory_to;
    inode_reference(directory_to);
    memcpy(pending->name_to, name_to, strlen(name_to));
    inode_put_entry(directory_to, false, name_to, inode, disk);
    drop_entry(directory, false, name, disk);
    return 0;
}

int64_t disk_change_names(struct disk *disk, const struct disk_change *change)
{
    switch (change->kind) {
    case OP_OPEN:
        return create(disk, change, false);
    case OP_MAKE_DIRECTORY:
        return create(disk, change, true);
    case OP_REMOVE:
        return take_away(disk, change);
    case OP_RENAME:
        return change_name(disk, change);
    default:
        check(!"a change of the disk");
        return 0;
    }
}
