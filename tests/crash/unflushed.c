#include "crash/unflushed.h"
#include "base/bytes.h"
#include "base/check.h"
#include <stdio.h>

/* What a start removes wherever it meets it. */
static bool goes_anyway(const char *name)
{
    return strstr(name, ".deleted") || strstr(name, ".cleaned");
}

static const struct entry *other(const struct map *names, const struct entry *entry)
{
    const struct entry *same = map_get(names, entry->name, strlen(entry->name));
    return same && same->inode == entry->inode ? same : NULL;
}

/* In a folder and below; null: nothing. */
static const char *look(const struct inode *folder, const char **ret_what)
{
    const char *found = NULL;
    uint32_t position = 0;
    for (const struct entry *entry; (entry = map_next(&folder->names, &position)) && !found;) {
        *ret_what = "is there";
        found = other(&folder->durable_names, entry) ? NULL : entry->name;
        if (!found && entry->inode->dirty_count > 0 && strstr(entry->name, ".snapshot")) {
            *ret_what = "holds what it does";
            found = entry->name;
        }
        if (!found && entry->inode->is_directory)
            found = look(entry->inode, ret_what);
    }
    position = 0;
    for (const struct entry *entry;
         !found && (entry = map_next(&folder->durable_names, &position));) {
        bool stays = map_get(&folder->names, entry->name, strlen(entry->name));
        *ret_what = "is gone";
        found = stays || goes_anyway(entry->name) ? NULL : entry->name;
    }
    return found;
}

static const char *sentence_of(const char *name, const char *what)
{
    static char sentence[400];
    snprintf(sentence, sizeof sentence, "after a clean stop it is not flushed that %s %s",
             name ? name : "", what);
    return name ? sentence : NULL;
}

const char *unflushed_name(const struct disk *disk)
{
    const char *what = "", *name = look(disk->inodes[DISK_ROOT], &what);
    return sentence_of(name, what);
}

const char *unflushed_name_where_clean(const struct disk *disk)
{
    static const char mark[] = ".kafka_cleanshutdown";
    const char *what = "", *name = NULL;
    uint32_t position = 0;
    for (const struct entry *entry;
         (entry = map_next(&disk->inodes[DISK_ROOT]->names, &position)) && !name;)
        if (entry->inode->is_directory && map_get(&entry->inode->names, mark, sizeof mark - 1))
            name = look(entry->inode, &what);
    return sentence_of(name, what);
}
