#include "cluster/whereabouts.h"
#include "base/check.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "cluster/catalogue.h"
#include "cluster/directories.h"
#include "logic/record_list.h"
#include "protocol/messages.h"
#include "storage/folder.h"
#include "storage/redo.h"
#include <stdio.h>

enum { PATH_BYTES = 1100 };

/* One partition that does not lie where the metadata say, or of which they say nothing. */
struct found {
    struct found_key {
        struct uuid topic_id;
        int32_t index;
    } key;
    int directory;
};

struct whereabouts {
    struct map found;
    char **strays; /* folders of topics that are gone, in place of one that is there */
    int32_t stray_count;
};

static bool is_zero(struct uuid id)
{
    return uuid_equal(id, (struct uuid){{0}});
}

static bool is_usable(const struct broker *broker, int directory)
{
    return directory >= 0 && directory < broker->directory_count &&
           !broker->directories[directory].absent &&
           broker->directories[directory].holds_partitions;
}

/* Where one lies of which nobody says anything: nowhere while a directory that may hold it is
 * absent. */
static int default_directory(const struct broker *broker)
{
    int first = -1;
    for (int d = broker->directory_count - 1; d >= 0; d--) {
        if (is_usable(broker, d))
            first = d;
        else if (broker->directories[d].absent && !MUTANT(offline_partition_created_elsewhere))
            return broker->directory_count;
    }
    return first;
}

static struct found *find(const struct broker *broker, struct uuid topic_id, int32_t index)
{
    struct found_key key;
    memset(&key, 0, sizeof key);
    key.topic_id = topic_id;
    key.index = index;
    return broker->whereabouts ? map_get(&broker->whereabouts->found, &key, sizeof key) : NULL;
}

int whereabouts_of(const struct broker *broker, const struct image_topic *topic, int32_t index)
{
    const struct found *found = find(broker, topic->id, index);
    if (found)
        return found->directory;
    const struct image_partition *partition = image_partition(topic, index);
    struct uuid id = image_partition_directory(partition, broker->node_id);
    int directory = directories_find(broker, id);
    if (is_usable(broker, directory))
        return directory;
    if (is_zero(id) || MUTANT(offline_partition_created_elsewhere))
        return default_directory(broker);
    return broker->directory_count;
}

/* ---- looking ------------------------------------------------------------------------------- */

/* Folders of one directory whose partition belongs to another, by the metadata. */
struct looking {
    struct broker *broker;
    const struct recover *recovers;
    struct port *port;
    int directory;
    char **names;
    int32_t count;
    char *why;
    size_t why_size;
};

static void keep_text(char ***list, int32_t *count, const char *text)
{
    size_t size = strlen(text) + 1;
    *list = memory_resized(*list, (size_t)(*count + 1) * sizeof **list);
    (*list)[*count] = memory_zeroed(size);
    memcpy((*list)[(*count)++], text, size);
}

static void free_texts(char **list, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        memory_free(list[i]);
    memory_free(list);
}

static const struct image_topic *topic_of(const struct broker *broker, const char *name,
                                          int32_t *ret_index)
{
    struct string topic;
    if (!folder_name_parse(name, &topic, ret_index))
        return NULL;
    const struct image_topic *found = image_topic_by_name(&broker->shards[0].image, topic);
    return found && image_partition(found, *ret_index) ? found : NULL;
}

static enum error note_folder(void *context, char kind, const char *name)
{
    struct looking *looking = context;
    int32_t index;
    const struct image_topic *topic = kind == 'd' ? topic_of(looking->broker, name, &index) : NULL;
    if (!topic)
        return ERROR_NONE;
    struct uuid id =
        image_partition_directory(image_partition(topic, index), looking->broker->node_id);
    if (directories_find(looking->broker, id) != looking->directory)
        keep_text(&looking->names, &looking->count, name);
    return ERROR_NONE;
}

/* Whose the folder is, by its partition.metadata. False: it does not say. */
static bool read_topic_id(struct port *port, const char *folder, struct uuid *ret)
{
    char path[PATH_BYTES], text[PARTITION_METADATA_SIZE];
    snprintf(path, sizeof path, "%s/" PARTITION_METADATA_FILE, folder);
    struct op open = {.kind = OP_OPEN, .path = path, .flags = OPEN_READ};
    int64_t handle = port_call(port, &open), size = 0, got = 1;
    if (handle < 0)
        return false;
    while (got > 0 && size < (int64_t)sizeof text) {
        struct op read = {.kind = OP_READ,
                          .handle = (int32_t)handle,
                          .data = text + size,
                          .size = sizeof text - (size_t)size,
                          .offset = size};
        got = port_call(port, &read);
        size += got > 0 ? got : 0;
    }
    struct op close = {.kind = OP_CLOSE, .handle = (int32_t)handle};
    (void)port_call(port, &close); /* only read */
    return got == 0 &&
           partition_metadata_decode((struct bytes){(uint8_t *)text, (int32_t)size}, ret);
}

static void put(struct broker *broker, struct uuid topic_id, int32_t index, int directory)
{
    struct found *found = memory_zeroed(sizeof *found);
    found->key.topic_id = topic_id;
    found->key.index = index;
    found->directory = directory;
    map_put(&broker->whereabouts->found, &found->key, sizeof found->key, found);
}

static enum error refuse_two(const struct looking *looking, const char *name, int other)
{
    snprintf(looking->why, looking->why_size,
             "%s lies in %s and in %s; take the folder away from the one whose data is not wanted",
             name, looking->broker->directories[looking->directory].path,
             looking->broker->directories[other].path);
    return ERROR_BAD_ARGUMENT;
}

static bool has_folder(const struct looking *looking, int directory, const char *name)
{
    char path[PATH_BYTES];
    struct file_stat stat;
    snprintf(path, sizeof path, "%s/%s", looking->broker->directories[directory].path, name);
    struct op op = {.kind = OP_STAT, .path = path, .data = &stat};
    return port_call(looking->port, &op) >= 0;
}

/* A folder that lies elsewhere than the metadata say. */
static enum error look_at(struct looking *looking, const char *name)
{
    struct broker *broker = looking->broker;
    char folder[PATH_BYTES];
    struct uuid id;
    int32_t index;
    const struct image_topic *topic = topic_of(broker, name, &index);
    snprintf(folder, sizeof folder, "%s/%s", broker->directories[looking->directory].path, name);
    if (!topic || !read_topic_id(looking->port, folder, &id) || uuid_is_nearly(id, topic->id))
        return ERROR_NONE; /* it is left alone */
    if (!uuid_equal(id, topic->id)) {
        REACHED("folder of a deleted topic in another directory");
        keep_text(&broker->whereabouts->strays, &broker->whereabouts->stray_count, folder);
        return ERROR_NONE;
    }
    const struct found *found = find(broker, topic->id, index);
    if (found)
        return refuse_two(looking, name, found->directory);
    int said = directories_find(
        broker, image_partition_directory(image_partition(topic, index), broker->node_id));
    if (is_usable(broker, said) &&
        (has_folder(looking, said, name) ||
         recovery_holds(&looking->recovers[said].recovery, topic->id, index)))
        return refuse_two(looking, name, said);
    put(broker, topic->id, index, looking->directory);
    return ERROR_NONE;
}

static enum error look_into(struct looking *looking)
{
    const struct broker *broker = looking->broker;
    const char *path = broker->directories[looking->directory].path;
    enum error error = redo_list(looking->port, path, note_folder, looking);
    if (error)
        snprintf(looking->why, looking->why_size, "%s can't be listed: %s", path,
                 error_text(error));
    for (int32_t i = 0; i < looking->count && !error; i++)
        error = look_at(looking, looking->names[i]);
    free_texts(looking->names, looking->count);
    looking->names = NULL;
    looking->count = 0;
    return error;
}

/* What has no folder yet and lies in a journal, and nobody says where. */
static void look_into_journals(struct looking *looking)
{
    struct broker *broker = looking->broker;
    const struct recovery *recovery = &looking->recovers[looking->directory].recovery;
    int32_t journal = 0;
    uint32_t place = 0;
    for (const struct recovery_bound *bound;
         (bound = recovery_next_bound(recovery, &journal, &place));) {
        int32_t index = bound->key.partition;
        const struct image_topic *topic =
            image_topic_by_id(&broker->shards[0].image, bound->key.topic_id);
        const struct image_partition *partition = topic ? image_partition(topic, index) : NULL;
        if (!partition || find(broker, topic->id, index) ||
            is_usable(broker, directories_find(
                                  broker, image_partition_directory(partition, broker->node_id))))
            continue;
        put(broker, topic->id, index, looking->directory);
    }
}

static void count_offline(struct broker *broker)
{
    const struct image *image = &broker->shards[0].image;
    uint32_t position = 0;
    int32_t offline = 0;
    struct uuid first = {{0}};
    for (const struct image_topic *topic; (topic = image_next_topic(image, &position));)
        for (int32_t i = 0; i < topic->partition_capacity; i++) {
            if (!image_partition(topic, i) ||
                whereabouts_of(broker, topic, i) < broker->directory_count)
                continue;
            if (offline++ == 0)
                first = image_partition_directory(image_partition(topic, i), broker->node_id);
        }
    if (offline == 0)
        return;
    char text[UUID_TEXT_SIZE];
    uuid_encode(first, text);
    REACHED("partitions of an absent directory");
    snprintf(broker->warning, sizeof broker->warning,
             "%d partitions are offline: they lie in log directories that are not here (the first "
             "in that with directory.id=%s); bring it back and start again",
             offline, text);
}

enum error whereabouts_look(struct broker *broker, const struct recover *recovers,
                            struct port *port, char *why, size_t why_size)
{
    broker->whereabouts = memory_zeroed(sizeof *broker->whereabouts);
    map_init(&broker->whereabouts->found, 0);
    struct looking looking = {
        .broker = broker, .recovers = recovers, .port = port, .why = why, .why_size = why_size};
    enum error error = ERROR_NONE;
    for (int d = 0; d < broker->directory_count && !error; d++) {
        looking.directory = d;
        if (is_usable(broker, d))
            error = look_into(&looking);
    }
    for (int d = 0; d < broker->directory_count && !error; d++) {
        looking.directory = d;
        if (is_usable(broker, d))
            look_into_journals(&looking);
    }
    if (!error)
        count_offline(broker);
    return error;
}

bool whereabouts_is_stray(const struct broker *broker, const char *folder)
{
    for (int32_t i = 0; i < broker->whereabouts->stray_count; i++)
        if (strcmp(broker->whereabouts->strays[i], folder) == 0)
            return true;
    return false;
}

/* ---- telling ------------------------------------------------------------------------------- */

static void write_one(const struct broker *broker, const struct image_topic *topic, int32_t index,
                      struct uuid directory, struct record_list *records)
{
    const struct image_partition *partition = image_partition(topic, index);
    int32_t count;
    const int32_t *replicas = image_partition_list(partition, IMAGE_REPLICAS, &count);
    struct uuid *directories =
        arena_copy(records->arena, partition->directories, (size_t)count * sizeof *directories);
    struct partition_change_record *record =
        record_list_add(records, &partition_change_record_message);
    if (!record || !directories) {
        records->overflowed = true;
        return;
    }
    for (int32_t i = 0; i < count; i++)
        if (replicas[i] == broker->node_id)
            directories[i] = directory;
    record->topic_id = topic->id;
    record->partition_id = index;
    record->directories = directories;
    record->directories_count = count;
}

void whereabouts_write(const struct broker *broker, const struct image *image, int32_t most,
                       struct record_list *records)
{
    uint32_t position = 0;
    if (broker->directory_count == 1 && broker->whereabouts->found.count == 0)
        return; /* nothing to tell apart: older metadata stay as they are */
    for (const struct image_topic *topic; (topic = image_next_topic(image, &position));)
        for (int32_t i = 0; i < topic->partition_capacity && records->count < most; i++) {
            const struct image_partition *partition = image_partition(topic, i);
            int directory = partition ? whereabouts_of(broker, topic, i) : broker->directory_count;
            if (directory == broker->directory_count)
                continue;
            struct uuid now = image_partition_directory(partition, broker->node_id);
            if (!uuid_equal(now, broker->directories[directory].id))
                write_one(broker, topic, i, broker->directories[directory].id, records);
        }
}

void whereabouts_forget(struct broker *broker)
{
    struct whereabouts *whereabouts = broker->whereabouts;
    if (!whereabouts)
        return;
    uint32_t position = 0;
    for (struct found *found; (found = map_next(&whereabouts->found, &position));)
        memory_free(found);
    map_done(&whereabouts->found);
    free_texts(whereabouts->strays, whereabouts->stray_count);
    memory_free(whereabouts);
    broker->whereabouts = NULL;
}
