#include "cluster/kafka_starts.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "cluster/directory.h"
#include "storage/log_starts.h"
#include "storage/offset_checkpoint.h"
#include "storage/recovery.h"
#include <stdio.h>

#define KAFKAS_FILE "log-start-offset-checkpoint"
#define KEPT_FILE   "log-starts.kafka"

enum { PATH_BYTES = 1100, MARK_BYTES_MAX = 4096, FILE_BYTES_MAX = 64 << 20 };

/* {"version":0,"brokerEpoch":17}: ours has -1 there. */
static bool was_stopped_by_kafka(const struct directory *directory, struct port *port)
{
    struct bytes text;
    if (!directory_read_file(directory, port, ".kafka_cleanshutdown", MARK_BYTES_MAX, &text))
        return false;
    static const char key[] = "\"brokerEpoch\":";
    const char *end = (const char *)text.data + text.size;
    const char *found = memmem(text.data, (size_t)text.size, key, sizeof key - 1);
    const char *digit = found ? found + sizeof key - 1 : end;
    bool kafka = digit < end && *digit >= '0' && *digit <= '9';
    memory_free((void *)(uintptr_t)text.data);
    return kafka;
}

enum error kafka_starts_keep_clean(const struct directory *directory, struct port *port)
{
    return was_stopped_by_kafka(directory, port) ? kafka_starts_keep(directory, port) : ERROR_NONE;
}

enum error kafka_starts_keep(const struct directory *directory, struct port *port)
{
    char from[PATH_BYTES], to[PATH_BYTES];
    snprintf(from, sizeof from, "%s/%s", directory->path, KAFKAS_FILE);
    snprintf(to, sizeof to, "%s/%s", directory->path, KEPT_FILE);
    struct op rename = {.kind = OP_RENAME, .path = from, .path_to = to};
    enum error error = op_error(port_call(port, &rename));
    if (error)
        return error == ERROR_NOT_FOUND ? ERROR_NONE : error;
    return MUTANT(skip_fsync_of_kafkas_starts) ? ERROR_NONE : directory_flush(directory, port);
}

/* Notes the lines of topics that there are. True: something was not known. */
static bool note_lines(const struct broker *broker, struct bytes text, struct log_starts *starts)
{
    struct offset_checkpoint checkpoint;
    struct offset_checkpoint_line line;
    bool news = false;
    if (offset_checkpoint_read(&checkpoint, text) == ERROR_NONE) {
        for (int32_t at = 0; offset_checkpoint_next(&checkpoint, &at, &line);) {
            const struct image_topic *topic =
                image_topic_by_name(&broker->shards[0].image, line.topic);
            if (topic && image_partition(topic, line.partition))
                news |= log_starts_note(starts, topic->id, line.partition, line.offset);
        }
    }
    offset_checkpoint_done(&checkpoint);
    return news;
}

enum error kafka_starts_take(const struct broker *broker, int directory, struct port *port,
                             struct recovery *recovery)
{
    const struct directory *of = &broker->directories[directory];
    struct bytes text;
    if (!directory_read_file(of, port, KEPT_FILE, FILE_BYTES_MAX, &text))
        return ERROR_NONE;
    REACHED("log starts taken over from a Kafka node");
    enum error error = ERROR_NONE;
    if (note_lines(broker, text, &recovery->starts))
        error = log_starts_save(&recovery->starts, port, of->path);
    memory_free((void *)(uintptr_t)text.data);
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", of->path, KEPT_FILE);
    struct op remove = {.kind = OP_REMOVE, .path = path};
    if (!error)
        error = op_error(port_call(port, &remove)); /* should it come back, it says nothing new */
    return error;
}
