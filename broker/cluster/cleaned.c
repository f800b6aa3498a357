#include "cluster/cleaned.h"
#include "base/memory.h"
#include "cluster/directory.h"
#include "cluster/partition.h"
#include "storage/log_state.h"
#include <stdio.h>

#define CLEANED_NAME "cleaner-offset-checkpoint"

enum { PATH_BYTES = 1100, FILE_BYTES_MAX = 64 << 20 };

static void path_of(const struct directory *directory, const char *name, char *path)
{
    snprintf(path, PATH_BYTES, "%s/%s", directory->path, name);
}

static bool is_marked_clean(const struct directory *directory, struct port *port)
{
    char path[PATH_BYTES];
    path_of(directory, ".kafka_cleanshutdown", path);
    struct file_stat stat;
    struct op op = {.kind = OP_STAT, .path = path, .data = &stat};
    return port_call(port, &op) >= 0;
}

enum error cleaned_take(struct directory *directory, struct port *port)
{
    struct bytes text;
    directory->cleaned = (struct offset_checkpoint){0};
    if (is_marked_clean(directory, port) &&
        directory_read_file(directory, port, CLEANED_NAME, FILE_BYTES_MAX, &text)) {
        directory->cleaned_text = (void *)(uintptr_t)text.data;
        (void)offset_checkpoint_read(&directory->cleaned, text); /* damaged: nothing is in it */
    }
    char path[PATH_BYTES];
    path_of(directory, CLEANED_NAME, path);
    struct op remove = {.kind = OP_REMOVE, .path = path};
    enum error error = op_error(port_call(port, &remove));
    return error == ERROR_NOT_FOUND ? ERROR_NONE : error;
}

void cleaned_tell(struct shard *shard)
{
    struct broker *broker = shard->broker;
    uint32_t position = 0;
    for (struct partition *partition; (partition = map_next(&shard->partitions, &position));) {
        const struct image_topic *topic = image_topic_by_id(&shard->image, partition->key.topic_id);
        for (int d = 0; topic && d < broker->directory_count; d++)
            if (partition->log->store == shard->stores[d])
                partition->log->cleaned_end = offset_checkpoint_get(
                    &broker->directories[d].cleaned, image_topic_name(topic), partition->key.index);
    }
}

void cleaned_forget(struct directory *directory)
{
    offset_checkpoint_done(&directory->cleaned);
    memory_free(directory->cleaned_text);
    directory->cleaned_text = NULL;
}

enum error cleaned_write(const struct broker *broker, int directory, struct port *port)
{
    struct offset_checkpoint_text text = {0};
    for (int i = 0; i < broker->core_count; i++) {
        struct shard *shard = &broker->shards[i];
        uint32_t position = 0;
        for (struct partition *partition; (partition = map_next(&shard->partitions, &position));) {
            const struct image_topic *topic =
                image_topic_by_id(&shard->image, partition->key.topic_id);
            if (topic && partition->log->store == shard->stores[directory] &&
                partition->log->cleaned_end >= 0)
                offset_checkpoint_add(&text, image_topic_name(topic), partition->key.index,
                                      partition->log->cleaned_end);
        }
    }
    if (text.count == 0)
        return ERROR_NONE;
    char *whole = offset_checkpoint_take(&text);
    enum error error =
        directory_write_file(&broker->directories[directory], port, CLEANED_NAME, whole);
    memory_free(whole);
    return error;
}
